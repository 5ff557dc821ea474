import Testing

@testable import SIPRegistrar

/// The test sets of TS 35.207 §4 and TS 35.208 §4.
struct MilenageTests {
    struct Vector: Sendable {
        var k: UInt128
        var rand: UInt128
        var sqn: UInt64
        var amf: UInt16
        var op: UInt128
        var opc: UInt128
        var f1: UInt64
        var f1Star: UInt64
        var f2: UInt64
        var f5: UInt64
        var f3: UInt128
        var f4: UInt128
        var f5Star: UInt64
    }

    /// Sets 1 and 3 to 6.
    static let vectors: [Vector] = [
        Vector(
            k: 0x465B5CE8B199B49FAA5F0A2EE238A6BC, rand: 0x23553CBE9637A89D218AE64DAE47BF35, sqn: 0xFF9BB4D0B607, amf: 0xB9B9,
            op: 0xCDC202D5123E20F62B6D676AC72CB318, opc: 0xCD63CB71954A9F4E48A5994E37A02BAF, f1: 0x4A9FFAC354DFAFB3,
            f1Star: 0x01CFAF9EC4E871E9,
            f2: 0xA54211D5E3BA50BF, f5: 0xAA689C648370, f3: 0xB40BA9A3C58B2A05BBF0D987B21BF8CB, f4: 0xF769BCD751044604127672711C6D3441,
            f5Star: 0x451E8BECA43B),
        Vector(
            k: 0xFEC86BA6EB707ED08905757B1BB44B8F, rand: 0x9F7C8D021ACCF4DB213CCFF0C7F71A6A, sqn: 0x9D0277595FFC, amf: 0x725C,
            op: 0xDBC59ADCB6F9A0EF735477B7FADF8374, opc: 0x1006020F0A478BF6B699F15C062E42B3, f1: 0x9CABC3E99BAF7281,
            f1Star: 0x95814BA2B3044324,
            f2: 0x8011C48C0C214ED2, f5: 0x33484DC2136B, f3: 0x5DBDBB2954E8F3CDE665B046179A5098, f4: 0x59A92D3B476A0443487055CF88B2307B,
            f5Star: 0xDEACDD848CC6),
        Vector(
            k: 0x9E5944AEA94B81165C82FBF9F32DB751, rand: 0xCE83DBC54AC0274A157C17F80D017BD6, sqn: 0x0B604A81ECA8, amf: 0x9E09,
            op: 0x223014C5806694C007CA1EEEF57F004F, opc: 0xA64A507AE1A2A98BB88EB4210135DC87, f1: 0x74A58220CBA84C49,
            f1Star: 0xAC2CC74A96871837,
            f2: 0xF365CD683CD92E96, f5: 0xF0B9C08AD02E, f3: 0xE203EDB3971574F5A94B0D61B816345D, f4: 0x0C4524ADEAC041C4DD830D20854FC46B,
            f5Star: 0x6085A86C6F63),
        Vector(
            k: 0x4AB1DEB05CA6CEB051FC98E77D026A84, rand: 0x74B0CD6031A1C8339B2B6CE2B8C4A186, sqn: 0xE880A1B580B6, amf: 0x9F07,
            op: 0x2D16C5CD1FDF6B22383584E3BEF2A8D8, opc: 0xDCF07CBD51855290B92A07A9891E523E, f1: 0x49E785DD12626EF2,
            f1Star: 0x9E85790336BB3FA2,
            f2: 0x5860FC1BCE351E7E, f5: 0x31E11A609118, f3: 0x7657766B373D1C2138F307E3DE9242F9, f4: 0x1C42E960D89B8FA99F2744E0708CCB53,
            f5Star: 0xFE2555E54AA9),
        Vector(
            k: 0x6C38A116AC280C454F59332EE35C8C4F, rand: 0xEE6466BC96202C5A557ABBEFF8BABF63, sqn: 0x414B98222181, amf: 0x4464,
            op: 0x1BA00A1A7C6700AC8C3FF3E96AD08725, opc: 0x3803EF5363B947C6AAA225E58FAE3934, f1: 0x078ADFB488241A57,
            f1Star: 0x80246B8D0186BCF1,
            f2: 0x16C8233F05A0AC28, f5: 0x45B0F69AB06C, f3: 0x3F8C7587FE8E4B233AF676AEDE30BA3B, f4: 0xA7466CC1E6B2A1337D49D3B66E95D7B4,
            f5Star: 0x1F53CD2B1113),
    ]

    @Test(arguments: vectors)
    func `computes the known values`(vector: Vector) {
        #expect(Milenage.opc(k: vector.k, op: vector.op) == vector.opc)
        let milenage = Milenage(k: vector.k, opc: vector.opc)
        let codes = milenage.codes(rand: vector.rand, sqn: vector.sqn, amf: vector.amf)
        #expect(codes.mac == vector.f1 && codes.macStar == vector.f1Star)
        let keys = milenage.keys(rand: vector.rand)
        #expect(keys.res == vector.f2 && keys.ck == vector.f3 && keys.ik == vector.f4 && keys.ak == vector.f5)
        #expect(milenage.resynchronisationKey(rand: vector.rand) == vector.f5Star)
    }

    /// FIPS 197 appendix B and C.1, through the derivation of OPc, which is the cipher and its input added.
    @Test(arguments: [
        (
            UInt128(0x2B7E_1516_28AE_D2A6_ABF7_1588_09CF_4F3C), UInt128(0x3243_F6A8_885A_308D_3131_98A2_E037_0734),
            UInt128(0x3925_841D_02DC_09FB_DC11_8597_196A_0B32)
        ),
        (0x0001_0203_0405_0607_0809_0A0B_0C0D_0E0F, 0x0011_2233_4455_6677_8899_AABB_CCDD_EEFF, 0x69C4_E0D8_6A7B_0430_D8CD_B780_70B4_C55A),
    ])
    func `enciphers as AES does`(key: UInt128, plain: UInt128, enciphered: UInt128) {
        #expect(Milenage.opc(k: key, op: plain) ^ plain == enciphered)
    }
}
