import SansIO
import Testing

@Suite struct HandOverTests {
    @Test func shardsShareARangeEvenly() {
        for count in [2, 3, 4, 64] {
            let place = ShardPlace(number: 0, count: count)
            var held = [Int](repeating: 0, count: count)
            for key in 0..<UInt32(count * 1000) { held[Int(place.shard(of: key))] += 1 }
            #expect(held.allSatisfy { (800...1200).contains($0) }, "\(held)")
        }
        #expect(ShardPlace.only.shard(of: 12345) == 0)
    }

    @Test func aSlotKeepsItsShard() {
        let slot = SlotID(index: 0x1FF_FFFE, generation: 7)
        for shard in [0, 1, 63] as [UInt8] {
            #expect(slot.marked(with: shard).shardMark == shard)
            #expect(slot.marked(with: shard).unmarked == slot)
            #expect(slot.foreign(of: shard).foreignShard == shard)
            #expect(slot.foreign(of: shard).unmarked == slot)
        }
        // What a core alone writes is what it always wrote.
        #expect(slot.marked(with: 0) == slot)
        #expect(slot.foreignShard == nil && SlotID.none.foreignShard == nil)
    }
}
