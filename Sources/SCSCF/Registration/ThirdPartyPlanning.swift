// Which application servers are told of a change of a registration, and what stands in each request beside what all have
// (TS 24.229 §5.4.1.7, §5.4.1.7A; TS 23.218 §6.3): one REGISTER for each criterion that matches, by priority.

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
import SansIO

extension ServingCSCF {
    /// What a REGISTER makes known.
    ///
    /// - Parameters:
    ///   - request: the user's REGISTER as received: the criteria are held against it.
    ///   - answer: where the 200 to it stands in `wire`.
    mutating func planThirdParty(
        _ change: RegistrationChange, _ user: IdentityReference, _ arrival: Arrival, _ request: borrowing Message, answer: Slice,
        in wire: borrowing OctetBuffer
    ) -> ThirdPartyList {
        let context = EvaluationContext.registration(change.kind.inCriteria)
        // Zero when the user is gone; while contacts are left, the longest interval among them.
        var expires = change.isRegistered ? change.longestExpires : 0
        if change.kind == .deregistration, configuration.thirdParty.tellsZeroWithContactsLeft { expires = 0 }
        if !change.isRegistered || change.kind == .initial { registrationEnded(of: user.subscriber) }
        // A server that cannot be reached may end the registration at once, and the others then hear of this identity.
        subscriptions.note(user)
        let fields = passedOnFields(arrival, request)
        var list = ThirdPartyList()
        var walk = ProfileWalk()
        while let (number, named) = directory.nextProfile(of: user, &walk) {
            for i in 0..<criteria[number].count {
                let route = criteria[number][i]
                guard isTold(i, in: number), configuration.profiles[number].matches(at: i, request, context) else { continue }
                let id = plan(route, ordinal(of: i, in: number), named, change.kind, expires, into: &list)
                thirdParty[id.index].charging = fields.charging
                guard fields.hasRest || route.hasBody else { continue }
                thirdParty[id.index].rest = storeRest(route, number, i, change.kind, fields, request, answer, wire)
            }
        }
        return list
    }

    /// What the end of contacts without a REGISTER makes known: expiry, a flow that failed, or the network's doing. The
    /// criteria are held against a REGISTER made up for it (§5.4.1.5). While contacts are left, Expires says for how long.
    mutating func planThirdPartyDeregistration(of subscriber: UInt32, except server: Int16, at now: Now) -> ThirdPartyList {
        if !registrar.isRegistered(subscriber) { registrationEnded(of: subscriber) }
        let user = registeredIdentity(of: subscriber)
        var text = OctetBuffer(capacity: 512)
        appendSyntheticRegister(of: user, withContacts: false, at: now, into: &text)
        let left = configuration.thirdParty.tellsZeroWithContactsLeft ? 0 : registrar.longestExpires(of: subscriber, at: now.monotonic)
        return plan([.deregistration], of: user, text.bytes, left) { $0.server != server }
    }

    // MARK: A change of profile

    /// The servers that a registered user's criteria tell of its registration, by their names: asked before a change of its
    /// profile, to be handed to `profileChanged`.
    mutating func serversTold(of subscriber: UInt32, at now: Now) -> [Int32] {
        guard registrar.isRegistered(subscriber) else { return [] }
        let user = registeredIdentity(of: subscriber)
        var text = OctetBuffer(capacity: 1024)
        appendSyntheticRegister(of: user, withContacts: true, at: now, into: &text)
        var servers: [Int32] = []
        // Nothing is wanted, so nothing is planned.
        _ = plan([.initial, .reregistration], of: user, text.bytes, 1) { route in
            servers.append(route.name)
            return false
        }
        return servers
    }

    /// The profile of a registered user has changed (§5.4.1.8): servers that its criteria name now and did not before hear
    /// of the registration, if the topology asks for that.
    ///
    /// - Parameter before: what `serversTold` said before the change.
    mutating func profileChanged(of subscriber: UInt32, toldBefore before: [Int32], at now: Now, into effects: inout Effects) {
        guard configuration.thirdParty.tellsProfileChanges, registrar.isRegistered(subscriber) else { return }
        let user = registeredIdentity(of: subscriber)
        var text = OctetBuffer(capacity: 1024)
        appendSyntheticRegister(of: user, withContacts: true, at: now, into: &text)
        let expires = registrar.longestExpires(of: subscriber, at: now.monotonic)
        let list = plan([.initial, .reregistration], of: user, text.bytes, expires) { !before.contains($0.name) }
        guard configuration.isPersistent, !list.isEmpty else { return sendThirdParty(list, at: now, into: &effects) }
        let ticket = waiting.nextTicket()
        persist(list, ticket: ticket, into: &effects)
        waiting.append(WaitingRegistration(ticket: ticket, subscriber: subscriber, thirdParty: list, cause: .profile))
    }

    // MARK: Criteria

    /// Requests to the servers that `isWanted` takes, of criteria that a made-up REGISTER of one of these types fulfils.
    private mutating func plan(
        _ types: [RegistrationChange.Kind], of user: IdentityReference, _ text: RawSpan, _ expires: UInt32,
        to isWanted: (CriterionRoute) -> Bool
    ) -> ThirdPartyList {
        var scanner = MessageScanner()
        _ = scanner.scan(text)
        let request = scanner.message(text)
        var list = ThirdPartyList()
        var walk = ProfileWalk()
        let charging = newChargingIdentifier()
        while let (number, named) = directory.nextProfile(of: user, &walk) {
            for i in 0..<criteria[number].count where isTold(i, in: number) {
                var fulfilled: RegistrationChange.Kind?
                for type in types.reversed() where configuration.profiles[number].matches(at: i, request, .registration(type.inCriteria)) {
                    fulfilled = type
                }
                guard let fulfilled, isWanted(criteria[number][i]) else { continue }
                let id = plan(criteria[number][i], ordinal(of: i, in: number), named, fulfilled, expires, into: &list)
                thirdParty[id.index].charging = charging
                guard !configuration.chargingFunctions.isEmpty else { continue }
                var rest = OctetBuffer(capacity: 256)
                appendChargingFunctions(into: &rest)
                rest.appendEmptyBody()
                thirdParty[id.index].rest = pool.store(rest.bytes)
            }
        }
        return list
    }

    private mutating func plan(
        _ route: CriterionRoute, _ ordinal: UInt16, _ user: IdentityReference, _ kind: RegistrationChange.Kind, _ expires: UInt32,
        into list: inout ThirdPartyList
    ) -> SlotID {
        let id = insertThirdParty(
            ThirdPartyRegistration(
                user: user, route: route, ordinal: ordinal, kind: kind, expires: expires,
                endsRegistration: route.endsSession && expires > 0))
        if list.last.isNone { list.first = id } else { thirdParty[list.last.index].next = id }
        list.last = id
        return id
    }

    /// Whether a criterion's server is known, and no earlier criterion of short form has told it already.
    private func isTold(_ index: Int, in number: Int) -> Bool {
        let route = criteria[number][index]
        guard route.server >= 0 else { return false }
        guard route.isShortForm else { return true }
        for i in 0..<index where criteria[number][i].isShortForm && criteria[number][i].server == route.server { return false }
        return true
    }

    /// Which of the criteria of its profile that call their server so a criterion is, from 0.
    private func ordinal(of index: Int, in number: Int) -> UInt16 {
        var ordinal: UInt16 = 0
        for i in 0..<index where criteria[number][i].name == criteria[number][index].name { ordinal += 1 }
        return ordinal
    }

    /// The identity of the user's last REGISTER: what is told without a REGISTER is told of the one that the servers know.
    private func registeredIdentity(of subscriber: UInt32) -> IdentityReference {
        var identity = subscriptions.named(subscriber)
        if Int(identity) >= directory.identityCount(of: subscriber) { identity = directory.defaultIdentity(of: subscriber) }
        return IdentityReference(subscriber: subscriber, identity: identity)
    }

    /// A REGISTER as the user might send it: for the criteria, not for the wire.
    ///
    /// - Parameter withContacts: the contacts that there are; else one that takes all away.
    private func appendSyntheticRegister(
        of user: IdentityReference, withContacts: Bool, at now: Now, into text: inout OctetBuffer
    ) {
        text.append("REGISTER sip:")
        text.append(configuration.domain)
        text.append(" SIP/2.0\r\nVia: SIP/2.0/UDP ")
        transactions.advertised.append(0, into: &text)
        text.append(";branch=z9hG4bKsynthetic\r\nMax-Forwards: 70\r\nFrom: <")
        directory.appendPublicIdentity(user, into: &text)
        text.append(">;tag=synthetic\r\nTo: <")
        directory.appendPublicIdentity(user, into: &text)
        text.append(">\r\nCall-ID: synthetic\r\nCSeq: 1 REGISTER\r\n")
        if withContacts {
            registrar.appendContacts(of: user.subscriber, at: now.monotonic, into: &text)
        } else {
            text.append("Contact: *\r\nExpires: 0\r\n")
        }
        text.appendEmptyBody()
    }

    // MARK: Header fields and body

    /// What of a REGISTER's header fields is told on.
    private struct PassedOnFields: BitwiseCopyable {
        /// Whether there is any, or one of our own to add.
        var hasRest: Bool
        /// Whether what only an edge may write is believed, if there is any.
        var areBelieved = false
        /// None: the request's own.
        var charging = ChargingIdentifier.none
    }

    private func passedOnFields(_ arrival: Arrival, _ request: borrowing Message) -> PassedOnFields {
        var fields = PassedOnFields(hasRest: !configuration.chargingFunctions.isEmpty || request.has(.pAccessNetworkInfo))
        if request.has(.pVisitedNetworkID) || request.has(.pChargingVector) || request.has(.pAccessNetworkInfo) {
            fields.areBelieved = believesEdgeFields(of: arrival)
        }
        if fields.areBelieved { fields.hasRest = true }
        if !fields.areBelieved || !hasChargingIdentifier(request) {
            fields.charging = chargingIdentifier(of: arrival.essentials, in: request)
        }
        return fields
    }

    private mutating func storeRest(
        _ route: CriterionRoute, _ profile: Int, _ index: Int, _ kind: RegistrationChange.Kind, _ fields: PassedOnFields,
        _ request: borrowing Message, _ answer: Slice, _ wire: borrowing OctetBuffer
    ) -> PacketID {
        var rest = OctetBuffer(capacity: 1024)
        if fields.areBelieved {
            rest.appendFields(of: request, .pAccessNetworkInfo)
            rest.appendFields(of: request, .pVisitedNetworkID)
            _ = appendChargingVector(of: request, for: .applicationServer, into: &rest)
        } else {
            rest.appendOwnAccessNetworkInfo(of: request)
        }
        appendChargingFunctions(into: &rest)
        var body = ThirdPartyBody()
        if route.hasBody {
            // Service information is for a user who registers (§5.4.1.7 g).
            if kind != .deregistration, let info = configuration.profiles[profile].criteria[index].applicationServer.serviceInfo {
                body.addServiceInfo(info)
            }
            if route.includesRequest { body.addMessage(request.bytes[request.octets]) }
            if route.includesAnswer { body.addMessage(wire.bytes(from: answer.lower, count: Int(answer.count))) }
            body.shorten(to: ServingCSCF.longestThirdPartyBody)
        }
        body.append(to: &rest, drawingFrom: &random)
        return pool.store(rest.bytes)
    }

    /// Octets of a body; past it the last parts are left out. A request and its answer with many long contacts may be more
    /// than any peer takes.
    private static let longestThirdPartyBody = 131_072
}

/// How far the profiles of a set have been gone through.
struct ProfileWalk: BitwiseCopyable {
    fileprivate var next = -1
}

extension SubscriberDirectory {
    /// The profile of the identity registered by, then once each other profile of the set, and the identity to name: the first
    /// one with that profile which is not barred, or the one registered by (TS 24.229 §5.4.1.7 c). A profile all of whose
    /// identities are barred is passed over, since there is nobody to name.
    func nextProfile(of user: IdentityReference, _ walk: inout ProfileWalk) -> (number: Int, named: IdentityReference)? {
        let own = profile(of: user)
        if walk.next < 0 {
            walk.next = 0
            if let own, let named = isBarred(user) ? firstIdentity(of: user.subscriber, with: own) : user { return (own, named) }
        }
        let count = identityCount(of: user.subscriber)
        guard count > 1 else { return nil }
        while walk.next < count {
            let reference = IdentityReference(subscriber: user.subscriber, identity: UInt16(walk.next))
            walk.next += 1
            guard let number = profile(of: reference), number != own, !isBarred(reference) else { continue }
            if firstIdentity(of: user.subscriber, with: number) == reference { return (number, reference) }
        }
        return nil
    }

    /// The first identity with a profile that is not barred.
    private func firstIdentity(of subscriber: UInt32, with number: Int) -> IdentityReference? {
        for i in 0..<identityCount(of: subscriber) {
            let reference = IdentityReference(subscriber: subscriber, identity: UInt16(i))
            if profile(of: reference) == number, !isBarred(reference) { return reference }
        }
        return nil
    }
}

extension Message {
    /// Where the message stands in what was received: without line ends before it, and without what is behind its body in a
    /// datagram (RFC 3261 §7.5, §18.3).
    fileprivate var octets: Slice { Slice(shape.methodName.lower, shape.body.upper) }
}

extension OctetBuffer {
    /// P-Access-Network-Info as far as a UE may say it: what is marked as provided by the network is an edge's to say
    /// (RFC 7315 §4.4, TS 24.229 §4.4).
    fileprivate mutating func appendOwnAccessNetworkInfo(of request: borrowing Message) {
        let bytes = request.bytes
        var values: [Slice] = []
        request.forEachValue(.pAccessNetworkInfo) { value in
            let isNetworks = bytes.parameter("network-provided", in: value) != nil || bytes.parameter("np", in: value) != nil
            if !isNetworks { values.append(value) }
            return true
        }
        for value in values { appendField(.pAccessNetworkInfo, bytes[value]) }
    }
}

extension RegistrationChange.Kind {
    /// As filter criteria name it (TS 29.228 Annex E).
    fileprivate var inCriteria: IMSProfile.RegistrationType {
        switch self {
        case .initial: .initial
        case .reregistration: .reregistration
        case .deregistration: .deregistration
        }
    }
}
