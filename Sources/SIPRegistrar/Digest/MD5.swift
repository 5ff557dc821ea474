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

    /// The four rounds of §3.4, each step with its word, its shift and its constant (the integer part of 2^32 times a sine)
    /// as the RFC writes them: so all of them are constants of the code, which takes 855 instructions a block in place of 1400.
    private mutating func add(_ x: InlineArray<16, UInt32>) {
        var (a, b, c, d) = (a, b, c, d)
        // Round 1.
        a = MD5.f(a, b, c, d, x[0], 7, 0xD76A_A478)
        d = MD5.f(d, a, b, c, x[1], 12, 0xE8C7_B756)
        c = MD5.f(c, d, a, b, x[2], 17, 0x2420_70DB)
        b = MD5.f(b, c, d, a, x[3], 22, 0xC1BD_CEEE)
        a = MD5.f(a, b, c, d, x[4], 7, 0xF57C_0FAF)
        d = MD5.f(d, a, b, c, x[5], 12, 0x4787_C62A)
        c = MD5.f(c, d, a, b, x[6], 17, 0xA830_4613)
        b = MD5.f(b, c, d, a, x[7], 22, 0xFD46_9501)
        a = MD5.f(a, b, c, d, x[8], 7, 0x6980_98D8)
        d = MD5.f(d, a, b, c, x[9], 12, 0x8B44_F7AF)
        c = MD5.f(c, d, a, b, x[10], 17, 0xFFFF_5BB1)
        b = MD5.f(b, c, d, a, x[11], 22, 0x895C_D7BE)
        a = MD5.f(a, b, c, d, x[12], 7, 0x6B90_1122)
        d = MD5.f(d, a, b, c, x[13], 12, 0xFD98_7193)
        c = MD5.f(c, d, a, b, x[14], 17, 0xA679_438E)
        b = MD5.f(b, c, d, a, x[15], 22, 0x49B4_0821)
        // Round 2.
        a = MD5.g(a, b, c, d, x[1], 5, 0xF61E_2562)
        d = MD5.g(d, a, b, c, x[6], 9, 0xC040_B340)
        c = MD5.g(c, d, a, b, x[11], 14, 0x265E_5A51)
        b = MD5.g(b, c, d, a, x[0], 20, 0xE9B6_C7AA)
        a = MD5.g(a, b, c, d, x[5], 5, 0xD62F_105D)
        d = MD5.g(d, a, b, c, x[10], 9, 0x0244_1453)
        c = MD5.g(c, d, a, b, x[15], 14, 0xD8A1_E681)
        b = MD5.g(b, c, d, a, x[4], 20, 0xE7D3_FBC8)
        a = MD5.g(a, b, c, d, x[9], 5, 0x21E1_CDE6)
        d = MD5.g(d, a, b, c, x[14], 9, 0xC337_07D6)
        c = MD5.g(c, d, a, b, x[3], 14, 0xF4D5_0D87)
        b = MD5.g(b, c, d, a, x[8], 20, 0x455A_14ED)
        a = MD5.g(a, b, c, d, x[13], 5, 0xA9E3_E905)
        d = MD5.g(d, a, b, c, x[2], 9, 0xFCEF_A3F8)
        c = MD5.g(c, d, a, b, x[7], 14, 0x676F_02D9)
        b = MD5.g(b, c, d, a, x[12], 20, 0x8D2A_4C8A)
        // Round 3.
        a = MD5.h(a, b, c, d, x[5], 4, 0xFFFA_3942)
        d = MD5.h(d, a, b, c, x[8], 11, 0x8771_F681)
        c = MD5.h(c, d, a, b, x[11], 16, 0x6D9D_6122)
        b = MD5.h(b, c, d, a, x[14], 23, 0xFDE5_380C)
        a = MD5.h(a, b, c, d, x[1], 4, 0xA4BE_EA44)
        d = MD5.h(d, a, b, c, x[4], 11, 0x4BDE_CFA9)
        c = MD5.h(c, d, a, b, x[7], 16, 0xF6BB_4B60)
        b = MD5.h(b, c, d, a, x[10], 23, 0xBEBF_BC70)
        a = MD5.h(a, b, c, d, x[13], 4, 0x289B_7EC6)
        d = MD5.h(d, a, b, c, x[0], 11, 0xEAA1_27FA)
        c = MD5.h(c, d, a, b, x[3], 16, 0xD4EF_3085)
        b = MD5.h(b, c, d, a, x[6], 23, 0x0488_1D05)
        a = MD5.h(a, b, c, d, x[9], 4, 0xD9D4_D039)
        d = MD5.h(d, a, b, c, x[12], 11, 0xE6DB_99E5)
        c = MD5.h(c, d, a, b, x[15], 16, 0x1FA2_7CF8)
        b = MD5.h(b, c, d, a, x[2], 23, 0xC4AC_5665)
        // Round 4.
        a = MD5.i(a, b, c, d, x[0], 6, 0xF429_2244)
        d = MD5.i(d, a, b, c, x[7], 10, 0x432A_FF97)
        c = MD5.i(c, d, a, b, x[14], 15, 0xAB94_23A7)
        b = MD5.i(b, c, d, a, x[5], 21, 0xFC93_A039)
        a = MD5.i(a, b, c, d, x[12], 6, 0x655B_59C3)
        d = MD5.i(d, a, b, c, x[3], 10, 0x8F0C_CC92)
        c = MD5.i(c, d, a, b, x[10], 15, 0xFFEF_F47D)
        b = MD5.i(b, c, d, a, x[1], 21, 0x8584_5DD1)
        a = MD5.i(a, b, c, d, x[8], 6, 0x6FA8_7E4F)
        d = MD5.i(d, a, b, c, x[15], 10, 0xFE2C_E6E0)
        c = MD5.i(c, d, a, b, x[6], 15, 0xA301_4314)
        b = MD5.i(b, c, d, a, x[13], 21, 0x4E08_11A1)
        a = MD5.i(a, b, c, d, x[4], 6, 0xF753_7E82)
        d = MD5.i(d, a, b, c, x[11], 10, 0xBD3A_F235)
        c = MD5.i(c, d, a, b, x[2], 15, 0x2AD7_D2BB)
        b = MD5.i(b, c, d, a, x[9], 21, 0xEB86_D391)
        self.a &+= a
        self.b &+= b
        self.c &+= c
        self.d &+= d
    }

    /// Takes from `c` where `b` has a one, else from `d`.
    @inline(__always)
    private static func f(_ a: UInt32, _ b: UInt32, _ c: UInt32, _ d: UInt32, _ word: UInt32, _ shift: UInt32, _ sine: UInt32) -> UInt32 {
        step(a &+ word &+ sine &+ (d ^ (b & (c ^ d))), b, shift)
    }

    /// Takes from `b` where `d` has a one, else from `c`.
    @inline(__always)
    private static func g(_ a: UInt32, _ b: UInt32, _ c: UInt32, _ d: UInt32, _ word: UInt32, _ shift: UInt32, _ sine: UInt32) -> UInt32 {
        step(a &+ word &+ sine &+ (c & ~d) &+ (b & d), b, shift)
    }

    @inline(__always)
    private static func h(_ a: UInt32, _ b: UInt32, _ c: UInt32, _ d: UInt32, _ word: UInt32, _ shift: UInt32, _ sine: UInt32) -> UInt32 {
        step(a &+ word &+ sine &+ (b ^ c ^ d), b, shift)
    }

    @inline(__always)
    private static func i(_ a: UInt32, _ b: UInt32, _ c: UInt32, _ d: UInt32, _ word: UInt32, _ shift: UInt32, _ sine: UInt32) -> UInt32 {
        step(a &+ word &+ sine &+ (c ^ (b | ~d)), b, shift)
    }

    @inline(__always)
    private static func step(_ sum: UInt32, _ b: UInt32, _ shift: UInt32) -> UInt32 {
        b &+ (sum &<< shift | sum &>> (32 &- shift))
    }
}
