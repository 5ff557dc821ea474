// A recorded message as JSON. What could not be taken as a message is shown too, as far as it can be read.

import SIPMessage
import SIPTrace
import SansIO

/// Reads messages one after another with one scanner.
struct MessageReader: ~Copyable {
    private var scanner = MessageScanner()

    /// Adds a message to what was found, if it matches.
    mutating func read(_ recorded: RecordedMessage, matching filter: MessageFilter, _ backing: any CoreBacking, into found: inout Found) {
        guard filter.admits(recorded) else { return }
        let peer = backing.nodeName(of: recorded)
        guard filter.admits(peer: peer, at: recorded.remote) else { return }
        let octets = recorded.octets.span.bytes
        _ = scanner.scan(octets)
        let message = scanner.message(octets)
        guard filter.admits(message) else { return }
        var json = JSONWriter()
        MessageReader.write(recorded, message, peer: peer, to: &json)
        if found.count > 0 { found.messages.append(0x2C) }
        found.messages += json.octets
        found.count += 1
    }

    private static func write(_ recorded: RecordedMessage, _ message: borrowing Message, peer: String?, to json: inout JSONWriter) {
        json.beginObject()
        json.member("sequence", recorded.sequence)
        json.member("time", recorded.time)
        json.member("direction", recorded.direction == .incoming ? "in" : "out")
        json.member("transport", "\(recorded.transport.name)")
        json.member("peer", peer)
        json.member("local", recorded.local.text)
        json.member("remote", recorded.remote.text)
        json.member("start_line", String(octets: message.bytes[message.startLine]))
        json.member("method", message.methodName.map { String(octets: message.bytes[$0]) })
        if !message.isRequest { json.member("status", message.status) }
        if let fault = recorded.mark.word { json.member("fault", fault) }
        json.member("call_id", message.value(.callID).map { String(octets: message.bytes[$0]) })
        json.name("headers")
        json.beginArray()
        for index in message.fields.indices { write(message.fields[index], of: message, to: &json) }
        json.endArray()
        json.member("body", octets: message.body)
        json.member("raw", octets: message.bytes)
        json.endObject()
    }

    /// The long name and the value, on one line.
    private static func write(_ field: HeaderField, of message: borrowing Message, to json: inout JSONWriter) {
        json.beginArray()
        json.string(field.name == .other ? String(octets: message.bytes[field.nameSlice]) : "\(field.name.text)")
        json.string(field.isFolded ? MessageReader.unfolded(message.bytes[field.value]) : String(octets: message.bytes[field.value]))
        json.endArray()
    }

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
