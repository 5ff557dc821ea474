// NOTIFY: telling watchers what became of a user's registration (RFC 6665 §4.2.2, RFC 3680 §4.7, TS 24.229 §5.4.2.1.2).
//
//   a change of bindings → registrationStateChanged → observe (Watch) ─┐
//   SUBSCRIBE, a timer, the answer to a NOTIFY, a commit ──────────────┴→ tell → NOTIFY, or not yet
//
// A subscription has one NOTIFY under way at most; what changes meanwhile is told by the next, so a slow watcher costs no memory.

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
import SansIO

extension ServingCSCF {
    // MARK: Occasions

    /// A user's bindings may have changed, and if so, that is safe now.
    ///
    /// - Parameter named: the identity in the REGISTER that changed them, if one did.
    mutating func registrationStateChanged(
        of subscriber: UInt32, _ cause: RegistrationCause, named: IdentityReference? = nil, at now: Now, into effects: inout Effects
    ) {
        if let named { subscriptions.note(named) }
        guard !subscriptions.isEmpty, let watchers = subscriptions.watches[subscriber]?.subscriptions else { return }
        // A later change that is not safe yet shows in the bindings already: both are told when it is.
        guard !waiting.concerns(subscriber) else { return }
        let named = subscriptions.named(subscriber)
        subscriptions.watches[subscriber]?.observe(registrar, subscriber, cause, named: named, at: now.monotonic)
        for id in watchers { tell(id, at: now, into: &effects) }
    }

    /// Lets the timers of subscriptions that are due fire.
    mutating func advanceSubscriptions(to now: Now, into effects: inout Effects) {
        for id in subscriptions.expire(upTo: now.monotonic) { tell(id, at: now, into: &effects) }
    }

    // MARK: Whether there is something to tell, and when

    /// Tells a watcher what it does not know, if there is something and the time has come.
    mutating func tell(_ id: SlotID, at now: Now, into effects: inout Effects) {
        guard subscriptions.contains(id) else { return }
        let subscription = subscriptions[id]
        let subscriber = subscription.watched.subscriber
        guard subscription.pending == 0, !subscription.isAwaited, !waiting.concerns(subscriber) else { return }
        guard let watch = subscriptions.watches[subscriber] else { return }
        let end = end(of: subscription, watch, at: now)
        guard end != nil || subscription.mustTellAll || watch.serial > subscription.told else {
            return subscriptions.wait(id, until: .distantFuture, at: now.monotonic)
        }
        let turn = turn(of: subscription, watch, isEnd: end != nil)
        guard turn <= now.monotonic else { return subscriptions.wait(id, until: turn, at: now.monotonic) }
        guard hasNumbers(inDialog: subscription.tag, at: now, into: &effects) else { return }
        sendNotify(id, end: end, at: now, into: &effects)
    }

    /// Why a subscription ends now; nil: it goes on.
    private func end(of subscription: Subscription, _ watch: Watch, at now: Now) -> SubscriptionEnd? {
        if subscription.dialog.expiry <= now.monotonic { return SubscriptionEnd(reason: "timeout") }
        guard !registrar.isRegistered(subscription.watched.subscriber) else { return nil }
        let usual = configuration.registrationEvents.endReason
        return watch.lastEnd?.subscriptionEnd(usual: usual) ?? SubscriptionEnd(reason: usual.text)
    }

    /// When the next NOTIFY may leave. Only what is a mere refresh of contacts has to wait (RFC 3680 §4.10).
    private func turn(of subscription: Subscription, _ watch: Watch, isEnd: Bool) -> Instant {
        if isEnd || subscription.mustTellAll || watch.urgent > subscription.told { return subscription.notBefore }
        return max(subscription.notBefore, subscription.lastTold + configuration.registrationEvents.refreshInterval)
    }

    // MARK: The request

    private struct NotifyHop {
        var uri: [UInt8]
        /// Route header fields.
        var routes: [UInt8]
        var flow: Flow
    }

    /// - Parameter end: why the subscription ends with it; nil: it goes on.
    private mutating func sendNotify(_ id: SlotID, end: SubscriptionEnd?, at now: Now, into effects: inout Effects) {
        guard let client = transactions.reserveClient(.notify, user: Owner.subscription(id).rawValue) else {
            // No room: later. What changes until then is told with it.
            counters.countNotify(.failed)
            subscriptions[id].notBefore = now.monotonic + .seconds(Int(ServingCSCF.retryAfter))
            return subscriptions.wait(id, until: subscriptions[id].notBefore, at: now.monotonic)
        }
        let hop = notifyHop(of: subscriptions[id].dialog)
        let start = effects.wire.bytes.count
        let charging = subscriptions[id].isForServer ? newChargingIdentifier() : .none
        appendNotify(id, hop, client, end, charging, at: now, into: &effects)
        noteTold(id, at: now)
        counters.countNotify(.sent)
        transmit(client, from: start, over: hop.flow, at: now, into: &effects)
        if end != nil { endSubscription(id, into: &effects) }
    }

    private mutating func noteTold(_ id: SlotID, at now: Now) {
        let subscriber = subscriptions[id].watched.subscriber
        subscriptions[id].version += 1
        let tag = subscriptions[id].tag
        subscriptions.setSequence(subscriptions.lastSequence(inDialog: tag) + 1, inDialog: tag)
        subscriptions[id].isAwaited = true
        subscriptions[id].mustTellAll = false
        subscriptions[id].told = subscriptions.watches[subscriber]?.serial ?? 0
        subscriptions[id].lastTold = now.monotonic
        subscriptions.forgetEnded(of: subscriber)
    }

    /// By the route set, else to the target (RFC 3261 §12.2.1.1); by the flow that the last SUBSCRIBE came on, where these lead
    /// nowhere. A first route without `lr` takes the place of the Request-URI.
    private func notifyHop(of dialog: Subscription.Dialog) -> NotifyHop {
        let octets = pool.bytes(dialog.octets)
        let target = octets[dialog.text.targetSlice]
        var hop = NotifyHop(uri: [UInt8](target), routes: [], flow: dialog.flow)
        guard dialog.text.routes > 0 else {
            if let uri = target.uri(Slice(0, target.byteCount)) {
                hop.uri = target.target(uri)
                if let flow = flow(to: uri, in: target),
                    !isUnreachableStream(Destination(endpoint: flow.remote, transport: flow.transport), dialog.flow)
                {
                    hop.flow = flow
                }
            }
            return hop
        }
        let routes = octets[dialog.text.routesSlice]
        var rest = Slice(0, routes.byteCount)
        let first = routes.nextListValue(&rest)
        guard let address = routes.nameAddress(first) else { return hop }
        if let flow = flow(to: address.uri, in: routes) { hop.flow = flow }
        var fields = OctetBuffer(capacity: 256)
        if routes.parameter("lr", in: address.uri.parameters) != nil {
            fields.appendField(.route, routes)
        } else {
            hop.uri = routes.target(address.uri)
            if !rest.isEmpty { fields.appendField(.route, routes[routes.trimmed(rest)]) }
            fields.append("Route: <")
            fields.append(target)
            fields.append(">\r\n")
        }
        hop.routes = [UInt8](fields.bytes)
        return hop
    }

    private func flow(to uri: SIPURI, in octets: RawSpan) -> Flow? {
        guard let way = way(to: uri, in: octets) else { return nil }
        return outgoing(way.destination)
    }

    /// - Parameter charging: for an application server (TS 24.229 §5.4.2.1.2); a UE is never told.
    private func appendNotify(
        _ id: SlotID, _ hop: NotifyHop, _ client: SlotID, _ end: SubscriptionEnd?, _ charging: ChargingIdentifier, at now: Now,
        into effects: inout Effects
    ) {
        let subscription = subscriptions[id]
        let octets = pool.bytes(subscription.dialog.octets)
        let text = subscription.dialog.text
        effects.wire.bytes.append("NOTIFY ")
        effects.wire.bytes.append(hop.uri)
        effects.wire.bytes.append(" SIP/2.0\r\n")
        transactions.appendVia(client, over: hop.flow, into: &effects.wire.bytes)
        effects.wire.bytes.append(hop.routes)
        effects.wire.bytes.append("Max-Forwards: 70\r\nFrom: ")
        effects.wire.bytes.append(octets[text.localSlice])
        effects.wire.bytes.append(";tag=")
        effects.wire.bytes.appendHex(subscription.tag)
        effects.wire.bytes.append("\r\n")
        effects.wire.bytes.appendField(.to, octets[text.remoteSlice])
        effects.wire.bytes.appendField(.callID, octets[text.callIDSlice])
        effects.wire.bytes.append("CSeq: ")
        effects.wire.bytes.appendDecimal(UInt64(subscriptions.lastSequence(inDialog: subscription.tag)) + 1)
        effects.wire.bytes.append(" NOTIFY\r\n")
        appendContact(of: subscription, into: &effects.wire.bytes)
        effects.wire.bytes.append("Event: reg")
        if text.eventID > 0 {
            effects.wire.bytes.append(";id=")
            effects.wire.bytes.append(octets[text.eventIDSlice])
        }
        effects.wire.bytes.append("\r\nSubscription-State: ")
        effects.wire.bytes.appendSubscriptionState(end, expires: (subscription.dialog.expiry - now.monotonic).wholeSeconds)
        if !charging.isNone {
            appendChargingVector(charging, for: .applicationServer, into: &effects.wire.bytes)
            appendChargingFunctions(into: &effects.wire.bytes)
        }
        effects.wire.bytes.append("Content-Type: application/reginfo+xml\r\n")
        var body = OctetBuffer(capacity: 2048)
        let leftOut = appendRegistrationInfo(of: subscription, isLast: end != nil, at: now, into: &body)
        effects.wire.bytes.appendBody(body.bytes)
        if leftOut > 0 {
            effects.notices.append(Notice(.warning, "\(leftOut) contacts did not fit into a NOTIFY of a registration"))
        }
    }

    // MARK: What becomes of it

    /// RFC 6665 §4.2.2: a 503 with Retry-After asks for another try, any other refusal ends the subscription without a word.
    mutating func notifyAnswered(_ id: SlotID, _ response: borrowing Message, at now: Now, into effects: inout Effects) {
        guard response.status >= 200 else { return }
        counters.countNotify(response.status < 300 ? .accepted : .refused)
        guard subscriptions.contains(id) else { return }
        if response.status < 300 {
            subscriptions[id].isAwaited = false
            return tell(id, at: now, into: &effects)
        }
        guard response.status == 503, let value = response.value(.retryAfter), let retry = response.bytes.retryAfter(value) else {
            return endSubscription(id, into: &effects)
        }
        subscriptions[id].isAwaited = false
        subscriptions[id].mustTellAll = true
        subscriptions[id].notBefore = now.monotonic + .seconds(Int(min(max(retry.delay, 1), 3600)))
        tell(id, at: now, into: &effects)
    }

    /// No answer: the watcher is gone (RFC 6665 §4.2.2).
    mutating func notifyUnanswered(_ id: SlotID, into effects: inout Effects) {
        counters.countNotify(.failed)
        if subscriptions.contains(id) { endSubscription(id, into: &effects) }
    }

    /// Forgets a subscription that has ended, in the database too.
    private mutating func endSubscription(_ id: SlotID, into effects: inout Effects) {
        if subscriptions[id].isStored { forgetStoredSubscription(id, into: &effects) }
        forget(id)
    }

    /// Forgets a subscription.
    mutating func forget(_ id: SlotID) {
        pool.release(subscriptions[id].dialog.octets)
        subscriptions.remove(id)
    }
}

extension Subscriptions {
    /// Sets the timer for the end of a subscription, or for `turn` if that comes first.
    fileprivate mutating func wait(_ id: SlotID, until turn: Instant, at now: Instant) {
        let expiry = self[id].dialog.expiry
        // What has ended only waits for its turn to say so.
        setTimer(id, at: expiry > now ? min(expiry, turn) : turn)
    }
}

extension OctetBuffer {
    fileprivate mutating func appendSubscriptionState(_ end: SubscriptionEnd?, expires: Int64) {
        if let end {
            append("terminated;reason=")
            append(end.reason)
            if let retryAfter = end.retryAfter {
                append(";retry-after=")
                appendDecimal(UInt64(retryAfter))
            }
        } else {
            append("active;expires=")
            appendDecimal(UInt64(max(expires, 0)))
        }
        append("\r\n")
    }
}
