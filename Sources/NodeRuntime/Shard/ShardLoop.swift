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
    /// Readable while letters wait.
    var mailbox: Int32
    var openStreams: @Sendable ([StreamListener]) throws -> StreamGate
    var streamsStopped: @Sendable () -> Void
    var takeLetters: @Sendable (inout [Letter]) -> Void
}

/// Someone who waits for the trace to grow.
struct TraceWaiter: Sendable {
    var id: UInt64
    var after: UInt64
    var deadline: Instant
    var continuation: CheckedContinuation<Bool, Never>
}

/// The state of a shard's thread.
struct ShardLoop<Node: SansIONode & SendableMetatype & ~Copyable>: ~Copyable {
    private struct Ending {
        var deadline: Instant
        var continuations: [CheckedContinuation<Void, Never>]
        var streamsAsked = false
        var streamsStopped = false
    }

    /// Batches that a socket gets before others have their turn.
    private static var batchesPerTurn: Int { 8 }
    /// How often in a tick failures of sending are reported to the core, whose answer may fail to be sent in turn.
    private static var roundsPerTick: Int { 8 }
    private static var patienceOfStop: TimeSpan { .seconds(5) }

    private let wiring: ShardWiring<Node>
    private let logger: Logger
    private let poller: Poller
    private let inbox: DatagramInbox
    private var sockets: [DatagramSocket] = []
    /// The position in `sockets` of a listener's socket; -1: it is none of datagrams.
    private var socketOfListener: [Int] = []
    private var streamListeners: [StreamListener] = []
    private var streams: StreamGate?
    private var streamBatch = StreamBatch()
    /// Streams to be closed after the effects of what they sent are carried out.
    private var closings: [UInt32] = []
    private var store: StoreSink?
    private var lastTicketHanded: UInt64 = 0
    private var lastTicketReported: UInt64 = 0
    private var failures: [TransmissionFailure] = []
    private var letters: [ShardWiring<Node>.Letter] = []
    private var waiters: [TraceWaiter] = []
    private var dropLog: DropLog
    private var ending: Ending?
    private var now = SystemClock.now
    private(set) var counters = RuntimeCounters()
    var trace: TraceRing
    private var effects = Effects()
    private var node: Node

    init(_ node: consuming Node, _ wiring: ShardWiring<Node>, descriptors: [Int32]) throws(SystemFailure) {
        let poller = try Poller()
        try poller.watch(wiring.mailbox, number: wiring.listeners.count)
        for (number, listener) in wiring.listeners.enumerated() {
            if listener.transport == .udp {
                socketOfListener.append(sockets.count)
                sockets.append(DatagramSocket(descriptor: descriptors[number], number: UInt8(number), local: listener.local))
                try poller.watch(descriptors[number], number: number)
            } else {
                socketOfListener.append(-1)
                streamListeners.append(StreamListener(number: UInt8(number), listener: listener, descriptor: descriptors[number]))
            }
        }
        inbox = try DatagramInbox()
        self.poller = poller
        self.node = node
        self.wiring = wiring
        logger = wiring.configuration.logger
        dropLog = DropLog(logger)
        trace = TraceRing(messageLimit: wiring.configuration.traceMessages, octetLimit: wiring.configuration.traceOctets)
    }

    /// Runs until the shard was asked to stop and has carried out what it must.
    mutating func run(store: StoreSink?) {
        self.store = store
        now = SystemClock.now
        if !streamListeners.isEmpty { openStreams() }
        advanceIfDue()
        finishTick()
        while !hasEnded() {
            let ready = poller.wait(for: timeUntilDeadline())
            now = SystemClock.now
            for i in 0..<ready { serve(poller.event(i)) }
            advanceIfDue()
            finishTick()
            if let deadline = dropLog.nextDeadline, deadline <= now.monotonic { dropLog.flush(at: now.monotonic) }
        }
    }

    /// Tells everyone who waits that the shard has ended.
    mutating func finish() {
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
    private func timeUntilDeadline() -> TimeSpan? {
        var deadline = node.nextDeadline ?? .distantFuture
        if let next = dropLog.nextDeadline { deadline = min(deadline, next) }
        if let ending { deadline = min(deadline, ending.deadline) }
        for waiter in waiters { deadline = min(deadline, waiter.deadline) }
        if !failures.isEmpty { return .zero }
        return deadline == .distantFuture ? nil : deadline - SystemClock.now.monotonic
    }

    private mutating func serve(_ event: Poller.Event) {
        guard event.number < socketOfListener.count else { return readLetters() }
        let socket = sockets[socketOfListener[event.number]]
        if event.hasFailed { takeReports(of: socket) }
        if event.isWritable, socket.isWaiting { sendPending(of: socket) }
        if event.isReadable { receive(from: socket) }
    }

    private mutating func receive(from socket: DatagramSocket) {
        for _ in 0..<Self.batchesPerTurn {
            let count = inbox.receive(from: socket.descriptor)
            if count < 0 {
                // EAGAIN, an interruption, or a report of ICMP that the error queue tells more about.
                if Int32(-count) != EAGAIN, Int32(-count) != EINTR { takeReports(of: socket) }
                return
            }
            now = SystemClock.now
            handOver(count, from: socket)
            advanceIfDue()
            finishTick()
            if count < DatagramInbox.capacity { return }
        }
    }

    /// Hands a batch to the core.
    private mutating func handOver(_ count: Int, from socket: DatagramSocket) {
        let inbox = inbox
        var octets = 0
        for i in 0..<count {
            let flow = Flow(transport: .udp, listener: socket.number, remote: inbox.source(i))
            let length = inbox.octets(i).byteCount
            octets += length
            guard length > 0 else {
                drop(.emptyDatagram, flow)
                continue
            }
            if trace.isRecording { trace.record(inbox.octets(i), .incoming, over: flow, local: socket.local, at: now.wall) }
            node.receive(inbox.octets(i), over: flow, at: now, into: &effects)
        }
        counters.countReceived(count, octets: octets, over: .udp)
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

    private func watch(_ socket: DatagramSocket) {
        poller.change(socket.descriptor, number: Int(socket.number), readable: ending == nil, writable: socket.isWaiting)
    }

    private mutating func readLetters() {
        var batch: [ShardWiring<Node>.Letter] = []
        swap(&batch, &letters)
        wiring.takeLetters(&batch)
        for letter in batch { letter(&self) }
        batch.removeAll(keepingCapacity: true)
        swap(&batch, &letters)
    }

    private mutating func advanceIfDue() {
        if let deadline = node.nextDeadline, deadline <= now.monotonic { node.advance(to: now, into: &effects) }
    }
}

// MARK: Effects

extension ShardLoop where Node: ~Copyable {
    /// Acts on all effects, and wakes those who wait for the trace.
    private mutating func finishTick() {
        for _ in 0..<Self.roundsPerTick {
            carryOutEffects()
            guard !failures.isEmpty else { break }
            reportFailures()
        }
        if !waiters.isEmpty { wakeWaiters() }
    }

    private mutating func carryOutEffects() {
        repeat {
            if !effects.wire.transmissions.isEmpty { transmit() }
            if !effects.wire.closings.isEmpty { closings.append(contentsOf: effects.wire.closings) }
            if !effects.notices.isEmpty { logNotices() }
            effects.wire.removeAll()
            effects.notices.removeAll(keepingCapacity: true)
            // Without a store a change is committed by this, and what waited for it is sent in the next turn.
            if !effects.store.changes.isEmpty { persist() }
        } while !effects.wire.transmissions.isEmpty || !effects.wire.closings.isEmpty || !effects.store.changes.isEmpty
        if !closings.isEmpty || !streamBatch.isEmpty { transmitOnStreams() }
    }

    private mutating func transmit() {
        // Nothing writes to the buffer before all of this batch is with the system or copied.
        guard let octets = effects.wire.bytes.start else { return }
        for transmission in effects.wire.transmissions {
            counters.countSent(transmission)
            let flow = transmission.flow
            let number = Int(flow.listener)
            if trace.isRecording {
                let message = RawSpan(_unsafeStart: octets + transmission.start, byteCount: transmission.count)
                trace.record(message, .outgoing, over: flow, local: localEndpoint(flow), at: now.wall)
            }
            if flow.transport != .udp {
                addToStreamBatch(transmission, UnsafeRawBufferPointer(start: octets + transmission.start, count: transmission.count))
            } else if number < socketOfListener.count, socketOfListener[number] >= 0 {
                sockets[socketOfListener[number]].add(transmission, in: octets)
            } else {
                failures.append(TransmissionFailure(transaction: transmission.transaction, flow: flow, reason: .noListener))
            }
        }
        for socket in sockets {
            socket.flush(in: octets)
            guard socket.isWaiting || !socket.failures.isEmpty else { continue }
            watch(socket)
            takeFailures(of: socket)
        }
    }

    private func localEndpoint(_ flow: Flow) -> Endpoint {
        let number = Int(flow.listener)
        return number < wiring.listeners.count ? wiring.listeners[number].local : .none
    }

    private mutating func takeFailures(of socket: DatagramSocket) {
        failures.append(contentsOf: socket.failures)
        socket.failures.removeAll(keepingCapacity: true)
    }

    private mutating func addToStreamBatch(_ transmission: Transmission, _ octets: UnsafeRawBufferPointer) {
        var moved = transmission
        moved.start = streamBatch.octets.count
        streamBatch.octets.append(contentsOf: octets)
        streamBatch.transmissions.append(moved)
    }

    private mutating func transmitOnStreams() {
        if streams == nil { openStreams() }
        streamBatch.closings = closings
        closings = []
        let batch = streamBatch
        streamBatch = StreamBatch()
        if let streams { return streams.transmit(batch) }
        for transmission in batch.transmissions {
            failures.append(
                TransmissionFailure(transaction: transmission.transaction, flow: transmission.flow, reason: .transportNotSupported))
        }
    }

    private mutating func openStreams() {
        do {
            streams = try wiring.openStreams(streamListeners)
        } catch {
            logger.error("streams cannot be used: \(error)")
        }
    }

    private mutating func persist() {
        let changes = effects.store.changes
        guard let last = changes.last else { return }
        if let store {
            lastTicketHanded = last.ticket
            let octets = [UInt8](effects.store.bytes.bytes)
            effects.store.removeAll()
            store(changes, octets)
        } else {
            effects.store.removeAll()
            node.committed(upTo: last.ticket, succeeded: true, at: now, into: &effects)
        }
    }

    private func logNotices() {
        for notice in effects.notices {
            switch notice.level {
            case .debug: logger.debug("\(notice.text)")
            case .info: logger.info("\(notice.text)")
            case .warning: logger.warning("\(notice.text)")
            case .error: logger.error("\(notice.text)")
            }
        }
    }

    private mutating func reportFailures() {
        let reported = failures
        failures.removeAll(keepingCapacity: true)
        for failure in reported {
            drop(failure.reason, failure.flow)
            guard failure.transaction != 0 else { continue }
            node.transmissionFailed(failure.transaction, over: failure.flow, at: now, into: &effects)
        }
    }

    private mutating func drop(_ reason: DropReason, _ flow: Flow) {
        counters.count(reason)
        dropLog.note(reason, flow.remote, at: now.monotonic)
    }

    private mutating func wakeWaiters() {
        waiters.removeAll { waiter in
            let isMet = trace.nextSequence > 1 && trace.nextSequence - 1 > waiter.after
            guard isMet || waiter.deadline <= now.monotonic else { return false }
            waiter.continuation.resume(returning: isMet)
            return true
        }
    }
}

// MARK: Letters

extension ShardLoop where Node: ~Copyable {
    mutating func perform<R>(_ body: (inout Node, Now, inout Effects) -> R) -> R { body(&node, now, &effects) }

    mutating func committed(upTo ticket: UInt64, succeeded: Bool) {
        lastTicketReported = succeeded ? max(lastTicketReported, ticket) : lastTicketHanded
        node.committed(upTo: ticket, succeeded: succeeded, at: now, into: &effects)
    }

    mutating func wait(_ waiter: TraceWaiter) { waiters.append(waiter) }

    mutating func cancelWait(_ id: UInt64) {
        guard let index = waiters.firstIndex(where: { $0.id == id }) else { return }
        waiters.remove(at: index).continuation.resume(returning: false)
    }

    mutating func streamsReported(_ report: StreamReport) {
        for event in report.events {
            switch event {
            case .opened:
                counters.streamsOpened += 1
                counters.streamsOpen += 1
            case .received(let flow, let start, let count):
                receive(report.octets.span.bytes.part(start, count), over: flow)
            case .receivedUnframed(let flow, let start, let count):
                receive(report.octets.span.bytes.part(start, count), over: flow)
                closings.append(flow.connection)
            case .refused(let flow, let reason):
                counters.count(reason)
                dropLog.note(reason, flow.remote, at: now.monotonic)
            case .ended(let flow, let reason):
                end(flow, reason)
            case .failed(let failure):
                failures.append(failure)
            }
        }
        streams?.acknowledge(report.octets.count)
    }

    private mutating func receive(_ message: RawSpan, over flow: Flow) {
        counters.countReceived(1, octets: message.byteCount, over: flow.transport)
        if trace.isRecording {
            trace.record(message, .incoming, over: flow, local: localEndpoint(flow), at: now.wall)
        }
        node.receive(message, over: flow, at: now, into: &effects)
    }

    private mutating func end(_ flow: Flow, _ reason: StreamEnding) {
        counters.streamsOpen -= 1
        counters.count(reason)
        switch reason {
        case .peerClosed, .closedByCore, .idle, .stopped:
            logger.debug("closed stream: \(reason.rawValue) (with \(flow.remote.text))")
        default: dropLog.note(reason, flow.remote, at: now.monotonic)
        }
        node.flowClosed(flow, at: now, into: &effects)
    }
}

// MARK: Stopping

extension ShardLoop where Node: ~Copyable {
    mutating func stop(_ continuation: CheckedContinuation<Void, Never>) {
        if ending != nil {
            ending?.continuations.append(continuation)
            return
        }
        ending = Ending(deadline: now.monotonic + Self.patienceOfStop, continuations: [continuation])
        for socket in sockets { watch(socket) }
    }

    mutating func streamsStopped() { ending?.streamsStopped = true }

    /// Whether all is done that must be before the thread ends.
    private mutating func hasEnded() -> Bool {
        guard var state = ending else { return false }
        if state.deadline <= now.monotonic {
            logger.warning("stopped before all was stored and sent")
            return true
        }
        guard lastTicketReported >= lastTicketHanded, !sockets.contains(where: { $0.isWaiting }) else { return false }
        guard let streams else { return true }
        if !state.streamsAsked {
            state.streamsAsked = true
            ending = state
            streams.stop(wiring.streamsStopped)
        }
        return state.streamsStopped
    }
}
