import SansIO
import Synchronization
import Testing

@testable import Store

/// What is put is found again, in the orders asked for, by the next process too.
struct StoreTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test func entriesAreLoadedInBothOrders() async throws {
        let store = try folder.open()
        await store.commit(.put(1, "b", "1"), .put(1, "a", "2"), .put(2, "x", "3"), .put(1, "c", ""))
        await store.commit(.put(1, "b", "4"), .remove(2, "x"), .remove(1, "nobody"), from: 5)
        #expect(try store.texts(1) == ["a=2", "b=4", "c="])
        #expect(try store.texts(1, in: .lastChange) == ["a=2", "c=", "b=4"])
        #expect(try store.texts(2).isEmpty)
        try await store.close()
    }

    @Test func entriesSurviveClosingAndDeath() async throws {
        let store = try folder.open()
        await store.commit(.put(1, "a", "1"), .put(1, "b", "2"))
        try folder.copyFiles()
        await store.commit(.remove(1, "a"), from: 3)
        try await store.close()

        #expect(store.isNew)
        let afterDeath = try folder.open(folder.copy)
        #expect(!afterDeath.isNew)
        #expect(try afterDeath.texts(1) == ["a=1", "b=2"])
        try await afterDeath.close()
        let reopened = try folder.open()
        #expect(try reopened.texts(1) == ["b=2"])
        await reopened.commit(.put(1, "0", "3"))
        #expect(try reopened.texts(1, in: .lastChange) == ["b=2", "0=3"])
        try await reopened.close()
    }

    @Test func anyOctetsAreKept() async throws {
        let store = try folder.open()
        let key: [UInt8] = [0, 255, 0]
        let value = [UInt8](0...255) + [UInt8](repeating: 0, count: 100_000)
        var lane = StoreLane()
        lane.put(table: 255, key: key.span.bytes, value: value.span.bytes, ticket: 1)
        lane.put(table: 255, key: RawSpan(), value: RawSpan(), ticket: 2)
        let changes = lane.changes
        let octets = [UInt8](lane.bytes.bytes)
        let result = await withCheckedContinuation { continuation in
            store.commit(changes, octets: octets, failuresKnown: 0) { continuation.resume(returning: ($0, $1)) }
        }
        #expect(result == (2, true))
        #expect(try store.load(255) == [Store.Entry(key: [], value: []), Store.Entry(key: key, value: value)])
        try await store.close()
    }

    @Test func commitsAreReportedInOrder() async throws {
        let store = try folder.open()
        let reported = Mutex<[UInt64]>([])
        await withCheckedContinuation { continuation in
            for ticket in 1...500 as ClosedRange<UInt64> {
                let made = Changes.make([.put(1, "k\(ticket % 7)", "\(ticket)")], from: ticket)
                store.commit(made.changes, octets: made.octets, failuresKnown: 0) { upTo, succeeded in
                    #expect(succeeded)
                    reported.withLock { $0.append(upTo) }
                    if upTo == 500 { continuation.resume() }
                }
            }
        }
        #expect(reported.withLock { $0 } == Array(1...500))
        #expect(try store.texts(1, in: .lastChange) == (494...500).map { "k\($0 % 7)=\($0)" })
        try await store.close()
    }

    @Test func nothingIsReportedBeforeItIsDurable() async throws {
        let store = try folder.open()
        let folder = folder
        await withCheckedContinuation { continuation in
            let made = Changes.make([.put(1, "a", "1")], from: 1)
            store.commit(made.changes, octets: made.octets, failuresKnown: 0) { _, _ in
                // On the store's thread: nothing is written meanwhile.
                #expect(throws: Never.self) { try folder.copyFiles() }
                continuation.resume()
            }
        }
        let copy = try folder.open(folder.copy)
        #expect(try copy.texts(1) == ["a=1"])
        try await copy.close()
        try await store.close()
    }

    @Test func resetStandsInOrderWithCommits() async throws {
        let store = try folder.open()
        let made = (1...3).map { Changes.make([.put(1, "k\($0)", "")], from: UInt64($0)) }
        await withCheckedContinuation { continuation in
            store.commit(made[0].changes, octets: made[0].octets, failuresKnown: 0) { #expect($0 == 1 && $1) }
            store.commit(made[1].changes, octets: made[1].octets, failuresKnown: 0) { #expect($0 == 2 && $1) }
            store.reset { #expect($0 == nil) }
            store.commit(made[2].changes, octets: made[2].octets, failuresKnown: 0) {
                #expect($0 == 3 && $1)
                continuation.resume()
            }
        }
        #expect(try store.texts(1) == ["k3="])
        try await store.close()
        let reopened = try folder.open()
        #expect(try reopened.texts(1) == ["k3="])
        try await reopened.close()
    }

    @Test func aResetMayKeepTables() async throws {
        // Runs are sealed early, so that both and the merged entries hold something.
        var settings = MergeSettings()
        settings.sealedAt = 64
        settings.fileShare = 1_000_000
        let store = try folder.open(mergeSettings: settings)
        for i in 1...40 as ClosedRange<UInt64> {
            await store.commit(.put(1, "k\(i)", String(repeating: "x", count: 40)), .put(2, "s\(i % 8)", "\(i)"), from: i * 2)
        }
        #expect(await store.reset(keeping: [2]) == nil)
        let kept = ["s0=40", "s1=33", "s2=34", "s3=35", "s4=36", "s5=37", "s6=38", "s7=39"]
        #expect(try store.texts(1) == [])
        #expect(try store.texts(2) == kept)
        // In the order of the changes, those after the reset included.
        await store.commit(.put(2, "s1", "41"), .put(1, "new", "1"), from: 100)
        #expect(try store.texts(2, in: .lastChange) == kept[2...] + ["s0=40", "s1=41"])
        try await store.close()
        let reopened = try folder.open()
        #expect(try reopened.texts(1) == ["new=1"])
        #expect(try reopened.texts(2, in: .lastChange) == kept[2...] + ["s0=40", "s1=41"])
        try await reopened.close()
    }

    @Test func oneEntryIsWrittenForItself() async throws {
        let store = try folder.open()
        #expect(await store.write(2, "alice", "1") == nil)
        #expect(await store.write(2, "bob", "2") == nil)
        #expect(await store.write(2, "alice", nil) == nil)
        #expect(try store.texts(2) == ["bob=2"])
        try await store.close()
        #expect(await store.write(2, "bob", nil)?.reason == .closed)
        let reopened = try folder.open()
        #expect(try reopened.texts(2) == ["bob=2"])
        try await reopened.close()
    }

    @Test func severalEntriesAreWrittenTogether() async throws {
        let store = try folder.open()
        #expect(await store.commit(.put(1, "alice", "1"), .put(1, "bob", "2"), from: 1) == (2, true))
        let writes = [
            Store.Write(table: 2, key: Array("x".utf8), value: Array("3".utf8)),
            Store.Write(table: 1, key: Array("alice".utf8), value: Array("".utf8)),
            Store.Write(table: 1, key: Array("bob".utf8), value: nil),
        ]
        #expect(await store.write(writes) == nil)
        #expect(try store.texts(1) == ["alice="])
        #expect(try store.texts(2) == ["x=3"])
        try await store.close()
    }

    @Test func aClosedStoreRefuses() async throws {
        let store = try folder.open()
        try await store.close()
        try await store.close()
        #expect(await store.commit(.put(1, "a", "1"), from: 9) == (9, false))
        #expect(await store.reset()?.reason == .closed)
        #expect(throws: StoreFailure.self) { try store.load(1) }
    }
}
