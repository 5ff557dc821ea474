// `GET /api/findings`: what users' clients and servers do against the standards, found in the recorded trace when asked.

import SIPTrace
import SansIO
import TrafficReview

/// A question about findings.
struct FindingsQuery: Sendable {
    static let parameters = ["since", "severity", "node", "rule", "limit"]
    static let defaultLimit: UInt64 = 1000

    private let since: UInt64
    private let severity: Severity
    private let node: String?
    private let rule: String?
    private let limit: Int

    init(_ query: Query) throws(APIError) {
        since = try query.number("since", in: 0 ... .max) ?? 0
        severity = try query.word("severity", Severity.self) ?? .note
        node = query.text("node")
        rule = query.text("rule")
        limit = Int(clamping: try query.number("limit", in: 1 ... .max) ?? FindingsQuery.defaultLimit)
        if let rule, !Rules.all.contains(where: { $0.id == rule }) {
            throw APIError(.badRequest, "there is no rule \(rule); `sipcore lint --rules` lists them", field: "rule")
        }
    }

    func answer(_ found: ReviewedTrace.State) -> Answer {
        let matching = found.findings.filter { finding in
            finding.sequence > since && finding.severity >= severity && (node == nil || finding.node == node)
                && (rule == nil || finding.rule == rule)
        }
        let given = matching.sorted { $0.sequence < $1.sequence }
        // Findings of one message stay together, so that the next question begins behind it.
        var count = min(limit, given.count)
        while count > 0, count < given.count, given[count].sequence == given[count - 1].sequence { count += 1 }
        let isWhole = count == given.count
        return .json { json in
            json.object { json in
                json.name("findings")
                json.array { json in for finding in given.prefix(count) { finding.write(to: &json) } }
                json.member("next", isWhole ? max(found.last, since) : given[count - 1].sequence)
            }
        }
    }
}

/// The trace as it was last reviewed: the next question reads on from there.
actor ReviewedTrace {
    struct State: Sendable {
        var findings: [Finding]
        /// The number of the last message that was read; 0: none.
        var last: UInt64
    }

    /// A review holds all that it has read, so it is not kept for somebody who asks no more.
    private static let time = Duration.seconds(30)
    /// A review that has read more than a trace can hold is begun anew.
    private static let mostMessages = 100_000
    private static let page = 256

    private let backing: any CoreBacking
    private var review = Review()
    /// The last message read, by which the trace is known again.
    private var mark: RecordedMessage?
    private var uses = 0
    /// The question before, which this one waits for.
    private var reading: Task<State, Never>?

    init(_ backing: any CoreBacking) { self.backing = backing }

    func state() async -> State {
        let before = reading
        let task = Task {
            _ = await before?.value
            return await readOn()
        }
        reading = task
        return await task.value
    }

    private func readOn() async -> State {
        if await !isContinued() || review.count > ReviewedTrace.mostMessages {
            review = Review()
            mark = nil
        }
        // Read first: what comes meanwhile is no silence.
        let time = await backing.clock().now
        var newest: UInt64?
        while true {
            let page = await backing.recordedMessages(after: mark?.sequence ?? 0, limit: ReviewedTrace.page)
            for message in page.messages {
                review.add(ObservedMessage(message, peer: backing.nodeName(of: message)))
            }
            mark = page.messages.last ?? mark
            // What arrives meanwhile is for the next time.
            if newest == nil { newest = page.newest }
            guard !page.messages.isEmpty, (mark?.sequence ?? 0) < newest ?? 0 else { break }
        }
        review.advance(to: time)
        forgetLater()
        return State(findings: review.findings, last: mark?.sequence ?? 0)
    }

    /// Whether the trace still has the last message that was read: after a reset numbers begin anew.
    private func isContinued() async -> Bool {
        guard let mark else { return true }
        return await backing.recordedMessages(after: mark.sequence - 1, limit: 1).messages.first == mark
    }

    private func forgetLater() {
        uses += 1
        let uses = uses
        Task {
            try await Task.sleep(for: ReviewedTrace.time)
            if uses == self.uses {
                review = Review()
                mark = nil
            }
        }
    }
}

extension ObservedMessage {
    init(_ message: RecordedMessage, peer: String?) {
        self.init(
            sequence: message.sequence, time: message.time, isIncoming: message.direction == .incoming, transport: message.transport,
            remote: message.remote, peer: peer, mark: message.mark, octets: message.octets)
    }
}

extension Finding {
    fileprivate func write(to json: inout JSONWriter) {
        json.object { json in
            json.member("sequence", sequence)
            json.name("sequences")
            json.array { json in for sequence in sequences { json.integer(sequence) } }
            json.member("node", node)
            json.member("severity", severity.rawValue)
            json.member("rule", rule)
            json.member("clause", clause)
            json.member("text", text)
            json.member("advice", advice)
        }
    }
}
