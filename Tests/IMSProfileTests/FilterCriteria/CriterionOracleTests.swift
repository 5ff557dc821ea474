// Generated criteria on generated requests, against an evaluator that is written from TS 29.228 Annex B and F alone: it knows
// the request as it was made up, not as it was read, and looks at one condition after another.

import SIPMessage
import SansIO
import Testing

@testable import IMSProfile

/// A request as it is made up.
private struct MadeRequest {
    var method: String
    var host: String
    var user: String
    var isNumber: Bool
    var headers: [(name: String, value: String)]
    /// Lines of the session description; nil: there is no body.
    var description: [(type: String, text: String)]?
    var context: EvaluationContext

    init(using random: inout RandomSource) {
        func pick<Element>(_ elements: [Element]) -> Element { elements[Int.random(in: 0..<elements.count, using: &random)] }
        method = pick(["MESSAGE", "PUBLISH", "INVITE", "REGISTER", "XFOO"])
        host = pick(["home1.test", "home1.test:5061", "home2.test"])
        user = pick(["+15550100", "+15550199"])
        isNumber = pick([true, false, false, false])
        headers = []
        for _ in 0..<Int.random(in: 0...4, using: &random) {
            headers.append(
                (
                    pick(["Subject", "X-Mark", "X-Marker", "Accept-Contact", "s", "subject"]),
                    pick(["one", "one two", "*;+g.a", "*;+g.a.b;require", "two"])
                ))
        }
        if pick([true, false]) {
            description = (0..<Int.random(in: 0...3, using: &random)).map { _ in
                (pick(["m", "a", "b"]), pick(["audio 1", "video 2", "x"]))
            }
        }
        let sessionCase = pick(SessionCase.allCases)
        context = EvaluationContext(
            sessionCase: sessionCase, isRegistered: pick([true, false]),
            registrationType: method == "REGISTER" ? pick(RegistrationType.allCases) : nil)
    }

    var uri: String { isNumber ? "tel:\(user)" : "sip:bob@\(host);user=x" }
    var lines: [String] {
        headers.map { "\($0.name): \($0.value)" } + (description == nil ? [] : ["Content-Type: application/sdp"])
    }
    var body: String { (description ?? []).map { "\($0.type)=\($0.text)\r\n" }.joined() }
}

/// An expression with what it means, said without one.
private struct Pattern: Sendable {
    var expression: String
    var isFound: @Sendable (String) -> Bool

    static let all = [
        Pattern(expression: "one") { $0.contains("one") },
        Pattern(expression: "^one") { $0.hasPrefix("one") },
        Pattern(expression: "two$") { $0.hasSuffix("two") },
        Pattern(expression: "^one$|^two$") { $0 == "one" || $0 == "two" },
        Pattern(expression: "home[12]\\.test") { $0.contains("home1.test") || $0.contains("home2.test") },
        Pattern(expression: "^home1\\.test$") { $0 == "home1.test" },
        Pattern(expression: ":5061$") { $0.hasSuffix(":5061") },
        Pattern(expression: "^\\+1555") { $0.hasPrefix("+1555") },
        Pattern(expression: "audio|[0-9]$") { $0.contains("audio") || $0.last?.isNumber == true },
    ]
}

/// A condition with what it means.
private struct MadeCondition {
    var trigger: ServicePointTrigger
    var holds: (MadeRequest) -> Bool

    init(using random: inout RandomSource) {
        func pick<Element>(_ elements: [Element]) -> Element { elements[Int.random(in: 0..<elements.count, using: &random)] }
        let isNegated = pick([true, false, false])
        let (condition, holds): (ServicePointTrigger.Condition, (MadeRequest) -> Bool)
        let pattern = pick(Pattern.all)
        switch Int.random(in: 0..<8, using: &random) {
        case 0:
            let name = pick(["MESSAGE", "PUBLISH", "REGISTER", "XFOO", "xfoo"])
            (condition, holds) = (.method(name), { $0.method == name })
        case 1:
            let types = pick([[RegistrationType.initial], [.reregistration, .deregistration]])
            let name = pick(["REGISTER", "PUBLISH"])
            (condition, holds) = (
                .method(name, registrationTypes: types),
                { $0.method == name && (name != "REGISTER" || $0.context.registrationType.map { types.contains($0) } == true) }
            )
        case 2:
            let types = pick([[RegistrationType.initial, .deregistration], [.reregistration]])
            (condition, holds) = (.registrationType(types), { $0.context.registrationType.map { types.contains($0) } == true })
        case 3:
            let sessionCase = pick(SessionCase.allCases)
            (condition, holds) = (.sessionCase(sessionCase), { $0.context.sessionCase == sessionCase })
        case 4: (condition, holds) = (.requestURI(pattern.expression), { pattern.isFound($0.isNumber ? $0.user : $0.host) })
        case 5:
            let name = pick(["Subject", "x-mark", "Accept-Contact", "^X-Mark", "Mark$"])
            let content = pick([pattern, nil])
            (condition, holds) = (
                .header(name, content: content?.expression),
                { request in
                    request.headers.contains { header in
                        MadeCondition.isNamed(header.name, name) && content.map { $0.isFound(header.value) } ?? true
                    }
                }
            )
        case 6:
            let type = pick(["m", "a", "[mb]"])
            let content = pick([pattern, nil])
            (condition, holds) = (
                .sessionDescription(line: type, content: content?.expression),
                { request in
                    (request.description ?? []).contains { line in
                        (type == "[mb]" ? "mb" : type).contains(line.type) && content.map { $0.isFound(line.text) } ?? true
                    }
                }
            )
        default:
            let tag = pick(["+g.a", "+G.A.b", "require"])
            (condition, holds) = (
                .featureTag(tag),
                { request in
                    request.headers.contains { header in
                        header.name == "Accept-Contact" && header.value.hasPrefix("*")
                            && header.value.split(separator: ";").dropFirst().contains { $0.lowercased() == tag.lowercased() }
                    }
                }
            )
        }
        trigger = ServicePointTrigger(condition, isNegated: isNegated)
        self.holds = { holds($0) != isNegated }
    }

    /// A name alone is compared whole, in its long form; an expression is searched in it. Neither has case.
    private static func isNamed(_ own: String, _ wanted: String) -> Bool {
        let long = own == "s" ? "subject" : own.lowercased()
        switch wanted {
        case "^X-Mark": return long.hasPrefix("x-mark")
        case "Mark$": return long.hasSuffix("mark")
        default: return long == wanted.lowercased()
        }
    }
}

@Suite("Generated criteria")
struct CriterionOracleTests {
    @Test("criteria by the thousand agree with a slow evaluator", arguments: 0..<8)
    func agreesWithTheSlowEvaluator(_ seed: Int) throws {
        var random = RandomSource(seed: UInt64(seed) + 100)
        var (matched, missed) = (0, 0)
        for _ in 0..<400 {
            let groups = (0..<Int.random(in: 1...3, using: &random)).map { _ in
                (0..<Int.random(in: 1...3, using: &random)).map { _ in MadeCondition(using: &random) }
            }
            let isConjunctive = Bool.random(using: &random)
            let part: ProfilePart? = [nil, nil, .registered, .unregistered][Int.random(in: 0..<4, using: &random)]
            let trigger = TriggerPoint(isConjunctive: isConjunctive, groups: groups.map { $0.map(\.trigger) })
            let profile = try ServiceProfile(trigger: trigger, profilePart: part)
            for _ in 0..<5 {
                let request = MadeRequest(using: &random)
                let isExpected =
                    (part == nil || (part == .registered) == request.context.isRegistered)
                    && (isConjunctive
                        ? groups.allSatisfy { $0.contains { $0.holds(request) } } : groups.contains { $0.allSatisfy { $0.holds(request) } })
                if isExpected { matched += 1 } else { missed += 1 }
                try withRequest("\(request.method) \(request.uri) SIP/2.0", request.lines, body: request.body) { message in
                    #expect(profile.matches(at: 0, message, request.context) == isExpected, "\(trigger) \(request)")
                    // Its explanation says the same of each condition.
                    let verdict = profile.verdict(at: 0, message, request.context)
                    #expect(verdict.isFulfilled == isExpected)
                    #expect(verdict.groups.map { $0.map(\.holds) } == groups.map { $0.map { $0.holds(request) } }, "\(trigger) \(request)")
                    #expect((verdict.miss(server: "im") == nil) == isExpected)
                }
            }
        }
        #expect(matched > 400 && missed > 400)
    }

    /// The lowest number first, those of one number as they were given; each from where the one before left off (TS 29.228 B.2.2).
    @Test("whole profiles are tried in their order", arguments: 0..<4)
    func triesProfilesInOrder(_ seed: Int) throws {
        var random = RandomSource(seed: UInt64(seed) + 500)
        var longest = 0
        for _ in 0..<100 {
            let declared = (0..<Int.random(in: 1...8, using: &random)).map { number in
                (number: number, priority: Int.random(in: 0...4, using: &random), condition: MadeCondition(using: &random))
            }
            let profile = try ServiceProfile(
                declared.map { one in
                    InitialFilterCriterion(
                        priority: one.priority, trigger: TriggerPoint(isConjunctive: true, groups: [[one.condition.trigger]]),
                        applicationServer: ApplicationServer(uri: "sip:server\(one.number)"))
                })
            let request = MadeRequest(using: &random)
            // The slow way: of those that hold and were not used, the one with the lowest number, and of these the first.
            var expected: [String] = []
            var left = declared.filter { $0.condition.holds(request) }
            while let next = left.min(by: { ($0.priority, $0.number) < ($1.priority, $1.number) }) {
                expected.append("sip:server\(next.number)")
                left.removeAll { $0.number == next.number }
            }
            try withRequest("\(request.method) \(request.uri) SIP/2.0", request.lines, body: request.body) { message in
                var found: [String] = []
                var start = 0
                while let match = profile.firstMatch(from: start, message, request.context) {
                    found.append(profile.criteria[match].applicationServer.uri)
                    start = match + 1
                }
                #expect(found == expected)
            }
            longest = max(longest, expected.count)
        }
        #expect(longest > 2)
    }
}
