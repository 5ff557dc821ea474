import SCSCF
import SIPMessage
import SIPTransaction
import SansIO
import Testing

/// The shards of a core and the ways between them. What one hands over arrives at each other one in order; in which order
/// the ways have their turn, and which shard reads what the network brings, a seed decides.
final class ShardedCore {
    /// A core that an array can hold.
    private final class Box {
        var core: ServingCSCF
        init(_ configuration: ServingCSCFConfiguration, at now: Now) { core = ServingCSCF(configuration, at: now) }
    }

    private struct Letter {
        var handOver: HandOver
        var octets: [UInt8]
    }

    private let boxes: [Box]
    private var ways: [[Letter]]
    private var random: RandomSource
    /// How much was handed over so far, by purpose.
    private(set) var handedOver: [HandOver.Purpose: Int] = [:]
    var count: Int { boxes.count }

    init(_ configuration: ServingCSCFConfiguration, _ division: Division, at now: Now) {
        boxes = (0..<division.shards).map { number in
            var mine = configuration
            mine.place = ShardPlace(number: number, count: division.shards)
            return Box(mine, at: now)
        }
        ways = Array(repeating: [], count: division.shards * division.shards)
        random = RandomSource(seed: division.seed)
    }

    // MARK: Driving

    /// The shard that happens to read the next message.
    func reader() -> Int { count == 1 ? 0 : Int.random(in: 0..<count, using: &random) }

    /// One tick of a shard; `sink` gets its effects.
    func tick(_ shard: Int, _ body: (inout ServingCSCF, inout Effects) -> Void, sink: (borrowing Effects) -> Void) {
        var effects = Effects()
        body(&boxes[shard].core, &effects)
        for handOver in effects.wire.handOvers {
            precondition(Int(handOver.source) == shard && Int(handOver.target) != shard, "handed over to itself")
            let octets = [UInt8](effects.wire.bytes.bytes(from: handOver.start, count: handOver.count))
            ways[shard * count + Int(handOver.target)].append(Letter(handOver: handOver, octets: octets))
            handedOver[handOver.purpose, default: 0] += 1
        }
        sink(effects)
    }

    var hasLetters: Bool { ways.contains { !$0.isEmpty } }

    /// Lets the first letter of one of the ways arrive.
    func deliver(at now: Now, sink: (Int, borrowing Effects) -> Void) {
        let busy = ways.indices.filter { !ways[$0].isEmpty }
        guard let way = busy.randomElement(using: &random) else { return }
        let letter = ways[way].removeFirst()
        let target = way % count
        tick(target, { $0.handedOver(letter.handOver, letter.octets.span.bytes, at: now, into: &$1) }, sink: { sink(target, $0) })
    }

    /// The shards whose timers are due.
    func due(at instant: Instant) -> [Int] { boxes.indices.filter { (boxes[$0].core.nextDeadline ?? .distantFuture) <= instant } }
    var nextDeadline: Instant? { boxes.compactMap { $0.core.nextDeadline }.min() }

    /// Restores a record in the shard whose it is.
    func restore(
        table: UInt8 = StoreTable.registrations, key: RawSpan, value: RawSpan, at now: Now, into effects: inout Effects
    ) -> Bool {
        var isTaken = true
        for box in boxes where !box.core.restore(table: table, key: key, value: value, at: now, into: &effects) { isTaken = false }
        return isTaken
    }

    func reset(at now: Now) { for box in boxes { box.core.reset(at: now) } }

    // MARK: Questions

    func transactionCount(of kind: TransactionKind) -> Int { boxes.reduce(0) { $0 + $1.core.transactionCount(of: kind) } }
    var registeredCount: Int { boxes.reduce(0) { $0 + $1.core.registeredCount } }
    var subscriptionCount: Int { boxes.reduce(0) { $0 + $1.core.subscriptionCount } }
    func registeredIdentity(_ uri: String, at now: Instant) -> RegisteredIdentity? {
        boxes.lazy.compactMap { $0.core.registeredIdentity(uri, at: now) }.first
    }
    func registeredIdentities(at now: Instant) -> [RegisteredIdentity] {
        boxes.flatMap { $0.core.registeredIdentities(at: now) }.sorted { $0.place < $1.place }
    }
    var counters: CoreCounters {
        var sum = boxes[0].core.counters
        for box in boxes.dropFirst() { sum.add(box.core.counters) }
        return sum
    }
}

/// Into how many shards a test's core is parted, and what decides their turns.
struct Division: Sendable, Hashable {
    var shards = 1
    var seed: UInt64 = 0

    /// What a `CoreRig` is made with if nothing else is said.
    @TaskLocal static var current = Division()
}

/// Runs each test of a suite with the core whole, and then parted: whatever holds of one shard must hold of several.
struct OverShards: SuiteTrait, TestTrait, TestScoping {
    var isRecursive: Bool { true }

    func provideScope(for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void) async throws {
        try await function()
        for shards in 2...4 {
            for seed in 1...3 {
                try await Division.$current.withValue(Division(shards: shards, seed: UInt64(seed)), operation: function)
            }
        }
    }
}

extension Trait where Self == OverShards {
    static var overShards: OverShards { OverShards() }
}
