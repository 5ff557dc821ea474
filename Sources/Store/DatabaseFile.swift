// The file: how it is opened, whose it is, and the versions of its schema. A migration, once published, never changes:
// a new version is a new one after the last.

import Foundation
import GRDB

/// A database file and what it should be.
struct DatabaseFile {
    let path: String
    let role: String
    let tables: [UInt8: String]

    /// Marks files of this program ("sipc" in ASCII), as `PRAGMA application_id` keeps it.
    static let applicationID: Int32 = 0x7369_7063

    /// Opens and locks the file. One that is not ours is not changed.
    /// - Returns: the connection, and whether the file was made by this.
    func open() throws -> (queue: DatabaseQueue, isNew: Bool) {
        var configuration = Configuration()
        configuration.label = "store"
        configuration.foreignKeysEnabled = false
        configuration.busyMode = .immediateError
        configuration.prepareDatabase { db in
            // Before the first access: then the index of the write-ahead log is in memory, and the lock is kept.
            try db.execute(sql: "PRAGMA locking_mode = EXCLUSIVE")
        }
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        try queue.inDatabase { db in
            try checkOwner(db)
            try configure(db)
        }
        try DatabaseFile.migrations.migrate(queue)
        return (queue, try queue.inDatabase { try claim($0) })
    }

    private func checkOwner(_ db: Database) throws {
        let owner = try Int32.fetchOne(db, sql: "PRAGMA application_id")
        let isEmpty = try Int.fetchOne(db, sql: "SELECT count(*) FROM sqlite_schema") == 0
        guard owner == DatabaseFile.applicationID || isEmpty else {
            throw StoreFailure(
                .foreign, "cannot open the database \(path): another program has made it; name another file")
        }
        guard try !DatabaseFile.migrations.hasBeenSuperseded(db) else {
            throw StoreFailure(
                .newerVersion,
                "cannot open the database \(path): a newer version of sipcore has written it; use that version or name another file")
        }
    }

    private func configure(_ db: Database) throws {
        guard try String.fetchOne(db, sql: "PRAGMA journal_mode = WAL") == "wal" else {
            throw StoreFailure(
                .notAFile, "cannot open the database \(path): no write-ahead log can be kept there; name a file on a local disk")
        }
        // The log is not flushed at each commit: what is committed survives the process, not a crash of the system.
        try db.execute(sql: "PRAGMA synchronous = NORMAL")
        try db.execute(sql: "PRAGMA temp_store = MEMORY")
        // Pages that are written again and again, as the journal's are, are copied into the file once for many times.
        try db.execute(sql: "PRAGMA wal_autocheckpoint = 4096")
        // At most 32 MiB of pages in memory.
        try db.execute(sql: "PRAGMA cache_size = -32768")
    }

    /// Writes down whose file this is and what its tables are called, or compares it.
    /// - Returns: whether it was nobody's before.
    private func claim(_ db: Database) throws -> Bool {
        var isNew = false
        try db.inTransaction(.immediate) {
            let owner = try String.fetchOne(db, sql: "SELECT role FROM node")
            isNew = owner == nil
            if isNew { try db.execute(sql: "INSERT INTO node (role, next_sequence) VALUES (?, 1)", arguments: [role]) }
            guard owner == nil || owner == role else {
                throw StoreFailure(
                    .otherRole,
                    "cannot open the database \(path): it belongs to the role \(owner ?? ""), not \(role); name another file")
            }
            for (number, name) in tables.sorted(by: { $0.key < $1.key }) {
                let known = try String.fetchOne(db, sql: "SELECT name FROM table_name WHERE number = ?", arguments: [Int(number)])
                guard known == nil || known == name else {
                    throw StoreFailure(
                        .otherRole,
                        "cannot open the database \(path): its table \(number) is \(known ?? ""), not \(name); name another file")
                }
                if known == nil {
                    try db.execute(sql: "INSERT INTO table_name (number, name) VALUES (?, ?)", arguments: [Int(number), name])
                }
            }
            return .commit
        }
        return isNew
    }

    // MARK: Versions

    static let migrations: DatabaseMigrator = {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { db in
            try db.execute(
                sql: """
                    -- Whose file this is; one row. Sequences below next_sequence were given out, others may have been.
                    CREATE TABLE node (role TEXT NOT NULL, next_sequence INTEGER NOT NULL) STRICT;
                    -- What the numbers of tables stand for.
                    CREATE TABLE table_name (number INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
                    -- What was merged.
                    CREATE TABLE entry (
                        table_number INTEGER NOT NULL, key BLOB NOT NULL, sequence INTEGER NOT NULL, value BLOB NOT NULL,
                        PRIMARY KEY (table_number, key)
                    ) STRICT, WITHOUT ROWID;
                    -- Changes that were not merged, in two runs: every sequence of one is above those of the other.
                    -- No value: the entry is removed.
                    CREATE TABLE journal_0 (
                        sequence INTEGER PRIMARY KEY, table_number INTEGER NOT NULL, key BLOB NOT NULL, value BLOB
                    ) STRICT;
                    CREATE TABLE journal_1 (
                        sequence INTEGER PRIMARY KEY, table_number INTEGER NOT NULL, key BLOB NOT NULL, value BLOB
                    ) STRICT;
                    """)
            try db.execute(sql: "PRAGMA application_id = \(DatabaseFile.applicationID)")
        }
        migrator.registerMigration("2") { db in
            // A row holds many changes (PackedRow) and has the sequence of the first.
            for run in ["journal_0", "journal_1"] {
                try db.execute(sql: "ALTER TABLE \(run) RENAME TO single")
                try db.execute(sql: "CREATE TABLE \(run) (sequence INTEGER PRIMARY KEY, changes BLOB NOT NULL) STRICT")
                let rows = try Row.fetchCursor(db, sql: "SELECT sequence, table_number, key, value FROM single")
                while let row = try rows.next() {
                    let packed = PackedRow.pack(PackedRow.Change(table: row[1], key: row[2], value: row[3]))
                    try db.execute(sql: "INSERT INTO \(run) VALUES (?, ?)", arguments: [row[0] as Int64, packed])
                }
                try db.execute(sql: "DROP TABLE single")
            }
        }
        migrator.registerMigration("3") { db in
            // The runs are of slots that are used again (ChangeBlock.swift). What the old ones hold is merged.
            let rows = try Row.fetchCursor(
                db, sql: "SELECT sequence, changes FROM journal_0 UNION ALL SELECT sequence, changes FROM journal_1 ORDER BY sequence")
            while let row = try rows.next() {
                var sequence: Int64 = row[0]
                for change in try PackedRow.unpack(row[1]) {
                    if let value = change.value {
                        try db.execute(
                            sql: "INSERT OR REPLACE INTO entry (table_number, key, sequence, value) VALUES (?, ?, ?, ?)",
                            arguments: [change.table, change.key, sequence, value])
                    } else {
                        try db.execute(sql: "DELETE FROM entry WHERE table_number = ? AND key = ?", arguments: [change.table, change.key])
                    }
                    sequence += 1
                }
                try db.execute(sql: "UPDATE node SET next_sequence = max(next_sequence, ?)", arguments: [sequence])
            }
            try db.execute(
                sql: """
                    DROP TABLE journal_0;
                    DROP TABLE journal_1;
                    CREATE TABLE journal_0 (slot INTEGER PRIMARY KEY, changes BLOB NOT NULL) STRICT;
                    CREATE TABLE journal_1 (slot INTEGER PRIMARY KEY, changes BLOB NOT NULL) STRICT;
                    -- The sequence of the first change of each; 0: it is empty.
                    CREATE TABLE run (number INTEGER PRIMARY KEY, first_sequence INTEGER NOT NULL) STRICT;
                    INSERT INTO run VALUES (0, 0), (1, 0);
                    """)
        }
        return migrator
    }()
}

/// A row of the journal as version 2 had it: for each change the table's number (one octet), the count of the key's octets
/// and, of the value's, one more, so that 0 says that the entry is removed (four octets each, the least first), the key
/// and the value.
private enum PackedRow {
    struct Change {
        var table: UInt8
        var key: Data
        var value: Data?
    }

    static func pack(_ change: Change) -> Data {
        let value = change.value ?? Data()
        return Data([change.table]) + number(change.key.count) + number(change.value.map { $0.count + 1 } ?? 0) + change.key + value
    }

    private static func number(_ count: Int) -> Data { withUnsafeBytes(of: UInt32(truncatingIfNeeded: count).littleEndian) { Data($0) } }

    static func unpack(_ row: Data) throws -> [Change] {
        var rest = row[...]
        func take(_ count: Int) throws -> Data {
            guard count <= rest.count else {
                throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "a row of the journal is cut short")
            }
            defer { rest = rest.dropFirst(count) }
            return rest.prefix(count)
        }
        func takeNumber() throws -> Int { try take(4).reversed().reduce(0) { $0 << 8 | Int($1) } }
        var changes: [Change] = []
        while !rest.isEmpty {
            let table = try take(1)
            let (keyCount, valueCount) = (try takeNumber(), try takeNumber())
            let key = try take(keyCount)
            changes.append(Change(table: table.first ?? 0, key: key, value: valueCount == 0 ? nil : try take(valueCount - 1)))
        }
        return changes
    }
}
