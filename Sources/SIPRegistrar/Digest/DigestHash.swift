// The computations of digest authentication (RFC 2617 §3.2.2, RFC 7616 §3.4) with MD5.

import SansIO

/// A hash as numbers, for MD5 its 128 bits.
public struct DigestHash: BitwiseCopyable, Hashable, Sendable {
    var high: UInt64
    var low: UInt64

    init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// MD5 of some octets.
    init(of bytes: RawSpan) {
        (high, low) = MD5.hash(bytes)
    }

    /// HA1 of `username:realm:password`: what a server may keep in place of a password. User name and realm are taken as
    /// they stand between their quotes.
    public init(username: RawSpan, realm: RawSpan, password: RawSpan) {
        var buffer = OctetBuffer(capacity: 256)
        buffer.append(username)
        buffer.append(":")
        buffer.append(realm)
        buffer.append(":")
        buffer.append(password)
        self.init(of: buffer.bytes)
    }

    /// Reads 32 hexadecimal digits of either case; nil: anything else.
    public init?(hexadecimal text: RawSpan) {
        guard text.byteCount == 32, let high = text.part(0, 16).hexadecimalNumber, let low = text.part(16, 16).hexadecimalNumber else {
            return nil
        }
        self.init(high: high, low: low)
    }

    /// Compares in a time that does not depend on where the two differ.
    func equalsInConstantTime(_ other: DigestHash) -> Bool { (high ^ other.high) | (low ^ other.low) == 0 }
}

/// The algorithms that are computed here.
enum DigestAlgorithm: UInt8, BitwiseCopyable {
    case md5, md5Session

    /// The algorithm of a challenge or an answer; none named is MD5. Nil: another one.
    init?(_ name: RawSpan) {
        if name.byteCount == 0 || name.equalsIgnoringCase("md5") {
            self = .md5
        } else if name.equalsIgnoringCase("md5-sess") {
            self = .md5Session
        } else {
            return nil
        }
    }
}

/// Computes answers. Its memory is used again.
struct DigestHasher: ~Copyable {
    /// The parts of an answer; without a nonce count there is no qop (RFC 2069).
    struct Parts: ~Escapable {
        var algorithm: DigestAlgorithm
        var nonce: RawSpan
        var uri: RawSpan
        /// Eight digits as they were sent; empty: no qop.
        var nonceCount: RawSpan
        var cnonce: RawSpan

        @_lifetime(copy nonce, copy uri, copy nonceCount, copy cnonce)
        init(algorithm: DigestAlgorithm, nonce: RawSpan, uri: RawSpan, nonceCount: RawSpan, cnonce: RawSpan) {
            self.algorithm = algorithm
            self.nonce = nonce
            self.uri = uri
            self.nonceCount = nonceCount
            self.cnonce = cnonce
        }
    }

    private var buffer = OctetBuffer(capacity: 512)

    init() {}

    /// `response`, or `rspauth` where the method is empty.
    mutating func answer(_ parts: borrowing Parts, method: RawSpan, ha1: DigestHash) -> DigestHash {
        let ha1 = parts.algorithm == .md5Session ? session(parts, ha1) : ha1
        buffer.removeAll()
        buffer.append(method)
        buffer.append(":")
        buffer.append(parts.uri)
        let ha2 = DigestHash(of: buffer.bytes)
        buffer.removeAll()
        buffer.append(ha1)
        buffer.append(":")
        buffer.append(parts.nonce)
        buffer.append(":")
        if parts.nonceCount.byteCount > 0 {
            buffer.append(parts.nonceCount)
            buffer.append(":")
            buffer.append(parts.cnonce)
            buffer.append(":auth:")
        }
        buffer.append(ha2)
        return DigestHash(of: buffer.bytes)
    }

    private mutating func session(_ parts: borrowing Parts, _ ha1: DigestHash) -> DigestHash {
        buffer.removeAll()
        buffer.append(ha1)
        buffer.append(":")
        buffer.append(parts.nonce)
        buffer.append(":")
        buffer.append(parts.cnonce)
        return DigestHash(of: buffer.bytes)
    }
}

extension OctetBuffer {
    /// A hash in small hexadecimal digits.
    mutating func append(_ hash: DigestHash) {
        appendHex(hash.high)
        appendHex(hash.low)
    }
}

extension RawSpan {
    /// At most 16 hexadecimal digits of either case as a number; nil: anything else.
    var hexadecimalNumber: UInt64? {
        if byteCount == 16 {
            guard let high = hexadecimalWord(at: 0), let low = hexadecimalWord(at: 8) else { return nil }
            return UInt64(high) << 32 | UInt64(low)
        }
        guard (1...16).contains(byteCount) else { return nil }
        var value: UInt64 = 0
        for i in 0..<byteCount {
            guard let digit = self[i].hexDigitValue else { return nil }
            value = value << 4 | UInt64(digit)
        }
        return value
    }
}
