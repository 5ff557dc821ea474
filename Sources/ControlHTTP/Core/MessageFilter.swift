// The filters of `GET /api/messages`. The cheap ones come first; nothing of a message is copied to compare it.

import SIPMessage
import SIPTrace
import SansIO

/// What a message must be.
struct MessageFilter: Sendable {
    static let parameters = ["method", "status", "from", "to", "call_id", "peer", "direction", "text", "header.*"]

    private enum Direction: String, CaseIterable { case `in`, out }

    /// A URI to compare with.
    private struct Identity: Sendable {
        let text: String
        let octets: [UInt8]
        let uri: SIPURI
    }

    /// A header field to be there with a value.
    private struct HeaderTerm: Sendable {
        let name: String
        let value: [UInt8]
    }

    private let method: [UInt8]?
    private let status: UInt16?
    private let from: Identity?
    private let to: Identity?
    private let callID: [UInt8]?
    private let peer: String?
    private let direction: TraceDirection?
    /// In small letters.
    private let text: [UInt8]?
    private let headers: [HeaderTerm]

    init(_ query: Query) throws(APIError) {
        method = try MessageFilter.method(query)
        status = try query.number("status", in: 100...699).map { UInt16($0) }
        from = try MessageFilter.identity(query, "from")
        to = try MessageFilter.identity(query, "to")
        callID = query.text("call_id").map { Array($0.utf8) }
        peer = query.text("peer")
        direction = try query.word("direction", Direction.self).map { $0 == .in ? .incoming : .outgoing }
        text = query.text("text").map { $0.utf8.map(\.asciiLowercased) }
        headers = try query.texts(beginning: "header.").map { (name, value) throws(APIError) in
            guard name.utf8.allSatisfy(\.isTokenCharacter) else {
                throw APIError(.badRequest, "\(name) is no header name; write one such as header.Accept-Contact", field: "header.\(name)")
            }
            return HeaderTerm(name: name, value: Array(value.utf8))
        }
    }

    private static func method(_ query: Query) throws(APIError) -> [UInt8]? {
        guard let text = query.text("method") else { return nil }
        let octets = Array(text.utf8)
        guard octets.allSatisfy(\.isTokenCharacter) else {
            throw APIError(.badRequest, "\(text) is no method; write one such as MESSAGE", field: "method")
        }
        // Methods have case (RFC 3261 §7.1), so this one would find nothing.
        let capitals = Array(text.uppercased().utf8)
        if octets != capitals, Method(capitals.span.bytes) != .other {
            throw APIError(.badRequest, "\(text) is no method; write \(text.uppercased())", field: "method")
        }
        return octets
    }

    private static func identity(_ query: Query, _ name: String) throws(APIError) -> Identity? {
        guard let text = query.text(name) else { return nil }
        let octets = Array(text.utf8)
        guard octets.count <= MessageLimit.uri, let uri = octets.span.bytes.uri(Slice(0, octets.count)) else {
            throw APIError(.badRequest, "\(text) is no URI; write one such as sip:alice@home1.test", field: name)
        }
        return Identity(text: text, octets: octets, uri: uri)
    }

    // MARK: Matching

    /// By what is known without reading the message.
    func admits(_ message: RecordedMessage) -> Bool { direction == nil || direction == message.direction }

    /// By the node at the other end: its name, or its address and port.
    func admits(peer name: String?, at remote: Endpoint) -> Bool {
        guard let peer else { return true }
        return name == peer || (name == nil && remote.text == peer)
    }

    /// By what stands in it.
    func admits(_ message: borrowing Message) -> Bool {
        if let status, !MessageFilter.has(status, message) { return false }
        if let method, !MessageFilter.has(method, message) { return false }
        if let callID, !MessageFilter.hasCallID(callID, message) { return false }
        if let from, !MessageFilter.names(from, in: .from, of: message) { return false }
        if let to, !MessageFilter.names(to, in: .to, of: message) { return false }
        for header in headers where !MessageFilter.has(header, message) { return false }
        if let text, !MessageFilter.contains(text, message.bytes) { return false }
        return true
    }

    /// Anywhere in the message, whatever the case of ASCII letters.
    private static func contains(_ text: [UInt8], _ bytes: RawSpan) -> Bool {
        guard let first = text.first, bytes.byteCount >= text.count else { return text.isEmpty }
        for start in 0...(bytes.byteCount - text.count) where bytes[start].asciiLowercased == first {
            var count = 1
            while count < text.count, bytes[start + count].asciiLowercased == text[count] { count += 1 }
            if count == text.count { return true }
        }
        return false
    }

    private static func has(_ status: UInt16, _ message: borrowing Message) -> Bool { !message.isRequest && message.status == status }

    private static func has(_ method: [UInt8], _ message: borrowing Message) -> Bool {
        message.methodName.map { message.bytes[$0].equals(method) } ?? false
    }

    private static func hasCallID(_ callID: [UInt8], _ message: borrowing Message) -> Bool {
        message.value(.callID).map { message.bytes[$0].equals(callID) } ?? false
    }

    private static func names(_ identity: Identity, in header: HeaderName, of message: borrowing Message) -> Bool {
        guard let value = message.value(header), let address = message.bytes.nameAddress(value) else { return false }
        return message.bytes.isEquivalent(address.uri, to: identity.uri, in: identity.octets.span.bytes)
    }

    /// As the whole value of a field, or as one of the values that it lists.
    private static func has(_ header: HeaderTerm, _ message: borrowing Message) -> Bool {
        let bytes = message.bytes
        for index in message.fields.indices where message.fields[index].isNamed(header.name, in: bytes) {
            let field = message.fields[index]
            if bytes[field.value].equals(header.value) { return true }
            if field.isFolded, Array(field.text(in: bytes).utf8) == header.value { return true }
            var rest = field.value
            while !rest.isEmpty {
                if bytes[bytes.nextListValue(&rest)].equals(header.value) { return true }
            }
        }
        return false
    }
}

// MARK: Differences

/// Where a message is other than it was asked for.
struct MessageDifference: Sendable {
    /// The parameter that it does not meet: `method`, `header.Accept-Contact`.
    var field: String
    var wanted: String
    /// What it has in its place, the values of several header fields with commas between; nil: nothing.
    var found: String?
}

extension MessageFilter {
    /// Each term that a message does not meet.
    func differences(from recorded: RecordedMessage, _ message: borrowing Message, peer name: String?) -> [MessageDifference] {
        var found: [MessageDifference] = []
        func note(_ field: String, _ wanted: String, _ values: [String]) {
            let text = values.isEmpty ? nil : values.joined(separator: ", ")
            found.append(MessageDifference(field: field, wanted: wanted, found: text))
        }
        if let method, !MessageFilter.has(method, message) {
            note("method", String(decoding: method, as: UTF8.self), message.methodName.map { [String(octets: message.bytes[$0])] } ?? [])
        }
        if let status, !MessageFilter.has(status, message) { note("status", "\(status)", message.isRequest ? [] : ["\(message.status)"]) }
        if let from, !MessageFilter.names(from, in: .from, of: message) { note("from", from.text, message.texts(of: "From")) }
        if let to, !MessageFilter.names(to, in: .to, of: message) { note("to", to.text, message.texts(of: "To")) }
        if let callID, !MessageFilter.hasCallID(callID, message) {
            note("call_id", String(decoding: callID, as: UTF8.self), message.texts(of: "Call-ID"))
        }
        if let peer, !admits(peer: name, at: recorded.remote) { note("peer", peer, [name ?? recorded.remote.text]) }
        if let direction, !admits(recorded) {
            note("direction", direction == .incoming ? "in" : "out", [direction == .incoming ? "out" : "in"])
        }
        if let text, !MessageFilter.contains(text, message.bytes) { note("text", String(decoding: text, as: UTF8.self), []) }
        for header in headers where !MessageFilter.has(header, message) {
            note("header.\(header.name)", String(decoding: header.value, as: UTF8.self), message.texts(of: header.name))
        }
        return found
    }
}

extension HeaderField {
    /// By the long name or the short one, whatever the case (RFC 3261 §7.3.1, §7.3.3).
    fileprivate func isNamed(_ text: String, in bytes: RawSpan) -> Bool {
        let octets = Array(text.utf8)
        let wanted = HeaderName(octets.span.bytes)
        return wanted == .other ? name == .other && bytes[nameSlice].equalsIgnoringCase(octets.span.bytes) : name == wanted
    }
}

extension Message {
    /// The name of a request's method, or of the one that a response answers.
    var methodName: Slice? {
        if isRequest { return shape.methodName.isEmpty ? nil : shape.methodName }
        guard let value = value(.cseq) else { return nil }
        var start = value.lower
        while start < value.upper, bytes[start].isASCIIDigit { start += 1 }
        let name = bytes.trimmed(Slice(start, value.upper))
        return name.isEmpty ? nil : name
    }

    /// The values of all header fields of a name.
    fileprivate func texts(of name: String) -> [String] {
        var texts: [String] = []
        for index in fields.indices where fields[index].isNamed(name, in: bytes) { texts.append(fields[index].text(in: bytes)) }
        return texts
    }
}
