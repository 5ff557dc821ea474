// The computations of digest authentication (RFC 2617 §3.2.2, RFC 7616 §3.4).

import Crypto
import CryptoExtras
import SansIO

/// A hash as numbers, with the function that made it.
public struct DigestHash: BitwiseCopyable, Hashable, Sendable {
    public let function: DigestFunction
    // Its octets, the first highest. MD5 has 16 of them, and leaves the third and the fourth number zero.
    private let first: UInt64
    private let second: UInt64
    private let third: UInt64
    private let fourth: UInt64

    private init(_ function: DigestFunction, _ first: UInt64, _ second: UInt64, _ third: UInt64 = 0, _ fourth: UInt64 = 0) {
        self.function = function
        self.first = first
        self.second = second
        self.third = third
        self.fourth = fourth
    }

    /// The hash of some octets.
    init(of bytes: RawSpan, by function: DigestFunction) {
        switch function {
        case .md5:
            let (high, low) = MD5.hash(bytes)
            self.init(.md5, high, low)
        case .sha256:
            self.init(.sha256, octetsOf: bytes.withUnsafeBytes { SHA256.hash(data: $0) })
        case .sha512_256:
            self.init(.sha512_256, octetsOf: bytes.withUnsafeBytes { SHA512256.hash(data: $0) })
        }
    }

    /// Of a hash with 32 octets.
    private init(_ function: DigestFunction, octetsOf digest: some Digest) {
        var words = InlineArray<4, UInt64>(repeating: 0)
        for (i, octet) in digest.enumerated() { words[i / 8] = words[i / 8] << 8 | UInt64(octet) }
        self.init(function, words[0], words[1], words[2], words[3])
    }

    /// HA1 of `username:realm:password`: what a server may keep in place of a password. User name and realm are taken as
    /// they stand between their quotes.
    public init(username: RawSpan, realm: RawSpan, password: RawSpan, by function: DigestFunction = .md5) {
        var buffer = OctetBuffer(capacity: 256)
        buffer.append(username)
        buffer.append(":")
        buffer.append(realm)
        buffer.append(":")
        buffer.append(password)
        self.init(of: buffer.bytes, by: function)
    }

    /// The hash of `username:realm` that stands for a user name which is not to be seen (RFC 7616 §3.4.4).
    public init(username: RawSpan, realm: RawSpan, by function: DigestFunction) {
        var buffer = OctetBuffer(capacity: 256)
        buffer.append(username)
        buffer.append(":")
        buffer.append(realm)
        self.init(of: buffer.bytes, by: function)
    }

    /// Reads as many hexadecimal digits of either case as the function's hash has; nil: anything else.
    public init?(hexadecimal text: RawSpan, by function: DigestFunction = .md5) {
        guard text.byteCount == function.digitCount, let first = text.part(0, 16).hexadecimalNumber,
            let second = text.part(16, 16).hexadecimalNumber
        else { return nil }
        guard function != .md5 else {
            self.init(.md5, first, second)
            return
        }
        guard let third = text.part(32, 16).hexadecimalNumber, let fourth = text.part(48, 16).hexadecimalNumber else { return nil }
        self.init(function, first, second, third, fourth)
    }

    /// Compares in a time that does not depend on where the two differ.
    func equalsInConstantTime(_ other: DigestHash) -> Bool {
        (first ^ other.first) | (second ^ other.second) | (third ^ other.third) | (fourth ^ other.fourth) == 0 && function == other.function
    }

    /// In small hexadecimal digits.
    fileprivate func append(into buffer: inout OctetBuffer) {
        buffer.appendHex(first)
        buffer.appendHex(second)
        guard function != .md5 else { return }
        buffer.appendHex(third)
        buffer.appendHex(fourth)
    }
}

/// Computes answers. Its memory is used again.
struct DigestHasher: ~Copyable {
    /// The parts of an answer; without a nonce count there is no qop (RFC 2069).
    struct Parts: ~Escapable {
        var isSession: Bool
        var nonce: RawSpan
        var uri: RawSpan
        /// Eight digits as they were sent; empty: no qop.
        var nonceCount: RawSpan
        var cnonce: RawSpan
        var qop = DigestQop.auth
        /// Of a message whose qop is auth-int.
        var body: RawSpan

        @_lifetime(copy nonce, copy uri, copy nonceCount, copy cnonce, copy body)
        init(
            isSession: Bool, nonce: RawSpan, uri: RawSpan, nonceCount: RawSpan, cnonce: RawSpan, qop: DigestQop = .auth, body: RawSpan
        ) {
            self.isSession = isSession
            self.nonce = nonce
            self.uri = uri
            self.nonceCount = nonceCount
            self.cnonce = cnonce
            self.qop = qop
            self.body = body
        }
    }

    private var buffer = OctetBuffer(capacity: 512)

    init() {}

    /// `response`, or `rspauth` where the method is empty; by the function that made HA1.
    mutating func answer(_ parts: borrowing Parts, method: RawSpan, ha1: DigestHash) -> DigestHash {
        let ha1 = parts.isSession ? session(parts, ha1) : ha1
        let ha2 = request(parts, method, by: ha1.function)
        buffer.removeAll()
        buffer.append(ha1)
        buffer.append(":")
        buffer.append(parts.nonce)
        buffer.append(":")
        if parts.nonceCount.byteCount > 0 {
            buffer.append(parts.nonceCount)
            buffer.append(":")
            buffer.append(parts.cnonce)
            if parts.qop == .auth { buffer.append(":auth:") } else { buffer.append(":auth-int:") }
        }
        buffer.append(ha2)
        return DigestHash(of: buffer.bytes, by: ha1.function)
    }

    /// HA2.
    private mutating func request(_ parts: borrowing Parts, _ method: RawSpan, by function: DigestFunction) -> DigestHash {
        buffer.removeAll()
        buffer.append(method)
        buffer.append(":")
        buffer.append(parts.uri)
        if parts.qop == .authInt, parts.nonceCount.byteCount > 0 {
            buffer.append(":")
            buffer.append(DigestHash(of: parts.body, by: function))
        }
        return DigestHash(of: buffer.bytes, by: function)
    }

    private mutating func session(_ parts: borrowing Parts, _ ha1: DigestHash) -> DigestHash {
        buffer.removeAll()
        buffer.append(ha1)
        buffer.append(":")
        buffer.append(parts.nonce)
        buffer.append(":")
        buffer.append(parts.cnonce)
        return DigestHash(of: buffer.bytes, by: ha1.function)
    }
}

extension OctetBuffer {
    /// A hash in small hexadecimal digits.
    mutating func append(_ hash: DigestHash) { hash.append(into: &self) }
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
