// Requests of others: messages are shown, questions about us answered, everything else politely refused.

import SIPMessage
import SIPTransaction
import SansIO

extension IMClient {
    private static let accept: StaticString = "text/plain, message/cpim"

    mutating func requestReceived(
        _ message: Message, _ essentials: Essentials, over flow: Flow, at now: Now, into effects: inout Effects
    ) {
        switch transactions.requestReceived(message, essentials, over: flow, at: now.monotonic, into: &effects.wire) {
        case .absorbed, .acknowledgement:
            break
        case .overloaded:
            let start = effects.wire.bytes.count
            effects.wire.bytes.appendResponse(503, to: message, essentials, from: flow.remote, toTag: random.next())
            effects.wire.bytes.append("Retry-After: 5\r\n")
            effects.wire.bytes.appendEmptyBody()
            transactions.respondStatelessly(to: message, essentials.via, over: flow, 503, from: start, into: &effects.wire)
        case .cancel(let server, of: let invite):
            // An INVITE has its final response already: the CANCEL changes nothing (RFC 3261 §9.2).
            let arrival = Arrival(message, essentials, server: server, over: flow, at: now)
            answer(arrival, invite == nil ? 481 : 200, into: &effects)
        case .new(let server):
            dispatch(Arrival(message, essentials, server: server, over: flow, at: now), into: &effects)
        }
    }

    private mutating func dispatch(_ arrival: borrowing Arrival, into effects: inout Effects) {
        let request = arrival.message
        if request.has(.require) {
            let tags = request.value(.require).map { [UInt8](request[$0]) } ?? []
            return answer(arrival, 420, into: &effects) { $0.appendField(.unsupported, octets: tags) }
        }
        switch request.method {
        case .message: pagerMessageReceived(arrival, into: &effects)
        case .options:
            answer(arrival, 200, into: &effects) {
                $0.appendField(.allow, IMClient.allow)
                $0.appendField(.accept, IMClient.accept)
                $0.append("Accept-Encoding: identity\r\nAccept-Language: en\r\n")
            }
        case .invite where arrival.essentials.to.tag.isEmpty:
            answer(arrival, 488, into: &effects) { $0.appendWarning("sessions are not supported", from: "im-client") }
        case .notify: notified(arrival, into: &effects)
        case .bye, .invite: answer(arrival, 481, into: &effects)
        case .other: answer(arrival, 501, into: &effects) { $0.appendField(.allow, IMClient.allow) }
        default: answer(arrival, 405, into: &effects) { $0.appendField(.allow, IMClient.allow) }
        }
    }

    mutating func answer(
        _ arrival: borrowing Arrival, _ status: UInt16, into effects: inout Effects, fields: (inout OctetBuffer) -> Void = { _ in }
    ) {
        transactions.answer(arrival, status, toTag: random.next(), into: &effects.wire) {
            $0.appendField(.server, IMClient.product)
            fields(&$0)
        }
    }

    // MARK: Messages

    private mutating func pagerMessageReceived(_ arrival: borrowing Arrival, into effects: inout Effects) {
        let request = arrival.message
        guard let text = shownText(of: request) else {
            return answer(arrival, 415, into: &effects) {
                $0.appendField(.accept, IMClient.accept)
                $0.append("Accept-Encoding: identity\r\n")
            }
        }
        answer(arrival, 200, into: &effects)
        let key = DeliveryKey(
            callID: [UInt8](request[arrival.essentials.callID]), fromTag: [UInt8](request[arrival.essentials.from.tag]),
            sequence: arrival.essentials.sequence)
        // A server that died before it could note our answer sends the same request again.
        guard received.insert(key) else { return }
        let date = request.value(.date).flatMap { WallTime(sipDate: request[$0]) } ?? arrival.now.wall
        report(.messageReceived(from: sender(of: request, arrival.essentials), body: text, date: date), at: arrival.now)
    }

    /// Whom the core vouches for, else whom From names.
    private func sender(of request: Message, _ essentials: Essentials) -> String {
        let bytes = request.bytes
        if let asserted = request.firstValue(.pAssertedIdentity).flatMap({ bytes.nameAddress($0) }) {
            return String(octets: bytes[asserted.uri.all])
        }
        return String(octets: bytes[essentials.from.uri.all])
    }

    /// The text of a body, or nil for a type that is not shown. Of CPIM the text within (RFC 3862 §2).
    private func shownText(of request: Message) -> String? {
        let bytes = request.bytes
        if let encoding = request.value(.contentEncoding), !request[encoding].equalsIgnoringCase("identity") { return nil }
        let body = request.shape.body
        guard let type = request.value(.contentType), !body.isEmpty else { return String(octets: request.body) }
        if bytes.isMediaType("text/plain", type) { return String(octets: request.body) }
        guard bytes.isMediaType("message/cpim", type) else { return nil }
        let (fields, content) = bytes.mimeHead(bytes.mimeHead(body).content)
        if let inner = bytes.mimeField("content-type", in: fields), !bytes.isMediaType("text/plain", inner) { return nil }
        return String(octets: bytes[content])
    }
}

/// The messages shown last, to tell a repeat.
struct ReceivedMessages: Sendable {
    private static let limit = 4096

    private var keys: Set<DeliveryKey> = []
    private var order: [DeliveryKey] = []
    private var oldest = 0

    /// False: it was shown before.
    mutating func insert(_ key: DeliveryKey) -> Bool {
        guard keys.insert(key).inserted else { return false }
        if order.count < ReceivedMessages.limit {
            order.append(key)
        } else {
            keys.remove(order[oldest])
            order[oldest] = key
            oldest = (oldest + 1) % ReceivedMessages.limit
        }
        return true
    }
}
