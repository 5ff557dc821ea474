// Options of `sipcore trace`: which messages, and how wide and colourful the screen is.

import ArgumentParser
import Glibc
import SIPLadder
import SIPMessage
import SIPTrace
import SansIO

/// The filters of `GET /api/messages`.
struct TraceFilterOptions: ParsableArguments {
    enum Direction: String, CaseIterable, ExpressibleByArgument { case `in`, out }

    @Option(help: ArgumentHelp("Only this method; of a response the one that it answers.", valueName: "method"))
    var method: String?

    @Option(help: ArgumentHelp("Only responses with this status.", valueName: "code"))
    var status: Int?

    @Option(help: ArgumentHelp("Only messages with this URI in From.", valueName: "uri"))
    var from: String?

    @Option(help: ArgumentHelp("Only messages with this URI in To.", valueName: "uri"))
    var to: String?

    @Option(help: ArgumentHelp("Only this Call-ID.", valueName: "id"))
    var callID: String?

    @Option(help: ArgumentHelp("Only messages from and to this node; HOST:PORT of one without a name.", valueName: "node"))
    var peer: String?

    @Option(help: "Only what came in at the core, or only what went out of it.")
    var direction: Direction?

    @Option(help: ArgumentHelp("Only messages with a number over this one.", valueName: "sequence"))
    var since: UInt64 = 0

    @Option(help: ArgumentHelp("At most so many, the oldest.", valueName: "number"))
    var limit: Int?

    func validate() throws {
        if let method, method != method.uppercased() {
            throw ValidationError("methods are written in capitals; --method \(method.uppercased())")
        }
        if let status, !(100...699).contains(status) { throw ValidationError("\(status) is no status of SIP; write one from 100 to 699") }
        if let limit, limit < 1 { throw ValidationError("--limit \(limit) shows nothing; write 1 or more") }
        for (option, uri) in [("--from", from), ("--to", to)] {
            guard let uri else { continue }
            let octets = Array(uri.utf8)
            if octets.count > MessageLimit.uri || octets.span.bytes.uri(Slice(0, octets.count)) == nil {
                throw ValidationError("\(option) \(uri) is no URI; write one such as sip:alice@home1.test")
            }
        }
    }

    func filter() throws -> TraceFilter {
        var filter = TraceFilter()
        filter.method = method
        filter.status = status
        filter.from = from
        filter.to = to
        filter.callID = callID
        filter.peer = peer
        filter.direction = direction.map { $0 == .in ? .incoming : .outgoing }
        filter.since = since
        filter.limit = limit ?? .max
        return filter
    }
}

/// The screen that a ladder is drawn on.
struct ScreenOptions: ParsableArguments {
    enum Colour: String, CaseIterable, ExpressibleByArgument { case auto, always, never }

    @Option(help: ArgumentHelp("Columns of the ladder; left out: the terminal's, and no limit elsewhere.", valueName: "columns"))
    var width: Int?

    @Option(help: "Colours: auto is on a terminal where NO_COLOR is not set.")
    var color: Colour = .auto

    func validate() throws {
        if let width, width < 20 { throw ValidationError("a ladder of \(width) columns cannot be read; write 20 or more") }
    }

    var style: LadderStyle { LadderStyle(width: width ?? ScreenOptions.terminalWidth, isColoured: isColoured) }

    private static var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

    /// nil: it is no terminal, or one that does not know its width.
    private static var terminalWidth: Int? {
        var size = winsize()
        guard isTerminal, ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col >= 20 else { return nil }
        return Int(size.ws_col)
    }

    private var isColoured: Bool {
        switch color {
        case .always: true
        case .never: false
        case .auto: ScreenOptions.isTerminal && !ScreenOptions.isSet("NO_COLOR") && getenv("TERM").map { String(cString: $0) } != "dumb"
        }
    }

    /// Whether a variable is there and not empty (no-color.org).
    private static func isSet(_ name: String) -> Bool { getenv(name).map { $0.pointee != 0 } ?? false }
}
