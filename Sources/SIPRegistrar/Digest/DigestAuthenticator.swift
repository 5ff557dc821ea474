// Digest authentication, the server's part (RFC 2617, RFC 7616, RFC 3261 §22). Nonces are not stored; what is stored is
// the last one that each device answered rightly, so that no answer counts twice.
//
// A nonce is fresh for the life of a challenge. Once answered it stays in use, with a rising count, until the device
// answers a newer one or is forgotten; without qop there is no count, and it serves once.

public import SIPMessage
public import SansIO

/// The settings of digest authentication.
public struct DigestSettings: Sendable {
    /// The realm, without quotes.
    public let realm: [UInt8]
    /// How long a challenge may be answered (reg-await-auth and request-await-auth, TS 24.229 table 7.8.1).
    public let challengeLifetime: TimeSpan
    /// Wrong answers in a row that are challenged anew; the next is refused.
    public let allowedFailures: Int
    /// Whether answers without qop (RFC 2069) are refused as malformed.
    public let requiresQop: Bool

    public init(realm: [UInt8], challengeLifetime: TimeSpan = .seconds(240), allowedFailures: Int = 3, requiresQop: Bool = false) {
        self.realm = realm
        self.challengeLifetime = challengeLifetime
        self.allowedFailures = min(max(allowedFailures, 0), 254)
        self.requiresQop = requiresQop
    }
}

public struct DigestAuthenticator: ~Copyable {
    public let settings: DigestSettings
    /// The realm as it stands between quotes.
    private let realm: [UInt8]
    private var nonces: NonceSource
    private var devices = DeviceLedger()
    private var hasher = DigestHasher()

    /// - Parameters:
    ///   - secret: makes the nonces; drawn from the system's generator at start.
    ///   - start: the present.
    public init(settings: DigestSettings, secret: HashSecret, start: Instant) {
        self.settings = settings
        var quoted = OctetBuffer()
        quoted.appendEscaped(settings.realm.span.bytes)
        realm = [UInt8](quoted.bytes)
        nonces = NonceSource(secret: secret, start: start)
    }

    /// Devices of which something is remembered: at most those that have credentials.
    public var deviceCount: Int { devices.count }

    // MARK: Challenge

    /// Writes a challenge with a new nonce.
    ///
    /// - Parameters:
    ///   - header: WWW-Authenticate (with 401) or Proxy-Authenticate (with 407).
    ///   - isStale: whether the last answer only had too old a nonce, so that the client need not ask for the password.
    public mutating func appendChallenge(
        _ header: HeaderName = .wwwAuthenticate, isStale: Bool = false, at now: Instant, into buffer: inout OctetBuffer
    ) {
        buffer.append(header.text)
        buffer.append(": Digest realm=\"")
        buffer.append(realm)
        buffer.append("\", nonce=\"")
        buffer.appendNonce(nonces.next(at: now), nonces)
        buffer.append(isStale ? "\", stale=true, algorithm=MD5, qop=\"auth\"\r\n" : "\", algorithm=MD5, qop=\"auth\"\r\n")
    }

    // MARK: Verification

    /// Verifies credentials, and counts.
    ///
    /// - Parameters:
    ///   - bytes: the octets that the credentials were read from.
    ///   - method: of the request. Its URI is taken as the credentials have it; whether that one will do is the caller's
    ///     question.
    ///   - device: the number of the private identity that `username` stands for.
    ///   - ha1: of the user name as it was sent, the realm and the password.
    public mutating func verify(
        _ credentials: DigestParameters, in bytes: RawSpan, method: RawSpan, device: UInt64, ha1: DigestHash, at now: Instant
    ) -> DigestVerdict {
        reviewDevices(at: now)
        guard let algorithm = DigestAlgorithm(bytes[credentials.algorithm]), bytes[credentials.realm].equals(realm),
            !credentials.nonce.isEmpty, !credentials.response.isEmpty
        else { return .absent }
        if let fault = fault(of: credentials, in: bytes, algorithm) { return .malformed(fault) }
        guard let response = DigestHash(hexadecimal: bytes[credentials.response]) else { return .malformed(.response) }
        let count = nonceCount(of: credentials, in: bytes)
        guard let stamp = nonces.stamp(of: bytes[credentials.nonce]), isUsable(stamp, count, by: device, at: now) else { return .stale }
        let parts = bytes.digestParts(credentials, algorithm)
        guard hasher.answer(parts, method: method, ha1: ha1).equalsInConstantTime(response) else {
            return noteFailure(of: device, at: now)
        }
        noteSuccess(of: device, stamp, count)
        return .accepted
    }

    /// As `verify` with the password itself.
    public mutating func verify(
        _ credentials: DigestParameters, in bytes: RawSpan, method: RawSpan, device: UInt64, password: RawSpan, at now: Instant
    ) -> DigestVerdict {
        let ha1 = DigestHash(username: bytes[credentials.username], realm: realm.span.bytes, password: password)
        return verify(credentials, in: bytes, method: method, device: device, ha1: ha1, at: now)
    }

    /// The device's registration is gone: its nonce may not be used again. It is remembered until it would be too old
    /// anyhow, so that nobody can answer with it once more.
    public mutating func forget(_ device: UInt64, at now: Instant) {
        reviewDevices(at: now)
        guard var entry = devices.entry(of: device), !entry.isReleased else { return }
        entry.isReleased = true
        devices.set(entry)
        devices.review(device, at: reviewTime(of: entry))
    }

    /// Forgets all devices. Nonces given before are void, so that what they answered cannot be used again.
    public mutating func reset(secret: HashSecret, at now: Instant) {
        devices = DeviceLedger()
        nonces = NonceSource(secret: secret, start: now)
    }

    private func fault(of credentials: DigestParameters, in bytes: RawSpan, _ algorithm: DigestAlgorithm) -> DigestVerdict.Fault? {
        if credentials.username.isEmpty { return .username }
        if credentials.uri.isEmpty { return .uri }
        if credentials.qop.isEmpty {
            if settings.requiresQop { return .qop }
            return algorithm == .md5Session && credentials.cnonce.isEmpty ? .cnonce : nil
        }
        guard bytes[credentials.qop].equalsIgnoringCase("auth") else { return .qop }
        guard credentials.nonceCount.count == 8, bytes[credentials.nonceCount].hexadecimalNumber != nil else { return .nonceCount }
        return credentials.cnonce.isEmpty ? .cnonce : nil
    }

    /// `.max` without qop.
    private func nonceCount(of credentials: DigestParameters, in bytes: RawSpan) -> UInt32 {
        guard !credentials.qop.isEmpty, let count = bytes[credentials.nonceCount].hexadecimalNumber else { return .max }
        return UInt32(truncatingIfNeeded: count)
    }

    private func isUsable(_ stamp: UInt64, _ count: UInt32, by device: UInt64, at now: Instant) -> Bool {
        if let entry = devices.entry(of: device) {
            if stamp < entry.stamp { return false }
            if stamp == entry.stamp { return !entry.isReleased && count != .max && count > entry.nonceCount }
        }
        return now <= nonces.time(of: stamp) + settings.challengeLifetime
    }

    private mutating func noteSuccess(of device: UInt64, _ stamp: UInt64, _ count: UInt32) {
        devices.set(DeviceLedger.Entry(key: device, stamp: stamp, nonceCount: count))
    }

    /// The count ends with the challenge that answers this failure.
    private mutating func noteFailure(of device: UInt64, at now: Instant) -> DigestVerdict {
        var entry = devices.entry(of: device) ?? DeviceLedger.Entry(key: device)
        if now >= entry.failuresEnd { entry.failures = 0 }
        let isRefused = Int(entry.failures) >= settings.allowedFailures
        entry.failures = isRefused ? 0 : entry.failures + 1
        entry.failuresEnd = now + settings.challengeLifetime
        devices.set(entry)
        devices.review(device, at: reviewTime(of: entry))
        return isRefused ? .refused : .wrong
    }

    /// Drops what needs no longer be remembered: a little at each call, more than each call adds.
    private mutating func reviewDevices(at now: Instant) {
        for _ in 0..<3 {
            guard let entry = devices.nextDue(at: now) else { return }
            if now > reviewTime(of: entry) {
                if entry.stamp == 0 || entry.isReleased { devices.remove(entry.key) }
            } else {
                devices.review(entry.key, at: reviewTime(of: entry))
            }
        }
    }

    /// The last moment at which wrong answers count, or a nonce out of use must still be known.
    private func reviewTime(of entry: DeviceLedger.Entry) -> Instant {
        let nonceEnd = entry.stamp > 0 ? nonces.time(of: entry.stamp) + settings.challengeLifetime : .zero
        return max(entry.failuresEnd, nonceEnd)
    }
}

// MARK: Authentication-Info

extension DigestAuthenticator {
    /// Writes Authentication-Info (RFC 2617 §3.2.3), by which the server shows that it knows the password too. Credentials
    /// without qop are too old for it: nothing is written.
    ///
    /// - Parameters:
    ///   - credentials: those that were accepted.
    ///   - offersNextNonce: whether to name a new nonce, to be used within the life of a challenge.
    public mutating func appendAuthenticationInfo(
        for credentials: DigestParameters, in bytes: RawSpan, ha1: DigestHash, offersNextNonce: Bool = false, at now: Instant,
        into buffer: inout OctetBuffer
    ) {
        guard !credentials.qop.isEmpty, let algorithm = DigestAlgorithm(bytes[credentials.algorithm]) else { return }
        buffer.append(HeaderName.authenticationInfo.text)
        buffer.append(": ")
        if offersNextNonce {
            buffer.append("nextnonce=\"")
            buffer.appendNonce(nonces.next(at: now), nonces)
            buffer.append("\", ")
        }
        buffer.append("qop=auth, rspauth=\"")
        buffer.append(hasher.answer(bytes.digestParts(credentials, algorithm), method: RawSpan(), ha1: ha1))
        buffer.append("\", cnonce=\"")
        buffer.append(bytes[credentials.cnonce])
        buffer.append("\", nc=")
        buffer.append(bytes[credentials.nonceCount])
        buffer.append("\r\n")
    }
}

extension RawSpan {
    @_lifetime(copy self)
    fileprivate func digestParts(_ credentials: DigestParameters, _ algorithm: DigestAlgorithm) -> DigestHasher.Parts {
        DigestHasher.Parts(
            algorithm: algorithm, nonce: self[credentials.nonce], uri: self[credentials.uri],
            nonceCount: credentials.qop.isEmpty ? RawSpan() : self[credentials.nonceCount], cnonce: self[credentials.cnonce])
    }
}

extension OctetBuffer {
    /// Text as it stands between quotes (RFC 3261 §25.1, quoted-pair).
    mutating func appendEscaped(_ text: RawSpan) {
        for i in 0..<text.byteCount {
            if text[i] == 0x22 || text[i] == 0x5C { append(byte: 0x5C) }
            append(byte: text[i])
        }
    }
}
