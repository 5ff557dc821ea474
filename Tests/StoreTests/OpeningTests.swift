import GRDB
import Glibc
import SansIO
import Testing

@testable import Store

/// A file that cannot be opened is refused with one line, and left as it is.
struct OpeningTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func failure(opening path: String? = nil, role: String = "core", tables: [UInt8: String] = [1: "bindings"]) throws
        -> StoreFailure
    {
        let failure = #expect(throws: StoreFailure.self) { _ = try folder.open(path, role: role, tables: tables) }
        let found = try #require(failure)
        #expect(!found.description.contains("\n"))
        return found
    }

    private func make(_ sql: String) throws {
        let queue = try DatabaseQueue(path: folder.file)
        try queue.inDatabase { try $0.execute(sql: sql) }
        try queue.close()
    }

    @Test func placesThatCannotBe() throws {
        let missing = try failure(opening: "\(folder.path)/no/a.sqlite")
        #expect(missing.reason == .folderMissing)
        #expect(missing.description.contains("\(folder.path)/no does not exist"))
        #expect(try failure(opening: folder.path).reason == .notAFile)
        #expect(try failure(opening: "").reason == .notAFile)
        #expect(try failure(opening: "/proc/self/a.sqlite").reason == .notPermitted)
        #expect(try failure(opening: "/proc/version").reason == .notPermitted)
    }

    @Test func somethingElse() throws {
        let text = Array("This is a letter, not a database. ".utf8) + [UInt8](repeating: 0x20, count: 5000)
        try folder.write(text)
        #expect(try failure().reason == .notADatabase)
        #expect(try Set(readAll()) == Set(text))
    }

    @Test func aDatabaseOfAnotherProgramIsLeftAlone() throws {
        try make("CREATE TABLE recipes (name TEXT)")
        let before = try readAll()
        #expect(try failure().reason == .foreign)
        #expect(try readAll() == before)
        #expect(access(folder.file + "-wal", F_OK) != 0)
    }

    @Test func aNewerVersion() async throws {
        try await folder.open().close()
        try make("INSERT INTO grdb_migrations (identifier) VALUES ('999')")
        #expect(try failure().reason == .newerVersion)
    }

    @Test func anotherRoleOrOtherTables() async throws {
        try await folder.open(tables: [1: "bindings"]).close()
        let other = try failure(role: "im-server")
        #expect(other.reason == .otherRole)
        #expect(other.description.contains("belongs to the role core, not im-server"))
        #expect(try failure(tables: [1: "messages"]).reason == .otherRole)
        let wider = try folder.open(tables: [1: "bindings", 7: "more"])
        try await wider.close()
    }

    @Test func onlyOneOpensAFile() async throws {
        let store = try folder.open()
        #expect(try failure().reason == .inUse)
        try await store.close()
        try await folder.open().close()
    }

    @Test func aDamagedFile() async throws {
        let store = try folder.open()
        await store.commit((0..<2000).map { .put(1, "key\($0)", "some value") }, from: 1)
        try await store.close()
        var octets = try readAll()
        for index in 4096..<octets.count { octets[index] = UInt8(truncatingIfNeeded: index &* 31) }
        try folder.write(octets)
        #expect(try failure().reason == .damaged)
    }

    /// The schema as version 1 made it, written out: it never changes any more.
    @Test func version1IsMigrated() async throws {
        try make(
            """
            PRAGMA journal_mode = WAL;
            PRAGMA application_id = 1936289891;
            CREATE TABLE grdb_migrations (identifier TEXT NOT NULL PRIMARY KEY);
            INSERT INTO grdb_migrations VALUES ('1');
            CREATE TABLE node (role TEXT NOT NULL, next_sequence INTEGER NOT NULL) STRICT;
            INSERT INTO node VALUES ('core', 4);
            CREATE TABLE table_name (number INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
            INSERT INTO table_name VALUES (1, 'bindings');
            CREATE TABLE entry (
                table_number INTEGER NOT NULL, key BLOB NOT NULL, sequence INTEGER NOT NULL, value BLOB NOT NULL,
                PRIMARY KEY (table_number, key)
            ) STRICT, WITHOUT ROWID;
            INSERT INTO entry VALUES (1, x'61', 3, x'31'), (1, x'62', 2, x'32'), (2, x'61', 1, x'33');
            CREATE TABLE journal_0 (sequence INTEGER PRIMARY KEY, table_number INTEGER NOT NULL, key BLOB NOT NULL, value BLOB) STRICT;
            CREATE TABLE journal_1 (sequence INTEGER PRIMARY KEY, table_number INTEGER NOT NULL, key BLOB NOT NULL, value BLOB) STRICT;
            INSERT INTO journal_1 VALUES (4, 1, x'61', NULL), (5, 1, x'63', x'34');
            INSERT INTO journal_0 VALUES (6, 1, x'61', x'35'), (7, 1, x'63', NULL);
            """)
        let store = try folder.open(tables: [1: "bindings", 2: "subscribers"])
        #expect(try store.texts(1) == ["a=5", "b=2"])
        #expect(try store.texts(1, in: .lastChange) == ["b=2", "a=5"])
        #expect(try store.texts(2) == ["a=3"])
        #expect(await store.commit(.put(1, "d", "6")).1)
        #expect(try store.texts(1, in: .lastChange) == ["b=2", "a=5", "d=6"])
        try await store.close()
    }

    /// The journal's rows as version 2 packed them: of the older run one removal and a value, of the younger a value and a removal.
    @Test func version2IsMigrated() async throws {
        try make(
            """
            PRAGMA journal_mode = WAL;
            PRAGMA application_id = 1936289891;
            CREATE TABLE grdb_migrations (identifier TEXT NOT NULL PRIMARY KEY);
            INSERT INTO grdb_migrations VALUES ('1'), ('2');
            CREATE TABLE node (role TEXT NOT NULL, next_sequence INTEGER NOT NULL) STRICT;
            INSERT INTO node VALUES ('core', 4);
            CREATE TABLE table_name (number INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
            INSERT INTO table_name VALUES (1, 'bindings');
            CREATE TABLE entry (
                table_number INTEGER NOT NULL, key BLOB NOT NULL, sequence INTEGER NOT NULL, value BLOB NOT NULL,
                PRIMARY KEY (table_number, key)
            ) STRICT, WITHOUT ROWID;
            INSERT INTO entry VALUES (1, x'61', 3, x'31'), (1, x'62', 2, x'32');
            CREATE TABLE journal_0 (sequence INTEGER PRIMARY KEY, changes BLOB NOT NULL) STRICT;
            CREATE TABLE journal_1 (sequence INTEGER PRIMARY KEY, changes BLOB NOT NULL) STRICT;
            INSERT INTO journal_1 VALUES (4, x'010100000000000000610101000000020000006334');
            INSERT INTO journal_0 VALUES (6, x'0101000000020000006135'), (7, x'01010000000000000063');
            """)
        let store = try folder.open()
        #expect(try store.texts(1, in: .lastChange) == ["b=2", "a=5"])
        #expect(await store.commit(.put(1, "d", "6")).1)
        #expect(try store.texts(1, in: .lastChange) == ["b=2", "a=5", "d=6"])
        try await store.close()
    }

    private func readAll() throws -> [UInt8] {
        let file = try #require(fopen(folder.file, "r"))
        defer { fclose(file) }
        var octets: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            if count == 0 { return octets }
            octets += buffer[..<count]
        }
    }
}
