// The message that came nearest to an awaited one, and how the two differ.

import Topology

struct NearestMessage: Sendable, Equatable {
    var sequence: Int
    /// `PUBLISH to im`.
    var name: String
    var comparisons: [Comparison]
    /// Why it does not count although all is as awaited.
    var remark: String?

    /// A message that might have been meant.
    struct Candidate {
        var message: RecordedMessage
        /// `PUBLISH to im`.
        var name: String
        var isAtNode: Bool
        /// Why it does not count, whatever it says.
        var remark: String?
    }

    /// The candidate that has most of what is awaited, the latest of several; nil if none has anything of it.
    init?(nearestTo expectation: Expectation, among candidates: [Candidate]) {
        var best: (candidate: Candidate, comparisons: [Comparison], distance: Int)?
        for candidate in candidates {
            let comparisons = expectation.comparisons(with: candidate.message)
            guard comparisons.contains(where: { $0.fault == nil }) || candidate.isAtNode else { continue }
            let distance = NearestMessage.distance(comparisons, candidate)
            if distance <= best?.distance ?? .max { best = (candidate, comparisons, distance) }
        }
        guard let best else { return nil }
        sequence = best.candidate.message.sequence
        name = best.candidate.name
        comparisons = best.comparisons
        remark = best.candidate.remark
    }

    /// Another kind of message weighs more than another value of a header.
    private static func distance(_ comparisons: [Comparison], _ candidate: Candidate) -> Int {
        let differences = comparisons.filter { $0.fault != nil }.map { ["request", "response", "to"].contains($0.subject) ? 4 : 1 }
        return differences.reduce(0, +) + (candidate.isAtNode ? 0 : 3) + (candidate.remark == nil ? 0 : 2)
    }

    /// Line by line: `-` what was awaited, `+` what came, both without a mark where they agree.
    var lines: [String] {
        let width = comparisons.map(\.subject.count).max() ?? 0
        var lines = ["nearest: #\(sequence) \(name)" + (remark.map { " (\($0))" } ?? "")]
        for comparison in comparisons {
            let subject = comparison.subject + String(repeating: " ", count: width - comparison.subject.count)
            guard comparison.fault != nil else {
                lines.append("    \(subject)  \(NearestMessage.oneLine(comparison.awaited))")
                continue
            }
            lines.append("  - \(subject)  \(NearestMessage.oneLine(comparison.awaited))")
            for value in comparison.came.isEmpty ? ["(none)"] : comparison.came {
                lines.append("  + \(subject)  \(NearestMessage.oneLine(value))")
            }
        }
        return lines
    }

    /// A long text is cut: what is wrong with it is seen at its beginning, or in the message itself.
    private static func oneLine(_ text: String) -> String {
        let line = text.map { $0.isNewline ? "⏎" : String($0) }.joined()
        return line.count <= 400 ? line : line.prefix(400) + "…"
    }
}
