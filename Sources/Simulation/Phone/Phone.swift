// A phone: the least of a user agent that calls and is called (RFC 3261 §13 to §15), beside the IM Client at its address and
// with its registration. It is for what the core does with INVITE, CANCEL, ACK and BYE; there is nothing to hear.
//
//   caller  INVITE → 200 → ACK → BYE, or CANCEL when nobody answers in time
//   called  180 → 200, sent again until its ACK comes, or 486, or nothing until the caller gives up

import SIPMessage
import SIPTransaction
import SansIO

struct Phone: ~Copyable, SansIONode {
    /// What becomes of calls, for checkers.
    enum Event: Hashable {
        case begun(callID: String, to: String)
        /// The caller's INVITE had its final response; 408: none came.
        case ended(callID: String, status: UInt16)
        case accepted(callID: String)
        /// The one who is called has answered, or refused, with this.
        case decided(callID: String, status: UInt16)
        /// The ACK to a 200 has come.
        case acknowledged(callID: String)
    }

    private let identity: [UInt8]
    private let contact: [UInt8]
    private let core: Flow
    private var transactions: TransactionLayer
    private var wheel: TimerWheel
    private var random: RandomSource
    private var scanner = MessageScanner()
    private var calls: [UInt64: Call] = [:]
    private var lastCall: UInt64 = 0
    /// Since the last look.
    var events: [Event] = []

    /// Calls last no longer, nor does it ring longer.
    static let longest = TimeSpan.seconds(60)

    init(identity: String, at listener: Listener, core: Endpoint, timers: TimerSettings, seed: UInt64, start: Now) {
        self.identity = Array(identity.utf8)
        let user = identity.hasPrefix("sip:") ? identity.dropFirst(4).prefix { $0 != "@" } : "phone"
        contact = Array("<sip:\(user)@\(listener.advertised.text)>".utf8)
        self.core = Flow(transport: .udp, listener: 0, remote: core)
        var random = RandomSource(seed: seed)
        transactions = TransactionLayer(
            listeners: [listener], timers: timers, limit: 1000, random: RandomSource(seed: random.next()), start: start.monotonic)
        wheel = TimerWheel(start: start.monotonic)
        self.random = random
    }

    var isIdle: Bool { calls.isEmpty }

    var remainingWork: [(name: String, count: Int)] {
        let count = TransactionKind.allCases.reduce(0) { $0 + transactions.count(of: $1) }
        return [("transactions of its phone", count), ("octets kept by its phone", transactions.bytesKept), ("calls", calls.count)]
    }

    // MARK: Calling

    /// Calls somebody, for as long as `patience` if nobody answers, and for as long as `talk` if somebody does.
    mutating func call(_ uri: String, patience: TimeSpan, talk: TimeSpan, at now: Now, into effects: inout Effects) {
        lastCall += 1
        guard let client = transactions.reserveClient(.invite, user: lastCall) else { return }
        var call = Call(
            isCaller: true, callID: newToken(), localTag: newToken(), local: bracketed(identity), remote: Array("<\(uri)>".utf8),
            target: Array(uri.utf8), transaction: client, talk: talk)
        call.timer = schedule(.giveUp, of: lastCall, after: patience, now)
        calls[lastCall] = call
        events.append(.begun(callID: call.name, to: uri))
        let start = effects.wire.bytes.count
        call.append("INVITE", 1, { transactions.appendVia(client, over: core, into: &$0) }, into: &effects.wire.bytes)
        effects.wire.bytes.appendField(.contact, contact.span.bytes)
        effects.wire.bytes.appendEmptyBody()
        transactions.send(client, from: start, over: core, at: now.monotonic, into: &effects.wire)
    }

    private mutating func inviteAnswered(
        _ number: UInt64, _ response: borrowing Message, _ essentials: Essentials, at now: Now, into effects: inout Effects
    ) {
        guard var call = calls[number], response.status >= 200 else { return }
        guard response.status < 300 else { return callEnds(number, response.status) }
        let tag = [UInt8](response[essentials.to.tag])
        if call.state == .calling {
            call.state = .up
            call.remoteTag = tag
            call.takeWay(from: response)
            wheel.cancel(call.timer)
            events.append(.accepted(callID: call.name))
            call.timer = schedule(.hangUp, of: number, after: call.isGivenUp ? .zero : call.talk, now)
            calls[number] = call
        }
        // Each 200 is acknowledged (§13.2.2.4).
        guard call.remoteTag == tag else { return }
        let start = effects.wire.bytes.count
        call.append("ACK", 1, { transactions.appendStatelessVia(over: core, into: &$0) }, into: &effects.wire.bytes)
        effects.wire.bytes.appendEmptyBody()
        effects.wire.transmit(from: start, over: core, method: Method.ack.rawValue)
    }

    /// The caller's INVITE came to nothing.
    private mutating func callEnds(_ number: UInt64, _ status: UInt16) {
        guard let call = calls[number], call.state == .calling else { return }
        events.append(.ended(callID: call.name, status: status))
        forget(number)
    }

    private mutating func hangUp(_ number: UInt64, at now: Now, into effects: inout Effects) {
        guard var call = calls[number], call.state != .ending else { return }
        guard let client = transactions.reserveClient(.bye, user: number) else { return forget(number) }
        wheel.cancel(call.timer)
        call.timer = .none
        call.state = .ending
        call.sequence += 1
        calls[number] = call
        let start = effects.wire.bytes.count
        call.append("BYE", call.sequence, { transactions.appendVia(client, over: core, into: &$0) }, into: &effects.wire.bytes)
        effects.wire.bytes.appendEmptyBody()
        transactions.send(client, from: start, over: core, at: now.monotonic, into: &effects.wire)
    }

    // MARK: Being called

    private mutating func invited(
        _ server: SlotID, _ request: borrowing Message, _ essentials: Essentials, over flow: Flow, at now: Now, into effects: inout Effects
    ) {
        guard essentials.to.tag.isEmpty else { return answer(server, 481, request, essentials, over: flow, at: now, into: &effects) }
        let isKnown = calls.values.contains { !$0.isCaller && request[essentials.callID].equals($0.callID) }
        // §8.2.2.2: the same request by another way.
        guard !isKnown else { return answer(server, 482, request, essentials, over: flow, at: now, into: &effects) }
        lastCall += 1
        let tag = random.next()
        var fields = OctetBuffer(capacity: 512)
        fields.appendResponseFields(200, to: request, essentials, from: flow.remote, toTag: tag)
        fields.appendField(.contact, contact.span.bytes)
        fields.appendEmptyBody()
        var tagText = OctetBuffer(capacity: 16)
        tagText.appendHex(tag)
        var call = Call(
            isCaller: false, callID: [UInt8](request[essentials.callID]), localTag: [UInt8](tagText.bytes),
            remoteTag: [UInt8](request[essentials.from.tag]), local: bracketed([UInt8](request[essentials.to.uri.all])),
            remote: bracketed([UInt8](request[essentials.from.uri.all])), target: [], transaction: server,
            talk: .milliseconds(Int.random(in: 0...30_000, using: &random)))
        call.takeWay(from: request)
        call.fields = [UInt8](fields.bytes)
        transactions[user: server] = lastCall
        let delay: Int
        switch Int.random(in: 0..<6, using: &random) {
        case 0: (call.verdict, delay) = (486, Int.random(in: 0...500, using: &random))
        // It rings until the caller gives up, and not for ever.
        case 1: (call.verdict, delay) = (480, Int(Phone.longest.nanoseconds / 1_000_000))
        default: (call.verdict, delay) = (200, Int.random(in: 0...4000, using: &random))
        }
        call.timer = schedule(.decide, of: lastCall, after: .milliseconds(delay), now)
        calls[lastCall] = call
        respond(call, 180, at: now, into: &effects)
    }

    private mutating func decide(_ number: UInt64, at now: Now, into effects: inout Effects) {
        guard var call = calls[number], call.state == .calling else { return }
        events.append(.decided(callID: call.name, status: call.verdict))
        guard call.verdict == 200 else {
            respond(call, call.verdict, at: now, into: &effects)
            return forget(number)
        }
        call.state = .answered
        call.answeredAt = now.monotonic
        call.interval = transactions.timers.t1
        call.timer = schedule(.answerAgain, of: number, after: call.interval, now)
        calls[number] = call
        respond(call, 200, at: now, into: &effects)
    }

    private mutating func answerAgain(_ number: UInt64, at now: Now, into effects: inout Effects) {
        guard var call = calls[number], call.state == .answered else { return }
        // §13.3.1.4: without an ACK the call is ended.
        guard now.monotonic - call.answeredAt < transactions.timers.patience else { return hangUp(number, at: now, into: &effects) }
        call.interval = min(call.interval * 2, transactions.timers.t2)
        call.timer = schedule(.answerAgain, of: number, after: call.interval, now)
        calls[number] = call
        respond(call, 200, at: now, into: &effects)
    }

    private mutating func acknowledged(_ request: borrowing Message, _ essentials: Essentials, at now: Now) {
        guard let number = number(of: essentials, request), var call = calls[number], call.state == .answered else { return }
        events.append(.acknowledged(callID: call.name))
        wheel.cancel(call.timer)
        call.state = .up
        call.timer = schedule(.hangUp, of: number, after: call.talk, now)
        calls[number] = call
    }

    private mutating func cancelled(_ invite: SlotID, at now: Now, into effects: inout Effects) {
        let number = transactions[user: invite]
        guard let call = calls[number], !call.isCaller, call.state == .calling else { return }
        respond(call, 487, at: now, into: &effects)
        forget(number)
    }

    private mutating func respond(_ call: Call, _ status: UInt16, at now: Now, into effects: inout Effects) {
        let start = effects.wire.bytes.count
        effects.wire.bytes.appendStatusLine(status, StatusReason.text(status))
        effects.wire.bytes.append(call.fields)
        transactions.respond(call.transaction, status, from: start, at: now.monotonic, into: &effects.wire)
    }

    private mutating func answer(
        _ server: SlotID, _ status: UInt16, _ request: borrowing Message, _ essentials: Essentials, over flow: Flow, at now: Now,
        into effects: inout Effects
    ) {
        let start = effects.wire.bytes.count
        effects.wire.bytes.appendResponse(status, to: request, essentials, from: flow.remote, toTag: random.next())
        effects.wire.bytes.appendEmptyBody()
        transactions.respond(server, status, from: start, at: now.monotonic, into: &effects.wire)
    }

    // MARK: SansIONode

    mutating func receive(_ octets: RawSpan, over flow: Flow, at now: Now, into effects: inout Effects) {
        var scanner = MessageScanner()
        swap(&scanner, &self.scanner)
        if case .message = scanner.scan(octets), let essentials = try? scanner.message(octets).essentials() {
            received(scanner.message(octets), essentials, over: flow, at: now, into: &effects)
        }
        swap(&scanner, &self.scanner)
    }

    private mutating func received(
        _ message: borrowing Message, _ essentials: Essentials, over flow: Flow, at now: Now, into effects: inout Effects
    ) {
        guard message.isRequest else {
            guard case .matched(_, let number) = transactions.responseReceived(message, essentials, at: now.monotonic, into: &effects.wire)
            else { return }
            if essentials.method == .invite { return inviteAnswered(number, message, essentials, at: now, into: &effects) }
            if message.status >= 200 { forget(number) }
            return
        }
        switch transactions.requestReceived(message, essentials, over: flow, at: now.monotonic, into: &effects.wire) {
        case .absorbed, .overloaded: break
        case .acknowledgement: acknowledged(message, essentials, at: now)
        case .cancel(let server, let invite):
            answer(server, invite == nil ? 481 : 200, message, essentials, over: flow, at: now, into: &effects)
            if let invite { cancelled(invite, at: now, into: &effects) }
        case .new(let server) where message.method == .invite:
            invited(server, message, essentials, over: flow, at: now, into: &effects)
        case .new(let server):
            let number = number(of: essentials, message)
            answer(server, number == nil ? 481 : 200, message, essentials, over: flow, at: now, into: &effects)
            if let number { forget(number) }
        }
    }

    mutating func transmissionFailed(_ transaction: UInt64, over flow: Flow, at now: Now, into effects: inout Effects) {
        var changes: [TransactionEvent] = []
        transactions.transmissionFailed(transaction, at: now.monotonic, into: &effects.wire, events: &changes)
        for change in changes { changed(change, at: now, into: &effects) }
    }

    mutating func advance(to now: Now, into effects: inout Effects) {
        var changes: [TransactionEvent] = []
        transactions.advance(to: now.monotonic, into: &effects.wire, events: &changes)
        for change in changes { changed(change, at: now, into: &effects) }
        var due: [UInt64] = []
        wheel.expire(upTo: now.monotonic, into: &due)
        for payload in due { timerFired(payload, at: now, into: &effects) }
    }

    private mutating func timerFired(_ payload: UInt64, at now: Now, into effects: inout Effects) {
        let number = payload >> 2
        calls[number]?.timer = .none
        switch Call.Plan(rawValue: payload & 3) {
        case .giveUp:
            guard let call = calls[number] else { return }
            calls[number]?.isGivenUp = true
            transactions.cancel(call.transaction, at: now.monotonic, into: &effects.wire)
        case .decide: decide(number, at: now, into: &effects)
        case .answerAgain: answerAgain(number, at: now, into: &effects)
        case .hangUp: hangUp(number, at: now, into: &effects)
        case nil: break
        }
    }

    private mutating func changed(_ change: TransactionEvent, at now: Now, into effects: inout Effects) {
        switch change {
        case .timedOut(_, let number), .transportFailed(_, let number):
            if calls[number]?.state == .ending { forget(number) } else { callEnds(number, 408) }
        case .timerC(let client, _): transactions.cancel(client, at: now.monotonic, into: &effects.wire)
        case .answerDelayed, .acknowledgementMissing, .fellBack: break
        }
    }

    func flowClosed(_ flow: Flow, at now: Now, into effects: inout Effects) {}
    func committed(upTo ticket: UInt64, succeeded: Bool, at now: Now, into effects: inout Effects) {}

    var nextDeadline: Instant? {
        guard let next = transactions.nextDeadline else { return wheel.nextDeadline }
        return wheel.nextDeadline.map { min($0, next) } ?? next
    }

    // MARK: Calls

    private func number(of essentials: Essentials, _ request: borrowing Message) -> UInt64? {
        for (number, call) in calls where call.isWithin(essentials, of: request) { return number }
        return nil
    }

    private mutating func forget(_ number: UInt64) {
        guard let call = calls.removeValue(forKey: number) else { return }
        wheel.cancel(call.timer)
    }

    private mutating func schedule(_ plan: Call.Plan, of number: UInt64, after span: TimeSpan, _ now: Now) -> TimerID {
        wheel.schedule(at: now.monotonic + span, payload: number << 2 | plan.rawValue)
    }

    private mutating func newToken() -> [UInt8] {
        var text = OctetBuffer(capacity: 16)
        text.appendHex(random.next())
        return [UInt8](text.bytes)
    }

    private func bracketed(_ uri: [UInt8]) -> [UInt8] { Array("<".utf8) + uri + Array(">".utf8) }
}
