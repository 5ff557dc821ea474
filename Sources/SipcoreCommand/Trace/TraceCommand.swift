// `sipcore trace SOURCE`: what a running core has recorded, as a ladder, and why each request went where it went.

import ArgumentParser
import Glibc
import Lab
import Topology

struct TraceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trace",
        abstract: "Show what a running core has recorded as a ladder, or with --why what it decided about each request.",
        discussion: """
            The core has to have an HTTP interface (core.http) and to record messages (core.trace). Exit status: 0 if it \
            answered; 1 if the message asked for has no why; 3 if the core does not answer.
            """)

    @Argument(
        help: ArgumentHelp(
            "The core's HTTP address, http://127.0.0.1:8080, or the topology file that names it.", valueName: "source"),
        completion: .file(extensions: ["yaml", "yml"]))
    var source: String

    @Flag(help: "One line for each request that came in: the whole decision in a sentence.")
    var why = false

    @Option(help: ArgumentHelp("With --why: all there is to say about the message of this number.", valueName: "sequence"))
    var message: Int?

    @Option(help: ArgumentHelp("The bearer token of the interface; left out: the topology's.", valueName: "token"))
    var token: String?

    func validate() throws {
        if message != nil, !why { throw ValidationError("--message is the one to be explained; add --why") }
    }

    func run() async throws {
        let view = try view()
        do throws(HTTPCall.Failure) {
            Descriptor.write(try await text(view), to: STDOUT_FILENO)
        } catch {
            throw CommandFailure(status: error.isRefusal ? 1 : 3, text: error.description)
        }
    }

    private func text(_ view: TraceView) async throws(HTTPCall.Failure) -> String {
        if let message { return try await view.why(message).map { $0 + "\n" }.joined() }
        if why { return try await view.sentences().map { $0 + "\n" }.joined() }
        return try await view.ladder()
    }

    private func view() throws(CommandFailure) -> TraceView {
        if source.hasPrefix("http://") { return TraceView(base: source, token: token) }
        let topology = try TopologyFile.load(source, isLab: true)
        guard let http = topology.core.http, http.port != 0 else {
            throw CommandFailure(
                status: 1, text: "\(source) fixes no core.http; write http://HOST:PORT of the running core's ready line instead of the file"
            )
        }
        let host = http.host.contains(":") ? "[\(http.host)]" : http.host
        return TraceView(base: "http://\(host):\(http.port)", token: token ?? topology.core.httpToken)
    }
}
