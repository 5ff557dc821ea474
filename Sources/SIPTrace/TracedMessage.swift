// A recorded message as a plain value, for whoever reads a trace outside of the process that recorded it too.

public import SansIO

/// A message that a node received or sent, with all that the trace knows of it.
public struct TracedMessage: Hashable, Sendable {
    /// Its number in the trace, from 1.
    public var sequence: UInt64
    public var time: WallTime
    /// Seen from the node that recorded it.
    public var direction: TraceDirection
    public var transport: Transport
    /// The name of the node at the other end; nil: none is known there.
    public var peer: String?
    /// The address of the recording node's listener.
    public var local: Endpoint
    /// Where it came from or went to.
    public var remote: Endpoint
    /// What a fault rule did to it.
    public var mark: TraceMark
    /// The message, as it was on a stream before TLS or WebSocket framed it.
    public var octets: [UInt8]

    public init(
        sequence: UInt64, time: WallTime, direction: TraceDirection, transport: Transport, peer: String? = nil, local: Endpoint,
        remote: Endpoint, mark: TraceMark = .none, octets: [UInt8]
    ) {
        self.sequence = sequence
        self.time = time
        self.direction = direction
        self.transport = transport
        self.peer = peer
        self.local = local
        self.remote = remote
        self.mark = mark
        self.octets = octets
    }

    public var source: Endpoint { direction == .incoming ? remote : local }
    public var destination: Endpoint { direction == .incoming ? local : remote }
}
