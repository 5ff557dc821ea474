import SansIO
import Testing

@testable import IMSProfile

/// A bracket expression as it is made up, with what it means of one octet (IEEE Std 1003.1, clause 9.3.5, in the POSIX locale).
private struct MadeBracket {
    var text: String
    private var isNegated: Bool
    private var members: [(UInt8) -> Bool] = []

    private static let letters = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)
    private static let others = Array(" !#$%&*+,./:;<=>?@_{|}~\\".utf8)
    private static let classes: [(String, ClosedRange<UInt8>, except: @Sendable (UInt8) -> Bool)] = [
        ("alpha", 0x41...0x7A, { $0 > 0x5A && $0 < 0x61 }), ("digit", 0x30...0x39, { _ in false }),
        ("alnum", 0x30...0x7A, { $0 > 0x39 && $0 < 0x41 || $0 > 0x5A && $0 < 0x61 }), ("upper", 0x41...0x5A, { _ in false }),
        ("lower", 0x61...0x7A, { _ in false }), ("space", 0x09...0x20, { $0 > 0x0D && $0 < 0x20 }),
        ("blank", 0x09...0x20, { $0 > 0x09 && $0 < 0x20 }), ("cntrl", 0x00...0x7F, { $0 > 0x1F && $0 < 0x7F }),
        ("print", 0x20...0x7E, { _ in false }), ("graph", 0x21...0x7E, { _ in false }),
        ("punct", 0x21...0x7E, { letters.contains($0) }), ("xdigit", 0x30...0x66, { $0 > 0x39 && $0 < 0x41 || $0 > 0x46 && $0 < 0x61 }),
    ]

    init(using random: inout RandomSource) {
        isNegated = Bool.random(using: &random)
        text = isNegated ? "[^" : "["
        // A closing bracket that comes first, and a hyphen that comes last, stand for themselves.
        if Int.random(in: 0..<4, using: &random) == 0 { add("]") { $0 == 0x5D } }
        for _ in 0..<Int.random(in: 1...3, using: &random) { addItem(using: &random) }
        if Int.random(in: 0..<4, using: &random) == 0 { add("-") { $0 == 0x2D } }
        text += "]"
    }

    private mutating func add(_ item: String, _ holds: @escaping (UInt8) -> Bool) {
        text += item
        members.append(holds)
    }

    private mutating func addItem(using random: inout RandomSource) {
        func pick(_ octets: [UInt8]) -> UInt8 { octets[Int.random(in: 0..<octets.count, using: &random)] }
        func word(_ octet: UInt8) -> String { String(UnicodeScalar(octet)) }
        switch Int.random(in: 0..<6, using: &random) {
        case 0:
            let letter = pick(MadeBracket.letters)
            add(word(letter)) { $0 == letter }
        case 1:
            let other = pick(MadeBracket.others)
            add(word(other)) { $0 == other }
        case 2:
            let (one, two) = (pick(MadeBracket.letters), pick(MadeBracket.letters))
            let range = min(one, two)...max(one, two)
            add("\(word(range.lowerBound))-\(word(range.upperBound))") { range.contains($0) }
        case 3:
            let symbol = pick(Array("-a]^".utf8))
            add("[.\(word(symbol)).]") { $0 == symbol }
        case 4:
            let letter = pick(MadeBracket.letters)
            add("[=\(word(letter))=]") { $0 == letter }
        default:
            let (name, range, except) = MadeBracket.classes[Int.random(in: 0..<MadeBracket.classes.count, using: &random)]
            add("[:\(name):]") { range.contains($0) && !except($0) }
        }
    }

    func holds(_ octet: UInt8, ignoringCase: Bool) -> Bool {
        var forms = [octet]
        let isLetter = (0x41...0x5A).contains(octet) || (0x61...0x7A).contains(octet)
        if ignoringCase, isLetter { forms.append(octet ^ 0x20) }
        return forms.contains { form in members.contains { $0(form) } } != isNegated
    }
}

@Suite("Bracket expressions, octet by octet")
struct BracketOracleTests {
    @Test("each octet is in the set, or is not, as the slow way has it", arguments: 0..<4)
    func agree(_ seed: Int) throws {
        var random = RandomSource(seed: UInt64(seed) + 300)
        for _ in 0..<150 {
            let bracket = MadeBracket(using: &random)
            for ignoringCase in [false, true] {
                let compiled = try RegularExpression("^\(bracket.text)$", ignoringCase: ignoringCase)
                for octet in UInt8.min...UInt8.max {
                    let expected = bracket.holds(octet, ignoringCase: ignoringCase)
                    #expect(compiled.matches([octet]) == expected, "\(bracket.text) and \(octet), ignoring case: \(ignoringCase)")
                }
            }
        }
    }

    /// What is cut off a subject that is too long is not searched, and its cut is no end.
    @Test("in a long subject the first 8192 octets are searched")
    func longSubjects() throws {
        let length = RegularExpression.longestSubject
        for pattern in ["b", "b$", "^a*$", "ab?$", "a$|b"] {
            let compiled = try RegularExpression(pattern)
            for (place, count) in [(length - 1, length), (length - 1, length + 1), (length, length + 1), (0, length + 9)] {
                var subject = [UInt8](repeating: 0x61, count: count)
                subject[place] = 0x62
                let visible = subject.prefix(length)
                let isCut = count > length
                let expected =
                    switch pattern {
                    case "b": visible.contains(0x62)
                    case "b$": !isCut && visible.last == 0x62
                    case "^a*$": !isCut && !visible.contains(0x62)
                    case "ab?$": !isCut && (visible.last == 0x61 || visible.dropLast().last == 0x61)
                    default: visible.contains(0x62) || (!isCut && visible.last == 0x61)
                    }
                #expect(compiled.matches(subject) == expected, "\(pattern), b at \(place) of \(count)")
            }
        }
    }
}
