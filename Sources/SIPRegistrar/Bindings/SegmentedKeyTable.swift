// A hash table for a million keys that never stops to grow as a whole.

import SansIO

/// Sixty-four key tables, chosen by the key: each grows alone, so the longest pause is a sixty-fourth. They lie outside
/// of their owner, which so stays small enough to be passed about.
struct SegmentedKeyTable: ~Copyable, @unchecked Sendable {
    private static let count = 64
    private let segments: UnsafeMutablePointer<KeyTable>

    init() {
        segments = .allocate(capacity: SegmentedKeyTable.count)
        for i in 0..<SegmentedKeyTable.count { (segments + i).initialize(to: KeyTable()) }
    }

    deinit {
        segments.deinitialize(count: SegmentedKeyTable.count)
        segments.deallocate()
    }

    subscript(_ key: KeyHash) -> UInt32? { segments[SegmentedKeyTable.segment(key)][key] }

    mutating func set(_ key: KeyHash, to slot: UInt32) { segments[SegmentedKeyTable.segment(key)].set(key, to: slot) }

    mutating func remove(_ key: KeyHash) { segments[SegmentedKeyTable.segment(key)].remove(key) }

    /// The six highest bits: the low ones choose the place within the segment.
    private static func segment(_ key: KeyHash) -> Int { Int(truncatingIfNeeded: key.high >> 58) }
}
