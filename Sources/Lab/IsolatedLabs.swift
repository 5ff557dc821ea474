// Scenarios side by side: a lab for each, with ports and databases of its own.

import Topology

/// Runs so many scenarios at once, and prints what each has to say in their order.
struct IsolatedLabs: Sendable {
    private let options: LabOptions
    private let scenarios: [Scenario]
    private let jobs: Int

    init(_ options: LabOptions, _ scenarios: [Scenario], jobs: Int) {
        self.options = options
        self.scenarios = scenarios
        self.jobs = jobs
    }

    func run(until interruption: Interruption) async -> LabOutcome {
        let obstacles = ResolvedTopology.obstacles(to: options.topology)
        if jobs > 1, scenarios.count > 1 {
            for obstacle in obstacles { LabConsole.standard.complain("scenarios cannot run side by side: \(obstacle)") }
            if !obstacles.isEmpty { return LabOutcome(status: 1) }
            for name in ResolvedTopology.shared(by: options.topology) {
                LabConsole.standard.complain("\(name) is not started by the lab, so all labs share it")
            }
        }
        var outcomes = [LabOutcome?](repeating: nil, count: scenarios.count)
        var outputs = [GroupedOutput?](repeating: nil, count: scenarios.count)
        var printed = 0
        await withTaskGroup(of: (Int, LabOutcome, GroupedOutput).self) { group in
            var next = 0
            func add() {
                guard next < scenarios.count, !interruption.isFired else { return }
                let index = next
                next += 1
                group.addTask {
                    let output = GroupedOutput()
                    // One after the other they may have the addresses that the file fixes.
                    return (index, await run(index, output, isIsolated: obstacles.isEmpty, until: interruption), output)
                }
            }
            for _ in 0..<jobs { add() }
            for await (index, outcome, output) in group {
                outcomes[index] = outcome
                outputs[index] = output
                while printed < outputs.count, let output = outputs[printed] {
                    output.flush()
                    outputs[printed] = nil
                    printed += 1
                }
                add()
            }
        }
        return merged(outcomes)
    }

    private func run(_ index: Int, _ output: GroupedOutput, isIsolated: Bool, until interruption: Interruption) async -> LabOutcome {
        var own = options
        own.scenarios = [scenarios[index]]
        own.readyFile = nil
        own.logFolder = options.logFolder.map { "\($0)/\(HTMLReport.plainName(scenarios[index].name))" }
        return await RunningLab.run(own, output.console, isIsolated: isIsolated, until: interruption)
    }

    /// All results in the order of the scenarios; one whose lab did not start, or was not tried any more, has failed.
    private func merged(_ outcomes: [LabOutcome?]) -> LabOutcome {
        var merged = LabOutcome(status: 0, results: [])
        for (scenario, outcome) in zip(scenarios, outcomes) {
            merged.status = max(merged.status, outcome?.status ?? 1)
            let reason = outcome == nil ? "the labs were interrupted before its turn" : "its lab did not start"
            let failed = ScenarioResult(
                name: scenario.name, time: 0,
                failure: .init(step: scenario.steps.first.map { "\($0.place)  \($0.text)" } ?? scenario.name, report: reason))
            merged.results? += outcome?.results ?? [failed]
        }
        return merged
    }
}
