// The journal and its merging.
//
// Changes are appended to one of two runs. When that is long enough it is sealed, the other run takes what comes, and the
// sealed one is merged in the order of its keys, so that neighbours on a page are written together: the last change of
// each key, a slice in each transaction, the run emptied at the end. To merge a slice twice does no harm, so a crash in
// the middle needs no repair: the merging begins again. An entry is what the younger run says, else the older, else the
// table of entries.

import GRDB
import GRDBSQLite
import SansIO

/// When and how fast the journal is merged.
struct MergeSettings: Sendable {
    /// A run is sealed when it holds so many octets of keys and values, and more than one in `fileShare` of the file's.
    var sealedAt = 4 << 20
    var fileShare = 4
    /// Rows merged in one transaction when nothing else is to be done, and the least beside a commit.
    var idleSlice = 512
    var busySlice = 64
}

/// What is known of the journal's tables. A failed transaction leaves it as it was.
struct Journal: Sendable {
    /// A sealed run on its way into the table of entries.
    private struct Merge {
        var run: Int
        /// The last change of each key, in the order of the keys.
        var rows: [(sequence: Int64, isRemoval: Bool)]
        var position = 0
    }

    private static let runs = ["journal_0", "journal_1"]

    private let settings: MergeSettings
    /// The run to which changes are appended, and what it holds.
    private var active = 0
    private var activeRows = 0
    private var activeOctets = 0
    private var nextSequence: Int64 = 1
    private var merging: Merge?
    /// After a failure of merging: how many commits to wait before the next try.
    private var commitsUntilRetry = 0

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
        activeOctets += octets
        nextSequence = sequence
        commitsUntilRetry = max(commitsUntilRetry - 1, 0)
    }

    // MARK: Merging

    /// Merges a slice, or seals the active run if it is long enough.
    /// - Parameter commits: how many batches were committed since the last call; 0: there is time.
    /// - Returns: whether there is more to merge.
    mutating func merge(_ db: Database, beside commits: Int) throws -> Bool {
        guard commitsUntilRetry == 0 else { return false }
        do {
            if merging == nil, try isActiveRunFull(db) {
                merging = try Journal.merge(of: active, db)
                active = 1 - active
                activeRows = 0
                activeOctets = 0
            }
            guard merging != nil else { return false }
            try mergeSlice(db, count: commits == 0 ? settings.idleSlice : max(settings.busySlice, 4 * commits))
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
        let rows = try Row.fetchCursor(
            db, sql: "SELECT max(sequence), value IS NULL FROM \(runs[run]) GROUP BY table_number, key ORDER BY table_number, key")
        var merge = Merge(run: run, rows: [])
        while let row = try rows.next() { merge.rows.append((row[0], row[1])) }
        return merge
    }

    private mutating func mergeSlice(_ db: Database, count: Int) throws {
        guard let merge = merging else { return }
        let run = Journal.runs[merge.run]
        let end = min(merge.position + count, merge.rows.count)
        try db.inTransaction(.immediate) {
            let put = try db.cachedStatement(
                sql: """
                    INSERT OR REPLACE INTO entry (table_number, key, sequence, value)
                    SELECT table_number, key, sequence, value FROM \(run) WHERE sequence = ?
                    """)
            let remove = try db.cachedStatement(
                sql: "DELETE FROM entry WHERE (table_number, key) = (SELECT table_number, key FROM \(run) WHERE sequence = ?)")
            for row in merge.rows[merge.position..<end] { try (row.isRemoval ? remove : put).execute(arguments: [row.sequence]) }
            if end == merge.rows.count {
                try db.execute(sql: "DELETE FROM \(run)")
                try db.execute(sql: "UPDATE node SET next_sequence = max(next_sequence, ?)", arguments: [nextSequence])
            }
            return .commit
        }
        merging?.position = end
        if end == merge.rows.count { merging = nil }
    }

    // MARK: Reading

    func load(_ table: UInt8, in order: Store.Order, from db: Database) throws -> [Store.Entry] {
        let column = order == .key ? "key" : "last"
        let isMerged = activeRows == 0 && merging == nil
        let source =
            isMerged
            ? "SELECT key, value, sequence AS last FROM entry WHERE table_number = ?1"
            : """
            SELECT key, value, max(sequence) AS last FROM (
                SELECT key, value, sequence FROM entry WHERE table_number = ?1
                UNION ALL SELECT key, value, sequence FROM journal_0 WHERE table_number = ?1
                UNION ALL SELECT key, value, sequence FROM journal_1 WHERE table_number = ?1
            ) GROUP BY key
            """
        let statement = try db.makeStatement(sql: "SELECT key, value FROM (\(source)) WHERE value IS NOT NULL ORDER BY \(column)")
        var entries: [Store.Entry] = []
        sqlite3_bind_int64(statement.sqliteStatement, 1, Int64(table))
        while true {
            let code = sqlite3_step(statement.sqliteStatement)
            if code == SQLITE_DONE { return entries }
            guard code == SQLITE_ROW else { throw DatabaseError(resultCode: ResultCode(rawValue: code), message: db.lastErrorMessage) }
            entries.append(Store.Entry(key: statement.octets(0), value: statement.octets(1)))
        }
    }

    mutating func reset(_ db: Database) throws {
        try db.inTransaction(.immediate) {
            for table in Journal.runs + ["entry"] { try db.execute(sql: "DELETE FROM \(table)") }
            try db.execute(sql: "UPDATE node SET next_sequence = 1")
            return .commit
        }
        activeRows = 0
        activeOctets = 0
        nextSequence = 1
        merging = nil
        commitsUntilRetry = 0
    }
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
    /// A blob of the row that the statement stands on.
    fileprivate func octets(_ column: CInt) -> [UInt8] {
        guard let blob = sqlite3_column_blob(sqliteStatement, column) else { return [] }
        return [UInt8](UnsafeRawBufferPointer(start: blob, count: Int(sqlite3_column_bytes(sqliteStatement, column))))
    }
}
