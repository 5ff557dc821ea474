// Digest authentication with AKA, the server's part (RFC 3310, RFC 4169, TS 33.203 §6.1): the home network makes a challenge
// of a random number and a sequence number, which proves it to the SIM, and the SIM's answer is the password of a digest.
//
// Each challenge is answered once. The SIM that finds its sequence number old says which one it has, and is challenged anew.

public import SIPMessage
public import SansIO

/// The settings of digest authentication with AKA.
public struct AKASettings: Sendable {
    /// The realm, without quotes.
    public let realm: [UInt8]
    /// What is offered, each by a challenge of its own, in this order.
    public let algorithms: [AKAAlgorithm]
    /// The qops of each challenge, in this order.
    public let qops: [DigestQop]
    /// How long a challenge may be answered (reg-await-auth, TS 24.229 table 7.8.1).
    public let challengeLifetime: TimeSpan
    /// How many challenges may wait for an answer at once; one more takes the place of the oldest.
    public let challengeLimit: Int

    /// - Parameters:
    ///   - algorithms: one at least.
    ///   - qops: one at least.
    public init(
        realm: [UInt8], algorithms: [AKAAlgorithm] = [.v1MD5], qops: [DigestQop] = [.auth], challengeLifetime: TimeSpan = .seconds(240),
        challengeLimit: Int = 65_536
    ) {
        precondition(!algorithms.isEmpty && !qops.isEmpty, "nothing to offer")
        self.realm = realm
        self.algorithms = algorithms
        self.qops = qops
        self.challengeLifetime = challengeLifetime
        self.challengeLimit = challengeLimit
    }
}

/// What became of credentials by AKA.
public enum AKAVerdict: BitwiseCopyable, Hashable, Sendable {
    /// The right answer to the challenge that waited.
    case accepted
    /// As if no credentials had been sent. To be challenged.
    case absent
    /// An answer to no challenge that waits. To be challenged with `stale=true`.
    case stale
    /// The SIM has named its sequence number. To be challenged, and the challenge will be new enough.
    case resynchronised
    /// 403.
    case refused(Reason)
    /// 400: the credentials break the grammar.
    case malformed(DigestVerdict.Fault)

    public enum Reason: UInt8, BitwiseCopyable, Hashable, Sendable, CaseIterable {
        case wrongAnswer, networkNotProved, wrongResynchronisation

        /// In words, for a Warning or a log.
        public var text: StaticString {
            switch self {
            case .wrongAnswer: "the answer to the challenge is wrong"
            case .networkNotProved: "the SIM does not believe the challenge: k, opc and amf must be the same here and there"
            case .wrongResynchronisation: "auts is not what a SIM with this key says to the challenge"
            }
        }
    }
}

public struct AKAAuthenticator: ~Copyable {
    public let settings: AKASettings
    /// The realm as it stands between quotes.
    private let realm: [UInt8]
    private let qops: DigestQops
    private let secret: HashSecret
    private var lastNumber: UInt64 = 0
    private var challenges: AKAChallenges
    private var numbers = SequenceNumbers()
    private var hasher = DigestHasher()

    /// - Parameter secret: makes the random numbers of challenges; drawn from the system's generator at start.
    public init(settings: AKASettings, secret: HashSecret) {
        self.settings = settings
        var quoted = OctetBuffer()
        quoted.appendEscaped(settings.realm.span.bytes)
        realm = [UInt8](quoted.bytes)
        qops = DigestQops(settings.qops)
        self.secret = secret
        challenges = AKAChallenges(limit: settings.challengeLimit)
    }

    /// Challenges that wait for an answer, and some that nobody has answered in time.
    public var challengeCount: Int { challenges.count }

    // MARK: Challenge

    /// Writes a new challenge for a device, once for each algorithm. What it had to answer before is void.
    ///
    /// - Parameters:
    ///   - device: the number of the private identity.
    ///   - callID: of the REGISTER that is challenged.
    ///   - isStale: whether the last answer was only to an old challenge.
    ///   - isOutdated: whether its sequence number is to be one that no SIM takes for fresh.
    ///   - showsKeys: whether to add the keys CK and IK for the security associations of an edge; never to a client. Only
    ///     the first version of AKA has use for them there.
    /// - Returns: what must be stored for the device as its sequence number; nil: what is stored will do.
    public mutating func appendChallenge(
        to device: UInt64, with credentials: AKACredentials, callID: RawSpan, isStale: Bool, isOutdated: Bool = false, showsKeys: Bool,
        at now: Instant, into buffer: inout OctetBuffer
    ) -> SequenceNumber? {
        // Zero is not later than anything (TS 33.102 Annex C.2.2).
        let (number, mark) = isOutdated ? (SequenceNumber(rawValue: 0), nil) : numbers.next(of: device, from: credentials.sqn)
        let vector = AuthenticationVector(credentials, rand: nextRandom(), sqn: number)
        challenges.keep(
            AKAChallenges.Challenge(device: device, vector: vector, callID: hash(callID), end: now + settings.challengeLifetime), at: now)
        for algorithm in settings.algorithms {
            buffer.append(HeaderName.wwwAuthenticate.text)
            buffer.append(": Digest realm=\"")
            buffer.append(realm)
            buffer.append("\", nonce=\"")
            buffer.appendNonce(vector)
            buffer.append(isStale ? "\", stale=true, algorithm=" : "\", algorithm=")
            buffer.append(algorithm.name)
            buffer.append(settings.qops)
            if showsKeys, algorithm == .v1MD5 { buffer.appendKeys(vector) }
            buffer.append("\r\n")
        }
        return mark
    }

    /// A number that nobody can guess.
    private mutating func nextRandom() -> UInt128 {
        lastNumber += 1
        var hasher = KeyHasher(secret)
        hasher.combine(lastNumber)
        let hash = hasher.finish()
        return UInt128(hash.high) << 64 | UInt128(hash.low)
    }

    private func hash(_ callID: RawSpan) -> UInt64 {
        var hasher = KeyHasher(secret)
        hasher.combine(callID)
        return hasher.finish().low
    }

    // MARK: Verification

    /// Verifies credentials for our realm.
    ///
    /// - Parameters:
    ///   - bytes: the octets that the credentials were read from.
    ///   - method: of the request. Whether the credentials' URI will do is the caller's question.
    ///   - body: of the request.
    ///   - device: the number of the private identity that `username` stands for.
    ///   - keys: of that private identity.
    public mutating func verify(
        _ credentials: DigestParameters, in bytes: RawSpan, method: RawSpan, body: RawSpan, device: UInt64, keys: AKACredentials,
        at now: Instant
    ) -> AKAVerdict {
        guard !credentials.nonce.isEmpty else { return .absent }
        // RAND and AUTN are the least that a nonce is made of, and AUTS has one length (RFC 3310 §3.2, §3.4).
        if !credentials.auts.isEmpty, bytes[credentials.nonce].base64Count ?? 0 < 32 || bytes[credentials.auts].base64Count != 14 {
            return .refused(.wrongResynchronisation)
        }
        guard let challenge = challenges.waiting(of: device, at: now), isNonce(bytes[credentials.nonce], of: challenge.vector) else {
            return .stale
        }
        guard !credentials.response.isEmpty else {
            challenges.remove(of: device)
            // A SIM that finds the network's code wrong answers nothing at all (TS 24.229 §5.1.1.5.3).
            return .refused(credentials.auts.isEmpty ? .networkNotProved : .wrongResynchronisation)
        }
        guard let algorithm = AKAAlgorithm(bytes[credentials.algorithm]), settings.algorithms.contains(algorithm) else { return .absent }
        if let fault = credentials.fault(in: bytes, algorithm.digest, qops, requiresQop: false) { return .malformed(fault) }
        guard let response = DigestHash(hexadecimal: bytes[credentials.response], by: algorithm.digest.function) else {
            return .malformed(.response)
        }
        challenges.remove(of: device)
        var password = OctetBuffer(capacity: 64)
        // A resynchronisation is asked for with an empty password (RFC 3310 §3.4).
        if credentials.auts.isEmpty {
            let vector = challenge.vector
            algorithm.appendPassword(res: vector.xres, ck: vector.ck, ik: vector.ik, into: &password)
        }
        let ha1 = DigestHash(
            username: bytes[credentials.username], realm: realm.span.bytes, password: password.bytes, by: algorithm.digest.function)
        let parts = bytes.digestParts(credentials, algorithm.digest, body: body)
        guard hasher.answer(parts, method: method, ha1: ha1).equalsInConstantTime(response) else { return .refused(.wrongAnswer) }
        return credentials.auts.isEmpty ? .accepted : resynchronise(bytes[credentials.auts], challenge.vector, device, keys)
    }

    /// TS 33.102 §6.3.5.
    private mutating func resynchronise(
        _ auts: RawSpan, _ vector: AuthenticationVector, _ device: UInt64, _ keys: AKACredentials
    ) -> AKAVerdict {
        var octets = OctetBuffer(capacity: 64)
        guard octets.append(decoding: auts), let number = keys.sequenceNumber(inAUTS: octets.bytes, rand: vector.rand) else {
            return .refused(.wrongResynchronisation)
        }
        // Where our next number will do, nothing goes back (§6.3.5 steps 2 to 4): AUTS may answer a challenge of long ago.
        if !numbers.isFresh(of: device, after: number) { numbers.set(number, of: device) }
        return .resynchronised
    }

    private func isNonce(_ nonce: RawSpan, of vector: AuthenticationVector) -> Bool {
        var own = OctetBuffer(capacity: 64)
        own.appendNonce(vector)
        return nonce.equals(own.bytes)
    }

    /// Whether a device has a challenge to answer, and whether that was given to a REGISTER with this Call-ID.
    public func isAwaiting(_ device: UInt64, callID: RawSpan, at now: Instant) -> (isAwaiting: Bool, isSameCall: Bool) {
        guard let challenge = challenges.waiting(of: device, at: now) else { return (false, false) }
        return (true, challenge.callID == hash(callID))
    }

    // MARK: What lasts

    /// Goes on from what was stored of a device.
    public mutating func restore(_ number: SequenceNumber, of device: UInt64) { numbers.set(number, of: device) }

    /// A device has another SIM, or what is known of its SIM is wrong: its numbers begin where its credentials say.
    public mutating func forget(_ device: UInt64) {
        challenges.remove(of: device)
        numbers.remove(of: device)
    }

    /// A device with the same SIM has another number from now on: its sequence numbers go on, and what it had to answer is void.
    public mutating func move(_ device: UInt64, to other: UInt64) {
        challenges.remove(of: device)
        challenges.remove(of: other)
        numbers.move(device, to: other)
    }

    /// What was to be stored is not: it will be asked for again.
    public mutating func commitFailed() { numbers.loseMarks() }

    /// Forgets the challenges. The sequence numbers belong to the SIMs, and stay.
    public mutating func reset() { challenges.removeAll() }
}

extension RawSpan {
    /// How many octets a text in base64 stands for; nil: it is none.
    fileprivate var base64Count: Int? {
        var octets = OctetBuffer(capacity: 64)
        return octets.append(decoding: self) ? octets.count : nil
    }
}

extension OctetBuffer {
    /// RAND and AUTN in base64 (RFC 3310 §3.2).
    fileprivate mutating func appendNonce(_ vector: AuthenticationVector) {
        var octets = OctetBuffer(capacity: 64)
        octets.append(octetsOf: vector.rand)
        octets.append(octetsOf: vector.autn)
        append(base64: octets.bytes)
    }

    /// The keys for an edge (TS 24.229 §5.4.1.2.1A, §7.2A.1).
    fileprivate mutating func appendKeys(_ vector: AuthenticationVector) {
        append(", ik=\"")
        appendHex(UInt64(truncatingIfNeeded: vector.ik >> 64))
        appendHex(UInt64(truncatingIfNeeded: vector.ik))
        append("\", ck=\"")
        appendHex(UInt64(truncatingIfNeeded: vector.ck >> 64))
        appendHex(UInt64(truncatingIfNeeded: vector.ck))
        append("\"")
    }
}
