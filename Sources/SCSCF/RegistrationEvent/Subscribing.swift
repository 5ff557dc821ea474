// SUBSCRIBE to the registration state of a user (RFC 6665 §4.2.1, RFC 3680 §4, TS 24.229 §5.4.2.1.1): who may, what is
// granted, and how a subscription goes on and ends.

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
import SansIO

/// What a SUBSCRIBE asks for, read and found to be right.
private struct SubscriptionWish: BitwiseCopyable {
    /// Seconds granted; 0: the subscription ends, or only a look is wanted (RFC 6665 §4.4.3).
    var expires: UInt32
    /// The watcher's Contact; nil: none was sent, which does for the end of a subscription.
    var contact: SIPURI?
    var eventID: Slice
}

/// Why a SUBSCRIBE is not accepted.
struct SubscriptionRefusal: Error {
    var status: UInt16
    var warning: String?
    /// For Min-Expires, in seconds: with 423 only.
    var minimumExpires: UInt32?
}

extension Message {
    /// Whether this is a SUBSCRIBE to registration state. The name of a package is compared with case (RFC 6665 §8.2.1).
    var isForRegistrationState: Bool {
        guard method == .subscribe, let value = value(.event), let event = bytes.eventType(value) else { return false }
        return bytes[event.package].equals("reg")
    }
}

extension ServingCSCF {
    // MARK: Outside of a dialog

    /// A SUBSCRIBE to our own address: there is no state of ours to watch, only that of users.
    mutating func subscribedToUs(_ arrival: Arrival, _ request: borrowing Message, at now: Now, into effects: inout Effects) {
        if request.isForRegistrationState {
            return answer(
                arrival, request, 404, warning: "registration state is a user's; name a public user identity", at: now, into: &effects)
        }
        answerBadEvent(arrival, request, at: now, into: &effects)
    }

    private mutating func answerBadEvent(_ arrival: Arrival, _ request: borrowing Message, at now: Now, into effects: inout Effects) {
        answer(arrival, request, 489, at: now, into: &effects) { $0.append("Allow-Events: reg\r\n") }
    }

    /// Whose registration state a request outside of a dialog is to watch; nil: the request is none of these.
    mutating func watchedUser(_ arrival: Arrival, _ request: borrowing Message, _ routes: RouteSet) -> IdentityReference? {
        guard routes.isEmpty, request.isForRegistrationState, let uri = arrival.essentials.requestURI else { return nil }
        return identity(of: uri, in: request.bytes)
    }

    /// Whether a request is a user's own wish to watch itself, while it has no contact: that is 480, whoever it may be (TS 24.229
    /// §5.4.2.1.1).
    mutating func watchesOwnAbsence(_ arrival: Arrival, _ request: borrowing Message, _ routes: RouteSet) -> Bool {
        guard let watched = watchedUser(arrival, request, routes), !registrar.isRegistered(watched.subscriber) else { return false }
        if let preferred = identity(ofFirst: .pPreferredIdentity, in: request) { return preferred.subscriber == watched.subscriber }
        return identity(of: arrival.essentials.from.uri, in: request.bytes)?.subscriber == watched.subscriber
    }

    /// The first SUBSCRIBE of a subscription, from a sender who is known.
    mutating func subscriptionRequested(
        to watched: IdentityReference, by sender: Sender, _ arrival: Arrival, _ request: borrowing Message, at now: Now,
        into effects: inout Effects
    ) {
        if let shard = otherShard(of: watched.subscriber) {
            return relay(nil, .originating, sender, arrival, request, to: shard, at: now, into: &effects)
        }
        if isMerged(arrival, request) { return answerMerged(arrival, request, at: now, into: &effects) }
        do throws(SubscriptionRefusal) {
            try checkMayWatch(watched, sender, arrival, request)
            let wish = try wish(of: request)
            guard wish.contact != nil else { throw SubscriptionRefusal(status: 400, warning: "SUBSCRIBE without a Contact") }
            try checkRoom(for: watched.subscriber)
            try beginSubscription(to: watched, by: sender, wish, arrival, request, at: now, into: &effects)
        } catch {
            refuseSubscription(error, arrival, request, at: now, into: &effects)
        }
    }

    private mutating func refuseSubscription(
        _ refusal: SubscriptionRefusal, _ arrival: Arrival, _ request: borrowing Message, at now: Now, into effects: inout Effects
    ) {
        answer(arrival, request, refusal.status, warning: refusal.warning, at: now, into: &effects) {
            switch refusal.status {
            case 406: $0.append("Accept: application/reginfo+xml\r\n")
            case 420: $0.appendUnsupported(of: request, .require, known: { _ in false })
            case 423: $0.appendField(.minExpires, decimal: UInt64(refusal.minimumExpires ?? 0))
            case 503: $0.appendField(.retryAfter, decimal: ServingCSCF.retryAfter)
            default: break
            }
        }
    }

    private mutating func beginSubscription(
        to watched: IdentityReference, by sender: Sender, _ wish: SubscriptionWish, _ arrival: Arrival, _ request: borrowing Message,
        at now: Now, into effects: inout Effects
    ) throws(SubscriptionRefusal) {
        let dialog = try dialog(of: wish, nil, arrival, request, at: now)
        let isStored = configuration.isPersistent && wish.expires > 0
        let id = subscriptions.insert(
            Subscription(
                watched: watched, tag: random.next(), isSecure: arrival.essentials.requestURI?.scheme == .sips,
                isForServer: sender.server >= 0, dialog: dialog, limit: isStored ? 0 : .max), registrar)
        accept(id, wish, arrival, request, previous: nil, at: now, into: &effects)
    }

    /// Answers 200, and tells the watcher what there is (RFC 6665 §4.2.1.2); with a database, once the change is stored.
    ///
    /// - Parameter previous: what a refresh has replaced.
    private mutating func accept(
        _ id: SlotID, _ wish: SubscriptionWish, _ arrival: Arrival, _ request: borrowing Message, previous: Subscription.Dialog?,
        at now: Now, into effects: inout Effects
    ) {
        subscriptions[id].mustTellAll = true
        subscriptions[id].notBefore = .zero
        if wish.expires > 0 { subscriptions.setTimer(id, at: subscriptions[id].dialog.expiry) }
        let start = effects.wire.bytes.count
        appendAccepted(id, wish.expires, arrival, request, into: &effects.wire.bytes)
        var changesStore = configuration.isPersistent
        if wish.expires == 0, !subscriptions[id].isStored { changesStore = false }
        guard changesStore else {
            if let previous { pool.release(previous.octets) }
            transactions.respond(arrival.server, 200, from: start, at: now.monotonic, into: &effects.wire)
            return tell(id, at: now, into: &effects)
        }
        let answer = takeBack(from: start, of: &effects)
        effects.wire.bytes.appendResponse(
            500, to: request, arrival.essentials, from: arrival.flow.remote, toTag: subscriptions[id].tag)
        appendWarning("the subscription could not be stored", into: &effects.wire.bytes)
        effects.wire.bytes.appendEmptyBody()
        let refusal = takeBack(from: start, of: &effects)
        let ticket: UInt64
        var limit = subscriptions[id].limit
        if wish.expires > 0 {
            (ticket, limit) = persist(id, at: now, into: &effects)
        } else {
            ticket = forgetStoredSubscription(id, into: &effects)
        }
        subscriptions[id].pending += 1
        subscriptions.waiting.append(
            WaitingSubscription(
                ticket: ticket, subscription: id, limit: limit, server: arrival.server, answer: answer, refusal: refusal,
                previous: previous))
    }

    /// Keeps what was written since `start` for later.
    private mutating func takeBack(from start: Int, of effects: inout Effects) -> PacketID {
        let packet = pool.store(effects.wire.bytes.bytes(from: start, count: effects.wire.bytes.count - start))
        effects.wire.bytes.truncate(to: start)
        return packet
    }

    private func appendAccepted(
        _ id: SlotID, _ expires: UInt32, _ arrival: Arrival, _ request: borrowing Message, into bytes: inout OctetBuffer
    ) {
        bytes.appendResponse(200, to: request, arrival.essentials, from: arrival.flow.remote, toTag: subscriptions[id].tag)
        appendContact(of: subscriptions[id], into: &bytes)
        bytes.appendField(.expires, decimal: UInt64(expires))
        if subscriptions[id].isForServer { appendChargingVector(answering: request, to: .applicationServer, into: &bytes) }
        bytes.appendEmptyBody()
    }

    /// Our end of the dialog.
    func appendContact(of subscription: Subscription, into bytes: inout OctetBuffer) {
        let flow = subscription.dialog.flow
        var watched = OctetBuffer(capacity: 128)
        directory.appendPublicIdentity(subscription.watched, into: &watched)
        bytes.append(subscription.isSecure ? "Contact: <sips:" : "Contact: <sip:")
        bytes.appendSubscriptionUser(watched.bytes)
        bytes.append("@")
        transactions.advertised.append(Int(flow.listener), into: &bytes)
        if !subscription.isSecure || flow.transport != .tls { bytes.appendTransportParameter(flow.transport) }
        bytes.append(">\r\n")
    }

    // MARK: Within the dialog

    /// A SUBSCRIBE within a dialog of ours: a refresh or the end (RFC 6665 §4.1.2.2, §4.1.2.3), or with another `id` of Event one
    /// more subscription (§4.5.2).
    mutating func subscriptionContinued(_ arrival: Arrival, _ request: borrowing Message, at now: Now, into effects: inout Effects) {
        guard let first = subscription(of: arrival.essentials, request), isAlive(dialogOf: first, at: now) else {
            return answer(arrival, request, 481, warning: "no such subscription", at: now, into: &effects)
        }
        guard request.isForRegistrationState else { return answerBadEvent(arrival, request, at: now, into: &effects) }
        // RFC 3261 §12.2.2.
        guard arrival.essentials.sequence > subscriptions.lastRemoteSequence(inDialog: subscriptions[first].tag) else {
            return answer(arrival, request, 500, warning: "CSeq not higher than that of the last request", at: now, into: &effects)
        }
        do throws(SubscriptionRefusal) {
            let wish = try wish(of: request)
            guard wish.contact != nil || wish.expires == 0 else {
                throw SubscriptionRefusal(status: 400, warning: "SUBSCRIBE without a Contact")
            }
            guard let id = subscription(beside: first, wish.eventID, in: request) else {
                return try beginSubscription(beside: first, wish, arrival, request, at: now, into: &effects)
            }
            let old = subscriptions[id].dialog
            guard old.expiry > now.monotonic else { throw SubscriptionRefusal(status: 481, warning: "the subscription has ended") }
            guard subscriptions[id].pending < .max else { throw SubscriptionRefusal(status: 503) }
            subscriptions[id].dialog = try dialog(of: wish, old, arrival, request, at: now)
            accept(id, wish, arrival, request, previous: old, at: now, into: &effects)
        } catch {
            refuseSubscription(error, arrival, request, at: now, into: &effects)
        }
    }

    /// One more subscription in a dialog: whoever has the dialog may watch.
    private mutating func beginSubscription(
        beside first: SlotID, _ wish: SubscriptionWish, _ arrival: Arrival, _ request: borrowing Message, at now: Now,
        into effects: inout Effects
    ) throws(SubscriptionRefusal) {
        guard wish.expires > 0 else { throw SubscriptionRefusal(status: 481, warning: "no subscription with this id in the dialog") }
        let known = subscriptions[first]
        guard registrar.isRegistered(known.watched.subscriber) else {
            throw SubscriptionRefusal(status: 480, warning: "the user is not registered")
        }
        try checkRoom(for: known.watched.subscriber)
        let dialog = try dialog(of: wish, known.dialog, arrival, request, at: now)
        let id = subscriptions.insert(
            Subscription(
                watched: known.watched, tag: known.tag, usage: random.next() | 1, isSecure: known.isSecure, isForServer: known.isForServer,
                dialog: dialog, sequence: subscriptions.lastSequence(inDialog: known.tag),
                limit: configuration.isPersistent ? 0 : .max), registrar)
        accept(id, wish, arrival, request, previous: nil, at: now, into: &effects)
    }

    /// Whether a subscription of the dialog has not run out.
    private func isAlive(dialogOf first: SlotID, at now: Now) -> Bool {
        for id in subscriptions.all(inDialog: subscriptions[first].tag) where subscriptions[id].dialog.expiry > now.monotonic {
            return true
        }
        return false
    }

    /// The subscription with this `id` of Event in a dialog.
    private func subscription(beside first: SlotID, _ eventID: Slice, in request: borrowing Message) -> SlotID? {
        for id in subscriptions.all(inDialog: subscriptions[first].tag) {
            let dialog = subscriptions[id].dialog
            if request[eventID].equals(pool.bytes(dialog.octets)[dialog.text.eventIDSlice]) { return id }
        }
        return nil
    }

    /// A subscription of the dialog that a request names by its tags and Call-ID (RFC 3261 §12).
    private func subscription(of essentials: Essentials, _ request: borrowing Message) -> SlotID? {
        let tag = request[essentials.to.tag]
        guard tag.byteCount == 16, let high = tag.hexadecimalWord(at: 0), let low = tag.hexadecimalWord(at: 8) else { return nil }
        guard let id = subscriptions.all(inDialog: UInt64(high) << 32 | UInt64(low)).first else { return nil }
        let dialog = subscriptions[id].dialog
        let octets = pool.bytes(dialog.octets)
        guard octets[dialog.text.callIDSlice].equals(request[essentials.callID]),
            let remote = octets.nameAddress(dialog.text.remoteSlice), octets[remote.tag].equals(request[essentials.from.tag])
        else { return nil }
        return id
    }

    // MARK: What is asked for

    /// Reads what a SUBSCRIBE asks for: Require, Accept, Contact, Expires and the id of Event.
    private func wish(of request: borrowing Message) throws(SubscriptionRefusal) -> SubscriptionWish {
        if request.has(.require) { throw SubscriptionRefusal(status: 420) }
        if request.has(.accept), !request.acceptsRegistrationState { throw SubscriptionRefusal(status: 406) }
        var wish = SubscriptionWish(expires: try expires(of: request), eventID: .empty)
        if let value = request.value(.event), let event = request.bytes.eventType(value) { wish.eventID = event.id }
        if let value = request.firstValue(.contact) {
            guard let address = request.bytes.nameAddress(value), address.uri.isSIP else {
                throw SubscriptionRefusal(status: 400, warning: "Contact is no SIP URI")
            }
            wish.contact = address.uri
        }
        return wish
    }

    /// What is granted: as much as is asked for, up to the most that a registration may last; without a wish what RFC 3680 §4.4
    /// names.
    private func expires(of request: borrowing Message) throws(SubscriptionRefusal) -> UInt32 {
        let (least, most) = (registrar.settings.minimumExpires, registrar.settings.maximumExpires)
        let wanted: UInt32?
        do { wanted = try request.number(.expires) } catch {
            throw SubscriptionRefusal(status: 400, warning: "Expires is no number of seconds")
        }
        guard let wanted else { return min(max(RegistrationEventSettings.defaultExpires, least), most) }
        if wanted > 0, wanted < least { throw SubscriptionRefusal(status: 423, minimumExpires: least) }
        return min(wanted, most)
    }

    private func checkRoom(for subscriber: UInt32) throws(SubscriptionRefusal) {
        let settings = configuration.registrationEvents
        guard subscriptions.count < max(1, settings.maximum / Int(place.count)) else {
            throw SubscriptionRefusal(status: 503, warning: "too many subscriptions")
        }
        guard subscriptions.count(of: subscriber) < settings.maximumPerUser else {
            throw SubscriptionRefusal(status: 503, warning: "too many subscriptions to this user")
        }
    }

    /// The dialog as a SUBSCRIBE makes it (RFC 3261 §12.1.1) or leaves it: within a dialog only the target changes (§12.2.2).
    private mutating func dialog(
        of wish: SubscriptionWish, _ old: Subscription.Dialog?, _ arrival: Arrival, _ request: borrowing Message, at now: Now
    ) throws(SubscriptionRefusal) -> Subscription.Dialog {
        let essentials = arrival.essentials
        var parts = DialogParts()
        if let old {
            let octets = pool.bytes(old.octets)
            parts.append(octets[old.text.callIDSlice], \.callID)
            parts.append(octets[old.text.remoteSlice], \.remote)
            parts.append(octets[old.text.localSlice], \.local)
            if let contact = wish.contact {
                parts.append(request[contact.all], \.target)
            } else {
                parts.append(octets[old.text.targetSlice], \.target)
            }
            parts.append(octets[old.text.routesSlice], \.routes)
        } else {
            parts.append(request[essentials.callID], \.callID)
            parts.append(request[essentials.from.all], \.remote)
            parts.append(request[essentials.to.all], \.local)
            if let contact = wish.contact { parts.append(request[contact.all], \.target) }
            parts.appendRoutes(of: request)
        }
        parts.append(request[wish.eventID], \.eventID)
        guard parts.octets.count <= DialogText.limit else {
            throw SubscriptionRefusal(status: 513, warning: "Contact, From, To, Call-ID and Record-Route are too long together")
        }
        return Subscription.Dialog(
            expiry: now.monotonic + .seconds(Int(wish.expires)), flow: arrival.flow, remoteSequence: essentials.sequence,
            text: parts.text, octets: pool.store(parts.octets.bytes))
    }
}

/// The octets of a dialog as they are put together.
private struct DialogParts: ~Copyable {
    var text = DialogText()
    var octets = OctetBuffer(capacity: 512)

    mutating func append(_ part: RawSpan, _ length: WritableKeyPath<DialogText, UInt16>) {
        octets.append(part)
        text[keyPath: length] = UInt16(truncatingIfNeeded: part.byteCount)
    }

    /// The route set of the one who is called: Record-Route in its order (RFC 3261 §12.1.1).
    mutating func appendRoutes(of request: borrowing Message) {
        var values: [Slice] = []
        request.forEachValue(.recordRoute) { value in
            values.append(value)
            return true
        }
        let start = octets.count
        for (i, value) in values.enumerated() {
            if i > 0 { octets.append(", ") }
            octets.append(request[value])
        }
        text.routes = UInt16(truncatingIfNeeded: octets.count - start)
    }
}

extension Message {
    /// Whether Accept takes documents of registration state (RFC 3680 §4.5): what it says of their type goes before what it says of
    /// a range, and `q=0` is a refusal (RFC 3261 §20.1).
    fileprivate var acceptsRegistrationState: Bool {
        var isTaken = false
        forEachValue(.accept) { value in
            var end = value.upper
            if let semicolon = bytes[value].firstOffset(of: 0x3B) { end = value.lower + semicolon }
            let type = bytes[bytes.trimmed(Slice(value.lower, end))]
            let isRefused = bytes.parameter("q", in: Slice(end, value.upper)).map { bytes.qvalue($0) == 0 } ?? false
            if type.equalsIgnoringCase("application/reginfo+xml") {
                isTaken = !isRefused
                return false
            }
            if !isRefused, type.equalsIgnoringCase("application/*") || type.equals("*/*") { isTaken = true }
            return true
        }
        return isTaken
    }
}
