// Digest authentication, the client's part (RFC 2617 §3.2.2, RFC 7616 §3.4, RFC 3261 §22.2).

public import SIPMessage
public import SansIO

/// Answers challenges.
public enum DigestClient {
    /// Whether a challenge can be answered with a password: its algorithm is known, and so is a qop, if it asks for one.
    public static func canAnswer(_ challenge: DigestParameters, in bytes: RawSpan) -> Bool {
        !challenge.nonce.isEmpty && !challenge.realm.isEmpty && DigestAlgorithm(bytes[challenge.algorithm]) != nil
            && (challenge.qop.isEmpty || bytes.offeredQop(challenge.qop) != nil)
    }

    /// Writes the credentials that answer a challenge: with qop auth where it is offered, else with auth-int.
    ///
    /// - Parameters:
    ///   - header: Authorization for WWW-Authenticate, Proxy-Authorization for Proxy-Authenticate.
    ///   - bytes: the octets that the challenge was read from.
    ///   - uri: the Request-URI.
    ///   - body: of the request.
    ///   - nonceCount: how often the nonce is used, this time included: from 1.
    ///   - cnonce: drawn anew for each answer.
    /// - Returns: false, with nothing written: the challenge cannot be answered.
    public static func appendAuthorization(
        _ header: HeaderName = .authorization, answering challenge: DigestParameters, in bytes: RawSpan, username: RawSpan,
        password: RawSpan, method: RawSpan, uri: RawSpan, body: RawSpan = RawSpan(), nonceCount: UInt32, cnonce: UInt64,
        into buffer: inout OctetBuffer
    ) -> Bool {
        guard canAnswer(challenge, in: bytes), let algorithm = DigestAlgorithm(bytes[challenge.algorithm]) else { return false }
        appendAuthorization(
            header, answering: challenge, by: algorithm, in: bytes, username: username, password: password, method: method, uri: uri,
            body: body, nonceCount: nonceCount, cnonce: cnonce, into: &buffer)
        buffer.append("\r\n")
        return true
    }

    /// As above, for a challenge that can be answered and whose algorithm is known to mean this one; the line is left open.
    static func appendAuthorization(
        _ header: HeaderName, answering challenge: DigestParameters, by algorithm: DigestAlgorithm, in bytes: RawSpan, username: RawSpan,
        password: RawSpan, method: RawSpan, uri: RawSpan, body: RawSpan, nonceCount: UInt32, cnonce: UInt64,
        into buffer: inout OctetBuffer
    ) {
        var own = OctetBuffer(capacity: 256)
        own.appendEscaped(username)
        let usernameCount = own.count
        own.appendHex(UInt64(nonceCount), digits: 8)
        own.appendHex(cnonce)
        let qop = challenge.qop.isEmpty ? nil : bytes.offeredQop(challenge.qop)
        let username = own.bytes(from: 0, count: usernameCount)
        let count = own.bytes(from: usernameCount, count: 8)
        let cnonce = own.bytes(from: usernameCount + 8, count: 16)
        let ha1 = DigestHash(username: username, realm: bytes[challenge.realm], password: password, by: algorithm.function)
        var hasher = DigestHasher()
        let response = hasher.answer(
            DigestHasher.Parts(
                isSession: algorithm.isSession, nonce: bytes[challenge.nonce], uri: uri, nonceCount: qop == nil ? RawSpan() : count,
                cnonce: cnonce, qop: qop ?? .auth, body: body),
            method: method, ha1: ha1)

        appendNames(header, challenge, in: bytes, username: username, uri: uri, into: &buffer)
        buffer.append(response)
        appendChoice(challenge, in: bytes, into: &buffer)
        if let qop {
            buffer.append(", qop=")
            buffer.append(qop.name)
            buffer.append(", nc=")
            buffer.append(count)
        }
        if qop != nil || algorithm.isSession {
            buffer.append(", cnonce=\"")
            buffer.append(cnonce)
            buffer.append("\"")
        }
    }

    /// Who answers what: all up to the digits of `response`.
    ///
    /// - Parameter username: as it stands between quotes.
    static func appendNames(
        _ header: HeaderName, _ challenge: DigestParameters, in bytes: RawSpan, username: RawSpan, uri: RawSpan,
        into buffer: inout OctetBuffer
    ) {
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
    }

    /// What a challenge is known by, behind the digits of `response`.
    static func appendChoice(_ challenge: DigestParameters, in bytes: RawSpan, into buffer: inout OctetBuffer) {
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
    }
}

extension RawSpan {
    /// The qop to use of a list: `auth` if it is there.
    func offeredQop(_ list: Slice) -> DigestQop? {
        var rest = list
        var found: DigestQop?
        while !rest.isEmpty {
            guard let qop = DigestQop(self[nextListValue(&rest)]) else { continue }
            if qop == .auth { return .auth }
            found = qop
        }
        return found
    }
}
