// How a row of the journal holds changes: one after another. A row costs far more than what it holds, so a group of
// changes is few rows of a page each.

import GRDB
import SansIO

/// Changes in the order in which they were made, as one row of the journal.
///
/// Each is the table's number (one octet), the count of the key's octets and, of the value's, one more, so that 0 says that
/// the entry is removed (four octets each, the least first), the key and the value.
struct PackedChanges {
    /// So many octets fit into a page of SQLite beside what it adds to a row. A longer change has a row of its own.
    static let usualLimit = 4000

    private static let headCount = 9

    private(set) var octets: [UInt8] = []
    private(set) var count = 0

    /// - Returns: false if the row is full without this change.
    mutating func add(_ change: StoreChange, of batch: UnsafeRawBufferPointer) -> Bool {
        let key = batch.part(change.keyStart, change.keyCount)
        let value = change.isRemoval ? nil : batch.part(change.valueStart, change.valueCount)
        return add(table: change.table, key: key, value: value)
    }

    mutating func add(table: UInt8, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer?) -> Bool {
        let size = PackedChanges.headCount + key.count + (value?.count ?? 0)
        guard count == 0 || octets.count + size <= PackedChanges.usualLimit else { return false }
        if octets.isEmpty { octets.reserveCapacity(max(size, PackedChanges.usualLimit)) }
        octets.append(table)
        octets.append(count: key.count)
        octets.append(count: value.map { $0.count + 1 } ?? 0)
        octets.append(contentsOf: key)
        if let value { octets.append(contentsOf: value) }
        count += 1
        return true
    }

    mutating func removeAll() {
        octets.removeAll(keepingCapacity: true)
        count = 0
    }
}

/// A change within the octets of a row.
struct PackedChange {
    let table: UInt8
    let key: Range<Int>
    /// nil: the entry is removed.
    let value: Range<Int>?
}

/// Goes through a row's changes.
struct PackedChangeReader {
    private let octets: UnsafeRawBufferPointer
    private var position = 0

    init(_ octets: UnsafeRawBufferPointer) { self.octets = octets }

    /// - Throws: if the row is not whole, which is a damage of the file.
    mutating func next() throws -> PackedChange? {
        guard position < octets.count else { return nil }
        let table = try octets[take(1).lowerBound]
        let keyCount = try takeCount()
        let valueCount = try takeCount()
        return PackedChange(table: table, key: try take(keyCount), value: valueCount == 0 ? nil : try take(valueCount - 1))
    }

    private mutating func takeCount() throws -> Int {
        Int(UInt32(littleEndian: octets.loadUnaligned(fromByteOffset: try take(4).lowerBound, as: UInt32.self)))
    }

    private mutating func take(_ count: Int) throws -> Range<Int> {
        guard count <= octets.count - position else {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "a row of the journal is cut short")
        }
        defer { position += count }
        return position..<(position + count)
    }
}

extension UnsafeRawBufferPointer {
    fileprivate func part(_ start: Int, _ count: Int) -> UnsafeRawBufferPointer {
        precondition(start >= 0 && count >= 0 && start <= self.count && count <= self.count - start, "octets outside of the batch")
        return UnsafeRawBufferPointer(rebasing: self[start..<(start + count)])
    }
}

extension [UInt8] {
    /// A count of octets as four of them, the least first.
    fileprivate mutating func append(count: Int) {
        Swift.withUnsafeBytes(of: UInt32(count).littleEndian) { append(contentsOf: $0) }
    }
}
