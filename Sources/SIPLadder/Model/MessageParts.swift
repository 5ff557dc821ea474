// What a ladder says of a message: its start line and header fields as text, under their long names.

import SIPMessage
import SansIO

/// A message taken apart, as far as it can be read.
public struct MessageParts: Hashable, Sendable {
    /// A header field with its long name, its value on one line.
    public struct Header: Hashable, Sendable {
        public var name: String
        public var value: String

        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    public private(set) var startLine: String
    /// Of a response the one that it answers; nil: the message does not say.
    public private(set) var method: String?
    /// nil in a request.
    public private(set) var status: Int?
    public private(set) var reason: String
    public private(set) var callID: String?
    /// Number and method, with one space in between.
    public private(set) var cseq: String?
    /// Of the topmost Via.
    public private(set) var branch: String?
    /// In the order of the message.
    public private(set) var headers: [Header] = []
    public private(set) var body: [UInt8]

    public init(_ octets: [UInt8]) {
        var scanner = MessageScanner()
        let bytes = octets.span.bytes
        _ = scanner.scan(bytes)
        let message = scanner.message(bytes)
        startLine = MessageParts.startLine(of: octets)
        status = message.isRequest ? nil : Int(message.status)
        reason = String(octets: bytes[message.shape.reason])
        callID = message.value(.callID).map { String(octets: bytes[$0]) }
        branch = message.value(.via).flatMap { value in
            var rest = value
            let first = bytes.nextListValue(&rest)
            return bytes.via(first).flatMap { $0.branch.isEmpty ? nil : String(octets: bytes[$0.branch]) }
        }
        let sequence = message.value(.cseq).map { String(octets: bytes[$0]).split(whereSeparator: \.isWhitespace).map(String.init) }
        cseq = sequence.flatMap { $0.count == 2 ? $0.joined(separator: " ") : nil }
        let requested = message.shape.methodName
        method = message.isRequest ? (requested.isEmpty ? nil : String(octets: bytes[requested])) : sequence?.last
        body = [UInt8](message.body)
        for index in message.fields.indices {
            let field = message.fields[index]
            let name = field.name == .other ? String(octets: bytes[field.nameSlice]) : "\(field.name.text)"
            let value = String(octets: bytes[field.value])
            headers.append(Header(name: name, value: field.isFolded ? MessageParts.unfolded(value) : value))
        }
    }

    public func value(of header: String) -> String? { headers.first { $0.name == header }?.value }

    /// The first line that is not empty.
    private static func startLine(of octets: [UInt8]) -> String {
        let line = octets.drop { $0 == 0x0D || $0 == 0x0A }.prefix { $0 != 0x0D && $0 != 0x0A }
        return String(decoding: line, as: UTF8.self)
    }

    /// Line ends with the white space around them become one space (RFC 3261 §7.3.1).
    private static func unfolded(_ value: String) -> String {
        value.split(whereSeparator: \.isNewline).map { line in
            String(line.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
        }.filter { !$0.isEmpty }.joined(separator: " ")
    }
}

// MARK: In a few words

extension MessageParts {
    /// What stands on an arrow: `REGISTER`, `401 Unauthorized`.
    public var label: String {
        guard let status else { return method ?? (startLine.isEmpty ? "(empty)" : String(startLine.prefix(40))) }
        return reason.isEmpty ? "\(status)" : "\(status) \(reason)"
    }

    /// What stands beside it: whom it is about, and what a person wrote.
    public var detail: String {
        guard status == nil else { return method.map { "to \($0)" } ?? "" }
        var words = [value(of: "To").map(MessageParts.uri) ?? ""]
        if method == "REGISTER", let expires = value(of: "Expires") { words.append("expires \(expires)") }
        if value(of: "Content-Type")?.lowercased().hasPrefix("text/plain") == true, !body.isEmpty {
            words.append("\"\(String(decoding: body.prefix(240), as: UTF8.self).prefix(60))\"")
        }
        return words.filter { !$0.isEmpty }.joined(separator: " ")
    }

    /// The URI in a value of To, From or Contact, without its parameters.
    static func uri(inAddress value: String) -> String {
        guard let open = value.firstIndex(of: "<") else { return String(value.prefix { $0 != ";" }) }
        return String(value[value.index(after: open)...].prefix { $0 != ">" && $0 != ";" })
    }
}
