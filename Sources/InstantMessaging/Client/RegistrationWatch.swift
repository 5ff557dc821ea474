// The client's subscription to its own registration (TS 24.229 §5.1.1.3, RFC 3680): how it hears that the network has ended or
// shortened what it was granted. It begins with each registration; whether to register again is left to whoever drives the client.

import SIPMessage
import SIPTransaction
import SansIO

extension IMClient {
    /// How long a client that quits waits for the core's last word.
    private static let farewell = TimeSpan.milliseconds(500)

    // MARK: SUBSCRIBE

    /// Subscribes anew.
    mutating func watchRegistration(at now: Now, into effects: inout Effects) {
        forgetWatch()
        let fresh = WatchDialog(callID: newCallID(), tag: newTag())
        watch = fresh
        begin(.watch, subscription(fresh), at: now, into: &effects)
    }

    mutating func watchRefreshDue(at now: Now, into effects: inout Effects) {
        watchTimer = .none
        guard isRegistered, let watch, exchanges[Lane.watch.rawValue] == nil else { return }
        begin(.watch, subscription(watch), at: now, into: &effects)
    }

    private func subscription(_ watch: WatchDialog) -> Exchange {
        Exchange(
            purpose: .watch, expires: settings.registrationExpires, isCommanded: false, callID: watch.callID, fromTag: watch.tag,
            sequence: watch.sequence)
    }

    func appendWatchFields(_ exchange: Exchange, into bytes: inout OctetBuffer) {
        bytes.append("Contact: <")
        bytes.append(contactURI)
        bytes.append(">\r\nEvent: reg\r\nAccept: application/reginfo+xml\r\n")
        bytes.appendField(.expires, decimal: UInt64(exchange.expires))
        bytes.append("P-Preferred-Identity: <")
        bytes.append(identityURI)
        bytes.append(">\r\n")
        bytes.appendField(.userAgent, IMClient.product)
        bytes.appendEmptyBody()
    }

    mutating func watchAccepted(_ response: Message, at now: Now, into effects: inout Effects) {
        guard let exchange = exchanges[Lane.watch.rawValue] else { return }
        let isOurs = watch?.callID == exchange.callID
        if isOurs, let essentials = try? response.essentials() {
            watch?.learn(response, remoteTag: essentials.to.tag)
            let granted = response.value(.expires).flatMap { response.bytes.decimal($0) } ?? UInt64(exchange.expires)
            wheel.cancel(watchTimer)
            watchTimer = schedule(.watchRefresh, after: .refreshDelay(of: UInt32(granted)), now)
            // Timer N (RFC 6665 §4.1.2.4).
            if watch?.notified == nil, watchSilence.isNone { watchSilence = schedule(.watchSilence, after: settings.timers.patience, now) }
        }
        finish(.watch, .succeeded, at: now, into: &effects)
    }

    mutating func watchRefused(_ status: UInt16, _ reason: String, at now: Now, into effects: inout Effects) {
        let wasKnown = watch?.remoteTag.isEmpty == false
        forgetWatch()
        finish(.watch, .failed, at: now, into: &effects)
        // A core that has forgotten the subscription is asked anew.
        if status == 481, wasKnown, isRegistered { return watchRegistration(at: now, into: &effects) }
        effects.notices.append(
            Notice(.info, "the registration is not watched, so its end by the network will not be heard: \(status) \(reason)"))
    }

    /// No NOTIFY came.
    mutating func watchSilent(into effects: inout Effects) {
        watchSilence = .none
        forgetWatch()
        effects.notices.append(Notice(.info, "the registration is not watched: the core accepted SUBSCRIBE and sent no NOTIFY"))
    }

    /// From now on nothing more is heard of the registration.
    mutating func forgetWatch() {
        watch = nil
        wheel.cancel(watchTimer)
        wheel.cancel(watchSilence)
        watchTimer = .none
        watchSilence = .none
    }

    // MARK: NOTIFY

    mutating func notified(_ arrival: borrowing Arrival, into effects: inout Effects) {
        let request = arrival.message
        let essentials = arrival.essentials
        guard let known = watch, known.owns(request, essentials) else { return answer(arrival, 481, into: &effects) }
        guard let value = request.value(.event), let event = request.bytes.eventType(value), request[event.package].equals("reg") else {
            return answer(arrival, 489, into: &effects) { $0.append("Allow-Events: reg\r\n") }
        }
        guard let stateValue = request.value(.subscriptionState), let state = request.bytes.subscriptionState(stateValue) else {
            return answer(arrival, 400, into: &effects)
        }
        guard known.isNews(essentials) else { return answer(arrival, 500, into: &effects) }
        watch?.learn(request, remoteTag: essentials.from.tag)
        watch?.notified = essentials.sequence
        wheel.cancel(watchSilence)
        watchSilence = .none
        answer(arrival, 200, into: &effects)
        readReport(request, state, at: arrival.now, into: &effects)
        if state.state == .terminated { watchEnded(state.reason, at: arrival.now, into: &effects) }
    }

    private mutating func readReport(_ request: Message, _ state: SubscriptionState, at now: Now, into effects: inout Effects) {
        guard !request.body.isEmpty else { return }
        let report: RegistrationReport
        do throws(RegistrationDocument.Fault) {
            report = try RegistrationReport(request.body) { isOwnContact($0, in: $1) }
        } catch {
            effects.notices.append(Notice(.warning, "a NOTIFY tells nothing that could be read: \(error.text)"))
            return
        }
        switch report.own {
        case .shortened(let seconds):
            // TS 24.229 §5.1.1.5A: to be refreshed in time, and proved anew then.
            if isRegistered { arm(seconds, now) }
        case .ended(let reason): registrationEnded(reason, at: now)
        case .goesOn, .notTold: break
        }
    }

    /// What the network has ended; not what the client itself is just ending.
    private mutating func registrationEnded(_ reason: String, at now: Now) {
        guard isRegistered, exchanges[Lane.registration.rawValue]?.purpose != .unregister else { return }
        forgetRegistration()
        report(.registrationLost(reason: reason), at: now)
    }

    /// RFC 6665 §4.1.3: where only the subscription has ended, and not for good, there is a new one.
    private mutating func watchEnded(_ reason: SubscriptionState.Reason?, at now: Now, into effects: inout Effects) {
        forgetWatch()
        if !farewellTimer.isNone { return sayFarewell(at: now, into: &effects) }
        guard isRegistered, exchanges[Lane.registration.rawValue]?.purpose != .unregister else { return }
        if reason == .deactivated || reason == .timeout { watchRegistration(at: now, into: &effects) }
    }

    // MARK: The end

    /// A client that quits has unregistered; the core still has to say so to it as a watcher.
    ///
    /// - Returns: false if there is nothing to wait for.
    mutating func awaitsFarewell(_ now: Now) -> Bool {
        guard current == .quit, watch?.notified != nil else { return false }
        farewellTimer = schedule(.farewell, after: IMClient.farewell, now)
        return true
    }

    mutating func sayFarewell(at now: Now, into effects: inout Effects) {
        wheel.cancel(farewellTimer)
        farewellTimer = .none
        finish(.registration, .succeeded, at: now, into: &effects)
    }
}
