// Runs scenarios: drives the clients, and looks at what the core recorded.

import SIPLadder
import Topology

/// How a scenario went.
struct ScenarioResult: Sendable, Equatable {
    var name: String
    /// Seconds.
    var time: Double
    /// The failed step and all that was said of it; nil if it passed.
    var failure: Failure?

    struct Failure: Sendable, Equatable {
        var step: String
        var report: String
    }
}

/// Runs one scenario after the other over the same lab. Nothing is reset between them; each looks only at the messages
/// since it began.
actor ScenarioRunner {
    private let supervisor: Supervisor
    private let core: CoreInterface
    private let topology: Topology
    private let print: @Sendable (String) -> Void
    private var whereabouts: Whereabouts

    private var log: [RecordedMessage] = []
    /// The sequence number of the last message in `log`.
    private var lastSequence = 0
    /// Where the messages begin at which the next `expect` looks.
    private var mark = 0
    private var block = ExpectationBlock()
    private var steps: Task<ScenarioResult, Never>?
    /// Why the running scenario fails, and whether those after it do.
    private var interruption: String?
    private var interruptionLasts = false

    /// What a step that did not pass has to say.
    private struct StepFailure: Error {
        var awaited: String
        var cameInstead: [String]
    }

    /// A long poll is cut into pieces of this length, so that an interruption is noticed.
    private static let pollMilliseconds = 250
    private static let verbMilliseconds = 5000
    private static let longestLadder = 200

    init(
        _ resolved: ResolvedTopology, supervisor: Supervisor, core: CoreInterface, print: @escaping @Sendable (String) -> Void
    ) {
        self.supervisor = supervisor
        self.core = core
        self.print = print
        topology = resolved.topology
        whereabouts = Whereabouts(resolved)
    }

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
                let report = await report(error, of: step)
                result.failure = .init(step: "\(step.place)  \(step.text)", report: report)
                print("  FAILED  \(step.place)  \(step.text)\n\(report)")
                break
            }
        }
        result.time = (clock.now - began) / .seconds(1)
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
        mark = log.count
        block = ExpectationBlock()
        return mark
    }

    private func perform(_ step: Step, before next: ArraySlice<Step>) async throws(StepFailure) {
        if case .expect(let expectation) = step.action { return try await look(for: expectation) }
        do throws(HTTPCall.Failure) { try await fetch() } catch { try await coreIsSilent(error) }
        mark = log.count
        block = ExpectationBlock()
        switch step.action {
        case .verb(let client, let command, let mayFail):
            try await drive(client, command, mayFail: mayFail, before: next)
        case .stop(let node):
            do throws(NodeFailure) { try await supervisor.stop(node) } catch {
                throw StepFailure(awaited: "the end of \(node)", cameInstead: [error.reason])
            }
        case .start(let node):
            do throws(NodeFailure) { try await supervisor.start(node) } catch {
                throw StepFailure(awaited: "the start of \(node)", cameInstead: [error.reason])
            }
            // A new core numbers its messages from 1.
            if await supervisor.role(of: node) == .core { lastSequence = 0 }
        case .expect: break
        }
    }

    /// A stopped core records nothing; one that runs has to answer.
    private func coreIsSilent(_ failure: HTTPCall.Failure) async throws(StepFailure) {
        guard await supervisor.status(of: Whereabouts.core)?.pid != nil else { return }
        throw StepFailure(awaited: "the messages that the core recorded", cameInstead: [failure.description])
    }

    private func drive(
        _ client: String, _ command: String, mayFail: Bool, before next: ArraySlice<Step>
    ) async throws(StepFailure) {
        let verb = ClientVerb(command)
        let outcome = await supervisor.perform(verb, on: client, milliseconds: ScenarioRunner.verbMilliseconds)
        let awaited = "the event of \(client) that answers '\(command)' within \(ScenarioRunner.verbMilliseconds / 1000) s"
        switch outcome {
        case .done: return
        case .refused(let event):
            if mayFail || expects(event, at: client, next) { return }
            throw StepFailure(awaited: awaited, cameInstead: [event.description])
        case .notRunning(let reason): throw StepFailure(awaited: awaited, cameInstead: ["\(client): \(reason)"])
        case .silent(speaksLines: true):
            if mayFail { return }
            throw StepFailure(awaited: awaited, cameInstead: ["nothing"])
        case .silent(speaksLines: false):
            throw StepFailure(awaited: awaited, cameInstead: ["nothing: \(client) prints no JSON Lines, so no verb can drive it"])
        }
    }

    /// Whether the `expect` steps that follow at once await the response with which the verb was refused.
    private func expects(_ event: JSON, at client: String, _ next: ArraySlice<Step>) -> Bool {
        let status = event["status"]?.integer
        for step in next {
            guard case .expect(let expectation) = step.action else { return false }
            guard expectation.node == client, let response = expectation.response else { continue }
            if status.map({ $0 == response }) ?? (response >= 300) { return true }
        }
        return false
    }

    // MARK: Expecting

    private func look(for expectation: Expectation) async throws(StepFailure) {
        let clock = ContinuousClock()
        let deadline = clock.now + .milliseconds(expectation.withinMilliseconds)
        var hasMessage = !expectation.asksForMessage
        var stored: String?
        var wait = 0
        while true {
            do throws(HTTPCall.Failure) { try await fetch(waitMilliseconds: hasMessage ? 0 : wait) } catch { try await coreIsSilent(error) }
            if !hasMessage {
                hasMessage = block.satisfy(expectation, arrived: arrived(at: expectation.node)) { self.log[$0] }
            }
            if let wanted = expectation.stored { stored = await storedFault(wanted, at: expectation.node) }
            if hasMessage, stored == nil { return }
            let left = (deadline - clock.now).milliseconds
            if left <= 0 || Task.isCancelled { break }
            wait = min(left, ScenarioRunner.pollMilliseconds)
            if hasMessage || expectation.stored != nil { try? await Task.sleep(for: .milliseconds(min(left, 10))) }
            // The core's own waiting serves only while nothing else is asked for.
            if expectation.stored != nil { wait = 0 }
        }
        throw StepFailure(
            awaited: expectation.sentence,
            cameInstead: (stored.map { [$0] } ?? []) + (hasMessage ? [] : whatCame(instead: expectation)))
    }

    /// Why the number of stored messages is not the one awaited; nil if it is.
    private func storedFault(_ wanted: Int, at node: String) async -> String? {
        guard let base = await supervisor.status(of: node)?.readyLine?["http"]?.string else {
            return "\(node) has no HTTP interface that tells what it stores (a built-in IM Server has)"
        }
        do throws(HTTPCall.Failure) {
            let count = try await storedMessageCount(at: base)
            return count == wanted ? nil : "\(count) stored at \(node)"
        } catch {
            return error.description
        }
    }

    private func arrived(at node: String) -> [Int] {
        (mark..<log.count).filter { whereabouts.arrived(log[$0], at: node) }
    }

    private func whatCame(instead expectation: Expectation) -> [String] {
        if topology.core.trace == 0 { return ["nothing can be seen: core.trace is 0, so the core keeps no messages; leave it out"] }
        let here = arrived(at: expectation.node)
        guard !here.isEmpty else {
            let elsewhere = log[mark...].map { "\($0.name) \($0.isInbound ? "from" : "to") \(whereabouts.otherEnd(of: $0))" }
            let others = elsewhere.isEmpty ? "" : "; elsewhere: " + elsewhere.suffix(8).joined(separator: ", ")
            return ["nothing at \(expectation.node)\(others)"]
        }
        return here.suffix(20).map { place in
            let reason =
                expectation.mismatch(with: log[place])
                ?? (block.holds(place) ? "satisfies an earlier step" : "came before those of earlier steps")
            return "#\(log[place].sequence) \(log[place].name): \(reason)"
        }
    }

    /// Takes over what the core recorded since the last time.
    private func fetch(waitMilliseconds: Int = 0) async throws(HTTPCall.Failure) {
        var wait = waitMilliseconds
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

    // MARK: Reporting

    private func report(_ failure: StepFailure, of step: Step) async -> String {
        var failure = failure
        if let interruption, !failure.cameInstead.contains(interruption) { failure.cameInstead = [interruption] }
        // What is not there is not drawn.
        try? await fetch()
        var lines = ["awaited: \(failure.awaited)", "came instead:"]
        lines += failure.cameInstead.map { "  \($0)" }
        let around = log[max(mark - 10, 0)...]
        if !around.isEmpty { lines += ["", ladder(around)] }
        return lines.flatMap { $0.split(separator: "\n", omittingEmptySubsequences: false) }.map { "          \($0)" }.joined(
            separator: "\n")
    }

    private func ladder(_ messages: ArraySlice<RecordedMessage>) -> String {
        let drawn = messages.suffix(ScenarioRunner.longestLadder)
        let left = messages.count - drawn.count
        let text = Ladder.text(drawn.map(entry), nodes: whereabouts.columns)
        return (left > 0 ? "(\(left) earlier messages are not drawn)\n" : "") + text
    }

    private func entry(_ message: RecordedMessage) -> LadderEvent {
        let other = whereabouts.otherEnd(of: message)
        return LadderEvent(
            microseconds: message.time, from: message.isInbound ? other : Whereabouts.core,
            to: message.isInbound ? Whereabouts.core : other, label: message.label, detail: message.detail)
    }
}

extension Step {
    var place: String { "\(file):\(line)" }
}

extension Duration {
    /// Whole milliseconds.
    var milliseconds: Int { Int(components.seconds) * 1000 + Int(components.attoseconds / 1_000_000_000_000_000) }
}

extension RecordedMessage {
    /// What stands on the arrow.
    var label: String {
        guard let status else { return method }
        let reason = startLine.split(separator: " ", maxSplits: 2).dropFirst(2).first.map { " \($0)" } ?? ""
        return "\(status)\(reason)"
    }

    /// What stands beside the ladder: who it is about, and what a person wrote.
    var detail: String {
        guard status == nil else { return "to \(method)" }
        let about = identity(in: "To") ?? ""
        let expires = method == "REGISTER" ? values(of: "Expires").first.map { " expires \($0)" } ?? "" : ""
        let isText = values(of: "Content-Type").contains { $0.lowercased().hasPrefix("text/plain") }
        return about + expires + (isText ? " \"\(body.prefix(60))\"" : "")
    }
}
