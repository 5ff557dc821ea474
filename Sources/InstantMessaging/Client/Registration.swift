// Registration by the user (TS 24.229 §5.1.1; RFC 3261 §10.2): Contact with the IM feature tag (RFC 3840 §9), refreshed
// in time, and what the 200 tells: Service-Route (RFC 3608), P-Associated-URI (RFC 7315 §4.1).

import SIPMessage
import SIPTransaction
import SansIO

extension IMClient {
    mutating func register(expires: UInt32, isCommanded: Bool, at now: Now, into effects: inout Effects) {
        begin(.registration, registration(.register, expires, isCommanded), at: now, into: &effects)
    }

    mutating func unregister(at now: Now, into effects: inout Effects) {
        begin(.registration, registration(.unregister, 0, true), at: now, into: &effects)
    }

    /// All of a client's registrations share a Call-ID (RFC 3261 §10.2).
    private func registration(_ purpose: Exchange.Purpose, _ expires: UInt32, _ isCommanded: Bool) -> Exchange {
        Exchange(
            purpose: purpose, expires: expires, isCommanded: isCommanded, callID: registrationCallID, fromTag: registrationTag,
            sequence: registrationSequence)
    }

    func appendRegistrationFields(_ exchange: Exchange, into bytes: inout OctetBuffer) {
        bytes.append("Contact: <")
        bytes.append(contactURI)
        bytes.append(">;+g.oma.sip-im;+sip.instance=\"<")
        bytes.append(text: instance)
        bytes.append(">\";expires=")
        bytes.appendDecimal(UInt64(exchange.expires))
        bytes.append("\r\n")
        bytes.appendField(.expires, decimal: UInt64(exchange.expires))
        bytes.append("Supported: path\r\n")
        bytes.appendField(.allow, IMClient.allow)
        bytes.appendField(.userAgent, IMClient.product)
        bytes.appendEmptyBody()
    }

    // MARK: Answers

    mutating func registrationAccepted(_ response: Message, at now: Now, into effects: inout Effects) {
        guard let exchange = exchanges[Lane.registration.rawValue] else { return }
        if exchange.purpose == .unregister { return unregistered(at: now, into: &effects) }
        let granted = grantedExpires(response, asked: exchange.expires)
        guard granted > 0 else {
            return registrationRefused(200, "the registration was granted for no time", retryAfter: nil, at: now, into: &effects)
        }
        let isInitial = !isRegistered
        isRegistered = true
        registrationExpires = exchange.expires
        registrationEnd = now.monotonic + .seconds(Int(granted))
        readRoute(response)
        arm(granted, now)
        report(.registered(expires: granted, publicIdentities: publicIdentities(response)), at: now)
        if settings.watchesRegistration, isInitial || watch == nil { watchRegistration(at: now, into: &effects) }
        // OMA IM 5.3: the settings are sent after a registration too, unless the user sends others right away.
        let republishes = isInitial && desired != nil && exchanges[Lane.publication.rawValue] == nil && commands.first?.lane != .publication
        if republishes { publishSettings(isCommanded: false, at: now, into: &effects) }
        finish(.registration, .succeeded, at: now, into: &effects)
    }

    /// Of our contact in the list of all (RFC 3261 §10.2.4), else of the Expires header.
    private func grantedExpires(_ response: Message, asked: UInt32) -> UInt32 {
        let bytes = response.bytes
        var granted: UInt64?
        response.forEachValue(.contact) { value in
            if let address = bytes.nameAddress(value), isOwnContact(address.uri, in: bytes) {
                granted = bytes.parameter("expires", in: address.parameters).flatMap { bytes.decimal($0) } ?? granted
            }
            return true
        }
        let header = response.value(.expires).flatMap { bytes.decimal($0) }
        return UInt32(granted ?? header ?? UInt64(asked))
    }

    /// Whether a URI is that of our Contact, by user, host and port.
    func isOwnContact(_ uri: SIPURI, in bytes: RawSpan) -> Bool {
        let own = contactURI.span.bytes
        guard uri.isSIP, let ownURI = own.uri(Slice(0, contactURI.count)), uri.port == ownURI.port else { return false }
        return bytes[uri.user].equals(own[ownURI.user]) && bytes[uri.host].equalsIgnoringCase(own[ownURI.host])
    }

    private mutating func readRoute(_ response: Message) {
        var routes: [[UInt8]] = []
        response.forEachValue(.serviceRoute) { value in
            routes.append([UInt8](response.bytes[value]))
            return routes.count < 16
        }
        serviceRoute = routes
    }

    private func publicIdentities(_ response: Message) -> [String] {
        var identities: [String] = []
        let bytes = response.bytes
        response.forEachValue(.pAssociatedURI) { value in
            if let address = bytes.nameAddress(value) { identities.append(String(octets: bytes[address.uri.all])) }
            return true
        }
        return identities.isEmpty ? [settings.publicIdentity] : identities
    }

    mutating func arm(_ granted: UInt32, _ now: Now) {
        disarm()
        refreshTimer = schedule(.registrationRefresh, after: .refreshDelay(of: granted), now)
        lapseTimer = schedule(.registrationLapse, after: .seconds(Int(granted)), now)
    }

    private mutating func disarm() {
        wheel.cancel(refreshTimer)
        wheel.cancel(lapseTimer)
        refreshTimer = .none
        lapseTimer = .none
    }

    private mutating func unregistered(at now: Now, into effects: inout Effects) {
        forgetRegistration()
        report(.unregistered, at: now)
        if awaitsFarewell(now) { return }
        finish(.registration, .succeeded, at: now, into: &effects)
    }

    /// Without a registration there is nobody to refresh settings as; they run out by themselves.
    mutating func forgetRegistration() {
        isRegistered = false
        serviceRoute = []
        disarm()
        // The core's last word on the registration may still come.
        wheel.cancel(watchTimer)
        watchTimer = .none
        wheel.cancel(settingsTimer)
        settingsTimer = .none
    }

    mutating func registrationRefused(
        _ status: UInt16, _ reason: String, retryAfter: UInt32?, at now: Now, into effects: inout Effects
    ) {
        guard let exchange = exchanges[Lane.registration.rawValue] else { return }
        let text = "\(status) \(reason)"
        if exchange.purpose == .unregister {
            // Who is not registered there is gone as wished (TS 24.229 §5.4.1.4.1).
            if status == 481 || status == 404 { return unregistered(at: now, into: &effects) }
            forgetRegistration()
            report(.error(text: "deregistration refused: \(text)"), at: now)
            return finish(.registration, .failed, at: now, into: &effects)
        }
        let isTemporary = status == 408 || status >= 500 && status < 600
        if isRegistered, isTemporary {
            // The registration lasts; before it ends there is time for another try.
            wheel.cancel(refreshTimer)
            let pause = retryAfter.map { TimeSpan.seconds(max(1, Int($0))) } ?? IMClient.retryInterval
            refreshTimer = schedule(.registrationRefresh, after: pause, now)
            if exchange.isCommanded { report(.error(text: "registration refused: \(text)"), at: now) }
        } else if isRegistered {
            forgetRegistration()
            report(.registrationLost(reason: text), at: now)
        } else if exchange.isCommanded {
            report(.error(text: "registration refused: \(text)"), at: now)
        }
        finish(.registration, .failed, at: now, into: &effects)
    }

    // MARK: Time

    mutating func registrationRefreshDue(at now: Now, into effects: inout Effects) {
        refreshTimer = .none
        guard isRegistered, exchanges[Lane.registration.rawValue] == nil else { return }
        register(expires: registrationExpires, isCommanded: false, at: now, into: &effects)
    }

    mutating func registrationLapsed(at now: Now, into effects: inout Effects) {
        lapseTimer = .none
        guard isRegistered else { return }
        forgetRegistration()
        report(.registrationLost(reason: "the registration ran out"), at: now)
    }
}
