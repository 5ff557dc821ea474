import SansIO
import Testing

struct KeyTableTests {
    @Test func aKeyIsFoundByAllItsBits() {
        var table = KeyTable()
        table.set(KeyHash(low: 1, high: 1), to: 10)
        table.set(KeyHash(low: 1, high: 2), to: 20)
        table.set(KeyHash(low: 0, high: 0), to: 0)
        #expect(table[KeyHash(low: 1, high: 1)] == 10)
        #expect(table[KeyHash(low: 1, high: 2)] == 20)
        #expect(table[KeyHash(low: 0, high: 0)] == 0)
        #expect(table[KeyHash(low: 1, high: 3)] == nil)
        #expect(table.count == 3)
        table.removeAll()
        #expect(table.count == 0)
        #expect(table[KeyHash(low: 1, high: 1)] == nil)
    }

    /// Against a dictionary. With few different low halves the runs of entries are long, and wrap round the end.
    @Test(arguments: [(1, 0xFFFF_FFFF_FFFF_FFFF), (2, 0x7F), (3, 0x3), (4, 0xFFF), (5, 0x7E)] as [(UInt64, UInt64)])
    func agreesWithADictionary(_ seed: UInt64, _ mask: UInt64) {
        var random = RandomSource(seed: seed)
        var table = KeyTable()
        var model: [KeyHash: UInt32] = [:]
        var keys: [KeyHash] = []
        for step in 0..<20_000 {
            let isGrowing = step / 2000 % 2 == 0
            if keys.isEmpty || Int.random(in: 0..<10, using: &random) < (isGrowing ? 7 : 3) {
                let key = KeyHash(low: (random.next() & mask) &+ (mask == 0x7E ? 50 : 0), high: random.next() & 0xFF)
                let slot = UInt32(truncatingIfNeeded: random.next()) & 0x7FFF_FFFF
                table.set(key, to: slot)
                if model.updateValue(slot, forKey: key) == nil { keys.append(key) }
            } else {
                let i = Int.random(in: 0..<keys.count, using: &random)
                table.remove(keys[i])
                model[keys[i]] = nil
                keys.swapAt(i, keys.count - 1)
                keys.removeLast()
            }
            #expect(table.count == model.count)
            if let key = keys.randomElement(using: &random) { #expect(table[key] == model[key]) }
            if step % 1000 == 0 { for key in keys { #expect(table[key] == model[key]) } }
        }
        table.remove(KeyHash(low: 12, high: 0xFFFF))
        #expect(table.count == model.count)
    }

    /// While entries move, a key is in one of two tables.
    @Test func everyKeyIsFoundAtEveryStepOfTheGrowth() {
        var random = RandomSource(seed: 7)
        var table = KeyTable()
        var keys: [KeyHash] = []
        for step in 0..<2500 {
            let key = KeyHash(low: random.next(), high: random.next())
            table.set(key, to: UInt32(step))
            keys.append(key)
            let isEveryKeyFound = keys.indices.allSatisfy { table[keys[$0]] == UInt32($0) }
            #expect(isEveryKeyFound)
        }
        for step in keys.indices {
            table.remove(keys[step])
            let isGone = table[keys[step]] == nil
            #expect(isGone)
        }
        #expect(table.count == 0)
    }

    @Test func takesLittleMemory() {
        var random = RandomSource(seed: 8)
        var table = KeyTable()
        var most = 0.0
        for number in 1...200_000 {
            table.set(KeyHash(low: random.next(), high: random.next()), to: UInt32(number))
            if number > 10_000 { most = max(most, Double(table.bytesAllocated) / Double(number)) }
        }
        // 32 octets a key when the table is half full, 64 after it has grown, and the old table beside it meanwhile.
        #expect(most < 100)
    }
}
