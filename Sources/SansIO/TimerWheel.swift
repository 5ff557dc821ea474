// All timers of a node, with one wake-up: a hierarchical wheel (Varghese and Lauck) of six levels of 64 slots, one
// millisecond fine. Setting, moving and stopping a timer cost the same however many there are.

/// The number of a set timer.
public struct TimerID: BitwiseCopyable, Hashable, Sendable {
    @usableFromInline var node: UInt32
    public static let none = TimerID(node: .max)
    @inlinable public var isNone: Bool { node == .max }
    @usableFromInline init(node: UInt32) { self.node = node }
}

public struct TimerWheel: ~Copyable {
    @usableFromInline struct Node: BitwiseCopyable {
        @usableFromInline var next: UInt32
        @usableFromInline var previous: UInt32
        @usableFromInline var tick: Int64
        @usableFromInline var payload: UInt64
        /// Which one was set first: for the order of those that share a tick.
        @usableFromInline var sequence: UInt32
        @usableFromInline var bucket: UInt16
    }

    private struct Due: BitwiseCopyable {
        var sequence: UInt32
        var payload: UInt64
    }

    private static let levels = 6
    private var nodes = Slab<Node>()
    private var heads = ContiguousArray<UInt32>(repeating: .max, count: 64 * levels)
    private var occupied = ContiguousArray<UInt64>(repeating: 0, count: levels)
    private var current: Int64
    private var nextSequence: UInt32 = 0
    /// Of one slot, while it is emptied.
    private var due: ContiguousArray<Due> = []

    /// A wheel that begins at `start`.
    public init(start: Instant) { current = start.nanoseconds / 1_000_000 }

    /// Timers set and not yet expired.
    public var count: Int { nodes.count }

    /// Sets a timer. It expires at the first `expire` at or after the deadline; one in the past, at the next.
    public mutating func schedule(at deadline: Instant, payload: UInt64) -> TimerID {
        let tick = max(current + 1, TimerWheel.tick(roundedUp: deadline))
        let node = nodes.insert(Node(next: .max, previous: .max, tick: tick, payload: payload, sequence: nextSequence, bucket: 0)).index
        nextSequence &+= 1
        link(node)
        return TimerID(node: node)
    }

    /// Stops a timer that is set. `.none` is no timer and is let pass.
    public mutating func cancel(_ id: TimerID) {
        guard !id.isNone else { return }
        unlink(id.node)
        nodes.remove(id.node)
    }

    /// When `expire` should be called next: never after the first deadline, and not long before it.
    public var nextDeadline: Instant? {
        guard let tick = nextTick() else { return nil }
        return Instant(nanoseconds: tick * 1_000_000)
    }

    /// Takes out every timer that is due and appends its payload, in the order of the deadlines, to the millisecond; those
    /// of one millisecond in the order in which they were set.
    public mutating func expire(upTo now: Instant, into payloads: inout [UInt64]) {
        let target = now.nanoseconds / 1_000_000
        while current < target {
            guard let next = nextTick(), next <= target else {
                current = target
                return
            }
            current = next
            for level in stride(from: TimerWheel.levels - 1, to: 0, by: -1)
            where current & ((1 << Int64(6 * level)) - 1) == 0 { cascade(level) }
            fire(Int(current & 63), into: &payloads)
        }
    }

    private static func tick(roundedUp instant: Instant) -> Int64 {
        instant.nanoseconds / 1_000_000 + (instant.nanoseconds % 1_000_000 > 0 ? 1 : 0)
    }

    private func nextTick() -> Int64? {
        var best: Int64?
        for level in 0..<TimerWheel.levels where occupied[level] != 0 {
            let position = current >> Int64(6 * level)
            let turn = UInt64((position + 1) & 63)
            let bits = occupied[level]
            let turned = turn == 0 ? bits : bits >> turn | bits << (64 - turn)
            let tick = (position + 1 + Int64(turned.trailingZeroBitCount)) << Int64(6 * level)
            if best.map({ tick < $0 }) ?? true { best = tick }
        }
        return best
    }

    private mutating func link(_ node: UInt32) {
        // A deadline beyond the wheel waits in its last slot and is placed anew when that comes round.
        let distance = min(nodes[node].tick - current, 1 << Int64(6 * TimerWheel.levels) - 1)
        let placed = current + distance
        var level = 0
        while level < TimerWheel.levels - 1, distance >= 1 << Int64(6 * (level + 1)) { level += 1 }
        let slot = Int((placed >> Int64(6 * level)) & 63)
        let bucket = level * 64 + slot
        let head = heads[bucket]
        nodes[node].next = head
        nodes[node].previous = .max
        nodes[node].bucket = UInt16(bucket)
        if head != .max { nodes[head].previous = node }
        heads[bucket] = node
        occupied[level] |= 1 << UInt64(slot)
    }

    private mutating func unlink(_ node: UInt32) {
        let entry = nodes[node]
        if entry.next != .max { nodes[entry.next].previous = entry.previous }
        if entry.previous != .max {
            nodes[entry.previous].next = entry.next
        } else {
            let bucket = Int(entry.bucket)
            heads[bucket] = entry.next
            if entry.next == .max { occupied[bucket >> 6] &= ~(1 << UInt64(bucket & 63)) }
        }
    }

    private mutating func cascade(_ level: Int) {
        let bucket = level * 64 + Int((current >> Int64(6 * level)) & 63)
        var node = heads[bucket]
        heads[bucket] = .max
        occupied[level] &= ~(1 << UInt64(bucket & 63))
        while node != .max {
            let next = nodes[node].next
            link(node)
            node = next
        }
    }

    private mutating func fire(_ slot: Int, into payloads: inout [UInt64]) {
        var node = heads[slot]
        guard node != .max else { return }
        heads[slot] = .max
        occupied[0] &= ~(1 << UInt64(slot))
        due.removeAll(keepingCapacity: true)
        var isRising = true
        while node != .max {
            let entry = nodes[node]
            if let last = due.last, Int32(bitPattern: last.sequence &- entry.sequence) > 0 { isRising = false }
            due.append(Due(sequence: entry.sequence, payload: entry.payload))
            nodes.remove(node)
            node = entry.next
        }
        // A bucket is a stack, and each cascade turns it over: the numbers restore the order. They wrap round.
        if !isRising { due.sort { Int32(bitPattern: $0.sequence &- $1.sequence) < 0 } }
        for timer in due { payloads.append(timer.payload) }
    }
}
