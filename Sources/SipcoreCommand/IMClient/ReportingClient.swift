// A client whose events are printed as they happen.

import InstantMessaging
import SansIO

/// An IM Client that hands over, after each call, what happened in it.
struct ReportingClient: ~Copyable, SansIONode {
    /// What came of one call.
    struct Report: Sendable {
        var events: [ClientEvent]
        /// How commands ended, in their order.
        var outcomes: [CommandOutcome]
        /// Whether the last of them is that of `quit`.
        var hasQuit: Bool
    }

    private var client: IMClient
    private let report: @Sendable (Report) -> Void

    /// - Parameter report: is called on the shard's thread.
    init(_ client: consuming IMClient, report: @escaping @Sendable (Report) -> Void) {
        self.client = client
        self.report = report
    }

    mutating func perform(_ command: ClientCommand, at now: Now, into effects: inout Effects) {
        client.perform(command, at: now, into: &effects)
        handOver()
    }

    private mutating func handOver() {
        guard !client.events.isEmpty || !client.outcomes.isEmpty else { return }
        report(Report(events: client.events, outcomes: client.outcomes, hasQuit: client.hasQuit))
        client.events.removeAll()
        client.outcomes.removeAll()
    }

    // MARK: SansIONode

    mutating func receive(_ octets: RawSpan, over flow: Flow, at now: Now, into effects: inout Effects) {
        client.receive(octets, over: flow, at: now, into: &effects)
        handOver()
    }

    mutating func flowClosed(_ flow: Flow, at now: Now, into effects: inout Effects) {
        client.flowClosed(flow, at: now, into: &effects)
        handOver()
    }

    mutating func transmissionFailed(_ transaction: UInt64, over flow: Flow, at now: Now, into effects: inout Effects) {
        client.transmissionFailed(transaction, over: flow, at: now, into: &effects)
        handOver()
    }

    mutating func committed(upTo ticket: UInt64, succeeded: Bool, at now: Now, into effects: inout Effects) {
        client.committed(upTo: ticket, succeeded: succeeded, at: now, into: &effects)
        handOver()
    }

    mutating func advance(to now: Now, into effects: inout Effects) {
        client.advance(to: now, into: &effects)
        handOver()
    }

    var nextDeadline: Instant? { client.nextDeadline }

    var unansweredRequests: [UnansweredRequest] { client.unansweredRequests }
}
