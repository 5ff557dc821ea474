// A recorded message as the core's HTTP interface writes it, and read back from there.

import JSONText
import SIPLadder
public import SIPTrace
import SansIO

extension TracedMessage {
    /// nil: a member is missing that every message has, or is not what it should be.
    init?(_ json: JSON) {
        guard let sequence = json["sequence"]?.integer, sequence > 0, let time = json["time"]?.text.flatMap(microseconds(rfc3339:)),
            let direction = json["direction"]?.text, direction == "in" || direction == "out",
            let transport = json["transport"]?.text.flatMap({ name in Transport.allCases.first { "\($0.name)" == name } }),
            let local = json["local"]?.text.flatMap({ Endpoint(text: $0) }),
            let remote = json["remote"]?.text.flatMap({ Endpoint(text: $0) }),
            let octets = json["raw"]?.text.map({ Array($0.utf8) }) ?? json["raw_base64"]?.text.flatMap(Base64.decoded)
        else { return nil }
        self.init(
            sequence: UInt64(sequence), time: WallTime(microseconds: time), direction: direction == "in" ? .incoming : .outgoing,
            transport: transport, peer: json["peer"]?.text, local: local, remote: remote,
            mark: json["fault"]?.text.flatMap { TraceMark(word: $0) } ?? .none, octets: octets)
    }

    /// As `GET /api/messages` has it.
    var json: JSON {
        let parts = MessageParts(octets)
        var members: [JSON.Member] = [
            .init("sequence", .integer(Int64(clamping: sequence))),
            .init("time", .text(rfc3339(time.microseconds))),
            .init("direction", .text(direction == .incoming ? "in" : "out")),
            .init("transport", .text("\(transport.name)")), .init("peer", peer.map(JSON.text) ?? .null),
            .init("local", .text(local.text)), .init("remote", .text(remote.text)),
            .init("start_line", .text(parts.startLine)),
            .init("method", parts.method.map(JSON.text) ?? .null),
        ]
        if let status = parts.status { members.append(.init("status", .integer(Int64(status)))) }
        if let fault = mark.word { members.append(.init("fault", .text(fault))) }
        members.append(.init("call_id", parts.callID.map(JSON.text) ?? .null))
        let headers = parts.headers.map { JSON.list([.text($0.name), .text($0.value)]) }
        members.append(.init("headers", .list(headers)))
        members.append(TracedMessage.member("body", parts.body))
        members.append(TracedMessage.member("raw", octets))
        return .object(members)
    }

    /// One line, without its line feed.
    public var jsonLine: String { json.description }

    private static func member(_ name: String, _ octets: [UInt8]) -> JSON.Member {
        if let text = String(validating: octets, as: UTF8.self) { return .init(name, .text(text)) }
        return .init("\(name)_base64", .text(Base64.encoded(octets)))
    }
}

private func rfc3339(_ microseconds: Int64) -> String {
    var buffer = OctetBuffer(capacity: 64)
    buffer.appendRFC3339(WallTime(microseconds: microseconds))
    return String(octets: buffer.bytes)
}
