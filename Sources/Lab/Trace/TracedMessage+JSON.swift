// A recorded message as the core's HTTP interface writes it, and read back from there.

import SIPLadder
public import SIPTrace
import SansIO

extension TracedMessage {
    /// nil: a member is missing that every message has, or is not what it should be.
    init?(_ json: JSON) {
        guard let sequence = json["sequence"]?.integer, sequence > 0, let time = json["time"]?.string.flatMap(microseconds(rfc3339:)),
            let direction = json["direction"]?.string, direction == "in" || direction == "out",
            let transport = json["transport"]?.string.flatMap({ name in Transport.allCases.first { "\($0.name)" == name } }),
            let local = json["local"]?.string.flatMap({ Endpoint(text: $0) }),
            let remote = json["remote"]?.string.flatMap({ Endpoint(text: $0) }),
            let octets = json["raw"]?.string.map({ Array($0.utf8) }) ?? json["raw_base64"]?.string.flatMap(Base64.decoded)
        else { return nil }
        self.init(
            sequence: UInt64(sequence), time: WallTime(microseconds: time), direction: direction == "in" ? .incoming : .outgoing,
            transport: transport, peer: json["peer"]?.string, local: local, remote: remote,
            mark: json["fault"]?.string.flatMap { TraceMark(word: $0) } ?? .none, octets: octets)
    }

    /// As `GET /api/messages` has it.
    var json: JSON {
        let parts = MessageParts(octets)
        var members: [JSON.Member] = [
            .init(name: "sequence", value: .integer(Int64(clamping: sequence))),
            .init(name: "time", value: .string(rfc3339(time.microseconds))),
            .init(name: "direction", value: .string(direction == .incoming ? "in" : "out")),
            .init(name: "transport", value: .string("\(transport.name)")), .init(name: "peer", value: peer.map(JSON.string) ?? .null),
            .init(name: "local", value: .string(local.text)), .init(name: "remote", value: .string(remote.text)),
            .init(name: "start_line", value: .string(parts.startLine)),
            .init(name: "method", value: parts.method.map(JSON.string) ?? .null),
        ]
        if let status = parts.status { members.append(.init(name: "status", value: .integer(Int64(status)))) }
        if let fault = mark.word { members.append(.init(name: "fault", value: .string(fault))) }
        members.append(.init(name: "call_id", value: parts.callID.map(JSON.string) ?? .null))
        let headers = parts.headers.map { JSON.array([.string($0.name), .string($0.value)]) }
        members.append(.init(name: "headers", value: .array(headers)))
        members.append(TracedMessage.member("body", parts.body))
        members.append(TracedMessage.member("raw", octets))
        return .object(members)
    }

    /// One line, without its line feed.
    public var jsonLine: String { json.description }

    private static func member(_ name: String, _ octets: [UInt8]) -> JSON.Member {
        if let text = String(validating: octets, as: UTF8.self) { return .init(name: name, value: .string(text)) }
        return .init(name: "\(name)_base64", value: .string(Base64.encoded(octets)))
    }
}

private func rfc3339(_ microseconds: Int64) -> String {
    var buffer = OctetBuffer(capacity: 64)
    buffer.appendRFC3339(WallTime(microseconds: microseconds))
    return String(octets: buffer.bytes)
}
