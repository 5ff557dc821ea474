// Requests that the server passes on, as a transaction-stateful proxy (RFC 3261 §16), along the Route that the core put
// under ours (TS 24.229 §5.4.3.2): the core takes up its chain there.

import SIPMessage
import SIPTransaction
import SansIO

/// The Route values of a request that stay when ours is taken off.
struct ReturnPath {
    var routes: [Slice]
    var next: Slice? { routes.first }
}

/// A request that was passed on and whose final response is awaited.
struct Forward: Sendable {
    enum Role: Sendable {
        case plain
        /// A message of a user of ours, on its way to its recipient's side.
        case outgoing(DeliveryKey)
        /// A message for a recipient of ours: kept, if it does not arrive.
        case deferrable(Deferral)
    }

    var server: SlotID
    var client: SlotID
    var method: Method
    var role: Role
    var answer: PreparedAnswer
    var began: Instant
    var timer = TimerID.none
    /// A final response went back, or the message was kept: nothing more is to be said.
    var isAnswered = false
    /// The number under which the message was kept when the answer was overdue.
    var keptAs: UInt64?
}

/// What the server keeps with a client transaction: a forwarded request, a delivery or a subscription, by number.
enum ClientUser {
    case forward(UInt64)
    case delivery(user: Int)
    case watch(user: Int)

    var rawValue: UInt64 {
        switch self {
        case .forward(let number): number << 2
        case .delivery(let user): UInt64(user) << 2 | 1
        case .watch(let user): UInt64(user) << 2 | 2
        }
    }

    init(rawValue: UInt64) {
        self =
            switch rawValue & 3 {
            case 0: .forward(rawValue >> 2)
            case 1: .delivery(user: Int(rawValue >> 2))
            default: .watch(user: Int(rawValue >> 2))
            }
    }
}

extension IMServer {
    /// The path back to the core. The topmost Route is ours unless it names the core (RFC 3261 §16.4).
    func returnPath(of request: Message) -> ReturnPath {
        var routes: [Slice] = []
        request.forEachValue(.route) { value in
            routes.append(value)
            return routes.count < 64
        }
        if let first = routes.first, let address = request.bytes.nameAddress(first), !isCore(address.uri, in: request.bytes) {
            routes.removeFirst()
        }
        return ReturnPath(routes: routes)
    }

    private func isCore(_ uri: SIPURI, in bytes: RawSpan) -> Bool {
        let port = uri.port == 0 ? 5060 : uri.port
        if port == corePort, bytes[uri.host].equalsIgnoringCase(coreHost.span.bytes) { return true }
        guard let address = IPAddress(bytes[uri.host]) else { return false }
        return settings.trustedPeers.contains(Endpoint(address: address, port: port))
    }

    mutating func forward(_ arrival: borrowing Arrival, _ path: ReturnPath, _ role: Forward.Role, into effects: inout Effects) {
        let request = arrival.message
        if arrival.essentials.maxForwards == 0 { return answer(arrival, 483, into: &effects) }
        if request.has(.proxyRequire) { return answerUnsupported(arrival, .proxyRequire, into: &effects) }
        lastForward += 1
        let number = lastForward
        guard let client = transactions.reserveClient(request.method, user: ClientUser.forward(number).rawValue) else {
            return answer(arrival, 503, into: &effects) { $0.append("Retry-After: 5\r\n") }
        }
        let (flow, fallback) = nextHop(path, in: request.bytes, length: request.bytes.byteCount + 256)
        let start = effects.wire.bytes.count
        append(arrival, path, client, over: flow, into: &effects.wire.bytes)
        var forward = Forward(
            server: arrival.server, client: client, method: request.method, role: role, answer: prepareAnswer(arrival),
            began: arrival.now.monotonic)
        switch role {
        case .plain: break
        case .outgoing(let key): outgoing[key] = number
        case .deferrable(let deferral):
            originals.begin(deferral.message.original)
            forward.timer = schedule(.answerOverdue(forward: number), after: settings.deliveryTimeout, arrival.now)
        }
        forwards[number] = forward
        transactions[user: arrival.server] = number
        transactions.send(client, from: start, over: flow, fallbackListener: fallback, at: arrival.now.monotonic, into: &effects.wire)
        if request.method == .invite { transactions.answer(arrival, 100, toTag: 0, into: &effects.wire) }
    }

    /// §16.6: our Via on top, one hop less, our Route gone; the rest as it came.
    private func append(
        _ arrival: borrowing Arrival, _ path: ReturnPath, _ client: SlotID, over flow: Flow, into bytes: inout OctetBuffer
    ) {
        let request = arrival.message
        appendRequestLine(of: request, into: &bytes)
        transactions.appendVia(client, over: flow, into: &bytes)
        bytes.appendVias(of: request, arrival.essentials.via, from: arrival.flow.remote)
        appendRest(of: request, arrival.essentials, path, into: &bytes)
    }

    private func appendRequestLine(of request: Message, into bytes: inout OctetBuffer) {
        bytes.append(request[request.shape.methodName])
        bytes.append(" ")
        bytes.append(request[request.shape.requestURI])
        bytes.append(" SIP/2.0\r\n")
    }

    private func appendRest(of request: Message, _ essentials: Essentials, _ path: ReturnPath, into bytes: inout OctetBuffer) {
        bytes.appendField(.maxForwards, decimal: UInt64(essentials.maxForwards.map { $0 - 1 } ?? 70))
        if path.routes.isEmpty { appendCoreRoute(into: &bytes) }
        for route in path.routes { bytes.appendField(.route, request[route]) }
        bytes.appendFields(of: request, except: [.via, .maxForwards, .route, .contentLength])
        bytes.appendBody(request.body)
    }

    /// The core's entry for terminating requests.
    func appendCoreRoute(into bytes: inout OctetBuffer) {
        bytes.append("Route: <")
        bytes.append(coreURI)
        bytes.append(";lr>\r\n")
    }

    /// Where a request goes: to the address in the next Route, or, if that is none or a name, to the core.
    ///
    /// - Returns: the flow, and the datagram listener to fall back to where only the length asked for a stream.
    func nextHop(_ path: ReturnPath, in bytes: RawSpan, length: Int) -> (Flow, UInt8?) {
        var remote = settings.core
        var transport = settings.coreTransport
        if let route = path.next, let address = bytes.nameAddress(route), let host = IPAddress(bytes[address.uri.host]) {
            transport = bytes.parameter("transport", in: address.uri.parameters).flatMap { Transport(viaName: bytes[$0]) } ?? .udp
            remote = Endpoint(address: host, port: address.uri.port == 0 ? transport.defaultPort : address.uri.port)
        }
        return outgoing(transport, to: remote, length: length)
    }

    private func outgoing(_ transport: Transport, to remote: Endpoint, length: Int) -> (Flow, UInt8?) {
        func listener(_ transport: Transport) -> UInt8? {
            settings.listeners.firstIndex { $0.transport == transport && $0.local.address.isIPv6 == remote.address.isIPv6 }
                .map { UInt8(truncatingIfNeeded: $0) }
        }
        guard transport == .udp, length > settings.datagramLimit, let datagram = listener(.udp), let stream = listener(.tcp) else {
            return (Flow(transport: transport, listener: listener(transport) ?? 0, remote: remote), nil)
        }
        return (Flow(transport: .tcp, listener: stream, remote: remote), datagram)
    }

    /// An ACK to a 2xx has no transaction (§16.11). One that leads nowhere ends here.
    mutating func forwardAcknowledgement(_ request: Message, _ essentials: Essentials, over flow: Flow, into effects: inout Effects) {
        let path = returnPath(of: request)
        guard path.next != nil, essentials.maxForwards != 0 else { return drop("an ACK of no transaction", into: &effects) }
        let (next, _) = nextHop(path, in: request.bytes, length: 0)
        let start = effects.wire.bytes.count
        appendRequestLine(of: request, into: &effects.wire.bytes)
        transactions.appendStatelessVia(over: next, into: &effects.wire.bytes)
        effects.wire.bytes.appendVias(of: request, essentials.via, from: flow.remote)
        appendRest(of: request, essentials, path, into: &effects.wire.bytes)
        effects.wire.transmit(from: start, over: next, method: Method.ack.rawValue)
    }

    /// CANCEL is hop by hop (§16.10).
    mutating func cancelReceived(_ arrival: borrowing Arrival, invite: SlotID?, into effects: inout Effects) {
        guard let invite else { return answer(arrival, 481, into: &effects) }
        answer(arrival, 200, into: &effects)
        guard let forward = forwards[transactions[user: invite]], forward.method == .invite else { return }
        transactions.cancel(forward.client, at: arrival.now.monotonic, into: &effects.wire)
    }

    // MARK: Responses

    mutating func responseReceived(_ response: Message, _ essentials: Essentials, at now: Now, into effects: inout Effects) {
        switch transactions.responseReceived(response, essentials, at: now.monotonic, into: &effects.wire) {
        case .absorbed:
            break
        case .stray:
            drop("a response \(response.status) of no transaction", into: &effects)
        case .matched(_, let user):
            switch ClientUser(rawValue: user) {
            case .forward(let number): forwardAnswered(number, response, essentials, at: now, into: &effects)
            case .delivery(let user):
                if response.status >= 200 { deliveryAnswered(user, response.status, at: now, into: &effects) }
            case .watch(let user): subscriptionAnswered(user, response, essentials, at: now, into: &effects)
            }
        }
    }

    private mutating func forwardAnswered(
        _ number: UInt64, _ response: Message, _ essentials: Essentials, at now: Now, into effects: inout Effects
    ) {
        guard let forward = forwards[number] else { return }
        if response.status < 200 {
            // Of a non-INVITE request only 100 is provisional, and that goes one hop (RFC 4320 §4.1).
            if forward.method == .invite, response.status > 100 { relay(response, essentials, forward, at: now, into: &effects) }
            return
        }
        let succeeded = response.status < 300
        if forward.isAnswered {
            if let message = forward.keptAs, succeeded, kept[message] != nil {
                // The recipient answered after all: what was kept is delivered.
                counters.delivered += 1
                discard(message, at: now, into: &effects)
            } else if forward.method == .invite, succeeded {
                relay(response, essentials, forward, at: now, into: &effects)
            }
            if forward.method != .invite { finish(number) }
            return
        }
        if case .deferrable(var deferral) = forward.role, Deferral.statuses.contains(response.status) {
            finish(number)
            if response.status == 408 || wasSentAgain(since: forward.began, now) { deferral.isPossiblyReceived = true }
            return keep(deferral, forward.answer, at: now, into: &effects)
        }
        if case .deferrable(let deferral) = forward.role {
            if succeeded { originals.end(deferral.message.original) } else { originals.forget(deferral.message.original) }
        }
        relay(response, essentials, forward, at: now, into: &effects)
        guard forward.method == .invite, succeeded else { return finish(number) }
        // A forked INVITE may bring more 2xx for as long as its transaction lives (RFC 6026 §7.2).
        let timer = schedule(.answerOverdue(forward: number), after: settings.timers.patience, now)
        forwards[number]?.isAnswered = true
        forwards[number]?.timer = timer
    }

    /// Whether a request of ours has gone out more than once: then a refusal may be another node's than the one that got the
    /// first, and proves nothing.
    func wasSentAgain(since began: Instant, _ now: Now) -> Bool { now.monotonic - began >= settings.timers.t1 }

    /// §16.7: without our Via, else as it came.
    private mutating func relay(
        _ response: Message, _ essentials: Essentials, _ forward: Forward, at now: Now, into effects: inout Effects
    ) {
        let start = effects.wire.bytes.count
        effects.wire.bytes.append("SIP/2.0 ")
        effects.wire.bytes.appendDecimal(UInt64(response.status))
        effects.wire.bytes.append(" ")
        effects.wire.bytes.append(response[response.shape.reason])
        effects.wire.bytes.append("\r\n")
        appendVias(of: response, below: essentials.via, into: &effects.wire.bytes)
        effects.wire.bytes.appendFields(of: response, except: [.via, .contentLength])
        effects.wire.bytes.appendBody(response.body)
        transactions.respond(forward.server, response.status, from: start, at: now.monotonic, into: &effects.wire)
    }

    private func appendVias(of response: Message, below top: Via, into bytes: inout OctetBuffer) {
        guard let first = response.firstIndex(of: .via) else { return }
        var rest = Slice(top.all.upper, response.fields[first].value.upper)
        _ = response.bytes.nextListValue(&rest)
        if !rest.isEmpty { bytes.appendField(.via, response[response.bytes.trimmed(rest)]) }
        var index = response.nextIndex(after: first)
        while let i = index {
            bytes.appendField(.via, response[response.fields[i].value])
            index = response.nextIndex(after: i)
        }
    }

    // MARK: No response

    mutating func transactionChanged(_ event: TransactionEvent, at now: Now, into effects: inout Effects) {
        switch event {
        case .timedOut(_, let user): clientFailed(ClientUser(rawValue: user), 408, at: now, into: &effects)
        case .transportFailed(_, let user): clientFailed(ClientUser(rawValue: user), 503, at: now, into: &effects)
        case .timerC(let client, _): transactions.cancel(client, at: now.monotonic, into: &effects.wire)
        case .answerDelayed:
            // Each request here is awaited with its 100 written.
            break
        case .acknowledgementMissing:
            effects.notices.append(Notice(.info, "no ACK came to a final response"))
        case .fellBack(let peer):
            effects.notices.append(Notice(.info, "no stream to \(peer.text): a request over the datagram limit went by UDP"))
        }
    }

    private mutating func clientFailed(_ user: ClientUser, _ status: UInt16, at now: Now, into effects: inout Effects) {
        switch user {
        case .delivery(let user): deliveryFailed(user, at: now, into: &effects)
        case .watch(let user): subscriptionFailed(user, "the core does not answer", at: now, into: &effects)
        case .forward(let number):
            guard let forward = forwards[number] else { return }
            finish(number)
            guard !forward.isAnswered else { return }
            if case .deferrable(var deferral) = forward.role {
                // If only a copy that was sent again met with a failure, the first may have arrived.
                deferral.isPossiblyReceived = true
                return keep(deferral, forward.answer, at: now, into: &effects)
            }
            if forward.method == .invite || status != 408 {
                return answer(forward.answer, status, at: now, into: &effects)
            }
            // A non-INVITE request is never answered 408: its sender runs out of time itself (RFC 4320 §4.2).
            transactions.abandon(forward.server)
        }
    }

    /// No final answer in time: the message is kept. An answer that still comes is heard.
    mutating func answerOverdue(_ number: UInt64, at now: Now, into effects: inout Effects) {
        guard var forward = forwards[number] else { return }
        forward.timer = .none
        guard !forward.isAnswered, case .deferrable(var deferral) = forward.role else {
            forwards[number] = nil
            return
        }
        forward.isAnswered = true
        deferral.isPossiblyReceived = true
        forward.keptAs = deferral.message.number
        forwards[number] = forward
        keep(deferral, forward.answer, at: now, into: &effects)
    }

    private mutating func finish(_ number: UInt64) {
        guard let forward = forwards.removeValue(forKey: number) else { return }
        wheel.cancel(forward.timer)
        if case .outgoing(let key) = forward.role, outgoing[key] == number { outgoing[key] = nil }
    }
}
