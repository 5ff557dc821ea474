import GRDB
import SansIO
import Synchronization
import Testing

@testable import Store

/// A failed commit drops all that was built on it, and only that.
struct CommitFailureTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Lets the file grow no further, as a full disk would.
    private func fill(_ store: Store) throws {
        try store.inDatabase { db in
            let pages = try #require(try Int.fetchOne(db, sql: "PRAGMA page_count"))
            try db.execute(sql: "PRAGMA max_page_count = \(pages)")
        }
    }

    private func makeRoom(_ store: Store) throws {
        try store.inDatabase { try $0.execute(sql: "PRAGMA max_page_count = 1000000") }
    }

    private let large = String(repeating: "x", count: 1_000_000)

    @Test func aFullDiskLosesTheChangesAndNothingElse() async throws {
        let lines = Mutex<[String]>([])
        let store = try folder.open { line in lines.withLock { $0.append(line) } }
        await store.commit(.put(1, "a", "1"))
        try fill(store)
        #expect(await store.commit(.put(1, "b", "2"), .put(1, "c", large), from: 2) == (3, false))
        #expect(try store.texts(1) == ["a=1"])
        try makeRoom(store)
        #expect(await store.commit(.put(1, "d", "4"), from: 4, failuresKnown: 1) == (4, true))
        #expect(try store.texts(1) == ["a=1", "d=4"])
        let logged = lines.withLock { $0 }
        #expect(logged.count == 1)
        #expect(logged.first?.contains("no space is left") == true)
        try await store.close()
        let reopened = try folder.open()
        #expect(try reopened.texts(1) == ["a=1", "d=4"])
        try await reopened.close()
    }

    /// Whoever writes one entry neither knows of the failures of others nor makes them known to them.
    @Test func oneEntryFailsForItselfAlone() async throws {
        let store = try folder.open()
        try fill(store)
        #expect(await store.write(2, "a", large) != nil)
        #expect(await store.commit(.put(1, "b", large), from: 1) == (1, false))
        try makeRoom(store)
        #expect(await store.write(2, "c", "3") == nil)
        #expect(await store.commit(.put(1, "d", "4"), from: 2, failuresKnown: 1) == (2, true))
        #expect(try store.texts(1) == ["d=4"])
        #expect(try store.texts(2) == ["c=3"])
        try await store.close()
    }

    @Test func ofEntriesWrittenTogetherNoneOrAllAreThere() async throws {
        let store = try folder.open()
        #expect(await store.write(1, "a", "1") == nil)
        try fill(store)
        let writes = [
            Store.Write(table: 1, key: Array("a".utf8), value: nil), Store.Write(table: 2, key: Array("b".utf8), value: Array(large.utf8)),
        ]
        #expect(await store.write(writes) != nil)
        #expect(try store.texts(1) == ["a=1"])
        #expect(try store.texts(2) == [])
        try makeRoom(store)
        try await store.close()
    }

    @Test func whatWasBuiltOnLostChangesIsDropped() async throws {
        let store = try folder.open()
        try fill(store)
        let reports = Mutex<[(UInt64, Bool)]>([])
        let failing = Changes.make([.put(1, "b", large)], from: 1)
        let ignorant = Changes.make([.put(1, "c", "3")], from: 2)
        let late = Changes.make([.put(1, "d", "4")], from: 3)
        let informed = Changes.make([.put(1, "e", "5")], from: 4)
        await withCheckedContinuation { continuation in
            store.commit(failing.changes, octets: failing.octets, failuresKnown: 0) { ticket, succeeded in
                reports.withLock { $0.append((ticket, succeeded)) }
                #expect(throws: Never.self) {
                    // On the store's thread, so within the round that failed.
                    try store.inRound { try $0.execute(sql: "PRAGMA max_page_count = 1000000") }
                }
                // The caller has not been told yet when it hands in the first, and has when it hands in the second.
                store.commit(late.changes, octets: late.octets, failuresKnown: 0) { _, _ in Issue.record("not to be reported") }
                store.commit(informed.changes, octets: informed.octets, failuresKnown: 1) { ticket, succeeded in
                    reports.withLock { $0.append((ticket, succeeded)) }
                    continuation.resume()
                }
            }
            store.commit(ignorant.changes, octets: ignorant.octets, failuresKnown: 0) { ticket, succeeded in
                // It may have been in the same group as the one that fails; then it speaks for both.
                reports.withLock { $0.append((ticket, succeeded)) }
                guard !succeeded, ticket == 2 else { return }
                #expect(throws: Never.self) { try store.inRound { try $0.execute(sql: "PRAGMA max_page_count = 1000000") } }
                store.commit(informed.changes, octets: informed.octets, failuresKnown: 1) { ticket, succeeded in
                    reports.withLock { $0.append((ticket, succeeded)) }
                    continuation.resume()
                }
            }
        }
        let told = reports.withLock { $0 }
        #expect(told.count == 2)
        #expect(told.first?.1 == false)
        #expect(told.last?.0 == 4 && told.last?.1 == true)
        #expect(try store.texts(1) == ["e=5"])
        try await store.close()
    }
}
