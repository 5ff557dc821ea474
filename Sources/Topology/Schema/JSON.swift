// JSON as it is written, with the order of its members kept: what the schema is made of.

indirect enum JSON: Sendable, Equatable {
    case text(String)
    case number(Int)
    case bool(Bool)
    case list([JSON])
    case object([Member])
    /// A number or null, as it is written.
    case literal(String)

    struct Member: Sendable, Equatable {
        var name: String
        var value: JSON
        init(_ name: String, _ value: JSON) {
            self.name = name
            self.value = value
        }
    }

    /// Indented by two spaces a level.
    func written(indent: Int = 0) -> String {
        let inner = String(repeating: " ", count: indent + 2)
        let outer = String(repeating: " ", count: indent)
        switch self {
        case .text(let text): return JSON.quoted(text)
        case .number(let number): return String(number)
        case .bool(let bool): return bool ? "true" : "false"
        case .literal(let text): return text
        case .list(let elements):
            if elements.isEmpty { return "[]" }
            let isShort = elements.allSatisfy { if case .object = $0 { false } else { true } }
            if isShort { return "[" + elements.map { $0.written() }.joined(separator: ", ") + "]" }
            return "[\n" + elements.map { inner + $0.written(indent: indent + 2) }.joined(separator: ",\n") + "\n\(outer)]"
        case .object(let members):
            if members.isEmpty { return "{}" }
            let lines = members.map { "\(inner)\(JSON.quoted($0.name)): \($0.value.written(indent: indent + 2))" }
            return "{\n" + lines.joined(separator: ",\n") + "\n\(outer)}"
        }
    }

    /// On one line.
    var compact: String {
        switch self {
        case .list(let elements): "[" + elements.map(\.compact).joined(separator: ",") + "]"
        case .object(let members): "{" + members.map { "\(JSON.quoted($0.name)):\($0.value.compact)" }.joined(separator: ",") + "}"
        default: written()
        }
    }

    /// What YAML says, as JSON: plain scalars that are numbers, truth values or nothing are that, and all others are texts.
    init(_ node: Node) {
        switch node.content {
        case .text(let text, let isPlain): self = isPlain ? JSON.plain(text) : .text(text)
        case .list(let elements): self = .list(elements.map(JSON.init))
        case .map(let entries): self = .object(entries.map { Member($0.key, JSON($0.value)) })
        case .unreadable: self = .literal("null")
        }
    }

    private static func plain(_ text: String) -> JSON {
        switch text {
        case "", "~", "null", "Null", "NULL": .literal("null")
        case "true", "True", "TRUE": .bool(true)
        case "false", "False", "FALSE": .bool(false)
        default: isNumber(text) ? .literal(text) : .text(text)
        }
    }

    /// Whether a text is a number of JSON as it stands (RFC 8259 section 6).
    static func isNumber(_ text: String) -> Bool {
        var rest = text.utf8[...]
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

    /// A text as it stands between the quotes of JSON.
    static func escaped(_ text: String) -> String { String(quoted(text).dropFirst().dropLast()) }

    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\t": quoted += "\\t"
            case "\u{0}"..<" ":
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
