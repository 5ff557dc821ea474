// The statements that are run for every change, and how they are given octets and read without copies.

import GRDB
import GRDBSQLite
import SansIO

/// Writes changes into slots.
struct BlockInsertion {
    private let db: Database
    private let insertion: Statement
    private let update: Statement
    private let allocated: Int64
    /// The first slot that is not in use.
    private(set) var slot: Int64
    private var block: ChangeBlock
    /// Whether the block is added to what the slot before holds.
    private var isContinued: Bool

    /// - Parameters:
    ///   - last: what the slot before holds; it is added to if all octets have room there.
    ///   - octets: of all changes that will be added.
    init(_ db: Database, table: String, from sequence: Int64, slot: Int64, allocated: Int64, last: ChangeBlock?, octets: Int) throws {
        self.db = db
        insertion = try db.cachedStatement(sql: "INSERT INTO \(table) (changes, slot) VALUES (?, ?)")
        // The same length in the same place: SQLite writes over the octets, and over no other page.
        update = try db.cachedStatement(sql: "UPDATE \(table) SET changes = ? WHERE slot = ?")
        self.slot = slot
        self.allocated = allocated
        if let last, last.hasRoom(for: octets) {
            block = last
            isContinued = true
        } else {
            block = ChangeBlock(from: sequence)
            isContinued = false
        }
    }

    var nextSequence: Int64 { block.sequence + Int64(block.count) }
    /// What the last slot in use holds.
    var last: ChangeBlock { block }

    mutating func add(_ batch: Batch) throws {
        try batch.octets.withUnsafeBytes { octets in
            for change in batch.changes where !block.add(change, of: octets) {
                try write()
                block = ChangeBlock(from: nextSequence)
                _ = block.add(change, of: octets)
            }
        }
    }

    mutating func finish() throws { try write() }

    private mutating func write() throws {
        let place = isContinued ? slot - 1 : slot
        let statement = place < allocated ? update : insertion
        try statement.bind(place, at: 2, db)
        try block.filled().withUnsafeBytes { octets in
            try statement.bind(octets, at: 1, db)
            try statement.run(db)
            statement.forgetOctets()
        }
        if !isContinued { slot += 1 }
        isContinued = false
    }
}

/// The statements that bring changes from a run into the table of entries.
struct EntryWriting: ~Copyable {
    private let db: Database
    private let slots: Statement
    private let put: Statement
    private let remove: Statement
    /// The slot that was read last, which stands until another is read: neighbours in the order of the keys often share one.
    private var slot: Int64 = -1
    private var octets = UnsafeRawBufferPointer(start: nil, count: 0)

    init(_ db: Database, table: String) throws {
        let slots = try db.cachedStatement(sql: "SELECT changes FROM \(table) WHERE slot = ?")
        let put = try db.cachedStatement(sql: "REPLACE INTO entry (table_number, key, sequence, value) VALUES (?, ?, ?, ?)")
        let remove = try db.cachedStatement(sql: "DELETE FROM entry WHERE table_number = ? AND key = ?")
        (self.db, self.slots, self.put, self.remove) = (db, slots, put, remove)
    }

    deinit { sqlite3_reset(slots.sqliteStatement) }

    mutating func write(_ change: RunChange) throws {
        if change.value != nil, change.slot != slot { try read(change.slot) }
        try change.key.withUnsafeBytes { key in
            let statement = change.value == nil ? remove : put
            try statement.bind(Int64(key[0]), at: 1, db)
            try statement.bind(UnsafeRawBufferPointer(rebasing: key[1...]), at: 2, db)
            if let value = change.value {
                try statement.bind(change.sequence, at: 3, db)
                guard value.upperBound <= octets.count else {
                    throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "a block of the journal is not what it was")
                }
                try statement.bind(UnsafeRawBufferPointer(rebasing: octets[value]), at: 4, db)
            }
            defer { statement.forgetOctets() }
            try statement.run(db)
        }
    }

    private mutating func read(_ slot: Int64) throws {
        sqlite3_reset(slots.sqliteStatement)
        self.slot = -1
        try slots.bind(slot, at: 1, db)
        guard let octets = try slots.row(db) else {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "a slot of the journal is gone")
        }
        self.octets = octets
        self.slot = slot
    }
}

// MARK: Transactions

extension Database {
    /// What GRDB does at the ends of a transaction for those who observe the database costs more than to append a block.
    func inOwnTransaction(_ body: () throws -> Void) throws {
        try cachedStatement(sql: "BEGIN IMMEDIATE").run(self)
        do {
            try body()
            try cachedStatement(sql: "COMMIT").run(self)
        } catch {
            // Some failures have ended the transaction already.
            if isInsideTransaction { try cachedStatement(sql: "ROLLBACK").run(self) }
            throw error
        }
    }

    /// Says of which sequence a run's first change is; 0: it is empty.
    func setFirstSequence(of run: Int, _ sequence: Int64) throws {
        let statement = try cachedStatement(sql: "UPDATE run SET first_sequence = ? WHERE number = ?")
        try statement.bind(sequence, at: 1, self)
        try statement.bind(Int64(run), at: 2, self)
        try statement.run(self)
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

    /// The only column of the first row, a blob, which stays in its place until the statement is reset; nil: there is no row.
    fileprivate func row(_ db: Database) throws -> UnsafeRawBufferPointer? {
        let code = sqlite3_step(sqliteStatement)
        if code == SQLITE_DONE { return nil }
        guard code == SQLITE_ROW else { throw failure(code, db) }
        return UnsafeRawBufferPointer(
            start: sqlite3_column_blob(sqliteStatement, 0), count: Int(sqlite3_column_bytes(sqliteStatement, 0)))
    }

    /// Runs a statement that has no rows.
    func run(_ db: Database) throws { try forEachRow(db) { _ in true } }

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
