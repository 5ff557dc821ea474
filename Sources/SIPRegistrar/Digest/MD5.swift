// MD5 (RFC 1321), for digest authentication alone, where nothing else can be had from most clients (RFC 3261 §22.4).
//
// Written here because a REGISTER with credentials takes five hashes of some hundred octets, and a library's objects and
// calls round each cost more than the hash. Tested against that library.

import SansIO

/// The hash of a run of octets, computed in one go.
struct MD5 {
    private var a: UInt32 = 0x6745_2301
    private var b: UInt32 = 0xEFCD_AB89
    private var c: UInt32 = 0x98BA_DCFE
    private var d: UInt32 = 0x1032_5476

    /// The 16 octets of the hash, the first highest.
    static func hash(_ bytes: RawSpan) -> (high: UInt64, low: UInt64) {
        var state = MD5()
        var offset = 0
        while bytes.byteCount - offset >= 64 {
            var block = InlineArray<16, UInt32>(repeating: 0)
            for i in 0..<16 { block[i] = UInt32(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: offset + 4 * i, as: UInt32.self)) }
            state.add(block)
            offset += 64
        }
        state.addEnd(bytes, from: offset)
        return (
            UInt64(state.a.byteSwapped) << 32 | UInt64(state.b.byteSwapped), UInt64(state.c.byteSwapped) << 32 | UInt64(state.d.byteSwapped)
        )
    }

    /// What is left, one bit, zeros, and the length in bits (§3.1, §3.2).
    private mutating func addEnd(_ bytes: RawSpan, from start: Int) {
        var block = InlineArray<16, UInt32>(repeating: 0)
        let count = bytes.byteCount - start
        let words = count / 4
        for i in 0..<words { block[i] = UInt32(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: start + 4 * i, as: UInt32.self)) }
        var rest: UInt32 = 0x80
        for i in stride(from: count - 1, through: 4 * words, by: -1) { rest = rest << 8 | UInt32(bytes[start + i]) }
        block[words] = rest
        if words >= 14 {
            add(block)
            block = InlineArray(repeating: 0)
        }
        let bits = UInt64(bytes.byteCount) * 8
        block[14] = UInt32(truncatingIfNeeded: bits)
        block[15] = UInt32(truncatingIfNeeded: bits >> 32)
        add(block)
    }

    /// The four rounds of §3.4, four steps at a time: so the shifts are constants and nothing moves between the variables.
    private mutating func add(_ block: InlineArray<16, UInt32>) {
        var (a, b, c, d) = (a, b, c, d)
        for i in stride(from: 0, to: 16, by: 4) {
            a = MD5.step(a, b, b & c | ~b & d, block[i], i, 7)
            d = MD5.step(d, a, a & b | ~a & c, block[i + 1], i + 1, 12)
            c = MD5.step(c, d, d & a | ~d & b, block[i + 2], i + 2, 17)
            b = MD5.step(b, c, c & d | ~c & a, block[i + 3], i + 3, 22)
        }
        for i in stride(from: 16, to: 32, by: 4) {
            a = MD5.step(a, b, d & b | ~d & c, block[(5 &* i &+ 1) & 15], i, 5)
            d = MD5.step(d, a, c & a | ~c & b, block[(5 &* i &+ 6) & 15], i + 1, 9)
            c = MD5.step(c, d, b & d | ~b & a, block[(5 &* i &+ 11) & 15], i + 2, 14)
            b = MD5.step(b, c, a & c | ~a & d, block[(5 &* i) & 15], i + 3, 20)
        }
        for i in stride(from: 32, to: 48, by: 4) {
            a = MD5.step(a, b, b ^ c ^ d, block[(3 &* i &+ 5) & 15], i, 4)
            d = MD5.step(d, a, a ^ b ^ c, block[(3 &* i &+ 8) & 15], i + 1, 11)
            c = MD5.step(c, d, d ^ a ^ b, block[(3 &* i &+ 11) & 15], i + 2, 16)
            b = MD5.step(b, c, c ^ d ^ a, block[(3 &* i &+ 14) & 15], i + 3, 23)
        }
        for i in stride(from: 48, to: 64, by: 4) {
            a = MD5.step(a, b, c ^ (b | ~d), block[(7 &* i) & 15], i, 6)
            d = MD5.step(d, a, b ^ (a | ~c), block[(7 &* i &+ 7) & 15], i + 1, 10)
            c = MD5.step(c, d, a ^ (d | ~b), block[(7 &* i &+ 14) & 15], i + 2, 15)
            b = MD5.step(b, c, d ^ (c | ~a), block[(7 &* i &+ 21) & 15], i + 3, 21)
        }
        self.a &+= a
        self.b &+= b
        self.c &+= c
        self.d &+= d
    }

    @inline(__always)
    private static func step(_ a: UInt32, _ b: UInt32, _ mixed: UInt32, _ word: UInt32, _ i: Int, _ shift: UInt32) -> UInt32 {
        let sum = a &+ mixed &+ word &+ sines[i]
        return b &+ (sum &<< shift | sum &>> (32 &- shift))
    }
}

/// The integer parts of 2^32 times the sines of 1 to 64 (§3.4).
private let sines: InlineArray<64, UInt32> = [
    0xD76A_A478, 0xE8C7_B756, 0x2420_70DB, 0xC1BD_CEEE, 0xF57C_0FAF, 0x4787_C62A, 0xA830_4613, 0xFD46_9501,
    0x6980_98D8, 0x8B44_F7AF, 0xFFFF_5BB1, 0x895C_D7BE, 0x6B90_1122, 0xFD98_7193, 0xA679_438E, 0x49B4_0821,
    0xF61E_2562, 0xC040_B340, 0x265E_5A51, 0xE9B6_C7AA, 0xD62F_105D, 0x0244_1453, 0xD8A1_E681, 0xE7D3_FBC8,
    0x21E1_CDE6, 0xC337_07D6, 0xF4D5_0D87, 0x455A_14ED, 0xA9E3_E905, 0xFCEF_A3F8, 0x676F_02D9, 0x8D2A_4C8A,
    0xFFFA_3942, 0x8771_F681, 0x6D9D_6122, 0xFDE5_380C, 0xA4BE_EA44, 0x4BDE_CFA9, 0xF6BB_4B60, 0xBEBF_BC70,
    0x289B_7EC6, 0xEAA1_27FA, 0xD4EF_3085, 0x0488_1D05, 0xD9D4_D039, 0xE6DB_99E5, 0x1FA2_7CF8, 0xC4AC_5665,
    0xF429_2244, 0x432A_FF97, 0xAB94_23A7, 0xFC93_A039, 0x655B_59C3, 0x8F0C_CC92, 0xFFEF_F47D, 0x8584_5DD1,
    0x6FA8_7E4F, 0xFE2C_E6E0, 0xA301_4314, 0x4E08_11A1, 0xF753_7E82, 0xBD3A_F235, 0x2AD7_D2BB, 0xEB86_D391,
]
