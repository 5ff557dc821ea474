// Page mode (RFC 3428) in its two roles: the originating server passes a message on, the terminating one forwards it to
// a recipient who is there and keeps it for one who is not. Sessions are only let through or barred.

import SIPMessage
import SIPTransaction
import SansIO

extension IMServer {
    mutating func pagerMessageReceived(_ arrival: borrowing Arrival, _ path: ReturnPath, into effects: inout Effects) {
        let request = arrival.message
        // A delivery of ours that the core brings back goes on to the recipient: keeping it again would be a loop.
        if keptKeys[DeliveryKey(arrival)] != nil { return forward(arrival, path, .plain, into: &effects) }
        guard request.shape.body.count <= settings.bodyLimit else {
            return answer(arrival, 413, warning: "the body is over \(settings.bodyLimit) octets", into: &effects)
        }
        let senders = assertedIdentities(request, arrival.essentials)
        guard let sender = senders.first else { return answer(arrival, 403, warning: "no identity is asserted", into: &effects) }
        if isOriginating(request, path) {
            guard isServed(sender) else { return answer(arrival, 403, warning: "no user of this server", into: &effects) }
            // What is kept for its recipient, or was delivered, does not go round once more.
            if let course = originals[DeliveryKey(arrival)], course != .underWay {
                return copyReceived(arrival, path, course, into: &effects)
            }
            return forward(arrival, path, .outgoing(DeliveryKey(arrival)), into: &effects)
        }
        terminate(arrival, path, from: senders, into: &effects)
    }

    private mutating func terminate(
        _ arrival: borrowing Arrival, _ path: ReturnPath, from senders: [Identity], into effects: inout Effects
    ) {
        let request = arrival.message
        guard let uri = arrival.essentials.requestURI, let recipient = Identity(uri, in: request.bytes), isServed(recipient) else {
            return answer(arrival, 404, warning: "no user of this server", into: &effects)
        }
        if let barred = barredSenders[recipient], senders.contains(where: barred.contains) { return answer(arrival, 403, into: &effects) }
        guard let user = userNumber(of: recipient) else { return answerOverloaded(arrival, into: &effects) }
        guard let lifetime = lifetime(of: request) else {
            return answer(arrival, 400, warning: "Expires is not a number of seconds", into: &effects)
        }
        if let course = originals[DeliveryKey(arrival)] { return copyReceived(arrival, path, course, into: &effects) }
        guard lifetime > .zero, effectiveSettings(of: user)[.messageDeferral], !isComposingIndication(request) else {
            guard isReachable(user, request) else { return answer(arrival, 480, into: &effects) }
            return forward(arrival, path, .plain, into: &effects)
        }
        let message = keptMessage(of: arrival, to: recipient, lifetime: lifetime)
        let deferral = Deferral(
            message: message, user: user, registrations: users[user].registrations,
            isPossiblyReceived: arrival.now.monotonic < restoredUntil)
        // What is being delivered came first: this one waits behind it.
        if isReachable(user, request), users[user].run.state == .idle {
            return forward(arrival, path, .deferrable(deferral), into: &effects)
        }
        keep(deferral, prepareAnswer(arrival), at: arrival.now, into: &effects)
    }

    /// An INVITE: barred for the recipient, or on its way.
    mutating func sessionInvited(_ arrival: borrowing Arrival, _ path: ReturnPath, into effects: inout Effects) {
        let request = arrival.message
        if !isOriginating(request, path), let uri = arrival.essentials.requestURI, let recipient = Identity(uri, in: request.bytes),
            let user = userNumbers[recipient], effectiveSettings(of: user)[.incomingSessionBarring]
        {
            return answer(arrival, 480, warning: "incoming sessions are barred", into: &effects)
        }
        forward(arrival, path, .plain, into: &effects)
    }

    // MARK: Reading

    /// The identities that the core asserts (RFC 3325 §9.1); From only where the settings allow it.
    func assertedIdentities(_ request: Message, _ essentials: Essentials) -> [Identity] {
        let asserted = request.identities(.pAssertedIdentity)
        guard asserted.isEmpty, settings.takesFromAsIdentity else { return asserted }
        return Identity(essentials.from.uri, in: request.bytes).map { [$0] } ?? []
    }

    /// By P-Served-User (RFC 5502 §4), else by the parameter `orig` of the Route that leads back (TS 24.229 §5.4.3.2).
    private func isOriginating(_ request: Message, _ path: ReturnPath) -> Bool {
        let bytes = request.bytes
        if let served = servedUser(request) {
            if let sessionCase = bytes.parameter("sescase", in: served.parameters) {
                return bytes[sessionCase].equalsIgnoringCase("orig")
            }
            if bytes.parameter("orig-cdiv", in: served.parameters) != nil { return true }
        }
        guard let route = path.next, let address = bytes.nameAddress(route) else { return false }
        return bytes.parameter("orig", in: address.uri.parameters) != nil
    }

    private func servedUser(_ request: Message) -> NameAddress? {
        request.value(.pServedUser).flatMap { request.bytes.nameAddress($0) }
    }

    /// What the core says with the request is newer than what it said last by REGISTER. Of whom nothing is known, is
    /// taken as there.
    private func isReachable(_ user: Int, _ request: Message) -> Bool {
        if let served = servedUser(request), let state = request.bytes.parameter("regstate", in: served.parameters) {
            return !request[state].equalsIgnoringCase("unreg")
        }
        return users[user].registration.reachability != .unreachable
    }

    /// Composing indications are of the moment (RFC 3994 §3): kept, they would mean nothing.
    private func isComposingIndication(_ request: Message) -> Bool {
        request.value(.contentType).map { request.bytes.isMediaType("application/im-iscomposing+xml", $0) } ?? false
    }

    /// How long a message is worth delivering (RFC 3428 §5): as its sender says, and no longer than any is kept.
    private func lifetime(of request: Message) -> TimeSpan? {
        guard let value = request.value(.expires) else { return settings.retention }
        return request.bytes.decimal(value).map { min(settings.retention, .seconds(Int($0))) }
    }

    private mutating func keptMessage(of arrival: borrowing Arrival, to recipient: Identity, lifetime: TimeSpan) -> KeptMessage {
        let request = arrival.message
        lastMessage += 1
        var fields = OctetBuffer(capacity: 512)
        for name in KeptMessage.carriedFields { fields.appendFields(of: request, name) }
        if !request.has(.acceptContact) { fields.append("Accept-Contact: *;+g.oma.sip-im\r\n") }
        if !request.has(.date) {
            fields.append("Date: ")
            fields.appendSIPDate(arrival.now.wall)
            fields.append("\r\n")
        }
        var from = OctetBuffer(capacity: 256)
        from.append(request[arrival.essentials.from.displayName])
        from.append(arrival.essentials.from.displayName.isEmpty ? "<" : " <")
        from.append(request[arrival.essentials.from.uri.all])
        from.append(">")
        let tag = newTag()
        return KeptMessage(
            number: lastMessage, recipient: recipient, originator: originator(of: request, arrival.essentials),
            from: [UInt8](from.bytes), contentType: request.value(.contentType).map { [UInt8](request[$0]) } ?? [],
            fields: [UInt8](fields.bytes), body: [UInt8](request.body), received: arrival.now.wall,
            expiry: arrival.now.wall + lifetime, callID: newCallID(), fromTag: tag, sequence: 1,
            original: DeliveryKey(arrival))
    }

    private func originator(of request: Message, _ essentials: Essentials) -> [UInt8] {
        var values: [UInt8] = []
        request.forEachValue(.pAssertedIdentity) { value in
            if !values.isEmpty { values += Array(", ".utf8) }
            values += [UInt8](request[value])
            return true
        }
        return values.isEmpty ? Array("<".utf8) + [UInt8](request[essentials.from.uri.all]) + Array(">".utf8) : values
    }

    mutating func newCallID() -> [UInt8] {
        var buffer = OctetBuffer(capacity: 128)
        buffer.appendHex(random.next())
        buffer.appendHex(random.next())
        buffer.append("@im.")
        buffer.append(domain)
        return [UInt8](buffer.bytes)
    }

    mutating func newTag() -> [UInt8] {
        var buffer = OctetBuffer(capacity: 64)
        buffer.appendHex(random.next())
        return [UInt8](buffer.bytes)
    }
}

extension DeliveryKey {
    fileprivate init(_ arrival: borrowing Arrival) {
        let essentials = arrival.essentials
        self.init(
            callID: [UInt8](arrival.message[essentials.callID]), fromTag: [UInt8](arrival.message[essentials.from.tag]),
            sequence: essentials.sequence)
    }
}

extension KeptMessage {
    /// The header fields that belong to the message itself and reach the recipient as they came.
    static let carriedFields: [HeaderName] = [
        .acceptContact, .date, .expires, .privacy, .subject, .conversationID, .contributionID, .inReplyTo, .replyTo, .priority,
        .organization, .contentType, .contentEncoding, .contentDisposition, .contentLanguage, .mimeVersion,
    ]
}
