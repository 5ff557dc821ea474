// The reading of JSON.

struct JSONParser {
    let text: [UInt8]
    var position = 0
    /// Deeper nesting is refused, as RFC 8259 section 9 allows.
    static let deepest = 64

    init(text: [UInt8]) { self.text = text }

    mutating func document() -> JSON? {
        guard let result = value(depth: 0) else { return nil }
        skipSpace()
        return position == text.count ? result : nil
    }

    private mutating func value(depth: Int) -> JSON? {
        skipSpace()
        guard depth < JSONParser.deepest, position < text.count else { return nil }
        switch text[position] {
        case UInt8(ascii: "{"): return object(depth: depth)
        case UInt8(ascii: "["): return array(depth: depth)
        case UInt8(ascii: "\""): return string().map(JSON.text)
        case UInt8(ascii: "t"): return word("true", .boolean(true))
        case UInt8(ascii: "f"): return word("false", .boolean(false))
        case UInt8(ascii: "n"): return word("null", .null)
        default: return number()
        }
    }

    private mutating func object(depth: Int) -> JSON? {
        var members: [JSON.Member] = []
        position += 1
        if take("}") { return .object([]) }
        repeat {
            skipSpace()
            guard let name = string(), take(":"), let member = value(depth: depth + 1) else { return nil }
            members.append(JSON.Member(name, member))
        } while take(",")
        return take("}") ? .object(members) : nil
    }

    private mutating func array(depth: Int) -> JSON? {
        var elements: [JSON] = []
        position += 1
        if take("]") { return .list([]) }
        repeat {
            guard let element = value(depth: depth + 1) else { return nil }
            elements.append(element)
        } while take(",")
        return take("]") ? .list(elements) : nil
    }

    private mutating func string() -> String? {
        guard position < text.count, text[position] == UInt8(ascii: "\"") else { return nil }
        position += 1
        var bytes: [UInt8] = []
        while position < text.count {
            let byte = text[position]
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return String(validating: bytes, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard let escaped = escape() else { return nil }
                bytes += escaped
            case 0..<0x20: return nil
            default: bytes.append(byte)
            }
        }
        return nil
    }

    private mutating func escape() -> [UInt8]? {
        guard position < text.count else { return nil }
        let byte = text[position]
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
        case UInt8(ascii: "b"): return [8]
        case UInt8(ascii: "f"): return [12]
        case UInt8(ascii: "n"): return [10]
        case UInt8(ascii: "r"): return [13]
        case UInt8(ascii: "t"): return [9]
        case UInt8(ascii: "u"): return unicodeEscape()
        default: return nil
        }
    }

    /// One code unit, or two that are a surrogate pair.
    private mutating func unicodeEscape() -> [UInt8]? {
        guard let first = codeUnit() else { return nil }
        var units = [first]
        if UTF16.isLeadSurrogate(first), position + 1 < text.count, text[position] == UInt8(ascii: "\\"),
            text[position + 1] == UInt8(ascii: "u")
        {
            position += 2
            guard let second = codeUnit() else { return nil }
            units.append(second)
        }
        return String(validating: units, as: UTF16.self).map { Array($0.utf8) }
    }

    private mutating func codeUnit() -> UInt16? {
        guard position + 4 <= text.count else { return nil }
        let digits = String(decoding: text[position..<(position + 4)], as: UTF8.self)
        position += 4
        guard digits.utf8.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }) else { return nil }
        return UInt16(digits, radix: 16)
    }

    private mutating func number() -> JSON? {
        let start = position
        while position < text.count, JSONParser.isOfNumber(text[position]) { position += 1 }
        let digits = String(decoding: text[start..<position], as: UTF8.self)
        return JSON(number: digits)
    }

    private static func isOfNumber(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."), UInt8(ascii: "e"),
            UInt8(ascii: "E"):
            true
        default: false
        }
    }

    private mutating func word(_ word: String, _ value: JSON) -> JSON? {
        guard text[position...].starts(with: word.utf8) else { return nil }
        position += word.utf8.count
        return value
    }

    /// Skips space and the character, if it is next.
    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard position < text.count, text[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func skipSpace() {
        while position < text.count, [0x20, 0x09, 0x0a, 0x0d].contains(text[position]) { position += 1 }
    }
}

extension JSON {
    /// A number as RFC 8259 §6 has it, or nil if the text is none.
    public init?(number text: String) {
        guard JSON.isNumber(text.utf8[...]) else { return nil }
        self = Int64(text).map(JSON.integer) ?? .number(text)
    }

    private static func isNumber(_ text: Substring.UTF8View) -> Bool {
        var rest = text
        func digits() -> Int {
            let count = rest.prefix { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }.count
            rest = rest.dropFirst(count)
            return count
        }
        if rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
        let hasLeadingZero = rest.first == UInt8(ascii: "0")
        let whole = digits()
        guard whole == 1 || (whole > 1 && !hasLeadingZero) else { return false }
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            if digits() == 0 { return false }
        }
        if let mark = rest.first, mark | 0x20 == UInt8(ascii: "e") {
            rest = rest.dropFirst()
            if rest.first == UInt8(ascii: "+") || rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
            if digits() == 0 { return false }
        }
        return rest.isEmpty
    }
}
