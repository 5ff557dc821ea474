// The messages of each mode, against a proxy and registrar that the test plays step by step.

import SIPMessage
import SansIO
import Testing

@testable import LoadGenerator

@Suite struct FlowTests {
    // MARK: Registration

    @Test func aFirstRegistration() throws {
        var rig = try Rig(.register)
        let sent = rig.sent()
        #expect(sent.count == 1 && sent[0].station == .user && sent[0].destination == Rig.core)
        let request = sent[0].text
        #expect(request.startLine == "REGISTER sip:home1.test SIP/2.0")
        #expect(request["To"] == "<sip:u0000@home1.test>" && request["From"].hasPrefix("<sip:u0000@home1.test>;tag="))
        #expect(request["Contact"] == "<sip:u0000@127.0.0.1:15061>;+g.oma.sip-im" && request["CSeq"] == "1 REGISTER")
        #expect(request["Via"].hasPrefix("SIP/2.0/UDP 127.0.0.1:15060;rport;branch=z9hG4bK"))
        rig.advance(3)
        rig.deliver(request.answer(200, "Contact: <sip:u0000@127.0.0.1:15061>;expires=3600"), to: .user)
        rig.advance(0)
        #expect(rig.generator.isFinished && rig.generator.tally.completed == 1 && rig.generator.tally.failed == 0)
        #expect(rig.generator.tally[.register].latency.maximum == .milliseconds(3))
        #expect(rig.generator.tally.elapsed == .milliseconds(3))
    }

    @Test func refreshesKeepTheCallIDAndRaiseCSeq() throws {
        var rig = try Rig(.reregister) {
            $0.userCount = 2
            $0.extent = .count(5)
        }
        var seen: [String: [String]] = [:]
        for _ in 0..<5 {
            let request = try #require(rig.sent().first).text
            seen[request["To"], default: []].append(request["Call-ID"] + " " + request["CSeq"])
            rig.deliver(request.answer(200, "Contact: <sip:x@127.0.0.1:15061>;expires=3600"), to: .user)
            rig.advance(0)
        }
        #expect(rig.generator.isFinished && rig.generator.tally.completed == 5)
        for (_, values) in seen {
            let words = values.map { $0.split(separator: " ") }
            #expect(Set(words.map { $0[0] }).count == 1)
            #expect(words.map { String($0[1]) } == (1...words.count).map(String.init))
        }
    }

    @Test(arguments: [LoadMode.registerAuth, .register, .reregister])
    func aChallengeIsAnswered(mode: LoadMode) throws {
        var rig = try Rig(mode)
        let first = try #require(rig.sent().first).text
        #expect(first["Authorization"] == "")
        let challenge = #"WWW-Authenticate: Digest realm="home1.test", nonce="abc", algorithm=MD5, qop="auth""#
        rig.deliver(first.answer(401, challenge), to: .user)
        let second = try #require(rig.sent().first).text
        let credentials = second["Authorization"]
        #expect(credentials.hasPrefix(#"Digest username="u0000@home1.test", realm="home1.test", nonce="abc", uri="sip:home1.test""#))
        #expect(credentials.contains("qop=auth, nc=00000001, cnonce="))
        #expect(second["CSeq"] == "2 REGISTER" && second["Call-ID"] == first["Call-ID"] && second["Via"] != first["Via"])
        rig.deliver(second.answer(200, "Contact: <sip:x@127.0.0.1:15061>;expires=3600"), to: .user)
        rig.advance(0)
        #expect(rig.generator.tally.completed == 1)
    }

    @Test func aRegistrationThatIsNotChallengedIsNotTheOneAwaited() throws {
        var rig = try Rig(.registerAuth)
        let request = try #require(rig.sent().first).text
        rig.deliver(request.answer(200, "Contact: <sip:x@127.0.0.1:15061>"), to: .user)
        rig.advance(0)
        #expect(rig.generator.tally.failures == [.unexpectedStatus: 1] && rig.generator.tally.statuses == [200: 1])
    }

    @Test func credentialsThatAreRefusedFail() throws {
        var rig = try Rig(.registerAuth)
        let challenge = #"WWW-Authenticate: Digest realm="home1.test", nonce="abc""#
        for _ in 0..<2 { rig.deliver(try #require(rig.sent().first).text.answer(401, challenge), to: .user) }
        rig.advance(0)
        #expect(rig.generator.isFinished && rig.generator.tally.statuses == [401: 1])
    }

    @Test(arguments: [false, true])
    func aThirdPartyRegistrationIsSeenBeforeOrAfterTheAnswer(isFirst: Bool) throws {
        var rig = try Rig(.thirdPartyRegister)
        let request = try #require(rig.sent().first).text
        let thirdParty = Text(
            "REGISTER sip:127.0.0.1:15080 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKtp\r\nFrom: <sip:scscf.test>;tag=1\r\n"
                + "To: \(request["To"])\r\nCall-ID: other\r\nCSeq: 1 REGISTER\r\nContact: <sip:scscf.test>\r\nContent-Length: 0\r\n\r\n")
        let answer = request.answer(200, "Contact: <sip:x@127.0.0.1:15061>;expires=3600")
        if isFirst { rig.deliver(thirdParty, to: .server) } else { rig.deliver(answer, to: .user) }
        rig.advance(2)
        #expect(rig.generator.isFinished == false)
        if isFirst { rig.deliver(answer, to: .user) } else { rig.deliver(thirdParty, to: .server) }
        rig.advance(0)
        #expect(rig.generator.isFinished && rig.generator.tally.completed == 1)
        let replies = rig.sent().filter { $0.station == .server }
        #expect(replies.count == 1 && replies[0].text.status == 200 && replies[0].destination == Rig.core)
    }

    @Test func aThirdPartyRegistrationThatDoesNotComeIsMissed() throws {
        var rig = try Rig(.thirdPartyRegister)
        rig.deliver(try #require(rig.sent().first).text.answer(200, "Contact: <sip:x@127.0.0.1:15061>"), to: .user)
        for _ in 0..<32 { rig.advance(1000) }
        #expect(rig.generator.isFinished && rig.generator.tally.failures == [.missingAtServer: 1])
        #expect(rig.sent().isEmpty)
    }

    // MARK: Through the proxy

    @Test func aPublicationGoesToTheServerAndBack() throws {
        var rig = try Rig(.publish)
        let request = try #require(rig.sent().first).text
        #expect(request.startLine == "PUBLISH sip:u0000@home1.test SIP/2.0" && request["Accept-Contact"] == "*;+g.oma.sip-im")
        rig.deliver(Rig.forwarded(request), to: .server)
        let answer = try #require(rig.sent().first)
        #expect(answer.station == .server && answer.text.status == 200 && answer.text["SIP-ETag"] != "")
        rig.deliver(Rig.returned(answer.text), to: .user)
        rig.advance(0)
        #expect(rig.generator.tally.completed == 1 && rig.generator.isFinished)
    }

    @Test(arguments: [LoadMode.publish, .message])
    func anAnswerToWhatNobodyWasAskedIsNoSuccess(mode: LoadMode) throws {
        var rig = try Rig(mode)
        rig.deliver(try #require(rig.sent().first).text.answer(200, "SIP-ETag: x"), to: .user)
        rig.advance(0)
        #expect(rig.generator.isFinished == true)
        #expect(rig.generator.tally.failures == [mode == .publish ? .missingAtServer : .missingAtCalled: 1])
    }

    @Test func aMessageGoesToTheNextUser() throws {
        var rig = try Rig(.message)
        let request = try #require(rig.sent().first).text
        #expect(request.startLine == "MESSAGE sip:u0001@home1.test SIP/2.0" && request["From"].hasPrefix("<sip:u0000@home1.test>"))
        rig.deliver(Rig.forwarded(request), to: .called)
        rig.deliver(Rig.forwarded(request), to: .called)
        let answers = rig.sent()
        #expect(answers.count == 2 && answers[0].text == answers[1].text && answers[0].text.status == 200)
        rig.deliver(Rig.returned(answers[0].text), to: .user)
        rig.advance(0)
        #expect(rig.generator.tally.completed == 1 && rig.generator.tally.duplicates == 1)
    }

    @Test func aCall() throws {
        var rig = try Rig(.call)
        let invite = try #require(rig.sent().first).text
        #expect(invite.startLine == "INVITE sip:u0001@home1.test SIP/2.0" && invite["Content-Type"] == "application/sdp")
        rig.deliver(Rig.forwarded(invite), to: .called)
        let answers = rig.sent().map(\.text)
        #expect(answers.map(\.status) == [180, 200])
        #expect(answers.allSatisfy { $0["Record-Route"] == "<sip:127.0.0.1:5060;lr>" })
        for answer in answers { rig.deliver(Rig.returned(answer), to: .user) }
        let requests = rig.sent()
        #expect(requests.map(\.text.method) == ["ACK", "BYE"])
        for request in requests {
            #expect(request.destination == Rig.core && request.text["Route"] == "<sip:127.0.0.1:5060;lr>")
            #expect(request.text.startLine.contains(" sip:u0001@127.0.0.1:15061 ") && request.text["To"] == answers[1]["To"])
        }
        #expect(requests[0].text["CSeq"] == "1 ACK" && requests[1].text["CSeq"] == "2 BYE")
        for request in requests { rig.deliver(request.text, to: .called) }
        let bye = try #require(rig.sent().last).text
        #expect(bye.status == 200)
        rig.deliver(bye, to: .user)
        rig.advance(0)
        #expect(rig.generator.isFinished && rig.generator.tally.completed == 1 && rig.generator.tally.retransmissions == 0)
    }

    @Test func theRouteSetIsTheRecordReversed() throws {
        var rig = try Rig(.call)
        let invite = try #require(rig.sent().first).text
        let record = "Record-Route: <sip:127.0.0.1:7001;lr>, <sip:127.0.0.1:7002;lr>\r\nRecord-Route: <sip:127.0.0.1:7003;lr>"
        rig.deliver(Text(Rig.forwarded(invite).description.replacing("Record-Route: <sip:127.0.0.1:5060;lr>", with: record)), to: .called)
        rig.deliver(Rig.returned(rig.sent()[1].text), to: .user)
        let acknowledgement = try #require(rig.sent().first)
        #expect(acknowledgement.text.values("Route") == ["<sip:127.0.0.1:7003;lr>", "<sip:127.0.0.1:7002;lr>", "<sip:127.0.0.1:7001;lr>"])
        #expect(acknowledgement.destination.port == 7003)
    }

    @Test func aRefusedCallIsAcknowledgedWithinItsTransaction() throws {
        var rig = try Rig(.call)
        let invite = try #require(rig.sent().first).text
        rig.deliver(invite.answer(486), to: .user)
        let acknowledgement = try #require(rig.sent().first).text
        #expect(acknowledgement.method == "ACK" && acknowledgement["Via"] == invite["Via"] && acknowledgement["CSeq"] == "1 ACK")
        rig.advance(0)
        #expect(rig.generator.tally.statuses == [486: 1])
    }

    // MARK: Answers that are none

    @Test func strayAndMalformedMessages() throws {
        var rig = try Rig(.options)
        let request = try #require(rig.sent().first).text
        rig.deliver(request.answer(200).replacing("z9hG4bK", with: "z9hG4bK0"), to: .user)
        rig.deliver(request.answer(200).replacing("1 OPTIONS", with: "2 OPTIONS"), to: .user)
        rig.deliver(request.answer(200), to: .server)
        rig.deliver(Text("garbage"), to: .user)
        #expect(rig.generator.tally.strays == 4 && !rig.generator.isFinished)
        rig.deliver(request.answer(200).replacing("Call-ID", with: "Coil-ID"), to: .user)
        rig.advance(0)
        #expect(rig.generator.isFinished && rig.generator.tally.failures == [.malformed: 1])
    }

    @Test func whatA200MustSay() throws {
        var rig = try Rig(.register)
        rig.deliver(try #require(rig.sent().first).text.answer(200), to: .user)
        rig.advance(0)
        #expect(rig.generator.tally.failures == [.malformed: 1])
    }
}

@Suite struct ExchangeTokenTests {
    @Test func aTokenIsReadAsItWasWritten() {
        let prefix = Array("z9hG4bK".utf8)
        var random = RandomSource(seed: 5)
        for _ in 0..<1000 {
            let id = SlotID(rawValue: random.next() >> (random.next() % 64))
            var octets = OctetBuffer()
            octets.append(prefix)
            ExchangeToken.append(id, to: &octets)
            octets.append("3")
            let token = ExchangeToken.read(octets.bytes, behind: prefix)
            #expect(token?.id == id && token?.rest.count == 1)
        }
        for text in ["", "z9hG4bK", "z9hG4bK000000000000000", "z9hG4bK000000000000000g", "y9hG4bK0000000000000000"] {
            let octets = Array(text.utf8)
            let token = ExchangeToken.read(octets.span.bytes, behind: prefix)
            #expect(token == nil)
        }
    }
}
