// The command `sipcore`: which role this process has, and the exit status with which it ends.

public import ArgumentParser
import Glibc
import Lab
import Topology

/// The command and its subcommands.
public struct Sipcore: AsyncParsableCommand {
    static let version = "0.1.0"

    public init() {}

    public static let configuration = CommandConfiguration(
        commandName: "sipcore",
        abstract: "A SIP/IP core in one program: a serving CSCF, an IM Server and IM Clients from one topology file.",
        discussion: """
            Exit status: 0 all well; 1 what was asked did not hold (a scenario failed, a topology is invalid); \
            2 wrong usage; 3 could not start.
            """,
        version: version,
        subcommands: [
            LabCommand.self, CoreCommand.self, IMServerCommand.self, IMClientCommand.self, LoadCommand.self, CheckCommand.self,
            SendCommand.self, TraceCommand.self, LintCommand.self, SimulateCommand.self, SchemaCommand.self,
        ])

    /// Runs the command that the process's arguments name, and ends the process with its status.
    public static func run() async {
        // Whoever closes the other end of a pipe or socket is seen where it is written to.
        signal(SIGPIPE, SIG_IGN)
        let arguments = Array(CommandLine.arguments.dropFirst())
        // Not a command of the user's, and nothing of the parser's is needed.
        if arguments.first == LabGuard.subcommand { Glibc.exit(LabGuard.run()) }
        Glibc.exit(await status(of: arguments))
    }

    /// Runs the command that the arguments name.
    /// - Returns: the exit status.
    private static func status(of arguments: [String]) async -> Int32 {
        do {
            try checkSubcommand(arguments.first)
            var command = try await asyncParseAsRoot(arguments)
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
            return 0
        } catch let failure as CommandFailure {
            if let text = failure.text { complain(text) }
            return failure.status
        } catch {
            return status(of: error, arguments)
        }
    }

    /// The parser takes a wrong subcommand for a superfluous argument.
    private static func checkSubcommand(_ word: String?) throws(CommandFailure) {
        guard let word else {
            Descriptor.write(helpMessage() + "\n", to: STDERR_FILENO)
            throw CommandFailure(status: 2, text: nil)
        }
        let known = configuration.subcommands.compactMap { $0.configuration.commandName } + ["help"]
        guard !word.hasPrefix("-"), !known.contains(word) else { return }
        let advice =
            Suggestion.nearest(to: word, among: known).map { "did you mean '\($0)'?" } ?? "there are \(known.joined(separator: ", "))"
        throw CommandFailure(status: 2, text: "there is no command '\(word)'; \(advice)")
    }

    /// Says what the parser has to say: help and the like, which were asked for, or what is wrong with the arguments.
    private static func status(of error: any Error, _ arguments: [String]) -> Int32 {
        switch exitCode(for: error) {
        case .success:
            Descriptor.write(fullMessage(for: error) + "\n", to: STDOUT_FILENO)
            return 0
        case .validationFailure:
            let text = oneLine(message(for: error))
            let command = arguments.first.map { $0.hasPrefix("-") ? "" : " \($0)" } ?? ""
            complain("\(text) (see 'sipcore\(command) --help')")
            return 2
        case let code:
            let text = message(for: error)
            if !text.isEmpty { complain(text) }
            return code.rawValue
        }
    }

    /// The parser lists the values that an option takes below one another.
    private static func oneLine(_ message: String) -> String {
        let lines = message.split(whereSeparator: \.isNewline)
        let items = lines.dropFirst().map { $0.drop { $0 == " " || $0 == "-" } }
        return items.isEmpty ? message : "\(lines[0]) \(items.joined(separator: ", "))"
    }
}
