import SIPMessage
import SansIO

@testable import SIPRegistrar

/// A home network that challenges, with a clock, and SIMs that answer it.
final class AKARig {
    static let credentials = AKACredentials(
        k: 0x465B_5CE8_B199_B49F_AA5F_0A2E_E238_A6BC, op: 0xCDC2_02D5_123E_20F6_2B6D_676A_C72C_B318, amf: 0xB9B9,
        sqn: SequenceNumber(rawValue: 0))

    var authenticator: AKAAuthenticator
    var now = Instant(nanoseconds: 9_000_000_000)
    /// The marks that were to be stored, in their order.
    private(set) var marks: [SequenceNumber] = []

    init(_ algorithms: [AKAAlgorithm] = [.v1MD5], qops: [DigestQop] = [.auth], limit: Int = 100) {
        authenticator = AKAAuthenticator(
            settings: AKASettings(realm: Array("home1.test".utf8), algorithms: algorithms, qops: qops, challengeLimit: limit),
            secret: HashSecret(5, 6))
    }

    func pass(_ seconds: Int) { now = now + .seconds(seconds) }

    /// The values of a new challenge, in their order.
    func challenges(_ device: UInt64 = 1, isStale: Bool = false, isOutdated: Bool = false, showsKeys: Bool = false) -> [String] {
        var buffer = OctetBuffer()
        let mark = authenticator.appendChallenge(
            to: device, with: AKARig.credentials, callID: Array("call-\(device)".utf8).span.bytes, isStale: isStale, isOutdated: isOutdated,
            showsKeys: showsKeys, at: now, into: &buffer)
        if let mark { marks.append(mark) }
        return String(octets: buffer.bytes).split(separator: "\r\n").map { String($0.dropFirst("WWW-Authenticate: ".count)) }
    }

    func challenge(_ device: UInt64 = 1) -> String { challenges(device)[0] }

    func verify(_ credentials: String, device: UInt64 = 1) -> AKAVerdict {
        let bytes = Array(credentials.utf8)
        guard let parameters = bytes.span.bytes.digestParameters(Slice(0, bytes.count)) else { fatalError("not Digest: \(credentials)") }
        return authenticator.verify(
            parameters, in: bytes.span.bytes, method: Array("REGISTER".utf8).span.bytes, body: RawSpan(), device: device,
            keys: AKARig.credentials, at: now)
    }

    /// What a SIM answers; nil: it cannot.
    static func answer(_ challenge: String, by sim: inout USIM) -> (text: String, outcome: DigestClient.AKAOutcome)? {
        let bytes = Array(challenge.utf8)
        guard let parameters = bytes.span.bytes.digestParameters(Slice(0, bytes.count)) else { fatalError("not Digest: \(challenge)") }
        var buffer = OctetBuffer()
        let outcome = DigestClient.appendAuthorization(
            answering: parameters, in: bytes.span.bytes, username: Array("alice@home1.test".utf8).span.bytes, sim: &sim,
            method: Array("REGISTER".utf8).span.bytes, uri: Array("sip:home1.test".utf8).span.bytes, cnonce: 0xC0FF_EE00_0000_0001,
            into: &buffer)
        return outcome.map { (String(String(octets: buffer.bytes).dropFirst("Authorization: ".count).dropLast()), $0) }
    }
}
