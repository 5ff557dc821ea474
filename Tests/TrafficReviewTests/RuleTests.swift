// Each rule is shown by a trace that breaks it, and by the nearest one that does not.

import SIPMessage
import SIPTrace
import SansIO
import Testing
import TortureMessages

@testable import TrafficReview

@Suite struct RuleTests {
    static let cases =
        RuleCase.messages + RuleCase.answers + RuleCase.transactions + RuleCase.calls + RuleCase.registrations + RuleCase.digests
        + RuleCase.settings + RuleCase.publications + RuleCase.servers

    @Test(arguments: cases)
    func `what breaks a rule is found`(_ rule: RuleCase) {
        var trace = Trace()
        rule.broken(&trace)
        #expect(trace.found == rule.also.union([rule.rule]), "\(trace.review.findings)")
    }

    @Test(arguments: cases)
    func `what does not break it has no finding at all`(_ rule: RuleCase) {
        var trace = Trace()
        rule.sound(&trace)
        #expect(trace.review.findings == [])
    }

    @Test func `every rule has a case`() {
        let shown = Set(Self.cases.map(\.rule))
        #expect(Set(Rules.all.map(\.id)).subtracting(shown) == [])
    }

    @Test func `rules are told apart by their identifiers`() {
        #expect(Rules.all.count >= 45)
        #expect(Set(Rules.all.map(\.id)).count == Rules.all.count)
        for rule in Rules.all {
            #expect(rule.id.wholeMatch(of: /[a-z0-9]+(-[a-z0-9]+)*/) != nil)
            #expect(rule.clause.prefixMatch(of: /(RFC \d+|TS \d+\.\d+|OMA IM 1\.0) ./) != nil, "\(rule.id): \(rule.clause)")
        }
    }
}

@Suite struct ReviewTests {
    @Test func `a finding says who, what, where and what would be right`() throws {
        var trace = Trace()
        trace.exchange(.imRegister, .registered)
        trace.receive(Draft.publish.without("Accept-Contact"))
        let finding = try #require(trace.review.findings.first)
        #expect(
            finding
                == Finding(
                    sequences: [3], rule: "settings-accept-contact", severity: .error, node: "sip:alice@home1.test",
                    clause: "OMA IM 1.0 5.3 step 4", text: "PUBLISH: no Accept-Contact", advice: "write Accept-Contact: *;+g.oma.sip-im"))
    }

    @Test func `a server is called by its name, and a user's answer by who registered there`() {
        var trace = Trace()
        trace.send(toServer: .thirdParty)
        trace.receive(fromServer: .thirdParty.answer(200))
        trace.exchange(.register, Draft.register.answer(200))
        trace.send(.toAlice)
        trace.receive(Draft.toAlice.answer(405))
        #expect(trace.review.findings.map(\.node) == ["im", "sip:alice@home1.test"])
    }

    @Test func `what the core sends is not judged`() {
        var trace = Trace()
        trace.send(Draft.toAlice.without("Max-Forwards").with("From", "<sip:a@b>"))
        trace.exchange(.options, Draft.options.answer(200).with("To", "<sip:home1.test>"))
        #expect(trace.review.findings == [])
    }

    @Test func `a copy is not judged again`() {
        var trace = Trace()
        trace.receive(Draft.options.without("Max-Forwards"))
        trace.wait(milliseconds: 500)
        trace.receive(Draft.options.without("Max-Forwards"))
        #expect(trace.review.findings.count == 1)
    }

    @Test func `what a server passes on is the sender's`() {
        var trace = Trace()
        let message = Draft.toServer.adding("Contact", "<sip:alice@127.0.0.1>")
        trace.receive(Draft.message.adding("Contact", "<sip:alice@127.0.0.1>"))
        trace.send(toServer: message.adding("Via", "SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKcore", onTop: true))
        trace.receive(
            fromServer: message.adding("Via", "SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKcore", onTop: true)
                .relayed(route: ["<sip:odi_1@127.0.0.1:5060;lr>"]))
        #expect(trace.review.findings.map(\.sequences) == [[1]])
    }

    @Test func `line ends that keep a flow alive are no message`() {
        var trace = Trace()
        trace.add(Array("\r\n\r\n".utf8), isIncoming: true)
        trace.add([], isIncoming: true)
        #expect(trace.review.findings == [])
    }

    // MARK: Fault rules

    @Test(arguments: TraceMark.allCases.dropFirst())
    func `what a fault rule did is nobody's fault`(mark: TraceMark) {
        var trace = Trace()
        trace.receive(Draft.publish.without("Accept-Contact"), mark)
        trace.send(Draft.publish.answer(404), mark)
        trace.send(.toAlice)
        trace.receive(.toAlice.answer(405).with("To", "<sip:alice@home1.test>"), mark)
        trace.wait(milliseconds: 60_000)
        #expect(trace.review.findings == [])
    }

    @Test func `what was lost on purpose is judged when it comes again, and its answer is no silence`() {
        var trace = Trace()
        trace.receive(Draft.options.without("Max-Forwards"), .dropped)
        trace.wait(milliseconds: 500)
        trace.receive(Draft.options.without("Max-Forwards"))
        #expect(trace.found == ["max-forwards-missing"])
        trace.send(.toAlice, .dropped)
        trace.send(.toAlice, .delayed)
        trace.receive(.toAlice.answer(200), .dropped)
        trace.wait(milliseconds: 60_000)
        #expect(trace.found == ["max-forwards-missing"])
    }

    // MARK: Hostile input

    @Test(arguments: TortureMessage.all.map(\.name))
    func `torture messages are read, cut anywhere`(name: String) throws {
        let octets = try #require(TortureMessage.all.first { $0.name == name }).octets
        for isIncoming in [true, false] {
            var trace = Trace()
            trace.add(octets, isIncoming: isIncoming)
            for end in stride(from: 0, to: octets.count, by: 7) { trace.add(Array(octets.prefix(end)), isIncoming: isIncoming) }
            trace.wait(milliseconds: 60_000)
            #expect(!isIncoming || !trace.review.findings.isEmpty)
        }
    }

    @Test(arguments: 0..<8)
    func `octets that are changed at random are read`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let drafts: [Draft] = [.publish, .imRegister, .registered, .back, .inviteToAlice, .thirdParty, .subscribe, .toAlice.answer(200)]
        var trace = Trace()
        for _ in 0..<400 {
            var octets = drafts[Int(random.next() % UInt64(drafts.count))].octets
            for _ in 0..<(random.next() % 12) {
                let place = Int(random.next() % UInt64(octets.count))
                octets[place] = UInt8(truncatingIfNeeded: random.next())
            }
            trace.add(octets, isIncoming: random.next() % 2 == 0, peer: random.next() % 3 == 0 ? "im" : nil)
        }
        trace.wait(milliseconds: 60_000)
        #expect(trace.review.count == 400)
        #expect(!trace.review.findings.isEmpty)
    }
}

private struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
