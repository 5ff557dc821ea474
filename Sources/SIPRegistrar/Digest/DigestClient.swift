// Digest authentication, the client's part (RFC 2617 §3.2.2, RFC 3261 §22.2).

public import SIPMessage
public import SansIO

/// Answers challenges.
public enum DigestClient {
    /// Whether a challenge can be answered: its algorithm is known, and it allows qop `auth` or none.
    public static func canAnswer(_ challenge: DigestParameters, in bytes: RawSpan) -> Bool {
        !challenge.nonce.isEmpty && !challenge.realm.isEmpty && DigestAlgorithm(bytes[challenge.algorithm]) != nil
            && (challenge.qop.isEmpty || bytes.offersAuth(challenge.qop))
    }

    /// Writes the credentials that answer a challenge.
    ///
    /// - Parameters:
    ///   - header: Authorization for WWW-Authenticate, Proxy-Authorization for Proxy-Authenticate.
    ///   - bytes: the octets that the challenge was read from.
    ///   - uri: the Request-URI.
    ///   - nonceCount: how often the nonce is used, this time included: from 1.
    ///   - cnonce: drawn anew for each answer.
    /// - Returns: false, with nothing written: the challenge cannot be answered.
    public static func appendAuthorization(
        _ header: HeaderName = .authorization, answering challenge: DigestParameters, in bytes: RawSpan, username: RawSpan,
        password: RawSpan, method: RawSpan, uri: RawSpan, nonceCount: UInt32, cnonce: UInt64, into buffer: inout OctetBuffer
    ) -> Bool {
        guard canAnswer(challenge, in: bytes), let algorithm = DigestAlgorithm(bytes[challenge.algorithm]) else { return false }
        var own = OctetBuffer(capacity: 256)
        own.appendEscaped(username)
        let usernameCount = own.count
        own.appendHex(UInt64(nonceCount), digits: 8)
        own.appendHex(cnonce)
        let hasQop = !challenge.qop.isEmpty
        let username = own.bytes(from: 0, count: usernameCount)
        let count = own.bytes(from: usernameCount, count: 8)
        let cnonce = own.bytes(from: usernameCount + 8, count: 16)
        let ha1 = DigestHash(username: username, realm: bytes[challenge.realm], password: password)
        var hasher = DigestHasher()
        let response = hasher.answer(
            DigestHasher.Parts(
                algorithm: algorithm, nonce: bytes[challenge.nonce], uri: uri, nonceCount: hasQop ? count : RawSpan(), cnonce: cnonce),
            method: method, ha1: ha1)

        buffer.append(header.text)
        buffer.append(": Digest username=\"")
        buffer.append(username)
        buffer.append("\", realm=\"")
        buffer.append(bytes[challenge.realm])
        buffer.append("\", nonce=\"")
        buffer.append(bytes[challenge.nonce])
        buffer.append("\", uri=\"")
        buffer.append(uri)
        buffer.append("\", response=\"")
        buffer.append(response)
        buffer.append("\"")
        if !challenge.algorithm.isEmpty {
            buffer.append(", algorithm=")
            buffer.append(bytes[challenge.algorithm])
        }
        if !challenge.opaque.isEmpty {
            buffer.append(", opaque=\"")
            buffer.append(bytes[challenge.opaque])
            buffer.append("\"")
        }
        if hasQop {
            buffer.append(", qop=auth, nc=")
            buffer.append(count)
        }
        if hasQop || algorithm == .md5Session {
            buffer.append(", cnonce=\"")
            buffer.append(cnonce)
            buffer.append("\"")
        }
        buffer.append("\r\n")
        return true
    }
}

extension RawSpan {
    /// Whether `auth` is among the words of a qop list.
    fileprivate func offersAuth(_ list: Slice) -> Bool {
        var rest = list
        while !rest.isEmpty {
            if self[nextListValue(&rest)].equalsIgnoringCase("auth") { return true }
        }
        return false
    }
}
