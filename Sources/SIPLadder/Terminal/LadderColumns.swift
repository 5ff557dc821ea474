// Where the lifelines of a ladder stand on a terminal, and how a line is drawn over them.

/// The columns of a ladder. On a narrow screen labels are cut first, then the names of the lanes, then the details go; where
/// that is not enough, the lifelines do.
struct LadderColumns {
    /// How much is left of each text.
    private struct Room {
        var label: Int
        var name: Int
        var detail: Int
    }

    private static let rooms = [
        Room(label: 40, name: .max, detail: 60), Room(label: 24, name: .max, detail: 40), Room(label: 16, name: 24, detail: 30),
        Room(label: 12, name: 14, detail: 24), Room(label: 12, name: 12, detail: 0), Room(label: 8, name: 8, detail: 0),
        Room(label: 5, name: 5, detail: 0), Room(label: 3, name: 3, detail: 0),
    ]
    private static let timeWidth = 12
    /// Between the time and the ladder, and between that and the details.
    private static let gap = 2
    /// Of a label on its arrow: a space on either side, a stroke before and a head after it.
    private static let labelMargin = 6
    /// A detail cut shorter than this says nothing.
    private static let leastDetail = 8

    let lanes: [String]
    private let style: LadderStyle
    private var names: [String] = []
    /// The place of each node's lifeline, counted from 0 in columns.
    private var places: [Int] = []
    private var width = 0
    private var labelRoom = 0
    /// Whether the screen has room for lifelines.
    private var hasLifelines = true

    /// - Parameter events: those whose labels are to fit; others may come later.
    init(_ events: [LadderEvent], lanes: [String], _ style: LadderStyle) {
        self.lanes = lanes
        self.style = style
        let longestDetail = events.map { DisplayWidth.of($0.detail) }.max() ?? 0
        let spans = LadderColumns.spans(of: events, lanes)
        for room in LadderColumns.rooms {
            place(spans, room)
            let detail = min(longestDetail, room.detail)
            let needed = LadderColumns.timeWidth + LadderColumns.gap + width + 1 + (detail > 0 ? LadderColumns.gap + detail : 0)
            if needed <= style.width ?? .max { return }
        }
        hasLifelines = false
    }

    /// The longest label between each two lanes, or at one.
    private struct Span: Hashable {
        var low: Int
        var high: Int
    }

    private static func spans(of events: [LadderEvent], _ lanes: [String]) -> [Span: Int] {
        let numbers = Dictionary(lanes.enumerated().map { ($1, $0) }) { first, _ in first }
        var spans: [Span: Int] = [:]
        for event in events {
            guard let from = numbers[event.from], let to = numbers[event.to] else { continue }
            let span = Span(low: min(from, to), high: max(from, to))
            spans[span] = max(spans[span] ?? 0, DisplayWidth.of(event.markedLabel))
        }
        return spans
    }

    private mutating func place(_ spans: [Span: Int], _ room: Room) {
        names = lanes.map { DisplayWidth.cut(DisplayWidth.oneLine($0), to: room.name) }
        labelRoom = room.label
        let widths = names.map { DisplayWidth.of($0) }
        places = [(widths.first ?? 0) / 2]
        for index in names.indices.dropFirst() {
            let between = max((widths[index - 1] + widths[index]) / 2 + 3, min(12, room.label + 4))
            // Every arrow that ends here has room for its label; longer arrows start further left.
            let needed = spans.filter { $0.key.high == index && $0.key.low < index }.map { span, label in
                places[span.low] + min(label, room.label) + LadderColumns.labelMargin
            }
            places.append(max(places[index - 1] + between, needed.max() ?? 0))
        }
        let loops = spans.filter { $0.key.low == names.count - 1 }.map { min($0.value, room.label) + 4 }
        width = (places.last ?? 0) + max((widths.last ?? 0) / 2 + 1, 1 + (loops.max() ?? 0))
    }

    // MARK: Lines

    /// The names, and the lifelines below them; empty where there are none.
    var heading: [String] {
        guard hasLifelines else { return [] }
        var cells = Cells(count: width + 1)
        for (name, place) in zip(names, places) { cells.put(name, at: place - DisplayWidth.of(name) / 2) }
        return [line(time: "", cells, detail: ""), line(time: "", lifelines, detail: "")]
    }

    func line(for event: LadderEvent, time: String) -> String {
        let label = DisplayWidth.oneLine(event.markedLabel)
        guard hasLifelines else { return listed(event, time: time, label: label) }
        guard let from = lanes.firstIndex(of: event.from), let to = lanes.firstIndex(of: event.to) else { return "" }
        var cells = lifelines
        let rendition = style.isColoured ? Rendition(event) : nil
        if from == to {
            let sign = event.kind == .timer ? "◷" : event.kind == .note ? "·" : "⟲"
            cells.put("\(sign) \(DisplayWidth.cut(label, to: labelRoom))", at: places[from] + 1, rendition)
        } else {
            let arrow = LadderColumns.arrow(event, label, room: abs(places[from] - places[to]) - 1, pointsRight: from < to)
            cells.put(arrow, at: min(places[from], places[to]) + 1, rendition)
        }
        return line(time: time, cells, detail: DisplayWidth.oneLine(event.detail))
    }

    /// A line without lifelines that belongs to the event above it.
    func below(_ text: String, _ rendition: Rendition?) -> String {
        let indent = String(repeating: " ", count: min(LadderColumns.timeWidth + LadderColumns.gap, (style.width ?? .max) / 4))
        let cut = DisplayWidth.cut(DisplayWidth.oneLine(text), to: (style.width ?? .max) - indent.count)
        guard let rendition, style.isColoured else { return indent + cut }
        return indent + rendition.begin + cut + Rendition.end
    }

    private func listed(_ event: LadderEvent, time: String, label: String) -> String {
        let way = event.from == event.to ? event.from : "\(event.from)>\(event.to)"
        let text = DisplayWidth.cut("\(time) \(label) \(DisplayWidth.oneLine(way))", to: style.width ?? .max)
        return style.isColoured ? Rendition(event).begin + text + Rendition.end : text
    }

    private var lifelines: Cells {
        var cells = Cells(count: width + 1)
        for place in places { cells.put("│", at: place) }
        return cells
    }

    /// A retransmission is dashed; what went no further ends in a cross.
    private static func arrow(_ event: LadderEvent, _ label: String, room: Int, pointsRight: Bool) -> String {
        let text = " \(DisplayWidth.cut(label, to: max(room - 4, 1))) "
        let strokes = max(room - 1 - DisplayWidth.of(text), 0)
        let stroke = event.kind == .retransmission ? "╌" : "─"
        let before = String(repeating: stroke, count: strokes / 2)
        let after = String(repeating: stroke, count: strokes - strokes / 2)
        let head = event.isLost ? "╳" : pointsRight ? ">" : "<"
        return pointsRight ? before + text + after + head : head + after + text + before
    }

    /// The detail has what is left of the screen.
    private func line(time: String, _ cells: Cells, detail: String) -> String {
        // After a day the last digits give way.
        let time = time.prefix(LadderColumns.timeWidth)
        let padding = String(repeating: " ", count: max(LadderColumns.timeWidth - time.count, 0))
        var line = padding + time + String(repeating: " ", count: LadderColumns.gap) + cells.text
        let left = (style.width ?? .max) - LadderColumns.timeWidth - 2 * LadderColumns.gap - cells.count
        if !detail.isEmpty, left >= min(DisplayWidth.of(detail), LadderColumns.leastDetail) {
            line += "  " + DisplayWidth.cut(detail, to: left)
        }
        while line.last == " " { line.removeLast() }
        return line
    }
}

/// The columns of a line: a wide character has two of them, the second of which is empty.
private struct Cells {
    private var cells: [String]

    init(count: Int) { cells = Array(repeating: " ", count: count) }

    var count: Int { cells.count }
    var text: String { cells.joined() }

    /// Writes a text over what is there; what does not fit any more is left out.
    mutating func put(_ text: String, at start: Int, _ rendition: Rendition? = nil) {
        var place = max(start, 0)
        let first = place
        for character in text {
            let width = DisplayWidth.of(character)
            guard place + width <= cells.count else { break }
            if width == 0 {
                if place > first { cells[place - 1] += String(character) }
                continue
            }
            cells[place] = String(character)
            for behind in 1..<max(width, 1) { cells[place + behind] = "" }
            place += width
        }
        guard let rendition, place > first else { return }
        cells[first] = rendition.begin + cells[first]
        cells[place - 1] += Rendition.end
    }
}
