// The statements that are run for every change, and how they are given octets and read without copies.

import GRDB
import GRDBSQLite
import SansIO

/// The statement that appends a row, and the row that is being filled.
struct JournalInsertion {
    private let db: Database
    private let statement: Statement
    private var row = PackedChanges()
    private var nextSequence: Int64
    private var octets = 0

    init(_ db: Database, run: String, from sequence: Int64) throws {
        self.db = db
        statement = try db.cachedStatement(sql: "INSERT INTO \(run) (sequence, changes) VALUES (?, ?)")
        nextSequence = sequence
    }

    mutating func add(_ batch: Batch) throws {
        try batch.octets.withUnsafeBytes { octets in
            for change in batch.changes where !row.add(change, of: octets) {
                try flush()
                _ = row.add(change, of: octets)
            }
        }
    }

    /// - Returns: the sequence after the last, and the octets of all rows.
    mutating func finish() throws -> (nextSequence: Int64, octets: Int) {
        try flush()
        return (nextSequence, octets)
    }

    private mutating func flush() throws {
        guard row.count > 0 else { return }
        try statement.bind(nextSequence, at: 1, db)
        try row.octets.withUnsafeBytes { octets in
            try statement.bind(octets, at: 2, db)
            try statement.forEachRow(db) { _ in true }
            statement.forgetOctets()
        }
        nextSequence += Int64(row.count)
        octets += row.octets.count
        row.removeAll()
    }
}

/// The statements that bring changes from a run into the table of entries.
struct EntryWriting {
    private let db: Database
    private let put: Statement
    private let remove: Statement

    init(_ db: Database, run: String) throws {
        self.db = db
        put = try db.cachedStatement(
            sql: """
                INSERT INTO entry (table_number, key, sequence, value)
                SELECT ?, ?, ?, substr(changes, ?, ?) FROM \(run) WHERE sequence = ?
                ON CONFLICT DO UPDATE SET sequence = excluded.sequence, value = excluded.value
                """)
        remove = try db.cachedStatement(sql: "DELETE FROM entry WHERE table_number = ? AND key = ?")
    }

    func write(_ change: RunChange) throws {
        try change.key.withUnsafeBytes { key in
            let statement = change.value == nil ? remove : put
            try statement.bind(Int64(key[0]), at: 1, db)
            try statement.bind(UnsafeRawBufferPointer(rebasing: key[1...]), at: 2, db)
            if let value = change.value {
                try statement.bind(change.sequence, at: 3, db)
                try statement.bind(Int64(value.lowerBound + 1), at: 4, db)
                try statement.bind(Int64(value.count), at: 5, db)
                try statement.bind(change.row, at: 6, db)
            }
            try statement.forEachRow(db) { _ in true }
            statement.forgetOctets()
        }
    }
}

// MARK: Statements without copies

/// Many rows are read and written here, and a general binding of values, as a general row, is a costly thing.
extension Statement {
    func bind(_ number: Int64, at index: CInt, _ db: Database) throws {
        try check(sqlite3_bind_int64(sqliteStatement, index, number), db)
    }

    /// Octets that stay where they are until the statement has run.
    fileprivate func bind(_ octets: UnsafeRawBufferPointer, at index: CInt, _ db: Database) throws {
        guard let base = octets.baseAddress, !octets.isEmpty else { return try check(sqlite3_bind_zeroblob(sqliteStatement, index, 0), db) }
        try check(sqlite3_bind_blob64(sqliteStatement, index, base, UInt64(octets.count), nil), db)
    }

    /// The bindings point at what will be gone.
    fileprivate func forgetOctets() { sqlite3_clear_bindings(sqliteStatement) }

    /// Runs the statement; each row is read with the functions of SQLite, until the body says false.
    func forEachRow(_ db: Database, _ body: (SQLiteStatement) throws -> Bool) throws {
        defer { sqlite3_reset(sqliteStatement) }
        while true {
            let code = sqlite3_step(sqliteStatement)
            if code == SQLITE_DONE { return }
            guard code == SQLITE_ROW else { throw failure(code, db) }
            guard try body(sqliteStatement) else { return }
        }
    }

    private func check(_ code: CInt, _ db: Database) throws {
        guard code == SQLITE_OK else { throw failure(code, db) }
    }

    private func failure(_ code: CInt, _ db: Database) -> DatabaseError {
        DatabaseError(resultCode: ResultCode(rawValue: code), message: db.lastErrorMessage)
    }
}

extension SQLiteStatement {
    /// A blob of the row that the statement stands on.
    func octets(_ column: CInt) -> [UInt8] {
        guard let blob = sqlite3_column_blob(self, column) else { return [] }
        return [UInt8](UnsafeRawBufferPointer(start: blob, count: Int(sqlite3_column_bytes(self, column))))
    }
}
