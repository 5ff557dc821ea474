// `sipcore simulate TOPOLOGY`: whole lives of a lab in virtual time, one for each seed.

public import ArgumentParser
import Glibc
import SansIO
public import Simulation
import Synchronization
import Topology

struct SimulateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Run whole lives of a lab in virtual time, with all that goes wrong, and hold each against simple models.",
        discussion: """
            Each seed is a run: clients register, publish and send; messages are lost, come twice or late; servers are slow, \
            dead or overloaded; processes die and lose what was not stored. Checked is that each request has one final answer \
            and nothing is sent after the end, that who is registered and what application servers hear is what a simple model \
            says, that each message reaches its recipient once, and that nothing stays behind. The same topology and seed give \
            the same run: a seed that fails is told with its ladder, and fails again.
            Only built-in nodes are simulated, by UDP, at addresses of their own.
            """)

    @Argument(help: "The topology file.", completion: .file(extensions: ["yaml", "yml"]))
    var topology: String

    @Option(help: ArgumentHelp("How many seeds to run, from 1 on or from --seed.", valueName: "count"))
    var seeds: Int?

    @Option(help: ArgumentHelp("The first seed; without --seeds the only one.", valueName: "number"))
    var seed: UInt64?

    @Option(help: ArgumentHelp("How many things are done in a run.", valueName: "count"))
    var steps = 40

    @Option(help: ArgumentHelp("How many runs go on at the same time.", valueName: "count"))
    var jobs = 2

    @Option(help: ArgumentHelp("Build a fault into the house, to see that it is found.", valueName: "name"))
    var flaw: Flaw?

    /// Failing seeds that are told with their ladder; the others by their sentence.
    private static let explained = 3

    func validate() throws {
        guard seeds ?? 1 > 0 else { throw ValidationError("--seeds \(seeds ?? 0) is none; write how many to run") }
        guard steps > 0, steps <= 10_000 else { throw ValidationError("--steps \(steps) is not from 1 to 10000") }
        guard jobs > 0, jobs <= 256 else { throw ValidationError("--jobs \(jobs) is not from 1 to 256") }
    }

    func run() async throws {
        let topology = try TopologyFile.load(self.topology, isLab: true)
        var assembly = LabPlanAssembly(topology)
        let plan = try assembly.plan()
        for note in assembly.notes { complain("note: \(note)") }
        let simulation = Simulation(plan, steps: steps, flaw: flaw)
        let first = seed ?? 1
        let count = seeds ?? (seed == nil ? 100 : 1)
        let tally = SimulationTally(count: count)
        let interruption = SimulationInterruption()
        let signals = try TerminationSignals { interruption.fire() }
        defer { withExtendedLifetime(signals) {} }
        await withTaskGroup(of: Void.self) { group in
            for job in 0..<min(jobs, count) {
                group.addTask {
                    for number in stride(from: job, to: count, by: jobs) where !interruption.isFired {
                        await tally.add(simulation.run(seed: first &+ UInt64(number)))
                    }
                }
            }
        }
        let result = await tally.result
        for (place, failed) in result.failures.enumerated() {
            // Who interrupts it does not want to wait.
            let isExplained = place < SimulateCommand.explained && !interruption.isFired
            Descriptor.write(text(of: failed, simulation, isExplained: isExplained), to: STDOUT_FILENO)
        }
        Descriptor.write(result.summary + "\n", to: STDOUT_FILENO)
        if result.runs < count { throw CommandFailure(status: 1, text: "interrupted: \(result.runs) of \(count) seeds were run") }
        if !result.failures.isEmpty { throw CommandFailure(status: 1, text: nil) }
    }

    private func text(of failed: Simulation.Outcome, _ simulation: Simulation, isExplained: Bool) -> String {
        var replay = "sipcore simulate \(topology) --seed \(failed.seed)"
        if steps != 40 { replay += " --steps \(steps)" }
        if let flaw { replay += " --flaw \(flaw.rawValue)" }
        let head = "seed \(failed.seed): \(failed.fault ?? "")\n"
        guard isExplained, let failure = simulation.explain(seed: failed.seed) else { return head + "  again: \(replay)\n" }
        return head + "what it takes to fail:\n" + failure.schedule.map { "  \($0)\n" }.joined()
            + "then: \(failure.fault)\n" + failure.ladder + "again: \(replay)\n\n"
    }
}

extension Flaw: ExpressibleByArgument {}

/// Whether SIGINT or SIGTERM has come: runs that have begun end, no more begin.
private final class SimulationInterruption: Sendable {
    private let state = Atomic(false)
    var isFired: Bool { state.load(ordering: .relaxed) }
    func fire() { state.store(true, ordering: .relaxed) }
}

/// What the runs came to.
private actor SimulationTally {
    struct Result: Sendable {
        var runs = 0
        var messages = 0
        var seconds: Int64 = 0
        /// Of all runs, in whatever order they ended.
        var digest: UInt64 = 0
        var failures: [Simulation.Outcome] = []

        var summary: String {
            let held = runs - failures.count
            return "\(held) of \(runs) seeds held: \(messages) messages in \(seconds / 3600) h of virtual time, "
                + "digest \(String(digest, radix: 16))"
        }
    }

    private var found = Result()
    private let count: Int

    init(count: Int) { self.count = count }

    var result: Result {
        var result = found
        result.failures.sort { $0.seed < $1.seed }
        return result
    }

    func add(_ outcome: Simulation.Outcome) {
        found.runs += 1
        found.messages += outcome.messages
        found.seconds += outcome.span.wholeSeconds
        found.digest &+= outcome.digest
        if outcome.fault != nil { found.failures.append(outcome) }
        guard found.runs.isMultiple(of: max(1, count / 20)), found.runs < count else { return }
        complain("\(found.runs) of \(count) seeds, \(found.failures.count) failed")
    }
}
