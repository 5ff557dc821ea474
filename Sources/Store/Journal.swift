// The journal and its merging.
//
// Changes are appended to one of two runs, many to a slot (ChangeBlock.swift). When a run is long enough it is sealed, the
// other run takes what comes, and the sealed one is merged in the order of its keys, so that neighbours on a page are
// written together: the last change of each key, a slice in each transaction. Then the run is empty, and its slots are
// written anew from the first on: what a slot held before is told from what it holds by its sequence. Each step is short,
// for commits wait meanwhile. To merge a change twice does no harm, and none is removed before a later one of its key, so
// a crash in the middle needs no repair: the merging begins again. An entry is what the younger run says, else the older,
// else the table of entries.

import GRDB
import GRDBSQLite
import SansIO

/// When and how fast the journal is merged.
struct MergeSettings: Sendable {
    /// A run is sealed when it holds so many octets, and more than one in `fileShare` of the file's.
    var sealedAt = 8 << 20
    var fileShare = 4
    /// Changes sorted in one go.
    var piece = 2048
    /// Changes merged in one transaction when nothing else is to be done, and the least beside commits.
    var idleSlice = 512
    var busySlice = 256
}

/// What is known of the journal's tables. A failed transaction leaves it as it was.
struct Journal: Sendable {
    /// One of the two runs.
    private struct Run: Sendable {
        let number: Int
        /// The sequence of its first change; 0: it is empty.
        var first: Int64 = 0
        /// The sequence after its last change, as it was found.
        var end: Int64 = 0
        /// Slots that are used, and those that exist: what is in the others is void.
        var slots: Int64 = 0
        var allocated: Int64 = 0
        /// What the last slot in use holds; nil: not known any more, so it is not added to.
        var last: ChangeBlock?

        var octets: Int { Int(slots) * ChangeBlock.usualSize }
    }

    /// A sealed run on its way into the table of entries.
    private struct Merge {
        let run: Run
        var step = Step.ordering
        /// The next slot to be sorted.
        var position: Int64 = 0
        var order = MergeOrder()
    }

    private enum Step { case ordering, writing, emptying }

    private let settings: MergeSettings
    /// The run to which changes are appended.
    private var active: Run
    private var other: Run
    private var nextSequence: Int64 = 1
    private var merging: Merge?
    private var changesSinceMerging = 0
    /// After a failure of merging: how many commits to wait before the next try.
    private var commitsUntilRetry = 0

    init(_ db: Database, settings: MergeSettings) throws {
        self.settings = settings
        nextSequence = try Int64.fetchOne(db, sql: "SELECT next_sequence FROM node") ?? 1
        active = try Journal.run(0, db)
        other = try Journal.run(1, db)
        if other.first > active.first { swap(&active, &other) }
        nextSequence = max(nextSequence, active.end, other.end)
        if other.first > 0 { merging = Merge(run: other) }
    }

    /// A run as it stands in the file.
    private static func run(_ number: Int, _ db: Database) throws -> Run {
        var run = Run(number: number)
        run.first = try Int64.fetchOne(db, sql: "SELECT first_sequence FROM run WHERE number = ?", arguments: [number]) ?? 0
        run.allocated = try Int64.fetchOne(db, sql: "SELECT coalesce(max(slot) + 1, 0) FROM \(table(number))") ?? 0
        guard run.first > 0 else { return run }
        run.slots = run.allocated
        var used: Int64 = 0
        var end: Int64 = 0
        try forEachBlock(of: run, db) { slot, reader, _ in (used, end) = (slot + 1, reader.sequences.upperBound) }
        (run.slots, run.end) = (used, end)
        return run
    }

    fileprivate static func table(_ run: Int) -> String { "journal_\(run)" }

    // MARK: Appending

    /// Appends the changes of a group in one transaction.
    mutating func append(_ group: [Batch], to db: Database) throws {
        var run = active
        var sequence = nextSequence
        try db.inOwnTransaction {
            sequence = try Journal.append(group, from: sequence, to: &run, db)
            return
        }
        changesSinceMerging += Int(sequence - nextSequence)
        nextSequence = sequence
        active = run
        commitsUntilRetry = max(commitsUntilRetry - 1, 0)
    }

    /// - Returns: the sequence after the last.
    private static func append(_ group: [Batch], from sequence: Int64, to run: inout Run, _ db: Database) throws -> Int64 {
        if run.first == 0 {
            try db.setFirstSequence(of: run.number, sequence)
            run.first = sequence
            run.slots = 0
            run.last = nil
        }
        var insertion = try BlockInsertion(
            db, table: table(run.number), from: sequence, slot: run.slots, allocated: run.allocated, last: run.last,
            octets: group.reduce(0) { $0 + $1.octets.count + ChangeBlock.changeHeadSize * $1.changes.count })
        for batch in group { try insertion.add(batch) }
        try insertion.finish()
        run.slots = insertion.slot
        run.allocated = max(run.allocated, insertion.slot)
        run.last = insertion.last
        return insertion.nextSequence
    }

    // MARK: Merging

    /// Merges a slice, after the active run was sealed if it is long enough. Beside commits that is done for so many changes
    /// at once that its own commit does not matter, and a slice is longer than what was committed, so that a run is merged
    /// before the next one is full.
    /// - Returns: whether there is more to merge.
    mutating func merge(_ db: Database, besideCommits isBusy: Bool) throws -> Bool {
        guard commitsUntilRetry == 0 else { return false }
        do {
            if merging == nil, try isActiveRunFull(db) { seal() }
            guard let step = merging?.step else { return false }
            if isBusy, changesSinceMerging < settings.busySlice { return true }
            switch step {
            case .ordering: try orderPiece(db)
            case .writing: try writeSlice(db, count: isBusy ? 2 * changesSinceMerging : settings.idleSlice)
            case .emptying: try empty(db)
            }
            changesSinceMerging = 0
            return true
        } catch {
            commitsUntilRetry = 64
            throw error
        }
    }

    private func isActiveRunFull(_ db: Database) throws -> Bool {
        guard active.octets >= settings.sealedAt else { return false }
        let pages = try Int.fetchOne(db.cachedStatement(sql: "PRAGMA page_count")) ?? 0
        let pageSize = try Int.fetchOne(db.cachedStatement(sql: "PRAGMA page_size")) ?? 0
        return active.octets >= pages * pageSize / settings.fileShare
    }

    private mutating func seal() {
        active.last = nil
        swap(&active, &other)
        merging = Merge(run: other)
    }

    private mutating func orderPiece(_ db: Database) throws {
        guard let merge = merging else { return }
        var changes: [RunChange] = []
        var position = merge.position
        try Journal.forEachBlock(of: merge.run, from: position, until: { changes.count >= settings.piece }, db) { slot, reader, octets in
            var reader = reader
            while let change = try reader.next() {
                let key = [change.table] + UnsafeRawBufferPointer(rebasing: octets[change.key])
                changes.append(RunChange(key: key, sequence: change.sequence, slot: slot, value: change.value))
            }
            position = slot + 1
        }
        merging?.order.add(changes)
        merging?.position = position
        if position == merge.run.slots { merging?.step = .writing }
    }

    private mutating func writeSlice(_ db: Database, count: Int) throws {
        // A second reference to the order would have it copied when it changes.
        guard var merge = merging else { return }
        merging = nil
        do {
            if try write(&merge, db, count: count) { merge.step = .emptying }
            merging = merge
        } catch {
            // What was taken out of the order is lost to it.
            merging = Merge(run: merge.run)
            throw error
        }
    }

    /// - Returns: whether all of the run is written.
    private func write(_ merge: inout Merge, _ db: Database, count: Int) throws -> Bool {
        var isOver = false
        try db.inOwnTransaction {
            var writing = try EntryWriting(db, table: Journal.table(merge.run.number))
            for _ in 0..<count {
                guard let change = merge.order.next() else {
                    isOver = true
                    break
                }
                try writing.write(change)
            }
        }
        return isOver
    }

    private mutating func empty(_ db: Database) throws {
        try db.inOwnTransaction {
            // The run may have held the only trace of the sequences that were given out.
            try db.cachedStatement(sql: "UPDATE node SET next_sequence = max(next_sequence, ?)").execute(arguments: [nextSequence])
            try db.setFirstSequence(of: other.number, 0)
        }
        other = Run(number: other.number, allocated: other.allocated)
        merging = nil
    }

    // MARK: Reading

    /// What was merged and what was not are read side by side, both in the order of the keys.
    func load(_ table: UInt8, in order: Store.Order, from db: Database) throws -> [Store.Entry] {
        var changes = try lastChanges(of: table, db)[...]
        var found: [LoadedRow] = []
        let statement = try db.makeStatement(sql: "SELECT key, value, sequence FROM entry WHERE table_number = ? ORDER BY key")
        try statement.bind(Int64(table), at: 1, db)
        try statement.forEachRow(db) { row in
            let merged = LoadedRow(key: row.octets(0), value: row.octets(1), sequence: sqlite3_column_int64(row, 2))
            while let change = changes.first, change.key.compared(to: merged.key) < 0 { found.append(changes.removeFirst()) }
            let isChanged = changes.first?.key == merged.key
            found.append(isChanged ? changes.removeFirst() : merged)
            return true
        }
        found += changes
        if order == .lastChange { found.sort { $0.sequence < $1.sequence } }
        return found.compactMap { row in row.value.map { Store.Entry(key: row.key, value: $0) } }
    }

    /// The last change of each key that is in a run, in the order of the keys; no value: removed.
    private func lastChanges(of table: UInt8, _ db: Database) throws -> [LoadedRow] {
        var last: [[UInt8]: LoadedRow] = [:]
        try forEachChange(db) { change, octets in
            guard change.table == table else { return }
            let key = [UInt8](octets[change.key])
            last[key] = LoadedRow(key: key, value: change.value.map { [UInt8](octets[$0]) }, sequence: change.sequence)
        }
        return last.values.sorted { $0.key.compared(to: $1.key) < 0 }
    }

    /// Goes through what is not merged, from the oldest change on.
    private func forEachChange(_ db: Database, _ body: (_ change: PackedChange, _ octets: UnsafeRawBufferPointer) throws -> Void) throws {
        for run in [other, active] {
            try Journal.forEachBlock(of: run, db) { _, reader, octets in
                var reader = reader
                while let change = try reader.next() { try body(change, octets) }
            }
        }
    }

    /// Goes through a run's blocks, from a slot on, until enough are seen. What was in a slot before is of an earlier sequence
    /// than the run.
    private static func forEachBlock(
        of run: Run, from slot: Int64 = 0, until isEnough: () -> Bool = { false }, _ db: Database,
        _ body: (_ slot: Int64, _ reader: ChangeBlockReader, _ octets: UnsafeRawBufferPointer) throws -> Void
    ) throws {
        guard slot < run.slots else { return }
        let statement = try db.cachedStatement(
            sql: "SELECT slot, changes FROM \(table(run.number)) WHERE slot >= ? AND slot < ? ORDER BY slot")
        try statement.bind(slot, at: 1, db)
        try statement.bind(run.slots, at: 2, db)
        var expected = run.first
        try statement.forEachRow(db) { row in
            let octets = UnsafeRawBufferPointer(start: sqlite3_column_blob(row, 1), count: Int(sqlite3_column_bytes(row, 1)))
            let reader = try ChangeBlockReader(octets)
            guard reader.sequences.lowerBound >= run.first else { return false }
            guard reader.sequences.lowerBound >= expected else {
                throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "blocks of the journal are out of order")
            }
            expected = reader.sequences.upperBound
            try body(sqlite3_column_int64(row, 0), reader, octets)
            return !isEnough()
        }
    }

    /// Empties all tables but those kept. What of these is not merged yet goes to the end of the journal.
    mutating func reset(keeping kept: Set<UInt8>, _ db: Database) throws {
        let numbers = kept.sorted().map(String.init).joined(separator: ", ")
        try db.inOwnTransaction {
            let moved = try kept.isEmpty ? nil : unmerged(of: kept, db)
            for run in 0...1 { try db.setFirstSequence(of: run, 0) }
            try db.execute(sql: "DELETE FROM entry" + (kept.isEmpty ? "" : " WHERE table_number NOT IN (\(numbers))"))
            // Never from the first again: what is left in the slots is of earlier sequences.
            var next = nextSequence
            if let moved, !moved.changes.isEmpty {
                var run = Run(number: 0, allocated: active.number == 0 ? active.allocated : other.allocated)
                next = try Journal.append([moved], from: next, to: &run, db)
            }
            try db.execute(sql: "UPDATE node SET next_sequence = ?", arguments: [next])
        }
        self = try Journal(db, settings: settings)
    }

    /// What is not merged of some tables.
    private func unmerged(of tables: Set<UInt8>, _ db: Database) throws -> Batch {
        var lane = StoreLane()
        try forEachChange(db) { change, octets in
            guard tables.contains(change.table) else { return }
            let key = [UInt8](octets[change.key])
            if let value = change.value.map({ [UInt8](octets[$0]) }) {
                lane.put(table: change.table, key: key.span.bytes, value: value.span.bytes, ticket: 0)
            } else {
                lane.remove(table: change.table, key: key.span.bytes, ticket: 0)
            }
        }
        return Batch(changes: lane.changes, octets: [UInt8](lane.bytes.bytes), failuresKnown: 0, lastTicket: 0) { _, _ in }
    }
}

private struct LoadedRow {
    var key: [UInt8]
    var value: [UInt8]?
    var sequence: Int64
}
