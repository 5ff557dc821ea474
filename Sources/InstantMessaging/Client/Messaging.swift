// Messages in page mode, out and in (RFC 3428 §4, §7, §8).

import SIPMessage
import SIPTransaction
import SansIO

extension IMClient {
    mutating func sendMessage(to recipient: String, _ text: String, at now: Now, into effects: inout Effects) {
        let uri = recipientURI(recipient)
        let octets = Array(uri.utf8)
        guard let parsed = octets.span.bytes.uri(Slice(0, octets.count)), parsed.scheme != .other else {
            return fail("'\(recipient)' is not a SIP or tel URI", at: now, into: &effects)
        }
        let exchange = Exchange(
            purpose: .message(to: uri, uri: octets, text: text), expires: 0, isCommanded: true, callID: newCallID(), fromTag: newTag(),
            sequence: 0)
        begin(.message, exchange, at: now, into: &effects)
    }

    /// A URI; `bob@home1.test` and `bob` stand for the SIP URIs that they are part of.
    private func recipientURI(_ text: String) -> String {
        if text.contains(":") { return text }
        return text.contains("@") ? "sip:\(text)" : "sip:\(text)@\(settings.domain)"
    }

    func appendMessageFields(_ text: String, at now: Now, into bytes: inout OctetBuffer) {
        appendServiceFields(into: &bytes)
        bytes.append("Date: ")
        bytes.appendSIPDate(now.wall)
        bytes.append("\r\nContent-Type: text/plain;charset=UTF-8\r\n")
        let body = Array(text.utf8)
        bytes.appendBody(body.span.bytes)
    }

    mutating func messageAccepted(_ status: UInt16, at now: Now, into effects: inout Effects) {
        guard let recipient = messageRecipient else { return }
        // 202: taken for delivery later; any other 2xx comes from the recipient (RFC 3428 §7).
        report(status == 202 ? .messageDeferred(to: recipient, status: status) : .messageDelivered(to: recipient, status: status), at: now)
        finish(.message, .succeeded, at: now, into: &effects)
    }

    mutating func messageRefused(_ status: UInt16, _ reason: String, at now: Now, into effects: inout Effects) {
        guard let recipient = messageRecipient else { return }
        report(.messageRefused(to: recipient, status: status, reason: reason), at: now)
        finish(.message, .failed, at: now, into: &effects)
    }

    private var messageRecipient: String? {
        guard case .message(let recipient, _, _) = exchanges[Lane.message.rawValue]?.purpose else { return nil }
        return recipient
    }
}
