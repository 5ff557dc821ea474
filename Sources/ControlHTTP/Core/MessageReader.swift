// A recorded message as JSON. What could not be taken as a message is shown too, as far as it can be read.

import SIPMessage
import SIPTrace
import SansIO

/// Reads messages one after another with one scanner.
struct MessageReader: ~Copyable {
    private var scanner = MessageScanner()

    /// Adds a message to what was found, if it matches.
    /// - Parameter isBrief: whether it is told in short.
    mutating func read(
        _ recorded: RecordedMessage, matching filter: MessageFilter, isBrief: Bool, _ backing: any CoreBacking, into found: inout Found
    ) {
        guard filter.admits(recorded) else { return }
        let peer = backing.nodeName(of: recorded)
        guard filter.admits(peer: peer, at: recorded.remote) else { return }
        let octets = recorded.octets.span.bytes
        _ = scanner.scan(octets)
        let message = scanner.message(octets)
        guard filter.admits(message) else { return }
        if found.count > 0 { found.messages.append(0x2C) }
        found.messages += MessageReader.text(recorded, message, peer: peer, isBrief: isBrief)
        found.count += 1
    }

    /// A message as JSON.
    static func text(_ recorded: RecordedMessage, _ message: borrowing Message, peer: String?, isBrief: Bool = false) -> [UInt8] {
        var json = JSONWriter()
        write(recorded, message, peer: peer, isBrief: isBrief, to: &json)
        return json.octets
    }

    /// Takes a message as the nearest one, if it meets more of the filter than the one before it, or as much.
    mutating func compare(
        _ recorded: RecordedMessage, with filter: MessageFilter, _ backing: any CoreBacking, in nearest: inout NearestMessage?
    ) {
        let peer = backing.nodeName(of: recorded)
        let octets = recorded.octets.span.bytes
        _ = scanner.scan(octets)
        let message = scanner.message(octets)
        let differences = filter.differences(from: recorded, message, peer: peer)
        guard differences.count <= nearest?.differences.count ?? .max else { return }
        nearest = NearestMessage(message: MessageReader.text(recorded, message, peer: peer), differences: differences)
    }

    /// Writes a message that is in no trace; a response with its reason.
    mutating func write(_ octets: [UInt8], to json: inout JSONWriter, asResponse: Bool = false) {
        let bytes = octets.span.bytes
        _ = scanner.scan(bytes)
        json.beginObject()
        let message = scanner.message(bytes)
        MessageReader.writeOutline(message, to: &json)
        if asResponse {
            let line = String(octets: bytes[message.startLine])
            json.member(
                "reason",
                line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false).dropFirst(2).first.map(String.init) ?? "")
        }
        MessageReader.writeContent(message, to: &json)
        json.endObject()
    }

    private static func write(
        _ recorded: RecordedMessage, _ message: borrowing Message, peer: String?, isBrief: Bool, to json: inout JSONWriter
    ) {
        json.beginObject()
        json.member("sequence", recorded.sequence)
        json.member("time", recorded.time)
        json.member("direction", recorded.direction == .incoming ? "in" : "out")
        json.member("transport", "\(recorded.transport.name)")
        json.member("peer", peer)
        json.member("local", recorded.local.text)
        json.member("remote", recorded.remote.text)
        writeOutline(message, fault: recorded.mark.word, to: &json)
        if isBrief { writeBriefly(message, to: &json) } else { writeContent(message, to: &json) }
        json.endObject()
    }

    private static func writeOutline(_ message: borrowing Message, fault: String? = nil, to json: inout JSONWriter) {
        json.member("start_line", String(octets: message.bytes[message.startLine]))
        json.member("method", message.methodName.map { String(octets: message.bytes[$0]) })
        if !message.isRequest { json.member("status", message.status) }
        if let fault { json.member("fault", fault) }
        json.member("call_id", message.value(.callID).map { String(octets: message.bytes[$0]) })
    }

    /// Octets of a body that are shown in short.
    private static let snippet = 80

    /// In place of header fields, body and octets: what tells one message from another.
    private static func writeBriefly(_ message: borrowing Message, to json: inout JSONWriter) {
        for (name, field) in [("from", HeaderName.from), ("to", .to)] {
            let address = message.value(field).flatMap { message.bytes.nameAddress($0) }
            json.member(name, address.map { String(octets: message.bytes[$0.uri.all]) })
        }
        json.member("cseq", message.value(.cseq).map { String(octets: message.bytes[$0]) })
        json.member("branch", message.viaOfRefused.map { String(octets: message.bytes[$0.branch]) })
        let isText = message.value(.contentType).map {
            message.bytes[$0].byteCount >= 5 && message.bytes[$0].part(0, 5).equalsIgnoringCase("text/")
        }
        guard isText == true else { return json.member("snippet", nil as String?) }
        let body = message.body
        json.member("snippet", String(octets: body.part(0, min(body.byteCount, snippet))))
    }

    private static func writeContent(_ message: borrowing Message, to json: inout JSONWriter) {
        json.name("headers")
        json.beginArray()
        for index in message.fields.indices { write(message.fields[index], of: message, to: &json) }
        json.endArray()
        json.member("body", octets: message.body)
        json.member("raw", octets: message.bytes)
    }

    /// The long name and the value, on one line.
    private static func write(_ field: HeaderField, of message: borrowing Message, to json: inout JSONWriter) {
        json.beginArray()
        json.string(field.name == .other ? String(octets: message.bytes[field.nameSlice]) : "\(field.name.text)")
        json.string(field.text(in: message.bytes))
        json.endArray()
    }
}

extension HeaderField {
    /// The value on one line.
    func text(in bytes: RawSpan) -> String { isFolded ? HeaderField.unfolded(bytes[value]) : String(octets: bytes[value]) }

    /// Line ends with the white space around them become one space (RFC 3261 §7.3.1).
    private static func unfolded(_ value: RawSpan) -> String {
        var octets: [UInt8] = []
        var position = 0
        while position < value.byteCount {
            let end = value.firstOffset(of: 0x0A, from: position) ?? value.byteCount
            let line = value.trimmed(Slice(position, end))
            if !line.isEmpty, !octets.isEmpty { octets.append(0x20) }
            octets += [UInt8](value[line])
            position = end + 1
        }
        return String(decoding: octets, as: UTF8.self)
    }
}

extension Message {
    fileprivate var startLine: Slice {
        var start = 0
        while start < bytes.byteCount, bytes[start] == 0x0D || bytes[start] == 0x0A { start += 1 }
        var end = start
        while end < bytes.byteCount, bytes[end] != 0x0D, bytes[end] != 0x0A { end += 1 }
        return Slice(start, end)
    }
}
