// What is said of a failed step, and the ladder of messages.

import SIPLadder
import Topology

extension ScenarioRunner {
    private static let longestLadder = 200

    func failure(_ failure: StepFailure, of step: Step) async -> ScenarioResult.Failure {
        var cameInstead = failure.cameInstead
        if let interruption, !cameInstead.contains(interruption) { cameInstead = [interruption] }
        // What is not there is not drawn.
        try? await fetch()
        let around = log[max(mark - 10, 0)...].suffix(ScenarioRunner.longestLadder)
        var details = FailureDetails(
            file: step.file, line: step.line, column: step.column, awaited: failure.awaited, cameInstead: cameInstead)
        details.nearest = failure.nearest
        details.messages = Array(around)
        details.arrows = around.map(arrow)
        details.columns = whereabouts.columns
        details.logs = await supervisor.logs().map { FailureDetails.NodeLog(node: $0.node, lines: $0.lines) }
        return ScenarioResult.Failure(step: "\(step.place)  \(step.text)", report: details.report, details: details)
    }

    func ladder(_ messages: ArraySlice<RecordedMessage>) -> String {
        let drawn = messages.suffix(ScenarioRunner.longestLadder)
        let left = messages.count - drawn.count
        let text = Ladder.text(drawn.map(arrow), nodes: whereabouts.columns)
        return (left > 0 ? "(\(left) earlier messages are not drawn)\n" : "") + text
    }

    private func arrow(_ message: RecordedMessage) -> LadderEvent {
        let other = whereabouts.otherEnd(of: message)
        return LadderEvent(
            microseconds: message.time, from: message.isInbound ? other : Whereabouts.core,
            to: message.isInbound ? Whereabouts.core : other, label: message.label, detail: message.detail)
    }
}

extension FailureDetails {
    /// As it is printed below the step.
    var report: String {
        var lines = ["awaited: \(awaited)", "came instead:"]
        lines += cameInstead.map { "  \($0)" }
        lines += nearest?.lines ?? []
        if !arrows.isEmpty { lines += ["", Ladder.text(arrows, nodes: columns)] }
        return lines.flatMap { $0.split(separator: "\n", omittingEmptySubsequences: false) }.map { "          \($0)" }.joined(
            separator: "\n")
    }
}

extension RecordedMessage {
    /// What stands on the arrow.
    var label: String {
        guard let status else { return method }
        let reason = startLine.split(separator: " ", maxSplits: 2).dropFirst(2).first.map { " \($0)" } ?? ""
        return "\(status)\(reason)"
    }

    /// What stands beside the ladder: who it is about, and what a person wrote.
    var detail: String {
        guard status == nil else { return "to \(method)" }
        let about = identity(in: "To") ?? ""
        let expires = method == "REGISTER" ? values(of: "Expires").first.map { " expires \($0)" } ?? "" : ""
        let isText = values(of: "Content-Type").contains { $0.lowercased().hasPrefix("text/plain") }
        return about + expires + (isText ? " \"\(body.prefix(60))\"" : "")
    }
}
