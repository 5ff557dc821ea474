import SIPMessage
import SansIO
import Testing

@testable import IMSProfile

@Suite("Trigger points")
struct TriggerPointTests {
    /// Conditions that hold, or do not, for the one request below; of each class of cost.
    private static let conditions: [(condition: ServicePointTrigger.Condition, holds: Bool)] = [
        (.method("MESSAGE"), true), (.method("PUBLISH"), false), (.sessionCase(.originating), true), (.sessionCase(.terminating), false),
        (.header("Subject"), true), (.header("Priority"), false), (.header("Subject", content: "^hello"), true),
        (.header("Subject", content: "bye"), false), (.requestURI("home1"), true), (.requestURI("home2"), false),
        (.featureTag("audio"), true), (.featureTag("video"), false), (.header("Sub.*"), true), (.header("^S.*x$"), false),
        (.sessionDescription(line: "m"), false), (.registrationType([.initial]), false),
    ]

    /// The definition: in conjunctive form all groups with any condition, in disjunctive form any group with all.
    private func oracle(_ groups: [[(condition: ServicePointTrigger, holds: Bool)]], isConjunctive: Bool) -> Bool {
        if isConjunctive { return groups.allSatisfy { $0.contains { $0.holds } } }
        return groups.contains { $0.allSatisfy { $0.holds } }
    }

    @Test("both normal forms with negation, against their definition", arguments: 0..<4)
    func agreesWithDefinition(_ seed: Int) throws {
        var random = RandomSource(seed: UInt64(seed))
        try withRequest("MESSAGE sip:bob@home1.test SIP/2.0", ["Subject: hello", "Accept-Contact: *;audio"]) { message in
            for _ in 0..<60 {
                let groups = (0..<Int.random(in: 1...4, using: &random)).map { _ in
                    (0..<Int.random(in: 1...4, using: &random)).map { _ in
                        let (condition, holds) = Self.conditions.randomElement(using: &random) ?? Self.conditions[0]
                        let isNegated = Bool.random(using: &random)
                        return (condition: ServicePointTrigger(condition, isNegated: isNegated), holds: holds != isNegated)
                    }
                }
                for isConjunctive in [true, false] {
                    let trigger = TriggerPoint(isConjunctive: isConjunctive, groups: groups.map { $0.map(\.condition) })
                    let isMatch = try ServiceProfile(trigger: trigger).matches(at: 0, message, .originating)
                    #expect(isMatch == oracle(groups, isConjunctive: isConjunctive), "\(trigger)")
                }
            }
        }
    }

    @Test("groups are collected by their numbers, wherever their conditions stand")
    func collectsGroups() {
        let a = ServicePointTrigger(.method("PUBLISH"))
        let b = ServicePointTrigger(.method("MESSAGE"))
        let c = ServicePointTrigger(.sessionCase(.originating), isNegated: true)
        let trigger = TriggerPoint(isConjunctive: true, triggers: [(a, [7]), (c, [2, 9]), (b, [7])])
        #expect(trigger == TriggerPoint(isConjunctive: true, groups: [[c], [a, b], [c]]))
    }

    @Test("no trigger always matches")
    func noTrigger() throws {
        #expect(try withRequest { try ServiceProfile(trigger: nil).matches(at: 0, $0, .originating) })
    }
}

extension EvaluationContext {
    static let originating = EvaluationContext(sessionCase: .originating, isRegistered: true)
}

extension ServiceProfile {
    /// A profile of one criterion, without faults.
    init(trigger: TriggerPoint?, profilePart: ProfilePart? = nil, options: Options = Options()) throws {
        try self.init(
            [
                InitialFilterCriterion(
                    priority: 0, profilePart: profilePart, trigger: trigger, applicationServer: ApplicationServer(uri: "sip:im.home1.test"))
            ], options: options)
    }

    init(_ criteria: [InitialFilterCriterion], options: Options = Options()) throws {
        var faults: [CriterionFault] = []
        self.init(criteria, options: options, faults: &faults)
        if let fault = faults.first { throw fault }
    }
}
