// Digest authentication, the server's part (RFC 2617, RFC 7616, RFC 8760, RFC 3261 §22). Nonces are not stored; what is stored is
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
    /// What is offered, each by a challenge of its own, in this order (RFC 8760 §2.4). An answer by another counts as none.
    public let functions: [DigestFunction]
    /// The qops of each challenge, in this order.
    public let qops: [DigestQop]
    /// Whether challenges say that a hash will do in place of the user name (RFC 7616 §3.4.4).
    public let offersUserHash: Bool

    /// - Parameters:
    ///   - functions: one at least.
    ///   - qops: one at least.
    public init(
        realm: [UInt8], challengeLifetime: TimeSpan = .seconds(240), allowedFailures: Int = 3, requiresQop: Bool = false,
        functions: [DigestFunction] = [.md5], qops: [DigestQop] = [.auth], offersUserHash: Bool = false
    ) {
        precondition(!functions.isEmpty && !qops.isEmpty, "nothing to offer")
        self.realm = realm
        self.challengeLifetime = challengeLifetime
        self.allowedFailures = min(max(allowedFailures, 0), 254)
        self.requiresQop = requiresQop
        self.functions = functions
        self.qops = qops
        self.offersUserHash = offersUserHash
    }
}

public struct DigestAuthenticator: ~Copyable {
    public let settings: DigestSettings
    /// The realm as it stands between quotes.
    private let realm: [UInt8]
    /// The end of each challenge, behind the nonce, and what they offer as sets.
    private var offers = TextList()
    private let functions: UInt8
    private let qops: DigestQops
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
        functions = settings.functions.reduce(0) { $0 | $1.mask }
        qops = DigestQops(settings.qops)
        for function in settings.functions {
            offers.add { text in
                text.append(", algorithm=")
                text.append(function.name)
                text.append(settings.qops)
                text.append(settings.offersUserHash ? ", userhash=true\r\n" : "\r\n")
            }
        }
        nonces = NonceSource(secret: secret, start: start)
    }

    /// Devices of which something is remembered: at most those that have credentials.
    public var deviceCount: Int { devices.count }

    // MARK: Challenge

    /// Writes a challenge for each function that is offered, all with one new nonce.
    ///
    /// - Parameters:
    ///   - header: WWW-Authenticate (with 401) or Proxy-Authenticate (with 407).
    ///   - isStale: whether the last answer only had too old a nonce, so that the client need not ask for the password.
    public mutating func appendChallenge(
        _ header: HeaderName = .wwwAuthenticate, isStale: Bool = false, at now: Instant, into buffer: inout OctetBuffer
    ) {
        let nonce = nonces.next(at: now)
        for number in 0..<settings.functions.count {
            buffer.append(header.text)
            buffer.append(": Digest realm=\"")
            buffer.append(realm)
            buffer.append("\", nonce=\"")
            buffer.appendNonce(nonce, nonces)
            buffer.append(isStale ? "\", stale=true" : "\"")
            offers.append(number, into: &buffer)
        }
    }

    // MARK: Verification

    /// By which algorithm credentials were computed; nil: by one that was not offered.
    public func algorithm(of credentials: DigestParameters, in bytes: RawSpan) -> DigestAlgorithm? {
        guard let algorithm = DigestAlgorithm(bytes[credentials.algorithm]), functions & algorithm.function.mask != 0 else { return nil }
        return algorithm
    }

    /// Verifies credentials, and counts.
    ///
    /// - Parameters:
    ///   - algorithm: theirs.
    ///   - bytes: the octets that the credentials were read from.
    ///   - method: of the request. Its URI is taken as the credentials have it; whether that one will do is the caller's
    ///     question.
    ///   - body: of the request.
    ///   - device: the number of the private identity that `username` stands for.
    ///   - ha1: of the user name as it was sent, the realm and the password, by the algorithm's function.
    public mutating func verify(
        _ credentials: DigestParameters, by algorithm: DigestAlgorithm, in bytes: RawSpan, method: RawSpan, body: RawSpan, device: UInt64,
        ha1: DigestHash, at now: Instant
    ) -> DigestVerdict {
        reviewDevices(at: now)
        guard bytes[credentials.realm].equals(realm), !credentials.nonce.isEmpty, !credentials.response.isEmpty else { return .absent }
        if let fault = credentials.fault(in: bytes, algorithm, qops, requiresQop: settings.requiresQop) { return .malformed(fault) }
        guard let response = DigestHash(hexadecimal: bytes[credentials.response], by: algorithm.function) else {
            return .malformed(.response)
        }
        let count = nonceCount(of: credentials, in: bytes)
        guard let stamp = nonces.stamp(of: bytes[credentials.nonce]), isUsable(stamp, count, by: device, at: now) else { return .stale }
        let parts = bytes.digestParts(credentials, algorithm, body: body)
        guard hasher.answer(parts, method: method, ha1: ha1).equalsInConstantTime(response) else {
            return noteFailure(of: device, at: now)
        }
        noteSuccess(of: device, stamp, count)
        return .accepted
    }

    /// As `verify` with the password itself.
    public mutating func verify(
        _ credentials: DigestParameters, in bytes: RawSpan, method: RawSpan, body: RawSpan = RawSpan(), device: UInt64, password: RawSpan,
        at now: Instant
    ) -> DigestVerdict {
        guard let algorithm = algorithm(of: credentials, in: bytes) else { return .absent }
        let ha1 = DigestHash(
            username: bytes[credentials.username], realm: realm.span.bytes, password: password, by: algorithm.function)
        return verify(credentials, by: algorithm, in: bytes, method: method, body: body, device: device, ha1: ha1, at: now)
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

    /// The device's credentials are others now, or its number is: no nonce that was made so far may be answered with them.
    public mutating func voidNonces(of device: UInt64, at now: Instant) {
        reviewDevices(at: now)
        guard nonces.last > 0 else { return }
        var entry = devices.entry(of: device) ?? DeviceLedger.Entry(key: device)
        entry.stamp = nonces.last
        entry.isReleased = true
        devices.set(entry)
        devices.review(device, at: reviewTime(of: entry))
    }

    /// Forgets all devices. Nonces given before are void, so that what they answered cannot be used again.
    public mutating func reset(secret: HashSecret, at now: Instant) {
        devices = DeviceLedger()
        nonces = NonceSource(secret: secret, start: now)
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
        let isProtected = DigestQop(bytes[credentials.qop]) == .authInt
        buffer.append(isProtected ? "qop=auth-int, rspauth=\"" : "qop=auth, rspauth=\"")
        // Our answer has no body.
        buffer.append(hasher.answer(bytes.digestParts(credentials, algorithm, body: RawSpan()), method: RawSpan(), ha1: ha1))
        buffer.append("\", cnonce=\"")
        buffer.append(bytes[credentials.cnonce])
        buffer.append("\", nc=")
        buffer.append(bytes[credentials.nonceCount])
        buffer.append("\r\n")
    }
}

extension DigestParameters {
    /// What is wrong with the form of an answer.
    func fault(in bytes: RawSpan, _ algorithm: DigestAlgorithm, _ offered: DigestQops, requiresQop: Bool) -> DigestVerdict.Fault? {
        // RFC 7616 §3.4: one of the two.
        if username.isEmpty == extendedUsername.isEmpty { return .username }
        if uri.isEmpty { return .uri }
        if qop.isEmpty {
            if requiresQop { return .qop }
            return algorithm.isSession && cnonce.isEmpty ? .cnonce : nil
        }
        guard let named = DigestQop(bytes[qop]), offered.contains(named) else { return .qop }
        guard nonceCount.count == 8, bytes[nonceCount].hexadecimalNumber != nil else { return .nonceCount }
        return cnonce.isEmpty ? .cnonce : nil
    }
}

extension RawSpan {
    /// The parts of an answer in this message.
    @_lifetime(copy self, copy body)
    func digestParts(_ credentials: DigestParameters, _ algorithm: DigestAlgorithm, body: RawSpan) -> DigestHasher.Parts {
        DigestHasher.Parts(
            isSession: algorithm.isSession, nonce: self[credentials.nonce], uri: self[credentials.uri],
            nonceCount: credentials.qop.isEmpty ? RawSpan() : self[credentials.nonceCount], cnonce: self[credentials.cnonce],
            qop: credentials.qop.isEmpty ? .auth : DigestQop(self[credentials.qop]) ?? .auth, body: body)
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
