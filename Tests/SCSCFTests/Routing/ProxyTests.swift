import SCSCF
import SansIO
import SIPTransaction
import Testing

/// What the core does as any proxy does (RFC 3261 §16, RFC 4320).
@Suite(.overShards) struct ProxyTests {
    private let toBob = "sip:bob@home1.test"

    @Test func optionsToTheCoreAreAnsweredWhoeverAsks() {
        let rig = CoreRig()
        for uri in ["sip:home1.test", "sip:127.0.0.1:5060", "sip:127.0.0.1"] {
            rig.receive(rig.request("OPTIONS", uri, from: .stranger).with("Max-Forwards", "0"), from: .stranger)
            let answer = rig.next(to: .stranger)
            #expect(answer.status == 200)
            #expect(answer["Allow"]?.contains("REGISTER") == true)
            #expect(answer.has("Accept"))
            #expect(answer.has("Supported"))
        }
    }

    @Test func tooManyHops() {
        let rig = CoreRig().registered(.alice, .bob)
        rig.receive(rig.request("MESSAGE", toBob, from: .alice).with("Max-Forwards", "0"), from: .alice)
        #expect(rig.trace() == ["alice 483 MESSAGE"])
        rig.receive(rig.request("MESSAGE", toBob, from: .alice).with("Max-Forwards", nil), from: .alice)
        #expect(rig.next(to: .bob)["Max-Forwards"] == "70")
    }

    @Test(arguments: [(nil, "60"), ("7", "7"), ("100", "60"), ("x", "60")])
    func theBreadthOfARequestIsBounded(_ given: String?, _ sent: String) {
        let rig = CoreRig().registered(.alice, .bob)
        rig.receive(rig.request("MESSAGE", toBob, from: .alice).with("Max-Breadth", given), from: .alice)
        #expect(rig.next(to: .bob).all("Max-Breadth") == [sent])
    }

    @Test func aRequestThatMayNotBeSentOnAnyMore() {
        let rig = CoreRig().registered(.alice, .bob)
        rig.send("MESSAGE", toBob, from: .alice, [("Max-Breadth", "0")])
        #expect(rig.trace() == ["alice 440 MESSAGE"])
        rig.send("OPTIONS", "sip:home1.test", from: .alice, [("Max-Breadth", "0")])
        #expect(rig.trace() == ["alice 200 OPTIONS"])
    }

    /// RFC 3261 §16.4: port, transport and maddr of a Request-URI that has come to where it leads are taken off.
    @Test func aMaddrThatLeadsHere() {
        let rig = CoreRig().registered(.alice, .bob)
        rig.send("MESSAGE", "sip:bob@home1.test;maddr=127.0.0.1", from: .alice, body: "hello")
        #expect(rig.next(to: .bob).body == "hello")
        rig.send("MESSAGE", "sip:dora@home2.test:5060;maddr=127.0.0.1;transport=udp;x=1", from: .alice)
        #expect(rig.next(to: .home2).uri == "sip:dora@home2.test;x=1")
        rig.send("MESSAGE", "sip:dora@home2.test;maddr=127.0.0.1;transport=tcp", from: .alice)
        #expect(rig.next(to: .home2).uri == "sip:dora@home2.test;maddr=127.0.0.1;transport=tcp")
    }

    @Test func anUnknownScheme() {
        let rig = CoreRig().registered(.alice)
        rig.send("MESSAGE", "mailto:bob@home1.test", from: .alice)
        #expect(rig.trace() == ["alice 416 MESSAGE"])
    }

    @Test func whatTheProxyIsToSupport() {
        let rig = CoreRig().registered(.alice, .bob)
        rig.send("MESSAGE", toBob, from: .alice, [("Proxy-Require", "teleport, warp")])
        let answer = rig.next(to: .alice)
        #expect(answer.status == 420)
        #expect(answer["Unsupported"] == "teleport, warp")
        // Require is the recipient's business.
        rig.send("MESSAGE", toBob, from: .alice, [("Require", "teleport")])
        #expect(rig.next(to: .bob)["Require"] == "teleport")
    }

    @Test(arguments: [("CSeq", "1 INVITE", "CSeq"), ("From", "<sip:a@b", "From"), ("Call-ID", "", "Call-ID"), ("To", nil, "To")])
    func aMalformedMessageIsAnsweredWithTheHeaderAtFault(_ name: String, _ value: String?, _ named: String) {
        let rig = CoreRig().registered(.alice, .bob)
        rig.receive(rig.request("MESSAGE", toBob, from: .alice).with(name, value), from: .alice)
        let answer = rig.next(to: .alice)
        #expect(answer.status == 400)
        #expect(answer.startLine.contains(named))
        #expect(rig.dropped(.malformed) == 1)
    }

    @Test func whatCannotBeAnsweredIsCounted() {
        let rig = CoreRig()
        rig.receive("\r\n\r\n", from: .alice)
        rig.receive("hello\r\n\r\n", from: .alice)
        rig.receive("MESSAGE sip:a@b SIP/2.0\r\n\r\n", from: .alice)
        rig.receive(rig.request("MESSAGE", toBob, from: .alice).response(200), from: .alice)
        #expect(rig.trace() == [])
        #expect(rig.dropped(.keepAlive) == 1)
        #expect(rig.dropped(.malformed) == 2)
        #expect(rig.dropped(.strayResponse) == 1)
    }

    @Test func anUnknownMethodIsRoutedLikeAnyOther() {
        let rig = CoreRig().registered(.alice, .bob)
        rig.send("FROBNICATE", toBob, from: .alice, [("X-Unknown", "kept: as it is")])
        let request = rig.next(to: .bob)
        #expect(request.method == "FROBNICATE")
        #expect(request["X-Unknown"] == "kept: as it is")
        rig.receive(request.response(200), from: .bob)
        #expect(rig.trace() == ["alice 200 FROBNICATE"])
    }

    @Test func retransmissionsAreAbsorbedAndRepeated() {
        let rig = CoreRig().registered(.alice, .bob)
        let request = rig.send("MESSAGE", toBob, from: .alice)
        rig.receive(request, from: .alice)
        let atBob = rig.next(to: .bob)
        #expect(rig.trace() == [])
        rig.advance(.milliseconds(600))
        #expect(rig.trace() == ["bob MESSAGE"])
        rig.receive(atBob.response(200), from: .bob)
        rig.receive(atBob.response(200), from: .bob)
        rig.receive(request, from: .alice)
        #expect(rig.trace() == ["alice 200 MESSAGE", "alice 200 MESSAGE"])
    }

    @Test func silenceToAnotherMethodThanInviteIsPassedOnAsSilence() {
        let rig = CoreRig().registered(.alice, .bob)
        rig.send("MESSAGE", toBob, from: .alice)
        rig.advance(.seconds(40))
        #expect(rig.trace().filter { $0.hasPrefix("alice") } == ["alice 100 MESSAGE"])
        // Timer J after that.
        rig.advance(.seconds(30))
        #expect(TransactionKind.allCases.map { rig.core.transactionCount(of: $0) }.reduce(0, +) == 0)
    }

    @Test func a408ToAnotherMethodIsNotPassedOn() {
        let rig = CoreRig().registered(.alice, .bob)
        let request = rig.send("MESSAGE", toBob, from: .alice)
        rig.receive(rig.next(to: .bob).response(408), from: .bob)
        #expect(rig.trace() == [])
        // Sent again, it is neither answered nor taken for a new one.
        rig.receive(request, from: .alice)
        rig.advance(.seconds(10))
        rig.receive(request, from: .alice)
        #expect(rig.trace() == [])
        rig.advance(.seconds(23))
        #expect(TransactionKind.allCases.map { rig.core.transactionCount(of: $0) }.reduce(0, +) == 0)
    }

    @Test func silenceToAnInviteIsATimeout() {
        let rig = CoreRig().registered(.alice, .bob)
        rig.send("INVITE", toBob, from: .alice)
        rig.advance(.seconds(33))
        #expect(rig.trace().contains("alice 408 INVITE"))
    }

    @Test func aTransportThatFailsIsAnInternalError() throws {
        let rig = CoreRig().registered(.alice, .bob)
        rig.send("MESSAGE", toBob, from: .alice)
        rig.fail(try #require(rig.taken().first))
        #expect(rig.trace() == ["alice 500 MESSAGE"])
    }

    @Test func aRingingPhoneIsNotWaitedForForever() {
        let rig = CoreRig().registered(.alice, .bob)
        rig.send("INVITE", toBob, from: .alice)
        rig.receive(rig.next(to: .bob).response(180), from: .bob)
        _ = rig.taken()
        rig.advance(.seconds(182))
        #expect(rig.trace().contains("bob CANCEL"))
    }

    @Test func tooManyTransactionsAtOnce() {
        // Of several shards each has its part of what is allowed.
        let rig = CoreRig(Division()) { $0.transactionLimit = 2 }
        rig.send("OPTIONS", "sip:home1.test", from: .stranger)
        rig.send("OPTIONS", "sip:home1.test", from: .stranger)
        _ = rig.taken()
        rig.send("OPTIONS", "sip:home1.test", from: .stranger)
        let answer = rig.next(to: .stranger)
        #expect(answer.status == 503)
        #expect(answer.has("Retry-After"))
        #expect(rig.dropped(.overload) == 1)
    }

    @Test func nothingIsLeftBehind() {
        let rig = CoreRig().registered(.alice, .bob)
        for method in ["MESSAGE", "INVITE", "OPTIONS"] {
            rig.send(method, toBob, from: .alice)
            rig.receive(rig.next(to: .bob).response(method == "INVITE" ? 486 : 200), from: .bob)
        }
        rig.advance(.seconds(70))
        #expect(TransactionKind.allCases.map { rig.core.transactionCount(of: $0) }.reduce(0, +) == 0)
    }

    // MARK: Size

    @Test func aLargeRequestGoesByStream() throws {
        let rig = CoreRig().registered(.alice, .bob)
        let body = String(repeating: "x", count: 1400)
        rig.send("MESSAGE", toBob, from: .alice, body: body)
        let sent = try #require(rig.taken().first)
        #expect(sent.flow.transport == .tcp)
        #expect(sent.flow.remote == Peer.bob.flow.remote)
        #expect(sent.message.all("Via").first?.hasPrefix("SIP/2.0/TCP 127.0.0.1:5060;branch=z9hG4bK") == true)
        #expect(sent.message.all("Via").count == 2)
        #expect(sent.message.body == body)
        // The answer comes on the stream.
        rig.receive(sent.message.response(200), from: Peer("bob", toBob, port: 5072, transport: .tcp, connection: 9))
        #expect(rig.trace() == ["alice 200 MESSAGE"])
    }

    @Test func aRefusedStreamIsRememberedForAMinute() throws {
        let rig = CoreRig().registered(.alice, .bob)
        let body = String(repeating: "x", count: 1400)
        rig.send("MESSAGE", toBob, from: .alice, body: body)
        rig.fail(try #require(rig.taken().first))
        let fallback = rig.next(to: .bob)
        #expect(fallback.all("Via").first?.hasPrefix("SIP/2.0/UDP 127.0.0.1:5060;") == true)
        #expect(fallback.body == body)
        rig.receive(fallback.response(200), from: .bob)
        #expect(rig.trace() == ["alice 200 MESSAGE"])
        rig.advance(.seconds(59))
        rig.send("MESSAGE", toBob, from: .alice, body: body)
        #expect(rig.trace().last == "bob MESSAGE")
        rig.advance(.seconds(2))
        _ = rig.taken()
        rig.send("MESSAGE", toBob, from: .alice, body: body)
        #expect(rig.taken().last?.flow.transport == .tcp)
    }

    @Test func theLimitMayBeSwitchedOff() {
        let rig = CoreRig { $0.udpSizeLimit = 0 }.registered(.alice, .bob)
        rig.send("MESSAGE", toBob, from: .alice, body: String(repeating: "x", count: 3000))
        #expect(rig.trace() == ["bob MESSAGE"])
    }
}
