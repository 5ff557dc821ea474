// All timers of a node, with one wake-up: a hierarchical wheel (Varghese and Lauck) of eight levels of 64 slots, one
// millisecond fine. Setting, moving and stopping a timer cost the same however many there are, and a call of `expire`
// does as much as it is told to at most: what is left is for the next one.
//
// The order of the timers of one millisecond is that of their setting, without a number or a sort. A slot is a queue.
// What is set later for the same millisecond is never on a higher level, so what comes down from a level is older than
// what stands in the slots below: it goes in front, and the lower levels come down first.

/// The number of a set timer.
public struct TimerID: BitwiseCopyable, Hashable, Sendable {
    @usableFromInline var node: UInt32
    public static let none = TimerID(node: .max)
    @inlinable public var isNone: Bool { node == .max }
    @usableFromInline init(node: UInt32) { self.node = node }
}

public struct TimerWheel: ~Copyable {
    /// Enough for every millisecond of `Instant`.
    private static let levels = 8
    /// So many timers of a slot are looked at for the first of them.
    private static let few = 8

    private struct Queue: BitwiseCopyable {
        var first: UInt32 = .max
        var last: UInt32 = .max
    }

    private var nodes = TimerNodes()
    private var queues = ContiguousArray(repeating: Queue(), count: 64 * levels)
    /// A bit for each slot that is not empty.
    private var occupied = ContiguousArray<UInt64>(repeating: 0, count: levels)
    private var current: Int64
    /// Whether timers of the current millisecond, or slots that begin with it, are left.
    private var isBehind = false
    /// Timers set and not yet expired.
    public private(set) var count = 0

    /// A wheel that begins at `start`.
    public init(start: Instant) { current = start.nanoseconds / 1_000_000 }

    /// Octets of memory that the wheel holds.
    public var bytesAllocated: Int { nodes.bytesAllocated + 64 * TimerWheel.levels * MemoryLayout<Queue>.stride }

    /// Sets a timer. It expires at the first `expire` at or after the deadline; one in the past, at the next.
    public mutating func schedule(at deadline: Instant, payload: UInt64) -> TimerID {
        let tick = max(current + 1, TimerWheel.tick(roundedUp: deadline))
        let node = nodes.take()
        nodes[node] = TimerNode(next: .max, previous: .max, tick: tick, payload: payload)
        append(node)
        count += 1
        return TimerID(node: node)
    }

    /// Stops a timer that is set. `.none` is no timer and is let pass.
    public mutating func cancel(_ id: TimerID) {
        guard !id.isNone else { return }
        precondition(nodes[id.node].isSet, "the timer is not set")
        unlink(id.node)
        nodes.giveBack(id.node)
        count -= 1
    }

    /// When `expire` should be called next: never after the first deadline, and at it where few timers are set; where there
    /// are many, not long before. While a call has left something to do, the present or earlier.
    public var nextDeadline: Instant? {
        guard let tick = isBehind ? current : nextTick(looksInto: true) else { return nil }
        let (nanoseconds, overflow) = tick.multipliedReportingOverflow(by: 1_000_000)
        return overflow ? .distantFuture : Instant(nanoseconds: nanoseconds)
    }

    /// Takes out the timers that are due and appends their payloads, in the order of the deadlines, to the millisecond; those
    /// of one millisecond in the order in which they were set.
    ///
    /// - Parameter limit: the most timers that are touched, taken out or brought down a level; the rest is left to the next
    ///   call, and until then `nextDeadline` is not after `now`.
    public mutating func expire(upTo now: Instant, into payloads: inout [UInt64], atMost limit: Int = .max) {
        let target = now.nanoseconds / 1_000_000
        var left = limit
        while isBehind || current < target {
            if !isBehind {
                guard let next = nextTick(), next <= target else {
                    current = target
                    return
                }
                current = next
                isBehind = true
            }
            var level = 1
            while level < TimerWheel.levels, current & (1 << Int64(6 * level) - 1) == 0 {
                bringDown(level, &left)
                level += 1
            }
            fire(into: &payloads, &left)
            guard left > 0 else { return }
            isBehind = false
        }
    }

    private static func tick(roundedUp instant: Instant) -> Int64 {
        instant.nanoseconds / 1_000_000 + (instant.nanoseconds % 1_000_000 > 0 ? 1 : 0)
    }

    /// When the next slot begins that is not empty.
    ///
    /// - Parameter looksInto: whether the first timer of the slot is looked for, so that nobody wakes only to bring it down: by
    ///   a virtual clock a wake-up costs a turn. In a slot with many that would take too long.
    private func nextTick(looksInto: Bool = false) -> Int64? {
        var best: Int64?
        for level in 0..<TimerWheel.levels where occupied[level] != 0 {
            let position = current >> Int64(6 * level)
            let turn = UInt64((position + 1) & 63)
            let bits = occupied[level]
            let turned = turn == 0 ? bits : bits >> turn | bits << (64 - turn)
            var tick = (position + 1 + Int64(turned.trailingZeroBitCount)) << Int64(6 * level)
            if let best, tick >= best { continue }
            if looksInto, level > 0 { tick = firstTick(in: TimerWheel.slot(of: tick, on: level)) ?? tick }
            best = min(tick, best ?? tick)
        }
        return best
    }

    /// The first deadline in a slot; nil: there are many.
    private func firstTick(in slot: Int) -> Int64? {
        var first = Int64.max
        var node = queues[slot].first
        for _ in 0..<TimerWheel.few {
            guard node != .max else { return first }
            first = min(first, nodes[node].tick)
            node = nodes[node].next
        }
        return node == .max ? first : nil
    }

    // MARK: Slots

    /// Brings the timers of a level's slot that begins now down to where they belong, the youngest first.
    private mutating func bringDown(_ level: Int, _ left: inout Int) {
        let slot = TimerWheel.slot(of: current, on: level)
        while left > 0, queues[slot].last != .max {
            let node = queues[slot].last
            unlink(node)
            prepend(node)
            left -= 1
        }
    }

    private mutating func fire(into payloads: inout [UInt64], _ left: inout Int) {
        let slot = TimerWheel.slot(of: current, on: 0)
        while left > 0, queues[slot].first != .max {
            let node = queues[slot].first
            payloads.append(nodes[node].payload)
            unlink(node)
            nodes.giveBack(node)
            count -= 1
            left -= 1
        }
    }

    private static func slot(of tick: Int64, on level: Int) -> Int { level << 6 | Int((tick >> Int64(6 * level)) & 63) }

    /// The slot for a deadline, as far off as it is now.
    private func slot(for tick: Int64) -> Int {
        let distance = UInt64(bitPattern: tick - current) | 1
        return TimerWheel.slot(of: tick, on: (63 - distance.leadingZeroBitCount) / 6)
    }

    private mutating func append(_ node: UInt32) {
        let slot = slot(for: nodes[node].tick)
        let last = queues[slot].last
        nodes[node].slot = slot
        nodes[node].previous = last
        nodes[node].next = .max
        queues[slot].last = node
        if last == .max { beginQueue(slot, node) } else { nodes[last].next = node }
    }

    private mutating func prepend(_ node: UInt32) {
        let slot = slot(for: nodes[node].tick)
        let first = queues[slot].first
        nodes[node].slot = slot
        nodes[node].next = first
        nodes[node].previous = .max
        if first == .max {
            queues[slot].last = node
            beginQueue(slot, node)
        } else {
            nodes[first].previous = node
            queues[slot].first = node
        }
    }

    private mutating func beginQueue(_ slot: Int, _ node: UInt32) {
        queues[slot].first = node
        occupied[slot >> 6] |= 1 << UInt64(slot & 63)
    }

    private mutating func unlink(_ node: UInt32) {
        let entry = nodes[node]
        let slot = entry.slot
        if entry.next != .max { nodes[entry.next].previous = entry.previous } else { queues[slot].last = entry.previous }
        if entry.previous != .max { nodes[entry.previous].next = entry.next } else { queues[slot].first = entry.next }
        if entry.next == .max, entry.previous == .max { occupied[slot >> 6] &= ~(1 << UInt64(slot & 63)) }
    }
}

/// One timer: 24 octets, since a million are common.
struct TimerNode: BitwiseCopyable {
    var next: UInt32
    var previous: UInt32
    /// The millisecond, and in the lowest bits the slot.
    private var place: Int64
    var payload: UInt64

    init(next: UInt32, previous: UInt32, tick: Int64, payload: UInt64) {
        self.next = next
        self.previous = previous
        place = tick << 9
        self.payload = payload
    }

    var tick: Int64 { place >> 9 }
    /// false: it is one of those not in use.
    var isSet: Bool { place != .min }
    var slot: Int {
        get { Int(place & 511) }
        set { place = place & ~511 | Int64(newValue) }
    }

    mutating func release(before next: UInt32) {
        place = .min
        self.next = next
    }
}

/// The nodes in chunks that never move; those not in use are a list by `next`.
struct TimerNodes: ~Copyable, @unchecked Sendable {
    private static let chunkShift = 10
    private var chunks: ContiguousArray<UnsafeMutablePointer<TimerNode>> = []
    private var firstFree: UInt32 = .max
    private var used = 0

    deinit { for chunk in chunks { chunk.deallocate() } }

    var bytesAllocated: Int { chunks.count << TimerNodes.chunkShift * MemoryLayout<TimerNode>.stride }

    subscript(_ node: UInt32) -> TimerNode {
        @inline(__always) _read { yield pointer(node).pointee }
        @inline(__always) _modify { yield &pointer(node).pointee }
    }

    /// A node whose fields are yet to be set.
    mutating func take() -> UInt32 {
        if firstFree != .max {
            let node = firstFree
            firstFree = self[node].next
            return node
        }
        if used == chunks.count << TimerNodes.chunkShift { chunks.append(.allocate(capacity: 1 << TimerNodes.chunkShift)) }
        used += 1
        return UInt32(used - 1)
    }

    mutating func giveBack(_ node: UInt32) {
        self[node].release(before: firstFree)
        firstFree = node
    }

    @inline(__always)
    private func pointer(_ node: UInt32) -> UnsafeMutablePointer<TimerNode> {
        chunks[Int(node) >> TimerNodes.chunkShift] + Int(node) & (1 << TimerNodes.chunkShift - 1)
    }
}
