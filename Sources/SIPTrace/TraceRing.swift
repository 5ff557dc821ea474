// The recorder of a node: the last messages in and out, whole, in two rings that are written in place. To record a
// message is one copy of its octets and one of 64 octets beside them; nothing is allocated for it.

public import SansIO

/// Which way a message went, seen from the node that recorded it.
public enum TraceDirection: UInt8, BitwiseCopyable, Hashable, Sendable {
    case incoming, outgoing
}

/// What a fault rule did to a message on purpose. What is recorded is what went on: what the core was handed, or what was sent
/// in the end; of a message that went no further, the message itself.
public enum TraceMark: UInt8, BitwiseCopyable, Hashable, Sendable, CaseIterable {
    /// Nothing.
    case none
    /// It went no further.
    case dropped
    /// It was held back for a while.
    case delayed
    /// It went on more than once.
    case duplicated
    /// It was held back until others had passed it.
    case reordered
    /// It went no further, and an answer was given in place of the one that it was for.
    case answered
    /// Header fields of it were set or removed.
    case altered
    /// Octets of it were spoilt.
    case corrupted
    /// It went on without its end.
    case cut
    /// The stream that it was on was closed.
    case closed
    /// Whoever sent it was challenged with an old sequence number.
    case outdated

    /// The word for it in a trace: `dropped`; nil for nothing.
    public var word: String? { self == .none ? nil : "\(self)" }

    /// The mark of a word.
    public init?(word: some StringProtocol) {
        guard let mark = TraceMark.allCases.first(where: { $0.word.map { $0 == word } ?? false }) else { return nil }
        self = mark
    }
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
    /// What a fault rule did to it.
    public var mark: TraceMark
}

/// The last messages of a node, numbered from 1 in the order in which they were recorded.
///
/// Each is found by its number until newer ones push it out: the newest `messageLimit` are kept if their octets are within
/// `octetLimit`. Octets lie in chunks of up to 1 MiB, a message in one run; what its end leaves free of a chunk counts as
/// used. A chunk whose messages are all forgotten is the next to be written again, so no more memory is touched than
/// what is kept needs.
public struct TraceRing: ~Copyable, @unchecked Sendable {
    /// The most messages kept; 0: none is recorded.
    public let messageLimit: Int
    /// The most octets kept.
    public let octetLimit: Int
    /// The number of the oldest message kept; if there is none, `nextSequence`.
    public private(set) var firstSequence: UInt64 = 1
    /// The number that the next message will have.
    public private(set) var nextSequence: UInt64 = 1
    /// How often all was forgotten and the numbers began anew.
    public private(set) var resets: UInt64 = 0

    private let records: UnsafeMutablePointer<TraceRecord>
    private let octets: UnsafeMutableRawPointer
    /// A power of two, and its logarithm.
    private let chunkSize: Int
    private let chunkShift: Int
    /// The record after the newest.
    private var nextRecord = 0
    /// The chunk that is written, and where its next octets go.
    private var chunk = 0
    private var head = 0
    /// Chunks written so far, and those of them that hold nothing.
    private var chunksUsed = 1
    private var freeChunks: [Int] = []

    /// - Parameters:
    ///   - messageLimit: how many messages to keep; 0 turns recording off.
    ///   - octetLimit: how many octets of them; values outside of 64 KiB to 4 GiB are brought to the nearest bound.
    public init(messageLimit: Int = 20_000, octetLimit: Int = 64 << 20) {
        self.messageLimit = max(messageLimit, 0)
        self.octetLimit = min(max(octetLimit, 1 << 16), 1 << 32)
        chunkShift = self.octetLimit < 1 << 20 ? 16 : 20
        chunkSize = 1 << chunkShift
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

    /// Records a message that goes over a flow. Octets beyond the first 64 KiB, more than a message can have, are cut off.
    public mutating func record(
        _ message: RawSpan, _ direction: TraceDirection, over flow: Flow, local: Endpoint, at time: WallTime, mark: TraceMark = .none
    ) {
        guard isRecording else { return }
        let length = min(message.byteCount, 1 << 16)
        if count == messageLimit { forgetOldest() }
        makeRoom(for: length)
        let position = chunk << chunkShift + head
        message.withUnsafeBytes { source in
            guard length > 0, let base = source.baseAddress else { return }
            (octets + position).copyMemory(from: base, byteCount: length)
        }
        head += length
        (records + nextRecord).initialize(
            to: TraceRecord(
                time: time, remote: flow.remote, connection: flow.connection, local: local, count: UInt32(length),
                position: UInt32(position), direction: direction, transport: flow.transport, mark: mark))
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
        while count > 0 { forgetOldest() }
        firstSequence = 1
        nextSequence = 1
        nextRecord = 0
        head = 0
        resets += 1
    }

    /// Sees to it that a run of free octets begins at `head`, forgetting the oldest messages if there is no other way.
    private mutating func makeRoom(for length: Int) {
        // A message without octets takes room for one here, so that it stands within the chunk.
        guard head + max(length, 1) > chunkSize else { return }
        while freeChunks.isEmpty, (chunksUsed + 1) << chunkShift > octetLimit {
            guard count > 0 else {
                head = 0
                return
            }
            forgetOldest()
        }
        if let free = freeChunks.popLast() {
            chunk = free
        } else {
            chunk = chunksUsed
            chunksUsed += 1
        }
        head = 0
    }

    /// Forgets the oldest message, and frees its chunk if it was the last there.
    private mutating func forgetOldest() {
        let forgotten = chunk(of: firstSequence)
        firstSequence += 1
        let following = count > 0 ? chunk(of: firstSequence) : chunk
        if forgotten != following { freeChunks.append(forgotten) }
    }

    private func chunk(of sequence: UInt64) -> Int { Int(pointer(to: sequence).pointee.position) >> chunkShift }

    private func pointer(to sequence: UInt64) -> UnsafeMutablePointer<TraceRecord> {
        let age = Int(nextSequence - sequence)
        return records + (nextRecord >= age ? nextRecord - age : nextRecord - age + messageLimit)
    }
}
