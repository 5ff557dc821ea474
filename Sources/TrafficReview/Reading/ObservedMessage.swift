// What a review is given: messages as the core recorded them.

public import SIPTrace
public import SansIO

/// A message that the core received or sent.
public struct ObservedMessage: Hashable, Sendable {
    /// Its number in the trace, from 1.
    public var sequence: UInt64
    public var time: WallTime
    /// Whether the core received it; only then is it judged.
    public var isIncoming: Bool
    public var transport: Transport
    /// The address at the other end.
    public var remote: Endpoint
    /// The name of the node there; nil: none is known, as of a user.
    public var peer: String?
    /// What a fault rule did to it: that is nobody's fault.
    public var mark: TraceMark
    public var octets: [UInt8]

    public init(
        sequence: UInt64, time: WallTime, isIncoming: Bool, transport: Transport, remote: Endpoint, peer: String?,
        mark: TraceMark = .none, octets: [UInt8]
    ) {
        self.sequence = sequence
        self.time = time
        self.isIncoming = isIncoming
        self.transport = transport
        self.remote = remote
        self.peer = peer
        self.mark = mark
        self.octets = octets
    }

    public init(_ message: TracedMessage) {
        self.init(
            sequence: message.sequence, time: message.time, isIncoming: message.direction == .incoming, transport: message.transport,
            remote: message.remote, peer: message.peer, mark: message.mark, octets: message.octets)
    }
}
