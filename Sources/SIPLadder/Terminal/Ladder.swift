// The ladder diagram of a trace as text: a column for each node, time from top to bottom, an arrow for each message.

/// Draws ladders for terminals.
public enum Ladder {
    /// The ladder of these events, in the order given, one line each; times are seconds since the first.
    ///
    /// A label or detail is one line: control characters in it are drawn as `·`, and a label too long for its arrow ends
    /// in `…`.
    /// - Parameters:
    ///   - nodes: the order of the columns; those without an event are left out, those not named come last, in the order of
    ///     their first event.
    ///   - hops: by the number of a message what the node that sent it had done to it; drawn below it.
    /// - Returns: lines that each end in a line feed; empty without events.
    public static func text(
        _ events: [LadderEvent], nodes: [String] = [], hops: [UInt64: HopDifference] = [:], style: LadderStyle = .plain
    ) -> String {
        guard let first = events.first else { return "" }
        let columns = LadderColumns(events, lanes: events.lanes(nodes), style)
        var lines = columns.heading
        for event in events {
            lines.append(columns.line(for: event, time: clock(event.microseconds - first.microseconds)))
            if let hop = event.sequence.flatMap({ hops[$0] }) { lines += Ladder.lines(of: hop, columns) }
        }
        return lines.map { $0 + "\n" }.joined()
    }

    /// What a node changed, below the arrow of what it sent.
    fileprivate static func lines(of hop: HopDifference, _ columns: LadderColumns) -> [String] {
        let changes = hop.difference.changes
        let head = "\(hop.node) received #\(hop.received)" + (changes.isEmpty ? " and sent it on as it was" : " and changed")
        return [columns.below(head, .faint)]
            + changes.map { change in
                let rendition: Rendition = change.sign == "+" ? .green : change.sign == "-" ? .red : .yellow
                return columns.below("  \(change.sign) \(change.text)", rendition)
            }
    }

    static func clock(_ microseconds: Int64) -> String {
        let digits = String(microseconds.magnitude % 1_000_000)
        let sign = microseconds < 0 ? "-" : ""
        return "\(sign)\(microseconds.magnitude / 1_000_000).\(String(repeating: "0", count: 6 - digits.count))\(digits)"
    }
}

/// A ladder that grows: lines are drawn as events come, and the heading anew whenever a node joins.
public struct LadderFeed: Sendable {
    private let style: LadderStyle
    private let nodes: [String]
    private var lanes: [String] = []
    /// The widest events so far, for the room that their labels take.
    private var known: [LadderEvent] = []
    private var columns: LadderColumns?
    private var start: Int64?

    /// Events that are remembered for the room of their labels.
    private static let memory = 64

    /// - Parameter nodes: the order of the columns of those who take part.
    public init(nodes: [String] = [], style: LadderStyle = .plain) {
        self.nodes = nodes
        self.style = style
    }

    /// The lines that an event makes, each with its line feed.
    public mutating func text(_ event: LadderEvent, hop: HopDifference? = nil) -> String {
        let origin = start ?? event.microseconds
        start = origin
        var lines: [String] = []
        let columns = columns(for: event, heading: &lines)
        lines.append(columns.line(for: event, time: Ladder.clock(event.microseconds - origin)))
        if let hop { lines += Ladder.lines(of: hop, columns) }
        return lines.map { $0 + "\n" }.joined()
    }

    private mutating func columns(for event: LadderEvent, heading: inout [String]) -> LadderColumns {
        if let columns, lanes.contains(event.from), lanes.contains(event.to) { return columns }
        known.append(event)
        if known.count > LadderFeed.memory { known.removeFirst() }
        lanes = (lanes.flatMap { [LadderEvent(.note, microseconds: 0, from: $0, to: $0, label: "")] } + [event]).lanes(nodes)
        // Labels to come: there is room for a usual one between neighbours.
        let usual = zip(lanes, lanes.dropFirst()).map { LadderEvent(microseconds: 0, from: $0, to: $1, label: "401 Unauthorized") }
        let columns = LadderColumns(known + usual, lanes: lanes, style)
        self.columns = columns
        heading += columns.heading
        return columns
    }
}
