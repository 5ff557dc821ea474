// A trace with the octets of its messages, as `GET /api/messages` tells it and as files keep it.

/// A message with its octets. Direction is seen from the core.
public struct TracedOctets: Sendable, Equatable {
    public var sequence: UInt64
    /// Microseconds since 1970.
    public var time: Int64
    public var isInbound: Bool
    /// `udp`, `tcp` ...
    public var transport: String
    /// The address at the other end.
    public var remote: String
    /// The node that the core knows there.
    public var peer: String?
    public var octets: [UInt8]

    /// nil if a member is missing or is not what it should be.
    init?(_ json: JSON) {
        guard let sequence = json["sequence"]?.integer.flatMap({ UInt64(exactly: $0) }),
            let time = json["time"]?.string.flatMap(microseconds(rfc3339:)), let direction = json["direction"]?.string,
            ["in", "out"].contains(direction), let transport = json["transport"]?.string, let remote = json["remote"]?.string,
            let octets = json["raw"]?.string.map({ Array($0.utf8) }) ?? json["raw_base64"]?.string.flatMap(octets(base64:))
        else { return nil }
        self.sequence = sequence
        self.time = time
        isInbound = direction == "in"
        self.transport = transport
        self.remote = withoutScheme(remote)
        peer = json["peer"]?.string
        self.octets = octets
    }
}

/// Where recorded messages come from.
public enum RecordedTrace {
    /// Why a text is no trace, and where.
    public struct Fault: Error, CustomStringConvertible {
        public let description: String
    }

    /// The messages of a text: JSON Lines with a message on each, or one document `{"messages": [...]}`.
    public static func messages(in text: [UInt8]) throws(Fault) -> [TracedOctets] {
        if let document = JSON(text), let list = document["messages"]?.array {
            var messages: [TracedOctets] = []
            for (index, json) in list.enumerated() {
                guard let message = TracedOctets(json) else { throw Fault(description: "message \(index + 1) of the list \(problem)") }
                messages.append(message)
            }
            return messages
        }
        var messages: [TracedOctets] = []
        for (index, line) in text.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
            guard line.contains(where: { $0 != 0x20 && $0 != 0x09 && $0 != 0x0D }) else { continue }
            guard let message = JSON(line).flatMap(TracedOctets.init) else { throw Fault(description: "line \(index + 1) \(problem)") }
            messages.append(message)
        }
        return messages
    }

    /// All messages that a running core has recorded, page by page.
    /// - Parameter base: `http://127.0.0.1:8080`.
    public static func messages(of base: String, token: String?) async throws(HTTPCall.Failure) -> [TracedOctets] {
        let core = CoreInterface(base: base, token: token)
        var found: [TracedOctets] = []
        while true {
            let page = try await core.octets(since: found.last?.sequence ?? 0)
            if page.isEmpty { return found }
            found += page
        }
    }

    private static let problem =
        "is no message of a trace; give those of GET /api/messages, which have sequence, time, direction, remote and raw"
}

/// The octets of base64 with padding (RFC 4648 §4); nil: it is something else.
private func octets(base64 text: String) -> [UInt8]? {
    let digits = text.utf8.prefix { $0 != UInt8(ascii: "=") }
    guard text.utf8.count % 4 == 0, text.utf8.count - digits.count <= 2, text.utf8.dropFirst(digits.count).allSatisfy({ $0 == 0x3D }) else {
        return nil
    }
    var octets: [UInt8] = []
    var (bits, count): (UInt32, Int) = (0, 0)
    for digit in digits {
        guard let value = sextet(digit) else { return nil }
        bits = bits << 6 | value
        count += 6
        guard count >= 8 else { continue }
        count -= 8
        octets.append(UInt8(truncatingIfNeeded: bits >> count))
    }
    return octets
}

private func sextet(_ digit: UInt8) -> UInt32? {
    switch digit {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(digit - UInt8(ascii: "A"))
    case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(digit - UInt8(ascii: "a")) + 26
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(digit - UInt8(ascii: "0")) + 52
    case UInt8(ascii: "+"): 62
    case UInt8(ascii: "/"): 63
    default: nil
    }
}
