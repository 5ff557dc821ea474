// The SIM's part of AKA (TS 33.102 §6.3.3, §6.3.5 and Annex C.2): believing the network, answering it, and telling it that
// its sequence number is old.

public import SIPMessage
public import SansIO

/// A SIM (a USIM or an ISIM): keys and the sequence numbers that it has accepted.
public struct USIM: Sendable {
    /// What a SIM says to a challenge.
    enum Answer: Equatable, Sendable {
        case response(res: UInt64, ck: UInt128, ik: UInt128)
        /// The number is not fresh; AUTS is to be made of the highest that was accepted.
        case old(SequenceNumber)
        /// The network does not have the key.
        case notProved
    }

    private let credentials: AKACredentials
    /// The last SEQ accepted for each IND, and the number that was the highest of all.
    private var accepted: [UInt64]
    private var highest: SequenceNumber

    /// - Parameter credentials: keys, and the highest sequence number accepted so far.
    public init(_ credentials: AKACredentials) {
        self.credentials = credentials
        highest = credentials.sqn
        accepted = Array(repeating: credentials.sqn.sequence, count: SequenceNumber.indexCount)
    }

    mutating func answer(rand: UInt128, autn: UInt128) -> Answer {
        let milenage = credentials.milenage
        let (res, ck, ik, ak) = milenage.keys(rand: rand)
        let number = SequenceNumber(rawValue: UInt64(truncatingIfNeeded: autn >> 80) ^ ak)
        let amf = UInt16(truncatingIfNeeded: autn >> 64)
        guard milenage.codes(rand: rand, sqn: number.rawValue, amf: amf).mac == UInt64(truncatingIfNeeded: autn) else { return .notProved }
        guard isFresh(number) else { return .old(highest) }
        accepted[number.index] = number.sequence
        if number.sequence > highest.sequence { highest = number }
        return .response(res: res, ck: ck, ik: ik)
    }

    /// Annex C.2.2: later than the last of its index, and not too far ahead of all.
    private func isFresh(_ number: SequenceNumber) -> Bool {
        guard number.sequence > accepted[number.index] else { return false }
        return number.sequence <= highest.sequence || number.sequence - highest.sequence <= SequenceNumber.farthestRise
    }

    /// Writes AUTS for a challenge, in base64.
    fileprivate func appendAUTS(_ number: SequenceNumber, rand: UInt128, into buffer: inout OctetBuffer) {
        var auts = OctetBuffer(capacity: 64)
        credentials.appendAUTS(number, rand: rand, into: &auts)
        buffer.append(base64: auts.bytes)
    }
}

extension DigestClient {
    /// What an answer to a challenge of AKA came to.
    public enum AKAOutcome: Hashable, Sendable {
        case answered
        /// The SIM finds the challenge old and asks for another.
        case resynchronising
        /// The SIM finds that the network does not have its key; what was written says so.
        case notProved
    }

    /// Whether a challenge can be answered with a SIM.
    public static func canAnswerWithSIM(_ challenge: DigestParameters, in bytes: RawSpan) -> Bool {
        AKAAlgorithm(bytes[challenge.algorithm]) != nil && !challenge.realm.isEmpty
            && (challenge.qop.isEmpty || bytes.offeredQop(challenge.qop) != nil) && vector(of: challenge, in: bytes) != nil
    }

    /// Writes the credentials that answer a challenge of AKA (RFC 3310 §3.3, §3.4); each is answered once.
    ///
    /// - Parameters: as for a password, with the SIM in its place.
    /// - Returns: nil, with nothing written: the challenge cannot be answered.
    public static func appendAuthorization(
        answering challenge: DigestParameters, in bytes: RawSpan, username: RawSpan, sim: inout USIM, method: RawSpan, uri: RawSpan,
        cnonce: UInt64, into buffer: inout OctetBuffer
    ) -> AKAOutcome? {
        guard canAnswerWithSIM(challenge, in: bytes), let algorithm = AKAAlgorithm(bytes[challenge.algorithm]),
            let (rand, autn) = vector(of: challenge, in: bytes)
        else { return nil }
        var password = OctetBuffer(capacity: 64)
        var auts = OctetBuffer(capacity: 64)
        let answer = sim.answer(rand: rand, autn: autn)
        switch answer {
        case .response(let res, let ck, let ik): algorithm.appendPassword(res: res, ck: ck, ik: ik, into: &password)
        case .old(let number): sim.appendAUTS(number, rand: rand, into: &auts)
        case .notProved:
            var quoted = OctetBuffer(capacity: 128)
            quoted.appendEscaped(username)
            appendNames(.authorization, challenge, in: bytes, username: quoted.bytes, uri: uri, into: &buffer)
            appendChoice(challenge, in: bytes, into: &buffer)
            buffer.append("\r\n")
            return .notProved
        }
        appendAuthorization(
            .authorization, answering: challenge, by: algorithm.digest, in: bytes, username: username, password: password.bytes,
            method: method, uri: uri, body: RawSpan(), nonceCount: 1, cnonce: cnonce, into: &buffer)
        if auts.count > 0 {
            buffer.append(", auts=\"")
            buffer.append(auts.bytes)
            buffer.append("\"")
        }
        buffer.append("\r\n")
        return auts.count > 0 ? .resynchronising : .answered
    }

    /// RAND and AUTN in a nonce; what a server adds behind them is its own affair (RFC 3310 §3.2).
    private static func vector(of challenge: DigestParameters, in bytes: RawSpan) -> (rand: UInt128, autn: UInt128)? {
        var octets = OctetBuffer(capacity: 64)
        guard octets.append(decoding: bytes[challenge.nonce]), octets.count >= 32 else { return nil }
        return (octets.bytes.number(at: 0), octets.bytes.number(at: 16))
    }
}
