// The ladder of a trace as one HTML file that needs nothing beside it: neither a server nor the net. An arrow is a link to its
// message, so it works with the keyboard and without scripts; the script only lets the arrow keys walk along the ladder.

public import SIPTrace
import SansIO

/// A page with a ladder, the messages behind its arrows, and whatever else belongs to it.
public struct LadderPage: Sendable {
    /// A text under a heading: a log, a list of steps.
    public struct Section: Hashable, Sendable {
        public var heading: String
        /// Shown as it is, line by line.
        public var text: String
        /// Whether it is open from the start.
        public var isOpen: Bool

        public init(heading: String, text: String, isOpen: Bool = false) {
            self.heading = heading
            self.text = text
            self.isOpen = isOpen
        }
    }

    public var title: String
    public var events: [LadderEvent]
    /// Those that arrows lead to, found by their numbers.
    public var messages: [TracedMessage]
    /// By the number of a message what the node that sent it had done to it.
    public var hops: [UInt64: HopDifference]
    /// The order of the lanes.
    public var nodes: [String]
    /// Above the ladder if they are open from the start, else below it.
    public var sections: [Section]

    public init(
        title: String, events: [LadderEvent], messages: [TracedMessage], hops: [UInt64: HopDifference] = [:], nodes: [String] = [],
        sections: [Section] = []
    ) {
        self.title = title
        self.events = events
        self.messages = messages
        self.hops = hops
        self.nodes = nodes
        self.sections = sections
    }

    /// - Parameter nodes: the order of the lanes; nil: the model's.
    public init(title: String, _ model: LadderModel, nodes: [String]? = nil, sections: [Section] = []) {
        self.init(
            title: title, events: model.events, messages: model.messages, hops: model.hops, nodes: nodes ?? model.nodes, sections: sections)
    }

    /// The whole file.
    public var html: String {
        let title = self.title.escapedForMarkup
        let picture = LadderPicture(events, nodes: nodes, title: self.title) { "#m\($0)" }
        let drawn = Set(events.compactMap(\.sequence))
        var places: [UInt64: LadderEvent] = [:]
        for event in events { if let sequence = event.sequence { places[sequence] = event } }
        let articles = messages.filter { drawn.contains($0.sequence) }.map { article($0, places[$0.sequence]) }
        return """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
            <title>\(title)</title>
            <style>
            \(LadderPicture.style)\(LadderPage.style)</style>
            </head>
            <body>
            <main>
            <h1>\(title)</h1>
            \(sections.filter(\.isOpen).map(LadderPage.section).joined())\(events.isEmpty ? "<p>No message was recorded.</p>\n" : picture.inlined)\
            \(sections.filter { !$0.isOpen }.map(LadderPage.section).joined())</main>
            <aside aria-label="Message">
            <p class="hint">Choose an arrow to see its message and what the hop before changed. The arrow keys go along the ladder.</p>
            \(articles.joined())</aside>
            <script>
            \(LadderPage.script)
            </script>
            </body>
            </html>

            """
    }

    private static func section(_ section: Section) -> String {
        "<details\(section.isOpen ? " open" : "")><summary>\(section.heading.escapedForMarkup)</summary>"
            + "<pre>\(section.text.escapedForMarkup)</pre></details>\n"
    }

    private func article(_ message: TracedMessage, _ event: LadderEvent?) -> String {
        let parts = MessageParts(message.octets)
        let from = event?.from ?? message.source.text
        let to = event?.to ?? message.destination.text
        let fault = message.mark.word.map { "<dt>fault</dt><dd class=\"fault\">\($0)</dd>" } ?? ""
        return """
            <article id="m\(message.sequence)" tabindex="-1">
            <h2>#\(message.sequence) \(parts.label.escapedForMarkup)</h2>
            <dl><dt>way</dt><dd>\(from.escapedForMarkup) → \(to.escapedForMarkup)</dd>\
            <dt>by</dt><dd>\(message.transport.name) \(message.source.text) → \(message.destination.text)</dd>\
            <dt>at</dt><dd>\(rfc3339(message.time))</dd>\(fault)</dl>
            \(hops[message.sequence].map(LadderPage.hop) ?? "")<pre class="raw">\(MessageText.of(message.octets, body: parts.body).escapedForMarkup)</pre>
            </article>

            """
    }

    private static func hop(_ hop: HopDifference) -> String {
        let link = "<a href=\"#m\(hop.received)\">#\(hop.received)</a>"
        let node = hop.node.escapedForMarkup
        guard !hop.difference.changes.isEmpty else { return "<p>\(node) sent it on as it had received it (\(link)).</p>\n" }
        let lines = hop.difference.changes.map { change in
            let kind = change.sign == "+" ? "added" : change.sign == "-" ? "removed" : "changed"
            let value =
                switch change {
                case .added(_, let value): "<ins>\(value.escapedForMarkup)</ins>"
                case .removed(_, let value): "<del>\(value.escapedForMarkup)</del>"
                case .changed(_, let before, let after):
                    "<del>\(before.escapedForMarkup)</del> <ins>\(after.escapedForMarkup)</ins>"
                }
            return
                "<tr class=\"\(kind)\"><td>\(change.sign)</td><th scope=\"row\">\(change.name.escapedForMarkup)</th><td>\(value)</td></tr>"
        }
        return "<p>\(node) received \(link) and changed:</p>\n<table class=\"changes\">\(lines.joined(separator: "\n"))</table>\n"
    }

    // MARK: Style and script

    private static let style = """
        *{box-sizing:border-box}html,body{height:100%}
        body{margin:0;display:grid;grid-template-columns:minmax(0,3fr) minmax(20rem,2fr);background:var(--paper);color:var(--ink);\
        font:14px/1.45 system-ui,sans-serif}
        main,aside{overflow:auto;padding:1rem;height:100vh}aside{border-left:1px solid var(--rule)}
        h1{font-size:1.2rem;margin:0 0 .75rem}h2{font-size:1rem;margin:0 0 .5rem}
        pre{font:12px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;overflow:auto;background:var(--row);\
        padding:.75rem;border-radius:4px}pre.raw{white-space:pre-wrap;overflow-wrap:anywhere}
        details{margin:.75rem 0}summary{cursor:pointer;font-weight:600}.hint,dt,.time{color:var(--faint)}
        dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem .75rem;margin:0 0 .75rem}dd{margin:0}dd.fault{color:var(--fault)}
        article{display:none}article:target{display:block;outline:none}aside:has(article:target) .hint{display:none}
        .changes{border-collapse:collapse;margin:0 0 .75rem;font-size:13px}.changes th,.changes td{text-align:left;vertical-align:top;\
        padding:.1rem .5rem .1rem 0;overflow-wrap:anywhere}.changes th{font-weight:600;white-space:nowrap}
        ins{color:var(--success);text-decoration:none}del{color:var(--failure)}a{color:var(--request)}
        a.event:hover .row,a.event:focus .row,a.event.chosen .row{fill:var(--row)}a.event:focus-visible{outline:2px solid var(--request)}
        @media (max-width:60rem){body{grid-template-columns:1fr;grid-template-rows:60vh 40vh}main,aside{height:auto}\
        aside{border-left:0;border-top:1px solid var(--rule)}}

        """

    private static let script = """
        const arrows = [...document.querySelectorAll("a.event")];
        const choose = () => {
          for (const arrow of arrows) arrow.classList.toggle("chosen", arrow.getAttribute("href") === location.hash);
        };
        addEventListener("hashchange", choose);
        choose();
        addEventListener("keydown", (key) => {
          if (key.altKey || key.ctrlKey || key.metaKey) return;
          const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[key.key];
          if (key.key === "Escape") location.hash = "";
          if (!step || !arrows.length) return;
          key.preventDefault();
          const here = arrows.findIndex((arrow) => arrow.getAttribute("href") === location.hash);
          const next = arrows[here < 0 ? (step > 0 ? 0 : arrows.length - 1) : Math.min(Math.max(here + step, 0), arrows.length - 1)];
          location.hash = next.getAttribute("href");
          next.focus();
        });
        """
}
