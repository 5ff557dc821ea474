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
            // A row holds many changes (PackedChanges.swift) and has the sequence of the first.
            for run in ["journal_0", "journal_1"] {
                try db.execute(sql: "ALTER TABLE \(run) RENAME TO single")
                try db.execute(sql: "CREATE TABLE \(run) (sequence INTEGER PRIMARY KEY, changes BLOB NOT NULL) STRICT")
                let rows = try Row.fetchCursor(db, sql: "SELECT sequence, table_number, key, value FROM single")
                while let row = try rows.next() {
                    let (key, value): (Data, Data?) = (row[2], row[3])
                    var changes = PackedChanges()
                    key.withUnsafeBytes { key in
                        if let value {
                            value.withUnsafeBytes { _ = changes.add(table: row[1], key: key, value: $0) }
                        } else {
                            _ = changes.add(table: row[1], key: key, value: nil)
                        }
                    }
                    try db.execute(
                        sql: "INSERT INTO \(run) VALUES (?, ?)", arguments: [row[0] as Int64, Data(changes.octets)])
                }
                try db.execute(sql: "DROP TABLE single")
            }
        }
        return migrator
    }()
}
