import SansIO
import Testing

@testable import IMSProfile

/// The slow and obvious way: a random expression knows its own text, and matches by trying everything.
private indirect enum Expression {
    case character(UInt8)
    case any
    case set(negated: Bool, members: [UInt8])
    case start
    case end
    case sequence([Expression])
    case choice([Expression])
    case repetition(Expression, least: Int, most: Int?)

    var text: String {
        switch self {
        case .character(let byte): String(UnicodeScalar(byte))
        case .any: "."
        case .set(let negated, let members): "[" + (negated ? "^" : "") + String(decoding: members, as: UTF8.self) + "]"
        case .start: "^"
        case .end: "$"
        case .sequence(let parts): parts.map { "(" + $0.text + ")" }.joined()
        case .choice(let parts): parts.map(\.text).joined(separator: "|")
        case .repetition(let part, 0, nil): "(\(part.text))*"
        case .repetition(let part, 1, nil): "(\(part.text))+"
        case .repetition(let part, 0, 1): "(\(part.text))?"
        case .repetition(let part, let least, nil): "(\(part.text)){\(least),}"
        case .repetition(let part, let least, let most?): "(\(part.text)){\(least),\(most)}"
        }
    }

    func matches(_ subject: [UInt8], _ offset: Int, then rest: (Int) -> Bool) -> Bool {
        switch self {
        case .character(let byte): return offset < subject.count && subject[offset] == byte && rest(offset + 1)
        case .any: return offset < subject.count && rest(offset + 1)
        case .set(let negated, let members):
            return offset < subject.count && members.contains(subject[offset]) != negated && rest(offset + 1)
        case .start: return offset == 0 && rest(offset)
        case .end: return offset == subject.count && rest(offset)
        case .sequence(let parts):
            guard let first = parts.first else { return rest(offset) }
            let others = Expression.sequence(Array(parts.dropFirst()))
            return first.matches(subject, offset) { others.matches(subject, $0, then: rest) }
        case .choice(let parts): return parts.contains { $0.matches(subject, offset, then: rest) }
        case .repetition(let part, let least, let most):
            if least == 0 && rest(offset) { return true }
            if most == 0 { return false }
            let again = Expression.repetition(part, least: max(0, least - 1), most: most.map { $0 - 1 })
            return part.matches(subject, offset) { reached in
                // A round that consumed nothing need not be repeated, unless the least number asks for it.
                (reached > offset || least > 0) && again.matches(subject, reached, then: rest)
            }
        }
    }

    func isFound(in subject: [UInt8]) -> Bool {
        (0...subject.count).contains { matches(subject, $0) { _ in true } }
    }

    static func random(depth: Int, _ random: inout RandomSource) -> Expression {
        let letters = Array("abc".utf8)
        func parts(_ random: inout RandomSource) -> [Expression] {
            (0..<Int.random(in: 1...3, using: &random)).map { _ in .random(depth: depth - 1, &random) }
        }
        switch Int.random(in: 0..<(depth == 0 ? 6 : 12), using: &random) {
        case 0...2: return .character(letters.randomElement(using: &random) ?? 0)
        case 3: return .any
        case 4: return .set(negated: .random(using: &random), members: letters.filter { _ in .random(using: &random) } + [0x7A])
        case 5: return Bool.random(using: &random) ? .start : .end
        case 6...8: return .sequence(parts(&random))
        case 9, 10: return .choice(parts(&random))
        default:
            let least = Int.random(in: 0...2, using: &random)
            let most = Bool.random(using: &random) ? nil : Int.random(in: max(1, least)...3, using: &random)
            return .repetition(.random(depth: depth - 1, &random), least: least, most: most)
        }
    }
}

@Suite("Regular expressions against backtracking")
struct BacktrackingOracleTests {
    @Test("random expressions and subjects, walked and simulated", arguments: 0..<8)
    func agree(_ seed: Int) throws {
        var random = RandomSource(seed: UInt64(seed))
        for _ in 0..<60 {
            let expression = Expression.random(depth: 3, &random)
            let compiled = try RegularExpression(expression.text)
            let simulated = try NondeterministicAutomaton(accepting: try parse(expression.text))
            for _ in 0..<12 {
                let subject = (0..<Int.random(in: 0...9, using: &random)).map { _ in UInt8.random(in: 0x61...0x64, using: &random) }
                let expected = expression.isFound(in: subject)
                let text = String(decoding: subject, as: UTF8.self)
                #expect(compiled.matches(subject) == expected, "\(expression.text) in \(text)")
                #expect(simulated.matches(subject) == expected, "\(expression.text) in \(text), simulated")
            }
        }
    }

    @Test("the search for the first byte finds it at every offset")
    func wakesAtEveryOffset() throws {
        let expression = try RegularExpression("#[#!]")
        for length in 0..<40 {
            for offset in 0..<max(length - 1, 0) {
                var subject = [UInt8](repeating: 0x22, count: length)
                #expect(!expression.matches(subject))
                subject[offset] = 0x23
                #expect(!expression.matches(subject))
                subject[offset + 1] = 0x21
                #expect(expression.matches(subject))
            }
        }
    }
}
