// A node as one or several shards: all of them read the datagrams of the same sockets, the first has the streams, and what
// is asked of the node is asked of all and put together.

public import SIPTrace
public import SansIO

/// What the shards of a node share.
struct ShardHub<Node: SansIONode & SendableMetatype & ~Copyable>: Sendable {
    /// One for each shard.
    let mailboxes: [Mailbox<Shard<Node>.Letter>]
    let boxes: [HandOverBox]
    let trace: TraceRecorder
    /// One for each listener.
    let sentDatagrams: [SentDatagrams]

    init(shards: Int, listeners: Int, _ configuration: ShardConfiguration) throws(SystemFailure) {
        var mailboxes: [Mailbox<Shard<Node>.Letter>] = []
        for _ in 0..<shards { mailboxes.append(try Mailbox()) }
        self.mailboxes = mailboxes
        boxes = (0..<shards).map { _ in HandOverBox() }
        trace = TraceRecorder(configuration)
        sentDatagrams = (0..<listeners).map { _ in SentDatagrams() }
    }
}

/// The shards of a node, each a core on a thread of its own.
public final class ShardGroup<Node: SansIONode & SendableMetatype & ~Copyable>: Sendable {
    /// The listeners bound, in the order of the topology.
    public let listeners: [Listener]
    private let shards: [Shard<Node>]
    public var count: Int { shards.count }

    /// Sets up the shards with their sockets and their streams. Nothing is read before `start`.
    /// - Parameters:
    ///   - count: how many shards there are, 1 to `ShardPlace.maximumCount`.
    ///   - makeNode: makes the core of a shard.
    public init(
        _ count: Int, on bound: consuming BoundListeners, _ configuration: ShardConfiguration,
        makeNode: (ShardPlace) -> sending Node
    ) throws(SystemFailure) {
        let listeners = bound.listeners
        let hub = try ShardHub<Node>(shards: count, listeners: listeners.count, configuration)
        // Every shard has descriptors of its own for the same sockets.
        var descriptors: [[Int32]] = []
        for _ in 1..<count { descriptors.append(try bound.duplicates()) }
        descriptors.insert(bound.release(), at: 0)
        var shards: [Shard<Node>] = []
        for number in 0..<count {
            shards.append(
                try Shard(
                    makeNode(ShardPlace(number: number, count: count)), number, listeners, descriptors: descriptors[number], hub,
                    streamsOn: configuration))
        }
        self.listeners = listeners
        self.shards = shards
    }

    /// Starts the threads, the first shard's last: it is the one that accepts streams.
    /// - Parameters:
    ///   - name: of the threads; a number follows it where there are several.
    ///   - store: for the number of a shard what takes its changes; nil: each counts as committed at once.
    public func start(name: String, store: (Int) -> StoreSink?) throws(SystemFailure) {
        for shard in shards.reversed() {
            try shard.start(name: shards.count == 1 ? name : "\(name)-\(shard.number)", store: store(shard.number))
        }
    }

    /// Ends all shards in order (`Shard.stop`): first none reads any more, then all but the first end, then that one with
    /// the streams.
    public func stop() async {
        for shard in shards { shard.fallQuiet() }
        for shard in shards.reversed() { await shard.stop() }
    }

    // MARK: Questions

    /// Runs a closure on each shard's thread, one shard after another (`Shard.perform`).
    public func perform<R: Sendable>(
        _ body: @Sendable @escaping (_ node: inout Node, _ now: Now, _ effects: inout Effects) -> R
    ) async -> [R] {
        var results: [R] = []
        for shard in shards { results.append(await shard.perform(body)) }
        return results
    }

    /// The same, but by a virtual clock not before all who go by it have come to rest (`Shard.performAtRest`).
    public func performAtRest<R: Sendable>(
        _ body: @Sendable @escaping (_ node: inout Node, _ now: Now, _ effects: inout Effects) -> R
    ) async -> [R] {
        var results: [R] = []
        for shard in shards { results.append(await shard.performAtRest(body)) }
        return results
    }

    /// Like `perform`, without waiting for it.
    public func post(_ body: @Sendable @escaping (_ node: inout Node, _ now: Now, _ effects: inout Effects) -> Void) {
        for shard in shards { shard.post(body) }
    }

    /// Tells a shard of its changes (`Shard.committed`). That changes are lost is told to all shards: whatever any of them
    /// has handed in meanwhile is lost as well.
    public func committed(shard: Int, upTo ticket: UInt64, succeeded: Bool) {
        guard !succeeded else { return shards[shard].committed(upTo: ticket, succeeded: true) }
        for shard in shards { shard.committed(upTo: ticket, succeeded: false) }
    }

    /// What all shards have counted so far.
    public func counters() async -> RuntimeCounters {
        var sum = await shards[0].counters()
        for shard in shards.dropFirst() { sum.add(await shard.counters()) }
        return sum
    }

    /// Looks at the trace of all shards; not for long, since they record into it.
    public func withTrace<R: Sendable>(_ body: @Sendable @escaping (_ trace: inout TraceRing) -> R) async -> R {
        await shards[0].withTrace(body)
    }

    /// Waits until the trace has a message with a number over `sequence` (`Shard.waitForMessages`).
    public func waitForMessages(after sequence: UInt64, until deadline: Instant) async -> Bool {
        await shards[0].waitForMessages(after: sequence, until: deadline)
    }
}
