// Registration of a user (TS 24.229 §5.4.1.2, §5.4.1.4; RFC 3261 §10.3): who it is, whether that is proved, what changes,
// and the answer. With a database the answer waits until the change is safe.

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
import SansIO

extension ServingCSCF {
    mutating func register(_ arrival: Arrival, _ request: borrowing Message, at now: Now, into effects: inout Effects) {
        let bytes = request.bytes
        let to = arrival.essentials.to.uri
        if request.has(.require), hasUnknownRequirement(request) {
            return answer(arrival, request, 420, at: now, into: &effects) {
                $0.appendUnsupported(of: request, .require, known: { $0.isKnownExtension })
            }
        }
        guard to.scheme != .other else { return answer(arrival, request, 400, warning: "To is no SIP or tel URI", at: now, into: &effects) }
        guard let user = identity(of: to, in: bytes) else {
            return answer(arrival, request, 404, warning: "the address-of-record in To is not provisioned", at: now, into: &effects)
        }
        switch authenticate(user, arrival, request, at: now) {
        case .accepted(let device, let proof):
            register(user, device, proof, arrival, request, at: now, into: &effects)
        case .challenge(let isStale):
            let start = effects.wire.bytes.count
            effects.wire.bytes.appendResponse(401, to: request, arrival.essentials, from: arrival.flow.remote, toTag: random.next())
            digest.appendChallenge(.wwwAuthenticate, isStale: isStale, at: now.monotonic, into: &effects.wire.bytes)
            effects.wire.bytes.appendEmptyBody()
            transactions.respond(arrival.server, 401, from: start, at: now.monotonic, into: &effects.wire)
        case .refused(let status, let reason):
            answer(arrival, request, status, warning: reason, at: now, into: &effects)
        }
    }

    /// The user is the one in To; the private identity that in the credentials, or derived from To (TS 24.229 §5.4.1.1).
    private mutating func authenticate(
        _ user: IdentityReference, _ arrival: Arrival, _ request: borrowing Message, at now: Now
    ) -> CredentialCheck {
        guard directory.isAuthenticated(user.subscriber) else {
            guard let given = credentials(.authorization, in: request), !given.username.isEmpty else {
                return .accepted(device: 0, proof: nil)
            }
            guard let device = privateIdentity(given.username, in: request.bytes) else { return .accepted(device: 0, proof: nil) }
            return device.subscriber == user.subscriber
                ? .accepted(device: device.identity, proof: nil) : .refused(403, "the private identity does not belong to the user")
        }
        return checkCredentials(.authorization, of: user.subscriber, arrival, request, at: now)
    }

    private mutating func register(
        _ user: IdentityReference, _ device: UInt16, _ proof: DigestProof?, _ arrival: Arrival, _ request: borrowing Message, at now: Now,
        into effects: inout Effects
    ) {
        switch registrar.register(
            request, arrival.essentials, subscriber: user.subscriber, device: device, over: arrival.flow, at: now)
        {
        case .rejected(let refusal):
            answer(arrival, request, refusal.status, warning: "\(refusal.reason.text)", at: now, into: &effects) {
                if let minimum = refusal.minimumExpires { $0.appendField(.minExpires, decimal: UInt64(minimum)) }
            }
        case .fetched:
            let start = effects.wire.bytes.count
            appendRegistered(user, proof, usesOutbound: false, arrival, request, at: now, into: &effects.wire.bytes)
            transactions.respond(arrival.server, 200, from: start, at: now.monotonic, into: &effects.wire)
        case .changed(let change):
            registrationChanged(change, user, device, proof, arrival, request, at: now, into: &effects)
        }
    }

    private mutating func registrationChanged(
        _ change: RegistrationChange, _ user: IdentityReference, _ device: UInt16, _ proof: DigestProof?, _ arrival: Arrival,
        _ request: borrowing Message, at now: Now, into effects: inout Effects
    ) {
        let start = effects.wire.bytes.count
        appendRegistered(user, proof, usesOutbound: change.usesOutbound, arrival, request, at: now, into: &effects.wire.bytes)
        if !change.isRegistered {
            digest.forget(deviceKey(IdentityReference(subscriber: user.subscriber, identity: device)), at: now.monotonic)
        }
        guard configuration.isPersistent else {
            let end = effects.wire.bytes.count
            transactions.respond(arrival.server, 200, from: start, at: now.monotonic, into: &effects.wire)
            sendThirdParty(
                change, user, request, answer: Slice(start, end), at: now, into: &effects)
            return
        }
        // The answer leaves, and the application servers hear of it, when the commit is reported.
        let ticket = waiting.nextTicket()
        persist(user.subscriber, ticket: ticket, at: now, into: &effects)
        waiting.append(
            WaitingRegistration(
                ticket: ticket, subscriber: user.subscriber,
                cause: .request(
                    WaitingRequest(
                        server: arrival.server, source: arrival.flow, change: change, user: user, request: pool.store(request.bytes),
                        answer: pool.store(effects.wire.bytes.bytes(from: start, count: effects.wire.bytes.count - start))))))
        effects.wire.bytes.truncate(to: start)
    }

    /// The 200 to a REGISTER (TS 24.229 §5.4.1.2.2F): all bindings, Path as received, Service-Route, P-Associated-URI.
    private mutating func appendRegistered(
        _ user: IdentityReference, _ proof: DigestProof?, usesOutbound: Bool, _ arrival: Arrival, _ request: borrowing Message, at now: Now,
        into bytes: inout OctetBuffer
    ) {
        bytes.appendResponse(200, to: request, arrival.essentials, from: arrival.flow.remote, toTag: random.next())
        registrar.appendContacts(of: user.subscriber, at: now.monotonic, into: &bytes)
        if usesOutbound { bytes.append("Require: outbound\r\n") }
        bytes.appendFields(of: request, .path)
        bytes.append("Service-Route: <sip:orig@")
        transactions.advertised.append(Int(arrival.flow.listener), into: &bytes)
        bytes.appendTransportParameter(configuration.listeners[Int(arrival.flow.listener)].transport)
        bytes.append(";lr>\r\nP-Associated-URI: ")
        appendAssociatedURIs(user, into: &bytes)
        bytes.append("\r\n")
        if let proof {
            digest.appendAuthenticationInfo(for: proof.credentials, in: request.bytes, ha1: proof.ha1, at: now.monotonic, into: &bytes)
        }
        bytes.appendFields(of: request, .pChargingVector)
        bytes.appendEmptyBody()
    }

    /// All identities of the set that are not barred, the default one first; the one registered by, if there are none.
    private func appendAssociatedURIs(_ user: IdentityReference, into bytes: inout OctetBuffer) {
        var isFirst = true
        for i in 0..<directory.identityCount(of: user.subscriber) {
            let reference = IdentityReference(subscriber: user.subscriber, identity: UInt16(i))
            guard !directory.isBarred(reference) else { continue }
            bytes.append(isFirst ? "<" : ", <")
            directory.appendPublicIdentity(reference, into: &bytes)
            bytes.append(">")
            isFirst = false
        }
        guard isFirst else { return }
        bytes.append("<")
        directory.appendPublicIdentity(user, into: &bytes)
        bytes.append(">")
    }

    /// A binding whose time is over (TS 24.229 §5.4.1.5): when it was the user's last, the application servers hear of it.
    mutating func bindingExpired(_ binding: ExpiredBinding, at now: Now, into effects: inout Effects) {
        if binding.isLast { return userGone(binding.subscriber, .expiry, at: now, into: &effects) }
        if configuration.isPersistent { persist(binding.subscriber, ticket: waiting.nextTicket(), at: now, into: &effects) }
    }

    // MARK: Extensions

    private func hasUnknownRequirement(_ request: borrowing Message) -> Bool {
        let bytes = request.bytes
        var found = false
        request.forEachValue(.require) { value in
            found = !bytes[value].isKnownExtension
            return !found
        }
        return found
    }
}

extension RawSpan {
    /// Whether a registrar knows what this option tag asks for.
    fileprivate var isKnownExtension: Bool {
        equalsIgnoringCase("path") || equalsIgnoringCase("outbound") || equalsIgnoringCase("gruu") || equalsIgnoringCase("sec-agree")
    }
}
