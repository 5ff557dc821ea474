// `sipcore trace --follow`: each message as it is recorded, until a signal ends it.

import Glibc
import Lab
import SIPLadder
import SIPTrace
import Synchronization

/// Follows a core's trace on standard output.
struct LiveTrace {
    private let view: TraceView
    private let filter: TraceFilter
    private let format: TraceFormat
    private let showsDifferences: Bool
    private let style: LadderStyle

    init(_ view: TraceView, _ filter: TraceFilter, _ format: TraceFormat, diff: Bool, _ style: LadderStyle) {
        self.view = view
        self.filter = filter
        self.format = format
        showsDifferences = diff
        self.style = style
    }

    func run() async throws {
        let stream = view.live(filter)
        let isInterrupted = Atomic(false)
        let end: @Sendable () -> Void = {
            isInterrupted.store(true, ordering: .sequentiallyConsistent)
            stream.end()
        }
        let signals = try TerminationSignals(arrived: end)
        defer { withExtendedLifetime(signals) {} }
        let pen = Mutex(Pen(try await view.lanes(), format, showsDifferences: showsDifferences, style))
        let left = Atomic(filter.limit)
        try await stream.read { event in
            let isRead = pen.withLock { $0.write(event) }
            let isLast = event.name == "message" && left.subtract(1, ordering: .relaxed).newValue == 0
            // Nobody reads on, or all that was wanted is there.
            if !isRead || isLast { end() }
        }
        guard isInterrupted.load(ordering: .sequentiallyConsistent) else {
            throw CommandFailure(status: 1, text: "the core ended the stream; it has ended, or was started anew")
        }
    }
}

/// Writes events of the stream.
private struct Pen {
    private var lanes: LaneNames
    private var reader = LadderReader(memory: 10_000)
    private var feed: LadderFeed
    private let format: TraceFormat
    private let showsDifferences: Bool

    init(_ lanes: LaneNames, _ format: TraceFormat, showsDifferences: Bool, _ style: LadderStyle) {
        self.lanes = lanes
        self.format = format
        self.showsDifferences = showsDifferences
        feed = LadderFeed(style: style)
    }

    /// Whether somebody reads it.
    mutating func write(_ event: EventStream.Event) -> Bool {
        guard let message = TraceView.message(in: event) else {
            switch event.name {
            case "lost": complain("messages were forgotten before they could be read: \(event.data)")
            case "reset": complain("the core was reset; its numbers begin anew")
            default: complain("the core told of what is no message: \(event.name)")
            }
            return true
        }
        if format == .jsonl { return Descriptor.write(event.data + "\n", to: STDOUT_FILENO) }
        lanes.learn(from: message)
        let step = reader.read(message, otherEnd: lanes.name(of: message))
        var text = ""
        for drawn in step.events {
            text += feed.text(drawn, hop: showsDifferences && drawn.sequence == message.sequence ? step.hop : nil)
        }
        return Descriptor.write(text, to: STDOUT_FILENO)
    }
}
