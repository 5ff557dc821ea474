// The trace of a running core: its messages, recorded or as they come, and why each request went where it went.

import JSONText
public import SIPLadder
public import SIPTrace
public import SansIO

/// The trace of a core that runs, by its HTTP interface.
public struct TraceView: Sendable {
    private let core: CoreInterface

    /// - Parameter base: `http://127.0.0.1:8080`.
    public init(base: String, token: String?) {
        core = CoreInterface(base: base, token: token)
    }

    /// The recorded messages that match, oldest first.
    public func messages(_ filter: TraceFilter = TraceFilter()) async throws(HTTPCall.Failure) -> [TracedMessage] {
        var found: [TracedMessage] = []
        var since = filter.since
        while found.count < filter.limit {
            let limit = min(filter.limit - found.count, TraceView.page)
            let answer = try await core.get("/api/messages?since=\(since)&limit=\(limit)\(TraceView.query(filter))")
            guard let page = answer["messages"]?.list, !page.isEmpty else { break }
            for json in page {
                guard let message = TracedMessage(json) else {
                    throw HTTPCall.Failure(description: "\(core.base)/api/messages gave what is no message: \(json)")
                }
                found.append(message)
            }
            since = answer["next"]?.integer.map { UInt64($0) } ?? since
        }
        return found
    }

    /// What time it is by the core's clock; nil: it does not say.
    public func time() async throws(HTTPCall.Failure) -> WallTime? {
        try await core.get("/api/clock")["now"]?.text.flatMap(microseconds(rfc3339:)).map(WallTime.init(microseconds:))
    }

    /// Who is where, as far as registrations tell.
    public func lanes() async throws(HTTPCall.Failure) -> LaneNames {
        var lanes = LaneNames()
        for registration in try await core.registrations()["registrations"]?.list ?? [] {
            guard let identity = registration["implicit_set"]?.list?.first?.text ?? registration["public_identity"]?.text else {
                continue
            }
            for contact in registration["contacts"]?.list ?? [] {
                let places = [
                    contact["flow"]?.text.flatMap { Endpoint(text: withoutScheme($0)) },
                    contact["uri"]?.text.flatMap(LaneNames.endpoint(ofURI:)),
                ]
                for place in places.compactMap({ $0 }) { lanes.learn(identity, at: place) }
            }
        }
        return lanes
    }

    /// The messages that match as they are recorded, from now on or from a number on.
    public func live(_ filter: TraceFilter) -> EventStream {
        let since = filter.since > 0 ? "&since=\(filter.since)" : ""
        let limit = filter.limit < .max ? "&limit=\(filter.limit)" : ""
        let query = (since + limit + TraceView.query(filter)).dropFirst()
        let target = "/api/messages/stream" + (query.isEmpty ? "" : "?\(query)")
        return EventStream(HTTPCall(base: core.base, target: target, token: core.token))
    }

    /// What an event of the stream tells; nil: it is no message.
    public static func message(in event: EventStream.Event) -> TracedMessage? {
        event.name == "message" ? JSON(event.data.utf8).flatMap { TracedMessage($0) } : nil
    }

    private static let page = 1000

    /// The filter as the interface takes it, each parameter with an ampersand before it; numbers are left out.
    private static func query(_ filter: TraceFilter) -> String {
        let direction = filter.direction.map { $0 == .incoming ? "in" : "out" }
        let terms: [(String, String?)] = [
            ("method", filter.method), ("status", filter.status.map { "\($0)" }), ("from", filter.from), ("to", filter.to),
            ("call_id", filter.callID), ("peer", filter.peer), ("direction", direction),
        ]
        return terms.map { name, value in value.map { "&\(name)=\(percentEncoded($0))" } ?? "" }.joined()
    }

    /// All but what RFC 3986 §2.3 does not reserve.
    private static func percentEncoded(_ text: String) -> String {
        text.utf8.map { octet in
            switch octet {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
                String(Unicode.Scalar(octet))
            default: "%" + (octet < 16 ? "0" : "") + String(octet, radix: 16, uppercase: true)
            }
        }.joined()
    }

    /// One line for each request that came in: its number and the whole in a sentence.
    public func sentences(_ filter: TraceFilter = TraceFilter()) async throws(HTTPCall.Failure) -> [String] {
        var lines: [String] = []
        for message in try await messages(filter) where message.direction == .incoming && MessageParts(message.octets).status == nil {
            lines.append("\(message.sequence)  \(try await core.why(Int(message.sequence))["sentence"]?.text ?? "")")
        }
        return lines
    }

    /// All that there is to say about one request.
    ///
    /// - Parameter sequence: its number in the trace.
    public func why(_ sequence: Int) async throws(HTTPCall.Failure) -> [String] {
        let why = try await core.why(sequence)
        var lines = [why["sentence"]?.text ?? ""]
        if let reason = why["believed_because"]?.text { lines.append("  believed because \(reason)") }
        lines += TraceView.part(why)
        for part in why["also_served"]?.list ?? [] { lines += TraceView.part(part) }
        for criterion in why["criteria"]?.list ?? [] { lines += TraceView.criterion(criterion) }
        for contact in why["contacts"]?.list ?? [] {
            let score = contact["score"].map { "\($0)" } ?? "?"
            let q = contact["q"].map { "\($0)" } ?? "?"
            lines.append(
                "  contact \(contact["uri"]?.text ?? ""): \(TraceView.words(contact["verdict"])), q \(q), preferred by the caller \(score)"
            )
        }
        if let hop = why["next_hop"]?.text { lines.append("  next hop \(hop)") }
        return lines
    }

    /// A served user.
    private static func part(_ part: JSON) -> [String] {
        guard let user = part["served_user"]?.text else { return [] }
        let state = part["registered"] == .boolean(true) ? "registered" : "not registered"
        return ["  served \(user), \(part["session_case"]?.text ?? ""), \(state)"]
    }

    /// A criterion and its conditions, each with a mark: `+` it holds, `-` it does not.
    private static func criterion(_ criterion: JSON) -> [String] {
        let user = "\(criterion["served_user"]?.text ?? "") (\(criterion["session_case"]?.text ?? ""))"
        let head = "criterion \(criterion["priority"]?.integer ?? 0) of \(user) for \(criterion["application_server"]?.text ?? "")"
        var lines = ["  \(head): \(words(criterion["verdict"]))"]
        let isConjunctive = criterion["normal_form"]?.text != "disjunctive"
        if let part = criterion["profile_part"] { lines.append("    \(condition(part))") }
        for (number, group) in (criterion["groups"]?.list ?? []).enumerated() {
            let conditions = (group.list ?? []).map(condition)
            let glue = isConjunctive ? " or " : " and "
            let lead = number == 0 ? "" : isConjunctive ? "and " : "or "
            lines.append("    \(lead)\(conditions.joined(separator: glue))")
        }
        return lines
    }

    private static func condition(_ condition: JSON) -> String {
        let mark = condition["verdict"] == .boolean(true) ? "+" : "-"
        return "\(mark) \(condition["condition"]?.text ?? "") (\(condition["value"]?.text.map { "it has \($0)" } ?? "it has none"))"
    }

    private static func words(_ verdict: JSON?) -> String { (verdict?.text ?? "").replacing("_", with: " ") }
}
