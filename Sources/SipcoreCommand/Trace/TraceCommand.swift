// `sipcore trace SOURCE`: what a core recorded, from the running core or from a file, as a ladder or as a file for others; and
// why each request went where it went.

import ArgumentParser
import Glibc
import Lab
import SIPLadder
import SIPTrace
import Topology

struct TraceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trace",
        abstract: "Show a recorded or live trace as a ladder, or write it as pcapng, JSON Lines, SVG or HTML.",
        discussion: """
            A running core has to have an HTTP interface (core.http) and to record messages (core.trace). Exit status: 0 all \
            well; 1 if the core refused what was asked, or ended while it was followed; 2 wrong usage; 3 if the core does not \
            answer or the file cannot be read.
            """)

    @Argument(
        help: ArgumentHelp(
            "The core's HTTP address, http://127.0.0.1:8080; the topology file that names it; or a trace: JSON Lines or pcapng.",
            valueName: "source"),
        completion: .file(extensions: ["yaml", "yml", "jsonl", "pcapng"]))
    var source: String

    @Flag(name: .shortAndLong, help: "Goes on with what is recorded from now on, or from --since on, until it is interrupted.")
    var follow = false

    @OptionGroup(title: "Which messages") var filter: TraceFilterOptions

    @Flag(help: "Below each message what the hop that sent it changed in what it had received.")
    var diff = false

    @Option(help: "How it is shown: ladder, jsonl, pcapng, svg or html. Left out: as the output file's name ends, else ladder.")
    var format: TraceFormat?

    @Option(
        name: .shortAndLong, help: ArgumentHelp("Writes to a file in place of standard output.", valueName: "file"), completion: .file())
    var output: String?

    @Option(
        help: ArgumentHelp("The same; the name's end says how: .pcapng, .jsonl, .svg or .html.", valueName: "file"), completion: .file())
    var export: String?

    @OptionGroup(title: "The ladder") var screen: ScreenOptions

    @Flag(help: "One line for each request that came in: the whole decision in a sentence.")
    var why = false

    @Option(help: ArgumentHelp("With --why: all there is to say about the message of this number.", valueName: "sequence"))
    var message: Int?

    @Option(help: ArgumentHelp("The bearer token of the interface; left out: the topology's.", valueName: "token"))
    var token: String?

    func validate() throws {
        if message != nil, !why { throw ValidationError("--message is the one to be explained; add --why") }
        if export != nil, output != nil || format != nil {
            throw ValidationError("--export says file and format at once; leave out --output and --format, or write those alone")
        }
        if let export, TraceFormat(ending: export) == nil {
            throw ValidationError("\(export) has no ending that says how to write it; end it in .pcapng, .jsonl, .svg or .html")
        }
        if why, follow || diff || shown != .ladder || target != nil { throw ValidationError("--why goes with filters alone") }
        if follow, target != nil || (shown != .ladder && shown != .jsonl) {
            throw ValidationError("--follow shows a ladder or JSON Lines on standard output; leave out the rest")
        }
        if diff, shown != .ladder { throw ValidationError("--diff is for the ladder; svg and html show the differences by themselves") }
        if shown == .pcapng, target == nil, isatty(STDOUT_FILENO) == 1 {
            throw ValidationError("pcapng is nothing for a terminal; write --output FILE")
        }
    }

    private var target: String? { export ?? output }
    private var shown: TraceFormat { format ?? target.flatMap { TraceFormat(ending: $0) } ?? .ladder }

    func run() async throws {
        let filter = try filter.filter()
        let source = try TraceSource(source, token: token)
        do {
            if why { return try await explain(source.running(), filter) }
            if follow { return try await LiveTrace(source.running(), filter, shown, diff: diff, screen.style).run() }
            let (messages, lanes) = try await source.recorded(filter)
            try write(rendered(LadderModel(messages, lanes: lanes)))
        } catch let error as HTTPCall.Failure {
            throw CommandFailure(status: error.isRefusal ? 1 : 3, text: error.description)
        }
    }

    private func explain(_ view: TraceView, _ filter: TraceFilter) async throws(HTTPCall.Failure) {
        let lines = if let message { try await view.why(message) } else { try await view.sentences(filter) }
        Descriptor.write(lines.map { $0 + "\n" }.joined(), to: STDOUT_FILENO)
    }

    private func rendered(_ model: LadderModel) -> [UInt8] {
        let title = "Trace of \(source)"
        switch shown {
        case .ladder:
            let style = target == nil ? screen.style : LadderStyle(width: screen.width)
            return Array(Ladder.text(model.events, nodes: model.nodes, hops: diff ? model.hops : [:], style: style).utf8)
        case .jsonl: return Array(model.messages.map { $0.jsonLine + "\n" }.joined().utf8)
        case .pcapng:
            var file = PcapngWriter()
            for message in model.messages { file.append(message) }
            return file.take()
        case .svg: return Array(LadderPicture(model.events, nodes: model.nodes, title: title).svg.utf8)
        case .html: return Array(LadderPage(title: title, model).html.utf8)
        }
    }

    private func write(_ octets: [UInt8]) throws(CommandFailure) {
        guard let target else {
            Descriptor.write(octets, to: STDOUT_FILENO)
            return
        }
        do throws(FileFailure) { try Descriptor.replace(target, with: octets) } catch {
            throw CommandFailure(status: 3, text: "\(target) cannot be written: \(error.reason)")
        }
    }
}

/// How a trace is shown or written.
enum TraceFormat: String, CaseIterable, ExpressibleByArgument {
    case ladder, jsonl, pcapng, svg, html

    /// As a file's name ends.
    init?(ending path: String) {
        let name = path.split(separator: "/").last ?? ""
        guard let dot = name.lastIndex(of: ".") else { return nil }
        switch name[name.index(after: dot)...].lowercased() {
        case "pcapng": self = .pcapng
        case "jsonl", "ndjson": self = .jsonl
        case "svg": self = .svg
        case "html", "htm": self = .html
        default: return nil
        }
    }
}
