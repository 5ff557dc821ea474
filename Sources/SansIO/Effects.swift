// What a core wants done. A call into a core appends here; the shell drains when it likes. Effects own their octets and
// carry numbers, never closures, so a test can look at them and a simulator can act on them.

/// All lanes of a node's effects.
public struct Effects: ~Copyable {
    public var wire = Wire()
    public var store = StoreLane()
    public var notices: [Notice] = []
    public var names = NameLane()

    public init() {}

    public mutating func removeAll() {
        wire.removeAll()
        if !store.changes.isEmpty { store.removeAll() }
        if !notices.isEmpty { notices.removeAll(keepingCapacity: true) }
        if !names.isEmpty { names.removeAll() }
    }
}

/// The messages to send, in order.
public struct Wire: ~Copyable {
    /// The octets of all messages, one after another.
    public var bytes = OctetBuffer(capacity: 64 * 1024)
    public private(set) var transmissions: [Transmission] = []
    /// Streams to close once what was sent on them before has gone out.
    public private(set) var closings: [UInt32] = []
    /// Addresses that are to be reached by streams of their peers.
    public private(set) var aliases: [StreamAlias] = []
    /// What goes to other shards of the node, in order.
    public private(set) var handOvers: [HandOver] = []

    public init() {}

    /// Sends what was written to `bytes` since `start`.
    public mutating func transmit(
        from start: Int, over flow: Flow, transaction: UInt64 = 0, method: UInt8 = 0, status: UInt16 = 0, mayOvertake: Bool = false
    ) {
        transmissions.append(
            Transmission(
                start: start, count: bytes.count - start, flow: flow, transaction: transaction, method: method, status: status,
                mayOvertake: mayOvertake))
    }

    /// Sends octets once more, or octets kept elsewhere.
    public mutating func transmit(
        copyOf message: RawSpan, over flow: Flow, transaction: UInt64 = 0, method: UInt8 = 0, status: UInt16 = 0
    ) {
        let start = bytes.count
        bytes.append(message)
        transmit(from: start, over: flow, transaction: transaction, method: method, status: status)
    }

    public mutating func close(connection: UInt32) { closings.append(connection) }

    /// Has requests to the address of a stream's peer, at this port, go over that stream (RFC 5923 §5).
    ///
    /// - Parameter host: sent-by of the peer's Via, of which its certificate has to be.
    public mutating func alias(_ flow: Flow, port: UInt16, host: RawSpan) {
        aliases.append(StreamAlias(connection: flow.connection, port: port, start: bytes.count, count: host.byteCount))
        bytes.append(host)
    }

    /// Hands what was written to `bytes` since `start` to another shard.
    public mutating func handOver(_ handOver: HandOver, from start: Int) {
        var placed = handOver
        placed.start = start
        placed.count = bytes.count - start
        handOvers.append(placed)
    }

    public mutating func removeAll() {
        bytes.removeAll()
        if !transmissions.isEmpty { transmissions.removeAll(keepingCapacity: true) }
        if !closings.isEmpty { closings.removeAll(keepingCapacity: true) }
        if !aliases.isEmpty { aliases.removeAll(keepingCapacity: true) }
        if !handOvers.isEmpty { handOvers.removeAll(keepingCapacity: true) }
    }
}

/// One message to send.
public struct Transmission: BitwiseCopyable, Hashable, Sendable {
    /// Where its octets stand in `Wire.bytes`.
    public var start: Int
    public var count: Int
    public var flow: Flow
    /// What to name in `transmissionFailed` when the transport could not send it; 0: nobody asks.
    public var transaction: UInt64
    /// The method's number (of a response, the one in its CSeq) and the status (0: a request), for counting.
    public var method: UInt8
    public var status: UInt16
    /// Whether it may be sent before others of the same tick to the same peer: the one response of a transaction may, and
    /// then more datagrams of one size stand together.
    public var mayOvertake = false
    /// The shard that sends it, where a shell carries it beyond that.
    public var shard: UInt8 = 0

    public init(
        start: Int = 0, count: Int, flow: Flow, transaction: UInt64 = 0, method: UInt8 = 0, status: UInt16 = 0, mayOvertake: Bool = false
    ) {
        self.start = start
        self.count = count
        self.flow = flow
        self.transaction = transaction
        self.method = method
        self.status = status
        self.mayOvertake = mayOvertake
    }
}

/// An address by which a stream's peer may be reached (RFC 5923): its own, at the port at which it listens.
public struct StreamAlias: BitwiseCopyable, Hashable, Sendable {
    public var connection: UInt32
    public var port: UInt16
    /// Where the host stands in `Wire.bytes` that the peer says it is.
    public var start: Int
    public var count: Int
}

/// Changes of stored state, in order. The shell commits them in groups and reports each ticket.
public struct StoreLane: ~Copyable {
    public var bytes = OctetBuffer(capacity: 256)
    public private(set) var changes: [StoreChange] = []

    public init() {}

    /// Stores `value` under `key`, over what was there.
    public mutating func put(table: UInt8, key: RawSpan, value: RawSpan, ticket: UInt64) {
        let keyStart = bytes.count
        bytes.append(key)
        let valueStart = bytes.count
        bytes.append(value)
        changes.append(
            StoreChange(
                table: table, isRemoval: false, keyStart: keyStart, keyCount: valueStart - keyStart, valueStart: valueStart,
                valueCount: bytes.count - valueStart, ticket: ticket))
    }

    public mutating func remove(table: UInt8, key: RawSpan, ticket: UInt64) {
        let keyStart = bytes.count
        bytes.append(key)
        changes.append(
            StoreChange(
                table: table, isRemoval: true, keyStart: keyStart, keyCount: bytes.count - keyStart, valueStart: 0, valueCount: 0,
                ticket: ticket))
    }

    public mutating func removeAll() {
        bytes.removeAll()
        changes.removeAll(keepingCapacity: true)
    }
}

/// One change of a table of keys and values.
public struct StoreChange: BitwiseCopyable, Hashable, Sendable {
    public var table: UInt8
    public var isRemoval: Bool
    public var keyStart: Int
    public var keyCount: Int
    public var valueStart: Int
    public var valueCount: Int
    /// Rising; reported back by `committed` when this and all before it are safe, or when they failed.
    public var ticket: UInt64
}

/// Something for the log: rare, so it may be text.
public struct Notice: Hashable, Sendable {
    public enum Level: UInt8, Sendable { case debug, info, warning, error }
    public var level: Level
    public var text: String
    public init(_ level: Level, _ text: String) {
        self.level = level
        self.text = text
    }
}

/// What a node does wrong on purpose, because a fault rule wants it.
public enum Misbehaviour: UInt8, BitwiseCopyable, Hashable, Sendable {
    /// A SIM is challenged with a sequence number that it has seen long ago (TS 33.102 §6.3.3), and so asks for a
    /// resynchronisation.
    case staleSequenceNumber
}

/// A node's core, as a shell drives it. Every call may append effects; nothing calls back, nothing fails.
public protocol SansIONode: ~Copyable {
    /// One whole message, or what a datagram held.
    mutating func receive(_ octets: RawSpan, over flow: Flow, at now: Now, into effects: inout Effects)
    /// A stream ended, whoever closed it.
    mutating func flowClosed(_ flow: Flow, at now: Now, into effects: inout Effects)
    /// How long a stream may be silent that is of use here, as to reach whoever registered on it; nil: it is of none.
    func patience(with flow: Flow) -> TimeSpan?
    /// A message of this transaction could not be sent over this flow: refused, unreachable or over the transport's limit.
    mutating func transmissionFailed(_ transaction: UInt64, over flow: Flow, at now: Now, into effects: inout Effects)
    /// The changes up to and with this ticket are durable, or, if not, all changes not yet reported are lost.
    mutating func committed(upTo ticket: UInt64, succeeded: Bool, at now: Now, into effects: inout Effects)
    /// Another shard of the node handed this over.
    mutating func handedOver(_ handOver: HandOver, _ octets: RawSpan, at now: Now, into effects: inout Effects)
    /// A question of `effects.names` has its answer; each gets one.
    mutating func nameAnswered(_ question: UInt64, _ answer: NameAnswer, at now: Now, into effects: inout Effects)
    /// Lets timers that are due fire. Of very many some are left for the next call: then `nextDeadline` is not after `now`.
    mutating func advance(to now: Now, into effects: inout Effects)
    /// When `advance` is wanted next; nil: no timer is set.
    var nextDeadline: Instant? { get }
    /// What it does wrong from now on, until it is told otherwise; nil: nothing. Most nodes can do nothing wrong.
    mutating func misbehave(_ misbehaviour: Misbehaviour?)
    /// Its requests that have no final answer yet. It is asked under a virtual clock only, and may take its time.
    var unansweredRequests: [UnansweredRequest] { get }
}

extension SansIONode where Self: ~Copyable {
    /// Whoever is to be reached listens, or opens a stream anew.
    public func patience(with flow: Flow) -> TimeSpan? { nil }

    public mutating func misbehave(_ misbehaviour: Misbehaviour?) {}

    /// A node that sends no requests waits for none.
    public var unansweredRequests: [UnansweredRequest] { [] }

    /// A node that is never parted has nobody to hand anything over.
    public mutating func handedOver(_ handOver: HandOver, _ octets: RawSpan, at now: Now, into effects: inout Effects) {
        preconditionFailure("this node has no shards")
    }

    /// A node that asks for no names is told none.
    public mutating func nameAnswered(_ question: UInt64, _ answer: NameAnswer, at now: Now, into effects: inout Effects) {
        preconditionFailure("this node asks for no names")
    }
}
