// `sipcore lab`: runs a lab, or one for each scenario, and reports what came of the scenarios.

import Glibc
public import Topology

/// What a lab is to do.
public struct LabOptions: Sendable {
    public var topology: Topology
    /// Absolute path of this executable, which is the core, the built-in nodes and the guard too.
    public var executable: String
    /// The scenarios to run, in this order, before the lab ends; nil: the lab stays until it is interrupted.
    public var scenarios: [Scenario]?
    /// How many scenarios run at once, each in a lab of its own; nil: all run in one lab, one after the other.
    public var jobs: Int?
    /// Where the JUnit report of the scenarios goes.
    public var junitFile: String?
    /// The folder of an HTML file for each failed scenario.
    public var reportFolder: String?
    /// Whether failures are told to GitHub Actions too.
    public var annotates = false
    /// The folder of the files `NAME.log`, one a node.
    public var logFolder: String?
    /// Gets the ready line too, atomically.
    public var readyFile: String?
    /// The certificate that the lab's nodes show and believe; nil: there is no TLS in the lab.
    public var security: LabSecurity?
    /// Arguments for every built-in node, such as `--log-level debug`.
    public var builtInArguments: [String] = []
    /// Of this program.
    public var version: String

    public init(topology: Topology, executable: String, version: String) {
        self.topology = topology
        self.executable = executable
        self.version = version
    }
}

/// What came of a lab.
struct LabOutcome: Sendable {
    /// The exit status.
    var status: Int32
    /// nil: there were no scenarios to run, or the lab did not start.
    var results: [ScenarioResult]?
}

/// One run of a lab.
public struct LabRun: Sendable {
    private let options: LabOptions

    public init(_ options: LabOptions) { self.options = options }

    /// Starts every process of the topology, waits until each is ready, prints the lab's ready line, runs the scenarios or
    /// waits for SIGINT or SIGTERM, and ends all processes. No process is left when it returns.
    /// - Returns: the exit status: 0; 1 if a scenario failed or was interrupted, or the core ended by itself; 3 if a node
    ///   could not start.
    public func run() async -> Int32 {
        let interruption = Interruption()
        let signals = InterruptSignals { interruption.fire() }
        defer { signals.stop() }
        return await run(until: interruption)
    }

    /// The same without signals of its own.
    func run(until interruption: Interruption) async -> Int32 {
        let outcome: LabOutcome
        if let jobs = options.jobs, let scenarios = options.scenarios {
            outcome = await IsolatedLabs(options, scenarios, jobs: jobs).run(until: interruption)
        } else {
            outcome = await RunningLab.run(options, .standard, until: interruption)
        }
        guard let results = outcome.results else { return outcome.status }
        LabConsole.standard.print("\(results.count { $0.failure == nil }) of \(results.count) scenarios passed")
        return max(outcome.status, report(results) ? 0 : 1)
    }

    /// Writes all reports that were asked for; false if one of them could not be.
    private func report(_ results: [ScenarioResult]) -> Bool {
        if options.annotates { for line in GitHubAnnotations.lines(results) { LabConsole.standard.print(line) } }
        var faults: [String] = []
        if let file = options.junitFile {
            let text = JUnitReport.text(suite: options.topology.file, results: results)
            if let fault = replaceFile(file, with: text) { faults.append(fault) }
        }
        if let folder = options.reportFolder { faults += HTMLReport.write(results, to: folder) }
        for fault in faults { LabConsole.standard.complain(fault) }
        return faults.isEmpty
    }
}
