// A request that is to be answered, and the answers that both nodes give alike.

import SIPMessage
import SIPTransaction
import SansIO

/// A new request with all that is known of it: a view, no longer lived than its octets.
struct Arrival: ~Escapable {
    let message: Message
    let essentials: Essentials
    /// Its server transaction.
    let server: SlotID
    let flow: Flow
    let now: Now

    @_lifetime(copy message)
    init(_ message: Message, _ essentials: Essentials, server: SlotID, over flow: Flow, at now: Now) {
        self.message = message
        self.essentials = essentials
        self.server = server
        self.flow = flow
        self.now = now
    }

    var bytes: RawSpan {
        @_lifetime(copy self)
        get { message.bytes }
    }
}

/// An answer that waits: what it takes over from its request, so that the request need not be kept.
struct PreparedAnswer: Sendable {
    var server: SlotID
    /// The header fields behind the status line.
    var fields: [UInt8]

    /// - Parameter toTag: our tag, if the request's To has none.
    init(_ arrival: borrowing Arrival, toTag: UInt64) {
        server = arrival.server
        var buffer = OctetBuffer(capacity: 1024)
        // Fields as of a 200: with a To tag.
        buffer.appendResponseFields(200, to: arrival.message, arrival.essentials, from: arrival.flow.remote, toTag: toTag)
        fields = [UInt8](buffer.bytes)
    }
}

extension TransactionLayer {
    /// Answers without a body.
    ///
    /// - Parameter fields: writes further header fields.
    mutating func answer(
        _ arrival: borrowing Arrival, _ status: UInt16, toTag: UInt64, into wire: inout Wire, fields: (inout OctetBuffer) -> Void = { _ in }
    ) {
        let start = wire.bytes.count
        wire.bytes.appendResponse(status, to: arrival.message, arrival.essentials, from: arrival.flow.remote, toTag: toTag)
        fields(&wire.bytes)
        wire.bytes.appendEmptyBody()
        respond(arrival.server, status, from: start, at: arrival.now.monotonic, into: &wire)
    }

    /// Sends an answer that waited.
    mutating func answer(
        _ prepared: PreparedAnswer, _ status: UInt16, at now: Now, into wire: inout Wire, fields: (inout OctetBuffer) -> Void = { _ in }
    ) {
        let start = wire.bytes.count
        wire.bytes.appendStatusLine(status, StatusReason.text(status))
        wire.bytes.append(prepared.fields)
        fields(&wire.bytes)
        wire.bytes.appendEmptyBody()
        respond(prepared.server, status, from: start, at: now.monotonic, into: &wire)
    }

    /// Refuses a request that has a fault, outside of any transaction, with the fields that it has; the reason phrase
    /// names the header at fault (RFC 3261 §16.3, §21.4.1).
    ///
    /// - Returns: false when there is no way back: a response, an ACK, or a request without a Via that can be read.
    func refuse(
        _ message: borrowing Message, _ fault: MessageFault, over flow: Flow, server: StaticString, into wire: inout Wire
    ) -> Bool {
        guard message.isRequest, message.method != .ack, let value = message.firstValue(.via), let via = message.bytes.via(value) else {
            return false
        }
        let fault = fault.onStream(flow.transport == .tcp || flow.transport == .tls)
        let start = wire.bytes.count
        wire.bytes.append("SIP/2.0 ")
        wire.bytes.appendDecimal(UInt64(fault.status))
        wire.bytes.append(" ")
        wire.bytes.append(fault)
        wire.bytes.append("\r\n")
        wire.bytes.appendVias(of: message, via, from: flow.remote)
        for name in [HeaderName.from, .to, .callID, .cseq] { wire.bytes.appendFields(of: message, name) }
        wire.bytes.appendField(.server, server)
        wire.bytes.appendEmptyBody()
        respondStatelessly(to: message, via, over: flow, fault.status, from: start, into: &wire)
        return true
    }
}

extension OctetBuffer {
    mutating func append(text: String) {
        for octet in text.utf8 { append(byte: octet) }
    }

    /// `Warning: 399 HOST "text"` (RFC 3261 §20.43).
    mutating func appendWarning(_ text: String, from host: String) {
        append("Warning: 399 ")
        append(text: host)
        append(" \"")
        for octet in text.utf8 {
            if octet == 0x22 || octet == 0x5C { append(byte: 0x5C) }
            // A header field is one line.
            append(byte: octet < 0x20 ? 0x20 : octet)
        }
        append("\"\r\n")
    }

    /// A header field whose value was taken over from elsewhere.
    mutating func appendField(_ name: HeaderName, octets: [UInt8]) { appendField(name, octets.span.bytes) }

    /// A header field with text made here.
    mutating func appendField(_ name: HeaderName, text: String) {
        append(name.text)
        append(": ")
        append(text: text)
        append("\r\n")
    }
}
