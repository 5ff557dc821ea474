// Third-party registration (TS 24.229 §5.4.1.7): the REGISTER requests that tell application servers of a user, from the
// moment they are planned to their final answer.
//
//   plan (ThirdPartyPlanning.swift) → [commit] → send → answered | unanswered → finish
//
// All of one change are sent at once. With a database each is stored with the change itself and taken out when it is
// finished, so one that a crash leaves behind is sent again (ThirdPartyStorage.swift).

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
import SansIO

/// A third-party REGISTER, planned or under way.
struct ThirdPartyRegistration: BitwiseCopyable {
    /// Whom To names.
    var user: IdentityReference
    var route: CriterionRoute
    /// Which of the criteria of its profile that call their server so it is of, from 0.
    var ordinal: UInt16 = 0
    /// The registration type that it tells of: for the counters.
    var kind: RegistrationChange.Kind
    var expires: UInt32
    /// Whether failure leads to deregistration by the network: SESSION_TERMINATED, and not itself a deregistration.
    var endsRegistration: Bool
    /// Whether a 423 is tried again with a longer interval; once.
    var mayRetry = true
    /// What ties it to the charging of what it tells of; none: P-Charging-Vector is among what follows.
    var charging = ChargingIdentifier.none
    /// What stands behind Expires, header fields and body. None: an empty body and nothing else.
    var rest = PacketID.none
    /// The next one of the same change.
    var next = SlotID.none
    /// The answer to the user that waits for this one's.
    var held = SlotID.none
    /// Ends the patience with a server that is to answer sooner than a transaction takes to end.
    var timer = TimerID.none
    /// Whether its server has targets that were not tried (RFC 3263 §4.3).
    var hasAlternatives = false
    /// The transaction whose outcome counts: of several targets that of the last.
    var client = SlotID.none
    /// Whether the store holds it, under its own key.
    var isStored = false
    /// The requests of the same user that have no final answer are a list; `.max`: none.
    var older: UInt32 = .max
    var newer: UInt32 = .max

    /// Whether both tell the same server of the same user by the same criterion.
    func isOfSameCriterion(as other: ThirdPartyRegistration) -> Bool {
        user == other.user && route.name == other.route.name && ordinal == other.ordinal
    }
}

/// The requests of one change, in the order of their criteria.
struct ThirdPartyList: BitwiseCopyable {
    var first = SlotID.none
    var last = SlotID.none
    var isEmpty: Bool { first.isNone }
}

extension ServingCSCF {
    mutating func sendThirdParty(_ list: ThirdPartyList, at now: Now, into effects: inout Effects) {
        if !list.isEmpty { limitHold(thirdParty[list.first.index].held, at: now) }
        var unreachable: [SlotID] = []
        var id = list.first
        while !id.isNone {
            let next = thirdParty[id.index].next
            if !send(id, at: now, into: &effects) { unreachable.append(id) }
            id = next
        }
        // Default handling may end the registration, and what it sends must come behind what is sent here.
        for id in unreachable { thirdPartyUnanswered(id, 503, at: now, into: &effects) }
    }

    /// - Parameter targets: where the server was found; none: its address is known, or it is still to be located.
    /// - Returns: false if there is no way to the server.
    mutating func send(_ id: SlotID, to targets: ArraySlice<Flow> = [], at now: Now, into effects: inout Effects) -> Bool {
        let record = thirdParty[id.index]
        let server = Int(record.route.server)
        guard let flow = targets.first ?? outgoing(record.route.destination) else { return locateThirdParty(id, at: now, into: &effects) }
        guard let client = transactions.reserveClient(.register, user: Owner.thirdParty(id).rawValue) else {
            // Too much is going on here: that is no failure of the server's.
            counters.countThirdParty(server, record.kind, .failed)
            effects.notices.append(Notice(.warning, thirdPartyNotice(record, "was not told for want of room")))
            finish(id, at: now, into: &effects)
            return true
        }
        thirdParty[id.index].client = client
        keep(targets.dropFirst(), forThirdParty: id)
        if let target = targets.first, record.kind == .initial || pins[record.user.subscriber, record.route.name] != nil {
            pins[record.user.subscriber, record.route.name] = target
        }
        let start = effects.wire.bytes.count
        appendThirdPartyRegister(record, client, flow, into: &effects)
        if !record.charging.isNone { appendChargingVector(record.charging, for: .applicationServer, into: &effects.wire.bytes) }
        if record.rest.isNone {
            effects.wire.bytes.appendEmptyBody()
        } else {
            effects.wire.bytes.append(pool.bytes(record.rest))
        }
        counters.countThirdParty(server, record.kind, .sent)
        if record.timer.isNone, record.route.answerWithin < configuration.timers.patience {
            thirdParty[id.index].timer = wheel.schedule(
                at: now.monotonic + record.route.answerWithin, payload: Owner.thirdParty(id).rawValue)
        }
        transmit(client, from: start, over: flow, at: now, into: &effects)
        return true
    }

    private mutating func appendThirdPartyRegister(
        _ record: ThirdPartyRegistration, _ client: SlotID, _ flow: Flow, into effects: inout Effects
    ) {
        let address = configuration.listeners[Int(flow.listener)].advertised
        effects.wire.bytes.append("REGISTER ")
        let uriStart = effects.wire.bytes.count
        serverNames.appendURI(record.route.name, into: &effects.wire.bytes)
        effects.wire.bytes.append(" SIP/2.0\r\n")
        // Who is reached by a SIPS URI gets one (RFC 3261 §8.1.1.8).
        let isSIPS = effects.wire.bytes.bytes(from: uriStart, count: 5).equalsIgnoringCase("sips:")
        transactions.appendVia(client, over: flow, into: &effects.wire.bytes)
        effects.wire.bytes.append("Max-Forwards: 70\r\nFrom: <sip:")
        effects.wire.bytes.append(address)
        effects.wire.bytes.append(">;tag=")
        effects.wire.bytes.appendHex(random.next())
        effects.wire.bytes.append("\r\nTo: <")
        directory.appendPublicIdentity(record.user, into: &effects.wire.bytes)
        // One Call-ID for an identity and what its criterion calls the server, with a rising CSeq (RFC 3261 §10.2).
        effects.wire.bytes.append(">\r\nCall-ID: tpr-")
        effects.wire.bytes.appendDecimal(UInt64(record.user.subscriber))
        effects.wire.bytes.append("-")
        effects.wire.bytes.appendDecimal(UInt64(record.user.identity))
        effects.wire.bytes.append("-")
        serverNames.appendToken(record.route.name, into: &effects.wire.bytes)
        effects.wire.bytes.append("-")
        effects.wire.bytes.appendHex(thirdPartyNumbers.session, digits: 8)
        effects.wire.bytes.append("@")
        effects.wire.bytes.append(address.address)
        effects.wire.bytes.append("\r\nCSeq: ")
        effects.wire.bytes.appendDecimal(UInt64(nextThirdPartySequence(into: &effects)))
        effects.wire.bytes.append(isSIPS ? " REGISTER\r\nContact: <sips:" : " REGISTER\r\nContact: <sip:")
        effects.wire.bytes.append(address)
        if !isSIPS || flow.transport != .tls { effects.wire.bytes.appendTransportParameter(flow.transport) }
        effects.wire.bytes.append(">")
        if configuration.thirdParty.givesTokens, record.expires > 0 {
            appendRegistrationToken(of: record.user.subscriber, into: &effects.wire.bytes)
        }
        effects.wire.bytes.append("\r\nExpires: ")
        effects.wire.bytes.appendDecimal(UInt64(record.expires))
        effects.wire.bytes.append("\r\n")
    }

    // MARK: The answer

    /// Whether a transaction is the one that a request waits for. Once the request has gone to another target, or with another
    /// interval, what becomes of the transactions before no longer counts.
    func isAwaited(_ client: SlotID, by id: SlotID) -> Bool { thirdParty.contains(id) && thirdParty[id.index].client == client }

    mutating func thirdPartyAnswered(
        _ id: SlotID, by client: SlotID, _ response: borrowing Message, at now: Now, into effects: inout Effects
    ) {
        guard isAwaited(client, by: id), response.status >= 200 else { return }
        if response.status == 503, thirdPartyToNextTarget(id, at: now, into: &effects) { return }
        let record = thirdParty[id.index]
        switch response.status {
        case 200..<300:
            counters.countThirdParty(Int(record.route.server), record.kind, .accepted)
            supersedeOlder(than: record)
        case 408, 500..<600:
            thirdPartyFailed(record, response.status, at: now, into: &effects)
        default:
            counters.countThirdParty(Int(record.route.server), record.kind, .refused)
            if response.status == 423, triesAgain(id, response, at: now, into: &effects) { return }
            effects.notices.append(Notice(.warning, thirdPartyNotice(record, "answered \(response.status)")))
        }
        finish(id, at: now, into: &effects)
    }

    /// No final answer: silence (408), or no way to the server (503).
    mutating func thirdPartyUnanswered(_ id: SlotID, _ status: UInt16, at now: Now, into effects: inout Effects) {
        guard thirdParty.contains(id) else { return }
        if thirdPartyToNextTarget(id, at: now, into: &effects) { return }
        thirdPartyFailed(thirdParty[id.index], status, at: now, into: &effects)
        finish(id, at: now, into: &effects)
    }

    /// Default handling (§5.4.1.7): the user is deregistered by the network if the criterion says so; a failed
    /// deregistration starts nothing, and neither does what tells of a registration that has ended.
    private mutating func thirdPartyFailed(
        _ record: ThirdPartyRegistration, _ status: UInt16, at now: Now, into effects: inout Effects
    ) {
        counters.countThirdParty(Int(record.route.server), record.kind, .failed)
        if !pins.isEmpty { pins[record.user.subscriber, record.route.name] = nil }
        effects.notices.append(Notice(.warning, thirdPartyNotice(record, status == 408 ? "did not answer" : "failed with \(status)")))
        guard record.endsRegistration, registrar.isRegistered(record.user.subscriber) else { return }
        if heldAnswers.contains(record.held) { heldAnswers[record.held.index].isLostByServer = true }
        deregister(record.user.subscriber, .rejected, except: record.route.server, at: now, into: &effects)
    }

    /// Once more with the interval that the server wants, if it is longer.
    private mutating func triesAgain(_ id: SlotID, _ response: borrowing Message, at now: Now, into effects: inout Effects) -> Bool {
        let record = thirdParty[id.index]
        guard record.mayRetry, record.expires > 0, let value = response.value(.minExpires),
            let minimum = response.bytes.deltaSeconds(value), minimum > record.expires
        else { return false }
        wheel.cancel(record.timer)
        thirdParty[id.index].timer = .none
        thirdParty[id.index].mayRetry = false
        thirdParty[id.index].expires = minimum
        return send(id, at: now, into: &effects)
    }

    /// Forgets a request that is done with, in the store too; the answer to the user leaves when it was the last one.
    private mutating func finish(_ id: SlotID, at now: Now, into effects: inout Effects) {
        let held = thirdParty[id.index].held
        let subscriber = thirdParty[id.index].user.subscriber
        if !pins.isEmpty, !registrar.isRegistered(subscriber) { pins.removeAll(of: subscriber) }
        if configuration.isPersistent { forgetStoredThirdParty(id, into: &effects) }
        forgetThirdParty(id)
        if !held.isNone { heldAnswerLoses(held, at: now, into: &effects) }
    }

    /// Forgets a request; the store is left as it is.
    mutating func forgetThirdParty(_ id: SlotID) {
        keep([], forThirdParty: id)
        wheel.cancel(thirdParty[id.index].timer)
        pool.release(thirdParty[id.index].rest)
        unlinkThirdParty(thirdParty[id.index])
        thirdParty.remove(id.index)
    }

    /// Forgets requests that were planned and will not be sent.
    mutating func forgetThirdParty(_ list: ThirdPartyList) {
        var id = list.first
        while !id.isNone {
            let next = thirdParty[id.index].next
            forgetThirdParty(id)
            id = next
        }
    }

    private func thirdPartyNotice(_ record: ThirdPartyRegistration, _ what: String) -> String {
        var text = OctetBuffer(capacity: 128)
        text.append("third-party REGISTER of ")
        directory.appendPublicIdentity(record.user, into: &text)
        return
            "application server \(configuration.applicationServers[Int(record.route.server)].name) \(what): \(String(octets: text.bytes))"
    }

    // MARK: The requests of a user

    /// Adds a request to those of its user that have no final answer, as the latest.
    mutating func insertThirdParty(_ record: ThirdPartyRegistration) -> SlotID {
        let id = thirdParty.insert(record)
        let key = thirdPartyKey(of: record.user.subscriber)
        if let newest = thirdPartyKeys[key] {
            thirdParty[id.index].older = newest
            thirdParty[newest].newer = id.index
        }
        thirdPartyKeys.set(key, to: id.index)
        return id
    }

    private mutating func unlinkThirdParty(_ record: ThirdPartyRegistration) {
        if record.older != .max { thirdParty[record.older].newer = record.newer }
        if record.newer != .max {
            thirdParty[record.newer].older = record.older
        } else if record.older != .max {
            thirdPartyKeys.set(thirdPartyKey(of: record.user.subscriber), to: record.older)
        } else {
            thirdPartyKeys.remove(thirdPartyKey(of: record.user.subscriber))
        }
    }

    /// The slot of the latest of a user's requests that have no final answer; `.max`: there is none.
    func latestThirdParty(of subscriber: UInt32) -> UInt32 { thirdPartyKeys[thirdPartyKey(of: subscriber)] ?? .max }

    private func thirdPartyKey(of subscriber: UInt32) -> KeyHash {
        var hasher = KeyHasher(secret)
        hasher.combine(UInt64(subscriber))
        return hasher.finish()
    }

    /// The user's registration has ended: no request that tells of it may end the next one.
    mutating func registrationEnded(of subscriber: UInt32) {
        var index = latestThirdParty(of: subscriber)
        while index != .max {
            thirdParty[index].endsRegistration = false
            index = thirdParty[index].older
        }
    }

    /// A server has accepted a request: what the older ones of the same criterion come to is of no consequence any more.
    private mutating func supersedeOlder(than record: ThirdPartyRegistration) {
        var index = record.older
        while index != .max {
            if thirdParty[index].isOfSameCriterion(as: record) { thirdParty[index].endsRegistration = false }
            index = thirdParty[index].older
        }
    }

    // MARK: Deregistration by the network

    /// Removes all bindings of a user (§5.4.1.5) and tells watchers and application servers.
    ///
    /// - Parameter server: the one that is not told, since it gave the reason; -1: all are told.
    mutating func deregister(
        _ subscriber: UInt32, _ event: DeregistrationEvent, except server: Int16 = -1, at now: Now, into effects: inout Effects
    ) {
        userGone(subscriber, .network(registrar.removeAll(of: subscriber), failed: server, event), at: now, into: &effects)
    }
}
