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

    @Option(
        help: ArgumentHelp(
            "Run so many scenarios at once, each in a lab of its own with ports and databases of its own.", valueName: "number"))
    var jobs: Int?

    @Option(help: ArgumentHelp("Write a JUnit report of the scenarios.", valueName: "file"), completion: .file())
    var junit: String?

    @Option(
        help: ArgumentHelp(
            "Write an HTML file for each scenario that fails, with ladder, difference and logs, to this folder.", valueName: "folder"),
        completion: .directory)
    var report: String?

    @Option(
        help: ArgumentHelp(
            "Tell failures to GitHub Actions, beside the lines of the file; left out: where GITHUB_ACTIONS is true.", valueName: "service"))
    var annotations: AnnotatedService?

    @Option(
        help: ArgumentHelp("Write what each process prints to NAME.log in this folder too.", valueName: "folder"), completion: .directory)
    var logs: String?

    @Flag(help: "Start the lab anew, with its scenarios, whenever the topology or a file that belongs to it changes.")
    var watch = false

    @OptionGroup var shared: SharedOptions

    func validate() throws {
        for (name, isGiven) in [("--junit", junit != nil), ("--report", report != nil), ("--jobs", jobs != nil)] where isGiven {
            if !runsScenarios { throw ValidationError("\(name) is for scenarios, and none are to run; add --scenarios") }
        }
        if scenarios, !names.isEmpty { throw ValidationError("--scenarios runs all scenarios, --scenario some; give one of the two") }
        if let jobs, !(1...64).contains(jobs) { throw ValidationError("--jobs \(jobs): write a number from 1 to 64") }
    }

    private var runsScenarios: Bool { scenarios || !names.isEmpty || !files.isEmpty }

    func run() async throws {
        _ = shared.startLogging("lab")
        let status = watch ? try await watched() : await LabRun(try options()).run()
        if status != 0 { throw ExitCode(status) }
    }

    /// What is wrong at the start is said as without watching if nothing could be read at all; later it is waited for.
    private func watched() async throws(CommandFailure) -> Int32 {
        _ = try TopologyFile.read(topology, isLab: true)
        return await LabWatch { files in
            do throws(CommandFailure) { return try options { files.add($0) } } catch {
                if let text = error.text { complain(text) }
                return nil
            }
        }.run()
    }

    /// - Parameter willRead: is told the name of each file before it is read.
    private func options(willRead: @escaping @Sendable (String) -> Void = { _ in }) throws(CommandFailure) -> LabOptions {
        let topology = try TopologyFile.load(topology, isLab: true, willRead: willRead)
        var options = LabOptions(topology: topology, executable: try LabCommand.ownPath(), version: Sipcore.version)
        options.security = try LabTLS.security(for: topology)
        options.scenarios = try chosenScenarios(of: topology, willRead: willRead)
        options.jobs = jobs
        options.junitFile = junit
        options.reportFolder = report
        options.annotates = (annotations ?? .ofEnvironment) == .github
        options.logFolder = logs
        options.readyFile = shared.readyFile
        options.builtInArguments = shared.logArguments
        return options
    }

    /// The scenarios to run, in the order of their files; nil: none are asked for.
    private func chosenScenarios(
        of topology: Topology, willRead: @escaping @Sendable (String) -> Void
    ) throws(CommandFailure) -> [Scenario]? {
        guard runsScenarios else { return nil }
        var added: [Scenario] = []
        var isRight = true
        for file in files {
            let (scenarios, faults) = try TopologyFile.scenarios(file, for: topology, willRead: willRead)
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

/// Where failures are shown beside the lines that they are about.
enum AnnotatedService: String, ExpressibleByArgument, CaseIterable {
    case github, none

    /// Whoever runs us says so.
    static var ofEnvironment: AnnotatedService { getenv("GITHUB_ACTIONS").map { String(cString: $0) } == "true" ? .github : .none }
}
