// What the home network shares with a SIM, and what it makes of it for one challenge (TS 33.102 §6.3.2, TS 33.203 §6.1).

import SansIO

/// The keys of a private identity.
public struct AKACredentials: BitwiseCopyable, Hashable, Sendable {
    /// The subscriber's key.
    public let k: UInt128
    /// The operator's code, derived for this key.
    public let opc: UInt128
    /// The authentication management field. Its first bit is for access by LTE (TS 33.102 Annex H); IMS does not ask for it.
    public let amf: UInt16
    /// The sequence number to begin with: the first challenge has a later one.
    public let sqn: SequenceNumber

    public init(k: UInt128, opc: UInt128, amf: UInt16, sqn: SequenceNumber) {
        self.k = k
        self.opc = opc
        self.amf = amf
        self.sqn = sqn
    }

    /// With the operator's code itself, from which that of this key is derived (TS 35.206 §4.1).
    public init(k: UInt128, op: UInt128, amf: UInt16, sqn: SequenceNumber) {
        self.init(k: k, opc: Milenage.opc(k: k, op: op), amf: amf, sqn: sqn)
    }

    var milenage: Milenage { Milenage(k: k, opc: opc) }
}

/// One challenge and what answers it.
struct AuthenticationVector: BitwiseCopyable, Hashable, Sendable {
    let rand: UInt128
    /// The sequence number, hidden, AMF, and the code that proves the network.
    let autn: UInt128
    let xres: UInt64
    let ck: UInt128
    let ik: UInt128

    init(_ credentials: AKACredentials, rand: UInt128, sqn: SequenceNumber) {
        let milenage = credentials.milenage
        let (res, ck, ik, ak) = milenage.keys(rand: rand)
        let mac = milenage.codes(rand: rand, sqn: sqn.rawValue, amf: credentials.amf).mac
        self.rand = rand
        autn = UInt128(sqn.rawValue ^ ak) << 80 | UInt128(credentials.amf) << 64 | UInt128(mac)
        xres = res
        self.ck = ck
        self.ik = ik
    }
}

extension AKACredentials {
    /// The sequence number in AUTS, if a SIM with these keys has made it for this challenge (TS 33.102 §6.3.5); it is hashed
    /// with an AMF of zeros.
    func sequenceNumber(inAUTS auts: RawSpan, rand: UInt128) -> SequenceNumber? {
        guard auts.byteCount == AKACredentials.autsCount else { return nil }
        var hidden: UInt64 = 0
        var code: UInt64 = 0
        for i in 0..<6 { hidden = hidden << 8 | UInt64(auts[i]) }
        for i in 6..<14 { code = code << 8 | UInt64(auts[i]) }
        let milenage = milenage
        let number = SequenceNumber(rawValue: hidden ^ milenage.resynchronisationKey(rand: rand))
        let expected = milenage.codes(rand: rand, sqn: number.rawValue, amf: 0).macStar
        return expected ^ code == 0 ? number : nil
    }

    /// Writes AUTS.
    func appendAUTS(_ number: SequenceNumber, rand: UInt128, into buffer: inout OctetBuffer) {
        let milenage = milenage
        let hidden = number.rawValue ^ milenage.resynchronisationKey(rand: rand)
        for i in 0..<6 { buffer.append(byte: UInt8(truncatingIfNeeded: hidden >> UInt64(40 - 8 * i))) }
        let code = milenage.codes(rand: rand, sqn: number.rawValue, amf: 0).macStar
        buffer.append(word: code.byteSwapped)
    }

    static let autsCount = 14
}
