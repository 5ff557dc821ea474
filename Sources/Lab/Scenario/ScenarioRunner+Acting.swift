// The steps that do something: to clients, to nodes, to the core, and outside of the lab.

import JSONText
import Topology

extension ScenarioRunner {
    // MARK: Clients

    func drive(_ client: String, _ text: String, mayFail: Bool, before next: ArraySlice<Step>) async throws(StepFailure) {
        let filled = try values.fill(text)
        let command = filled == text ? text : try checked(filled, of: client)
        let outcome = await supervisor.perform(ClientVerb(command), on: client, milliseconds: ScenarioRunner.verbMilliseconds)
        // A core that was stopped moves nobody.
        if topology.core.clockIsVirtual, await supervisor.status(of: "core")?.pid != nil {
            try await steer("all nodes to rest") { (core) throws(HTTPCall.Failure) in try await core.settle() }
        }
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

    /// What was filled in may not be what the verb takes.
    private func checked(_ command: String, of client: String) throws(StepFailure) -> String {
        do throws(WrongVerb) { return try topology.command(command, of: client) } catch {
            throw StepFailure(awaited: "a verb of \(client)", cameInstead: ["'\(command)': \(error)"])
        }
    }

    /// Whether the `expect` steps that follow at once await the response with which the verb was refused.
    private func expects(_ event: JSON, at client: String, _ next: ArraySlice<Step>) -> Bool {
        let status = event["status"]?.integer
        for step in next {
            guard case .expect(let expectation) = step.action else { return false }
            guard expectation.node == client, let response = expectation.response, expectation.count.most != 0 else { continue }
            if status.map({ $0 == response }) ?? (response >= 300) { return true }
        }
        return false
    }

    // MARK: Nodes

    func stop(_ node: String) async throws(StepFailure) {
        do throws(NodeFailure) { try await supervisor.stop(node) } catch {
            throw StepFailure(awaited: "the end of \(node)", cameInstead: [error.reason])
        }
    }

    func start(_ node: String) async throws(StepFailure) {
        do throws(NodeFailure) { try await supervisor.start(node) } catch {
            throw StepFailure(awaited: "the start of \(node)", cameInstead: [error.reason])
        }
        if await supervisor.role(of: node) == .core { numbersBeginAgain() }
    }

    // MARK: The core

    /// Asks something of the core that it may refuse.
    func steer<Value>(
        _ awaited: String, _ call: (CoreInterface) async throws(HTTPCall.Failure) -> Value
    ) async throws(StepFailure) -> Value {
        do throws(HTTPCall.Failure) { return try await call(core) } catch {
            throw StepFailure(awaited: awaited, cameInstead: [error.description])
        }
    }

    func reset() async throws(StepFailure) {
        try await steer("the core to forget") { (core) throws(HTTPCall.Failure) in try await core.reset() }
        numbersBeginAgain()
        forgetFaults()
    }

    func change(_ fault: FaultStep) async throws(StepFailure) {
        switch fault {
        case .add(let rule, let name):
            let rule = try values.fill(json: rule)
            let id = try await steer("the core to take the fault \(rule)") { (core) throws(HTTPCall.Failure) in
                try await core.addFault(rule)
            }
            faults.append(id)
            if let name { namedFaults[name] = id }
        case .remove(let name):
            let id = try idOfFault(name)
            try await steer("the end of the fault \(name)") { (core) throws(HTTPCall.Failure) in try await core.removeFault(id) }
            faults.removeAll { $0 == id }
        case .removeAll:
            try await steer("the end of all faults") { (core) throws(HTTPCall.Failure) in try await core.removeFaults() }
            forgetFaults()
        }
    }

    func idOfFault(_ name: String) throws(StepFailure) -> String {
        if let id = namedFaults[name] { return id }
        throw StepFailure(awaited: "the fault \(name)", cameInstead: ["no step has made it, or a reset has removed it"])
    }

    private func forgetFaults() {
        faults = []
        namedFaults = [:]
    }

    /// A scenario's faults end with it. One that the core does not know any more is gone already.
    func removeFaults() async {
        for id in faults { try? await core.removeFault(id) }
        forgetFaults()
    }

    // MARK: HTTP

    func ask(_ step: HTTPStep) async throws(StepFailure) {
        let name = "\(step.method) \(step.url)"
        let answer = try await answer(to: step, name)
        let body = String(decoding: answer.body, as: UTF8.self)
        let hasStatus = step.status.map { answer.status == $0 } ?? (200...299).contains(answer.status)
        let wanted = step.status.map { "\($0)" } ?? "a status from 200 to 299"
        var differences = hasStatus ? [] : ["status \(answer.status)"]
        differences += (step.answer?.comparisons(with: body) ?? []).compactMap(\.fault)
        guard differences.isEmpty else {
            let awaited = "\(wanted) to \(name)" + (step.answer.map { " with \($0.text)" } ?? "")
            throw StepFailure(awaited: awaited, cameInstead: differences + ["the answer: \(ScenarioRunner.shortened(body))"])
        }
        try capture(step.capture, from: "the answer to \(name)", headers: { answer.values(of: $0) }, body: body)
    }

    private func answer(to step: HTTPStep, _ name: String) async throws(StepFailure) -> HTTPCall.Answer {
        guard var call = HTTPCall(method: step.method, url: step.url, timeoutMilliseconds: step.timeoutMilliseconds) else {
            throw StepFailure(awaited: "an address to ask", cameInstead: ["'\(step.url)' is none; write http://HOST:PORT/..."])
        }
        call.endsWithTask = true
        call.headers = step.headers.map { HTTPCall.Header(name: $0.name, value: $0.value) }
        switch step.body {
        case .text(let text): call.body = Array(text.utf8)
        case .json(let text):
            call.body = Array(text.utf8)
            if !step.names(header: "Content-Type") { call.headers.append(HTTPCall.Header(name: "Content-Type", value: "application/json")) }
        case nil: break
        }
        if !step.names(header: "Authorization") { call.token = token(for: call.base) }
        do throws(HTTPCall.Failure) { return try await call.answer() } catch {
            throw StepFailure(awaited: "an answer to \(name)", cameInstead: [error.description])
        }
    }

    /// The lab's own interfaces are asked with the token that the topology gives them.
    private func token(for base: String) -> String? {
        if base == core.base { return core.token }
        guard let lab = try? values.fill("${lab.http}"), base == lab else { return nil }
        return topology.lab.httpToken
    }

    // MARK: Commands

    func run(_ step: RunStep) async throws(StepFailure) {
        let name = "'\(step.command.joined(separator: " "))'"
        let process = ProcessSpec(node: "run", arguments: step.command, environment: step.environment, folder: topology.folder)
        let outcome = await supervisor.run(process, milliseconds: step.timeoutMilliseconds)
        let awaited = "\(name) to end with status \(step.status) within \(Duration.milliseconds(step.timeoutMilliseconds).text)"
        switch outcome.end {
        case .ended(.exited(Int32(step.status))): break
        case .ended(let cause): throw StepFailure(awaited: awaited, cameInstead: ["it \(cause)"] + printed(outcome))
        case .notStarted(let reason): throw StepFailure(awaited: awaited, cameInstead: [reason])
        case .timedOut: throw StepFailure(awaited: awaited, cameInstead: ["it went on, and was ended"] + printed(outcome))
        case .givenUp: throw StepFailure(awaited: awaited, cameInstead: ["it was given up"])
        }
        if let rule = step.output, let fault = rule.comparison(of: "output", with: [outcome.output]).fault {
            throw StepFailure(awaited: "\(name) to print \(rule.text)", cameInstead: [fault])
        }
        try capture(step.capture, from: "the output of \(name)", headers: { _ in [] }, body: outcome.output)
    }

    private func printed(_ outcome: CommandOutcome) -> [String] {
        outcome.output.isEmpty ? [] : ["printed: \(ScenarioRunner.shortened(outcome.output))"]
    }

    // MARK: Variables

    func capture(
        _ captures: [Capture], from source: String, headers: (String) -> [String], body: String
    ) throws(StepFailure) {
        for capture in captures {
            guard let value = capture.value(headers: headers, body: body) else {
                throw StepFailure(awaited: "\(capture.text) in \(source), for '\(capture.name)'", cameInstead: ["it is not there"])
            }
            values.set(capture.name, to: value)
        }
    }

    /// So much of a text as a person reads.
    static func shortened(_ text: String) -> String { text.count <= 2000 ? text : text.prefix(2000) + "…" }
}

extension HTTPStep {
    fileprivate func names(header: String) -> Bool { headers.contains { $0.name.lowercased() == header.lowercased() } }
}
