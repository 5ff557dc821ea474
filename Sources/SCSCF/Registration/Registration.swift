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
        guard to.scheme != .other else {
            // A request whose sender is of no scheme of ours either is no REGISTER to us (RFC 4475 §3.3.4).
            let status: UInt16 = arrival.essentials.from.uri.scheme == .other ? 400 : 404
            return answer(arrival, request, status, warning: "To is no SIP or tel URI", at: now, into: &effects)
        }
        guard let user = identity(of: to, in: bytes) else {
            return answer(arrival, request, 404, warning: "the address-of-record in To is not provisioned", at: now, into: &effects)
        }
        if user.isSpecial {
            return answer(arrival, request, 403, warning: "a service or a wildcard is never registered itself", at: now, into: &effects)
        }
        if !configuration.visitedNetworks.isEmpty, comesFromStrangeNetwork(arrival, request) {
            return answer(arrival, request, 403, warning: "no roaming from the visited network", at: now, into: &effects)
        }
        let given = credentials(.authorization, in: request)
        switch authenticate(user, given, arrival, ProtectedRequest(request), at: now, into: &effects) {
        case .accepted(let device, let proof):
            register(user, device, proof, arrival, request, at: now, into: &effects)
        case .challenge(let isStale, let sim):
            let response = beginAnswer(arrival, request, 401, into: &effects)
            appendChallenge(sim, isStale: isStale, arrival, in: bytes, at: now, into: &effects)
            effects.wire.bytes.appendEmptyBody()
            transactions.respond(arrival.server, 401, response, at: now.monotonic, into: &effects.wire)
            logAnswer(request, 401, nil, at: now, into: &effects)
        case .refused(let status, let reason):
            answer(arrival, request, status, warning: reason, at: now, into: &effects)
        }
    }

    private mutating func register(
        _ user: IdentityReference, _ device: UInt16, _ proof: DigestProof?, _ arrival: Arrival, _ request: borrowing Message, at now: Now,
        into effects: inout Effects
    ) {
        noteRegistration(of: user, arrival, request, at: now)
        let believesEdge = believesEdgeFields(of: arrival)
        var outcome = registrar.register(
            request, arrival.essentials, subscriber: user.subscriber, device: device, over: arrival.flow, believesEdge: believesEdge,
            isChecked: false, at: now)
        if case .unchecked = outcome, !isBoundToItself(user, request) {
            outcome = registrar.register(
                request, arrival.essentials, subscriber: user.subscriber, device: device, over: arrival.flow, believesEdge: believesEdge,
                at: now)
        }
        switch outcome {
        case .unchecked:
            answer(arrival, request, 403, warning: "Contact is an address of the user or a GRUU", at: now, into: &effects)
        case .rejected(let refusal):
            answer(arrival, request, refusal.status, warning: "\(refusal.reason.text)", at: now, into: &effects) {
                if let minimum = refusal.minimumExpires { $0.appendField(.minExpires, decimal: UInt64(minimum)) }
            }
        case .fetched:
            let response = appendRegistered(user, proof, nil, arrival, request, at: now, into: &effects)
            transactions.respond(arrival.server, 200, response, at: now.monotonic, into: &effects.wire)
        case .changed(let change):
            registrationChanged(change, user, proof, arrival, request, at: now, into: &effects)
        }
    }

    private mutating func registrationChanged(
        _ change: RegistrationChange, _ user: IdentityReference, _ proof: DigestProof?, _ arrival: Arrival, _ request: borrowing Message,
        at now: Now, into effects: inout Effects
    ) {
        let response = appendRegistered(user, proof, change, arrival, request, at: now, into: &effects)
        if change.removed > 0 || !change.isRegistered { releaseNonces(of: user.subscriber, at: now) }
        let (start, end) = (response.start, effects.wire.bytes.count)
        let told = planThirdParty(change, user, arrival, request, answer: Slice(start, end), in: effects.wire.bytes)
        guard configuration.isPersistent else {
            if isHeld(by: told) {
                hold(
                    HeldAnswer(
                        server: arrival.server, source: arrival.flow, subscriber: user.subscriber, isRegistration: change.isRegistered,
                        request: pool.store(request.bytes), answer: pool.store(effects.wire.bytes.bytes(from: start, count: end - start))),
                    until: told)
                effects.wire.bytes.truncate(to: start)
            } else {
                transactions.respond(arrival.server, 200, response, at: now.monotonic, into: &effects.wire)
            }
            return registrationMade(change, user, told, at: now, into: &effects)
        }
        // The answer leaves, and the application servers hear of it, when the commit is reported.
        let ticket = waiting.nextTicket()
        persist(user.subscriber, named: user.identity, ticket: ticket, at: now, into: &effects)
        persist(told, ticket: ticket, into: &effects)
        waiting.append(
            WaitingRegistration(
                ticket: ticket, subscriber: user.subscriber, thirdParty: told,
                cause: .request(
                    WaitingRequest(
                        server: arrival.server, source: arrival.flow, change: change, user: user,
                        ownFields: UInt32(response.ownFields - start), tag: response.tag, request: pool.store(request.bytes),
                        answer: pool.store(effects.wire.bytes.bytes(from: start, count: end - start))))))
        effects.wire.bytes.truncate(to: start)
    }

    /// What follows from a change by a REGISTER, once that is safe and answered.
    mutating func registrationMade(
        _ change: RegistrationChange, _ user: IdentityReference, _ told: ThirdPartyList, at now: Now, into effects: inout Effects
    ) {
        sendThirdParty(told, at: now, into: &effects)
        registrationStateChanged(of: user.subscriber, .request, named: user, at: now, into: &effects)
        guard configuration.rejectsUnservedUsers, told.isEmpty, change.kind == .initial, registrar.isRegistered(user.subscriber) else {
            return
        }
        deregister(user.subscriber, .rejected, at: now, into: &effects)
    }

    /// The 200 to a REGISTER (TS 24.229 §5.4.1.2.2F): all bindings with their GRUUs, Path as received, Service-Route,
    /// P-Associated-URI.
    ///
    /// - Parameter change: what the request has changed; nil: nothing.
    private mutating func appendRegistered(
        _ user: IdentityReference, _ proof: DigestProof?, _ change: RegistrationChange?, _ arrival: Arrival, _ request: borrowing Message,
        at now: Now, into effects: inout Effects
    ) -> OwnResponse {
        let response = beginAnswer(arrival, request, 200, into: &effects)
        logAnswer(request, 200, nil, at: now, into: &effects)
        appendRegisteredFields(user, proof, change, arrival, request, at: now, into: &effects.wire.bytes)
        return response
    }

    private mutating func appendRegisteredFields(
        _ user: IdentityReference, _ proof: DigestProof?, _ change: RegistrationChange?, _ arrival: Arrival, _ request: borrowing Message,
        at now: Now, into bytes: inout OctetBuffer
    ) {
        appendContacts(of: user, request, at: now, into: &bytes)
        if let change {
            if change.removed > 0 { registrar.appendRemovedContacts(into: &bytes) }
            if change.usesOutbound { appendOutbound(request, into: &bytes) }
        }
        bytes.appendFields(of: request, .path)
        bytes.append("Service-Route: <sip:orig@")
        transactions.advertised.append(Int(arrival.flow.listener), into: &bytes)
        bytes.appendTransportParameter(configuration.listeners[Int(arrival.flow.listener)].transport)
        bytes.append(";lr>\r\nP-Associated-URI: ")
        appendAssociatedURIs(user, into: &bytes)
        bytes.append("\r\n")
        if let proof, configuration.authenticationInfo != .none {
            digest.appendAuthenticationInfo(
                for: proof.credentials, in: request.bytes, ha1: proof.ha1, offersNextNonce: configuration.authenticationInfo == .nextNonce,
                at: now.monotonic, into: &bytes)
        }
        appendCharging(arrival, request, into: &bytes)
        date.append(now.wall, into: &bytes)
        bytes.appendEmptyBody()
    }

    private func appendContacts(of user: IdentityReference, _ request: borrowing Message, at now: Now, into bytes: inout OctetBuffer) {
        guard request.has(.supported), request.lists("gruu", in: .supported), let named = identityOfGRUUs(of: user) else {
            return registrar.appendContacts(of: user.subscriber, at: now.monotonic, into: &bytes)
        }
        var addressOfRecord = OctetBuffer(capacity: 128)
        directory.appendPublicIdentity(named, into: &addressOfRecord)
        registrar.appendContacts(
            of: user.subscriber, at: now.monotonic, withGRUUsOf: addressOfRecord.bytes, identity: named.identity, by: gruus, into: &bytes)
    }

    /// A flow is kept by the UE's keep-alives; where no proxy stands in between, we say how often (RFC 5626 §5.4).
    private func appendOutbound(_ request: borrowing Message, into bytes: inout OctetBuffer) {
        bytes.append("Require: outbound\r\n")
        guard configuration.flowTimer > 0, !request.has(.path) else { return }
        bytes.appendField(.flowTimer, decimal: UInt64(configuration.flowTimer))
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

    /// A binding whose time is over (TS 24.229 §5.4.1.5): the application servers hear of it, be it the user's last or not.
    mutating func bindingExpired(_ binding: ExpiredBinding, at now: Now, into effects: inout Effects) {
        releaseNonces(of: binding.subscriber, at: now)
        // Where the others end in the same instant, only the last is told of.
        guard binding.isLast || registrar.longestExpires(of: binding.subscriber, at: now.monotonic) > 0 else { return }
        userGone(binding.subscriber, .expiry, at: now, into: &effects)
    }

    /// A nonce may be answered again as long as its device has a contact, however that comes to its end.
    mutating func releaseNonces(of subscriber: UInt32, at now: Now) {
        for number in 0..<directory.privateIdentityCount(of: subscriber) {
            let device = IdentityReference(subscriber: subscriber, identity: UInt16(number))
            guard !registrar.hasBinding(of: subscriber, device: device.identity) else { continue }
            digest.forget(deviceKey(device), at: now.monotonic)
        }
    }

    // MARK: Loops

    /// Whether a contact to be bound leads back to the user: a GRUU of one of its identities or, where GRUUs are asked for, such an
    /// identity itself (RFC 5627 §5.1). Escapes and the case of the host make no difference (RFC 3261 §19.1.4).
    private mutating func isBoundToItself(_ user: IdentityReference, _ request: borrowing Message) -> Bool {
        let bytes = request.bytes
        let asksForGRUUs = request.has(.supported) && request.lists("gruu", in: .supported)
        var suspects: [SIPURI] = []
        request.forEachValue(.contact) { value in
            guard let address = bytes.nameAddressBeforeParameters(value), address.uri.port == 0 else { return true }
            let isGRUU = !address.uri.parameters.isEmpty && bytes.parameter("gr", in: address.uri.parameters) != nil
            guard isGRUU || asksForGRUUs else { return true }
            if !isGRUU {
                guard let instance = bytes.parameter("+sip.instance", in: address.parameters), !bytes.unquoted(instance).isEmpty
                else { return true }
            }
            var isGone = request.value(.expires).map { bytes.deltaSeconds($0) == 0 } ?? false
            if let interval = bytes.parameter("expires", in: address.parameters) { isGone = bytes.deltaSeconds(interval) == 0 }
            if !isGone { suspects.append(address.uri) }
            return true
        }
        for uri in suspects {
            if leadsBack(uri, to: user, in: bytes) { return true }
        }
        return false
    }

    private mutating func leadsBack(_ uri: SIPURI, to user: IdentityReference, in bytes: RawSpan) -> Bool {
        if let found = identity(of: uri, in: bytes) { return found.subscriber == user.subscriber }
        guard uri.isSIP, bytes[uri.host].equalsIgnoringCase(configuration.domain.span.bytes) else { return false }
        // Of a temporary GRUU the user part alone tells whose it is.
        var canonical = OctetBuffer(capacity: 128)
        canonical.appendIdentity(uri, in: bytes)
        guard let at = canonical.bytes.firstOffset(of: 0x40) else { return false }
        return gruus.temporary(canonical.bytes.part(4, at - 4))?.subscriber == user.subscriber
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
