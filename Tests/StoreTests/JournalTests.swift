import Foundation
import GRDB
import SansIO
import Testing

@testable import Store

/// However changes are spread over the runs of the journal and the table of entries, what is loaded is what a dictionary
/// would hold.
struct JournalTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test(arguments: 1...12 as ClosedRange<UInt64>)
    func equalsADictionary(seed: UInt64) async throws {
        var random = RandomSource(seed: seed)
        let settings = MergeSettings(
            sealedAt: Int.random(in: 1...400, using: &random), fileShare: .max, piece: Int.random(in: 1...20, using: &random),
            idleSlice: Int.random(in: 1...9, using: &random),
            busySlice: Int.random(in: 1...3, using: &random))
        var oracle: [UInt8: [String: (value: String, change: UInt64)]] = [1: [:], 2: [:]]
        var ticket: UInt64 = 1
        var store = try folder.open(mergeSettings: settings)
        for round in 0..<120 {
            let changes = (0..<Int.random(in: 1...12, using: &random)).map { _ -> Changes.Change in
                let table = UInt8.random(in: 1...2, using: &random)
                let key = "k\(Int.random(in: 0..<40, using: &random))"
                guard Int.random(in: 0..<4, using: &random) > 0 else { return .remove(table, key) }
                // None, some in a row, as long as a row, and longer than a page.
                let padding = [0, 0, 1, 300, 3950, 3990, 9000].randomElement(using: &random)!
                return .put(table, key, padding == 1 ? "" : "v\(round)" + String(repeating: "x", count: padding))
            }
            let dice = Int.random(in: 0..<20, using: &random)
            // One by one without waiting, so that merging goes on between them; a copy is made amid it.
            await commit(changes, from: ticket, to: store, copying: dice == 1)
            for (index, change) in changes.enumerated() {
                switch change {
                case .put(let table, let key, let value): oracle[table]?[key] = (value, ticket + UInt64(index))
                case .remove(let table, let key): oracle[table]?[key] = nil
                }
            }
            ticket += UInt64(changes.count)
            switch dice {
            case 0:
                try await store.close()
                store = try folder.open(mergeSettings: settings)
            case 1:
                // As after a death, in the middle of a merge perhaps.
                let copy = try folder.open(folder.copy, mergeSettings: settings)
                try check(copy, oracle)
                try await copy.close()
            case 2:
                #expect(await store.reset() == nil)
                oracle = [1: [:], 2: [:]]
            case 3:
                #expect(await store.reset(keeping: [2]) == nil)
                oracle[1] = [:]
            default:
                try check(store, oracle)
            }
        }
        try check(store, oracle)
        try await store.close()
    }

    private func commit(_ changes: [Changes.Change], from ticket: UInt64, to store: Store, copying: Bool) async {
        let folder = folder
        let last = ticket + UInt64(changes.count) - 1
        await withCheckedContinuation { continuation in
            for (index, change) in changes.enumerated() {
                let made = Changes.make([change], from: ticket + UInt64(index))
                store.commit(made.changes, octets: made.octets, failuresKnown: 0) { upTo, succeeded in
                    #expect(succeeded)
                    guard upTo == last else { return }
                    if copying { #expect(throws: Never.self) { try folder.copyFiles() } }
                    continuation.resume()
                }
            }
        }
    }

    private func check(_ store: Store, _ oracle: [UInt8: [String: (value: String, change: UInt64)]]) throws {
        for (table, entries) in oracle {
            #expect(try store.texts(table) == entries.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value.value)" })
            let byChange = entries.sorted { $0.value.change < $1.value.change }
            #expect(try store.texts(table, in: .lastChange) == byChange.map { "\($0.key)=\($0.value.value)" })
        }
    }

    @Test func theJournalIsEmptiedInTheEnd() async throws {
        let store = try folder.open(mergeSettings: MergeSettings(sealedAt: 1, fileShare: .max, idleSlice: 3, busySlice: 1))
        await store.commit((0..<100).map { .put(1, "k\($0 % 10)", "\($0)") }, from: 1)
        // The block waits its turn behind the merging.
        let counts = try store.inDatabase { db in
            try ["run WHERE first_sequence > 0", "entry"].map { try Int.fetchOne(db, sql: "SELECT count(*) FROM \($0)") }
        }
        #expect(counts == [0, 10])
        try await store.close()
    }

    /// Small commits share a slot; a run that was merged is written anew in the slots that it has.
    @Test func slotsAreUsedAgain() async throws {
        let store = try folder.open(mergeSettings: MergeSettings(sealedAt: 20 * ChangeBlock.usualSize, fileShare: .max, busySlice: 1))
        let value = String(repeating: "x", count: 1000)
        var ticket: UInt64 = 1
        for _ in 0..<1000 {
            _ = await store.commit([.put(1, "k\(ticket % 10)", value)], from: ticket)
            ticket += 1
        }
        let slots = try store.inDatabase { db in
            try (0...1).map { try Int.fetchOne(db, sql: "SELECT count(*) FROM journal_\($0)") ?? 0 }
        }
        // Three changes to a slot; while one run is merged the other may become somewhat longer.
        #expect(slots.allSatisfy { (20...40).contains($0) })
        #expect(try store.load(1).count == 10)
        try await store.close()
    }

    /// A slot that is cut short, or says another length than it has, is a damaged file, never a crash.
    @Test func aSlotThatIsNotWholeIsDamage() async throws {
        let store = try folder.open()
        await store.commit([.put(1, "a", "1"), .put(2, "b", "2"), .remove(1, "c")], from: 1)
        let slots = try store.inDatabase { try Data.fetchAll($0, sql: "SELECT changes FROM journal_0") }
        let slot = try #require(slots.count == 1 ? slots.first : nil)
        #expect(slot.count == ChangeBlock.usualSize)
        let used = ChangeBlock.headSize + 32
        func put(_ octets: Data) throws {
            try store.inDatabase { try $0.execute(sql: "UPDATE journal_0 SET changes = ?", arguments: [octets]) }
        }
        for count in 0..<used {
            try put(slot.prefix(count))
            #expect(throws: StoreFailure.self) { try store.texts(1) }
        }
        for (place, wrong) in [(8, 2), (8, 4), (12, used - 1), (12, used + 1), (13, 0xFF)] {
            var damaged = slot
            damaged[damaged.startIndex + place] = UInt8(wrong)
            try put(damaged)
            #expect(throws: StoreFailure.self) { try store.texts(1) }
        }
        // Zeros behind what is used are not looked at.
        try put(slot.prefix(used))
        #expect(try store.texts(1) == ["a=1"])
        try put(slot)
        #expect(try store.texts(2) == ["b=2"])
        try await store.close()
    }

    @Test func aMergeThatFailsIsTriedAgain() async throws {
        let store = try folder.open(mergeSettings: MergeSettings(sealedAt: 1, fileShare: .max))
        try store.inDatabase { try $0.execute(sql: "CREATE TRIGGER broken BEFORE INSERT ON entry BEGIN SELECT RAISE(FAIL, 'broken'); END") }
        #expect(await store.commit(.put(1, "a", "1")).1)
        #expect(try store.texts(1) == ["a=1"])
        try store.inDatabase { try $0.execute(sql: "DROP TRIGGER broken") }
        for ticket in 2...100 as ClosedRange<UInt64> { #expect(await store.commit(.put(1, "b", "\(ticket)"), from: ticket).1) }
        #expect(try store.texts(1) == ["a=1", "b=100"])
        let merged = try store.inDatabase { try Int.fetchOne($0, sql: "SELECT count(*) FROM entry") }
        #expect(merged == 2)
        try await store.close()
    }
}
