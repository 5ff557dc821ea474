// How the journal holds changes: one after another in blocks, each in a slot of a run. To SQLite a row costs far more
// than what it holds, and a page that is written anew where it stands costs a third of one that is added to a table
// and later removed; so a block is as long as a page takes, filled up with zeros, and its slot is used again.

import GRDB
import SansIO

/// Changes in the order in which they were made, as one slot of the journal.
///
/// The head is the sequence of the first change (eight octets), the count of the changes and of the octets used, the head's among
/// them (four each). Then each change: the table's number (one octet), the count of the key's octets and, of the
/// value's, one more, so that 0 says that the entry is removed (four octets each), the key and the value. All numbers
/// have the least octet first.
struct ChangeBlock: Sendable {
    /// So many octets fit into a page of SQLite beside what it adds to a row. A longer change has a block of its own, as long
    /// as it needs.
    static let usualSize = 4000
    static let headSize = 16

    /// What a change adds to its key and value.
    static let changeHeadSize = 9

    /// The sequence of the first change.
    let sequence: Int64
    private(set) var count = 0
    /// Without what fills up the slot.
    private(set) var octets: [UInt8] = []

    init(from sequence: Int64) {
        self.sequence = sequence
        octets.reserveCapacity(ChangeBlock.usualSize)
        octets.append(number: UInt64(bitPattern: sequence))
        octets.append(number: 0 as UInt32)
        octets.append(number: 0 as UInt32)
    }

    /// Whether so many octets of changes, their heads among them, can be added.
    func hasRoom(for octets: Int) -> Bool { self.octets.count + octets <= ChangeBlock.usualSize }

    /// - Returns: false if the block is full without this change.
    mutating func add(_ change: StoreChange, of batch: UnsafeRawBufferPointer) -> Bool {
        let key = batch.part(change.keyStart, change.keyCount)
        let value = change.isRemoval ? nil : batch.part(change.valueStart, change.valueCount)
        return add(table: change.table, key: key, value: value)
    }

    mutating func add(table: UInt8, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer?) -> Bool {
        guard count == 0 || hasRoom(for: ChangeBlock.changeHeadSize + key.count + (value?.count ?? 0)) else { return false }
        octets.append(table)
        octets.append(number: UInt32(truncatingIfNeeded: key.count))
        octets.append(number: UInt32(truncatingIfNeeded: value.map { $0.count + 1 } ?? 0))
        octets.append(contentsOf: key)
        if let value { octets.append(contentsOf: value) }
        count += 1
        return true
    }

    /// What stands in the slot.
    func filled() -> [UInt8] {
        var slot = octets
        slot.withUnsafeMutableBytes { slot in
            slot.storeBytes(of: UInt32(truncatingIfNeeded: count).littleEndian, toByteOffset: 8, as: UInt32.self)
            slot.storeBytes(of: UInt32(truncatingIfNeeded: octets.count).littleEndian, toByteOffset: 12, as: UInt32.self)
        }
        if slot.count < ChangeBlock.usualSize { slot.append(contentsOf: repeatElement(0, count: ChangeBlock.usualSize - slot.count)) }
        return slot
    }
}

/// A change within the octets of a slot.
struct PackedChange {
    let sequence: Int64
    let table: UInt8
    let key: Range<Int>
    /// nil: the entry is removed.
    let value: Range<Int>?
}

/// Goes through a block's changes.
struct ChangeBlockReader {
    /// The sequences of the block's changes.
    let sequences: Range<Int64>
    private let octets: UnsafeRawBufferPointer
    private var position = ChangeBlock.headSize
    private var sequence: Int64

    /// - Throws: if there is no head, or it claims more than there is, which is a damage of the file.
    init(_ slot: UnsafeRawBufferPointer) throws {
        guard slot.count >= ChangeBlock.headSize else { throw ChangeBlockReader.damage }
        sequence = Int64(littleEndian: slot.loadUnaligned(as: Int64.self))
        let count = Int64(UInt32(littleEndian: slot.loadUnaligned(fromByteOffset: 8, as: UInt32.self)))
        let used = Int(UInt32(littleEndian: slot.loadUnaligned(fromByteOffset: 12, as: UInt32.self)))
        guard sequence > 0, sequence < .max - count, (ChangeBlock.headSize...slot.count).contains(used) else {
            throw ChangeBlockReader.damage
        }
        sequences = sequence..<(sequence + count)
        octets = UnsafeRawBufferPointer(rebasing: slot[..<used])
    }

    /// - Throws: if the block is not whole, or holds another count of changes than it says.
    mutating func next() throws -> PackedChange? {
        guard sequence < sequences.upperBound else {
            guard position == octets.count else { throw ChangeBlockReader.damage }
            return nil
        }
        let table = try octets[take(1).lowerBound]
        let keyCount = try takeCount()
        let valueCount = try takeCount()
        defer { sequence += 1 }
        return PackedChange(
            sequence: sequence, table: table, key: try take(keyCount), value: valueCount == 0 ? nil : try take(valueCount - 1))
    }

    private mutating func takeCount() throws -> Int {
        Int(UInt32(littleEndian: octets.loadUnaligned(fromByteOffset: try take(4).lowerBound, as: UInt32.self)))
    }

    private mutating func take(_ count: Int) throws -> Range<Int> {
        guard count <= octets.count - position else { throw ChangeBlockReader.damage }
        defer { position += count }
        return position..<(position + count)
    }

    private static var damage: DatabaseError {
        DatabaseError(resultCode: .SQLITE_CORRUPT, message: "a block of the journal is not whole")
    }
}

extension UnsafeRawBufferPointer {
    fileprivate func part(_ start: Int, _ count: Int) -> UnsafeRawBufferPointer {
        precondition(start >= 0 && count >= 0 && start <= self.count && count <= self.count - start, "octets outside of the batch")
        return UnsafeRawBufferPointer(rebasing: self[start..<(start + count)])
    }
}

extension [UInt8] {
    /// The octets of a number, the least first.
    fileprivate mutating func append<Number: FixedWidthInteger>(number: Number) {
        Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
    }
}
