import InstantMessaging
import SansIO
import Testing

/// REGISTER from the core, by TS 24.229 §5.7.1.1.
@Suite struct ThirdPartyRegistrationTests {
    @Test(arguments: [0, 1, 3600, 600_000])
    func theAnswerHasTheIntervalOfTheRequest(expires: Int) {
        let rig = ServerRig()
        rig.receive(rig.register("alice", expires: expires))
        let answer = rig.one()
        #expect(answer.status == 200)
        #expect(answer["Expires"] == String(expires))
        #expect(answer["Contact"] == "<sip:127.0.0.1:5060>;expires=\(expires)")
    }

    @Test func whoIsNotServedIs404() {
        let rig = ServerRig()
        rig.receive(rig.register("alice", [("To", "<sip:alice@elsewhere.test>")]))
        #expect(rig.one().status == 404)
    }

    @Test func strangersAre403() {
        let rig = ServerRig()
        rig.receive(rig.register("alice").text, from: Endpoint(address: .loopback, port: 6060))
        #expect(rig.one().status == 403)
    }

    @Test func malformedIs400() {
        let rig = ServerRig()
        rig.receive(rig.register("alice", [("Expires", "long")]))
        #expect(rig.one().status == 400)
        var request = rig.register("alice")
        request.set("Call-ID", nil)
        rig.receive(request)
        #expect(rig.one().startLine == "SIP/2.0 400 Missing Call-ID")
    }

    @Test func theAnswerWaitsForTheStore() {
        let rig = ServerRig()
        rig.commits = false
        rig.receive(rig.register("alice"))
        #expect(rig.taken().isEmpty)
        rig.commit()
        #expect(rig.one().status == 200)
    }

    @Test func aFailedCommitIsUndoneAndAnswered500() {
        let rig = ServerRig()
        rig.receive(rig.register("bob", expires: 0))
        #expect(rig.one().status == 200)
        rig.commits = false
        rig.receive(rig.register("bob"))
        rig.commit(succeeded: false)
        #expect(rig.one().status == 500)
        // Still unreachable: what comes is kept.
        rig.commits = true
        rig.receive(rig.message(to: "bob", "hi"))
        #expect(rig.one().status == 202)
    }

    @Test func whatALaterOneHasOvertakenChangesNothing() {
        let rig = ServerRig()
        for (sequence, expires) in [(4, 3600), (6, 0), (5, 3600)] {
            var request = rig.register("bob", expires: expires)
            request.set("Call-ID", "notices")
            request.set("CSeq", "\(sequence) REGISTER")
            rig.receive(request)
            #expect(rig.one().status == 200)
        }
        // Still unreachable: what comes is kept.
        rig.receive(rig.message(to: "bob", "hi"))
        #expect(rig.one().status == 202)
    }

    @Test func whatIsSaidOfChargingIsKept() {
        let rig = ServerRig()
        rig.receive(
            rig.register(
                "bob", expires: 100,
                [
                    ("P-Charging-Vector", "icid-value=\"ident-7\";orig-ioi=\"Type 3home1.test\""),
                    ("P-Charging-Function-Addresses", "ccf=192.0.2.9;ecf=192.0.2.10"),
                ]))
        func kept(_ rig: ServerRig) -> String { rig.records.values.flatMap(\.values).map { String(decoding: $0, as: UTF8.self) }.joined() }
        for text in ["ident-7", "Type 3home1.test", "ccf=192.0.2.9;ecf=192.0.2.10"] { #expect(kept(rig).contains(text)) }
        #expect(!kept(rig).contains("icid-value"))
        // A deregistration says nothing of it; what was known stays with the user.
        rig.receive(rig.register("bob", expires: 0))
        #expect(kept(rig).contains("ident-7"))
    }

    @Test func aRegistrationEndsAfterItsIntervalAndTheGrace() {
        let rig = ServerRig()
        rig.receive(rig.register("bob", expires: 100))
        _ = rig.taken()
        rig.advance(.seconds(131))
        rig.receive(rig.message(to: "bob", "on"))
        #expect(rig.one().method == "MESSAGE")
        rig.advance(.seconds(2))
        rig.receive(rig.message(to: "bob", "off"))
        #expect(rig.taken().contains { $0.status == 202 })
    }

    @Test func reachabilityOutlivesTheProcess() {
        let rig = ServerRig()
        rig.receive(rig.register("bob", expires: 0))
        let again = rig.restarted()
        again.receive(again.message(to: "bob", "hi"))
        #expect(again.one().status == 202)
    }

    @Test func aFailedDeregistrationDropsNoSettings() {
        let rig = ServerRig { $0.dropsSettingsOnDeregistration = true }
        rig.receive(rig.publish(body: settingsDocument("d", "")))
        rig.commits = false
        rig.receive(rig.register("alice", expires: 0))
        rig.commit(succeeded: false)
        #expect(rig.settings(of: "sip:alice@home1.test")?.publications.count == 1)
    }

    @Test func settingsAreDroppedWithTheRegistrationIfAsked() {
        for drops in [false, true] {
            let rig = ServerRig { $0.dropsSettingsOnDeregistration = drops }
            rig.receive(rig.publish(body: settingsDocument("d", "")))
            rig.receive(rig.register("alice", expires: 0))
            #expect(rig.settings(of: "sip:alice@home1.test")?.publications.count == (drops ? 0 : 1))
        }
    }

    @Test func theFeatureTagOfTheShownContactDecidesIfAsked() {
        for (contact, delivered) in [("<sip:bob@192.0.2.1>;+g.oma.sip-im", 1), ("<sip:bob@192.0.2.1>;+g.oma.sip-im.large-message", 0)] {
            let rig = ServerRig { $0.requiresFeatureTagForDelivery = true }
            rig.receive(rig.message(to: "bob", "hi", registered: false))
            _ = rig.taken()
            let shown = "REGISTER sip:home1.test SIP/2.0\r\nContact: \(contact)\r\nContent-Length: 0\r\n\r\n"
            let body = "--b\r\nContent-Type: message/sip\r\n\r\n\(shown)\r\n--b--\r\n"
            rig.receive(rig.register("bob", [("Content-Type", "multipart/mixed;boundary=\"b\"")], body: body))
            #expect(rig.taken().filter { $0.method == "MESSAGE" && $0.isRequest }.count == delivered)
        }
    }

    @Test func aMessageToAnotherIdentityOfTheSetIsDeliveredToo() {
        let rig = ServerRig()
        rig.receive(
            rig.request(
                "MESSAGE", "tel:+15550100",
                [
                    ("Route", "<sip:127.0.0.1:5080;lr>, <sip:odi@127.0.0.1:5060;lr>"), ("P-Asserted-Identity", "<sip:alice@home1.test>"),
                    ("P-Served-User", "<tel:+15550100>;sescase=term;regstate=unreg"),
                ], body: "hi"))
        #expect(rig.one().status == 202)
        let shown = "SIP/2.0 200 OK\r\nP-Associated-URI: <sip:bob@home1.test>, <tel:+15550100>\r\nContent-Length: 0\r\n\r\n"
        rig.receive(rig.register("bob", [("Content-Type", "message/sip")], body: shown))
        #expect(rig.taken().contains { $0.startLine == "MESSAGE tel:+15550100 SIP/2.0" })
    }
}
