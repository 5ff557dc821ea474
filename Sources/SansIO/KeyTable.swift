// From a key's hash to a slot: the one hash table of the cores. Nothing iterates it.
//
// It never stops to grow as a whole. When it is half full a table of twice the size is put beside it, and each change
// moves a few entries over; until the last has moved, what is not in the new table is looked up in the old one.

/// An open-addressing table from `KeyHash` to a slot number, linear probing, at most half full.
public struct KeyTable: ~Copyable, @unchecked Sendable {
    /// Positions that a change empties while the table grows. Two would do: half of the old table's size is added before
    /// the new one is half full in turn.
    private static let movesPerChange = 8

    private var entries: KeyEntries
    /// The table of half the size, while it is being emptied.
    private var old: KeyEntries?
    /// Where its emptying goes on, and how many positions are left.
    private var cursor = 0
    private var remaining = 0
    public private(set) var count = 0

    public init(minimumCapacity: Int = 32) {
        var size = 64
        while size < minimumCapacity * 2 { size *= 2 }
        entries = KeyEntries(count: size)
    }

    deinit {
        entries.deallocate()
        old?.deallocate()
    }

    /// Octets of memory that the table holds.
    public var bytesAllocated: Int { entries.bytesAllocated + (old?.bytesAllocated ?? 0) }

    /// The slot stored for a key.
    public subscript(_ key: KeyHash) -> UInt32? {
        if let i = entries.position(of: key) { return entries[i].value - 1 }
        guard let old, let i = old.position(of: key) else { return nil }
        return old[i].value - 1
    }

    /// Stores a slot for a key, over what was there.
    public mutating func set(_ key: KeyHash, to slot: UInt32) {
        if old != nil { moveSome() } else if (count + 1) * 2 > entries.count { grow() }
        if let i = entries.position(of: key) {
            entries.setValue(slot + 1, at: i)
        } else if let old, let i = old.position(of: key) {
            old.setValue(slot + 1, at: i)
        } else {
            entries.add(KeyEntry(low: key.low, high: key.check, value: slot + 1))
            count += 1
        }
    }

    /// Takes a key out; the entries behind it move up, so that no mark of it stays.
    public mutating func remove(_ key: KeyHash) {
        if old != nil { moveSome() }
        if let i = entries.position(of: key) {
            entries.remove(at: i)
        } else if let old, let i = old.position(of: key) {
            old.remove(at: i)
        } else {
            return
        }
        count -= 1
    }

    public mutating func removeAll() {
        self = KeyTable()
    }

    private mutating func grow() {
        old = entries
        remaining = entries.count
        cursor = 0
        // Between two runs of entries: a run is moved as a whole, so that no search in the old table breaks off.
        while entries[cursor].value != 0 { cursor += 1 }
        entries = KeyEntries(count: entries.count * 2)
        moveSome()
    }

    private mutating func moveSome() {
        guard let old else { return }
        var moves = KeyTable.movesPerChange
        var isWithinRun = false
        while remaining > 0, moves > 0 || isWithinRun {
            let entry = old[cursor]
            isWithinRun = entry.value != 0
            if isWithinRun {
                entries.add(entry)
                old.clear(at: cursor)
            }
            cursor = (cursor + 1) & old.mask
            remaining -= 1
            moves -= 1
        }
        if remaining == 0 {
            old.deallocate()
            self.old = nil
        }
    }
}

/// A key's hash, without the high half of its second word: two keys that are in a table meet with a chance of 2^-96, and
/// four entries fill a cache line.
struct KeyEntry: BitwiseCopyable {
    var low: UInt64
    var high: UInt32
    /// The slot plus one; 0 is an empty entry.
    var value: UInt32
}

extension KeyHash {
    fileprivate var check: UInt32 { UInt32(truncatingIfNeeded: high) }
}

/// The positions of one table, in segments that are made when something is written there: a table of many megabytes is
/// never cleared in one go. Whoever makes one frees it.
private struct KeyEntries: BitwiseCopyable {
    private static let segmentShift = 12
    private let segments: UnsafeMutablePointer<UnsafeMutablePointer<KeyEntry>?>
    let mask: Int

    /// - Parameter count: of positions, a power of two.
    init(count: Int) {
        mask = count - 1
        let number = (count - 1) >> KeyEntries.segmentShift + 1
        segments = .allocate(capacity: number)
        segments.initialize(repeating: nil, count: number)
    }

    func deallocate() {
        for i in 0..<segmentCount { segments[i]?.deallocate() }
        segments.deallocate()
    }

    var count: Int { mask + 1 }

    var bytesAllocated: Int {
        var made = 0
        for i in 0..<segmentCount where segments[i] != nil { made += 1 }
        return made * segmentSize * MemoryLayout<KeyEntry>.stride + segmentCount * MemoryLayout<UInt>.stride
    }

    @inline(__always)
    subscript(_ i: Int) -> KeyEntry {
        guard let segment = segments[i >> KeyEntries.segmentShift] else { return KeyEntry(low: 0, high: 0, value: 0) }
        return segment[i & (1 << KeyEntries.segmentShift - 1)]
    }

    /// Where a key is; nil: it is not there.
    @inline(__always)
    func position(of key: KeyHash) -> Int? {
        var i = Int(truncatingIfNeeded: key.low) & mask
        while true {
            let entry = self[i]
            if entry.value == 0 { return nil }
            if entry.low == key.low, entry.high == key.check { return i }
            i = (i + 1) & mask
        }
    }

    /// Puts in an entry whose key is not there.
    func add(_ entry: KeyEntry) {
        var i = home(of: entry)
        while self[i].value != 0 { i = (i + 1) & mask }
        pointer(i).pointee = entry
    }

    func setValue(_ value: UInt32, at i: Int) { pointer(i).pointee.value = value }

    func clear(at i: Int) { pointer(i).pointee.value = 0 }

    /// Takes an entry out. What follows in its run moves up where that brings it nearer to its home.
    func remove(at i: Int) {
        var hole = i
        var next = (i + 1) & mask
        while true {
            let entry = self[next]
            if entry.value == 0 { break }
            if (next - home(of: entry)) & mask >= (next - hole) & mask {
                pointer(hole).pointee = entry
                hole = next
            }
            next = (next + 1) & mask
        }
        clear(at: hole)
    }

    private func home(of entry: KeyEntry) -> Int { Int(truncatingIfNeeded: entry.low) & mask }

    private var segmentCount: Int { mask >> KeyEntries.segmentShift + 1 }
    private var segmentSize: Int { min(count, 1 << KeyEntries.segmentShift) }

    private func pointer(_ i: Int) -> UnsafeMutablePointer<KeyEntry> {
        let number = i >> KeyEntries.segmentShift
        if segments[number] == nil {
            let segment = UnsafeMutablePointer<KeyEntry>.allocate(capacity: segmentSize)
            segment.initialize(repeating: KeyEntry(low: 0, high: 0, value: 0), count: segmentSize)
            segments[number] = segment
        }
        return segments[number]! + (i & (1 << KeyEntries.segmentShift - 1))
    }
}
