// Digest credentials of a user (RFC 2617 as TS 24.229 §5.4.1.2.1B and §5.4.3.2 use it): finding whose they are, and what a
// wrong answer leads to.

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
import SansIO

enum CredentialCheck {
    /// With the number of the private identity that they belong to, and what proved it if they were checked.
    case accepted(device: UInt16, proof: DigestProof?)
    /// To be challenged for the SIM of a private identity, or for a password.
    case challenge(isStale: Bool, sim: IdentityReference = .none)
    case refused(UInt16, String)
}

/// Credentials that were found right.
struct DigestProof: BitwiseCopyable {
    var credentials: DigestParameters
    var ha1: DigestHash
}

/// What of a request credentials may protect: its method and Request-URI, and with qop auth-int its body (RFC 7616 §3.4.3).
struct ProtectedRequest: ~Escapable {
    let bytes: RawSpan
    let method: RawSpan
    let uri: RawSpan
    let body: RawSpan

    @_lifetime(copy request)
    init(_ request: borrowing Message) {
        bytes = request.bytes
        method = request[request.shape.methodName]
        uri = request[request.shape.requestURI]
        body = request.body
    }
}

extension ServingCSCF {
    /// Checks the credentials for our realm in `header` against the passwords of a subscriber.
    mutating func checkCredentials(
        _ header: HeaderName, of subscriber: UInt32, _ arrival: Arrival, _ request: borrowing Message, at now: Now
    ) -> CredentialCheck {
        checkPassword(credentials(header, in: request), of: subscriber, arrival, ProtectedRequest(request), at: now)
    }

    /// Checks credentials for our realm, if there are any, against the passwords of a subscriber.
    mutating func checkPassword(
        _ given: DigestParameters?, of subscriber: UInt32, _ arrival: Arrival, _ request: ProtectedRequest, at now: Now
    ) -> CredentialCheck {
        let bytes = request.bytes
        guard let credentials = given else { return .challenge(isStale: false) }
        // The first REGISTER of a UE carries its name with an empty nonce (TS 24.229 §5.1.1.2.3).
        let isFirst = credentials.nonce.isEmpty || credentials.response.isEmpty
        guard credentials.hasName else {
            return isFirst ? .challenge(isStale: false) : .refused(400, "\(DigestVerdict.Fault.username.text)")
        }
        guard let device = privateIdentity(credentials, of: subscriber, in: bytes), device.subscriber == subscriber else {
            return .refused(403, "the private identity does not belong to the user")
        }
        if isFirst { return .challenge(isStale: false) }
        guard nameUs(credentials.uri, arrival, request) else {
            return .refused(400, "the uri of the credentials is not the Request-URI, the domain or a listener")
        }
        scratch.removeAll()
        guard directory.appendPassword(device, into: &scratch) else {
            return .refused(403, "the private identity has no password")
        }
        guard let algorithm = digest.algorithm(of: credentials, in: bytes) else { return .challenge(isStale: false) }
        let ha1: DigestHash
        if credentials.isNamedPlainly(in: bytes) {
            ha1 = DigestHash(
                username: bytes[credentials.username], realm: configuration.domain.span.bytes, password: scratch.bytes,
                by: algorithm.function)
        } else {
            let password = [UInt8](scratch.bytes)
            var name = OctetBuffer(capacity: 128)
            guard appendHashedName(credentials, of: subscriber, in: bytes, into: &name) else { return .challenge(isStale: false) }
            ha1 = DigestHash(
                username: name.bytes, realm: configuration.domain.span.bytes, password: password.span.bytes, by: algorithm.function)
        }
        switch digest.verify(
            credentials, by: algorithm, in: bytes, method: request.method, body: request.body, device: deviceKey(device), ha1: ha1,
            at: now.monotonic)
        {
        case .accepted: return .accepted(device: device.identity, proof: DigestProof(credentials: credentials, ha1: ha1))
        case .stale: return .challenge(isStale: true)
        case .absent, .wrong: return .challenge(isStale: false)
        case .refused: return .refused(403, "too many wrong answers")
        case .malformed(let fault): return .refused(400, "\(fault.text)")
        }
    }

    func deviceKey(_ device: IdentityReference) -> UInt64 { UInt64(device.subscriber) << 16 | UInt64(device.identity) }

    /// The first credentials of the Digest scheme for our realm; others are not for us (RFC 3261 §22.3).
    func credentials(_ header: HeaderName, in request: borrowing Message) -> DigestParameters? {
        var index = request.firstIndex(of: header)
        while let i = index {
            if let parameters = request.bytes.digestParameters(request.fields[i].value),
                request[parameters.realm].equalsIgnoringCase(configuration.domain.span.bytes)
            {
                return parameters
            }
            index = request.nextIndex(after: i)
        }
        return nil
    }

    /// Whose private identity a username is; one without a domain stands for the one in ours.
    mutating func privateIdentity(_ username: Slice, in bytes: RawSpan) -> IdentityReference? {
        scratch.removeAll()
        scratch.append(bytes[username])
        if bytes[username].firstOffset(of: 0x40) == nil {
            scratch.append(byte: 0x40)
            scratch.append(configuration.domain)
        }
        return directory.privateIdentity(scratch.bytes)
    }

    /// Whether the digest uri is the Request-URI, or names the domain or a listener of ours: clients that know only where
    /// they send to write that, and it was hashed as it stands.
    func nameUs(_ uri: Slice, _ arrival: Arrival, _ request: ProtectedRequest) -> Bool {
        let bytes = request.bytes
        if bytes[uri].equals(request.uri) { return true }
        guard let parsed = bytes.uri(uri), parsed.isSIP else { return false }
        if own.isOurs(parsed, in: bytes) { return true }
        guard let requestURI = arrival.essentials.requestURI else { return false }
        // The same user and host; a port that one of them leaves out does not matter.
        return bytes[parsed.user].equals(bytes[requestURI.user]) && bytes[parsed.host].equalsIgnoringCase(bytes[requestURI.host])
            && (parsed.port == requestURI.port || parsed.port == 0 || requestURI.port == 0)
    }
}
