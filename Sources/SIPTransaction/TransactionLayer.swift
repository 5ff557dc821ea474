// The transaction layer (RFC 3261 §17, RFC 6026, RFC 4320): it finds the transaction of a message, keeps what must be
// sent again, and runs the timers. It knows nothing of what requests mean.
//
//   request  → requestReceived → .new … respond …              Server/
//   send     → responseReceived → .matched                      Client/
//   advance  → events
//
// Requests find their transaction by a keyed hash of branch, sent-by and method; responses by the slot number that our
// own branch carries, checked against the 64 random bits behind it.

public import SIPMessage
public import SansIO

public struct TransactionLayer: ~Copyable {
    public let timers: TimerSettings
    /// How much of everything there may be at once.
    let room: TransactionRoom
    let listeners: [Listener]
    /// The listeners as they stand in what we send.
    public let advertised: TextList
    /// The shard whose transactions these are: its number stands in our branches.
    let place: ShardPlace

    var slab = Slab<Transaction>()
    var serverKeys = KeyTable(minimumCapacity: 1024)
    var pool = PacketPool()
    var wheel: TimerWheel
    /// Where the 100 of a non-INVITE transaction is written before it is kept.
    var scratch = OctetBuffer(capacity: 1024)
    var random: RandomSource
    let secret: HashSecret
    /// What a CANCEL that still waits for a provisional response will say, by its INVITE: header fields.
    var waitingReasons: [UInt64: [UInt8]] = [:]
    private var expired: [UInt64] = []
    private var counts = InlineArray<4, Int>(repeating: 0)

    /// - Parameters:
    ///   - listeners: ours, by number: their advertised addresses stand in Via.
    ///   - limit: the most transactions that may live at once; a request past it is `.overloaded`, new work a little earlier.
    ///   - keptLimit: the same for octets kept for retransmission.
    ///   - place: the shard whose transactions these are.
    public init(
        listeners: [Listener], timers: TimerSettings = TimerSettings(), limit: Int = 1_000_000, keptLimit: Int = .max,
        place: ShardPlace = .only, random: RandomSource, start: Instant
    ) {
        self.listeners = listeners
        advertised = TextList(advertisedBy: listeners)
        self.place = place
        self.timers = timers
        room = TransactionRoom(transactions: limit, octets: keptLimit)
        self.random = random
        secret = HashSecret(from: &self.random)
        wheel = TimerWheel(start: start)
    }

    /// Transactions alive, by kind.
    public func count(of kind: TransactionKind) -> Int { counts[Int(kind.rawValue)] }
    /// Octets kept for retransmission.
    public var bytesKept: Int { pool.bytesInUse }

    public var nextDeadline: Instant? { wheel.nextDeadline }

    /// Whether the transaction is still there.
    public func contains(_ id: SlotID) -> Bool { slab.contains(id) }

    /// What the layer above keeps with a transaction.
    public subscript(user id: SlotID) -> UInt64 {
        get { slab.contains(id) ? slab[id.index].user : 0 }
        set { if slab.contains(id) { slab[id.index].user = newValue } }
    }

    public func state(of id: SlotID) -> TransactionState? { slab.contains(id) ? slab[id.index].state : nil }
    public func method(of id: SlotID) -> Method? { slab.contains(id) ? slab[id.index].method : nil }
    public func flow(of id: SlotID) -> Flow? { slab.contains(id) ? slab[id.index].flow : nil }
    /// The status of the last response; 0: none yet. Nil: there is no such transaction.
    public func lastStatus(of id: SlotID) -> UInt16? { slab.contains(id) ? slab[id.index].lastStatus : nil }

    /// Timers that one call of `advance` looks after at most: messages are served in between.
    private static let timersPerAdvance = 1024

    /// Octets of memory that the layer holds, at work or kept for it.
    public var bytesAllocated: Int { slab.bytesAllocated + serverKeys.bytesAllocated + pool.bytesAllocated + wheel.bytesAllocated }

    /// Fires timers that are due, up to a thousand: while some are left `nextDeadline` is not after `now`.
    public mutating func advance(to now: Instant, into wire: inout Wire, events: inout [TransactionEvent]) {
        var due = expired
        expired = []
        wheel.expire(upTo: now, into: &due, atMost: TransactionLayer.timersPerAdvance)
        // All of them first: one that ends may take another with it, whose timer is no longer there to be stopped.
        for payload in due {
            let id = SlotID(rawValue: payload)
            if slab.contains(id) { slab[id.index].timer = .none }
        }
        for payload in due {
            let id = SlotID(rawValue: payload)
            guard slab.contains(id) else { continue }
            switch slab[id.index].kind {
            case .inviteServer: inviteServerTimerFired(id, now, &wire, &events)
            case .nonInviteServer: nonInviteServerTimerFired(id, now, &wire, &events)
            case .inviteClient: inviteClientTimerFired(id, now, &wire, &events)
            case .nonInviteClient: nonInviteClientTimerFired(id, now, &wire, &events)
            }
        }
        due.removeAll(keepingCapacity: true)
        expired = due
    }

    /// A message of this transaction could not be sent.
    public mutating func transmissionFailed(
        _ transaction: UInt64, at now: Instant, into wire: inout Wire, events: inout [TransactionEvent]
    ) {
        let id = SlotID(rawValue: transaction)
        guard slab.contains(id) else { return }
        switch slab[id.index].kind {
        // RFC 6026 §7.1: it stays as it is, so that the INVITE sent again is not taken for a new one.
        case .inviteServer: break
        // §17.2.4: there is no one to tell; the machine ends.
        case .nonInviteServer: remove(id)
        case .inviteClient, .nonInviteClient: clientTransmissionFailed(id, now, &wire, &events)
        }
    }

    /// Ends a transaction at once, whatever its state.
    public mutating func abandon(_ id: SlotID) { if slab.contains(id) { remove(id) } }

    /// Sends a request other than INVITE no more; its response, or the end of its time, is waited for as before.
    public mutating func sendNoMore(_ id: SlotID) {
        guard slab.contains(id), slab[id.index].kind == .nonInviteClient, slab[id.index].isRetransmitting else { return }
        setDeadline(id, slab[id.index].deadline)
    }

    /// Ends all transactions: nothing is sent.
    public mutating func removeAll() {
        for index in 0..<slab.endIndex where slab.isInUse(index) { remove(slab.id(of: index)) }
    }

    // MARK: What the machines share

    mutating func insert(_ transaction: Transaction) -> SlotID {
        counts[Int(transaction.kind.rawValue)] += 1
        return slab.insert(transaction)
    }

    mutating func remove(_ id: SlotID) {
        let transaction = slab[id.index]
        wheel.cancel(transaction.timer)
        pool.release(transaction.packet)
        if transaction.kind.isServer { serverKeys.remove(transaction.key) }
        counts[Int(transaction.kind.rawValue)] -= 1
        if transaction.isCancelled { waitingReasons[id.rawValue] = nil }
        slab.remove(id.index)
        // A CANCEL is of no use without its INVITE, by whose branch alone its response could be found.
        if transaction.kind == .inviteClient, slab.contains(transaction.companion) { remove(transaction.companion) }
    }

    /// Keeps `message` in place of what the transaction kept.
    mutating func keep(_ message: RawSpan, in id: SlotID) {
        pool.release(slab[id.index].packet)
        slab[id.index].packet = pool.store(message)
    }

    mutating func dropPacket(of id: SlotID) {
        pool.release(slab[id.index].packet)
        slab[id.index].packet = .none
    }

    mutating func sendAgain(_ id: SlotID, status: UInt16, _ wire: inout Wire) {
        let transaction = slab[id.index]
        wire.transmit(
            copyOf: pool.bytes(transaction.packet), over: transaction.flow, transaction: id.rawValue, method: transaction.method.rawValue,
            status: status)
    }

    /// Sets the state's own timer; it replaces whatever ran.
    mutating func setDeadline(_ id: SlotID, _ deadline: Instant) {
        wheel.cancel(slab[id.index].timer)
        slab[id.index].isRetransmitting = false
        slab[id.index].deadline = deadline
        slab[id.index].timer = wheel.schedule(at: deadline, payload: id.rawValue)
    }

    /// Sets the retransmission timer beside a deadline: one wheel entry stands for whichever is first.
    mutating func setRetransmission(_ id: SlotID, interval: TimeSpan, deadline: Instant, _ now: Instant) {
        wheel.cancel(slab[id.index].timer)
        slab[id.index].isRetransmitting = true
        slab[id.index].interval = interval
        slab[id.index].deadline = deadline
        slab[id.index].timer = wheel.schedule(at: min(now + interval, deadline), payload: id.rawValue)
    }

    /// Whether the timer that fired is the state's own, not a retransmission's.
    func isDeadline(_ id: SlotID, _ now: Instant) -> Bool {
        !slab[id.index].isRetransmitting || now >= slab[id.index].deadline
    }
}
