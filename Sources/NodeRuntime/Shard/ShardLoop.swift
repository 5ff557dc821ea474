// What a shard's thread does, over and over: wait, take a batch, hand it to the core, act on the effects.
//
// One tick is one batch of datagrams, one round of letters, or timers that are due; the clocks are read once for each.
// A socket with much to read gets a few batches before the others and the letters have their turn.

import CNodeIO
import Glibc
import Logging
import SIPTrace
import SansIO

/// What connects a loop with its shard.
struct ShardWiring<Node: SansIONode & SendableMetatype & ~Copyable>: Sendable {
    typealias Letter = Shard<Node>.Letter

    var configuration: ShardConfiguration
    var listeners: [Listener]
    /// Which of the node's shards this is, and what they share.
    var number: Int
    var hub: ShardHub<Node>
    var openStreams: @Sendable ([StreamListener]) throws -> StreamGate
    var streamsStopped: @Sendable () -> Void

    var mailbox: Mailbox<Letter> { hub.mailboxes[number] }
    /// The shard's place at a virtual clock.
    var membership: ClockMembership? { number < configuration.memberships.count ? configuration.memberships[number] : nil }
    var trace: TraceRecorder { hub.trace }
    var isOneOfSeveral: Bool { hub.mailboxes.count > 1 }
}

/// Someone who waits for the trace to grow.
struct TraceWaiter: Sendable {
    var id: UInt64
    var after: UInt64
    var deadline: Instant
    var continuation: CheckedContinuation<Bool, Never>
}

/// The state of a shard's thread. What it does with effects and with letters stands in files of their own.
struct ShardLoop<Node: SansIONode & SendableMetatype & ~Copyable>: ~Copyable {
    struct Ending {
        var deadline: Instant
        var continuations: [CheckedContinuation<Void, Never>]
        var streamsAsked = false
        var streamsStopped = false
    }

    /// Batches that a socket gets before others have their turn.
    private static var batchesPerTurn: Int { 8 }
    /// How often in a tick failures of sending are reported to the core, whose answer may fail to be sent in turn.
    static var roundsPerTick: Int { 8 }
    static var patienceOfStop: TimeSpan { .seconds(5) }

    let wiring: ShardWiring<Node>
    let logger: Logger
    let poller: Poller
    let inbox: DatagramInbox
    var sockets: [DatagramSocket] = []
    /// The position in `sockets` of a listener's socket; -1: it is none of datagrams.
    var socketOfListener: [Int] = []
    var streamListeners: [StreamListener] = []
    var streams: StreamGate?
    var streamBatch = StreamBatch()
    /// Streams to be closed after the effects of what they sent are carried out.
    var closings: [UInt32] = []
    var store: StoreSink?
    var lastTicketHanded: UInt64 = 0
    var lastTicketReported: UInt64 = 0
    var storeFailuresReported: UInt64 = 0
    var failures: [TransmissionFailure] = []
    var letters: [ShardWiring<Node>.Letter] = []
    var handedOver = HandOverBox.Batch()
    var waiters: [TraceWaiter] = []
    var dropLog: DropLog
    var ending: Ending?
    /// Whether datagrams are read no more: the node is about to end.
    var isQuiet = false
    var now: Now
    /// Its place at a virtual clock; nil: it goes by the system's.
    var member: ClockMember?
    /// What is to be done when all who go by that clock have come to rest.
    var putOff: [ShardWiring<Node>.Letter] = []
    /// Messages that a fault rule holds back.
    var held: [HeldMessage] = []
    /// Questions to the name service that are open.
    var openQuestions = 0
    var counters = RuntimeCounters()
    let trace: TraceRecorder
    /// Whether something was recorded in this tick.
    var hasRecorded = false
    var effects = Effects()
    /// Answers to STUN of one batch.
    var stunAnswers = Wire()
    var node: Node

    init(_ node: consuming Node, _ wiring: ShardWiring<Node>, descriptors: [Int32]) throws(SystemFailure) {
        let poller = try Poller()
        try poller.watch(wiring.mailbox.descriptor, number: wiring.listeners.count)
        for (number, listener) in wiring.listeners.enumerated() {
            if listener.transport == .udp {
                socketOfListener.append(sockets.count)
                sockets.append(
                    DatagramSocket(
                        descriptor: descriptors[number], number: UInt8(number), local: listener.local, shard: UInt8(wiring.number),
                        maySegment: wiring.configuration.segmentsDatagrams, recent: wiring.hub.sentDatagrams[number]))
                try poller.watch(descriptors[number], number: number, isShared: wiring.isOneOfSeveral)
            } else {
                socketOfListener.append(-1)
                // Streams are the first shard's.
                guard wiring.number == 0 else { continue }
                streamListeners.append(StreamListener(number: UInt8(number), listener: listener, descriptor: descriptors[number]))
            }
        }
        inbox = try DatagramInbox()
        self.poller = poller
        self.node = node
        self.wiring = wiring
        now = wiring.configuration.clock.now
        logger = wiring.configuration.logger
        dropLog = DropLog(logger)
        trace = wiring.trace
    }

    /// Runs until the shard was asked to stop and has carried out what it must.
    mutating func run(store: StoreSink?) {
        self.store = store
        now = wiring.configuration.clock.now
        joinClock()
        if !streamListeners.isEmpty { openStreams() }
        if isConducted { wishTurn() } else { advanceIfDue() }
        finishTick()
        while !hasEnded() {
            let ready = poller.wait(for: timeUntilDeadline())
            now = wiring.configuration.clock.now
            for i in 0..<ready { serve(poller.event(i)) }
            if !isConducted { advanceIfDue() }
            finishTick()
            if member != nil { settleWithClock() }
            if let deadline = dropLog.nextDeadline, deadline <= systemTime { dropLog.flush(at: systemTime) }
        }
        leaveClock()
    }

    /// Tells everyone who waits that the shard has ended.
    mutating func finish() {
        doPutOff()
        dropLog.flush(at: .distantFuture)
        for waiter in waiters { waiter.continuation.resume(returning: false) }
        waiters = []
        effects.removeAll()
        for continuation in ending?.continuations ?? [] { continuation.resume() }
        ending?.continuations = []
    }
}

// MARK: Waiting and serving

extension ShardLoop where Node: ~Copyable {
    /// When a timer of the core, or a message held back, is due.
    var deadline: Instant? {
        guard let heldDeadline = held.map(\.deadline).min() else { return node.nextDeadline }
        return min(heldDeadline, node.nextDeadline ?? .distantFuture)
    }

    private func timeUntilDeadline() -> TimeSpan? {
        // By a virtual clock timers are due within turns.
        var deadline = member == nil ? self.deadline ?? .distantFuture : .distantFuture
        if let member, !member.isConducted { deadline = max(member.nextSearch, systemTime) }
        if let next = dropLog.nextDeadline { deadline = min(deadline, next) }
        if let ending { deadline = min(deadline, ending.deadline) }
        for waiter in waiters { deadline = min(deadline, waiter.deadline) }
        // A tick gives up after some rounds; the rest is for the next one.
        if !failures.isEmpty || hasEffects { return .zero }
        return deadline == .distantFuture ? nil : deadline - SystemClock.now.monotonic
    }

    private mutating func serve(_ event: Poller.Event) {
        guard event.number < socketOfListener.count else { return event.number == clockNumber ? readConductor() : readLetters() }
        let socket = sockets[socketOfListener[event.number]]
        if event.hasFailed { takeReports(of: socket) }
        if event.isWritable, socket.isWaiting { sendPending(of: socket) }
        guard event.isReadable else { return }
        if isConducted { wishTurn() } else { receive(from: socket) }
    }

    /// - Returns: how many datagrams there were.
    @discardableResult
    mutating func receive(from socket: DatagramSocket) -> Int {
        var total = 0
        for _ in 0..<Self.batchesPerTurn {
            let count = inbox.receive(from: socket.descriptor)
            if count < 0 {
                // EAGAIN, an interruption, or a report of ICMP that the error queue tells more about.
                if Int32(-count) != EAGAIN, Int32(-count) != EINTR { takeReports(of: socket) }
                return total
            }
            total += count
            now = wiring.configuration.clock.now
            handOver(count, from: socket)
            advanceIfDue()
            finishTick()
            if count < DatagramInbox.capacity { return total }
        }
        return total
    }

    /// Hands a batch to the core.
    private mutating func handOver(_ count: Int, from socket: DatagramSocket) {
        let inbox = inbox
        let isIntercepted = wiring.configuration.interceptor?.isActive ?? false
        if trace.isRecording, !isIntercepted { record(count, from: socket) }
        var octets = 0
        for i in 0..<count {
            let flow = Flow(transport: .udp, listener: socket.number, remote: inbox.source(i))
            let length = inbox.octets(i).byteCount
            octets += length
            guard length > 0 else {
                drop(.emptyDatagram, flow)
                continue
            }
            // Every request and response begins with a letter or another character of a token.
            if inbox.octets(i)[0] < STUN.firstOctetLimit, takeSTUN(inbox.octets(i), over: flow) { continue }
            if isIntercepted {
                receiveIntercepted(inbox.octets(i), over: flow)
            } else {
                node.receive(inbox.octets(i), over: flow, at: now, into: &effects)
            }
        }
        if !stunAnswers.transmissions.isEmpty { answerSTUN(by: socket) }
        counters.countReceived(count, octets: octets, over: .udp)
    }

    private mutating func record(_ count: Int, from socket: DatagramSocket) {
        let (inbox, now) = (inbox, now)
        trace.withRing { ring in
            for i in 0..<count where inbox.octets(i).byteCount > 0 && !STUN.isSTUN(inbox.octets(i)) {
                let flow = Flow(transport: .udp, listener: socket.number, remote: inbox.source(i))
                ring.record(inbox.octets(i), .incoming, over: flow, local: socket.local, at: now.wall)
            }
        }
        hasRecorded = true
    }

    private mutating func takeReports(of socket: DatagramSocket) {
        socket.takeReports()
        takeFailures(of: socket)
    }

    private mutating func sendPending(of socket: DatagramSocket) {
        socket.sendPending()
        watch(socket)
        takeFailures(of: socket)
    }

    func watch(_ socket: DatagramSocket) {
        poller.change(
            socket.descriptor, number: Int(socket.number),
            readable: ending == nil && !isQuiet && !(member?.hasWished ?? false), writable: socket.isWaiting,
            isShared: wiring.isOneOfSeveral)
    }

    mutating func readLetters() {
        var batch: [ShardWiring<Node>.Letter] = []
        swap(&batch, &letters)
        wiring.mailbox.takeAll(into: &batch)
        for letter in batch { letter(&self) }
        batch.removeAll(keepingCapacity: true)
        swap(&batch, &letters)
        if wiring.isOneOfSeveral { takeHandOvers() }
    }

    mutating func advanceIfDue() {
        if let deadline = node.nextDeadline, deadline <= now.monotonic { node.advance(to: now, into: &effects) }
        if !held.isEmpty { deliverHeld() }
    }
}
