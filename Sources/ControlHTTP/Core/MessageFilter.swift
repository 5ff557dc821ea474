// The filters of `GET /api/messages`. The cheap ones come first; nothing of a message is copied to compare it.

import SIPMessage
import SIPTrace
import SansIO

/// What a message must be.
struct MessageFilter: Sendable {
    private enum Direction: String, CaseIterable { case `in`, out }

    /// A URI to compare with.
    private struct Identity: Sendable {
        let octets: [UInt8]
        let uri: SIPURI
    }

    private let method: [UInt8]?
    private let status: UInt16?
    private let from: Identity?
    private let to: Identity?
    private let callID: [UInt8]?
    private let peer: String?
    private let direction: TraceDirection?

    init(_ query: Query) throws(APIError) {
        method = try MessageFilter.method(query)
        status = try query.number("status", in: 100...699).map { UInt16($0) }
        from = try MessageFilter.identity(query, "from")
        to = try MessageFilter.identity(query, "to")
        callID = query.text("call_id").map { Array($0.utf8) }
        peer = query.text("peer")
        direction = try query.word("direction", Direction.self).map { $0 == .in ? .incoming : .outgoing }
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
        return Identity(octets: octets, uri: uri)
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
        if let status, message.isRequest || message.status != status { return false }
        if let method {
            guard let found = message.methodName, message.bytes[found].equals(method) else { return false }
        }
        if let callID {
            guard let found = message.value(.callID), message.bytes[found].equals(callID) else { return false }
        }
        if let from, !MessageFilter.names(from, in: .from, of: message) { return false }
        if let to, !MessageFilter.names(to, in: .to, of: message) { return false }
        return true
    }

    private static func names(_ identity: Identity, in header: HeaderName, of message: borrowing Message) -> Bool {
        guard let value = message.value(header), let address = message.bytes.nameAddress(value) else { return false }
        return message.bytes.isEquivalent(address.uri, to: identity.uri, in: identity.octets.span.bytes)
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
}
