// From a key's hash to a slot: the one hash table of the cores. Nothing iterates it.

/// An open-addressing table from `KeyHash` to a slot number, linear probing, at most half full.
public struct KeyTable: ~Copyable {
    private struct Entry: BitwiseCopyable {
        var low: UInt64
        var high: UInt64
        /// The slot plus one; 0 is an empty entry.
        var value: UInt32
    }

    private var entries: ContiguousArray<Entry>
    private var mask: Int
    public private(set) var count = 0

    public init(minimumCapacity: Int = 64) {
        var size = 64
        while size < minimumCapacity * 2 { size *= 2 }
        entries = ContiguousArray(repeating: Entry(low: 0, high: 0, value: 0), count: size)
        mask = size - 1
    }

    /// The slot stored for a key.
    public subscript(_ key: KeyHash) -> UInt32? {
        var i = Int(truncatingIfNeeded: key.low) & mask
        while true {
            let entry = entries[i]
            if entry.value == 0 { return nil }
            if entry.low == key.low, entry.high == key.high { return entry.value - 1 }
            i = (i + 1) & mask
        }
    }

    /// Stores a slot for a key, over what was there.
    public mutating func set(_ key: KeyHash, to slot: UInt32) {
        if (count + 1) * 2 > entries.count { grow() }
        var i = Int(truncatingIfNeeded: key.low) & mask
        while entries[i].value != 0 {
            if entries[i].low == key.low, entries[i].high == key.high {
                entries[i].value = slot + 1
                return
            }
            i = (i + 1) & mask
        }
        entries[i] = Entry(low: key.low, high: key.high, value: slot + 1)
        count += 1
    }

    /// Takes a key out; the entries behind it move up, so that no mark of it stays.
    public mutating func remove(_ key: KeyHash) {
        var i = Int(truncatingIfNeeded: key.low) & mask
        while entries[i].low != key.low || entries[i].high != key.high || entries[i].value == 0 {
            if entries[i].value == 0 { return }
            i = (i + 1) & mask
        }
        count -= 1
        var hole = i
        var next = (i + 1) & mask
        while entries[next].value != 0 {
            let home = Int(truncatingIfNeeded: entries[next].low) & mask
            if (next - home) & mask >= (next - hole) & mask {
                entries[hole] = entries[next]
                hole = next
            }
            next = (next + 1) & mask
        }
        entries[hole].value = 0
    }

    public mutating func removeAll() {
        self = KeyTable()
    }

    private mutating func grow() {
        let old = entries
        entries = ContiguousArray(repeating: Entry(low: 0, high: 0, value: 0), count: old.count * 2)
        mask = entries.count - 1
        for entry in old where entry.value != 0 {
            var i = Int(truncatingIfNeeded: entry.low) & mask
            while entries[i].value != 0 { i = (i + 1) & mask }
            entries[i] = entry
        }
    }
}
