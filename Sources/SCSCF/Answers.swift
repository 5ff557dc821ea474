// Answers that the core gives itself.

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
import SansIO

extension ServingCSCF {
    /// Answers a request with a final response without a body.
    ///
    /// - Parameters:
    ///   - warning: the text of a Warning header field.
    ///   - code: its code.
    ///   - fields: writes further header fields.
    mutating func answer(
        _ arrival: Arrival, _ request: borrowing Message, _ status: UInt16, warning: String? = nil,
        code: WarningCode = .miscellaneous, at now: Now, into effects: inout Effects, fields: (inout OctetBuffer) -> Void = { _ in }
    ) {
        let response = beginAnswer(arrival, request, status, into: &effects)
        fields(&effects.wire.bytes)
        if let warning { appendWarning(warning, code, into: &effects.wire.bytes) }
        effects.wire.bytes.appendEmptyBody()
        transactions.respond(arrival.server, status, response, at: now.monotonic, into: &effects.wire)
        logAnswer(request, status, warning, at: now, into: &effects)
    }

    /// Writes what an answer takes over from its request. Its own fields and the body are to follow.
    mutating func beginAnswer(
        _ arrival: Arrival, _ request: borrowing Message, _ status: UInt16, into effects: inout Effects
    ) -> OwnResponse {
        let start = effects.wire.bytes.count
        let tag = ownTag(of: arrival.server, request, arrival.essentials)
        effects.wire.bytes.appendResponse(status, to: request, arrival.essentials, from: arrival.flow.remote, toTag: tag)
        return OwnResponse(start: start, ownFields: effects.wire.bytes.count, tag: tag)
    }

    /// The tag in To of all answers of ours to one request, so that they belong to one dialog (RFC 3261 §8.2.6.2, §9.2).
    /// Where another shard may answer the rest of it, what they both know makes the tag.
    mutating func ownTag(of server: SlotID, _ request: borrowing Message, _ essentials: Essentials) -> UInt64 {
        guard place.hasOthers else { return transactions.tag(of: server) ?? random.next() }
        var hasher = KeyHasher(commonSecret)
        hasher.combine(request[essentials.callID])
        hasher.combine(request[essentials.from.tag])
        hasher.combine(UInt64(essentials.sequence))
        return hasher.finish().low
    }

    func appendWarning(_ text: String, _ code: WarningCode = .miscellaneous, into bytes: inout OctetBuffer) {
        bytes.append("Warning: ")
        bytes.appendDecimal(UInt64(code.rawValue))
        bytes.append(" ")
        transactions.advertised.append(0, into: &bytes)
        bytes.append(" \"")
        for octet in text.utf8 {
            if octet == 0x22 || octet == 0x5C { bytes.append(byte: 0x5C) }
            bytes.append(byte: octet)
        }
        bytes.append("\"\r\n")
    }

    /// The checks of RFC 3261 §16.3 that come before anything is done with a new request, then the three ways on.
    mutating func newRequest(_ arrival: Arrival, _ request: borrowing Message, at now: Now, into effects: inout Effects) {
        guard let requestURI = arrival.essentials.requestURI else { return }
        guard requestURI.scheme != .other else { return answer(arrival, request, 416, at: now, into: &effects) }
        if requestURI.isSIPS, !arrival.flow.transport.isSecure {
            return refuseInsecureHop(arrival, request, at: now, into: &effects)
        }
        if !requestURI.parameters.isEmpty, let maddr = request.bytes.parameter("maddr", in: requestURI.parameters), requestURI.isSIP,
            own.isReached(
                by: maddr, of: requestURI, in: request.bytes, over: configuration.listeners[Int(arrival.flow.listener)])
        {
            return maddrReached(arrival, request, requestURI, at: now, into: &effects)
        }
        let isForUs = requestURI.isSIP && requestURI.user.isEmpty && own.isOurs(requestURI, in: request.bytes)
        if isForUs {
            switch request.method {
            case .register: return register(unlessMerged: arrival, request, at: now, into: &effects)
            case .options where arrival.essentials.to.tag.isEmpty: return optionsReceived(arrival, request, at: now, into: &effects)
            case .subscribe where arrival.essentials.to.tag.isEmpty:
                if !request.has(.route) { return subscribedToUs(arrival, request, at: now, into: &effects) }
            default: break
            }
        }
        if arrival.essentials.maxForwards == 0 { return answer(arrival, request, 483, at: now, into: &effects) }
        if request.has(.maxBreadth), ForwardedRequest.breadth(of: request) == 0 {
            return answer(arrival, request, 440, at: now, into: &effects)
        }
        if request.has(.proxyRequire) {
            return answer(arrival, request, 420, at: now, into: &effects) {
                $0.appendUnsupported(of: request, .proxyRequire, known: { _ in false })
            }
        }
        if request.method == .register {
            return answer(arrival, request, 404, warning: "this registrar serves another domain", at: now, into: &effects)
        }
        route(arrival, request, requestURI, at: now, into: &effects)
    }

    /// A Request-URI with a `maddr` that has led here (§16.4): the request goes on as if it had come without.
    private mutating func maddrReached(
        _ arrival: Arrival, _ request: borrowing Message, _ requestURI: SIPURI, at now: Now, into effects: inout Effects
    ) {
        let headerStart = Int(request.shape.headerStart)
        var octets = OctetBuffer(capacity: request.bytes.byteCount)
        octets.append(request[request.shape.methodName])
        octets.append(" ")
        octets.appendWithoutMaddr(requestURI, in: request.bytes)
        octets.append(" SIP/2.0\r\n")
        octets.append(request.bytes.part(headerStart, request.bytes.byteCount - headerStart))
        var scanner = MessageScanner()
        _ = scanner.scan(octets.bytes)
        let changed = scanner.message(octets.bytes)
        // It was sound when it came.
        guard let essentials = try? changed.essentials() else { return answer(arrival, request, 400, at: now, into: &effects) }
        newRequest(Arrival(server: arrival.server, flow: arrival.flow, essentials: essentials), changed, at: now, into: &effects)
    }

    private mutating func register(
        unlessMerged arrival: Arrival, _ request: borrowing Message, at now: Now, into effects: inout Effects
    ) {
        if isMerged(arrival, request) { return answerMerged(arrival, request, at: now, into: &effects) }
        register(arrival, request, at: now, into: &effects)
    }

    mutating func answerMerged(_ arrival: Arrival, _ request: borrowing Message, at now: Now, into effects: inout Effects) {
        answer(
            arrival, request, 482, warning: "the same request has come another way before", at: now, into: &effects)
    }

    /// OPTIONS to the core itself (RFC 3261 §11.2).
    private mutating func optionsReceived(_ arrival: Arrival, _ request: borrowing Message, at now: Now, into effects: inout Effects) {
        if isMerged(arrival, request) { return answerMerged(arrival, request, at: now, into: &effects) }
        answer(arrival, request, 200, at: now, into: &effects) {
            $0.append(
                "Allow: INVITE, ACK, BYE, CANCEL, REGISTER, OPTIONS, PUBLISH, MESSAGE, SUBSCRIBE, NOTIFY, REFER, INFO, UPDATE, PRACK\r\n")
            $0.append("Accept: application/sdp, text/plain\r\nAccept-Encoding: identity\r\nAccept-Language: en\r\n")
            $0.append("Supported: path, outbound, gruu\r\nAllow-Events: reg\r\n")
        }
    }
}

extension OctetBuffer {
    /// Unsupported with each option tag of a list that is not known (RFC 3261 §8.2.2.3).
    mutating func appendUnsupported(of request: borrowing Message, _ name: HeaderName, known: (RawSpan) -> Bool) {
        append("Unsupported: ")
        var isFirst = true
        let bytes = request.bytes
        var unknown: [Slice] = []
        request.forEachValue(name) { value in
            if !known(bytes[value]) { unknown.append(value) }
            return true
        }
        for value in unknown {
            if !isFirst { append(", ") }
            isFirst = false
            append(bytes[value])
        }
        append("\r\n")
    }
}
