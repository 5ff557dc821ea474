// The UE's requests on their way: kept until answered, sent again by timers A and E (RFC 3261 §17.1.1.2, §17.1.2.2).

import SIPMessage
import SansIO

extension LoadGenerator {
    /// Sends what was written since `start` as the request of an exchange, and keeps it for retransmissions.
    mutating func transmit(_ index: UInt32, from start: Int, at now: Instant, into outbox: inout Outbox) {
        let count = outbox.octets.count - start
        packets.release(exchanges[index].request)
        exchanges[index].request = packets.store(outbox.octets.bytes(from: start, count: count))
        exchanges[index].interval = LoadGenerator.t1
        exchanges[index].hasProvisional = false
        outbox.finish(from: start, at: .user, to: exchanges[index].destination)
        setTimer(index, after: LoadGenerator.t1, at: now)
    }

    /// A final answer has come: nothing is sent again, and what is still to be seen has until the deadline.
    mutating func stopRetransmitting(_ index: UInt32) {
        packets.release(exchanges[index].request)
        exchanges[index].request = .none
        wheel.cancel(exchanges[index].timer)
        exchanges[index].timer = wheel.schedule(
            at: exchanges[index].deadline, payload: TimerPurpose.payload(.request, index))
    }

    /// A provisional answer stops an INVITE's retransmissions, and makes those of others slower.
    mutating func provisionalReceived(_ index: UInt32, at now: Instant) {
        guard !exchanges[index].hasProvisional else { return }
        exchanges[index].hasProvisional = true
        if isInvite(exchanges[index]) { stopRetransmitting(index) }
    }

    mutating func timerExpired(_ payload: UInt64) {
        let (purpose, index) = TimerPurpose.read(payload)
        switch purpose {
        case .request: exchanges[index].timer = .none
        case .answer: exchanges[index].answerTimer = .none
        }
    }

    mutating func timerFired(_ payload: UInt64, at now: Instant, into outbox: inout Outbox) {
        let (purpose, index) = TimerPurpose.read(payload)
        guard exchanges.isInUse(index) else { return }
        switch purpose {
        case .request: requestTimerFired(index, at: now, into: &outbox)
        case .answer: answerTimerFired(index, at: now, into: &outbox)
        }
    }

    private mutating func requestTimerFired(_ index: UInt32, at now: Instant, into outbox: inout Outbox) {
        let exchange = exchanges[index]
        guard now < exchange.deadline else { return timedOut(index, failure(of: exchange), at: now) }
        outbox.add(packets.bytes(exchange.request), at: .user, to: exchange.destination)
        tally.retransmissions += 1
        // Timer A doubles without end, timer E up to T2, and is T2 once there was a provisional answer.
        let doubled = exchange.interval * 2
        let interval = isInvite(exchange) ? doubled : exchange.hasProvisional ? LoadGenerator.t2 : min(doubled, LoadGenerator.t2)
        exchanges[index].interval = interval
        setTimer(index, after: interval, at: now)
    }

    /// What an exchange that has had its time lacks.
    private func failure(of exchange: Exchange) -> LoadFailure {
        guard exchange.request.isNone else { return .timeout }
        switch exchange.mode {
        case .thirdPartyRegister where exchange.seen.contains(.answered): return .missingAtServer
        case .call where exchange.seen.contains(.ended): return .missingAtCalled
        default: return .timeout
        }
    }

    private func isInvite(_ exchange: Exchange) -> Bool { exchange.mode == .call && exchange.step == .request }

    private mutating func setTimer(_ index: UInt32, after span: TimeSpan, at now: Instant) {
        wheel.cancel(exchanges[index].timer)
        exchanges[index].timer = wheel.schedule(
            at: min(now + span, exchanges[index].deadline), payload: TimerPurpose.payload(.request, index))
    }
}
