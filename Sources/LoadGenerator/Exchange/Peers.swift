// The called UE and the application server: what they note of a request, and their answers (RFC 3261 §8.2, §13.3.1).
// An answer is a function of the request, so a request that comes again gets the same one again.

import SIPMessage
import SansIO

extension LoadGenerator {
    // MARK: The application server

    mutating func serverReceived(
        _ request: borrowing Message, _ essentials: Essentials, from source: Endpoint, at now: Instant, into outbox: inout Outbox
    ) {
        switch request.method {
        case .register:
            answer(200, request, essentials, from: source, at: .server, tag: 1, into: &outbox)
            // Where no mode waits for them, they may come when the REGISTER has long been answered.
            guard let id = registration(of: request, essentials) else { return }
            note(.atServer, of: id, .thirdPartyRegister, at: now)
        case .publish:
            let id = exchange(of: request, essentials)
            let tag = id?.rawValue ?? 1
            let start = beginAnswer(200, request, essentials, from: source, tag: tag, into: &outbox)
            outbox.octets.append("SIP-ETag: ")
            outbox.octets.appendHex(tag)
            outbox.octets.append("\r\nExpires: 3600\r\n")
            outbox.octets.appendEmptyBody()
            outbox.finish(from: start, at: .server, to: returnAddress(request, essentials, source))
            note(.atServer, of: id, .publish, at: now)
        case .ack: break
        default: answer(405, request, essentials, from: source, at: .server, tag: 1, into: &outbox)
        }
    }

    /// The exchange that registers the user in To (TS 24.229 §5.4.1.7).
    private func registration(of request: borrowing Message, _ essentials: Essentials) -> SlotID? {
        guard let user = plan.users.user(named: request[essentials.to.uri.user]), user < plan.userCount,
            let slot = population.registration(of: user)
        else { return nil }
        return exchanges.id(of: slot)
    }

    // MARK: The called UE

    mutating func calledUEReceived(
        _ request: borrowing Message, _ essentials: Essentials, from source: Endpoint, at now: Instant, into outbox: inout Outbox
    ) {
        let id = exchange(of: request, essentials)
        switch request.method {
        case .message:
            answer(200, request, essentials, from: source, at: .called, tag: id?.rawValue ?? 1, into: &outbox)
            note(.atCalled, of: id, .message, at: now)
        case .invite: invited(request, essentials, id, from: source, at: now, into: &outbox)
        case .ack:
            if let id { stopAnswering(id.index) }
            note(.acknowledged, of: id, .call, at: now)
        case .bye:
            answer(200, request, essentials, from: source, at: .called, tag: 1, into: &outbox)
            note(.hungUp, of: id, .call, at: now)
        case .options: answer(200, request, essentials, from: source, at: .called, tag: 1, into: &outbox)
        default: answer(405, request, essentials, from: source, at: .called, tag: 1, into: &outbox)
        }
    }

    /// Rings and answers at once; the 200 is sent until it is acknowledged.
    private mutating func invited(
        _ request: borrowing Message, _ essentials: Essentials, _ id: SlotID?, from source: Endpoint, at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let id, exchanges[id.index].mode == .call else {
            answer(481, request, essentials, from: source, at: .called, tag: 1, into: &outbox)
            return note(.atCalled, of: id, .call, at: now)
        }
        let destination = returnAddress(request, essentials, source)
        let ringing = beginAnswer(180, request, essentials, from: source, tag: id.rawValue, into: &outbox)
        appendContact(request, essentials, into: &outbox.octets)
        outbox.octets.appendEmptyBody()
        outbox.finish(from: ringing, at: .called, to: destination)
        let start = beginAnswer(200, request, essentials, from: source, tag: id.rawValue, into: &outbox)
        appendContact(request, essentials, into: &outbox.octets)
        outbox.octets.appendSession()
        let isFirst = !exchanges[id.index].seen.contains(.atCalled)
        if isFirst {
            keepAnswering(id.index, outbox.octets.bytes(from: start, count: outbox.octets.count - start), to: destination, at: now)
        }
        outbox.finish(from: start, at: .called, to: destination)
        note(.atCalled, of: id, .call, at: now)
    }

    private mutating func keepAnswering(_ index: UInt32, _ answer: RawSpan, to destination: Endpoint, at now: Instant) {
        exchanges[index].answer = packets.store(answer)
        exchanges[index].answerDestination = destination
        exchanges[index].answerInterval = LoadGenerator.t1
        exchanges[index].answerTimer = wheel.schedule(at: now + LoadGenerator.t1, payload: TimerPurpose.payload(.answer, index))
    }

    private mutating func stopAnswering(_ index: UInt32) {
        wheel.cancel(exchanges[index].answerTimer)
        exchanges[index].answerTimer = .none
        packets.release(exchanges[index].answer)
        exchanges[index].answer = .none
    }

    mutating func answerTimerFired(_ index: UInt32, at now: Instant, into outbox: inout Outbox) {
        let exchange = exchanges[index]
        outbox.add(packets.bytes(exchange.answer), at: .called, to: exchange.answerDestination)
        tally.retransmissions += 1
        let interval = min(exchange.answerInterval * 2, LoadGenerator.t2)
        exchanges[index].answerInterval = interval
        exchanges[index].answerTimer = wheel.schedule(at: now + interval, payload: TimerPurpose.payload(.answer, index))
    }

    // MARK: What both do

    /// The exchange that a request's Call-ID names.
    private func exchange(of request: borrowing Message, _ essentials: Essentials) -> SlotID? {
        guard let (id, rest) = ExchangeToken.read(request[essentials.callID], behind: texts.callID), rest.isEmpty, exchanges.contains(id)
        else { return nil }
        return id
    }

    /// Takes down that a request has come; one that has come before is a duplicate.
    private mutating func note(_ milestone: Milestones, of id: SlotID?, _ mode: LoadMode, at now: Instant) {
        guard let id else {
            tally.strays += 1
            return
        }
        // The registrations of all modes may lead to a third-party REGISTER; only one mode waits for it.
        guard exchanges[id.index].mode == mode else { return }
        if exchanges[id.index].seen.contains(milestone) { tally.duplicates += 1 }
        exchanges[id.index].seen.insert(milestone)
        _ = completeIfAllIsSeen(id.index, at: now)
    }

    private mutating func answer(
        _ status: UInt16, _ request: borrowing Message, _ essentials: Essentials, from source: Endpoint, at station: Station, tag: UInt64,
        into outbox: inout Outbox
    ) {
        let start = beginAnswer(status, request, essentials, from: source, tag: tag, into: &outbox)
        outbox.octets.appendEmptyBody()
        outbox.finish(from: start, at: station, to: returnAddress(request, essentials, source))
    }

    private func beginAnswer(
        _ status: UInt16, _ request: borrowing Message, _ essentials: Essentials, from source: Endpoint, tag: UInt64,
        into outbox: inout Outbox
    ) -> Int {
        let start = outbox.octets.count
        outbox.octets.appendResponse(status, to: request, essentials, from: source, toTag: tag)
        return start
    }

    private func appendContact(_ request: borrowing Message, _ essentials: Essentials, into octets: inout OctetBuffer) {
        octets.append("Contact: <sip:")
        if let uri = essentials.requestURI { octets.append(request[uri.user]) }
        octets.append(texts.atCalled)
        octets.append(">\r\n")
    }

    /// §18.2.2 and RFC 3581 §4: back to the source, at the port in Via unless the sender asks for its own.
    private func returnAddress(_ request: borrowing Message, _ essentials: Essentials, _ source: Endpoint) -> Endpoint {
        if essentials.via.rport != nil { return source }
        return Endpoint(address: source.address, port: essentials.via.port == 0 ? 5060 : essentials.via.port)
    }
}
