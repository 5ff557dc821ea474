// Scenarios: lists of steps, in the topology or in a file of their own.

/// What steps may name that earlier steps have made.
struct StepNames {
    var variables: Set<String> = []
    var faults: Set<String> = []
}

extension Reader {
    mutating func scenarios(_ node: Node?) -> [Scenario] {
        var scenarios: [Scenario] = []
        for entry in node?.entries ?? [] { scenarios.append(scenario(named: entry.key, steps: entry.value)) }
        return scenarios
    }

    mutating func scenario(named name: String, steps: Node) -> Scenario {
        var scenario = Scenario(name: name, steps: [])
        stepNames = StepNames()
        for element in steps.elements {
            guard let action = action(element) else { continue }
            let position = element.position
            scenario.steps.append(
                Step(file: file, line: position.line, column: position.column, text: Reader.stepText(element), action: action))
        }
        return scenario
    }

    private static func stepText(_ step: Node) -> String {
        if case .map = step.content { return String(step.flow.dropFirst().dropLast()) }
        return step.flow
    }

    /// A step is one thing to do or to await. A verb of a client may fail if it says so.
    private mutating func action(_ step: Node) -> Step.Action? {
        if step.text == StepKeys.reset.name { return .reset }
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
        let isVerb = !StepKeys.actions.contains { $0.name == entry.key }
        if !isVerb, let mayFail = step.entry(StepKeys.mayFail.name) {
            error(mayFail.position, "'may_fail' belongs to a client's verb; leave it out")
        }
        return isVerb ? verb(entry, mayFail: step[StepKeys.mayFail] ?? false) : action(entry, of: step)
    }

    private mutating func action(_ entry: Node.Entry, of step: Node) -> Step.Action? {
        switch entry.key {
        case StepKeys.expect.name: step[StepKeys.expect].flatMap { expectation($0) }
        case StepKeys.stop.name: startedNode(entry.value).map { .stop($0) }
        case StepKeys.start.name: startedNode(entry.value).map { .start($0) }
        case StepKeys.wait.name: step[StepKeys.wait].map { .wait(milliseconds: $0) }
        case StepKeys.advance.name: advance(step)
        case StepKeys.fault.name: step[StepKeys.fault].flatMap { faultStep($0) }.map { .fault($0) }
        case StepKeys.reset.name: step[StepKeys.reset].map { _ in .reset }
        case StepKeys.http.name: step[StepKeys.http].flatMap { http($0) }.map { .http($0) }
        case StepKeys.run.name: step[StepKeys.run].flatMap { run($0) }.map { .run($0) }
        default: step[StepKeys.set].map { .set(assignments($0)) }
        }
    }

    // MARK: Verbs

    private mutating func verb(_ entry: Node.Entry, mayFail: Bool) -> Step.Action? {
        guard let client = topology.clients.first(where: { $0.name == entry.key }) else {
            let names = topology.clients.map(\.name)
            let words = StepKeys.actions.map(\.name)
            let advice = Suggestion.nearest(to: entry.key, among: names + words).map { "write '\($0)'" }
            error(entry.position, "no client is called '\(entry.key)'; " + (advice ?? "add it to clients, or write expect, stop or start"))
            return nil
        }
        guard let text = stepText(entry.value) else { return nil }
        do throws(Wrong) {
            let verb = try Verb(text, receivers: topology.subscribers, isBuiltIn: client.launch == .builtIn("im-client"))
            return .verb(client: client.name, command: verb.command, mayFail: mayFail)
        } catch {
            errorOnce(entry.value.position, error.text)
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

    // MARK: Texts

    /// A text of a step, with what is yet to be filled in; each placeholder has to be known by then.
    mutating func stepText(_ node: Node?) -> String? {
        guard let node, let text = node.text else { return nil }
        for name in Placeholders.names(in: text) {
            if let fault = stepPlaceholderFault(name) { error(node.position, fault) }
        }
        return text
    }

    private func stepPlaceholderFault(_ name: String) -> String? {
        if name == "lab.http" {
            return topology.lab.http == nil ? "the lab has no interface of its own; add lab: {http: \"127.0.0.1:0\"}" : nil
        }
        guard name.hasPrefix(Placeholders.variables) else { return placeholderFault(name, client: nil) }
        let variable = String(name.dropFirst(Placeholders.variables.count))
        if stepNames.variables.contains(variable) { return nil }
        let advice = Suggestion.nearest(to: variable, among: stepNames.variables).map { "write '${var.\($0)}'" }
        return "no step before has given '\(variable)' a value; " + (advice ?? "write a step 'set: {\(variable): ...}' or a 'capture'")
    }

    /// An expression of a step; what is filled in stands for itself.
    mutating func stepExpression(_ key: Key<String>, in node: Node) -> String? { stepExpression(node[node: key]) }

    mutating func stepExpression(_ node: Node?) -> String? {
        guard let node, let text = stepText(node) else { return nil }
        if let fault = surroundings.expressionFault(Placeholders.replaced(in: text, with: "x")) { errorOnce(node.position, fault) }
        return text
    }
}
