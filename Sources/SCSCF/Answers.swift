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
    ///   - warning: the text of a Warning header field, code 399 (RFC 3261 §20.43).
    ///   - fields: writes further header fields.
    mutating func answer(
        _ arrival: Arrival, _ request: borrowing Message, _ status: UInt16, warning: String? = nil, at now: Now,
        into effects: inout Effects, fields: (inout OctetBuffer) -> Void = { _ in }
    ) {
        let start = effects.wire.bytes.count
        effects.wire.bytes.appendResponse(status, to: request, arrival.essentials, from: arrival.flow.remote, toTag: random.next())
        fields(&effects.wire.bytes)
        if let warning { appendWarning(warning, into: &effects.wire.bytes) }
        effects.wire.bytes.appendEmptyBody()
        transactions.respond(arrival.server, status, from: start, at: now.monotonic, into: &effects.wire)
    }

    func appendWarning(_ text: String, into bytes: inout OctetBuffer) {
        bytes.append("Warning: 399 ")
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
        let isForUs = requestURI.isSIP && requestURI.user.isEmpty && own.isOurs(requestURI, in: request.bytes)
        if isForUs, request.method == .register { return register(arrival, request, at: now, into: &effects) }
        if isForUs, request.method == .options, arrival.essentials.to.tag.isEmpty {
            return optionsReceived(arrival, request, at: now, into: &effects)
        }
        if arrival.essentials.maxForwards == 0 { return answer(arrival, request, 483, at: now, into: &effects) }
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

    /// OPTIONS to the core itself (RFC 3261 §11.2).
    private mutating func optionsReceived(_ arrival: Arrival, _ request: borrowing Message, at now: Now, into effects: inout Effects) {
        answer(arrival, request, 200, at: now, into: &effects) {
            $0.append(
                "Allow: INVITE, ACK, BYE, CANCEL, REGISTER, OPTIONS, PUBLISH, MESSAGE, SUBSCRIBE, NOTIFY, REFER, INFO, UPDATE, PRACK\r\n")
            $0.append("Accept: application/sdp, text/plain\r\nAccept-Encoding: identity\r\nAccept-Language: en\r\nSupported: path\r\n")
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
