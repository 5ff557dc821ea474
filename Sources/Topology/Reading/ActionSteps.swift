// Steps that do something to the lab or outside of it: `advance`, `fault`, `http`, `run`, `set`.

import JSONText

extension Reader {
    mutating func advance(_ step: Node) -> Step.Action? {
        guard let milliseconds = step[StepKeys.advance], let place = step[node: StepKeys.advance] else { return nil }
        if !topology.core.clockIsVirtual {
            warn(place.position, "the core's clock is real and will refuse to be moved; write 'clock: virtual' in core")
        }
        return .advance(by: DurationText.written(milliseconds))
    }

    mutating func assignments(_ node: Node) -> [Step.Assignment] {
        let assignments = texts(node)
        if case .map(let entries) = node.content, entries.isEmpty {
            error(node.position, "nothing is set; write NAME: VALUE, one for each variable")
        }
        stepNames.variables.formUnion(assignments.map(\.name))
        return assignments
    }

    /// Names and texts, in their order.
    private mutating func texts(_ node: Node?) -> [Step.Assignment] {
        var texts: [Step.Assignment] = []
        for entry in node?.entries ?? [] {
            if let value = stepText(entry.value) { texts.append(Step.Assignment(name: entry.key, value: value)) }
        }
        return texts
    }

    // MARK: Faults

    mutating func faultStep(_ node: Node) -> FaultStep? {
        guard case .map(let entries) = node.content else { return node.text == "reset" ? .removeAll : nil }
        if let end = node[FaultStepKeys.end], let place = node[node: FaultStepKeys.end] {
            if let other = entries.first(where: { $0.key != FaultStepKeys.end.name }) {
                error(other.position, "'end' stands alone; write a step for each fault")
            }
            checkFaultName(end, place.position)
            return .remove(name: end)
        }
        if node[node: FaultKeys.action] == nil { error(node.position, Reader.noAction) }
        guard fault(node) != nil else { return nil }
        checkPeer(node)
        for entry in entries { checkTexts(entry.value) }
        let name = node[FaultStepKeys.name]
        if let name { stepNames.faults.insert(name) }
        return .add(rule: FaultStepKeys.rule(node).written, name: name)
    }

    private mutating func checkPeer(_ node: Node) {
        guard let peer = node[FaultKeys.peer], let place = node[node: FaultKeys.peer], !Placeholders.areIn(peer) else { return }
        // An address will do too.
        if HostText.split(peer)?.port != nil { return }
        let names =
            topology.applicationServers.map(\.name) + topology.networks.map(\.domain) + topology.clients.map(\.name) + subscriberNames
        guard !names.contains(peer), !topology.subscribers.contains(where: { $0.name.contains(peer) }) else { return }
        var known: [String] = []
        for name in names where !known.contains(name) { known.append(name) }
        error(place.position, unknown("node", peer, among: known, section: "application_servers, networks or clients"))
    }

    /// All texts within a value.
    private mutating func checkTexts(_ node: Node) {
        switch node.content {
        case .text: _ = stepText(node)
        case .list(let elements): for element in elements { checkTexts(element) }
        case .map(let entries): for entry in entries { checkTexts(entry.value) }
        case .unreadable: break
        }
    }

    // MARK: HTTP

    mutating func http(_ node: Node) -> HTTPStep? {
        guard let url = stepText(node[node: HTTPKeys.url]), let place = node[node: HTTPKeys.url] else { return nil }
        if !url.hasPrefix("http://"), !url.hasPrefix("${") {
            error(
                place.position,
                "'\(url)' is no address that can be asked; write one such as ${core.http}/api/health or http://HOST:PORT/...")
        }
        var step = HTTPStep(method: node[HTTPKeys.method] ?? "GET", url: url)
        step.headers = texts(node[HTTPKeys.headers])
        if let json = node.entry(HTTPKeys.json.name) {
            checkTexts(json.value)
            step.body = .json(JSON(json.value).written)
            if let body = node.entry(HTTPKeys.body.name) {
                error(max(body.position, json.position), "'json' and 'body' exclude each other; write one of them")
            }
        } else if let text = stepText(node[node: HTTPKeys.body]) {
            step.body = .text(text)
        }
        if step.body != nil, node[HTTPKeys.method] == nil { step.method = "POST" }
        step.status = node[HTTPKeys.status]
        step.answer = node[HTTPKeys.expect].flatMap { body($0) }
        step.capture = captures(node[HTTPKeys.capture], alone: .json)
        step.timeoutMilliseconds = node[HTTPKeys.timeout] ?? step.timeoutMilliseconds
        return step
    }

    // MARK: Commands

    mutating func run(_ node: Node) -> RunStep? {
        guard case .map = node.content else { return command(node).map { RunStep(command: $0) } }
        guard let words = node[node: RunKeys.command], let command = command(words) else { return nil }
        var step = RunStep(command: command)
        for assignment in texts(node[LaunchKeys.environment]) { step.environment[assignment.name] = assignment.value }
        step.status = node[RunKeys.status] ?? 0
        step.output = node[RunKeys.output].flatMap { rule($0) }
        step.capture = captures(node[RunKeys.capture], alone: .pattern)
        step.timeoutMilliseconds = node[RunKeys.timeout] ?? step.timeoutMilliseconds
        return step
    }

    private mutating func command(_ node: Node) -> [String]? {
        var words: [String] = []
        for element in node.elements {
            if let word = stepText(element) { words.append(word) }
        }
        return words.isEmpty ? nil : words
    }
}
