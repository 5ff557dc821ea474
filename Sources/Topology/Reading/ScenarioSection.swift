// Scenarios: lists of steps, in the topology or in a file of their own.

extension Reader {
    mutating func scenarios(_ node: Node?) -> [Scenario] {
        var scenarios: [Scenario] = []
        for entry in node?.entries ?? [] { scenarios.append(scenario(named: entry.key, steps: entry.value)) }
        return scenarios
    }

    mutating func scenario(named name: String, steps: Node) -> Scenario {
        var scenario = Scenario(name: name, steps: [])
        for element in steps.elements {
            guard let action = action(element) else { continue }
            scenario.steps.append(
                Step(file: file, line: element.position.line, text: String(element.flow.dropFirst().dropLast()), action: action))
        }
        return scenario
    }

    /// A step is one thing: an expectation, a node to stop or start, or a verb of a client, which may fail if it says so.
    private mutating func action(_ step: Node) -> Step.Action? {
        guard case .map(let entries) = step.content else { return nil }
        let actions = entries.filter { $0.key != StepKeys.mayFail.name }
        guard let entry = actions.first else {
            error(step.position, "the step does nothing; write 'CLIENT: VERB', 'expect: {...}', 'stop: NODE' or 'start: NODE'")
            return nil
        }
        if let second = actions.dropFirst().first {
            error(second.position, "'\(entry.key)' and '\(second.key)' are two steps; write a dash before each of them")
            return nil
        }
        let isVerb = ![StepKeys.expect.name, StepKeys.stop.name, StepKeys.start.name].contains(entry.key)
        if !isVerb, let mayFail = step.entry(StepKeys.mayFail.name) {
            error(mayFail.position, "'may_fail' belongs to a client's verb; leave it out")
        }
        switch entry.key {
        case StepKeys.expect.name: return step[StepKeys.expect].flatMap { expectation($0) }.map { .expect($0) }
        case StepKeys.stop.name: return startedNode(entry.value).map { .stop($0) }
        case StepKeys.start.name: return startedNode(entry.value).map { .start($0) }
        default: return verb(entry, mayFail: step[StepKeys.mayFail] ?? false)
        }
    }

    // MARK: Verbs

    private mutating func verb(_ entry: Node.Entry, mayFail: Bool) -> Step.Action? {
        guard let client = topology.clients.first(where: { $0.name == entry.key }) else {
            let names = topology.clients.map(\.name)
            let words = [StepKeys.expect.name, StepKeys.stop.name, StepKeys.start.name]
            let advice = Suggestion.nearest(to: entry.key, among: names + words).map { "write '\($0)'" }
            error(entry.position, "no client is called '\(entry.key)'; " + (advice ?? "add it to clients, or write expect, stop or start"))
            return nil
        }
        guard let text = entry.value.text else { return nil }
        do throws(Wrong) {
            let verb = try Verb(text, receivers: topology.subscribers, isBuiltIn: client.launch == .builtIn("im-client"))
            return .verb(client: client.name, command: verb.command, mayFail: mayFail)
        } catch {
            self.error(entry.value.position, error.text)
            return nil
        }
    }

    // MARK: Nodes

    /// A node that the lab starts.
    private mutating func startedNode(_ node: Node) -> String? {
        guard let name = node.text else { return nil }
        if name == "core" { return name }
        let launches =
            topology.applicationServers.map { ($0.name, $0.launch) } + topology.networks.map { ($0.domain, $0.launch) }
            + topology.clients.map { ($0.name, $0.launch) }
        guard let launch = launches.first(where: { $0.0 == name })?.1 else {
            error(
                node.position,
                unknown("node of the lab", name, among: ["core"] + launches.map(\.0), section: "application_servers, networks or clients"))
            return nil
        }
        if launch == .external {
            error(node.position, "the lab does not start '\(name)'; write 'run' or 'command' for it, or another node")
            return nil
        }
        return name
    }

    // MARK: Expectations

    private mutating func expectation(_ node: Node) -> Expectation? {
        guard let at = node[ExpectKeys.at], let place = node[node: ExpectKeys.at] else { return nil }
        checkExpectedNode(at, place.position)
        checkExpectedMessage(node)
        var expectation = Expectation(node: at)
        expectation.request = node[ExpectKeys.request]
        expectation.response = node[ExpectKeys.response]
        expectation.responseTo = node[ExpectKeys.to]
        for header in node[ExpectKeys.headers]?.entries ?? [] {
            for value in Codec<[String]>.oneOrMore(.text).read(header.value) ?? [] {
                expectation.headers.append(HeaderExpectation(name: header.key, value: value))
            }
        }
        expectation.body = node[ExpectKeys.body]
        expectation.withinMilliseconds = node[ExpectKeys.within] ?? expectation.withinMilliseconds
        expectation.stored = node[ExpectKeys.stored]
        expectation.inOrder = node[ExpectKeys.inOrder] ?? false
        for key in [ExpectKeys.request, ExpectKeys.to] {
            if let method = node[key], let value = node[node: key] { warnOfNearMiss(method, at: value.position) }
        }
        if let stored = node.entry(ExpectKeys.stored.name) { checkStored(at, stored) }
        return expectation
    }

    private mutating func checkExpectedNode(_ name: String, _ position: Position) {
        let names = topology.applicationServers.map(\.name) + topology.networks.map(\.domain) + topology.clients.map(\.name)
        if name == "core" {
            error(position, "every message passes the core; write the node at its other end")
        } else if !names.contains(name) {
            error(position, unknown("node", name, among: names, section: "application_servers, networks or clients"))
        }
    }

    /// One of a request, a response and a number of stored messages is awaited, and the rest belongs to it.
    private mutating func checkExpectedMessage(_ node: Node) {
        let subjects = node.entries.filter { ["request", "response", "stored"].contains($0.key) }
        guard let subject = subjects.first else {
            // A key that was written wrong is reported already, and may be the one that is missing.
            let known = ExpectKeys.shape.keys.map(\.name)
            if node.entries.contains(where: { !known.contains($0.key) }) { return }
            return error(node.position, "nothing is awaited; write 'request: METHOD', 'response: STATUS' or 'stored: NUMBER'")
        }
        if let second = subjects.dropFirst().first {
            error(second.position, "'\(subject.key)' and '\(second.key)' are two expectations; write a step for each of them")
        }
        if let to = node.entry(ExpectKeys.to.name), subject.key != "response" {
            error(to.position, "'to' says which method a response answers; write it beside 'response', or leave it out")
        }
        guard subject.key == "stored" else { return }
        for name in ["headers", "body", "in_order"] {
            if let entry = node.entry(name) { error(entry.position, "'\(name)' belongs to a message; leave it out beside 'stored'") }
        }
    }

    private mutating func checkStored(_ name: String, _ stored: Node.Entry) {
        let isBuiltIn = topology.applicationServers.contains { $0.name == name && $0.launch == .builtIn("im-server") }
        if !isBuiltIn { error(stored.position, "'\(name)' does not tell what it has stored; write 'at:' a server with 'run: im-server'") }
    }
}
