// The recorder of a node: the last messages in and out, whole, in two rings that are written in place. To record a
// message is one copy of its octets and one of 64 octets beside them; nothing is allocated for it.

public import SansIO

/// Which way a message went, seen from the node that recorded it.
public enum TraceDirection: UInt8, BitwiseCopyable, Hashable, Sendable {
    case incoming, outgoing
}

/// What is kept of a message beside its octets.
public struct TraceRecord: BitwiseCopyable, Hashable, Sendable {
    /// When it was handed to the core or taken from it.
    public var time: WallTime
    /// Where it came from or went to.
    public var remote: Endpoint
    /// The stream's number (see `Flow.connection`); 0 for a datagram, and for a message that opens a stream.
    public var connection: UInt32
    /// The address of the listener that it came in or went out by.
    public var local: Endpoint
    /// The number of its octets.
    public var count: UInt32
    fileprivate var position: UInt32
    public var direction: TraceDirection
    public var transport: Transport
}

/// The last messages of a node, numbered from 1 in the order in which they were recorded.
///
/// Each is found by its number until newer ones push it out: it is kept while at most `messageLimit` messages and
/// `octetLimit` octets are. The octets of a message lie in one run, so at the end of their ring a gap may stay unused,
/// which counts as used. Memory is taken from the system as it is first written, and what older messages left free is
/// written again before new memory is.
public struct TraceRing: ~Copyable, @unchecked Sendable {
    /// The most messages kept; 0: none is recorded.
    public let messageLimit: Int
    /// The most octets kept, at least those of one message of any transport.
    public let octetLimit: Int
    /// The number of the oldest message kept; if there is none, `nextSequence`.
    public private(set) var firstSequence: UInt64 = 1
    /// The number that the next message will have.
    public private(set) var nextSequence: UInt64 = 1

    private let records: UnsafeMutablePointer<TraceRecord>
    private let octets: UnsafeMutableRawPointer
    /// The record after the newest.
    private var nextRecord = 0
    /// Where the next octets go if there is room.
    private var head = 0
    /// No octet from here on was ever written.
    private var untouched = 0

    /// - Parameters:
    ///   - messageLimit: how many messages to keep; 0 turns recording off.
    ///   - octetLimit: how many octets of them; values outside of 64 KiB to 4 GiB are brought to the nearest bound.
    public init(messageLimit: Int = 20_000, octetLimit: Int = 64 << 20) {
        self.messageLimit = max(messageLimit, 0)
        self.octetLimit = min(max(octetLimit, 1 << 16), 1 << 32 - 1)
        records = .allocate(capacity: max(self.messageLimit, 1))
        octets = .allocate(byteCount: self.messageLimit > 0 ? self.octetLimit : 1, alignment: 16)
    }

    deinit {
        records.deallocate()
        octets.deallocate()
    }

    /// Whether messages are recorded at all.
    @inlinable public var isRecording: Bool { messageLimit > 0 }
    /// How many messages are kept now.
    public var count: Int { Int(nextSequence - firstSequence) }

    /// Records a message that goes over a flow. Octets beyond `octetLimit` are cut off.
    public mutating func record(
        _ message: RawSpan, _ direction: TraceDirection, over flow: Flow, local: Endpoint, at time: WallTime
    ) {
        guard isRecording else { return }
        let length = min(message.byteCount, octetLimit)
        if count == messageLimit { firstSequence += 1 }
        let position = makeRoom(for: length)
        message.withUnsafeBytes { source in
            guard length > 0, let base = source.baseAddress else { return }
            (octets + position).copyMemory(from: base, byteCount: length)
        }
        head = position + length
        untouched = max(untouched, head)
        (records + nextRecord).initialize(
            to: TraceRecord(
                time: time, remote: flow.remote, connection: flow.connection, local: local, count: UInt32(length),
                position: UInt32(position), direction: direction, transport: flow.transport))
        nextRecord = nextRecord + 1 == messageLimit ? 0 : nextRecord + 1
        nextSequence += 1
    }

    /// What was recorded under a number; nil if that is not kept any more, or not yet.
    public func record(_ sequence: UInt64) -> TraceRecord? {
        guard sequence >= firstSequence, sequence < nextSequence else { return nil }
        return pointer(to: sequence).pointee
    }

    /// The octets of a message; empty if it is not kept.
    @_lifetime(borrow self)
    public borrowing func octets(of sequence: UInt64) -> RawSpan {
        guard let record = record(sequence) else { return _overrideLifetime(RawSpan(), borrowing: self) }
        let span = RawSpan(_unsafeStart: UnsafeRawPointer(octets) + Int(record.position), byteCount: Int(record.count))
        return _overrideLifetime(span, borrowing: self)
    }

    /// Forgets every message; the next one has the number 1.
    public mutating func reset() {
        firstSequence = 1
        nextSequence = 1
        nextRecord = 0
        head = 0
    }

    /// Finds a run of free octets, forgetting the oldest messages until there is one.
    private mutating func makeRoom(for length: Int) -> Int {
        while firstSequence < nextSequence {
            let tail = Int(pointer(to: firstSequence).pointee.position)
            if head > tail {
                // Kept octets run from tail to head: free is what follows them and what precedes them.
                if head + length <= untouched { return head }
                if length <= tail { return 0 }
                if head + length <= octetLimit { return head }
            } else if head + length <= tail {
                // Kept octets run from tail to the end and on from the start to head.
                return head
            }
            firstSequence += 1
        }
        return 0
    }

    private func pointer(to sequence: UInt64) -> UnsafeMutablePointer<TraceRecord> {
        let age = Int(nextSequence - sequence)
        return records + (nextRecord >= age ? nextRecord - age : nextRecord - age + messageLimit)
    }
}
