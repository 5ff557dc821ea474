// The requests of the client: what all have in common, their transactions, and the answers that only ask for another try.

import SIPMessage
import SIPRegistrar
import SIPTransaction
import SansIO

extension IMClient {
    /// Begins an exchange of a lane that is free, and sends its first request.
    mutating func begin(_ lane: Lane, _ exchange: Exchange, at now: Now, into effects: inout Effects) {
        exchanges[lane.rawValue] = exchange
        send(lane, at: now, into: &effects)
    }

    /// Sends the request of a lane, anew with the next CSeq each time.
    mutating func send(_ lane: Lane, at now: Now, into effects: inout Effects) {
        guard var exchange = exchanges[lane.rawValue] else { return }
        lastRequest += 1
        exchange.request = lastRequest
        exchange.sequence += 1
        if lane == .registration { registrationSequence = exchange.sequence }
        if lane == .watch { watch?.sequence = exchange.sequence }
        exchanges[lane.rawValue] = exchange
        let user = lastRequest << 2 | UInt64(lane.rawValue)
        guard let client = transactions.reserveClient(exchange.method, user: user) else {
            return failed(lane, 503, "too many transactions", at: now, into: &effects)
        }
        let flow = Flow(transport: settings.coreTransport, listener: listenerNumber, remote: settings.core)
        let start = effects.wire.bytes.count
        append(exchange, client, over: flow, at: now, into: &effects.wire.bytes)
        let length = effects.wire.bytes.count - start
        if lane == .message, length > settings.messageLimit {
            effects.wire.bytes.truncate(to: start)
            transactions.abandon(client)
            exchanges[lane.rawValue] = nil
            return fail(
                "the message is too long: \(length) octets of \(settings.messageLimit) (RFC 3428 section 8)", at: now, into: &effects)
        }
        transactions.send(client, from: start, over: flow, at: now.monotonic, into: &effects.wire)
    }

    private var listenerNumber: UInt8 {
        let isIPv6 = settings.core.address.isIPv6
        let fitting = settings.listeners.firstIndex {
            $0.transport == settings.coreTransport && $0.local.address.isIPv6 == isIPv6
        }
        return UInt8(truncatingIfNeeded: fitting ?? 0)
    }

    // MARK: Writing

    private mutating func append(_ exchange: Exchange, _ client: SlotID, over flow: Flow, at now: Now, into bytes: inout OctetBuffer) {
        let uri = requestURI(of: exchange)
        bytes.append(exchange.method.text)
        bytes.append(" ")
        bytes.append(uri)
        bytes.append(" SIP/2.0\r\n")
        transactions.appendVia(client, over: flow, into: &bytes)
        // RFC 3581 §3: our address may not be the one that the core sees.
        bytes.truncate(to: bytes.count - 2)
        bytes.append(";rport\r\nMax-Forwards: 70\r\n")
        for route in routes(of: exchange) { bytes.appendField(.route, octets: route) }
        bytes.append("From: <")
        bytes.append(identityURI)
        bytes.append(">;tag=")
        bytes.append(exchange.fromTag)
        bytes.append("\r\nTo: <")
        bytes.append(exchange.method == .register || exchange.method == .subscribe ? identityURI : uri)
        bytes.append(">")
        if exchange.purpose == .watch, let tag = watch?.remoteTag, !tag.isEmpty {
            bytes.append(";tag=")
            bytes.append(tag)
        }
        bytes.append("\r\n")
        bytes.appendField(.callID, octets: exchange.callID)
        bytes.append("CSeq: ")
        bytes.appendDecimal(UInt64(exchange.sequence))
        bytes.append(" ")
        bytes.append(exchange.method.text)
        bytes.append("\r\n")
        // The credentials stand before the body, which they may protect.
        var rest = OctetBuffer(capacity: 1024)
        switch exchange.purpose {
        case .register, .unregister: appendRegistrationFields(exchange, into: &rest)
        case .publish, .refreshSettings, .removeSettings: appendPublicationFields(exchange, into: &rest)
        case .message(_, _, let text): appendMessageFields(text, at: now, into: &rest)
        case .watch: appendWatchFields(exchange, into: &rest)
        }
        appendCredentials(exchange.method, uri, body: rest.bytes.behindFields(), into: &bytes)
        bytes.append(rest.bytes)
    }

    private func requestURI(of exchange: Exchange) -> [UInt8] {
        switch exchange.purpose {
        case .register, .unregister: domainURI
        case .publish, .refreshSettings, .removeSettings: identityURI
        case .message(_, let uri, _): uri
        case .watch: watch.map { $0.target.isEmpty ? identityURI : $0.target } ?? identityURI
        }
    }

    /// The way of the registration, or within the dialog of the subscription that of the dialog.
    private func routes(of exchange: Exchange) -> [[UInt8]] {
        if exchange.method == .register { return [] }
        if exchange.purpose == .watch, let watch, !watch.remoteTag.isEmpty { return watch.routes }
        return serviceRoute
    }

    private mutating func appendCredentials(_ method: Method, _ uri: [UInt8], body: RawSpan, into bytes: inout OctetBuffer) {
        let username = Array(settings.privateIdentity.utf8)
        let password = Array(settings.password.utf8)
        let cnonce = random.next()
        if method != .register {
            proxyChallenge?.appendAnswer(
                username: username, password: password, method: method, uri: uri, body: body, cnonce: cnonce, into: &bytes)
        } else if let challenge = registrarChallenge, challenge.isForSIM, var sim {
            // It serves once.
            registrarChallenge = nil
            let outcome = challenge.appendAnswer(username: username, sim: &sim, uri: uri, cnonce: cnonce, into: &bytes)
            self.sim = sim
            exchanges[Lane.registration.rawValue]?.isResynchronising = outcome == .resynchronising
        } else if registrarChallenge != nil {
            registrarChallenge?.appendAnswer(
                username: username, password: password, method: method, uri: uri, body: body, cnonce: cnonce, into: &bytes)
        } else {
            // TS 24.229 §5.1.1.2.3: the first REGISTER names the private identity, and has nothing to prove it by yet.
            bytes.append("Authorization: Digest username=\"")
            bytes.append(username)
            bytes.append("\", realm=\"")
            bytes.append(text: settings.domain)
            bytes.append("\", nonce=\"\", uri=\"")
            bytes.append(uri)
            bytes.append("\", response=\"\"\r\n")
        }
    }

    /// The fields by which the core knows a request of the IM service (OMA IM 5.2, RFC 3325 §9.2, RFC 3841 §9.2).
    func appendServiceFields(into bytes: inout OctetBuffer) {
        bytes.append("P-Preferred-Identity: <")
        bytes.append(identityURI)
        bytes.append(">\r\nAccept-Contact: *;+g.oma.sip-im\r\n")
        bytes.appendField(.userAgent, IMClient.product)
    }

    mutating func newCallID() -> [UInt8] {
        var buffer = OctetBuffer(capacity: 64)
        buffer.appendHex(random.next())
        buffer.appendHex(random.next())
        return [UInt8](buffer.bytes)
    }

    mutating func newTag() -> [UInt8] {
        var buffer = OctetBuffer(capacity: 64)
        buffer.appendHex(random.next())
        return [UInt8](buffer.bytes)
    }

    // MARK: Answers

    mutating func responseReceived(_ response: Message, _ essentials: Essentials, at now: Now, into effects: inout Effects) {
        switch transactions.responseReceived(response, essentials, at: now.monotonic, into: &effects.wire) {
        case .absorbed:
            break
        case .stray:
            effects.notices.append(Notice(.info, "a response \(response.status) of no transaction"))
        case .matched(_, let user):
            guard response.status >= 200, let lane = Lane(rawValue: Int(user & 3)),
                exchanges[lane.rawValue]?.request == user >> 2
            else { return }
            answered(lane, response, at: now, into: &effects)
        }
    }

    private mutating func answered(_ lane: Lane, _ response: Message, at now: Now, into effects: inout Effects) {
        switch response.status {
        case 200..<300:
            switch lane {
            case .registration: registrationAccepted(response, at: now, into: &effects)
            case .publication: publicationAccepted(response, at: now, into: &effects)
            case .message: messageAccepted(response.status, at: now, into: &effects)
            case .watch: watchAccepted(response, at: now, into: &effects)
            }
        case 401, 407:
            challenged(lane, response, at: now, into: &effects)
        case 423 where lengthen(lane, response):
            send(lane, at: now, into: &effects)
        case 412 where beginAnew(lane):
            send(lane, at: now, into: &effects)
        default:
            failed(lane, response.status, reason(of: response), retryAfter: retryAfter(response), at: now, into: &effects)
        }
    }

    /// Answers a challenge once, and again as long as only the nonce was too old (RFC 3261 §22.2, RFC 2617 §3.3) or our SIM has
    /// asked for a newer one (RFC 3310 §3.4).
    private mutating func challenged(_ lane: Lane, _ response: Message, at now: Now, into effects: inout Effects) {
        guard let challenge = Challenge(in: response, hasSIM: sim != nil) else {
            return failed(lane, response.status, "the challenge cannot be answered", at: now, into: &effects)
        }
        let count = exchanges[lane.rawValue]?.challengesAnswered ?? 0
        let isAwaited = challenge.isStale || exchanges[lane.rawValue]?.isResynchronising == true
        guard count == 0 || isAwaited && count < 3 else {
            if lane == .registration { registrarChallenge = nil } else { proxyChallenge = nil }
            return failed(lane, response.status, "\(reason(of: response)): is the password right?", at: now, into: &effects)
        }
        if lane == .registration { registrarChallenge = challenge } else { proxyChallenge = challenge }
        exchanges[lane.rawValue]?.challengesAnswered = count + 1
        send(lane, at: now, into: &effects)
    }

    /// 423: takes over the least interval, once.
    private mutating func lengthen(_ lane: Lane, _ response: Message) -> Bool {
        guard let exchange = exchanges[lane.rawValue], !exchange.hasLengthened, let value = response.value(.minExpires),
            let minimum = response.bytes.decimal(value), minimum > UInt64(exchange.expires)
        else { return false }
        exchanges[lane.rawValue]?.hasLengthened = true
        exchanges[lane.rawValue]?.expires = UInt32(minimum)
        return true
    }

    private mutating func failed(
        _ lane: Lane, _ status: UInt16, _ reason: String, retryAfter: UInt32? = nil, at now: Now, into effects: inout Effects
    ) {
        switch lane {
        case .registration: registrationRefused(status, reason, retryAfter: retryAfter, at: now, into: &effects)
        case .publication: publicationRefused(status, reason, retryAfter: retryAfter, at: now, into: &effects)
        case .message: messageRefused(status, reason, at: now, into: &effects)
        case .watch: watchRefused(status, reason, at: now, into: &effects)
        }
    }

    /// The reason phrase, and what a Warning or Accept adds to it.
    private func reason(of response: Message) -> String {
        var text = String(octets: response[response.shape.reason])
        if response.status == 415, let accept = response.value(.accept) { text += "; accepted: " + String(octets: response[accept]) }
        if let warning = response.value(.warning), let quote = response[warning].firstOffset(of: 0x22) {
            let quoted = Slice(warning.lower + quote, warning.upper)
            text += "; " + String(octets: response[response.bytes.unquoted(quoted)])
        }
        return text
    }

    private func retryAfter(_ response: Message) -> UInt32? {
        guard let value = response.value(.retryAfter) else { return nil }
        var end = value.lower
        while end < value.upper, response.bytes[end].isASCIIDigit { end += 1 }
        return response.bytes.decimal(Slice(value.lower, end), maximum: 86_400).map { UInt32($0) }
    }

    mutating func transactionChanged(_ event: TransactionEvent, at now: Now, into effects: inout Effects) {
        let (user, status, reason): (UInt64, UInt16, String)
        switch event {
        case .timedOut(_, let number): (user, status, reason) = (number, 408, "no answer from \(settings.core.text)")
        case .transportFailed(_, let number): (user, status, reason) = (number, 503, "\(settings.core.text) cannot be reached")
        case .timerC, .acknowledgementMissing, .answerDelayed, .fellBack: return
        }
        guard let lane = Lane(rawValue: Int(user & 3)), exchanges[lane.rawValue]?.request == user >> 2 else { return }
        failed(lane, status, reason, at: now, into: &effects)
    }
}

extension RawSpan {
    /// What stands behind the empty line that ends header fields.
    @_lifetime(copy self)
    fileprivate func behindFields() -> RawSpan {
        var i = 0
        while let end = firstOffset(of: 0x0D, from: i), end + 4 <= byteCount {
            if self[end + 1] == 0x0A, self[end + 2] == 0x0D, self[end + 3] == 0x0A { return part(end + 4, byteCount - end - 4) }
            i = end + 1
        }
        return part(byteCount, 0)
    }
}

extension Exchange {
    var method: Method {
        switch purpose {
        case .register, .unregister: .register
        case .publish, .refreshSettings, .removeSettings: .publish
        case .message: .message
        case .watch: .subscribe
        }
    }
}
