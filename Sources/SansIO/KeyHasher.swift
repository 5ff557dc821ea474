// Keys of tables that the network fills: a keyed 128-bit hash, so that nobody outside can make two keys meet.

/// A 128-bit hash that stands for a key. Two different keys meet with a chance of 2^-128, so a table compares hashes only.
public struct KeyHash: BitwiseCopyable, Hashable, Sendable {
    public var low: UInt64
    public var high: UInt64
    @inlinable public init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }
}

/// The secret of a node's hashes: drawn once at start.
public struct HashSecret: BitwiseCopyable, Sendable {
    let k0: UInt64
    let k1: UInt64
    public init(_ k0: UInt64, _ k1: UInt64) {
        self.k0 = k0
        self.k1 = k1
    }
    public init(from random: inout RandomSource) {
        self.init(random.next(), random.next())
    }
}

/// SipHash-1-3 with 128 bits of output (Aumasson and Bernstein), fed part by part. Each part is closed by its length, in
/// one octet or, from 256 octets on, in a word of its own, so parts cannot run into one another.
public struct KeyHasher {
    private var v0: UInt64
    private var v1: UInt64
    private var v2: UInt64
    private var v3: UInt64
    private var total: UInt64 = 0

    public init(_ secret: HashSecret) {
        v0 = secret.k0 ^ 0x736F_6D65_7073_6575
        v1 = secret.k1 ^ 0x646F_7261_6E64_6F6D ^ 0xEE
        v2 = secret.k0 ^ 0x6C79_6765_6E65_7261
        v3 = secret.k1 ^ 0x7465_6462_7974_6573
    }

    public mutating func combine(_ bytes: RawSpan) {
        let count = bytes.byteCount
        var i = 0
        while count - i >= 8 {
            absorb(bytes.word(at: i))
            i += 8
        }
        absorb(tail(bytes, from: i) | UInt64(truncatingIfNeeded: count) << 56)
        if count > 255 { absorb(UInt64(count)) }
    }

    /// As `combine`, with ASCII capitals taken as small letters: for host names and other text without case.
    public mutating func combineIgnoringCase(_ bytes: RawSpan) {
        let count = bytes.byteCount
        var i = 0
        while count - i >= 8 {
            absorb(bytes.word(at: i).asciiLowercased)
            i += 8
        }
        absorb(tail(bytes, from: i).asciiLowercased | UInt64(truncatingIfNeeded: count) << 56)
        if count > 255 { absorb(UInt64(count)) }
    }

    public mutating func combine(_ value: UInt64) { absorb(value) }

    public consuming func finish() -> KeyHash {
        absorb(total)
        v2 ^= 0xEE
        round()
        round()
        round()
        let low = v0 ^ v1 ^ v2 ^ v3
        v1 ^= 0xDD
        round()
        round()
        round()
        return KeyHash(low: low, high: v0 ^ v1 ^ v2 ^ v3)
    }

    /// The octets after the last whole word: of a longer part, the upper octets of its last eight.
    @inline(__always)
    private func tail(_ bytes: RawSpan, from start: Int) -> UInt64 {
        let count = bytes.byteCount
        if count == start { return 0 }
        if count >= 8 { return bytes.word(at: count &- 8) >> UInt64(truncatingIfNeeded: 64 &- 8 &* (count &- start)) }
        return bytes.shortWord(from: start, to: count)
    }

    @inline(__always)
    private mutating func absorb(_ word: UInt64) {
        v3 ^= word
        round()
        v0 ^= word
        total &+= 1
    }

    @inline(__always)
    private mutating func round() {
        v0 &+= v1
        v1 = rotate(v1, by: 13) ^ v0
        v0 = rotate(v0, by: 32)
        v2 &+= v3
        v3 = rotate(v3, by: 16) ^ v2
        v0 &+= v3
        v3 = rotate(v3, by: 21) ^ v0
        v2 &+= v1
        v1 = rotate(v1, by: 17) ^ v2
        v2 = rotate(v2, by: 32)
    }
}
