// The server's subscriptions to the registration state of its users (TS 24.229 §5.7.1.1, RFC 3680): a third-party REGISTER tells
// that a user is there, and the core's NOTIFYs by which contacts, and with which feature tags. An option.
//
//   third-party REGISTER → SUBSCRIBE ──200──► NOTIFY … ──terminated──► gone, or after a moment SUBSCRIBE anew
//                                    ──480──► the user is not there
//                                    ──481──► the core has forgotten the subscription: anew
//
// Nothing of it is stored: a server that starts again subscribes anew, and the core hears 481 on what was before.

import SIPMessage
import SIPTransaction
import SansIO

/// The server's subscription to one user's registration state.
struct UserWatch: Sendable {
    var dialog: WatchDialog
    /// Seconds that are asked for.
    var expires: UInt32
    /// A SUBSCRIBE has no final answer yet.
    var isAwaited = false
    /// How many registrations the user had made when it was sent.
    var registrations: UInt64 = 0
    /// A NOTIFY must follow the 200 (timer N of RFC 6665 §4.1.2.4).
    var silence = TimerID.none
    /// Of the last document; nil: none has come yet.
    var version: UInt64?
    /// The contacts that live, by their ids: whether each has the IM feature tag.
    var contacts: [String: Bool] = [:]
}

extension IMServer {
    /// Seconds asked for: as long as UEs ask.
    private static let watchExpires: UInt32 = 600_000
    /// After which time a core is asked again that had no answer, or no place.
    private static let watchPause = TimeSpan.seconds(30)
    /// Contacts that are remembered of one user.
    private static let contactLimit = 4096

    // MARK: Occasions

    /// The core has told that a user registered.
    ///
    /// - Parameter isFromNewCall: whether its request has another Call-ID than the one before: a core that has begun anew may have
    ///   forgotten the subscription.
    mutating func watchRegistration(of user: Int, isFromNewCall: Bool, at now: Now, into effects: inout Effects) {
        guard settings.watchesRegistrations else { return }
        guard users[user].watch != nil else { return beginWatch(user, at: now, into: &effects) }
        if isFromNewCall { subscribe(user, at: now, into: &effects) }
    }

    /// The core has told that a contact of a user is gone. It may have been one of several (TS 24.229 §5.7.1.1, the note): who
    /// hears nothing more of it asks.
    mutating func doubtRegistration(of user: Int, at now: Now) {
        if users[user].watch != nil { watchLater(user, after: settings.timers.t1 * 4, now) }
    }

    /// After a start: who was there is watched again. One after another, so that a start with many is no burst.
    mutating func watchAllRegistrations(at now: Now) {
        guard settings.watchesRegistrations else { return }
        for user in users.indices where users[user].registration.reachability == .reachable {
            watchLater(user, after: .milliseconds(user + 1), now)
        }
    }

    private mutating func watchLater(_ user: Int, after span: TimeSpan, _ now: Now) {
        wheel.cancel(users[user].watchTimer)
        users[user].watchTimer = schedule(.watchDue(user: user), after: span, now)
    }

    mutating func watchDue(_ user: Int, at now: Now, into effects: inout Effects) {
        users[user].watchTimer = .none
        if users[user].watch != nil { return subscribe(user, at: now, into: &effects) }
        if users[user].registration.reachability == .reachable { beginWatch(user, at: now, into: &effects) }
    }

    private mutating func beginWatch(_ user: Int, at now: Now, into effects: inout Effects) {
        forgetWatch(of: user)
        let dialog = WatchDialog(callID: newCallID(), tag: newTag())
        watchers[dialog.tag] = user
        users[user].watch = UserWatch(dialog: dialog, expires: IMServer.watchExpires)
        subscribe(user, at: now, into: &effects)
    }

    private mutating func forgetWatch(of user: Int) {
        wheel.cancel(users[user].watchTimer)
        users[user].watchTimer = .none
        guard let watch = users[user].watch else { return }
        wheel.cancel(watch.silence)
        watchers[watch.dialog.tag] = nil
        users[user].watch = nil
    }

    /// Nothing more is heard of the contacts for now: what waited for that no longer does.
    private mutating func endWatch(of user: Int, at now: Now, into effects: inout Effects) {
        let couldDeliver = mayDeliver(to: user)
        forgetWatch(of: user)
        if !couldDeliver { startDelivery(to: user, at: now, into: &effects) }
    }

    // MARK: SUBSCRIBE

    /// Sends the next SUBSCRIBE of a subscription.
    private mutating func subscribe(_ user: Int, at now: Now, into effects: inout Effects) {
        guard var watch = users[user].watch, !watch.isAwaited else { return }
        guard let client = transactions.reserveClient(.subscribe, user: ClientUser.watch(user: user).rawValue) else {
            return watchLater(user, after: IMServer.watchPause, now)
        }
        watch.dialog.sequence += 1
        watch.isAwaited = true
        watch.registrations = users[user].registrations
        users[user].watch = watch
        let (flow, fallback) = nextHop(ReturnPath(routes: []), in: RawSpan(), length: 0)
        let start = effects.wire.bytes.count
        appendSubscribe(watch, users[user].identity, client, over: flow, into: &effects.wire.bytes)
        transactions.send(client, from: start, over: flow, fallbackListener: fallback, at: now.monotonic, into: &effects.wire)
    }

    private func appendSubscribe(
        _ watch: UserWatch, _ identity: Identity, _ client: SlotID, over flow: Flow, into bytes: inout OctetBuffer
    ) {
        let dialog = watch.dialog
        bytes.append("SUBSCRIBE ")
        bytes.append(dialog.target.isEmpty ? identity.octets : dialog.target)
        bytes.append(" SIP/2.0\r\n")
        transactions.appendVia(client, over: flow, into: &bytes)
        bytes.append("Max-Forwards: 70\r\n")
        if dialog.remoteTag.isEmpty { appendCoreRoute(into: &bytes) }
        for route in dialog.routes { bytes.appendField(.route, octets: route) }
        let own = ownURI(over: flow)
        bytes.append("From: <")
        bytes.append(own)
        bytes.append(">;tag=")
        bytes.append(dialog.tag)
        bytes.append("\r\nTo: <")
        bytes.append(identity.octets)
        bytes.append(">")
        if !dialog.remoteTag.isEmpty {
            bytes.append(";tag=")
            bytes.append(dialog.remoteTag)
        }
        bytes.append("\r\n")
        bytes.appendField(.callID, octets: dialog.callID)
        bytes.append("CSeq: ")
        bytes.appendDecimal(UInt64(dialog.sequence))
        bytes.append(" SUBSCRIBE\r\nContact: <")
        bytes.append(own)
        bytes.append(">\r\nP-Asserted-Identity: <")
        bytes.append(own)
        bytes.append(">\r\nEvent: reg\r\nAccept: application/reginfo+xml\r\n")
        bytes.appendField(.expires, decimal: UInt64(watch.expires))
        bytes.appendField(.userAgent, IMServer.product)
        bytes.appendEmptyBody()
    }

    /// Ourselves, as who subscribes (TS 24.229 §5.7.1.1).
    private func ownURI(over flow: Flow) -> [UInt8] {
        var uri = OctetBuffer(capacity: 128)
        uri.append("sip:")
        uri.append(text: settings.listeners[Int(flow.listener)].advertised.text)
        uri.appendTransportParameter(flow.transport)
        return [UInt8](uri.bytes)
    }

    mutating func subscriptionAnswered(
        _ user: Int, _ response: Message, _ essentials: Essentials, at now: Now, into effects: inout Effects
    ) {
        guard response.status >= 200, users.indices.contains(user), let watch = users[user].watch, watch.isAwaited,
            response[essentials.callID].equals(watch.dialog.callID.span.bytes)
        else { return }
        users[user].watch?.isAwaited = false
        switch response.status {
        case 200..<300:
            subscriptionAccepted(user, response, essentials, at: now)
        case 423 where lengthen(user, response):
            subscribe(user, at: now, into: &effects)
        case 481 where !watch.dialog.remoteTag.isEmpty && users[user].registration.reachability == .reachable:
            beginWatch(user, at: now, into: &effects)
        case 480:
            // Whom the core does not know as registered is not there, unless it has told otherwise meanwhile.
            forgetWatch(of: user)
            guard watch.registrations == users[user].registrations else { return watchLater(user, after: settings.timers.t1, now) }
            reported([:], nil, of: user, at: now, into: &effects)
        case 408, 500...:
            subscriptionFailed(user, "\(response.status)", at: now, into: &effects)
        default:
            endWatch(of: user, at: now, into: &effects)
            effects.notices.append(
                Notice(.warning, "the registration of \(users[user].identity) cannot be watched: the core answered \(response.status)"))
        }
    }

    private mutating func subscriptionAccepted(_ user: Int, _ response: Message, _ essentials: Essentials, at now: Now) {
        users[user].watch?.dialog.learn(response, remoteTag: essentials.to.tag)
        let asked = users[user].watch?.expires ?? 0
        let granted = response.value(.expires).flatMap { response.bytes.decimal($0) }.map { UInt32(min($0, UInt64(asked))) } ?? asked
        if granted > 0 { watchLater(user, after: .refreshDelay(of: granted), now) }
        guard users[user].watch?.dialog.notified == nil, users[user].watch?.silence.isNone == true else { return }
        let silence = schedule(.watchSilence(user: user), after: settings.timers.patience, now)
        users[user].watch?.silence = silence
    }

    /// 423: takes over the least interval.
    private mutating func lengthen(_ user: Int, _ response: Message) -> Bool {
        guard let asked = users[user].watch?.expires, let value = response.value(.minExpires),
            let minimum = response.bytes.decimal(value), minimum > UInt64(asked), minimum <= UInt64(UInt32.max)
        else { return false }
        users[user].watch?.expires = UInt32(minimum)
        return true
    }

    /// No answer, or none that says anything of the user: later once more.
    mutating func subscriptionFailed(_ user: Int, _ reason: String, at now: Now, into effects: inout Effects) {
        guard users.indices.contains(user), users[user].watch != nil else { return }
        effects.notices.append(Notice(.warning, "the registration of \(users[user].identity) is not watched for now: \(reason)"))
        endWatch(of: user, at: now, into: &effects)
        watchLater(user, after: IMServer.watchPause, now)
    }

    mutating func watchSilent(_ user: Int, at now: Now, into effects: inout Effects) {
        users[user].watch?.silence = .none
        subscriptionFailed(user, "the core accepted SUBSCRIBE and sent no NOTIFY", at: now, into: &effects)
    }

    // MARK: NOTIFY

    mutating func notified(_ arrival: borrowing Arrival, into effects: inout Effects) {
        let request = arrival.message
        let essentials = arrival.essentials
        guard let user = watchers[[UInt8](request[essentials.to.tag])], let watch = users[user].watch,
            watch.dialog.owns(request, essentials)
        else { return answer(arrival, 481, into: &effects) }
        guard let value = request.value(.event), let event = request.bytes.eventType(value), request[event.package].equals("reg") else {
            return answer(arrival, 489, into: &effects) { $0.append("Allow-Events: reg\r\n") }
        }
        guard let stateValue = request.value(.subscriptionState), let state = request.bytes.subscriptionState(stateValue) else {
            return answer(arrival, 400, warning: "Subscription-State cannot be read", into: &effects)
        }
        guard watch.dialog.isNews(essentials) else { return answer(arrival, 500, into: &effects) }
        wheel.cancel(watch.silence)
        users[user].watch?.silence = .none
        users[user].watch?.dialog.learn(request, remoteTag: essentials.from.tag)
        users[user].watch?.dialog.notified = essentials.sequence
        answer(arrival, 200, into: &effects)
        if !request.body.isEmpty { readDocument(request.body, of: user, at: arrival.now, into: &effects) }
        if state.state == .terminated { watchEnded(user, state, at: arrival.now, into: &effects) }
    }

    /// RFC 6665 §4.1.3: where only the subscription has ended, and not for good, there is a new one.
    private mutating func watchEnded(_ user: Int, _ state: SubscriptionState, at now: Now, into effects: inout Effects) {
        endWatch(of: user, at: now, into: &effects)
        guard users[user].registration.reachability == .reachable else { return }
        switch state.reason {
        case .deactivated, .timeout, .other, nil: watchLater(user, after: settings.timers.t1, now)
        case .probation, .giveup: watchLater(user, after: state.retryAfter.map { .seconds(Int($0)) } ?? IMServer.watchPause, now)
        case .rejected, .noresource, .invariant: break
        }
    }

    private mutating func readDocument(_ body: RawSpan, of user: Int, at now: Now, into effects: inout Effects) {
        let document: RegistrationDocument
        do throws(RegistrationDocument.Fault) { document = try RegistrationDocument(body) } catch {
            effects.notices.append(Notice(.warning, "a NOTIFY tells nothing that could be read: \(error.text)"))
            return
        }
        guard let watch = users[user].watch else { return }
        // RFC 3680 §5.1: what is older is passed over; after a gap only a full document helps, and a SUBSCRIBE brings one.
        if let last = watch.version, let version = document.version, version <= last { return }
        if !document.isFull, watch.version.map({ $0 + 1 }) != document.version { return subscribe(user, at: now, into: &effects) }
        var contacts = document.isFull ? [:] : watch.contacts
        for contact in document.contacts {
            contacts[contact.id] = contact.isActive ? contact.parameters.contains("+g.oma.sip-im") : nil
            if contacts.count > IMServer.contactLimit { break }
        }
        let couldDeliver = mayDeliver(to: user)
        users[user].watch?.version = document.version ?? 0
        users[user].watch?.contacts = contacts
        reported(contacts, document, of: user, at: now, into: &effects)
        if !couldDeliver { startDelivery(to: user, at: now, into: &effects) }
    }

    /// Takes over what is known of a user's contacts now, and stores it if that is new.
    private mutating func reported(
        _ contacts: [String: Bool], _ document: RegistrationDocument?, of user: Int, at now: Now, into effects: inout Effects
    ) {
        var registration = users[user].registration
        registration.reachability = contacts.isEmpty ? .unreachable : .reachable
        if !contacts.isEmpty {
            registration.hasFeatureTag = contacts.values.contains(true)
            if let longest = document?.contacts.filter(\.isActive).compactMap(\.expires).max() {
                let expiry = now.wall + .seconds(Int(longest))
                // Whole seconds: what is told by both ways at once is the same.
                if expiry > registration.expiry + .seconds(2) { (registration.interval, registration.expiry) = (longest, expiry) }
            }
            if let identities = document?.identities, !identities.isEmpty { registration.aliases = identities }
        }
        guard registration != users[user].registration else { return }
        register(user, registration, at: now)
        let ticket = putRegistration(user, into: &effects)
        commitments.append(Commitment(ticket: ticket, change: .report(user: user)))
    }
}

extension RegistrationDocument {
    /// The identities of the set; what a wildcard stands for is not known.
    fileprivate var identities: [Identity] {
        Array(registrations.lazy.filter { !$0.isWildcard }.compactMap { Identity($0.addressOfRecord) }.prefix(64))
    }
}
