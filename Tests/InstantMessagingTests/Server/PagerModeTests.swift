import InstantMessaging
import SansIO
import Testing

/// The server as a proxy on the core's chain, by TS 23.218 §9 and RFC 3261 §16.
@Suite struct PagerModeTests {
    @Test func aMessageToOneWhoIsThereGoesBackAlongTheRoute() {
        let rig = ServerRig()
        let request = rig.message(to: "bob", "hi", registered: true)
        rig.receive(request)
        let forwarded = rig.one()
        #expect(forwarded.startLine == "MESSAGE sip:bob@home1.test SIP/2.0")
        #expect(forwarded.all("Route") == ["<sip:odi_1@127.0.0.1:5060;lr>"])
        #expect(forwarded["Max-Forwards"] == "69")
        #expect(forwarded.all("Via").count == 2)
        #expect(forwarded.all("Via")[1] == request["Via"])
        for name in ["From", "To", "Call-ID", "CSeq", "P-Asserted-Identity", "Accept-Contact", "Content-Type", "P-Served-User"] {
            #expect(forwarded[name] == request[name])
        }
        #expect(forwarded.body == "hi")
        rig.receive(forwarded.response(200, "Fine", [("X-Mine", "1")]))
        let answer = rig.one()
        #expect(answer.startLine == "SIP/2.0 200 Fine")
        #expect(answer.all("Via") == [request["Via"]!])
        #expect(answer["X-Mine"] == "1")
        #expect(answer["To"] == forwarded["To"]! + ";tag=peer")
    }

    @Test func aStrangerToTheServerIsTakenAsThere() {
        let rig = ServerRig()
        rig.receive(rig.message(to: "bob", "hi"))
        #expect(rig.one().method == "MESSAGE")
    }

    @Test func theCoresWordWithTheRequestIsNewerThanItsLastRegister() {
        let rig = ServerRig()
        rig.receive(rig.register("bob", expires: 0))
        _ = rig.taken()
        rig.receive(rig.message(to: "bob", "hi", registered: true))
        #expect(rig.one().method == "MESSAGE")
    }

    @Test(arguments: [408, 430, 480, 503])
    func whoIsNotReachedAfterAllHasTheMessageKept(status: Int) {
        let rig = ServerRig()
        rig.receive(rig.message(to: "bob", "hi"))
        rig.receive(rig.one().response(status))
        #expect(rig.one().status == 202)
        #expect(rig.stored().map(\.body) == ["hi"])
    }

    @Test(arguments: [200, 302, 403, 404, 486, 500, 603])
    func otherFinalResponsesAreRelayed(status: Int) {
        let rig = ServerRig()
        rig.receive(rig.message(to: "bob", "hi"))
        rig.receive(rig.one().response(status))
        #expect(rig.one().status == status)
        #expect(rig.stored().isEmpty)
    }

    @Test func withoutAnAnswerInTenSecondsTheMessageIsKept() {
        let rig = ServerRig()
        let request = rig.message(to: "bob", "hi")
        rig.receive(request)
        let forwarded = rig.one()
        rig.advance(.milliseconds(9999))
        #expect(!rig.taken().contains { $0.status == 202 })
        rig.advance(.milliseconds(2))
        #expect(rig.taken().contains { $0.status == 202 })
        // A repeat of what may have arrived is the same request.
        rig.receive(rig.register("bob"))
        let delivery = rig.taken().first { $0.isRequest && $0["User-Agent"] != nil }
        #expect(delivery?["Call-ID"] == request["Call-ID"])
        #expect(delivery?["CSeq"] == request["CSeq"])
        // The first one is answered after all: the kept message is delivered.
        rig.receive(forwarded.response(200))
        #expect(rig.stored().isEmpty)
        #expect(!rig.taken().contains { $0.status == 200 && $0["Call-ID"] == request["Call-ID"] })
    }

    @Test func whatCannotBeSentIsKept() {
        let rig = ServerRig()
        let request = rig.message(to: "bob", "hi")
        rig.receive(request)
        let flow = Flow(transport: .udp, listener: 0, remote: ServerRig.core)
        // The number of the transaction stands in the effects only; slot and generation of the second one are known.
        rig.withEffects { rig.server.transmissionFailed(1 << 32 | 1, over: flow, at: rig.now, into: &$0) }
        #expect(rig.taken().last?.status == 202)
        // It may have arrived before it was sent again in vain: the repeat is the same request, which a client tells.
        rig.receive(rig.register("bob"))
        let delivery = rig.taken().first { $0.isRequest && $0["User-Agent"] != nil }
        #expect(delivery?["Call-ID"] == request["Call-ID"])
        #expect(delivery?["CSeq"] == request["CSeq"])
    }

    @Test func theOriginatingRolePassesTheRequestOn() {
        let rig = ServerRig()
        rig.receive(rig.register("bob", expires: 0))
        _ = rig.taken()
        let headers = [("Route", "<sip:127.0.0.1:5080;lr>, <sip:odi_2@127.0.0.1:5060;lr;orig>")]
        rig.receive(rig.message(to: "bob", "hi", headers))
        let forwarded = rig.one()
        #expect(forwarded.all("Route") == ["<sip:odi_2@127.0.0.1:5060;lr;orig>"])
        rig.receive(forwarded.response(480))
        #expect(rig.one().status == 480)
        rig.receive(rig.message(to: "bob", "hi", from: "eve", headers + [("P-Asserted-Identity", "<sip:eve@elsewhere.test>")]))
        #expect(rig.one().status == 403)
        var anonymous = rig.message(to: "bob", "hi", headers)
        anonymous.set("P-Asserted-Identity", nil)
        rig.receive(anonymous)
        #expect(rig.one().status == 403)
    }

    @Test func fromNamesTheSenderOnlyIfAllowed() {
        let rig = ServerRig { $0.takesFromAsIdentity = true }
        var request = rig.message(to: "bob", "hi", registered: false)
        request.set("P-Asserted-Identity", nil)
        rig.receive(request)
        #expect(rig.one().status == 202)
        #expect(rig.stored().first?.from == "sip:alice@home1.test")
    }

    @Test func limitsOfARequest() {
        let rig = ServerRig()
        rig.receive(rig.message(to: "bob", "hi", [("Max-Forwards", "0")]))
        #expect(rig.one().status == 483)
        rig.receive(rig.message(to: "bob", "hi", [("Proxy-Require", "foo")]))
        let refused = rig.one()
        #expect(refused.status == 420)
        #expect(refused["Unsupported"] == "foo")
        rig.receive(rig.message(to: "bob", String(repeating: "x", count: 16_385)))
        #expect(rig.one().status == 413)
        rig.receive(rig.request("MESSAGE", "sip:bob@elsewhere.test", [("P-Asserted-Identity", "<sip:alice@home1.test>")]))
        #expect(rig.one().status == 404)
    }

    @Test func barredSendersAre403() {
        let rig = ServerRig { $0.barredSenders = ["sip:bob@home1.test": ["sip:alice@home1.test"]] }
        rig.receive(rig.message(to: "bob", "hi", registered: false))
        #expect(rig.one().status == 403)
        #expect(rig.stored().isEmpty)
    }

    @Test func aDeliveryThatComesBackIsPassedOnAndNotKeptAgain() {
        let rig = ServerRig()
        rig.receive(rig.message(to: "bob", "hi", registered: false))
        rig.receive(rig.register("bob"))
        let delivery = rig.taken().first { $0.isRequest && $0.method == "MESSAGE" }!
        // The core's terminating chain leads to the server again.
        var back = delivery
        back.headers.insert(("Via", "SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKback"), at: 0)
        back.set("Route", "<sip:127.0.0.1:5080;lr>, <sip:odi_9@127.0.0.1:5060;lr>")
        rig.receive(back)
        let onward = rig.one()
        #expect(onward.all("Route") == ["<sip:odi_9@127.0.0.1:5060;lr>"])
        rig.receive(onward.response(480))
        #expect(rig.one().status == 480)
        #expect(rig.stored().count == 1)
    }

    // MARK: Other methods

    @Test func sessionsAreBarredOrLetThrough() {
        let rig = ServerRig()
        let route = [("Route", "<sip:127.0.0.1:5080;lr>, <sip:odi_1@127.0.0.1:5060;lr>")]
        rig.receive(rig.request("INVITE", "sip:bob@home1.test", route))
        let sent = rig.taken()
        #expect(sent.map(\.startLine) == ["INVITE sip:bob@home1.test SIP/2.0", "SIP/2.0 100 Trying"])
        rig.receive(sent[0].response(180))
        #expect(rig.one().status == 180)
        rig.receive(sent[0].response(200))
        #expect(rig.one().status == 200)
        rig.receive(sent[0].response(200))
        #expect(rig.one().status == 200)
        rig.receive(
            rig.publish("bob", body: settingsDocument("d", "<isb-settings><incoming-session-barring active=\"true\"/></isb-settings>")))
        _ = rig.taken()
        rig.receive(rig.request("INVITE", "sip:bob@home1.test", route))
        #expect(rig.one().status == 480)
        // The user's own calls are not barred.
        rig.receive(rig.request("INVITE", "sip:bob@home1.test", [("Route", "<sip:127.0.0.1:5080;lr>, <sip:odi@127.0.0.1:5060;lr;orig>")]))
        #expect(rig.taken().first?.method == "INVITE")
    }

    @Test func aCancelReachesTheForwardedInvite() {
        let rig = ServerRig()
        let invite = rig.request("INVITE", "sip:bob@home1.test", [("Route", "<sip:127.0.0.1:5080;lr>, <sip:odi_1@127.0.0.1:5060;lr>")])
        rig.receive(invite)
        let forwarded = rig.taken()[0]
        rig.receive(forwarded.response(180))
        _ = rig.taken()
        var cancel = invite
        cancel.startLine = "CANCEL sip:bob@home1.test SIP/2.0"
        cancel.set("CSeq", "1 CANCEL")
        rig.receive(cancel)
        let sent = rig.taken()
        #expect(sent.map(\.startLine) == ["SIP/2.0 200 OK", "CANCEL sip:bob@home1.test SIP/2.0"])
        rig.receive(forwarded.response(487))
        #expect(rig.taken().compactMap(\.status) == [487])
        var stray = rig.request("CANCEL", "sip:bob@home1.test")
        stray.set("CSeq", "1 CANCEL")
        rig.receive(stray)
        #expect(rig.one().status == 481)
    }

    @Test(arguments: [
        ("NOTIFY", 481), ("BYE", 481), ("SUBSCRIBE", 489), ("INFO", 405), ("REFER", 405), ("UPDATE", 405), ("FROBNICATE", 501),
        ("OPTIONS", 200),
    ])
    func requestsForTheServerItself(method: String, status: Int) {
        let rig = ServerRig()
        rig.receive(rig.request(method, "sip:127.0.0.1:5080"))
        let answer = rig.one()
        #expect(answer.status == status)
        if status == 405 || status == 501 || status == 200 { #expect(answer["Allow"]?.contains("PUBLISH") == true) }
    }

    @Test func anyoneMayAskForOptions() {
        let rig = ServerRig()
        rig.receive(rig.request("OPTIONS", "sip:127.0.0.1:5080").text, from: Endpoint(address: .loopback, port: 5999))
        #expect(rig.one().status == 200)
    }

    @Test func otherRequestsOnTheChainArePassedOn() {
        let rig = ServerRig()
        for method in ["OPTIONS", "INFO", "SUBSCRIBE", "NOTIFY"] {
            rig.receive(rig.request(method, "sip:bob@home1.test", [("Route", "<sip:127.0.0.1:5080;lr>, <sip:odi_1@127.0.0.1:5060;lr>")]))
            #expect(rig.one().startLine == "\(method) sip:bob@home1.test SIP/2.0")
        }
        rig.receive(
            rig.request(
                "SUBSCRIBE", "sip:alice@home1.test",
                [
                    ("Route", "<sip:127.0.0.1:5080;lr>, <sip:odi_1@127.0.0.1:5060;lr>"), ("Event", "poc-settings"),
                ]))
        #expect(rig.taken().last?.status == 489)
    }

    @Test func silenceToAForwardedRequestIsNotAnswered408() {
        let rig = ServerRig()
        rig.receive(rig.request("INFO", "sip:bob@home1.test", [("Route", "<sip:127.0.0.1:5080;lr>, <sip:odi_1@127.0.0.1:5060;lr>")]))
        rig.advance(.seconds(60))
        #expect(!rig.taken().contains { ($0.status ?? 0) >= 200 })
        rig.receive(rig.request("INVITE", "sip:bob@home1.test", [("Route", "<sip:127.0.0.1:5080;lr>, <sip:odi_1@127.0.0.1:5060;lr>")]))
        rig.advance(.seconds(33))
        #expect(rig.taken().contains { $0.status == 408 })
        #expect(rig.nextDeadline.map { $0 > rig.now.monotonic } ?? true)
    }

    @Test func whatCannotBeReadIsCountedOrAnswered() {
        let rig = ServerRig()
        for text in ["", "\r\n\r\n", "nonsense\r\n\r\n", "SIP/2.0 200 OK\r\n\r\n", "MESSAGE sip:a@b SIP/2.0\r\nVia: x\r\n\r\n"] {
            rig.receive(text)
        }
        #expect(rig.taken().isEmpty)
        #expect(rig.dropped == 3)
        rig.receive("MESSAGE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKq\r\nCSeq: x\r\n\r\n")
        #expect(rig.one().startLine.hasPrefix("SIP/2.0 400 "))
    }
}
