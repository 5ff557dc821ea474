// One core on one thread. The shard is the handle that the rest of the program holds; the loop that drives the core is
// `ShardLoop`. Whoever is not the shard's thread reaches the core by letter.

public import Logging
public import SIPTrace
public import SansIO
import Synchronization

/// How a shard is set up.
public struct ShardConfiguration: Sendable {
    /// Messages that the trace keeps; 0: it is off.
    public var traceMessages = 20_000
    /// Octets that the trace keeps.
    public var traceOctets = 64 << 20
    public var streamLimits = StreamLimits()
    /// For TLS; nil: no listener has it, and no stream with it can be opened.
    public var security: StreamSecurity?
    /// The origins whose scripts may open a WebSocket, such as `https://phone.home1.test` (RFC 6454 §6.2); nil: any.
    public var webSocketOrigins: [String]?
    /// Whether datagrams may share a message that the system cuts (UDP_SEGMENT), under load that lasts.
    public var segmentsDatagrams = true
    /// Answers what the core asks of the Domain Name System; nil: nobody does.
    public var names: NameService?
    /// What the core takes for the time.
    public var clock = NodeClock.system
    /// With a virtual clock, the place at it of each shard.
    public var memberships: [ClockMembership] = []
    /// Stands between the core and its sockets; nil: nobody does.
    public var interceptor: Interceptor?
    public var logger: Logger

    public init(logger: Logger) { self.logger = logger }
}

/// A node's core with its sockets, its trace and a thread of its own.
///
/// Between `start` and `stop` the thread alone touches the core: it hands in what arrives, lets timers fire, and takes
/// out effects once per batch. `perform` and `post` run closures on it between batches.
public final class Shard<Node: SansIONode & SendableMetatype & ~Copyable>: Sendable {
    typealias Letter = @Sendable (inout ShardLoop<Node>) -> Void

    private enum Phase { case new, started }

    /// The shard of a node that has no other, or one of several.
    let number: Int

    /// The listeners bound, in the order of the topology.
    public let listeners: [Listener]
    private let mailbox: Mailbox<Letter>
    private let box: HandOverBox
    private let loop: Mutex<ShardLoop<Node>>
    private let phase = Mutex(Phase.new)
    private let waiters = Atomic<UInt64>(0)

    convenience init(
        _ node: consuming sending Node, on bound: consuming BoundListeners, _ configuration: ShardConfiguration,
        openStreams: @escaping StreamOpener
    ) throws(SystemFailure) {
        let listeners = bound.listeners
        let hub = try ShardHub<Node>(shards: 1, listeners: listeners.count, configuration)
        try self.init(node, 0, listeners, descriptors: bound.release(), hub, configuration, openStreams: openStreams)
    }

    /// - Parameter descriptors: one for each listener, its own from now on; of a shard but the first the ones of streams are
    ///   not looked at.
    init(
        _ node: consuming sending Node, _ number: Int, _ listeners: [Listener], descriptors: [Int32], _ hub: ShardHub<Node>,
        _ configuration: ShardConfiguration, openStreams: @escaping StreamOpener
    ) throws(SystemFailure) {
        self.number = number
        self.listeners = listeners
        mailbox = hub.mailboxes[number]
        box = hub.boxes[number]
        let mailbox = mailbox
        let wiring = ShardWiring(
            configuration: configuration, listeners: listeners, number: number, hub: hub,
            openStreams: { listeners in
                try openStreams(listeners) { report in mailbox.post { $0.streamsReported(report) } }
            },
            streamsStopped: { mailbox.post { $0.streamsStopped() } })
        loop = Mutex(try ShardLoop(node, wiring, descriptors: descriptors))
    }

    /// Starts the thread. A second call does nothing.
    /// - Parameters:
    ///   - name: of the thread.
    ///   - store: takes the core's changes; nil: each counts as committed at once.
    public func start(name: String = "shard", store: StoreSink? = nil) throws(SystemFailure) {
        let isFirst = phase.withLock { phase in
            defer { phase = .started }
            return phase == .new
        }
        guard isFirst else { return }
        do throws(SystemFailure) {
            try ShardThread.start(name: name) { self.run(store) }
        } catch {
            phase.withLock { $0 = .new }
            throw error
        }
    }

    private func run(_ store: StoreSink?) {
        loop.withLock { loop in
            loop.run(store: store)
            box.close()
            // Letters that came too late for a tick are read too: whoever wrote one may wait for an answer.
            for letter in mailbox.close() { letter(&loop) }
            loop.finish()
        }
    }

    /// Ends the shard in order: no more datagrams are read, changes handed to the store are awaited and what then is to
    /// be sent is sent, streams are closed after what waits on them is written. After 5 s it ends in any case.
    public func stop() async {
        guard phase.withLock({ $0 == .started }) else { return }
        await withCheckedContinuation { continuation in
            if !mailbox.post({ $0.stop(continuation) }) { continuation.resume() }
        }
    }

    /// Reads no more datagrams; all else goes on.
    func fallQuiet() { mailbox.post { $0.fallQuiet() } }

    /// Runs a closure on the shard's thread between two batches, and acts on the effects that it appends. Before
    /// `start` it waits for it; after `stop` it runs at once, and its effects lead to nothing.
    public func perform<R: Sendable>(
        _ body: @Sendable @escaping (_ node: inout Node, _ now: Now, _ effects: inout Effects) -> R
    ) async -> R {
        await onLoop { $0.perform(body) }
    }

    /// The same without waiting for it; after `stop` nothing is done.
    public func post(_ body: @Sendable @escaping (_ node: inout Node, _ now: Now, _ effects: inout Effects) -> Void) {
        mailbox.post { $0.perform(body) }
    }

    /// Like `perform`, but by a virtual clock not before all who go by it have come to rest. What is asked of a node from
    /// outside is asked so, for then its place among all that happens is always the same.
    public func performAtRest<R: Sendable>(
        _ body: @Sendable @escaping (_ node: inout Node, _ now: Now, _ effects: inout Effects) -> R
    ) async -> R {
        await withCheckedContinuation { continuation in
            let isPosted = mailbox.post { loop in
                loop.doAtRest { continuation.resume(returning: $0.perform(body)) }
            }
            if !isPosted { continuation.resume(returning: loop.withLock { $0.perform(body) }) }
        }
    }

    /// The same without waiting for it; after `stop` nothing is done.
    public func postAtRest(_ body: @Sendable @escaping (_ node: inout Node, _ now: Now, _ effects: inout Effects) -> Void) {
        mailbox.post { loop in loop.doAtRest { $0.perform(body) } }
    }

    /// Tells the core that its changes up to and with a ticket are durable or, if not, that all changes not yet
    /// reported are lost.
    public func committed(upTo ticket: UInt64, succeeded: Bool) {
        mailbox.post { $0.committed(upTo: ticket, succeeded: succeeded) }
    }

    /// What the shard has counted so far.
    public func counters() async -> RuntimeCounters { await onLoop { $0.counters } }

    /// Looks at the trace, or resets it, on the shard's thread; so it should not look long.
    public func withTrace<R: Sendable>(_ body: @Sendable @escaping (_ trace: inout TraceRing) -> R) async -> R {
        await onLoop { $0.trace.withRing(body) }
    }

    /// Waits until the trace has a message with a number over `sequence`.
    /// - Parameter deadline: when to give up, on the clock of `SystemClock`.
    /// - Returns: whether there is one; false as well when the task is cancelled or the shard stops.
    public func waitForMessages(after sequence: UInt64, until deadline: Instant) async -> Bool {
        let id = waiters.wrappingAdd(1, ordering: .relaxed).newValue
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let waiter = TraceWaiter(id: id, after: sequence, deadline: deadline, continuation: continuation)
                guard mailbox.post({ $0.wait(waiter) }) else { return continuation.resume(returning: false) }
                // A cancellation before the letter above was posted found nobody who waits.
                if Task.isCancelled { mailbox.post { $0.cancelWait(id) } }
            }
        } onCancel: {
            mailbox.post { $0.cancelWait(id) }
        }
    }

    private func onLoop<R: Sendable>(_ body: @Sendable @escaping (inout ShardLoop<Node>) -> R) async -> R {
        await withCheckedContinuation { continuation in
            let isPosted = mailbox.post { continuation.resume(returning: body(&$0)) }
            // The thread has left, or is about to: its lock is free as soon as it has.
            if !isPosted { continuation.resume(returning: loop.withLock { body(&$0) }) }
        }
    }
}
