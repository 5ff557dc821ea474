// Generated contacts and preferences, against an evaluator that is written from RFC 3840 §9 and RFC 3841 §7.2 alone: it tries
// whether two values have something in common by looking at all that they could mean.

import SIPMessage
import SansIO
import Testing

@testable import IMSProfile

/// One value of a feature tag, and all that it means of a small world.
private struct MadeValue {
    enum Kind: CaseIterable { case token, boolean, number, string }
    var text: String
    var kind: Kind
    var isNegated: Bool
    private var contains: (String) -> Bool

    /// Numbers in steps of a fourth, past all bounds that occur; of the others each that occurs, and one that does not.
    private static let numbers = (-40...40).map { String(Double($0) / 4) }
    private static func world(_ kind: Kind) -> [String] {
        switch kind {
        case .token: ["mobile", "fixed", "invite", "anything-else"]
        case .boolean: ["true", "false"]
        case .number: numbers
        case .string: ["<A>", "<a>", "<else>"]
        }
    }

    init(_ kind: Kind, using random: inout RandomSource) {
        self.kind = kind
        let isNegated = Int.random(in: 0..<4, using: &random) == 0
        func bound() -> Double { Double(Int.random(in: -12...12, using: &random)) / 2 }
        let plain: String
        let means: (String) -> Bool
        switch kind {
        case .token:
            let token = ["mobile", "fixed", "INVITE", "Mobile"][Int.random(in: 0..<4, using: &random)]
            (plain, means) = (token, { $0 == token.lowercased() })
        case .boolean:
            let word = ["TRUE", "FALSE", "false"][Int.random(in: 0..<3, using: &random)]
            (plain, means) = (word, { $0 == word.lowercased() })
        case .string:
            let string = ["<A>", "<a>"][Int.random(in: 0..<2, using: &random)]
            (plain, means) = (string, { $0 == string })
        case .number:
            let (a, b) = (bound(), bound())
            switch Int.random(in: 0..<4, using: &random) {
            case 0: (plain, means) = ("#>=\(a)", { Double($0)! >= a })
            case 1: (plain, means) = ("#<=\(a)", { Double($0)! <= a })
            case 2: (plain, means) = ("#=\(a)", { Double($0)! == a })
            default:
                let (low, high) = (min(a, b), max(a, b))
                (plain, means) = ("#\(low):\(high)", { (low...high).contains(Double($0)!) })
            }
        }
        text = (isNegated ? "!" : "") + plain
        self.isNegated = isNegated
        contains = { means($0) != isNegated }
    }

    /// Whether there is something that both mean. What is of another kind than a negated value is not what it excludes.
    func meets(_ other: MadeValue) -> Bool {
        guard kind == other.kind else {
            // What is not TRUE is FALSE, and no token.
            return isNegated && kind != .boolean || other.isNegated && other.kind != .boolean
        }
        return MadeValue.world(kind).contains { contains($0) && other.contains($0) }
    }
}

/// A feature tag with its values.
private struct MadeTag {
    var name: String
    var values: [MadeValue]

    init(_ name: String, using random: inout RandomSource) {
        self.name = name
        let kind = MadeValue.Kind.allCases[Int.random(in: 0..<4, using: &random)]
        values = (0..<Int.random(in: 1...2, using: &random)).map { _ in MadeValue(kind, using: &random) }
    }

    var text: String { ";\(name)=\"\(values.map(\.text).joined(separator: ","))\"" }
    func meets(_ other: MadeTag) -> Bool { values.contains { value in other.values.contains { value.meets($0) } } }

    /// Some of the tags, each once.
    static func some(using random: inout RandomSource) -> [MadeTag] {
        ["+g.a", "mobility", "class", "methods"].filter { _ in Bool.random(using: &random) }.map { MadeTag($0, using: &random) }
    }
}

private struct MadePredicate {
    var tags: [MadeTag]
    var isRequired: Bool
    var isExplicit: Bool

    init(using random: inout RandomSource) {
        tags = MadeTag.some(using: &random)
        isRequired = Bool.random(using: &random)
        isExplicit = Bool.random(using: &random)
    }

    var text: String { "*" + tags.map(\.text).joined() + (isRequired ? ";require" : "") + (isExplicit ? ";explicit" : "") }

    /// The tags that a contact names, and whether it says of one what does not fit.
    func compare(_ contact: [MadeTag]) -> (named: Int, isContradicted: Bool) {
        let pairs = tags.compactMap { tag in contact.first { $0.name == tag.name }.map { (tag, $0) } }
        return (pairs.count, pairs.contains { !$0.0.meets($0.1) })
    }
}

@Suite("Generated caller preferences")
struct PreferenceOracleTests {
    /// RFC 3841 §7.2.4, step by step.
    private func rating(_ contact: [MadeTag], _ accept: [MadePredicate], _ reject: [MadePredicate]) -> ContactRating {
        let immune = ContactRating(isDiscarded: false, preference: 1)
        let discarded = ContactRating(isDiscarded: true, preference: 0)
        if contact.isEmpty { return immune }
        for predicate in reject where !predicate.tags.isEmpty {
            let (named, isContradicted) = predicate.compare(contact)
            if named == predicate.tags.count, !isContradicted { return discarded }
        }
        let predicates = accept.filter { !$0.tags.isEmpty }
        if predicates.isEmpty { return immune }
        var scores: [Double] = []
        for predicate in predicates {
            let (named, isContradicted) = predicate.compare(contact)
            let score = Double(named) / Double(predicate.tags.count)
            if isContradicted {
                if predicate.isRequired { return discarded }
            } else if predicate.isExplicit, score < 1 {
                if predicate.isRequired { return discarded }
                scores.append(0)
            } else {
                scores.append(score)
            }
        }
        return ContactRating(isDiscarded: false, preference: scores.isEmpty ? 0 : scores.reduce(0, +) / Double(scores.count))
    }

    /// RFC 3841 §7.2.2: without either header the method counts, and the event package if there is one; what a contact says of
    /// other things does not.
    @Test("contacts by the thousand agree where the caller has no preferences", arguments: 0..<4)
    func agreesWithoutPreferences(_ seed: Int) throws {
        var random = RandomSource(seed: UInt64(seed) + 400)
        var (kept, discarded) = (0, 0)
        func some(_ words: [String]) -> [String]? {
            guard Bool.random(using: &random) else { return nil }
            return (0..<Int.random(in: 1...3, using: &random)).map { _ in
                (Int.random(in: 0..<5, using: &random) == 0 ? "!" : "") + words[Int.random(in: 0..<words.count, using: &random)]
            }
        }
        /// Whether one of the values means a word.
        func mean(_ values: [String], _ word: String) -> Bool {
            values.contains { $0.hasPrefix("!") ? $0.dropFirst().lowercased() != word.lowercased() : $0.lowercased() == word.lowercased() }
        }
        for _ in 0..<500 {
            let method = ["MESSAGE", "SUBSCRIBE", "INVITE"][Int.random(in: 0..<3, using: &random)]
            let event: String? = [nil, "presence", "reg"][Int.random(in: 0..<3, using: &random)]
            let methods = some(["MESSAGE", "invite", "SUBSCRIBE"])
            let events = some(["presence", "REG", "conference"])
            let hasOther = Bool.random(using: &random)
            var parameters = hasOther ? ";audio" : ""
            if let methods { parameters += ";methods=\"\(methods.joined(separator: ","))\"" }
            if let events { parameters += ";events=\"\(events.joined(separator: ","))\"" }
            var expected = ContactRating(isDiscarded: false, preference: 1)
            if !parameters.isEmpty {
                let asked = [(methods, method)] + (event.map { [(events, $0)] } ?? [])
                let named = asked.filter { $0.0 != nil }
                let contradicts = named.contains { !mean($0.0 ?? [], $0.1) }
                expected =
                    contradicts
                    ? ContactRating(isDiscarded: true, preference: 0)
                    : ContactRating(isDiscarded: false, preference: Double(named.count) / Double(asked.count))
            }
            if expected.isDiscarded { discarded += 1 } else { kept += 1 }
            let octets = Array(parameters.utf8)
            try withRequest("\(method) sip:bob@home1.test SIP/2.0", event.map { ["Event: \($0);id=7"] } ?? []) { message in
                let found = CallerPreferences(message).rating(contactParameters: octets.span.bytes)
                #expect(found == expected, "\(parameters) \(method) \(event ?? "")")
            }
        }
        #expect(kept > 100 && discarded > 100)
    }

    @Test("contacts by the thousand agree with a slow evaluator", arguments: 0..<8)
    func agreesWithTheSlowEvaluator(_ seed: Int) throws {
        var random = RandomSource(seed: UInt64(seed) + 200)
        var (kept, discarded) = (0, 0)
        for _ in 0..<1000 {
            let contact = MadeTag.some(using: &random)
            let accept = (0..<Int.random(in: 0...3, using: &random)).map { _ in MadePredicate(using: &random) }
            let reject = (0..<Int.random(in: 0...1, using: &random)).map { _ in MadePredicate(using: &random) }
            guard !accept.isEmpty || !reject.isEmpty else { continue }
            let expected = rating(contact, accept, reject)
            if expected.isDiscarded { discarded += 1 } else { kept += 1 }
            let headers = accept.map { "Accept-Contact: \($0.text)" } + reject.map { "Reject-Contact: \($0.text)" }
            let parameters = Array(contact.map(\.text).joined().utf8)
            try withRequest("INVITE sip:bob@home1.test SIP/2.0", headers) { message in
                let found = CallerPreferences(message).rating(contactParameters: parameters.span.bytes)
                #expect(found.isDiscarded == expected.isDiscarded, "\(contact.map(\.text)) \(headers)")
                #expect(abs(found.preference - expected.preference) < 1e-9, "\(contact.map(\.text)) \(headers)")
            }
        }
        #expect(kept > 200 && discarded > 100)
    }
}
