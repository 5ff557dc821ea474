// What is remembered of each device that authenticates: its nonce in use, how far it was counted, and wrong answers.

import SansIO

struct DeviceLedger: ~Copyable {
    struct Entry: BitwiseCopyable {
        var key: UInt64
        /// The stamp of the last nonce with a right answer; 0: none. Older ones are void.
        var stamp: UInt64 = 0
        /// The highest count answered with it; `.max`: it may not be used again.
        var nonceCount: UInt32 = 0
        /// Wrong answers in a row, and when they are forgotten.
        var failures: UInt8 = 0
        /// Whether the nonce is kept only against replays.
        var isReleased = false
        var isQueued = false
        var failuresEnd = Instant.zero
    }

    private struct Queued: BitwiseCopyable {
        var due: Instant
        var entry: SlotID
    }

    private var keys = KeyTable()
    private var entries = Slab<Entry>()
    private var queue: ContiguousArray<Queued> = []
    private var queueHead = 0

    init() {}

    var count: Int { entries.count }

    func entry(of key: UInt64) -> Entry? { keys[KeyHash(number: key)].map { entries[$0] } }

    mutating func set(_ entry: Entry) {
        if let slot = keys[KeyHash(number: entry.key)] {
            let isQueued = entries[slot].isQueued
            entries[slot] = entry
            entries[slot].isQueued = isQueued
        } else {
            keys.set(KeyHash(number: entry.key), to: entries.insert(entry).index)
        }
    }

    /// Looks at an entry again when it may have become needless. Dues come nearly in order, so a queue will do.
    mutating func review(_ key: UInt64, at due: Instant) {
        guard let slot = keys[KeyHash(number: key)], !entries[slot].isQueued else { return }
        entries[slot].isQueued = true
        queue.append(Queued(due: due, entry: entries.id(of: slot)))
    }

    /// The next entry whose review is due, taken off the queue.
    mutating func nextDue(at now: Instant) -> Entry? {
        guard queueHead < queue.count, queue[queueHead].due < now else { return nil }
        let queued = queue[queueHead]
        queueHead += 1
        if queueHead > 1024, queueHead * 2 > queue.count {
            queue.removeFirst(queueHead)
            queueHead = 0
        }
        entries[queued.entry.index].isQueued = false
        return entries[queued.entry.index]
    }

    mutating func remove(_ key: UInt64) {
        let hash = KeyHash(number: key)
        guard let slot = keys[hash] else { return }
        keys.remove(hash)
        entries.remove(slot)
    }
}

extension KeyHash {
    /// Of a number of our own: no secret is needed, but every bit must count (the finisher of SplitMix64).
    init(number: UInt64) {
        var z = number &+ 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        z ^= z >> 31
        self.init(low: z, high: z)
    }
}
