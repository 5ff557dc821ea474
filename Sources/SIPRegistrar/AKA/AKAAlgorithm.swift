// The digest algorithms whose secret comes out of AKA (RFC 3310 §3.1, RFC 4169 §3.1, TS 33.203 Annex N).

import Crypto
import SansIO

/// An algorithm of digest with AKA.
public enum AKAAlgorithm: UInt8, BitwiseCopyable, Hashable, Sendable, CaseIterable {
    case v1MD5, v2MD5, v2SHA256

    public var name: StaticString {
        switch self {
        case .v1MD5: "AKAv1-MD5"
        case .v2MD5: "AKAv2-MD5"
        case .v2SHA256: "AKAv2-SHA-256"
        }
    }

    /// The algorithm of a challenge or an answer; nil: another one.
    public init?(_ name: RawSpan) {
        switch name.byteCount {
        case 9 where name.equalsIgnoringCase("akav1-md5"): self = .v1MD5
        case 9 where name.equalsIgnoringCase("akav2-md5"): self = .v2MD5
        case 13 where name.equalsIgnoringCase("akav2-sha-256"): self = .v2SHA256
        default: return nil
        }
    }

    /// What hashes the answer.
    var digest: DigestAlgorithm { DigestAlgorithm(self == .v2SHA256 ? .sha256 : .md5) }

    /// Writes what stands for the password: the octets of RES, or, in the second version, so that no one can use an answer
    /// elsewhere, a code of all that AKA gave, in base64 (RFC 4169 §3.2).
    func appendPassword(res: UInt64, ck: UInt128, ik: UInt128, into buffer: inout OctetBuffer) {
        var secret = OctetBuffer(capacity: 64)
        secret.append(word: res.byteSwapped)
        guard self != .v1MD5 else { return buffer.append(secret.bytes) }
        secret.append(octetsOf: ik)
        secret.append(octetsOf: ck)
        let key = SymmetricKey(data: [UInt8](secret.bytes))
        let text = Array("http-digest-akav2-password".utf8)
        let code =
            self == .v2MD5
            ? [UInt8](HMAC<Insecure.MD5>.authenticationCode(for: text, using: key))
            : [UInt8](HMAC<SHA256>.authenticationCode(for: text, using: key))
        buffer.append(base64: code.span.bytes)
    }
}

extension OctetBuffer {
    /// Sixteen octets, the highest first.
    mutating func append(octetsOf number: UInt128) {
        append(word: UInt64(truncatingIfNeeded: number >> 64).byteSwapped)
        append(word: UInt64(truncatingIfNeeded: number).byteSwapped)
    }
}

extension RawSpan {
    /// Sixteen octets as a number, the first highest.
    func number(at offset: Int) -> UInt128 { UInt128(word(at: offset).byteSwapped) << 64 | UInt128(word(at: offset + 8).byteSwapped) }
}
