import JSONText
import Testing
import Topology

@testable import Lab

@Suite struct RuleTests {
    private func publish(_ body: String = "") throws -> RecordedMessage {
        try message(
            1, "out", "127.0.0.1:5080", "PUBLISH sip:alice@home1.test SIP/2.0", method: "PUBLISH",
            headers: [("To", "<sip:alice@home1.test>"), ("Expires", "3600")], body: body)
    }

    private func mismatch(_ message: RecordedMessage, _ change: (inout Awaited) -> Void) -> String? {
        var expectation = Awaited(node: "im")
        change(&expectation)
        return expectation.mismatch(with: message)
    }

    @Test(arguments: [
        ("Expires", TextRule.matches("^3[0-9]+$"), nil), ("Expires", .matches("^4"), "Expires is 3600, which does not match ^4"),
        ("Date", .matches("x"), "has no Date"), ("Date", .absent, nil), ("Expires", .absent, "Expires is 3600"),
        ("Expires", .present, nil), ("Date", .present, "has no Date"), ("Expires", .value("3600"), nil),
    ])
    func headersKeepRules(name: String, rule: TextRule, fault: String?) throws {
        let message = try publish()
        #expect(mismatch(message) { $0.headers = [HeaderExpectation(name: name, rule: rule)] } == fault)
    }

    @Test(arguments: [
        (TextRule.matches("nine$"), "see you at nine", nil), (.matches("^nine"), "at nine", "body is at nine, which does not match ^nine"),
        (.absent, "", nil), (.absent, "x", "body is x"), (.present, "", "has no body"), (.value(""), "", nil),
        (.value("x"), "", "has no body"),
    ])
    func textsOfBodiesKeepRules(rule: TextRule, body: String, fault: String?) throws {
        let message = try publish(body)
        #expect(mismatch(message) { $0.body = .text(rule) } == fault)
    }

    private static let xml = """
        <?xml version="1.0"?>
        <p:presence xmlns:p="urn:ietf:params:xml:ns:pidf"><p:tuple id="a"><p:status><p:basic> open </p:basic></p:status></p:tuple>
        <p:tuple id="b"/></p:presence>
        """

    @Test(arguments: [
        ("presence/tuple/status/basic", TextRule.value("open"), nil), ("basic", .value("open"), nil), ("tuple/@id", .value("b"), nil),
        ("tuple/@id", .value("c"), "tuple/@id is a and b"), ("status/tuple", .absent, nil), ("basic", .absent, "basic is open"),
        ("note", .present, "has no note"), ("basic", .matches("^o"), nil),
    ])
    func elementsAndAttributesAreFound(path: String, rule: TextRule, fault: String?) throws {
        let message = try publish(RuleTests.xml)
        #expect(mismatch(message) { $0.body = .xml([PathRule(path: path, rule: rule)]) } == fault)
    }

    @Test(arguments: [
        ("$.a.b[1]", TextRule.value("two"), nil), ("$.n", .value("1"), nil), ("$.t", .value("true"), nil), ("$.a", .matches("one"), nil),
        ("$.a.c", .absent, nil), ("$.a.b[7]", .present, "has no $.a.b[7]"), ("$['a']['b'][0]", .value("three"), "$['a']['b'][0] is one"),
    ])
    func valuesOfJSONAreFound(path: String, rule: TextRule, fault: String?) throws {
        let message = try publish(#"{"a":{"b":["one","two"]},"n":1,"t":true}"#)
        #expect(mismatch(message) { $0.body = .json([PathRule(path: path, rule: rule)]) } == fault)
    }

    @Test func aBodyOfAnotherFormIsToldAsThat() throws {
        let message = try publish("hello")
        #expect(mismatch(message) { $0.body = .xml([PathRule(path: "a", rule: .absent)]) } == "body is no XML")
        #expect(mismatch(message) { $0.body = .json([PathRule(path: "$.a", rule: .absent)]) } == "body is no JSON")
        #expect(mismatch(try publish()) { $0.body = .json([PathRule(path: "$.a", rule: .absent)]) } == "has no body")
    }

    private static let captures: [(Capture, String?)] = [
        (Capture(name: "x", source: .header("To")), "<sip:alice@home1.test>"),
        (Capture(name: "x", source: .header("To"), pattern: "sip:([^@]+)@"), "alice"),
        (Capture(name: "x", source: .header("To"), pattern: "al.ce"), "alice"),
        (Capture(name: "x", source: .header("To"), pattern: "nobody"), nil), (Capture(name: "x", source: .header("Date")), nil),
        (Capture(name: "x", source: .body, pattern: "basic> ([a-z]+)"), "open"),
        (Capture(name: "x", source: .xml(path: "tuple/@id")), "a"), (Capture(name: "x", source: .json(path: "$.a")), nil),
    ]

    @Test(arguments: captures) func capturesTakeWhatIsThere(capture: Capture, value: String?) throws {
        let message = try publish(RuleTests.xml)
        #expect(capture.value(headers: { message.values(of: $0) }, body: message.body) == value)
    }

    @Test func whatIsFilledInStandsForItself() throws {
        var values = StepValues(PlaceholderValues(udp: "127.0.0.1:5060", tcp: nil, http: nil))
        values.set("id", to: #"a.b+"c""#)
        #expect(try values.fill("${core.udp} ${var.id}") == #"127.0.0.1:5060 a.b+"c""#)
        #expect(try values.fill(json: #"{"x":"${var.id}"}"#) == #"{"x":"a.b+\"c\""}"#)
        #expect(try values.fill(expression: "^${var.id}$") == #"^a\.b\+"c"$"#)
        let missing = #expect(throws: StepFailure.self) { try values.fill("${var.other}") }
        #expect(missing?.awaited == "a value for ${var.other}")
        #expect(throws: StepFailure.self) { try values.fill(expression: "(") }
    }
}

@Suite struct CountTests {
    private func log(_ bodies: [String]) throws -> [RecordedMessage] {
        try bodies.enumerated().map { index, body in
            try message(index + 1, "out", "127.0.0.1:5080", "MESSAGE sip:b SIP/2.0", method: "MESSAGE", body: body)
        }
    }

    private func awaited(_ count: Count, body: String? = nil) -> Awaited {
        var expectation = Awaited(node: "im")
        expectation.request = "MESSAGE"
        expectation.body = body.map { .text(.value($0)) }
        expectation.count = count
        return expectation
    }

    @Test func soManyAreHeldAndNoMore() throws {
        let log = try log(["a", "b", "a"])
        var block = ExpectationBlock()
        #expect(block.satisfyAll(awaited(Count(least: 2, most: 2), body: "a"), arrived: [0, 1, 2]) { log[$0] } == [0, 2])
        #expect(block.holds(0) && block.holds(2) && !block.holds(1))
        // What is held is no message too many for a later step.
        #expect(block.satisfyAll(awaited(Count(least: 0, most: 0), body: "a"), arrived: [0, 1, 2]) { log[$0] } == [])
        #expect(block.satisfyAll(awaited(Count(least: 0, most: 0)), arrived: [0, 1, 2]) { log[$0] }.count == 1)
        #expect(block.satisfyAll(awaited(Count(least: 1)), arrived: [0, 1, 2]) { log[$0] } == [1])
    }

    @Test func tooFewOrTooManyChangeNothing() throws {
        let log = try log(["a", "a"])
        var block = ExpectationBlock()
        #expect(block.satisfyAll(awaited(Count(least: 3)), arrived: [0, 1]) { log[$0] }.count == 2)
        #expect(block.satisfyAll(awaited(Count(least: 1, most: 1)), arrived: [0, 1]) { log[$0] }.count == 2)
        #expect(!block.holds(0) && !block.holds(1))
    }

    @Test(arguments: [
        (Count(), "a MESSAGE at im within 2 s"), (Count(least: 2, most: 2), "2 times a MESSAGE at im within 2 s"),
        (Count(least: 0, most: 0), "no MESSAGE at im within 2 s"), (Count(least: 2), "at least 2 times a MESSAGE at im within 2 s"),
        (Count(least: 1, most: 3), "1 to 3 times a MESSAGE at im within 2 s"),
    ])
    func countsAreTold(count: Count, sentence: String) { #expect(awaited(count).sentence == sentence) }
}

@Suite struct NearestMessageTests {
    private func expectation() -> Awaited {
        var expectation = Awaited(node: "im")
        expectation.request = "PUBLISH"
        expectation.headers = [.init(name: "To", value: "<sip:alice@home1.test>"), .init(name: "Accept-Contact", value: "*;+g.oma.sip-im")]
        return expectation
    }

    private func candidate(
        _ sequence: Int, _ method: String, _ headers: [(String, String)], isAtNode: Bool = true, remark: String? = nil
    ) throws -> NearestMessage.Candidate {
        let message = try message(sequence, "out", "127.0.0.1:5080", "\(method) sip:x SIP/2.0", method: method, headers: headers)
        return NearestMessage.Candidate(message: message, name: "\(method) to im", isAtNode: isAtNode, remark: remark)
    }

    @Test func theOneWithTheFewestDifferencesIsShownHeaderByHeader() throws {
        let to = ("To", "<sip:alice@home1.test>")
        let nearest = try #require(
            NearestMessage(
                nearestTo: expectation(),
                among: [
                    try candidate(1, "REGISTER", [to]), try candidate(2, "PUBLISH", [("To", "<sip:bob@home1.test>")]),
                    try candidate(3, "PUBLISH", [to, ("Accept-Contact", "*;+g.oma.sip-im.large-message")]), try candidate(4, "MESSAGE", []),
                ]))
        #expect(
            nearest.lines == [
                "nearest: #3 PUBLISH to im", "    request         PUBLISH", "    To              <sip:alice@home1.test>",
                "  - Accept-Contact  *;+g.oma.sip-im", "  + Accept-Contact  *;+g.oma.sip-im.large-message",
            ])
    }

    @Test func theRightMessageAtAnotherNodeIsShownAsThat() throws {
        let all = [("To", "<sip:alice@home1.test>"), ("Accept-Contact", "*;+g.oma.sip-im")]
        let nearest = try #require(
            NearestMessage(nearestTo: expectation(), among: [try candidate(1, "PUBLISH", all, isAtNode: false, remark: "not at im")]))
        #expect(nearest.lines.first == "nearest: #1 PUBLISH to im (not at im)")
        #expect(nearest.comparisons.allSatisfy { $0.fault == nil })
    }

    @Test func whatHasNothingInCommonElsewhereIsNone() throws {
        #expect(NearestMessage(nearestTo: expectation(), among: [try candidate(1, "BYE", [], isAtNode: false)]) == nil)
        #expect(NearestMessage(nearestTo: expectation(), among: []) == nil)
    }
}
