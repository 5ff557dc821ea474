// JSON (RFC 8259), small, and in the order in which it is given: ready lines and events are handed on as they came.

/// A JSON value.
public enum JSON: Sendable, Equatable {
    case null
    case boolean(Bool)
    /// A number that is whole and fits.
    case integer(Int64)
    /// Any other number, as it is written.
    case number(String)
    case text(String)
    case list([JSON])
    /// In the order of the text.
    case object([Member])

    public struct Member: Sendable, Equatable {
        public var name: String
        public var value: JSON

        public init(_ name: String, _ value: JSON) {
            self.name = name
            self.value = value
        }
    }

    /// The text as JSON, or nil if it is anything else, or nested deeper than 64 levels.
    public init?(_ text: some Sequence<UInt8>) {
        var parser = JSONParser(text: Array(text))
        guard let value = parser.document() else { return nil }
        self = value
    }

    /// A fraction; what is no finite number is null.
    public static func number(_ value: Double) -> JSON { value.isFinite ? .number(String(value)) : .null }

    /// An object without the members that have no value.
    public static func members(_ pairs: KeyValuePairs<String, JSON?>) -> JSON {
        .object(pairs.compactMap { name, value in value.map { Member(name, $0) } })
    }

    /// The first member of this name.
    public subscript(name: String) -> JSON? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name == name }?.value
    }

    public var text: String? { if case .text(let value) = self { value } else { nil } }
    public var integer: Int? { if case .integer(let value) = self { Int(exactly: value) } else { nil } }
    public var list: [JSON]? { if case .list(let values) = self { values } else { nil } }
    public var isObject: Bool { if case .object = self { true } else { false } }
}

// MARK: Writing

extension JSON: CustomStringConvertible {
    public var description: String { written }

    /// On one line, without spaces.
    public var written: String {
        var output = ""
        write(to: &output)
        return output
    }

    private func write(to output: inout String) {
        switch self {
        case .null: output += "null"
        case .boolean(let isTrue): output += isTrue ? "true" : "false"
        case .integer(let number): output += String(number)
        case .number(let digits): output += digits
        case .text(let text): JSON.write(text, to: &output)
        case .list(let values):
            output += "["
            for (index, value) in values.enumerated() {
                if index > 0 { output += "," }
                value.write(to: &output)
            }
            output += "]"
        case .object(let members):
            output += "{"
            for (index, member) in members.enumerated() {
                if index > 0 { output += "," }
                JSON.write(member.name, to: &output)
                output += ":"
                member.value.write(to: &output)
            }
            output += "}"
        }
    }

    /// For people: indented by two spaces a level; a list without objects is on one line.
    public func indented(by indent: Int = 0) -> String {
        let inner = String(repeating: " ", count: indent + 2)
        let outer = String(repeating: " ", count: indent)
        switch self {
        case .list(let values) where !values.isEmpty:
            if !values.contains(where: \.isObject) { return "[" + values.map { $0.indented() }.joined(separator: ", ") + "]" }
            return "[\n" + values.map { inner + $0.indented(by: indent + 2) }.joined(separator: ",\n") + "\n\(outer)]"
        case .object(let members) where !members.isEmpty:
            let lines = members.map { "\(inner)\(JSON.text($0.name).written): \($0.value.indented(by: indent + 2))" }
            return "{\n" + lines.joined(separator: ",\n") + "\n\(outer)}"
        default: return written
        }
    }

    /// A text as it stands between the quotes.
    public static func escaped(_ text: String) -> String { String(JSON.text(text).written.dropFirst().dropLast()) }

    /// What would end a line somewhere is escaped too, so that an object stays on one.
    private static func write(_ text: String, to output: inout String) {
        output += "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": output += "\\\""
            case "\\": output += "\\\\"
            case "\n": output += "\\n"
            case "\r": output += "\\r"
            case "\t": output += "\\t"
            case "\u{0}"..."\u{1f}", "\u{7f}", "\u{2028}", "\u{2029}":
                let digits = String(scalar.value, radix: 16)
                output += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: output.unicodeScalars.append(scalar)
            }
        }
        output += "\""
    }
}
