// The journal and its merging.
//
// Changes are appended to one of two runs, many to a row (PackedChanges.swift); a row is known by the sequence of its first
// change, the others' follow it. When a run is long enough it is sealed, the other run takes what comes, and the
// sealed one is merged in the order of its keys, so that neighbours on a page are written together: the last change of
// each key, a slice in each transaction. Then the run is emptied from its oldest row on. Each step is short, for commits
// wait meanwhile. To merge a change twice does no harm, and none is removed before a later one of its key, so a crash in
// the middle needs no repair: the merging begins again with what is left. An entry is what the younger run says, else
// the older, else the table of entries.

import GRDB
import GRDBSQLite
import SansIO

/// When and how fast the journal is merged.
struct MergeSettings: Sendable {
    /// A run is sealed when it holds so many octets of keys and values, and more than one in `fileShare` of the file's.
    var sealedAt = 4 << 20
    var fileShare = 4
    /// Changes sorted, or removed, in one go.
    var piece = 2048
    /// Changes merged in one transaction when nothing else is to be done, and the least beside a commit.
    var idleSlice = 512
    var busySlice = 64
}

/// What is known of the journal's tables. A failed transaction leaves it as it was.
struct Journal: Sendable {
    /// A sealed run on its way into the table of entries.
    private struct Merge {
        let run: Int
        /// The sequences of the run's rows.
        let first: Int64
        let last: Int64
        var step = Step.ordering
        /// The last row that this step is done with, or a sequence before the next one.
        var position: Int64
        var order = MergeOrder()

        init(run: Int, first: Int64, last: Int64) {
            self.run = run
            self.first = first
            self.last = last
            position = first - 1
        }

        mutating func begin(_ step: Step) {
            self.step = step
            position = first - 1
        }
    }

    private enum Step { case ordering, writing, emptying }

    private static let runs = ["journal_0", "journal_1"]

    private let settings: MergeSettings
    /// The run to which changes are appended, and what it holds.
    private var active = 0
    private var activeOctets = 0
    private var nextSequence: Int64 = 1
    private var merging: Merge?
    private var changesSinceMerging = 0
    /// After a failure of merging: how many commits to wait before the next try.
    private var commitsUntilRetry = 0

    private init(settings: MergeSettings) { self.settings = settings }

    init(_ db: Database, settings: MergeSettings) throws {
        self.settings = settings
        var lasts: [Int64] = []
        for run in Journal.runs { lasts.append(try Int64.fetchOne(db, sql: "SELECT max(sequence) FROM \(run)") ?? 0) }
        active = lasts[1] > lasts[0] ? 1 : 0
        nextSequence = try Int64.fetchOne(db, sql: "SELECT next_sequence FROM node") ?? 1
        try Journal.forEachRow(of: active, after: lasts[active] - 1, db) { first, octets in
            var reader = PackedChangeReader(octets)
            var end = first
            while try reader.next() != nil { end += 1 }
            nextSequence = max(nextSequence, end)
            return true
        }
        activeOctets = try Int.fetchOne(db, sql: "SELECT coalesce(sum(length(changes)), 0) FROM \(Journal.runs[active])") ?? 0
        if lasts[1 - active] > 0 { merging = try Journal.merge(of: 1 - active, db) }
    }

    // MARK: Appending

    /// Appends the changes of a group in one transaction.
    mutating func append(_ group: [Batch], to db: Database) throws {
        var sequence = nextSequence
        var octets = 0
        try db.inTransaction(.immediate) {
            var insertion = try JournalInsertion(db, run: Journal.runs[active], from: sequence)
            for batch in group { try insertion.add(batch) }
            (sequence, octets) = try insertion.finish()
            return .commit
        }
        changesSinceMerging += Int(sequence - nextSequence)
        activeOctets += octets
        nextSequence = sequence
        commitsUntilRetry = max(commitsUntilRetry - 1, 0)
    }

    // MARK: Merging

    /// Merges a slice, after the active run was sealed if it is long enough. Beside commits a slice is short, but longer
    /// than what was committed, so that a run is merged before the next one is full.
    /// - Returns: whether there is more to merge.
    mutating func merge(_ db: Database, besideCommits isBusy: Bool) throws -> Bool {
        guard commitsUntilRetry == 0 else { return false }
        do {
            if merging == nil, try isActiveRunFull(db) {
                merging = try Journal.merge(of: active, db)
                active = 1 - active
                activeOctets = 0
            }
            switch merging?.step {
            case nil: return false
            case .ordering: try orderPiece(db)
            case .writing: try writeSlice(db, count: isBusy ? max(settings.busySlice, 2 * changesSinceMerging) : settings.idleSlice)
            case .emptying: try emptyPiece(db)
            }
            changesSinceMerging = 0
            return true
        } catch {
            commitsUntilRetry = 64
            throw error
        }
    }

    private func isActiveRunFull(_ db: Database) throws -> Bool {
        guard activeOctets >= settings.sealedAt else { return false }
        let pages = try Int.fetchOne(db.cachedStatement(sql: "PRAGMA page_count")) ?? 0
        let pageSize = try Int.fetchOne(db.cachedStatement(sql: "PRAGMA page_size")) ?? 0
        return activeOctets >= pages * pageSize / settings.fileShare
    }

    private static func merge(of run: Int, _ db: Database) throws -> Merge {
        let first = try Int64.fetchOne(db, sql: "SELECT min(sequence) FROM \(runs[run])") ?? 1
        let last = try Int64.fetchOne(db, sql: "SELECT max(sequence) FROM \(runs[run])") ?? 0
        return Merge(run: run, first: first, last: last)
    }

    private mutating func orderPiece(_ db: Database) throws {
        guard let merge = merging else { return }
        var changes: [RunChange] = []
        var position = merge.position
        try Journal.forEachRow(of: merge.run, after: position, db) { row, octets in
            var reader = PackedChangeReader(octets)
            var sequence = row
            while let change = try reader.next() {
                let key = [change.table] + UnsafeRawBufferPointer(rebasing: octets[change.key])
                changes.append(RunChange(key: key, sequence: sequence, row: row, value: change.value))
                sequence += 1
            }
            position = row
            return changes.count < settings.piece
        }
        merging?.order.add(changes)
        merging?.position = position
        if position == merge.last { merging?.begin(.writing) }
    }

    private mutating func writeSlice(_ db: Database, count: Int) throws {
        // A second reference to the order would have it copied when it changes.
        guard var merge = merging else { return }
        merging = nil
        do {
            if try write(&merge, db, count: count) { merge.begin(.emptying) }
            merging = merge
        } catch {
            // What was taken out of the order is lost to it.
            merging = Merge(run: merge.run, first: merge.first, last: merge.last)
            throw error
        }
    }

    /// - Returns: whether all of the run is written.
    private func write(_ merge: inout Merge, _ db: Database, count: Int) throws -> Bool {
        var isOver = false
        try db.inTransaction(.immediate) {
            let writing = try EntryWriting(db, run: Journal.runs[merge.run])
            for _ in 0..<count {
                guard let change = merge.order.next() else {
                    isOver = true
                    break
                }
                try writing.write(change)
            }
            return .commit
        }
        return isOver
    }

    private mutating func emptyPiece(_ db: Database) throws {
        guard let merge = merging else { return }
        let end = min(merge.position + Int64(settings.piece), merge.last)
        try db.inTransaction(.immediate) {
            // The run may have held the only trace of the sequences that were given out.
            try db.cachedStatement(sql: "UPDATE node SET next_sequence = max(next_sequence, ?)").execute(arguments: [nextSequence])
            try db.cachedStatement(sql: "DELETE FROM \(Journal.runs[merge.run]) WHERE sequence <= ?").execute(arguments: [end])
            return .commit
        }
        merging?.position = end
        if end == merge.last { merging = nil }
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
        try forEachChange(db) { change, sequence, octets in
            guard change.table == table else { return }
            let key = [UInt8](octets[change.key])
            last[key] = LoadedRow(key: key, value: change.value.map { [UInt8](octets[$0]) }, sequence: sequence)
        }
        return last.values.sorted { $0.key.compared(to: $1.key) < 0 }
    }

    /// Goes through what is not merged, from the oldest change on.
    private func forEachChange(
        _ db: Database, _ body: (_ change: PackedChange, _ sequence: Int64, _ octets: UnsafeRawBufferPointer) throws -> Void
    ) throws {
        for run in [1 - active, active] {
            try Journal.forEachRow(of: run, after: -1, db) { row, octets in
                var reader = PackedChangeReader(octets)
                var sequence = row
                while let change = try reader.next() {
                    try body(change, sequence, octets)
                    sequence += 1
                }
                return true
            }
        }
    }

    /// Goes through the rows of a run behind a sequence, until the body says false.
    private static func forEachRow(
        of run: Int, after sequence: Int64, _ db: Database, _ body: (_ row: Int64, _ octets: UnsafeRawBufferPointer) throws -> Bool
    ) throws {
        let statement = try db.cachedStatement(
            sql: "SELECT sequence, changes FROM \(runs[run]) WHERE sequence > ? ORDER BY sequence")
        try statement.bind(sequence, at: 1, db)
        try statement.forEachRow(db) { row in
            let octets = UnsafeRawBufferPointer(start: sqlite3_column_blob(row, 1), count: Int(sqlite3_column_bytes(row, 1)))
            return try body(sqlite3_column_int64(row, 0), octets)
        }
    }

    /// Empties all tables but those kept. What of these is not merged yet goes to the end of the journal; without any it begins
    /// anew.
    mutating func reset(keeping kept: Set<UInt8>, _ db: Database) throws {
        let numbers = kept.sorted().map(String.init).joined(separator: ", ")
        try db.inTransaction(.immediate) {
            let moved = try kept.isEmpty ? nil : unmerged(of: kept, db)
            for run in Journal.runs { try db.execute(sql: "DELETE FROM \(run)") }
            try db.execute(sql: "DELETE FROM entry" + (kept.isEmpty ? "" : " WHERE table_number NOT IN (\(numbers))"))
            var insertion = try JournalInsertion(db, run: Journal.runs[0], from: kept.isEmpty ? 1 : nextSequence)
            if let moved { try insertion.add(moved) }
            try db.execute(sql: "UPDATE node SET next_sequence = ?", arguments: [try insertion.finish().nextSequence])
            return .commit
        }
        self = try Journal(db, settings: settings)
    }

    /// What is not merged of some tables.
    private func unmerged(of tables: Set<UInt8>, _ db: Database) throws -> Batch {
        var lane = StoreLane()
        try forEachChange(db) { change, _, octets in
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
