// The ladder diagram of a trace as text: a column for each node, time from top to bottom, an arrow for each message.
// It knows of no message format; who draws one says what to write on the arrow.

/// One message on its way from a node to another.
public struct LadderEntry: Hashable, Sendable {
    /// When, in microseconds since any moment that is the same for all entries.
    public var microseconds: Int64
    public var from: String
    public var to: String
    /// What stands on the arrow: `REGISTER`, `200 OK`.
    public var label: String
    /// What stands to the right of the ladder; may be empty.
    public var detail: String

    public init(microseconds: Int64, from: String, to: String, label: String, detail: String = "") {
        self.microseconds = microseconds
        self.from = from
        self.to = to
        self.label = label
        self.detail = detail
    }
}

/// Draws ladders.
public enum Ladder {
    /// The ladder of these messages, in the order given, one line each; times are seconds since the first.
    ///
    /// A label or detail is one line: control characters in it are drawn as `·`, and a label too long for its arrow ends
    /// in `…`.
    /// - Parameter nodes: the order of the columns; those without a message are left out, those not named come last, in the
    ///   order of their first message.
    /// - Returns: lines that each end in a line feed; empty without entries.
    public static func text(_ entries: [LadderEntry], nodes: [String] = []) -> String {
        guard let first = entries.first else { return "" }
        let columns = Columns(entries, nodes: nodes)
        var lines = [columns.heading(), columns.line(time: "", drawing: [], detail: "")]
        for entry in entries {
            lines.append(columns.line(for: entry, time: seconds(entry.microseconds - first.microseconds)))
        }
        return lines.map { $0 + "\n" }.joined()
    }

    private static func seconds(_ microseconds: Int64) -> String {
        let digits = String(microseconds.magnitude % 1_000_000)
        let sign = microseconds < 0 ? "-" : ""
        return "\(sign)\(microseconds.magnitude / 1_000_000).\(String(repeating: "0", count: 6 - digits.count))\(digits)"
    }
}

/// Where the lifelines stand.
private struct Columns {
    private let names: [String]
    /// The place of each node's lifeline, counted from 0 in characters.
    private let places: [Int]
    private let width: Int

    private static let timeWidth = 12
    /// Of a label on its arrow: a space on either side, a stroke before and a head after it.
    private static let labelMargin = 6
    private static let longestLabel = 40

    init(_ entries: [LadderEntry], nodes: [String]) {
        let talking = Set(entries.flatMap { [$0.from, $0.to] })
        var names: [String] = []
        for name in nodes + entries.flatMap({ [$0.from, $0.to] }) where talking.contains(name) && !names.contains(name) {
            names.append(name)
        }
        var places = [names.first.map { $0.count / 2 } ?? 0]
        for index in names.indices.dropFirst() {
            let room = max((names[index - 1].count + names[index].count) / 2 + 3, 12)
            // Every arrow that ends here has room for its label; longer arrows start further left.
            let needed = entries.compactMap { entry -> Int? in
                guard let from = names.firstIndex(of: entry.from), let to = names.firstIndex(of: entry.to), max(from, to) == index,
                    from != to
                else { return nil }
                return places[min(from, to)] + min(entry.label.count, Columns.longestLabel) + Columns.labelMargin
            }
            places.append(max(places[index - 1] + room, needed.max() ?? 0))
        }
        self.names = names
        self.places = places
        let loops = entries.filter { $0.from == $0.to && $0.from == names.last }
        let loopRoom = loops.map { min($0.label.count, Columns.longestLabel) + 4 }.max() ?? 0
        width = (places.last ?? 0) + max((names.last?.count ?? 0) / 2 + 1, 1 + loopRoom)
    }

    func heading() -> String {
        var drawing = Array(repeating: Character(" "), count: width + 1)
        for (name, place) in zip(names, places) {
            let start = place - name.count / 2
            drawing.replaceSubrange(start..<(start + name.count), with: name)
        }
        return Columns.joined(time: "", drawing, detail: "")
    }

    func line(for entry: LadderEntry, time: String) -> String {
        guard let from = names.firstIndex(of: entry.from), let to = names.firstIndex(of: entry.to) else { return "" }
        let label = Columns.oneLine(entry.label)
        guard from != to else {
            let start = places[from] + 1
            return line(time: time, drawing: [(start, "⟲ " + Columns.cut(label, to: Columns.longestLabel))], detail: entry.detail)
        }
        let left = min(places[from], places[to])
        let room = abs(places[from] - places[to]) - 1
        return line(time: time, drawing: [(left + 1, Columns.arrow(label, room: room, pointsRight: from < to))], detail: entry.detail)
    }

    /// The lifelines, with these texts over them.
    func line(time: String, drawing texts: [(start: Int, text: String)], detail: String) -> String {
        var drawing = Array(repeating: Character(" "), count: width + 1)
        for place in places { drawing[place] = "│" }
        for (start, text) in texts {
            let end = min(start + text.count, drawing.count)
            drawing.replaceSubrange(start..<end, with: text.prefix(end - start))
        }
        return Columns.joined(time: time, drawing, detail: Columns.oneLine(detail))
    }

    private static func arrow(_ label: String, room: Int, pointsRight: Bool) -> String {
        let text = " \(cut(label, to: max(room - 4, 1))) "
        let strokes = max(room - 1 - text.count, 0)
        let before = String(repeating: "─", count: strokes / 2)
        let after = String(repeating: "─", count: strokes - strokes / 2)
        return pointsRight ? before + text + after + ">" : "<" + after + text + before
    }

    private static func cut(_ text: String, to length: Int) -> String {
        text.count <= length ? text : text.prefix(max(length - 1, 0)) + "…"
    }

    private static func oneLine(_ text: String) -> String {
        String(text.map { $0.isNewline || $0.unicodeScalars.allSatisfy { $0.properties.generalCategory == .control } ? "·" : $0 })
    }

    private static func joined(time: String, _ drawing: [Character], detail: String) -> String {
        let padding = String(repeating: " ", count: max(timeWidth - time.count, 0))
        var line = padding + time + "  " + String(drawing)
        line += detail.isEmpty ? "" : "  " + detail
        while line.last == " " { line.removeLast() }
        return line
    }
}
