// The journal and its merging.
//
// Changes are appended to one of two runs. When that is long enough it is sealed, the other run takes what comes, and the
// sealed one is merged in the order of its keys, so that neighbours on a page are written together: the last change of
// each key, a slice in each transaction. Then the run is emptied from its oldest row on. Each step is short, for commits
// wait meanwhile. To merge a row twice does no harm, and no row is removed before a later one of its key, so a crash in
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
    /// Rows sorted, or removed, in one go.
    var piece = 2048
    /// Rows merged in one transaction when nothing else is to be done, and the least beside a commit.
    var idleSlice = 512
    var busySlice = 64
}

/// What is known of the journal's tables. A failed transaction leaves it as it was.
struct Journal: Sendable {
    /// A sealed run on its way into the table of entries.
    private struct Merge {
        let run: Int
        /// The sequences in the run.
        let first: Int64
        let last: Int64
        var step = Step.ordering
        /// The last sequence that this step is done with.
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
    private var activeRows = 0
    private var activeOctets = 0
    private var nextSequence: Int64 = 1
    private var merging: Merge?
    private var rowsSinceMerging = 0
    /// After a failure of merging: how many commits to wait before the next try.
    private var commitsUntilRetry = 0

    private init(settings: MergeSettings) { self.settings = settings }

    init(_ db: Database, settings: MergeSettings) throws {
        self.settings = settings
        var lasts: [Int64] = []
        for run in Journal.runs { lasts.append(try Int64.fetchOne(db, sql: "SELECT max(sequence) FROM \(run)") ?? 0) }
        active = lasts[1] > lasts[0] ? 1 : 0
        nextSequence = max(try Int64.fetchOne(db, sql: "SELECT next_sequence FROM node") ?? 1, lasts[active] + 1)
        if let row = try Row.fetchOne(
            db, sql: "SELECT count(*), coalesce(sum(length(key) + coalesce(length(value), 0)), 0) FROM \(Journal.runs[active])")
        {
            activeRows = row[0]
            activeOctets = row[1]
        }
        if lasts[1 - active] > 0 { merging = try Journal.merge(of: 1 - active, db) }
    }

    // MARK: Appending

    /// Appends the changes of a group in one transaction.
    mutating func append(_ group: [Batch], to db: Database) throws {
        var sequence = nextSequence
        var octets = 0
        try db.inTransaction(.immediate) {
            let insertion = try JournalInsertion(db, run: Journal.runs[active])
            defer { insertion.forgetOctets() }
            for batch in group { octets += try insertion.insert(batch, from: &sequence) }
            return .commit
        }
        activeRows += Int(sequence - nextSequence)
        rowsSinceMerging += Int(sequence - nextSequence)
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
                activeRows = 0
                activeOctets = 0
            }
            switch merging?.step {
            case nil: return false
            case .ordering: try orderPiece(db)
            case .writing: try writeSlice(db, count: isBusy ? max(settings.busySlice, 2 * rowsSinceMerging) : settings.idleSlice)
            case .emptying: try emptyPiece(db)
            }
            rowsSinceMerging = 0
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
        let end = min(merge.position + Int64(settings.piece), merge.last)
        let statement = try db.cachedStatement(
            sql: """
                SELECT table_number, key, max(sequence), value IS NULL FROM \(Journal.runs[merge.run])
                WHERE sequence > ? AND sequence <= ? GROUP BY table_number, key ORDER BY table_number, key
                """)
        var rows: [RunRow] = []
        try statement.forEachRow(db, bindings: [merge.position, end]) { row in
            let table = UInt8(truncatingIfNeeded: sqlite3_column_int64(row, 0))
            rows.append(
                RunRow(key: [table] + row.octets(1), sequence: sqlite3_column_int64(row, 2), isRemoval: sqlite3_column_int(row, 3) != 0))
        }
        merging?.order.add(rows)
        merging?.position = end
        if end == merge.last { merging?.begin(.writing) }
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
        let run = Journal.runs[merge.run]
        var isOver = false
        try db.inTransaction(.immediate) {
            let put = try db.cachedStatement(
                sql: """
                    INSERT INTO entry (table_number, key, sequence, value)
                    SELECT table_number, key, sequence, value FROM \(run) WHERE sequence = ?
                    ON CONFLICT DO UPDATE SET sequence = excluded.sequence, value = excluded.value
                    """)
            let remove = try db.cachedStatement(
                sql: "DELETE FROM entry WHERE (table_number, key) = (SELECT table_number, key FROM \(run) WHERE sequence = ?)")
            for _ in 0..<count {
                guard let row = merge.order.next() else {
                    isOver = true
                    break
                }
                try (row.isRemoval ? remove : put).forEachRow(db, bindings: [row.sequence]) { _ in }
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
            try db.cachedStatement(sql: "UPDATE node SET next_sequence = max(next_sequence, ?)")
                .forEachRow(db, bindings: [nextSequence]) { _ in }
            try db.cachedStatement(sql: "DELETE FROM \(Journal.runs[merge.run]) WHERE sequence <= ?")
                .forEachRow(db, bindings: [end]) { _ in }
            return .commit
        }
        merging?.position = end
        if end == merge.last { merging = nil }
    }

    // MARK: Reading

    /// What was merged and what was not are read side by side, both in the order of the keys.
    func load(_ table: UInt8, in order: Store.Order, from db: Database) throws -> [Store.Entry] {
        let journal = Journal.runs.map { "SELECT key, value, sequence FROM \($0) WHERE table_number = ?1" }
        var changes = try rows(of: table, from: journal, db)[...]
        var found: [LoadedRow] = []
        for merged in try rows(of: table, from: ["SELECT key, value, sequence FROM entry WHERE table_number = ?1"], db) {
            while let change = changes.first, change.key.compared(to: merged.key) < 0 { found.append(changes.removeFirst()) }
            let isChanged = changes.first?.key == merged.key
            found.append(isChanged ? changes.removeFirst() : merged)
        }
        found += changes
        if order == .lastChange { found.sort { $0.sequence < $1.sequence } }
        return found.compactMap { row in row.value.map { Store.Entry(key: row.key, value: $0) } }
    }

    /// The last row of each key, in the order of the keys; no value: removed.
    private func rows(of table: UInt8, from sources: [String], _ db: Database) throws -> [LoadedRow] {
        let isOne = sources.count == 1
        let statement = try db.makeStatement(
            sql: isOne
                ? "\(sources[0]) ORDER BY key"
                : "SELECT key, value, max(sequence) FROM (\(sources.joined(separator: " UNION ALL "))) GROUP BY key ORDER BY key")
        var rows: [LoadedRow] = []
        try statement.forEachRow(db, bindings: [Int64(table)]) { row in
            let value = sqlite3_column_type(row, 1) == SQLITE_NULL ? nil : row.octets(1)
            rows.append(LoadedRow(key: row.octets(0), value: value, sequence: sqlite3_column_int64(row, 2)))
        }
        return rows
    }

    /// Empties all tables but those kept. What of these is not merged yet is merged later, so the journal goes on where it
    /// was; without any it begins anew.
    mutating func reset(keeping kept: Set<UInt8>, _ db: Database) throws {
        let numbers = kept.sorted().map(String.init).joined(separator: ", ")
        let isAll = kept.isEmpty
        let nextSequence = nextSequence
        try db.inTransaction(.immediate) {
            for table in Journal.runs + ["entry"] {
                try db.execute(sql: "DELETE FROM \(table)" + (isAll ? "" : " WHERE table_number NOT IN (\(numbers))"))
            }
            try db.execute(sql: "UPDATE node SET next_sequence = ?", arguments: [isAll ? 1 : nextSequence])
            return .commit
        }
        guard !isAll else {
            self = Journal(settings: settings)
            return
        }
        self = try Journal(db, settings: settings)
    }
}

private struct LoadedRow {
    var key: [UInt8]
    var value: [UInt8]?
    var sequence: Int64
}

/// The statement that appends a change, used without the copies that a general binding of values makes.
private struct JournalInsertion {
    private let db: Database
    private let statement: SQLiteStatement

    init(_ db: Database, run: String) throws {
        self.db = db
        statement = try db.cachedStatement(
            sql: "INSERT INTO \(run) (sequence, table_number, key, value) VALUES (?, ?, ?, ?)"
        ).sqliteStatement
    }

    /// Appends changes and counts the sequence on.
    /// - Returns: the octets of their keys and values.
    func insert(_ batch: Batch, from sequence: inout Int64) throws -> Int {
        try batch.octets.withUnsafeBytes { octets in
            var count = 0
            for change in batch.changes {
                try check(sqlite3_bind_int64(statement, 1, sequence))
                try check(sqlite3_bind_int64(statement, 2, Int64(change.table)))
                try bind(octets, change.keyStart, change.keyCount, at: 3)
                if change.isRemoval {
                    try check(sqlite3_bind_null(statement, 4))
                } else {
                    try bind(octets, change.valueStart, change.valueCount, at: 4)
                }
                let code = sqlite3_step(statement)
                sqlite3_reset(statement)
                guard code == SQLITE_DONE else { throw failure(code) }
                sequence += 1
                count += change.keyCount + change.valueCount
            }
            return count
        }
    }

    /// The bindings point into a batch that will be gone.
    func forgetOctets() { sqlite3_clear_bindings(statement) }

    private func bind(_ octets: UnsafeRawBufferPointer, _ start: Int, _ count: Int, at index: CInt) throws {
        precondition(start >= 0 && count >= 0 && start <= octets.count && count <= octets.count - start, "octets outside of the batch")
        guard count > 0, let base = octets.baseAddress else { return try check(sqlite3_bind_zeroblob(statement, index, 0)) }
        try check(sqlite3_bind_blob64(statement, index, base + start, UInt64(count), nil))
    }

    private func check(_ code: CInt) throws {
        guard code == SQLITE_OK else { throw failure(code) }
    }

    private func failure(_ code: CInt) -> DatabaseError {
        DatabaseError(resultCode: ResultCode(rawValue: code), message: db.lastErrorMessage)
    }
}

extension Statement {
    /// Runs a statement with these numbers for its arguments, and lets each row be read with the functions of SQLite:
    /// many rows are read here, and a general row is a costly thing.
    fileprivate func forEachRow(_ db: Database, bindings: [Int64], _ body: (SQLiteStatement) -> Void) throws {
        defer { sqlite3_reset(sqliteStatement) }
        for (index, value) in bindings.enumerated() {
            let code = sqlite3_bind_int64(sqliteStatement, CInt(index + 1), value)
            guard code == SQLITE_OK else { throw DatabaseError(resultCode: ResultCode(rawValue: code), message: db.lastErrorMessage) }
        }
        while true {
            let code = sqlite3_step(sqliteStatement)
            if code == SQLITE_DONE { return }
            guard code == SQLITE_ROW else { throw DatabaseError(resultCode: ResultCode(rawValue: code), message: db.lastErrorMessage) }
            body(sqliteStatement)
        }
    }
}

extension SQLiteStatement {
    /// A blob of the row that the statement stands on.
    fileprivate func octets(_ column: CInt) -> [UInt8] {
        guard let blob = sqlite3_column_blob(self, column) else { return [] }
        return [UInt8](UnsafeRawBufferPointer(start: blob, count: Int(sqlite3_column_bytes(self, column))))
    }
}
