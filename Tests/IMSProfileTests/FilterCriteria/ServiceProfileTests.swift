import SIPMessage
import Testing

@testable import IMSProfile

@Suite("Service profiles")
struct ServiceProfileTests {
    private func criterion(
        _ priority: Int, _ condition: ServicePointTrigger.Condition? = nil, profilePart: ProfilePart? = nil,
        uri: String = "sip:im.home1.test"
    ) -> InitialFilterCriterion {
        let trigger = condition.map { TriggerPoint(isConjunctive: true, groups: [[ServicePointTrigger($0)]]) }
        return InitialFilterCriterion(
            priority: priority, profilePart: profilePart, trigger: trigger, applicationServer: ApplicationServer(uri: uri))
    }

    @Test("ascending priority is the order, and ties keep the one they had")
    func order() throws {
        let profile = try ServiceProfile([
            criterion(5, uri: "sip:a"), criterion(0, uri: "sip:b"), criterion(5, uri: "sip:c"), criterion(2, uri: "sip:d"),
            criterion(0, uri: "sips:e"),
        ])
        #expect(profile.criteria.map(\.applicationServer.uri) == ["sip:b", "sips:e", "sip:d", "sip:a", "sip:c"])
        #expect(profile.count == 5)
    }

    @Test("the evaluation goes on behind the criterion that matched")
    func firstMatch() throws {
        let profile = try ServiceProfile([
            criterion(0, .method("PUBLISH")), criterion(1, .method("MESSAGE")), criterion(2, .header("Subject")), criterion(3),
        ])
        try withRequest { message in
            #expect(profile.firstMatch(from: 0, message, .originating) == 1)
            #expect(profile.firstMatch(from: 2, message, .originating) == 3)
            #expect(profile.firstMatch(from: 4, message, .originating) == nil)
            let none = try ServiceProfile([]).firstMatch(from: 0, message, .originating)
            #expect(none == nil)
        }
    }

    @Test("the profile part comes before the trigger, and none is both")
    func profilePart() throws {
        let profile = try ServiceProfile([
            criterion(0, profilePart: .unregistered), criterion(1, profilePart: .registered), criterion(2),
        ])
        try withRequest { message in
            func matching(_ context: EvaluationContext) -> [Int] {
                (0..<3).filter { profile.matches(at: $0, message, context) }
            }
            #expect(matching(EvaluationContext(sessionCase: .terminating, isRegistered: true)) == [1, 2])
            #expect(matching(EvaluationContext(sessionCase: .terminatingUnregistered, isRegistered: false)) == [0, 2])
        }
    }

    @Test("a broken criterion is told and left out, the others stay")
    func faults() throws {
        var faults: [CriterionFault] = []
        let broken: [(ServicePointTrigger.Condition, String)] = [
            (
                .header("Subject", content: #"a\1"#),
                "criterion 2, group 1, condition 1, column 2: back-reference \\1; write the expression out"
            ),
            (.header("Sub ject"), "criterion 3, group 1, condition 1: Sub ject is not a header name; write one, without white space"),
            (.method(""), "criterion 4, group 1, condition 1:  is not a method; write one, without white space"),
            (
                .registrationType([]),
                "criterion 5, group 1, condition 1: no registration type; write initial, reregistration or deregistration"
            ),
        ]
        let criteria = [criterion(9, .method("MESSAGE"))] + broken.map { criterion(1, $0.0) } + [criterion(9, uri: "tel:+15550100")]
        let profile = ServiceProfile(criteria, faults: &faults)
        #expect(faults.map(\.description).prefix(4) == broken.map(\.1)[...])
        #expect(faults.last?.description == "criterion 6: the server's name tel:+15550100 is not a SIP URI; write sip:HOST:PORT")
        #expect(faults.count == 5)
        #expect(profile.criteria == [criterion(9, .method("MESSAGE"))])
    }

    @Test("triggers and groups have conditions", arguments: [true, false])
    func emptyGroups(_ isConjunctive: Bool) {
        let groups: [[[ServicePointTrigger]]] = [[], [[ServicePointTrigger(.method("MESSAGE"))], []]]
        for (number, groups) in groups.enumerated() {
            let trigger = TriggerPoint(isConjunctive: isConjunctive, groups: groups)
            let fault = #expect(throws: CriterionFault.self) { try ServiceProfile(trigger: trigger) }
            #expect(fault?.group == (number == 0 ? nil : 1))
        }
    }

    /// A profile for IM: third-party registration, settings, originating and terminating messages.
    @Test("a ready-made profile for IM")
    func readyMade() throws {
        let tag = ServicePointTrigger(.header("Accept-Contact", content: #".*\+g\.oma\.sip-im([;,=[:space:]]|$).*"#))
        func all(_ groups: [ServicePointTrigger]...) -> TriggerPoint { TriggerPoint(isConjunctive: true, groups: groups) }
        let server = ApplicationServer(uri: "sip:im.home1.test")
        let originating = ServicePointTrigger(.sessionCase(.originating))
        let terminating = [ServicePointTrigger(.sessionCase(.terminating)), ServicePointTrigger(.sessionCase(.terminatingUnregistered))]
        let own = ServicePointTrigger(.header("User-Agent", content: "IM-serv"), isNegated: true)
        let triggers = [
            all([ServicePointTrigger(.method("REGISTER", registrationTypes: RegistrationType.allCases))]),
            all([ServicePointTrigger(.method("PUBLISH"))], [originating], [tag]),
            all([ServicePointTrigger(.method("MESSAGE"))], [originating], [tag]),
            all([ServicePointTrigger(.method("MESSAGE"))], terminating, [tag], [own]),
        ]
        let profile = try ServiceProfile(
            triggers.enumerated().map { InitialFilterCriterion(priority: $0 + 1, trigger: $1, applicationServer: server) })
        func first(_ method: String, _ headers: [String], _ context: EvaluationContext) throws -> Int? {
            try withRequest("\(method) sip:bob@home1.test SIP/2.0", headers) { profile.firstMatch(from: 0, $0, context) }
        }
        let im = "Accept-Contact: *;+g.oma.sip-im"
        let unregistered = EvaluationContext(sessionCase: .terminatingUnregistered, isRegistered: false)
        #expect(try first("REGISTER", [], .registration(.deregistration)) == 0)
        #expect(try first("PUBLISH", [im], .originating) == 1)
        #expect(try first("PUBLISH", [im + ".large-message"], .originating) == nil)
        #expect(try first("PUBLISH", [im], unregistered) == nil)
        #expect(try first("MESSAGE", [im], .originating) == 2)
        #expect(try first("MESSAGE", [im], unregistered) == 3)
        #expect(try first("MESSAGE", [im, "User-Agent: IM-serv/OMA1.0"], unregistered) == nil)
        #expect(try first("OPTIONS", [im], .originating) == nil)
    }
}
