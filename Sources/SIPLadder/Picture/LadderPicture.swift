// The ladder diagram of a trace as a picture (SVG 1.1), in the colours of the reader's system.

/// Draws ladders as pictures.
public struct LadderPicture: Sendable {
    private let events: [LadderEvent]
    private let lanes: [String]
    private let title: String
    /// What a number in the trace is linked to, `#m12`; nil: nothing.
    private let link: (@Sendable (UInt64) -> String)?
    private let places: [Int]
    private let width: Int
    /// Where the details begin.
    private let edge: Int

    // All in pixels; the letters are of one width.
    private static let letter = 7.25
    private static let timeWidth = 90
    private static let headHeight = 44
    private static let rowHeight = 24
    private static let longestLabel = 48
    private static let longestDetail = 90

    /// - Parameters:
    ///   - nodes: the order of the lanes; those without an event are left out, those not named come last.
    ///   - title: what it is of; shown to those who listen to it, and above it by some viewers.
    public init(_ events: [LadderEvent], nodes: [String] = [], title: String) {
        self.init(events, nodes: nodes, title: title, link: nil)
    }

    init(_ events: [LadderEvent], nodes: [String], title: String, link: (@Sendable (UInt64) -> String)?) {
        self.events = events
        self.title = title
        self.link = link
        let lanes = events.lanes(nodes)
        self.lanes = lanes
        places = LadderPicture.places(of: lanes, events)
        let loops = events.filter { $0.from == $0.to && $0.from == lanes.last }.map { LadderPicture.length($0.markedLabel) + 30 }
        let details = events.map { LadderPicture.length(DisplayWidth.cut($0.detail, to: LadderPicture.longestDetail)) }
        let right = max(lanes.last.map { LadderPicture.length($0) / 2 } ?? 0, loops.max() ?? 0) + 24
        edge = (places.last ?? 0) + right
        width = edge + (details.max() ?? 0) + 16
    }

    private static func length(_ text: String) -> Int { Int(Double(DisplayWidth.of(text)) * letter) + 1 }

    private static func places(of lanes: [String], _ events: [LadderEvent]) -> [Int] {
        let numbers = Dictionary(lanes.enumerated().map { ($1, $0) }) { first, _ in first }
        var needed: [Int: [Int: Int]] = [:]
        for event in events {
            guard let from = numbers[event.from], let to = numbers[event.to], from != to else { continue }
            let room = length(DisplayWidth.cut(event.markedLabel, to: longestLabel)) + 40
            needed[max(from, to), default: [:]][min(from, to), default: 0] = max(room, needed[max(from, to)]?[min(from, to)] ?? 0)
        }
        var places: [Int] = []
        for (number, name) in lanes.enumerated() {
            guard let last = places.last else {
                places.append(timeWidth + length(name) / 2 + 10)
                continue
            }
            let beside = last + (length(lanes[number - 1]) + length(name)) / 2 + 24
            let arrows = (needed[number] ?? [:]).map { places[$0.key] + $0.value }
            places.append(max(beside, arrows.max() ?? 0, last + 120))
        }
        return places
    }

    // MARK: The picture

    /// The picture as a file of its own.
    public var svg: String { "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + element(style: LadderPicture.style + LadderPicture.page) }

    /// The picture within a page, which has the style.
    var inlined: String { element(style: nil) }

    private var height: Int { LadderPicture.headHeight + LadderPicture.rowHeight * events.count + 20 }

    private func element(style: String?) -> String {
        var parts = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"ladder\" width=\"\(width)\" height=\"\(height)\" "
                + "viewBox=\"0 0 \(width) \(height)\" role=\"\(link == nil ? "img" : "group")\" aria-label=\"\(title.escapedForMarkup)\">",
            "<title>\(title.escapedForMarkup)</title>",
        ]
        if let style { parts.append("<style>\(style)</style>") }
        for (name, place) in zip(lanes, places) {
            let text = DisplayWidth.oneLine(name).escapedForMarkup
            parts.append("<line class=\"lane\" x1=\"\(place)\" y1=\"32\" x2=\"\(place)\" y2=\"\(height - 8)\"/>")
            parts.append("<text class=\"node\" x=\"\(place)\" y=\"22\" text-anchor=\"middle\">\(text)</text>")
        }
        let start = events.first?.microseconds ?? 0
        for (number, event) in events.enumerated() { parts.append(drawn(event, number, since: start)) }
        return (parts + ["</svg>"]).joined(separator: "\n") + "\n"
    }

    private func drawn(_ event: LadderEvent, _ number: Int, since start: Int64) -> String {
        guard let from = lanes.firstIndex(of: event.from), let to = lanes.firstIndex(of: event.to) else { return "" }
        let y = LadderPicture.headHeight + LadderPicture.rowHeight * (number + 1) - 6
        var parts = ["<title>\(summary(event).escapedForMarkup)</title>"]
        parts.append("<rect class=\"row\" x=\"0\" y=\"\(y - 17)\" width=\"\(width)\" height=\"\(LadderPicture.rowHeight)\"/>")
        parts.append("<text class=\"time\" x=\"8\" y=\"\(y)\">\(Ladder.clock(event.microseconds - start))</text>")
        parts.append(from == to ? point(event, x: places[from], y) : arrow(event, from: places[from], to: places[to], y))
        let detail = DisplayWidth.oneLine(DisplayWidth.cut(event.detail, to: LadderPicture.longestDetail)).escapedForMarkup
        if !detail.isEmpty { parts.append("<text class=\"detail\" x=\"\(edge)\" y=\"\(y)\">\(detail)</text>") }
        let drawing = "<g class=\"\(LadderPicture.classes(of: event))\">" + parts.joined() + "</g>"
        guard let link, let sequence = event.sequence else { return drawing }
        return "<a class=\"event\" href=\"\(link(sequence).escapedForMarkup)\">\(drawing)</a>"
    }

    private func summary(_ event: LadderEvent) -> String {
        let number = event.sequence.map { "#\($0) " } ?? ""
        let way = event.from == event.to ? "at \(event.from)" : "from \(event.from) to \(event.to)"
        let kind = event.kind == .retransmission ? ", retransmission" : ""
        return "\(number)\(event.markedLabel) \(way)\(kind)"
    }

    private func point(_ event: LadderEvent, x: Int, _ y: Int) -> String {
        let label = DisplayWidth.oneLine(event.markedLabel).escapedForMarkup
        return
            "<circle class=\"sign\" cx=\"\(x)\" cy=\"\(y - 4)\" r=\"4\"/><text class=\"label\" x=\"\(x + 10)\" y=\"\(y)\">\(label)</text>"
    }

    /// A stroke with its head, and the label over its middle. What went no further ends in a cross.
    private func arrow(_ event: LadderEvent, from: Int, to: Int, _ y: Int) -> String {
        let right = to > from
        let end = right ? to - 2 : to + 2
        let back = right ? -7 : 7
        let tip = y - 3
        let head =
            event.isLost
            ? "<path class=\"head\" d=\"M\(end + back) \(tip - 5)l10 10m0 -10l-10 10\"/>"
            : "<path class=\"head\" d=\"M\(end + back) \(tip - 4)L\(end) \(tip)L\(end + back) \(tip + 4)\"/>"
        let label = DisplayWidth.oneLine(DisplayWidth.cut(event.markedLabel, to: LadderPicture.longestLabel)).escapedForMarkup
        return "<line class=\"stroke\" x1=\"\(from)\" y1=\"\(tip)\" x2=\"\(end)\" y2=\"\(tip)\"/>\(head)"
            + "<text class=\"label\" x=\"\((from + to) / 2)\" y=\"\(y - 8)\" text-anchor=\"middle\">\(label)</text>"
    }

    private static func classes(of event: LadderEvent) -> String {
        let kind =
            switch event.kind {
            case .message: "message"
            case .retransmission: "retransmission"
            case .fault: "fault"
            case .timer: "timer"
            case .note: "note"
            }
        let answer =
            switch event.status ?? 0 {
            case 100..<200: " provisional"
            case 200..<300: " success"
            case 300..<400: " redirection"
            case 400...: " failure"
            default: ""
            }
        return kind + answer
    }

    // MARK: Style

    /// The colours, light and dark; the page's own elements use them too.
    static let style = """
        :root{--ink:#1c2733;--paper:#fff;--faint:#64748b;--rule:#cbd5e1;--row:#eef2f7;--request:#0b62b8;--success:#14753a;\
        --failure:#b42318;--other:#8a5a00;--fault:#9c1fa8;color-scheme:light dark}
        @media (prefers-color-scheme:dark){:root{--ink:#e5eaf0;--paper:#11161c;--faint:#93a1b3;--rule:#3a4653;--row:#1d2630;\
        --request:#6cb4ff;--success:#5fd08a;--failure:#ff8a80;--other:#f0bd58;--fault:#ea8bf5}}
        .ladder{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;background:var(--paper)}
        .ladder text{fill:var(--ink)}.ladder .node{font-weight:bold}.ladder .time,.ladder .detail{fill:var(--faint)}
        .ladder .lane{stroke:var(--rule)}.ladder .row{fill:transparent}
        .ladder g{--tone:var(--request)}.ladder .provisional{--tone:var(--faint)}.ladder .success{--tone:var(--success)}
        .ladder .redirection{--tone:var(--other)}.ladder .failure{--tone:var(--failure)}.ladder .timer{--tone:var(--other)}
        .ladder .note{--tone:var(--faint)}.ladder .fault{--tone:var(--fault)}
        .ladder .stroke,.ladder .head{stroke:var(--tone);stroke-width:1.5;fill:none}.ladder .sign{fill:var(--tone)}
        .ladder g .label{fill:var(--tone)}
        .ladder .retransmission .stroke{stroke-dasharray:4 3}.ladder .retransmission .label{opacity:.75}
        .ladder .fault .stroke{stroke-dasharray:8 3 2 3}

        """

    /// Of a picture that is a file of its own.
    private static let page = "svg{background:var(--paper)}"
}
