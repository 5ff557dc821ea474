// Which messages of a trace are wanted: the filters of `GET /api/messages`, for traces that no core holds.

import SIPMessage
public import SIPTrace
import SansIO

/// What a message must be; what is nil is not asked.
public struct TraceFilter: Hashable, Sendable {
    /// Of a response the one that it answers.
    public var method: String?
    public var status: Int?
    /// URIs that From and To must be equivalent to (RFC 3261 §19.1.4).
    public var from: String?
    public var to: String?
    public var callID: String?
    /// The name of the node at the other end; its address and port if it has none.
    public var peer: String?
    public var direction: TraceDirection?
    /// Only numbers over this one.
    public var since: UInt64 = 0
    /// The oldest so many.
    public var limit: Int = .max

    public init() {}

    /// Those of a trace that match.
    public func filtered(_ messages: [TracedMessage]) -> [TracedMessage] {
        Array(messages.lazy.filter(admits).prefix(limit))
    }

    private func admits(_ message: TracedMessage) -> Bool {
        guard message.sequence > since, direction == nil || direction == message.direction else { return false }
        if let peer, peer != message.peer ?? message.remote.text { return false }
        guard method != nil || status != nil || from != nil || to != nil || callID != nil else { return true }
        let parts = MessageParts(message.octets)
        return (method == nil || method == parts.method) && (status == nil || status == parts.status)
            && (callID == nil || callID == parts.callID) && TraceFilter.names(from, parts.value(of: "From"))
            && TraceFilter.names(to, parts.value(of: "To"))
    }

    private static func names(_ wanted: String?, _ value: String?) -> Bool {
        guard let wanted else { return true }
        guard let value else { return false }
        let (one, other) = (Array(wanted.utf8), Array(value.utf8))
        guard let uri = one.span.bytes.uri(Slice(0, one.count)), let address = other.span.bytes.nameAddress(Slice(0, other.count)) else {
            return false
        }
        return other.span.bytes.isEquivalent(address.uri, to: uri, in: one.span.bytes)
    }
}
