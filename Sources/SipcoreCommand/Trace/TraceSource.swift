// Where a trace comes from: a running core, or a file.

import Lab
import SIPLadder
import SIPTrace
import Topology

/// What stands on the command line, looked at.
enum TraceSource {
    case core(TraceView)
    case file(String, [TracedMessage])

    /// - Parameters:
    ///   - text: the URL of a core, a topology file that names it, or a trace.
    ///   - token: that of the interface; nil: the topology's, if it is one.
    init(_ text: String, token: String?) throws(CommandFailure) {
        if text.hasPrefix("http://") || [".yaml", ".yml"].contains(where: { text.lowercased().hasSuffix($0) }) {
            let address = try ControlAddress(text, token: token)
            self = .core(TraceView(base: address.base, token: address.token))
        } else {
            self = .file(text, try TraceSource.messages(text))
        }
    }

    private static func messages(_ path: String) throws(CommandFailure) -> [TracedMessage] {
        let contents: [UInt8]
        do throws(FileFailure) { contents = try Descriptor.contents(of: path) } catch {
            throw CommandFailure(status: 3, text: "\(path) cannot be read: \(error.reason)")
        }
        do throws(TraceFileFailure) { return try TraceFile.messages(in: contents) } catch {
            throw CommandFailure(status: 3, text: "\(path) is no trace: \(error)")
        }
    }

    /// The core; a file cannot be asked.
    func running() throws(CommandFailure) -> TraceView {
        switch self {
        case .core(let view): return view
        case .file(let path, _):
            throw CommandFailure(status: 2, text: "\(path) is a file; --follow and --why need a running core, http://HOST:PORT")
        }
    }

    /// What is recorded and matches, and who is where.
    func recorded(_ filter: TraceFilter) async throws(HTTPCall.Failure) -> (messages: [TracedMessage], lanes: LaneNames) {
        switch self {
        case .core(let view): return (try await view.messages(filter), try await view.lanes())
        case .file(_, let messages):
            // Those that are left out tell too who is where.
            var lanes = LaneNames()
            for message in messages { lanes.learn(from: message) }
            return (filter.filtered(messages), lanes)
        }
    }
}
