// A running core's trace for a person's eyes: the ladder of all messages, and why each request went where it went.

import SIPLadder

/// The trace of a core that runs, by its HTTP interface.
public struct TraceView: Sendable {
    private let core: CoreInterface

    /// - Parameter base: `http://127.0.0.1:8080`.
    public init(base: String, token: String?) {
        core = CoreInterface(base: base, token: token)
    }

    /// All messages that are recorded, drawn between the core and its peers.
    public func ladder() async throws(HTTPCall.Failure) -> String {
        Ladder.text(
            try await messages().map { message in
                let other = message.peer ?? message.remote.map { "\($0)" } ?? "?"
                let (from, to) = message.isInbound ? (other, Whereabouts.core) : (Whereabouts.core, other)
                return LadderEvent(microseconds: message.time, from: from, to: to, label: message.label, detail: message.detail)
            })
    }

    /// One line for each request that came in: its number and the whole in a sentence.
    public func sentences() async throws(HTTPCall.Failure) -> [String] {
        var lines: [String] = []
        for message in try await messages() where message.isInbound && message.status == nil {
            lines.append("\(message.sequence)  \(try await core.why(message.sequence)["sentence"]?.string ?? "")")
        }
        return lines
    }

    /// All that there is to say about one request.
    ///
    /// - Parameter sequence: its number in the trace.
    public func why(_ sequence: Int) async throws(HTTPCall.Failure) -> [String] {
        let why = try await core.why(sequence)
        var lines = [why["sentence"]?.string ?? ""]
        if let reason = why["believed_because"]?.string { lines.append("  believed because \(reason)") }
        lines += TraceView.part(why)
        for part in why["also_served"]?.array ?? [] { lines += TraceView.part(part) }
        for criterion in why["criteria"]?.array ?? [] { lines += TraceView.criterion(criterion) }
        for contact in why["contacts"]?.array ?? [] {
            let score = contact["score"].map { "\($0)" } ?? "?"
            let q = contact["q"].map { "\($0)" } ?? "?"
            lines.append(
                "  contact \(contact["uri"]?.string ?? ""): \(TraceView.words(contact["verdict"])), q \(q), preferred by the caller \(score)"
            )
        }
        if let hop = why["next_hop"]?.string { lines.append("  next hop \(hop)") }
        return lines
    }

    /// A served user.
    private static func part(_ part: JSON) -> [String] {
        guard let user = part["served_user"]?.string else { return [] }
        let state = part["registered"] == .bool(true) ? "registered" : "not registered"
        return ["  served \(user), \(part["session_case"]?.string ?? ""), \(state)"]
    }

    /// A criterion and its conditions, each with a mark: `+` it holds, `-` it does not.
    private static func criterion(_ criterion: JSON) -> [String] {
        let user = "\(criterion["served_user"]?.string ?? "") (\(criterion["session_case"]?.string ?? ""))"
        let head = "criterion \(criterion["priority"]?.integer ?? 0) of \(user) for \(criterion["application_server"]?.string ?? "")"
        var lines = ["  \(head): \(words(criterion["verdict"]))"]
        let isConjunctive = criterion["normal_form"]?.string != "disjunctive"
        if let part = criterion["profile_part"] { lines.append("    \(condition(part))") }
        for (number, group) in (criterion["groups"]?.array ?? []).enumerated() {
            let conditions = (group.array ?? []).map(condition)
            let glue = isConjunctive ? " or " : " and "
            let lead = number == 0 ? "" : isConjunctive ? "and " : "or "
            lines.append("    \(lead)\(conditions.joined(separator: glue))")
        }
        return lines
    }

    private static func condition(_ condition: JSON) -> String {
        let mark = condition["verdict"] == .bool(true) ? "+" : "-"
        return "\(mark) \(condition["condition"]?.string ?? "") (\(condition["value"]?.string.map { "it has \($0)" } ?? "it has none"))"
    }

    private static func words(_ verdict: JSON?) -> String { (verdict?.string ?? "").replacing("_", with: " ") }

    /// The interface gives them in pages.
    private func messages() async throws(HTTPCall.Failure) -> [RecordedMessage] {
        var found: [RecordedMessage] = []
        while true {
            let page = try await core.messages(since: found.last?.sequence ?? 0)
            if page.isEmpty { return found }
            found += page
        }
    }
}
