// A hash table for a million keys that never stops to grow as a whole.

import SansIO

/// Sixty-four key tables, chosen by the key: each grows alone, so the longest pause is a sixty-fourth.
struct SegmentedKeyTable: ~Copyable {
    private var segments: InlineArray<64, KeyTable>

    init() { segments = InlineArray { _ in KeyTable() } }

    subscript(_ key: KeyHash) -> UInt32? { segments[SegmentedKeyTable.segment(key)][key] }

    mutating func set(_ key: KeyHash, to slot: UInt32) { segments[SegmentedKeyTable.segment(key)].set(key, to: slot) }

    mutating func remove(_ key: KeyHash) { segments[SegmentedKeyTable.segment(key)].remove(key) }

    /// The high bits: the low ones choose the place within the segment.
    private static func segment(_ key: KeyHash) -> Int { Int(truncatingIfNeeded: key.high >> 58) }
}
