// Third-party REGISTER (TS 24.229 §5.7.1.1, §5.4.1.7): the core tells that a user registered, registered anew, or is
// gone. The user is the one in To; From and Contact are the core's own.

import SIPMessage
import SIPTransaction
import SansIO

extension IMServer {
    mutating func registrationReceived(_ arrival: borrowing Arrival, into effects: inout Effects) {
        let request = arrival.message
        if request.has(.require) { return answerUnsupported(arrival, .require, into: &effects) }
        guard let identity = Identity(arrival.essentials.to.uri, in: request.bytes), isServed(identity) else {
            return answer(arrival, 404, warning: "no user of this server", into: &effects)
        }
        guard let interval = registrationInterval(request) else {
            return answer(arrival, 400, warning: "Expires is not a number of seconds", into: &effects)
        }
        guard let user = userNumber(of: identity) else { return answerOverloaded(arrival, into: &effects) }
        // RFC 3261 §10.3 step 7: what a later one has overtaken on its way changes nothing. It is answered as if it had, or the
        // core would take the refusal for the server's.
        let order = NoticeOrder(callID: [UInt8](request[arrival.essentials.callID]), sequence: arrival.essentials.sequence)
        if let last = users[user].lastNotice, last.callID == order.callID, order.sequence < last.sequence {
            return answer(arrival, 200, into: &effects) { $0.appendField(.expires, decimal: UInt64(interval)) }
        }
        let isFromNewCall = users[user].lastNotice?.callID != order.callID
        users[user].lastNotice = order
        let previous = users[user].registration
        register(user, registration(of: request, user, interval: interval, at: arrival.now), at: arrival.now)
        let answer = RegistrationAnswer(arrival, toTag: random.next(), isFromNewCall: isFromNewCall)
        transactions.awaitResponse(
            arrival.server, to: request, arrival.essentials, from: arrival.flow.remote, at: arrival.now.monotonic)
        let ticket = putRegistration(user, into: &effects)
        commitments.append(Commitment(ticket: ticket, change: .registration(user: user, previous: previous, answer)))
    }

    /// The change is durable: the answer goes out, and then what was kept for the user (12.2.2.2 of OMA IM).
    mutating func registrationCommitted(_ user: Int, _ registration: RegistrationAnswer, at now: Now, into effects: inout Effects) {
        answer(registration.prepared, 200, at: now, into: &effects) {
            $0.appendField(.expires, octets: registration.expires)
            if !registration.contact.isEmpty { $0.appendField(.contact, octets: registration.contact) }
        }
        if users[user].registration.reachability == .reachable {
            watchRegistration(of: user, isFromNewCall: registration.isFromNewCall, at: now, into: &effects)
            startDelivery(to: user, at: now, into: &effects)
            return
        }
        doubtRegistration(of: user, at: now)
        if settings.dropsSettingsOnDeregistration { removePublications(of: user) }
    }

    mutating func registrationLost(
        _ user: Int, _ previous: Registration, _ registration: RegistrationAnswer, at now: Now, into effects: inout Effects
    ) {
        register(user, previous, at: now)
        answer(registration.prepared, 500, at: now, into: &effects)
    }

    /// The promised interval and the grace ran out without a refresh.
    mutating func registrationLapsed(_ user: Int) {
        users[user].lapseTimer = .none
        users[user].registration.reachability = .unreachable
    }

    /// Puts a registration in force, with its timer and the identities that belong to the user.
    mutating func register(_ user: Int, _ registration: Registration, at now: Now) {
        wheel.cancel(users[user].lapseTimer)
        users[user].lapseTimer = .none
        users[user].registration = registration
        guard registration.reachability == .reachable else { return }
        users[user].registrations += 1
        for alias in registration.aliases { adopt(alias, by: user) }
        let end = now.monotonic + (registration.expiry - now.wall) + settings.registrationGrace
        users[user].lapseTimer = wheel.schedule(at: end, payload: ServerTimer.registrationLapsed(user: user).payload)
    }

    // MARK: Reading

    /// The seconds as they stand in Expires, or in the Contact's parameter; nil: not a number. None given: one hour.
    private func registrationInterval(_ request: Message) -> UInt32? {
        if let expires = request.value(.expires) { return request.bytes.decimal(expires).map { UInt32($0) } }
        if let contact = request.firstValue(.contact), let address = request.bytes.nameAddress(contact),
            let expires = request.bytes.parameter("expires", in: address.parameters)
        {
            return request.bytes.decimal(expires).map { UInt32($0) }
        }
        return 3600
    }

    private func registration(of request: Message, _ user: Int, interval: UInt32, at now: Now) -> Registration {
        var registration = users[user].registration
        registration.reachability = interval > 0 ? .reachable : .unreachable
        registration.interval = interval
        registration.expiry = now.wall + .seconds(Int(interval))
        guard interval > 0 else { return registration }
        let bytes = request.bytes
        if let vector = request.value(.pChargingVector) {
            func part(_ name: StaticString) -> [UInt8] {
                bytes.parameter(name, in: vector).map { [UInt8](bytes[bytes.unquoted($0)]) } ?? []
            }
            registration.chargingIdentifier = part("icid-value")
            registration.originatingOperator = part("orig-ioi")
        }
        if let functions = request.value(.pChargingFunctionAddresses) { registration.chargingFunctions = [UInt8](request[functions]) }
        readEmbedded(request, into: &registration)
        return registration
    }

    /// What the core shows of the user's own REGISTER and of its answer (§5.4.1.7A): the contacts' feature tags, and the
    /// identities of the implicit registration set. Without a body nothing is known of either.
    private func readEmbedded(_ request: Message, into registration: inout Registration) {
        guard let type = request.value(.contentType), request.shape.body.count > 0 else { return }
        let bytes = request.bytes
        var parts = [BodyPart(contentType: type, content: request.shape.body)]
        if bytes.isMediaType("multipart/mixed", type) {
            parts = bytes.bodyParts(of: request.shape.body, contentType: type) ?? []
        }
        for part in parts where bytes.isMediaType("message/sip", part.contentType) {
            var scanner = MessageScanner()
            let content = bytes[part.content]
            guard case .message = scanner.scan(content) else { continue }
            let embedded = scanner.message(content)
            if embedded.isRequest {
                registration.hasFeatureTag = hasFeatureTag(embedded)
            } else {
                registration.aliases = Array(embedded.identities(.pAssociatedURI).prefix(64))
            }
        }
    }

    private func hasFeatureTag(_ register: Message) -> Bool {
        var found = false
        let bytes = register.bytes
        register.forEachValue(.contact) { value in
            if let address = bytes.nameAddress(value), bytes.parameter("+g.oma.sip-im", in: address.parameters) != nil { found = true }
            return !found
        }
        return found
    }

    /// Takes an identity as another one of the user: what was kept for it alone goes over.
    mutating func adopt(_ alias: Identity, by user: Int) {
        guard let other = userNumbers[alias] else {
            userNumbers[alias] = user
            return
        }
        guard other != user, users[other].registration.reachability == .unknown, users[other].run.state == .idle else { return }
        userNumbers[alias] = user
        for number in users[other].waiting { kept[number]?.user = user }
        users[user].waiting = (users[user].waiting + users[other].waiting).sorted()
        users[user].octetsWaiting += users[other].octetsWaiting
        for publication in users[other].publications { publicationOwners[publication.number] = user }
        users[user].publications += users[other].publications
        users[other].waiting = []
        users[other].octetsWaiting = 0
        users[other].publications = []
    }

    // MARK: What is not taken

    /// An extension that is asked for and not known; none is (RFC 3261 §8.2.2.3, §16.3 step 5).
    mutating func answerUnsupported(_ arrival: borrowing Arrival, _ name: HeaderName, into effects: inout Effects) {
        let request = arrival.message
        let tags = request.value(name).map { [UInt8](request[$0]) } ?? []
        answer(arrival, 420, into: &effects) { $0.appendField(.unsupported, octets: tags) }
    }

    mutating func answerOverloaded(_ arrival: borrowing Arrival, into effects: inout Effects) {
        answer(arrival, 503, warning: "as many users as are allowed", into: &effects) { $0.append("Retry-After: 60\r\n") }
    }
}

/// The answer to a third-party REGISTER, with the interval as it was sent.
struct RegistrationAnswer: Sendable {
    var prepared: PreparedAnswer
    var expires: [UInt8]
    /// The core's Contact with the interval (TS 24.141 A.7); empty: it sent none.
    var contact: [UInt8] = []
    /// Whether the request has another Call-ID than the one before it.
    var isFromNewCall: Bool

    init(_ arrival: borrowing Arrival, toTag: UInt64, isFromNewCall: Bool) {
        self.isFromNewCall = isFromNewCall
        prepared = PreparedAnswer(arrival, toTag: toTag)
        let request = arrival.message
        let bytes = request.bytes
        let contact = request.firstValue(.contact).flatMap { bytes.nameAddress($0) }
        if let value = request.value(.expires) {
            expires = [UInt8](request[value])
        } else if let contact, let value = bytes.parameter("expires", in: contact.parameters) {
            expires = [UInt8](bytes[value])
        } else {
            expires = Array("3600".utf8)
        }
        if let contact { self.contact = Array("<".utf8) + [UInt8](bytes[contact.uri.all]) + Array(">;expires=".utf8) + expires }
    }
}
