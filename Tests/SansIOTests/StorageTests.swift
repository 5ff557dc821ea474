import SansIO
import Testing

struct SlabTests {
    @Test func anOldNumberDoesNotFindANewValue() {
        var slab = Slab<Int>()
        let first = slab.insert(1)
        slab.remove(first.index)
        let second = slab.insert(2)
        #expect(first.index == second.index)
        #expect(slab.contains(first) == false)
        #expect(slab.contains(second) == true)
        #expect(slab.id(of: second.index) == second)
        #expect(slab.contains(.none) == false)
        #expect(SlotID(rawValue: second.rawValue) == second)
    }

    @Test func keepsEveryValueOverManyInsertionsAndRemovals() {
        var random = RandomSource(seed: 3)
        var slab = Slab<UInt64>()
        var model: [SlotID: UInt64] = [:]
        var gone: [SlotID] = []
        for step in 0..<20_000 {
            if Int.random(in: 0..<5, using: &random) < 3 {
                let value = random.next()
                model[slab.insert(value)] = value
            } else if let id = model.keys.first {
                slab.remove(id.index)
                model[id] = nil
                gone.append(id)
            }
            #expect(slab.count == model.count)
            if step % 4000 == 0 {
                for (id, value) in model {
                    let isKept = slab.contains(id) && slab.isInUse(id.index)
                    #expect(isKept && slab[id.index] == value)
                }
                for id in gone { #expect(slab.contains(id) == false) }
            }
        }
        #expect((0..<slab.endIndex).filter { slab.isInUse($0) }.count == model.count)
    }
}

struct PacketPoolTests {
    @Test(arguments: [1, 63, 64, 65, 96, 97, 640, 641, 65_535, 65_536, 65_537, 262_143, 262_144])
    func givesBackWhatWasStored(_ count: Int) {
        var pool = PacketPool()
        let octets = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let id = pool.store(octets.span.bytes)
        #expect([UInt8](pool.bytes(id)) == octets)
        #expect(id.count == UInt32(count))
        #expect(pool.bytesInUse >= count)
        pool.release(id)
        #expect(pool.bytesInUse == 0)
    }

    /// Every count finds a block that is large enough, and of the smallest size that is.
    @Test func littleOfABlockIsLost() {
        var pool = PacketPool()
        for count in Array(1...4200) + [8192, 8193, 16_384, 16_385, 32_768, 32_769, 131_072, 131_073] {
            let octets = [UInt8](repeating: 1, count: count)
            let id = pool.store(octets.span.bytes)
            #expect(pool.bytesInUse >= count)
            let most = count <= 256 ? count + 31 : count <= 1024 ? count + 63 : count <= 2048 ? count + 255 : count * 2
            #expect(pool.bytesInUse <= most)
            pool.release(id)
        }
        #expect(pool.bytesAllocated > 0)
    }

    @Test func anEmptyRunNeedsNoBlock() {
        var pool = PacketPool()
        let empty: [UInt8] = []
        let id = pool.store(empty.span.bytes)
        #expect(id.isNone)
        #expect(pool.bytes(id).byteCount == 0)
        pool.release(id)
        #expect(pool.bytesInUse == 0)
    }

    @Test func runsDoNotOverlap() {
        var random = RandomSource(seed: 9)
        var pool = PacketPool()
        var kept: [(PacketID, [UInt8])] = []
        for step in 0..<3000 {
            if kept.isEmpty || Int.random(in: 0..<5, using: &random) < 3 {
                let count = 1 << Int.random(in: 0..<15, using: &random)
                let octets = [UInt8](repeating: UInt8(truncatingIfNeeded: random.next()), count: Int.random(in: 1...count, using: &random))
                kept.append((pool.store(octets.span.bytes), octets))
            } else {
                let (id, octets) = kept.remove(at: Int.random(in: 0..<kept.count, using: &random))
                #expect([UInt8](pool.bytes(id)) == octets)
                pool.release(id)
            }
            if step % 1000 == 0 { for (id, octets) in kept { #expect([UInt8](pool.bytes(id)) == octets) } }
        }
        for (id, octets) in kept {
            #expect([UInt8](pool.bytes(id)) == octets)
            pool.release(id)
        }
        #expect(pool.bytesInUse == 0)
    }
}

struct OctetBufferTests {
    @Test(arguments: [0, 1, 9, 10, 99, 100, 4_294_967_296, 9_999_999_999_999_999_999, 10_000_000_000_000_000_000, .max] as [UInt64])
    func decimal(_ value: UInt64) {
        var buffer = OctetBuffer()
        buffer.appendDecimal(value)
        #expect(String(octets: buffer.bytes) == String(value))
        buffer.removeAll()
        buffer.appendDecimal(value, digits: 25)
        let digits = String(value)
        #expect(String(octets: buffer.bytes) == String(repeating: "0", count: 25 - digits.count) + digits)
    }

    @Test func hexadecimal() {
        var buffer = OctetBuffer()
        buffer.appendHex(0x0123_4567_89AB_CDEF)
        buffer.appendHex(0xABCD, digits: 3)
        buffer.appendHex(0xF, digits: 18)
        #expect(String(octets: buffer.bytes) == "0123456789abcdefbcd00000000000000000f")
    }

    @Test func growsAndKeepsWhatWasWritten() {
        var buffer = OctetBuffer(capacity: 0)
        var expected: [UInt8] = []
        for i in 0..<5000 {
            let octet = UInt8(truncatingIfNeeded: i)
            buffer.append(byte: octet)
            expected.append(octet)
        }
        buffer.append("tail")
        buffer.append(expected)
        expected += Array("tail".utf8) + expected
        #expect([UInt8](buffer.bytes) == expected)
        #expect(buffer.count == expected.count)
    }

    @Test func overwritesCopiesAndTakesBack() {
        var buffer = OctetBuffer(capacity: 64)
        buffer.append("hello world")
        buffer.overwrite(at: 6, with: Array("there".utf8).span.bytes)
        for _ in 0..<4 { buffer.appendCopy(from: 0, count: buffer.count) }
        #expect(String(octets: buffer.bytes) == String(repeating: "hello there", count: 16))
        buffer.truncate(to: 5)
        #expect(String(octets: buffer.bytes) == "hello")
        #expect(String(octets: buffer.bytes(from: 1, count: 3)) == "ell")
        buffer.removeAll()
        #expect(buffer.count == 0)
    }
}

struct OctetComparisonTests {
    @Test func lettersAloneHaveCase() {
        for octet in UInt8.min...UInt8.max {
            let isCapital = (0x41...0x5A).contains(octet)
            #expect(octet.asciiLowercased == (isCapital ? octet + 32 : octet))
            #expect(octet.isASCIIDigit == (0x30...0x39).contains(octet))
            let digit = octet < 128 ? Character(UnicodeScalar(octet)).hexDigitValue : nil
            #expect(octet.hexDigitValue.map(Int.init) == digit)
        }
    }

    @Test func comparesAllOctets() {
        let text = Array("Via-Tag".utf8)
        let octets = text.span.bytes
        let same = octets.equals("Via-Tag")
        let others = [octets.equals("Via-Ta"), octets.equals("via-tag"), octets.equals("")]
        #expect(same && others == [false, false, false])
        let ignoring = [octets.equalsIgnoringCase("via-tag"), octets.equalsIgnoringCase("via-tax"), octets.equalsIgnoringCase("via")]
        #expect(ignoring == [true, false, false])
        let offsets = [octets.firstOffset(of: 0x2D), octets.firstOffset(of: 0x2D, from: 4)]
        #expect(offsets == [3, nil])
        #expect(String(octets: octets.part(4, 3)) == "Tag")
    }
}
