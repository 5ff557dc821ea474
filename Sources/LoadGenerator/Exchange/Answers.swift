// What the UE makes of answers (RFC 3261 §8.1.3, §13.2.2, §22.2).

import SIPMessage
import SIPRegistrar
import SansIO

extension LoadGenerator {
    mutating func responseReceived(_ response: borrowing Message, _ essentials: Essentials, at now: Instant, into outbox: inout Outbox) {
        guard let (id, rest) = ExchangeToken.read(response[essentials.via.branch], behind: texts.branch), exchanges.contains(id),
            rest.count == 1, let digit = response[essentials.via.branch][rest.lower].hexDigitValue, let step = Step(rawValue: digit)
        else {
            tally.strays += 1
            return
        }
        let exchange = exchanges[id.index]
        guard step == exchange.step else { return lateAnswer(response, essentials, to: step, id, at: now, into: &outbox) }
        guard essentials.sequence == exchange.sequence, essentials.method == method(of: exchange) else {
            tally.strays += 1
            return
        }
        if response.status < 200 { return provisionalReceived(id.index, at: now) }
        finalAnswer(response, essentials, id, at: now, into: &outbox)
    }

    /// A 200 to an INVITE that comes again, since its ACK was lost, is acknowledged again (§13.2.2.4).
    private mutating func lateAnswer(
        _ response: borrowing Message, _ essentials: Essentials, to step: Step, _ id: SlotID, at now: Instant, into outbox: inout Outbox
    ) {
        guard exchanges[id.index].mode == .call, step == .request, essentials.method == .invite, 200..<300 ~= response.status else {
            tally.strays += 1
            return
        }
        sendAcknowledgement(of: response, essentials, id, into: &outbox)
    }

    private mutating func finalAnswer(
        _ response: borrowing Message, _ essentials: Essentials, _ id: SlotID, at now: Instant, into outbox: inout Outbox
    ) {
        let exchange = exchanges[id.index]
        let isChallenge = response.status == 401 || response.status == 407
        if exchange.phase == .probe {
            accepted(response, essentials, id, at: now, into: &outbox)
        } else if isChallenge, exchange.step == .request, exchange.mode.registers {
            challenged(response, id, at: now, into: &outbox)
        } else if 200..<300 ~= response.status, exchange.mode != .registerAuth || exchange.seen.contains(.challenged) {
            accepted(response, essentials, id, at: now, into: &outbox)
        } else {
            refused(response, essentials, id, into: &outbox)
        }
    }

    private mutating func refused(_ response: borrowing Message, _ essentials: Essentials, _ id: SlotID, into outbox: inout Outbox) {
        tally.statuses[response.status, default: 0] += 1
        if method(of: exchanges[id.index]) == .invite, response.status >= 300 {
            let start = outbox.octets.count
            appendAcknowledgement(ofRefusal: response, essentials, id, into: &outbox.octets)
            outbox.finish(from: start, at: .user, to: exchanges[id.index].destination)
        }
        fail(id.index, .unexpectedStatus)
    }

    /// Sends the request again with credentials.
    private mutating func challenged(_ response: borrowing Message, _ id: SlotID, at now: Instant, into outbox: inout Outbox) {
        let name: HeaderName = response.status == 401 ? .wwwAuthenticate : .proxyAuthenticate
        guard let value = response.value(name), let challenge = response.bytes.digestParameters(value),
            DigestClient.canAnswer(challenge, in: response.bytes)
        else { return fail(id.index, .malformed) }
        exchanges[id.index].seen.insert(.challenged)
        exchanges[id.index].step = .authorized
        exchanges[id.index].sequence = population.advanceSequence(of: Int(exchanges[id.index].user))
        var credentials = OctetBuffer(capacity: 512)
        appendCredentials(
            response.status == 401 ? .authorization : .proxyAuthorization, answering: challenge, in: response.bytes, id,
            into: &credentials)
        let start = outbox.octets.count
        appendRegister(id, credentials: credentials.bytes, into: &outbox.octets)
        transmit(id.index, from: start, at: now, into: &outbox)
    }

    private mutating func accepted(
        _ response: borrowing Message, _ essentials: Essentials, _ id: SlotID, at now: Instant, into outbox: inout Outbox
    ) {
        stopRetransmitting(id.index)
        let exchange = exchanges[id.index]
        exchanges[id.index].seen.insert(exchange.step == .bye ? .ended : .answered)
        if exchange.phase != .probe, lacksWhatItMustHave(response, exchange.mode) { return fail(id.index, .malformed) }
        if let missing = missing(exchange) { return fail(id.index, missing) }
        if exchange.mode == .call, exchange.step == .request { return hangUp(response, essentials, id, at: now, into: &outbox) }
        _ = completeIfAllIsSeen(id.index, at: now)
    }

    /// RFC 3261 §10.3 step 8 and RFC 3903 §6 step 6: what a 200 to a REGISTER and to a PUBLISH says.
    private func lacksWhatItMustHave(_ response: borrowing Message, _ mode: LoadMode) -> Bool {
        if mode.registers { return !response.has(.contact) }
        return mode == .publish && !response.has(.sipETag)
    }

    /// The answer of somebody who was never asked: what led to it must have come before it.
    private func missing(_ exchange: Exchange) -> LoadFailure? {
        switch (exchange.mode, exchange.step) {
        case (.publish, _): exchange.seen.contains(.atServer) ? nil : .missingAtServer
        case (.message, _), (.call, .request): exchange.seen.contains(.atCalled) ? nil : .missingAtCalled
        case (.call, .bye): exchange.seen.contains(.hungUp) ? nil : .missingAtCalled
        default: nil
        }
    }

    /// ACK, and at once BYE, along the route set (§12.2.1.1, §15.1.1).
    private mutating func hangUp(
        _ response: borrowing Message, _ essentials: Essentials, _ id: SlotID, at now: Instant, into outbox: inout Outbox
    ) {
        sendAcknowledgement(of: response, essentials, id, into: &outbox)
        exchanges[id.index].step = .bye
        exchanges[id.index].sequence += 1
        exchanges[id.index].destination = nextHop(of: response)
        let start = outbox.octets.count
        appendInDialog(.bye, response, essentials, id, into: &outbox.octets)
        transmit(id.index, from: start, at: now, into: &outbox)
    }

    private mutating func sendAcknowledgement(
        of response: borrowing Message, _ essentials: Essentials, _ id: SlotID, into outbox: inout Outbox
    ) {
        let destination = nextHop(of: response)
        let start = outbox.octets.count
        appendInDialog(.ack, response, essentials, id, into: &outbox.octets)
        outbox.finish(from: start, at: .user, to: destination)
    }

    /// Where requests of the dialog go: the last Record-Route value, else the Contact, if it is a literal address.
    private func nextHop(of response: borrowing Message) -> Endpoint {
        var first: Slice?
        response.forEachValue(.recordRoute) { value in
            first = value
            return true
        }
        guard let hop = first ?? response.firstValue(.contact), let address = response.bytes.nameAddress(hop),
            let host = IPAddress(response[address.uri.host])
        else { return plan.target }
        return Endpoint(address: host, port: address.uri.port == 0 ? 5060 : address.uri.port)
    }

    private func method(of exchange: Exchange) -> Method {
        switch exchange.mode {
        case .options: .options
        case .register, .reregister, .registerAuth, .thirdPartyRegister: .register
        case .publish: .publish
        case .message: .message
        case .call: exchange.step == .bye ? .bye : .invite
        }
    }
}
