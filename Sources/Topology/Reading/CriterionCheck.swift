// What is worth a word about filter criteria that are each in order: one that can never hold, one that sends to a server what
// goes there already, and priorities that say no order (TS 29.228 B.2.2).
//
// A criterion is held against every method, session case and registration type that makes a difference to it; whether a request
// has a header field, a feature tag, a Request-URI or a line may go either way, so far as these do not exclude each other.

/// What is wrong with one of several criteria of a profile.
struct CriterionComplaint {
    /// The number of the criterion, and of the group of its trigger, if it is one's fault.
    var criterion: Int
    var group: Int?
    /// What is wrong; what to write instead.
    var text: String
}

enum CriterionCheck {
    /// All that is to be said about the criteria of one profile, in their order.
    ///
    /// - Parameter criteria: in the order of the document.
    static func complaints(_ criteria: [FilterCriterion]) -> [CriterionComplaint] {
        var complaints: [CriterionComplaint] = []
        for (number, criterion) in criteria.enumerated() {
            if let (group, text) = impossibility(of: criterion) {
                complaints.append(CriterionComplaint(criterion: number, group: group, text: text))
            } else if let text = repetition(of: criterion, after: criteria, number) {
                complaints.append(CriterionComplaint(criterion: number, group: nil, text: text))
            }
            guard criteria[..<number].contains(where: { $0.priority == criterion.priority }) else { continue }
            complaints.append(
                CriterionComplaint(
                    criterion: number, group: nil,
                    text: "priority \(criterion.priority) is that of an earlier criterion too, and which comes first only the document "
                        + "says; write another number"))
        }
        return complaints
    }

    // MARK: What can never hold

    private static func impossibility(of criterion: FilterCriterion) -> (group: Int?, text: String)? {
        guard let trigger = criterion.trigger else { return nil }
        if !trigger.isConjunctive {
            // Each group is a way of its own.
            for (number, group) in trigger.groups.enumerated() {
                let alone = criterion.with([group], isConjunctive: false)
                if !isPossible([(alone, true)]) {
                    return (number, "this group can never hold: \(reason(group, of: criterion)); leave it out")
                }
            }
            return nil
        }
        guard !isPossible([(criterion, true)]) else { return nil }
        for (number, group) in trigger.groups.enumerated() where !isPossible([(criterion.with([group], isConjunctive: true), true)]) {
            return (number, "the criterion can never hold: \(words(group)) \(lacking(criterion)); write what is meant")
        }
        for (second, other) in trigger.groups.enumerated() {
            for first in trigger.groups[..<second]
            where !isPossible([(criterion.with([first, other], isConjunctive: true), true)]) {
                return (
                    second,
                    "the criterion can never hold: \(words(first)) and \(words(other)) exclude each other; "
                        + "write both in one group, if either will do, or two criteria"
                )
            }
        }
        return (nil, "the criterion can never hold: its conditions exclude each other; write two criteria")
    }

    /// Why no request can fulfil the conditions of a group together.
    private static func reason(_ group: [Condition], of criterion: FilterCriterion) -> String {
        for (second, other) in group.enumerated() {
            for first in group[..<second] where !isPossible([(criterion.with([[first], [other]], isConjunctive: true), true)]) {
                return "\(words([first])) and \(words([other])) exclude each other"
            }
        }
        return "\(words(group)) \(lacking(criterion))"
    }

    private static func lacking(_ criterion: FilterCriterion) -> String {
        guard let part = criterion.profilePart else { return "is never true" }
        return "and 'profile_part: \(part.rawValue)' exclude each other"
    }

    private static func words(_ group: [Condition]) -> String { group.map { "'\($0.words)'" }.joined(separator: " or ") }

    // MARK: What goes to a server twice

    /// A server is sent a request by each criterion that holds; two that hold together send it there twice.
    private static func repetition(of criterion: FilterCriterion, after all: [FilterCriterion], _ number: Int) -> String? {
        guard let other = repeated(by: criterion, among: all, number) else { return nil }
        let server = other.applicationServer ?? other.serverURI
        return "each request that this criterion takes has gone to '\(server)' by that of priority \(other.priority) already, "
            + "and would go there twice; leave one of them out, or say in it which requests the other does not take"
    }

    /// What the short form of a server brings there that a criterion of the profile in front of it has brought there already.
    ///
    /// - Parameters:
    ///   - profile: by priority.
    ///   - shortForm: what follows them.
    /// - Returns: of each server that is concerned, what is wrong.
    static func repetitions(of profile: [FilterCriterion], by shortForm: [FilterCriterion]) -> [String: String] {
        let all = FilterCriterion.followed(profile, by: shortForm)
        var found: [String: String] = [:]
        for number in all.indices.dropFirst(profile.count) {
            guard let server = all[number].applicationServer, found[server] == nil,
                let other = repeated(by: all[number], among: all, number)
            else { continue }
            let isOfRegister = all[number].trigger?.groups.count == 1
            found[server] =
                "each \(isOfRegister ? "REGISTER" : "request with a feature tag of '\(server)'") goes there by the criterion of priority "
                + "\(other.priority) already, and would go there twice; leave '\(server)' out here, "
                + "or say in that criterion which it does not take"
        }
        return found
    }

    /// An earlier criterion that sends all to a server that this one sends there.
    private static func repeated(by criterion: FilterCriterion, among all: [FilterCriterion], _ number: Int) -> FilterCriterion? {
        for (place, other) in all.enumerated()
        where other.serverURI == criterion.serverURI && other.serviceInfo == criterion.serviceInfo
            && other.includeRegisterRequest == criterion.includeRegisterRequest
            && other.includeRegisterResponse == criterion.includeRegisterResponse
            && (other.priority, place) < (criterion.priority, number)
        {
            if !isPossible([(criterion, true), (other, false)]) { return other }
        }
        return nil
    }

    // MARK: What is possible

    /// What decides about conditions without a look at the message's fields.
    private struct Circumstance {
        var method: String
        var sessionCase: SessionCase
        var isRegistered: Bool
        var registrationType: RegistrationType?
    }

    /// What a message has or has not.
    private enum Feature: Hashable {
        case header(String, content: String?)
        case requestURI(String)
        case line(String, content: String?)
        case tag(String)

        /// What it has too.
        var implied: Feature? {
            switch self {
            case .header(let name, .some): .header(name, content: nil)
            case .line(let type, .some): .line(type, content: nil)
            case .tag: .header("accept-contact", content: nil)
            default: nil
            }
        }
    }

    /// More of them are not tried out; then all is taken as possible.
    private static let mostFeatures = 8

    /// Whether there can be a request for which each of the criteria holds, or does not, as is wanted.
    private static func isPossible(_ wanted: [(criterion: FilterCriterion, holds: Bool)]) -> Bool {
        let conditions = wanted.flatMap { $0.criterion.trigger?.groups.joined().map(\.kind) ?? [] }
        var features: [Feature] = []
        for feature in conditions.compactMap({ feature(of: $0) }) where !features.contains(feature) { features.append(feature) }
        guard features.count <= mostFeatures else { return true }
        for circumstance in circumstances(conditions) {
            for bits in 0..<(1 << features.count) {
                let present = features.indices.filter { bits >> $0 & 1 == 1 }.map { features[$0] }
                let isSound = present.allSatisfy { feature in
                    feature.implied.map { !features.contains($0) || present.contains($0) } ?? true
                }
                guard isSound else { continue }
                if wanted.allSatisfy({ holds($0.criterion, circumstance, present) == $0.holds }) { return true }
            }
        }
        return false
    }

    /// A REGISTER counts as originated by a registered user, whatever it does (TS 23.218 §5.2.1).
    private static func circumstances(_ conditions: [Condition.Kind]) -> [Circumstance] {
        var methods: Set<String> = ["REGISTER"]
        for case .method(let name, _) in conditions { methods.insert(name) }
        var found: [Circumstance] = RegistrationType.allCases.map {
            Circumstance(method: "REGISTER", sessionCase: .originating, isRegistered: true, registrationType: $0)
        }
        // The empty method stands for all that no condition names.
        for method in [""] + methods.subtracting(["REGISTER"]).sorted() {
            for sessionCase in SessionCase.allCases {
                for isRegistered in sessionCase.states {
                    found.append(Circumstance(method: method, sessionCase: sessionCase, isRegistered: isRegistered))
                }
            }
        }
        return found
    }

    private static func feature(of condition: Condition.Kind) -> Feature? {
        switch condition {
        case .requestURI(let expression): .requestURI(expression)
        case .header(let name, let content): .header(name.lowercased(), content: content)
        case .sessionDescription(let line, let content): .line(line, content: content)
        case .featureTag(let tag): .tag(tag.lowercased())
        case .method, .registrationType, .sessionCase: nil
        }
    }

    private static func holds(_ criterion: FilterCriterion, _ circumstance: Circumstance, _ present: [Feature]) -> Bool {
        if let part = criterion.profilePart, (part == .registered) != circumstance.isRegistered { return false }
        guard let trigger = criterion.trigger else { return true }
        func holds(_ condition: Condition) -> Bool { self.holds(condition.kind, circumstance, present) != condition.isNegated }
        return trigger.isConjunctive
            ? trigger.groups.allSatisfy { $0.contains { holds($0) } } : trigger.groups.contains { $0.allSatisfy { holds($0) } }
    }

    private static func holds(_ condition: Condition.Kind, _ circumstance: Circumstance, _ present: [Feature]) -> Bool {
        switch condition {
        case .method(let name, let types):
            guard name == circumstance.method else { return false }
            return types.isEmpty || circumstance.registrationType.map { types.contains($0) } ?? true
        case .registrationType(let types): return circumstance.registrationType.map { types.contains($0) } ?? false
        case .sessionCase(let sessionCase): return sessionCase == circumstance.sessionCase
        default: return feature(of: condition).map { present.contains($0) } ?? false
        }
    }
}

extension SessionCase {
    /// Whether the served user can be registered in it.
    fileprivate var states: [Bool] {
        switch self {
        case .originating, .terminating: [true]
        case .originatingUnregistered, .terminatingUnregistered: [false]
        case .originatingCDIV: [true, false]
        }
    }

    /// As it is written.
    var word: String {
        switch self {
        case .originating: "originating"
        case .terminating: "terminating"
        case .terminatingUnregistered: "terminating_unregistered"
        case .originatingUnregistered: "originating_unregistered"
        case .originatingCDIV: "originating_cdiv"
        }
    }
}

extension Condition {
    /// As it is written.
    fileprivate var words: String {
        let text =
            switch kind {
            case .method(let name, let types): "method: \(name)" + (types.isEmpty ? "" : ", \(Condition.words(types))")
            case .registrationType(let types): Condition.words(types)
            case .requestURI(let expression): "request_uri: \(expression)"
            case .header(let name, let content): "header: \(name)" + (content.map { ", content: \($0)" } ?? "")
            case .sessionCase(let sessionCase): "session_case: \(sessionCase.word)"
            case .sessionDescription(let line, let content): "session_description: \(line)" + (content.map { ", content: \($0)" } ?? "")
            case .featureTag(let tag): "feature_tag: \(tag)"
            }
        return isNegated ? "not: {\(text)}" : text
    }

    private static func words(_ types: [RegistrationType]) -> String {
        let names = types.map { "\($0)" }
        return "registration_type: " + (names.count == 1 ? names[0] : "[\(names.joined(separator: ", "))]")
    }
}

extension FilterCriterion {
    /// The same with another trigger.
    fileprivate func with(_ groups: [[Condition]], isConjunctive: Bool) -> FilterCriterion {
        var other = self
        other.trigger = Trigger(isConjunctive: isConjunctive, groups: groups)
        return other
    }
}
