// Delivery of what was kept, when its recipient registers (OMA IM 12.2.2.2): one MESSAGE after another, the oldest first,
// each gone from the store with its 2xx.
//
//   idle ──registered──► paused (the delay) ──► sending ──2xx──► sending the next … ──► idle
//                                                 └──480, once──► paused ──► sending
//                                                 └──other──► idle, the message stays

import SIPMessage
import SIPTransaction
import SansIO

extension IMServer {
    /// Final responses after which a message is given up: trying again cannot help. Those from 600 on are among them.
    private static let hopeless: Set<UInt16> = [400, 403, 404, 410, 413, 414, 415, 416, 420]

    /// Begins a run, or has the one under way begin anew should it stop.
    mutating func startDelivery(to user: Int, at now: Now, into effects: inout Effects) {
        guard mayDeliver(to: user), !users[user].waiting.isEmpty else { return }
        guard users[user].run.state == .idle else {
            users[user].run.isWantedAgain = true
            return
        }
        users[user].run.hasRetried = false
        users[user].run.isWantedAgain = false
        if settings.deliveryDelay > .zero {
            pause(user, for: settings.deliveryDelay, now)
        } else {
            deliverNext(to: user, at: now, into: &effects)
        }
    }

    func mayDeliver(to user: Int) -> Bool {
        guard users[user].registration.reachability == .reachable, effectiveSettings(of: user)[.offlineDelivery] else { return false }
        guard settings.requiresFeatureTagForDelivery else { return true }
        // Of whom the contacts are about to be told is waited for.
        if let watch = users[user].watch, watch.version == nil { return false }
        return users[user].registration.hasFeatureTag
    }

    private mutating func pause(_ user: Int, for span: TimeSpan, _ now: Now) {
        users[user].run.state = .paused
        users[user].run.timer = schedule(.deliveryDue(user: user), after: span, now)
    }

    mutating func deliveryDue(_ user: Int, at now: Now, into effects: inout Effects) {
        guard users[user].run.state == .paused else { return }
        users[user].run.timer = .none
        deliverNext(to: user, at: now, into: &effects)
    }

    /// Sends the oldest message, or ends the run.
    mutating func deliverNext(to user: Int, at now: Now, into effects: inout Effects) {
        guard mayDeliver(to: user), let number = users[user].waiting.first, let state = kept[number] else {
            users[user].run.state = .idle
            return
        }
        guard isDurable(state.ticket) else {
            users[user].run.state = .awaitingCommit(number)
            return
        }
        users[user].run.state = .sending(number)
        users[user].run.began = now.monotonic
        guard let client = transactions.reserveClient(.message, user: ClientUser.delivery(user: user).rawValue) else {
            return stop(user, at: now, into: &effects)
        }
        let path = ReturnPath(routes: [])
        let (flow, fallback) = nextHop(path, in: RawSpan(), length: state.message.size + 512)
        let start = effects.wire.bytes.count
        append(state.message, client, over: flow, into: &effects.wire.bytes)
        transactions.send(client, from: start, over: flow, fallbackListener: fallback, at: now.monotonic, into: &effects.wire)
    }

    private func append(_ message: KeptMessage, _ client: SlotID, over flow: Flow, into bytes: inout OctetBuffer) {
        bytes.append("MESSAGE ")
        bytes.append(message.recipient.octets)
        bytes.append(" SIP/2.0\r\n")
        transactions.appendVia(client, over: flow, into: &bytes)
        bytes.append("Max-Forwards: 70\r\n")
        appendCoreRoute(into: &bytes)
        bytes.append("From: ")
        bytes.append(message.from)
        bytes.append(";tag=")
        bytes.append(message.fromTag)
        bytes.append("\r\nTo: <")
        bytes.append(message.recipient.octets)
        bytes.append(">\r\n")
        bytes.appendField(.callID, octets: message.callID)
        bytes.append("CSeq: ")
        bytes.appendDecimal(UInt64(message.sequence))
        bytes.append(" MESSAGE\r\n")
        bytes.appendField(.pAssertedIdentity, octets: message.originator)
        bytes.appendField(.userAgent, IMServer.product)
        bytes.append(message.fields)
        bytes.appendBody(message.body.span.bytes)
    }

    // MARK: Answers

    mutating func deliveryAnswered(_ user: Int, _ status: UInt16, at now: Now, into effects: inout Effects) {
        guard case .sending(let number) = users[user].run.state else { return }
        if wasSentAgain(since: users[user].run.began, now) { kept[number]?.isPossiblyReceived = true }
        switch status {
        case 200..<300:
            counters.delivered += 1
            discard(number, at: now, into: &effects)
        case 480 where !users[user].run.hasRetried:
            // The user's own 200 may still be under way: once more, a little later.
            users[user].run.hasRetried = true
            revise(number, into: &effects)
            return pause(user, for: settings.timers.t1 * 2, now)
        case _ where IMServer.hopeless.contains(status) || status >= 600:
            counters.discarded += 1
            effects.notices.append(
                Notice(.warning, "message \(number) to \(users[user].identity) was refused with \(status) and is dropped"))
            discard(number, at: now, into: &effects)
        default:
            revise(number, into: &effects)
            return stop(user, at: now, into: &effects)
        }
        deliverNext(to: user, at: now, into: &effects)
    }

    /// No answer, or no way: the message may have arrived, so the next attempt is the same request.
    mutating func deliveryFailed(_ user: Int, at now: Now, into effects: inout Effects) {
        guard case .sending(let number) = users[user].run.state else { return }
        kept[number]?.isPossiblyReceived = true
        stop(user, at: now, into: &effects)
    }

    private mutating func stop(_ user: Int, at now: Now, into effects: inout Effects) {
        users[user].run.state = .idle
        guard users[user].run.isWantedAgain else { return }
        // The user registered while the message was on its way to where the user had been.
        startDelivery(to: user, at: now, into: &effects)
    }
}
