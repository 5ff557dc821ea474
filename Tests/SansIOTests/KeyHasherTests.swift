import SansIO
import Testing

struct KeyHasherTests {
    private let secret = HashSecret(0x0706_0504_0302_0100, 0x0F0E_0D0C_0B0A_0908)

    @Test func dependsOnTheSecretAlone() {
        #expect(hash("abc") == hash("abc"))
        var other = KeyHasher(HashSecret(1, 2))
        other.combine(Array("abc".utf8).span.bytes)
        #expect(other.finish() != hash("abc"))
    }

    @Test func partsDoNotRunIntoOneAnother() {
        #expect(hash("ab", "c") != hash("a", "bc"))
        #expect(hash("", "abc") != hash("abc", ""))
        #expect(hash("abc") != hash("abc", ""))
        #expect(hash("a") != hash("a\0"))
        #expect(hash("12345678") != hash("12345678\0"))
        // The lengths differ by 256, and what stood for the end of the first part stands within the second.
        let head = String(repeating: "x", count: 55)
        let long = String(repeating: "y", count: 248)
        #expect(hash(head, "7" + long) != hash(head + "7" + long, ""))
        #expect(hash(String(repeating: "\0", count: 256)) != hash(""))
    }

    @Test func everyOctetCounts() {
        for count in [1, 7, 8, 9, 15, 16, 17, 255, 256, 300] {
            let base = [UInt8](repeating: 0x61, count: count)
            var seen: Set<KeyHash> = [hash(base)]
            for i in 0..<count {
                var changed = base
                changed[i] = 0x62
                seen.insert(hash(changed))
            }
            #expect(seen.count == count + 1)
        }
    }

    @Test func onlyASCIILettersLoseTheirCase() {
        for octet in UInt8.min...UInt8.max {
            for position in [0, 5, 9] {
                var text = [UInt8](repeating: 0x40, count: 12)
                text[position] = octet
                var lowered = text
                lowered[position] = octet.asciiLowercased
                var ignoring = KeyHasher(secret)
                ignoring.combineIgnoringCase(text.span.bytes)
                #expect(ignoring.finish() == hash(lowered), "octet \(octet) at \(position)")
            }
        }
    }

    @Test func spreadsOverAllBits() {
        var ones = [Int](repeating: 0, count: 128)
        for i in 0..<4096 {
            let key = hash("key\(i)")
            for bit in 0..<64 {
                ones[bit] += Int(key.low >> UInt64(bit) & 1)
                ones[64 + bit] += Int(key.high >> UInt64(bit) & 1)
            }
        }
        // Six standard deviations of 32 about the mean.
        for count in ones { #expect((1856...2240).contains(count)) }
    }

    private func hash(_ parts: String...) -> KeyHash {
        var hasher = KeyHasher(secret)
        for part in parts { hasher.combine(Array(part.utf8).span.bytes) }
        return hasher.finish()
    }

    private func hash(_ octets: [UInt8]) -> KeyHash {
        var hasher = KeyHasher(secret)
        hasher.combine(octets.span.bytes)
        return hasher.finish()
    }
}

struct RandomSourceTests {
    @Test func aSeedReplaysARun() {
        var a = RandomSource(seed: 5)
        var b = RandomSource(seed: 5)
        var c = RandomSource(seed: 6)
        let drawn = (0..<100).map { _ in a.next() }
        #expect(drawn == (0..<100).map { _ in b.next() })
        #expect(drawn != (0..<100).map { _ in c.next() })
        #expect(Set(drawn).count == 100)
    }
}
