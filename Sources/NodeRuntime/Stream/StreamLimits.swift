public import SansIO

/// Bounds that keep one peer, or many, from using up a node's streams and memory.
public struct StreamLimits: Hashable, Sendable {
    /// Streams that peers opened; one more is closed at once.
    public var connections = 10_000
    /// The same for those from one address.
    public var connectionsPerPeer = 5_000
    /// How long a stream may be silent both ways that is of no use to the node. One that is, as for a registration, stays for
    /// as long as the node has patience; that its peer is still there the system finds out (TCP keep-alive).
    public var idle = TimeSpan.seconds(180)
    /// After how long a silence the node is asked for its patience, and again while the silence lasts; nil: as `idle`.
    public var question: TimeSpan?
    /// How long a message may take from its first octet to its last.
    public var messageCompletion = TimeSpan.seconds(30)
    /// How long opening a stream may take.
    public var connect = TimeSpan.seconds(5)
    /// How long the handshakes of TLS and WebSocket may take, the opening of the stream included. Until then a stream
    /// counts like an open one.
    public var handshake = TimeSpan.seconds(10)
    /// Streams of peers whose handshake may be under way at once: one more ends the one that has waited longest, so that
    /// those who begin many and end none keep nobody out.
    public var handshakes = 1000
    /// Octets that may wait to be written on one stream, or for it to be opened.
    public var outboundOctets = 1 << 20

    public init() {}

    var silenceBeforeQuestion: TimeSpan { min(question ?? idle, idle) }
}
