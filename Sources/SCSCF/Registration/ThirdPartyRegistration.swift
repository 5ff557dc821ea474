// Third-party registration (TS 24.229 §5.4.1.7, §5.4.1.7A): telling application servers that a user registered,
// registered anew or is gone. One REGISTER for each criterion that matches, all at once, after the 200 to the user.

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
import SansIO

/// A third-party REGISTER under way.
struct ThirdPartyRegistration: BitwiseCopyable {
    var user: IdentityReference
    var server: Int16
    var expires: UInt32
    /// Whether failure leads to deregistration by the network: SESSION_TERMINATED, and not itself a deregistration.
    var endsRegistration: Bool
    /// Whether a 423 is tried again with a longer interval; once.
    var mayRetry: Bool
    /// What stands behind Expires, header fields and body, for that second time. None: an empty body and nothing else.
    var rest = PacketID.none
}

extension ServingCSCF {
    /// Tells the application servers of a change, as their criteria ask.
    ///
    /// - Parameters:
    ///   - request: the user's REGISTER as received.
    ///   - answer: where the 200 to it stands in `effects.wire.bytes`.
    mutating func sendThirdParty(
        _ change: RegistrationChange, _ user: IdentityReference, _ request: borrowing Message, answer: Slice, at now: Now,
        into effects: inout Effects
    ) {
        let context = EvaluationContext.registration(change.registrationType)
        // §5.4.1.7: zero when the user is gone; while contacts are left, the longest interval among them.
        let expires = change.isRegistered ? change.longestExpires : 0
        forEachProfile(of: user) { core, number, named in
            for i in 0..<core.criteria[number].count {
                let route = core.criteria[number][i]
                guard !core.isRepeated(i, in: number), core.configuration.profiles[number].matches(at: i, request, context) else {
                    continue
                }
                let body = core.thirdPartyBody(route, number, i, change.kind, request, answer, effects.wire.bytes)
                core.sendThirdPartyRegister(route, named, expires, body: body, at: now, into: &effects) {
                    [domain = core.configuration.domain] in
                    $0.appendFields(of: request, .pAccessNetworkInfo)
                    $0.appendFields(of: request, .pVisitedNetworkID)
                    $0.appendThirdPartyChargingVector(of: request, domain: domain)
                }
            }
        }
    }

    /// Calls `body` with the profile of the identity registered by, then once with each other profile that an identity of
    /// the set has, and the identity to name (TS 24.229 §5.4.1.7).
    private mutating func forEachProfile(
        of user: IdentityReference, _ body: (inout ServingCSCF, Int, IdentityReference) -> Void
    ) {
        let own = directory.profile(of: user)
        if let own { body(&self, own, user) }
        let count = directory.identityCount(of: user.subscriber)
        guard count > 1 else { return }
        var seen = own.map { [$0] } ?? []
        for i in 0..<count {
            let reference = IdentityReference(subscriber: user.subscriber, identity: UInt16(i))
            guard let number = directory.profile(of: reference), !seen.contains(number), !directory.isBarred(reference) else { continue }
            seen.append(number)
            body(&self, number, reference)
        }
    }

    /// Tells the application servers that a user is gone without a REGISTER of its own: expiry, or the network's doing.
    /// The criteria are held against a REGISTER made up for it (§5.4.1.5).
    mutating func sendThirdPartyDeregistration(
        of subscriber: UInt32, except server: Int16, at now: Now, into effects: inout Effects
    ) {
        let user = IdentityReference(subscriber: subscriber, identity: directory.defaultIdentity(of: subscriber))
        var text = OctetBuffer(capacity: 512)
        appendSyntheticRegister(of: user, into: &text)
        var scanner = MessageScanner()
        _ = scanner.scan(text.bytes)
        let request = scanner.message(text.bytes)
        let context = EvaluationContext.registration(.deregistration)
        forEachProfile(of: user) { core, number, named in
            for i in 0..<core.criteria[number].count {
                let route = core.criteria[number][i]
                guard route.server != server || server < 0, !core.isRepeated(i, in: number),
                    core.configuration.profiles[number].matches(at: i, request, context)
                else { continue }
                core.sendThirdPartyRegister(route, named, 0, body: ThirdPartyBody(), at: now, into: &effects) { _ in }
            }
        }
    }

    /// Whether an earlier criterion of short form has told the same server already.
    private func isRepeated(_ index: Int, in number: Int) -> Bool {
        let route = criteria[number][index]
        guard route.isShortForm else { return false }
        for i in 0..<index where criteria[number][i].isShortForm && criteria[number][i].server == route.server { return true }
        return false
    }

    private func appendSyntheticRegister(of user: IdentityReference, into text: inout OctetBuffer) {
        text.append("REGISTER sip:")
        text.append(configuration.domain)
        text.append(" SIP/2.0\r\nVia: SIP/2.0/UDP ")
        transactions.advertised.append(0, into: &text)
        text.append(";branch=z9hG4bKexpiry\r\nMax-Forwards: 70\r\nFrom: <")
        directory.appendPublicIdentity(user, into: &text)
        text.append(">;tag=expiry\r\nTo: <")
        directory.appendPublicIdentity(user, into: &text)
        text.append(">\r\nCall-ID: expiry\r\nCSeq: 1 REGISTER\r\nContact: *\r\nExpires: 0\r\n")
        text.appendEmptyBody()
    }

    // MARK: The request

    private mutating func sendThirdPartyRegister(
        _ route: CriterionRoute, _ user: IdentityReference, _ expires: UInt32, body: ThirdPartyBody, mayRetry: Bool = true,
        at now: Now, into effects: inout Effects, fields: (inout OctetBuffer) -> Void
    ) {
        guard route.server >= 0 else { return }
        let record = thirdParty.insert(
            ThirdPartyRegistration(
                user: namedUser(user), server: route.server, expires: expires,
                endsRegistration: route.endsSession && expires > 0, mayRetry: mayRetry))
        guard let client = transactions.reserveClient(.register, user: Owner.thirdParty(record).rawValue),
            let sending = outgoing(route.destination)
        else {
            counters.countThirdParty(Int(route.server), .failed)
            return thirdParty.remove(record.index)
        }
        let start = effects.wire.bytes.count
        appendThirdPartyRegister(route, namedUser(user), expires, client, sending, into: &effects.wire.bytes)
        let rest = effects.wire.bytes.count
        fields(&effects.wire.bytes)
        let hasFields = effects.wire.bytes.count > rest
        body.append(to: &effects.wire.bytes)
        if mayRetry, hasFields || !body.isEmpty {
            thirdParty[record.index].rest = pool.store(effects.wire.bytes.bytes(from: rest, count: effects.wire.bytes.count - rest))
        }
        counters.countThirdParty(Int(route.server), .sent)
        transmit(client, from: start, over: sending, at: now, into: &effects)
    }

    /// To names the identity registered by, or the default one if that is barred (§5.4.1.7 c).
    private func namedUser(_ user: IdentityReference) -> IdentityReference {
        directory.isBarred(user)
            ? IdentityReference(subscriber: user.subscriber, identity: directory.defaultIdentity(of: user.subscriber)) : user
    }

    private mutating func appendThirdPartyRegister(
        _ route: CriterionRoute, _ user: IdentityReference, _ expires: UInt32, _ client: SlotID, _ flow: Flow,
        into bytes: inout OctetBuffer
    ) {
        let address = configuration.listeners[Int(flow.listener)].advertised
        bytes.append("REGISTER ")
        bytes.append(configuration.applicationServers[Int(route.server)].uri)
        bytes.append(" SIP/2.0\r\n")
        transactions.appendVia(client, over: flow, into: &bytes)
        bytes.append("Max-Forwards: 70\r\nFrom: <sip:")
        bytes.append(address)
        bytes.append(">;tag=")
        bytes.appendHex(random.next())
        bytes.append("\r\nTo: <")
        directory.appendPublicIdentity(user, into: &bytes)
        // One Call-ID for a user and a server, with a rising CSeq (RFC 3261 §10.2).
        bytes.append(">\r\nCall-ID: tpr-")
        bytes.appendDecimal(UInt64(user.subscriber))
        bytes.append("-")
        bytes.appendDecimal(UInt64(route.server))
        bytes.append("-")
        bytes.appendHex(thirdPartySession, digits: 8)
        bytes.append("@")
        bytes.append(address.address)
        thirdPartySequence = thirdPartySequence &+ 1 & 0x7FFF_FFFF
        bytes.append("\r\nCSeq: ")
        bytes.appendDecimal(UInt64(thirdPartySequence))
        bytes.append(" REGISTER\r\nContact: <sip:")
        bytes.append(address)
        bytes.appendTransportParameter(flow.transport)
        bytes.append(">\r\nExpires: ")
        bytes.appendDecimal(UInt64(expires))
        bytes.append("\r\n")
    }

    // MARK: The body

    /// Service information, the user's REGISTER and the answer to it, as the criterion asks (§5.4.1.7A).
    private mutating func thirdPartyBody(
        _ route: CriterionRoute, _ profile: Int, _ index: Int, _ kind: RegistrationChange.Kind, _ request: borrowing Message,
        _ answer: Slice, _ wire: borrowing OctetBuffer
    ) -> ThirdPartyBody {
        var body = ThirdPartyBody()
        guard route.hasBody else { return body }
        // Service information is for a user who registers (§5.4.1.7 g).
        if kind != .deregistration, let info = configuration.profiles[profile].criteria[index].applicationServer.serviceInfo {
            body.addServiceInfo(info)
        }
        if route.includesRequest { body.addMessage(request.bytes) }
        if route.includesAnswer { body.addMessage(wire.bytes(from: answer.lower, count: Int(answer.count))) }
        body.boundary = random.next()
        return body
    }

    // MARK: The answer

    mutating func thirdPartyAnswered(_ id: SlotID, _ response: borrowing Message, at now: Now, into effects: inout Effects) {
        guard thirdParty.contains(id), response.status >= 200 else { return }
        let record = thirdParty[id.index]
        switch response.status {
        case 200..<300:
            counters.countThirdParty(Int(record.server), .accepted)
        case 423:
            retryThirdParty(record, response, at: now, into: &effects)
        case 408, 500..<600:
            thirdPartyFailed(record, response.status, at: now, into: &effects)
        default:
            counters.countThirdParty(Int(record.server), .refused)
            effects.notices.append(Notice(.warning, thirdPartyNotice(record, "answered \(response.status)")))
        }
        forgetThirdParty(id)
    }

    /// Forgets a request that is done with.
    mutating func forgetThirdParty(_ id: SlotID) {
        pool.release(thirdParty[id.index].rest)
        thirdParty.remove(id.index)
    }

    mutating func thirdPartyUnanswered(_ id: SlotID, _ status: UInt16, at now: Now, into effects: inout Effects) {
        guard thirdParty.contains(id) else { return }
        let record = thirdParty[id.index]
        forgetThirdParty(id)
        thirdPartyFailed(record, status, at: now, into: &effects)
    }

    /// Default handling (TS 24.229 §5.4.1.7): the user is deregistered by the network if the criterion says so; a failed
    /// deregistration starts nothing.
    private mutating func thirdPartyFailed(
        _ record: ThirdPartyRegistration, _ status: UInt16, at now: Now, into effects: inout Effects
    ) {
        counters.countThirdParty(Int(record.server), .failed)
        effects.notices.append(Notice(.warning, thirdPartyNotice(record, status == 408 ? "did not answer" : "failed with \(status)")))
        guard record.endsRegistration, registrar.isRegistered(record.user.subscriber) else { return }
        deregister(record.user.subscriber, except: record.server, at: now, into: &effects)
    }

    /// Once more with the interval that the server wants, if it is longer.
    private mutating func retryThirdParty(
        _ record: ThirdPartyRegistration, _ response: borrowing Message, at now: Now, into effects: inout Effects
    ) {
        counters.countThirdParty(Int(record.server), .refused)
        guard record.mayRetry, let value = response.value(.minExpires), let minimum = response.bytes.decimal(value),
            minimum > UInt64(record.expires), let number = directory.profile(of: record.user),
            let route = criteria[number].first(where: { $0.server == record.server })
        else { return }
        let rest = record.rest.isNone ? nil : [UInt8](pool.bytes(record.rest))
        sendThirdPartyRegister(
            route, record.user, UInt32(clamping: minimum), body: rest == nil ? ThirdPartyBody() : .alreadyWritten, mayRetry: false, at: now,
            into: &effects
        ) { bytes in
            if let rest { bytes.append(rest) }
        }
    }

    private func thirdPartyNotice(_ record: ThirdPartyRegistration, _ what: String) -> String {
        var text = OctetBuffer(capacity: 128)
        text.append("third-party REGISTER of ")
        directory.appendPublicIdentity(record.user, into: &text)
        return "application server \(configuration.applicationServers[Int(record.server)].name) \(what): \(String(octets: text.bytes))"
    }

    // MARK: Deregistration by the network

    /// Removes all bindings of a user (TS 24.229 §5.4.1.5) and tells the application servers.
    mutating func deregister(_ subscriber: UInt32, except server: Int16, at now: Now, into effects: inout Effects) {
        userGone(subscriber, .network(registrar.removeAll(of: subscriber), failed: server), at: now, into: &effects)
    }
}

extension RegistrationChange {
    /// As filter criteria name it (TS 29.228 Annex E).
    fileprivate var registrationType: IMSProfile.RegistrationType {
        switch kind {
        case .initial: .initial
        case .reregistration: .reregistration
        case .deregistration: .deregistration
        }
    }
}
