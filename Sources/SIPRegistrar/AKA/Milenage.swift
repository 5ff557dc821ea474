// The algorithm set Milenage (TS 35.206), by which the home network and a SIM compute AKA: f1 to f5 and what belongs to a
// resynchronisation, f1* and f5*.

import Crypto
import CryptoExtras

/// Milenage for one key.
struct Milenage {
    private let key: SymmetricKey
    private let opc: UInt128

    /// - Parameters:
    ///   - k: the subscriber's key.
    ///   - opc: the operator's code, derived for this key.
    init(k: UInt128, opc: UInt128) {
        key = Milenage.key(k)
        self.opc = opc
    }

    /// Derives the operator's code for a key (§4.1).
    static func opc(k: UInt128, op: UInt128) -> UInt128 { encrypt(op, key(k)) ^ op }

    /// f1: proves the network to the SIM; f1*: the reverse, for a resynchronisation.
    func codes(rand: UInt128, sqn: UInt64, amf: UInt16) -> (mac: UInt64, macStar: UInt64) {
        let half = UInt128(sqn << 16 | UInt64(amf))
        let out = output(mixed(rand), added: (half << 64 | half) ^ opc, turn: 64, constant: 0)
        return (UInt64(truncatingIfNeeded: out >> 64), UInt64(truncatingIfNeeded: out))
    }

    /// f2 to f5. `ak`, which hides the sequence number, has 48 bits.
    func keys(rand: UInt128) -> (res: UInt64, ck: UInt128, ik: UInt128, ak: UInt64) {
        let start = mixed(rand)
        let out = output(start, turn: 0, constant: 1)
        return (
            UInt64(truncatingIfNeeded: out), output(start, turn: 32, constant: 2), output(start, turn: 64, constant: 4),
            UInt64(truncatingIfNeeded: out >> 80)
        )
    }

    /// f5*: hides the sequence number of a SIM that asks for a resynchronisation.
    func resynchronisationKey(rand: UInt128) -> UInt64 { UInt64(truncatingIfNeeded: output(mixed(rand), turn: 96, constant: 8) >> 80) }

    // MARK: The framework of §4.1

    private func mixed(_ rand: UInt128) -> UInt128 { encrypt(rand ^ opc) }

    /// OUT2 to OUT5.
    private func output(_ start: UInt128, turn: UInt128, constant: UInt128) -> UInt128 {
        encrypt(Milenage.turned(start ^ opc, turn) ^ constant) ^ opc
    }

    /// OUT1.
    private func output(_ start: UInt128, added: UInt128, turn: UInt128, constant: UInt128) -> UInt128 {
        encrypt(start ^ Milenage.turned(added, turn) ^ constant) ^ opc
    }

    private static func turned(_ value: UInt128, _ bits: UInt128) -> UInt128 { bits == 0 ? value : value << bits | value >> (128 - bits) }

    // MARK: The kernel, AES with 128 bits (§5)

    private func encrypt(_ block: UInt128) -> UInt128 { Milenage.encrypt(block, key) }

    private static func key(_ k: UInt128) -> SymmetricKey {
        SymmetricKey(data: (0..<16).map { UInt8(truncatingIfNeeded: k >> UInt128(120 - 8 * $0)) })
    }

    private static func encrypt(_ block: UInt128, _ key: SymmetricKey) -> UInt128 {
        var octets = (0..<16).map { UInt8(truncatingIfNeeded: block >> UInt128(120 - 8 * $0)) }
        do { try AES.permute(&octets, key: key) } catch { preconditionFailure("AES wants 16 octets and a key of 16: \(error)") }
        return octets.reduce(0) { $0 << 8 | UInt128($1) }
    }
}
