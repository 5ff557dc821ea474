// Runs scenarios: drives the clients, and looks at what the core recorded.

import SIPLadder
import Topology

/// Runs one scenario after the other over the same lab. Nothing but faults is reset between them; each looks only at the
/// messages since it began.
actor ScenarioRunner {
    let supervisor: Supervisor
    let core: CoreInterface
    let topology: Topology
    private let print: @Sendable (String) -> Void
    var whereabouts: Whereabouts

    private(set) var log: [RecordedMessage] = []
    /// The sequence number of the last message in `log`.
    private var lastSequence = 0
    /// Where the messages begin at which the next `expect` looks.
    private(set) var mark = 0
    var block = ExpectationBlock()
    /// What `${...}` stands for, with no variables and with those of the running scenario.
    private var basicValues: StepValues
    var values: StepValues
    /// The faults of the running scenario by their names, and all that it has made.
    var namedFaults: [String: String] = [:]
    var faults: [String] = []
    private var steps: Task<ScenarioResult, Never>?
    /// Why the running scenario fails, and whether those after it do.
    private(set) var interruption: String?
    private var interruptionLasts = false

    /// A long poll is cut into pieces of this length, so that an interruption is noticed.
    static let pollMilliseconds = 250
    static let verbMilliseconds = 5000

    /// - Parameter values: what `${...}` stands for in steps.
    init(
        _ resolved: ResolvedTopology, supervisor: Supervisor, core: CoreInterface, values: PlaceholderValues,
        print: @escaping @Sendable (String) -> Void
    ) {
        self.supervisor = supervisor
        self.core = core
        self.print = print
        topology = resolved.topology
        whereabouts = Whereabouts(resolved)
        basicValues = StepValues(values)
        self.values = basicValues
    }

    /// The lab's own interface serves here from now on.
    func learn(labHTTP: String?) { basicValues.set(labHTTP: labHTTP) }

    func run(_ scenario: Scenario) async -> ScenarioResult {
        print("scenario: \(scenario.name)")
        let task = Task { await runSteps(scenario) }
        steps = task
        // An interruption may have come before there was anything to interrupt.
        if interruption != nil { task.cancel() }
        return await task.value
    }

    /// Fails the running scenario, because a node ended by itself or the lab is interrupted.
    /// - Parameter isLasting: the scenarios after it too.
    func interrupt(because reason: String, isLasting: Bool) {
        if interruption == nil || isLasting { interruption = reason }
        interruptionLasts = interruptionLasts || isLasting
        steps?.cancel()
    }

    // MARK: Steps

    private func runSteps(_ scenario: Scenario) async -> ScenarioResult {
        let clock = ContinuousClock()
        let began = clock.now
        var result = ScenarioResult(name: scenario.name, time: 0, failure: nil)
        let scenarioStart = await begin()
        for (index, step) in scenario.steps.enumerated() {
            let stepBegan = clock.now
            do throws(StepFailure) {
                try await perform(step, before: scenario.steps[(index + 1)...])
                if let interruption { throw StepFailure(awaited: "nothing to happen to the lab", cameInstead: [interruption]) }
                print("  ok      \(step.place)  \(step.text)  (\((clock.now - stepBegan).milliseconds) ms)")
            } catch {
                let failure = await failure(error, of: step)
                result.failure = failure
                print("  FAILED  \(failure.step)\n\(failure.report)")
                break
            }
        }
        result.time = (clock.now - began) / .seconds(1)
        await removeFaults()
        if result.failure == nil {
            print(ladder(log[scenarioStart...]))
            print("passed: \(scenario.name)")
        } else {
            print("failed: \(scenario.name)")
        }
        if !interruptionLasts { interruption = nil }
        return result
    }

    /// Everything up to now is not the scenario's.
    private func begin() async -> Int {
        // Without an answer there is nothing to learn; the first step that needs one will say so.
        if let registrations = try? await core.registrations() { whereabouts.learn(registrations: registrations) }
        try? await fetch()
        values = basicValues
        beginBlock()
        return mark
    }

    /// The next `expect` looks at what comes from now on.
    private func beginBlock() {
        mark = log.count
        block = ExpectationBlock()
    }

    private func perform(_ step: Step, before next: ArraySlice<Step>) async throws(StepFailure) {
        switch step.action {
        case .expect(let expectation): return try await look(for: try expectation.filled(values))
        case .expectHits(let expectation): return try await look(for: expectation)
        default: break
        }
        do throws(HTTPCall.Failure) { try await fetch() } catch { try await coreIsSilent(error) }
        beginBlock()
        switch step.action {
        case .verb(let client, let command, let mayFail): try await drive(client, command, mayFail: mayFail, before: next)
        case .stop(let node): try await stop(node)
        case .start(let node): try await start(node)
        case .wait(let milliseconds): try? await Task.sleep(for: .milliseconds(milliseconds))
        case .advance(let duration):
            try await steer("the clock to move by \(duration)") { (core) throws(HTTPCall.Failure) in try await core.advance(by: duration) }
        case .fault(let fault): try await change(fault)
        case .reset: try await reset()
        case .http(let request): try await ask(try request.filled(values))
        case .run(let command): try await run(try command.filled(values))
        case .set(let assignments): for assignment in assignments { values.set(assignment.name, to: try values.fill(assignment.value)) }
        case .expect, .expectHits: break
        }
    }

    // MARK: Messages

    /// A stopped core records nothing; one that runs has to answer.
    func coreIsSilent(_ failure: HTTPCall.Failure) async throws(StepFailure) {
        guard await supervisor.status(of: Whereabouts.core)?.pid != nil else { return }
        throw StepFailure(awaited: "the messages that the core recorded", cameInstead: [failure.description])
    }

    /// A new core numbers its messages from 1, and one that was reset does too.
    func numbersBeginAgain() { lastSequence = 0 }

    /// A core that was reset or started anew by others than steps does not know the last message, or has another in its place.
    private func noticeNewNumbers() async throws(HTTPCall.Failure) {
        guard lastSequence > 0, let last = log.last else { return }
        let first = try await core.messages(since: lastSequence - 1, waitMilliseconds: 0, limit: 1).first
        // One that is later than the last has pushed it out.
        guard let first, first.sequence > lastSequence || first.isSame(as: last) else { return numbersBeginAgain() }
    }

    /// Takes over what the core recorded since the last time.
    func fetch(waitMilliseconds: Int = 0) async throws(HTTPCall.Failure) {
        var wait = waitMilliseconds
        if wait == 0 { try await noticeNewNumbers() }
        while true {
            let page = try await core.messages(since: lastSequence, waitMilliseconds: wait)
            guard let last = page.last else { break }
            lastSequence = last.sequence
            log += page
            for message in page { whereabouts.learn(from: message) }
            wait = 0
        }
        whereabouts.learn(listeners: await supervisor.listenAddresses())
    }
}

extension Step {
    var place: String { "\(file):\(line)" }
}

extension Duration {
    /// Whole milliseconds.
    var milliseconds: Int { Int(components.seconds) * 1000 + Int(components.attoseconds / 1_000_000_000_000_000) }
}
