// Whether a REGISTER comes from whom it names, and by which way of authentication that is shown (TS 24.229 §5.4.1.1): an edge
// that has seen to it, the SIM, the password, the address, or nothing at all.

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
import SansIO

extension ServingCSCF {
    /// The user is the one in To; the private identity that in the credentials, or derived from To (TS 24.229 §5.4.1.1).
    mutating func authenticate(
        _ user: IdentityReference, _ given: DigestParameters?, _ arrival: Arrival, _ request: ProtectedRequest, at now: Now,
        into effects: inout Effects
    ) -> CredentialCheck {
        let bytes = request.bytes
        if vouches, vouchedFor[arrival.flow.remote]?.subscriber == user.subscriber {
            let device = given.flatMap { $0.hasName ? privateIdentity($0, of: user.subscriber, in: bytes) : nil }
            return .accepted(device: device?.subscriber == user.subscriber ? device?.identity ?? 0 : 0, proof: nil)
        }
        guard directory.isAuthenticated(user.subscriber) else { return believeUnasked(given, user, arrival, in: bytes) }
        if let given, !given.integrityProtected.isEmpty {
            if let verdict = believeEdge(given, user, arrival, in: bytes, at: now) { return verdict }
        }
        if directory.hasSIMs {
            let claimed = claimedDevice(given, user, arrival, in: bytes)
            if claimed.isNone, directory.isAKAOnly(user.subscriber) {
                return .refused(403, "the private identity does not belong to the user")
            }
            if let keys = directory.sim(of: claimed) {
                return checkSIM(given, claimed, keys, arrival, request, at: now, into: &effects)
            }
        }
        if arrival.flow.transport.isSecure, let device = boundDevice(given, user, arrival, in: bytes) {
            return .accepted(device: device.identity, proof: nil)
        }
        let verdict = checkPassword(given, of: user.subscriber, arrival, request, at: now)
        if case .accepted(let device, _) = verdict {
            noteProof(of: IdentityReference(subscriber: user.subscriber, identity: device), into: &effects)
        }
        return verdict
    }

    /// Writes a new challenge to a REGISTER, for the SIM of a private identity or else for a password.
    mutating func appendChallenge(
        _ sim: IdentityReference, isStale: Bool, _ arrival: Arrival, in bytes: RawSpan, at now: Now, into effects: inout Effects
    ) {
        guard let keys = directory.sim(of: sim) else {
            return digest.appendChallenge(.wwwAuthenticate, isStale: isStale, at: now.monotonic, into: &effects.wire.bytes)
        }
        let mark = aka.appendChallenge(
            to: deviceKey(sim), with: keys, callID: bytes[arrival.essentials.callID], isStale: isStale,
            isOutdated: misbehaviour == .staleSequenceNumber, showsKeys: isFromTrustedPeer(arrival), at: now.monotonic,
            into: &effects.wire.bytes)
        if configuration.isPersistent, let mark { persist(mark, of: sim, into: &effects) }
    }

    // MARK: No challenge

    private mutating func believeUnasked(
        _ given: DigestParameters?, _ user: IdentityReference, _ arrival: Arrival, in bytes: RawSpan
    ) -> CredentialCheck {
        guard directory.admits(user.subscriber, from: arrival.flow.remote.address) else {
            return .refused(403, "the user's address is another")
        }
        guard let given, given.hasName, let device = privateIdentity(given, of: user.subscriber, in: bytes) else {
            return .accepted(device: 0, proof: nil)
        }
        return device.subscriber == user.subscriber
            ? .accepted(device: device.identity, proof: nil) : .refused(403, "the private identity does not belong to the user")
    }

    // MARK: A TLS session

    /// The device that has proved itself on this TLS connection, if the request names it and brings nothing to check: we are the edge
    /// that would mark it `tls-yes` (TS 24.229 §5.2.2, §5.4.1.1, digest with TLS).
    private mutating func boundDevice(
        _ given: DigestParameters?, _ user: IdentityReference, _ arrival: Arrival, in bytes: RawSpan
    ) -> IdentityReference? {
        guard let given, given.response.isEmpty, given.hasName, let device = privateIdentity(given, of: user.subscriber, in: bytes),
            device.subscriber == user.subscriber, directory.sim(of: device) == nil, !isToProveItself(device),
            registrar.hasBinding(of: device.subscriber, device: device.identity, on: arrival.flow)
        else { return nil }
        return device
    }

    // MARK: The edge's word

    /// What an edge says of the way that a REGISTER came to it (TS 24.229 §7.2A.2.2); from anybody else it says nothing.
    ///
    /// - Returns: nil if the credentials are to be checked as any others.
    private mutating func believeEdge(
        _ given: DigestParameters, _ user: IdentityReference, _ arrival: Arrival, in bytes: RawSpan, at now: Now
    ) -> CredentialCheck? {
        guard let protection = EdgeProtection(bytes[given.integrityProtected]), isFromTrustedPeer(arrival) else { return nil }
        guard let device = privateIdentity(given, of: user.subscriber, in: bytes), device.subscriber == user.subscriber else {
            return .refused(403, "the private identity does not belong to the user")
        }
        if protection == .connection {
            // Without an answer it begins anew, and any other algorithm is none of this way's.
            guard directory.sim(of: device) != nil, !given.response.isEmpty, AKAAlgorithm(bytes[given.algorithm]) == .v2SHA256 else {
                return nil
            }
            return believeAssociation(of: device, arrival, in: bytes, at: now)
        }
        if protection == .securityAssociation, directory.sim(of: device) != nil {
            return believeAssociation(of: device, arrival, in: bytes, at: now)
        }
        if protection == .securityAssociation, !given.response.isEmpty { return nil }
        if protection != .elsewhere, isToProveItself(device) { return nil }
        return .accepted(device: device.identity, proof: nil)
    }

    /// A REGISTER through the security association of a SIM (TS 24.229 §5.4.1.2.2): one that refreshes what there is needs no
    /// challenge, unless the network asks for one (§5.4.1.6).
    private func believeAssociation(
        of device: IdentityReference, _ arrival: Arrival, in bytes: RawSpan, at now: Now
    ) -> CredentialCheck? {
        // While an answer is awaited, only one in the same call can be it.
        let (isAwaiting, isSameCall) = aka.isAwaiting(deviceKey(device), callID: bytes[arrival.essentials.callID], at: now.monotonic)
        if isAwaiting { return isSameCall ? nil : .refused(403, "a challenge in another call waits for its answer") }
        if isToProveItself(device) { return .challenge(isStale: false, sim: device) }
        guard registrar.hasBinding(of: device.subscriber, device: device.identity) else {
            // The UE begins anew then, without protection.
            return .refused(500, "the association is of a registration that is not known here; register without one")
        }
        return .accepted(device: device.identity, proof: nil)
    }

    // MARK: The SIM

    /// Checks credentials against a SIM (TS 24.229 §5.4.1.2.1A, §5.4.1.2.2).
    private mutating func checkSIM(
        _ given: DigestParameters?, _ device: IdentityReference, _ keys: AKACredentials, _ arrival: Arrival, _ request: ProtectedRequest,
        at now: Now, into effects: inout Effects
    ) -> CredentialCheck {
        guard let given, !given.nonce.isEmpty else { return .challenge(isStale: false, sim: device) }
        guard nameUs(given.uri, arrival, request) else {
            return .refused(400, "the uri of the credentials is not the Request-URI, the domain or a listener")
        }
        switch aka.verify(
            given, in: request.bytes, method: request.method, body: request.body, device: deviceKey(device), keys: keys,
            at: now.monotonic)
        {
        case .accepted:
            noteProof(of: device, into: &effects)
            return .accepted(device: device.identity, proof: nil)
        case .absent, .resynchronised: return .challenge(isStale: false, sim: device)
        case .stale: return .challenge(isStale: true, sim: device)
        case .refused(let reason): return .refused(403, "\(reason.text)")
        case .malformed(let fault): return .refused(400, "\(fault.text)")
        }
    }

    /// The private identity that credentials name, or without them the one that looks like To, or the user's first. None:
    /// the one named is not the user's.
    private mutating func claimedDevice(
        _ given: DigestParameters?, _ user: IdentityReference, _ arrival: Arrival, in bytes: RawSpan
    ) -> IdentityReference {
        if let given, given.hasName {
            guard let named = privateIdentity(given, of: user.subscriber, in: bytes), named.subscriber == user.subscriber else {
                return .none
            }
            return named
        }
        let to = arrival.essentials.to.uri
        scratch.removeAll()
        scratch.append(bytes[to.user])
        scratch.append(byte: 0x40)
        scratch.append(configuration.domain)
        if let derived = directory.privateIdentity(scratch.bytes), derived.subscriber == user.subscriber { return derived }
        return IdentityReference(subscriber: user.subscriber, identity: 0)
    }

    private mutating func persist(_ mark: SequenceNumber, of sim: IdentityReference, into effects: inout Effects) {
        let ticket = waiting.nextTicket()
        scratch.removeAll()
        directory.appendPrivateIdentity(sim, into: &scratch)
        var value = OctetBuffer(capacity: 64)
        value.append(word: mark.rawValue)
        effects.store.put(table: StoreTable.sequenceNumbers, key: scratch.bytes, value: value.bytes, ticket: ticket)
    }

    /// The database is to know nothing of a SIM's sequence numbers: they begin anew, after a restart too.
    mutating func removeSequenceNumber(of sim: IdentityReference, into effects: inout Effects) {
        guard configuration.isPersistent, otherShard(of: sim.subscriber) == nil else { return }
        let ticket = waiting.nextTicket()
        scratch.removeAll()
        directory.appendPrivateIdentity(sim, into: &scratch)
        effects.store.remove(table: StoreTable.sequenceNumbers, key: scratch.bytes, ticket: ticket)
    }

    /// Takes back what the sequence numbers of a private identity go on from.
    mutating func restoreSequenceNumber(key: RawSpan, value: RawSpan) -> Bool {
        // A record of nobody is told of once, by the first shard.
        guard let device = directory.privateIdentity(key) else { return place.number != 0 }
        guard otherShard(of: device.subscriber) == nil else { return true }
        guard value.byteCount == 8, value.word(at: 0) >> 48 == 0 else { return false }
        aka.restore(SequenceNumber(rawValue: value.word(at: 0)), of: deviceKey(device))
        return true
    }
}

/// What `integrity-protected` says, as far as it stands for a proof.
private enum EdgeProtection {
    /// `yes`: the REGISTER came through the security association of a SIM.
    case securityAssociation
    /// `tls-connected`: through TLS, by AKA without a security association.
    case connection
    /// `tls-yes`, `ip-assoc-yes`: the session of TLS or the address is bound to the user.
    case session
    /// `auth-done`: somebody before the edge has authenticated the user.
    case elsewhere

    init?(_ word: RawSpan) {
        if word.equalsIgnoringCase("yes") {
            self = .securityAssociation
        } else if word.equalsIgnoringCase("tls-connected") {
            self = .connection
        } else if word.equalsIgnoringCase("tls-yes") || word.equalsIgnoringCase("ip-assoc-yes") {
            self = .session
        } else if word.equalsIgnoringCase("auth-done") {
            self = .elsewhere
        } else {
            return nil
        }
    }
}
