// What digest authentication can be asked to compute: hash functions and qops by their names (RFC 2617 §3.2.1, RFC 7616 §3.3,
// RFC 8760 §2.1).

import SansIO

/// A hash function of digest authentication.
public enum DigestFunction: UInt8, BitwiseCopyable, Hashable, Sendable, CaseIterable {
    case md5, sha256, sha512_256

    /// Its name as an algorithm.
    public var name: StaticString {
        switch self {
        case .md5: "MD5"
        case .sha256: "SHA-256"
        case .sha512_256: "SHA-512-256"
        }
    }

    /// Hexadecimal digits of a hash.
    var digitCount: Int { self == .md5 ? 32 : 64 }
    var mask: UInt8 { 1 << rawValue }
}

/// An algorithm whose secret is a password.
public struct DigestAlgorithm: BitwiseCopyable, Hashable, Sendable {
    public let function: DigestFunction
    /// Whether HA1 is made once for a session, of the first nonces (`-sess`).
    public let isSession: Bool

    init(_ function: DigestFunction, isSession: Bool = false) {
        self.function = function
        self.isSession = isSession
    }

    /// The algorithm of a challenge or an answer; none named is MD5. Nil: another one.
    public init?(_ name: RawSpan) {
        switch name.byteCount {
        case 0: self.init(.md5)
        case 3 where name.equalsIgnoringCase("md5"): self.init(.md5)
        case 7 where name.equalsIgnoringCase("sha-256"): self.init(.sha256)
        case 8 where name.equalsIgnoringCase("md5-sess"): self.init(.md5, isSession: true)
        case 11 where name.equalsIgnoringCase("sha-512-256"): self.init(.sha512_256)
        case 12 where name.equalsIgnoringCase("sha-256-sess"): self.init(.sha256, isSession: true)
        case 16 where name.equalsIgnoringCase("sha-512-256-sess"): self.init(.sha512_256, isSession: true)
        default: return nil
        }
    }
}

/// What an answer protects beside the request line: nothing, or the body.
public enum DigestQop: UInt8, BitwiseCopyable, Hashable, Sendable, CaseIterable {
    case auth, authInt

    public var name: StaticString { self == .auth ? "auth" : "auth-int" }

    /// Nil: another one.
    init?(_ name: RawSpan) {
        if name.equalsIgnoringCase("auth") {
            self = .auth
        } else if name.equalsIgnoringCase("auth-int") {
            self = .authInt
        } else {
            return nil
        }
    }
}

/// The qops of a challenge, as a set.
struct DigestQops: BitwiseCopyable, Hashable, Sendable {
    private var mask: UInt8 = 0

    init(_ qops: [DigestQop]) {
        for qop in qops { mask |= 1 << qop.rawValue }
    }

    func contains(_ qop: DigestQop) -> Bool { mask >> qop.rawValue & 1 == 1 }
}

extension OctetBuffer {
    /// The qops of a challenge in their order: `, qop="auth,auth-int"`.
    mutating func append(_ qops: [DigestQop]) {
        append(", qop=\"")
        for (i, qop) in qops.enumerated() {
            if i > 0 { append(",") }
            append(qop.name)
        }
        append("\"")
    }
}
