import SIPMessage
import SansIO

@testable import SIPRegistrar

/// A server that verifies, with a clock, and clients that answer it.
final class DigestRig {
    var authenticator: DigestAuthenticator
    var now = Instant(nanoseconds: 9_000_000_000)

    init(
        realm: String = "home1.test", allowedFailures: Int = 3, requiresQop: Bool = false, functions: [DigestFunction] = [.md5],
        qops: [DigestQop] = [.auth]
    ) {
        let settings = DigestSettings(
            realm: Array(realm.utf8), allowedFailures: allowedFailures, requiresQop: requiresQop, functions: functions, qops: qops)
        authenticator = DigestAuthenticator(settings: settings, secret: HashSecret(3, 4), start: now)
    }

    func pass(_ seconds: Int) { now = now + .seconds(seconds) }

    /// The value of a new challenge; of several the first.
    func challenge(_ header: HeaderName = .wwwAuthenticate, isStale: Bool = false) -> String {
        challenges(header, isStale: isStale)[0]
    }

    /// The values of new challenges, in their order.
    func challenges(_ header: HeaderName = .wwwAuthenticate, isStale: Bool = false) -> [String] {
        var buffer = OctetBuffer()
        authenticator.appendChallenge(header, isStale: isStale, at: now, into: &buffer)
        return String(octets: buffer.bytes).split(separator: "\r\n").map { DigestRig.value($0 + "\r\n", of: header) }
    }

    func verify(
        _ credentials: String, method: String = "REGISTER", body: String = "", device: UInt64 = 1, password: String = "wonderland"
    ) -> DigestVerdict {
        let bytes = Array(credentials.utf8)
        guard let parameters = bytes.span.bytes.digestParameters(Slice(0, bytes.count)) else { fatalError("not Digest: \(credentials)") }
        return authenticator.verify(
            parameters, in: bytes.span.bytes, method: Array(method.utf8).span.bytes, body: Array(body.utf8).span.bytes, device: device,
            password: Array(password.utf8).span.bytes, at: now)
    }

    func authenticationInfo(for credentials: String, password: String = "wonderland", offersNextNonce: Bool = false) -> String {
        let bytes = Array(credentials.utf8)
        guard let parameters = bytes.span.bytes.digestParameters(Slice(0, bytes.count)) else { fatalError("not Digest: \(credentials)") }
        let ha1 = DigestHash(
            username: bytes.span.bytes[parameters.username], realm: bytes.span.bytes[parameters.realm],
            password: Array(password.utf8).span.bytes, by: DigestAlgorithm(bytes.span.bytes[parameters.algorithm])?.function ?? .md5)
        var buffer = OctetBuffer()
        authenticator.appendAuthenticationInfo(
            for: parameters, in: bytes.span.bytes, ha1: ha1, offersNextNonce: offersNextNonce, at: now, into: &buffer)
        return String(octets: buffer.bytes)
    }

    func forget(_ device: UInt64 = 1) { authenticator.forget(device, at: now) }
    var deviceCount: Int { authenticator.deviceCount }

    /// What a client answers; nil: it cannot.
    static func answer(
        _ challenge: String, username: String = "alice@home1.test", password: String = "wonderland", method: String = "REGISTER",
        uri: String = "sip:home1.test", body: String = "", count: UInt32 = 1
    ) -> String? {
        let bytes = Array(challenge.utf8)
        guard let parameters = bytes.span.bytes.digestParameters(Slice(0, bytes.count)) else { fatalError("not Digest: \(challenge)") }
        var buffer = OctetBuffer()
        let isWritten = DigestClient.appendAuthorization(
            answering: parameters, in: bytes.span.bytes, username: Array(username.utf8).span.bytes,
            password: Array(password.utf8).span.bytes, method: Array(method.utf8).span.bytes, uri: Array(uri.utf8).span.bytes,
            body: Array(body.utf8).span.bytes, nonceCount: count, cnonce: 0xC0FF_EE00_0000_0001, into: &buffer)
        return isWritten ? value(String(octets: buffer.bytes), of: .authorization) : nil
    }

    private static func value(_ field: String, of header: HeaderName) -> String {
        let name = "\(header.text): "
        guard field.hasPrefix(name), field.hasSuffix("\r\n") else { fatalError("not a \(name)field: \(field)") }
        return String(field.dropFirst(name.count).dropLast())
    }
}

extension String {
    /// With one parameter written otherwise.
    func replacing(_ name: String, by value: String) -> String {
        split(separator: ", ").map { $0.hasPrefix(name + "=") ? "\(name)=\(value)" : String($0) }.joined(separator: ", ")
    }

    /// Without one parameter.
    func removing(_ name: String) -> String {
        split(separator: ", ").filter { !$0.hasPrefix(name + "=") }.joined(separator: ", ")
    }
}
