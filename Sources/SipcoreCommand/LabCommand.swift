// `sipcore lab`: every process of a topology, and its scenarios.

import ArgumentParser
import Glibc
import Lab
import Topology

struct LabCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lab",
        abstract: "Start every process of a topology, wait until each is ready, run scenarios if asked, and stop them all.",
        discussion: """
            Without scenarios the lab stays up until it is interrupted. No process is left behind, however it ends. What \
            the processes print goes to standard error behind the node's name.
            """)

    @Argument(help: "The topology file.", completion: .file(extensions: ["yaml", "yml"]))
    var topology: String

    @Flag(help: "Run all scenarios, those of --scenario-file too, and end.")
    var scenarios = false

    @Option(name: .customLong("scenario"), help: ArgumentHelp("Run the scenario of this name, and end (repeatable).", valueName: "name"))
    var names: [String] = []

    @Option(
        name: .customLong("scenario-file"),
        help: ArgumentHelp("Add a file's scenarios (repeatable); without --scenarios and --scenario only they run.", valueName: "file"),
        completion: .file(extensions: ["yaml", "yml"]))
    var files: [String] = []

    @Option(help: ArgumentHelp("Write a JUnit report of the scenarios.", valueName: "file"), completion: .file())
    var junit: String?

    @Option(
        help: ArgumentHelp("Write what each process prints to NAME.log in this folder too.", valueName: "folder"), completion: .directory)
    var logs: String?

    @OptionGroup var shared: SharedOptions

    func validate() throws {
        if junit != nil, !runsScenarios { throw ValidationError("--junit reports scenarios, and none are to run; add --scenarios") }
        if scenarios, !names.isEmpty { throw ValidationError("--scenarios runs all scenarios, --scenario some; give one of the two") }
    }

    private var runsScenarios: Bool { scenarios || !names.isEmpty || !files.isEmpty }

    func run() async throws {
        _ = shared.startLogging("lab")
        let topology = try TopologyFile.load(topology, isLab: true)
        var options = LabOptions(topology: topology, executable: try LabCommand.ownPath())
        options.security = try LabTLS.security(for: topology)
        options.scenarios = try chosenScenarios(of: topology)
        options.junitFile = junit
        options.logFolder = logs
        options.readyFile = shared.readyFile
        options.builtInArguments = shared.logArguments
        let status = await LabRun(options).run()
        if status != 0 { throw ExitCode(status) }
    }

    /// The scenarios to run, in the order of their files; nil: none are asked for.
    private func chosenScenarios(of topology: Topology) throws(CommandFailure) -> [Scenario]? {
        guard runsScenarios else { return nil }
        var added: [Scenario] = []
        var isRight = true
        for file in files {
            let (scenarios, faults) = try TopologyFile.scenarios(file, for: topology)
            for fault in faults { Descriptor.write("\(fault)\n", to: STDERR_FILENO) }
            isRight = isRight && !faults.contains { $0.severity == .error }
            added += scenarios
        }
        guard isRight else { throw CommandFailure(status: 1, text: nil) }
        let all = topology.scenarios + added
        guard !names.isEmpty else {
            let chosen = scenarios ? all : added
            if chosen.isEmpty { throw CommandFailure(status: 2, text: "\((files.first ?? topology.file)) has no scenarios to run") }
            return chosen
        }
        for name in names where !all.contains(where: { $0.name == name }) {
            throw CommandFailure(status: 2, text: "there is no scenario '\(name)'; \(LabCommand.advice(for: name, among: all.map(\.name)))")
        }
        return all.filter { names.contains($0.name) }
    }

    private static func advice(for name: String, among known: [String]) -> String {
        // A piece of a long name is a common slip, and too far away from it for a comparison of letters.
        let near = known.filter { $0.lowercased().contains(name.lowercased()) }
        if let nearest = Suggestion.nearest(to: name, among: known) ?? (near.count == 1 ? near.first : nil) {
            return "did you mean '\(nearest)'?"
        }
        return known.isEmpty ? "the topology has none" : "there are " + known.map { "'\($0)'" }.joined(separator: ", ")
    }

    /// The file that this process runs from, for the guard and the built-in nodes.
    private static func ownPath() throws(CommandFailure) -> String {
        guard let path = realpath("/proc/self/exe", nil) else {
            throw CommandFailure(status: 3, text: "cannot tell where sipcore itself is: \(String(cString: strerror(errno)))")
        }
        defer { free(path) }
        return String(cString: path)
    }
}
