// The order in which a sealed run is merged: by table and key, the last change of each. A run is too long to be sorted in
// one go while commits wait, so it is sorted in pieces, and the pieces are read side by side.

import Glibc

/// A change of a run: where it stands, and of what.
struct RunChange: Sendable {
    /// The table's number, then the key.
    var key: [UInt8]
    var sequence: Int64
    /// The slot that holds it, and where the value stands there; nil: the entry is removed.
    var slot: Int64
    var value: Range<Int>?
}

/// Sorted pieces of a run. Of two pieces, the one added later has the later changes.
struct MergeOrder: Sendable {
    private struct Piece: Sendable {
        var changes: [RunChange]
        var position = 0
        var head: RunChange? { position < changes.count ? changes[position] : nil }
    }

    private var pieces: [Piece] = []

    /// Adds a piece, in the order in which the changes were made.
    mutating func add(_ changes: [RunChange]) {
        let sorted = changes.sorted { first, second in
            let order = first.key.compared(to: second.key)
            return order == 0 ? first.sequence < second.sequence : order < 0
        }
        var last: [RunChange] = []
        last.reserveCapacity(sorted.count)
        for change in sorted {
            if last.last?.key == change.key { last.removeLast() }
            last.append(change)
        }
        if !last.isEmpty { pieces.append(Piece(changes: last)) }
    }

    /// Takes out the last change of the least key; nil: all are taken.
    mutating func next() -> RunChange? {
        var least: RunChange?
        for piece in pieces {
            guard let head = piece.head else { continue }
            // Of equal ones the later wins.
            if let found = least, found.key.compared(to: head.key) < 0 { continue }
            least = head
        }
        guard let least else { return nil }
        for index in pieces.indices where pieces[index].head.map({ $0.key.compared(to: least.key) == 0 }) == true {
            pieces[index].position += 1
        }
        return least
    }
}

extension [UInt8] {
    /// Negative, 0 or positive, as the octets come before, are the same as or come after others; as SQLite compares blobs.
    func compared(to other: [UInt8]) -> Int {
        let order = withUnsafeBytes { mine in
            other.withUnsafeBytes { theirs -> Int32 in
                guard let mine = mine.baseAddress, let theirs = theirs.baseAddress else { return 0 }
                return memcmp(mine, theirs, Swift.min(count, other.count))
            }
        }
        return order == 0 ? count - other.count : Int(order)
    }
}
