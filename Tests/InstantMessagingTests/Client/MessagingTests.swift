import InstantMessaging
import SansIO
import Testing

/// Messages out and in at the client, by RFC 3428.
@Suite struct MessagingTests {
    @Test func aMessageIsBuiltForTheService() {
        let rig = ClientRig()
        rig.register()
        rig.perform("message sip:bob@home1.test \"see you at \\\"nine\\\"\\n\"")
        let request = rig.one()
        #expect(request.startLine == "MESSAGE sip:bob@home1.test SIP/2.0")
        #expect(request["To"] == "<sip:bob@home1.test>")
        #expect(request["Accept-Contact"] == "*;+g.oma.sip-im")
        #expect(request["P-Preferred-Identity"] == "<sip:alice@home1.test>")
        #expect(request["Route"] == "<sip:orig@127.0.0.1:5060;lr>")
        #expect(request["Content-Type"] == "text/plain;charset=UTF-8")
        #expect(request["Date"] == "Tue, 14 Nov 2023 22:13:20 GMT")
        #expect(request["Contact"] == nil)
        #expect(request.body == "see you at \"nine\"\n")
    }

    @Test(arguments: [
        (200, ClientEvent.Kind.messageDelivered(to: "sip:bob@home1.test", status: 200), CommandOutcome.succeeded),
        (202, .messageDeferred(to: "sip:bob@home1.test", status: 202), .succeeded),
        (480, .messageRefused(to: "sip:bob@home1.test", status: 480, reason: "Answer"), .failed),
        (302, .messageRefused(to: "sip:bob@home1.test", status: 302, reason: "Answer"), .failed),
    ])
    func theFinalResponseTells(status: Int, event: ClientEvent.Kind, outcome: CommandOutcome) {
        let rig = ClientRig()
        rig.register()
        rig.perform("message bob hi there")
        let request = rig.one()
        #expect(request.body == "hi there")
        rig.receive(request.response(100, "Trying"))
        #expect(rig.events().isEmpty)
        rig.receive(request.response(status))
        #expect(rig.events() == [event])
        #expect(rig.outcomes() == [outcome])
        rig.receive(request.response(status))
        #expect(rig.events().isEmpty)
    }

    @Test func silenceIsARefusal() {
        let rig = ClientRig()
        rig.register()
        rig.perform("message bob hi")
        rig.advance(.seconds(33))
        #expect(rig.events() == [.messageRefused(to: "sip:bob@home1.test", status: 408, reason: "no answer from 127.0.0.1:5060")])
    }

    @Test func aLongMessageIsNotSent() {
        let rig = ClientRig()
        rig.register()
        rig.perform("message bob " + String(repeating: "x", count: 1300))
        #expect(rig.taken().isEmpty)
        #expect(rig.outcomes() == [.failed])
        guard case .error(let text) = rig.events().first else { return #expect(Bool(false), "no error event") }
        #expect(text.contains("of 1300"))
        rig.perform("message bob short")
        #expect(rig.one().method == "MESSAGE")
    }

    @Test func whatIsNoRecipientIsAnError() {
        let rig = ClientRig()
        rig.register()
        rig.perform("message http://example.test hi")
        #expect(rig.taken().isEmpty)
        #expect(rig.outcomes() == [.failed])
    }

    // MARK: In

    @Test func aMessageIsShownAndAnswered() {
        let rig = ClientRig()
        rig.receive(
            rig.request(
                "MESSAGE", [("Content-Type", "text/plain;charset=UTF-8"), ("Date", "Sun, 22 Nov 2026 08:05:00 GMT")], body: "grüße"))
        let answer = rig.one()
        #expect(answer.status == 200)
        #expect(answer["Contact"] == nil)
        #expect(answer.body.isEmpty)
        let line = rig.client.events.first?.jsonLine
        #expect(
            line == """
                {"event":"message_received","time":"2023-11-14T22:13:20.000000Z","from":"sip:bob@home1.test","body":"grüße",\
                "date":"2026-11-22T08:05:00.000000Z"}
                """)
    }

    @Test func theAssertedSenderIsNamed() {
        let rig = ClientRig()
        rig.receive(
            rig.request(
                "MESSAGE", [("P-Asserted-Identity", "\"B\" <sip:robert@home1.test>, <tel:+1>"), ("Content-Type", "text/plain")], body: "x"))
        #expect(rig.events() == [.messageReceived(from: "sip:robert@home1.test", body: "x", date: rig.now.wall)])
    }

    @Test func aRepeatByAnotherTransactionIsShownOnce() {
        let rig = ClientRig()
        var request = rig.request("MESSAGE", [("Content-Type", "text/plain")], body: "x")
        rig.receive(request)
        request.set("Via", "SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKother")
        rig.receive(request)
        #expect(rig.taken().map(\.status) == [200, 200])
        #expect(rig.events().count == 1)
        request.set("Via", "SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKnext")
        request.set("CSeq", "2 MESSAGE")
        rig.receive(request)
        #expect(rig.events().count == 1)
    }

    @Test func theTextWithinCPIMIsShown() {
        let rig = ClientRig()
        let body = "From: <sip:bob@home1.test>\r\nimdn.Message-ID: 1\r\n\r\nContent-Type: text/plain\r\n\r\nhello"
        rig.receive(rig.request("MESSAGE", [("Content-Type", "message/cpim")], body: body))
        #expect(rig.events() == [.messageReceived(from: "sip:bob@home1.test", body: "hello", date: rig.now.wall)])
    }

    @Test func whatCannotBeShownIs415() {
        for headers in [[("Content-Type", "image/png")], [("Content-Type", "text/plain"), ("Content-Encoding", "gzip")]] {
            let rig = ClientRig()
            rig.receive(rig.request("MESSAGE", headers, body: "x"))
            let answer = rig.one()
            #expect(answer.status == 415)
            #expect(answer["Accept"] == "text/plain, message/cpim")
            #expect(rig.events().isEmpty)
        }
    }

    @Test(arguments: [
        ("OPTIONS", 200), ("INVITE", 488), ("NOTIFY", 481), ("BYE", 481), ("INFO", 405), ("PUBLISH", 405), ("FROB", 501), ("CANCEL", 481),
    ])
    func otherRequests(method: String, status: Int) {
        let rig = ClientRig()
        rig.receive(rig.request(method))
        let answer = rig.one()
        #expect(answer.status == status)
        if status == 200 || status == 405 || status == 501 { #expect(answer["Allow"]?.hasPrefix("MESSAGE") == true) }
    }

    @Test func unknownExtensionsAre420() {
        let rig = ClientRig()
        rig.receive(rig.request("MESSAGE", [("Require", "magic")], body: "x"))
        let answer = rig.one()
        #expect(answer.status == 420)
        #expect(answer["Unsupported"] == "magic")
    }
}
