// The step `expect`, and what it has in common with others: rules for values, bodies, counts, captures.

extension Reader {
    mutating func expectation(_ node: Node) -> Step.Action? {
        if node.entry(ExpectKeys.fault.name) != nil || node.entry(ExpectKeys.hits.name) != nil {
            return hits(node).map { .expectHits($0) }
        }
        return message(node).map { .expect($0) }
    }

    private mutating func message(_ node: Node) -> Expectation? {
        guard let at = node[ExpectKeys.at], let place = node[node: ExpectKeys.at] else {
            missingNode(node)
            return nil
        }
        checkExpectedNode(at, place.position)
        checkExpectedMessage(node)
        var expectation = Expectation(node: at)
        expectation.request = node[ExpectKeys.request]
        expectation.response = node[ExpectKeys.response]
        expectation.responseTo = node[ExpectKeys.to]
        for header in node[ExpectKeys.headers]?.entries ?? [] {
            for rule in rules(header.value) { expectation.headers.append(HeaderExpectation(name: header.key, rule: rule)) }
        }
        expectation.body = node[ExpectKeys.body].flatMap { body($0) }
        expectation.withinMilliseconds = node[ExpectKeys.within] ?? expectation.withinMilliseconds
        expectation.stored = node[ExpectKeys.stored]
        expectation.inOrder = node[ExpectKeys.inOrder] ?? false
        expectation.count = expectedCount(node)
        expectation.capture = captures(node[ExpectKeys.capture], alone: .header)
        for key in [ExpectKeys.request, ExpectKeys.to] {
            if let method = node[key], let value = node[node: key] { warnOfNearMiss(method, at: value.position) }
        }
        if let stored = node.entry(ExpectKeys.stored.name) { checkStored(at, stored) }
        return expectation
    }

    private mutating func missingNode(_ node: Node) {
        // A key that was written wrong is reported already, and may be the one that is missing.
        let isMisspelt = node.entries.contains { Suggestion.nearest(to: $0.key, among: ExpectKeys.shape.keys.map(\.name)) == "at" }
        if isMisspelt { return }
        error(node.position, "'at' is missing in expect; write 'at: ...': the node at which the message is awaited")
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
        for key in [
            ExpectKeys.headers.any, ExpectKeys.body.any, ExpectKeys.inOrder.any, ExpectKeys.count.any, ExpectKeys.never.any,
            ExpectKeys.capture.any,
        ] {
            if let entry = node.entry(key.name) {
                error(entry.position, "'\(key.name)' belongs to a message; leave it out beside 'stored'")
            }
        }
    }

    private mutating func checkStored(_ name: String, _ stored: Node.Entry) {
        let isBuiltIn = topology.applicationServers.contains { $0.name == name && $0.launch == .builtIn("im-server") }
        if !isBuiltIn { error(stored.position, "'\(name)' does not tell what it has stored; write 'at:' a server with 'run: im-server'") }
    }

    private mutating func expectedCount(_ node: Node) -> Count {
        guard node[ExpectKeys.never] != nil, let never = node.entry(ExpectKeys.never.name) else {
            return node[ExpectKeys.count].flatMap { count($0) } ?? Count()
        }
        for name in [ExpectKeys.count.name, ExpectKeys.capture.name] {
            if let entry = node.entry(name) {
                error(max(entry.position, never.position), "'never' and '\(name)' exclude each other; leave one of them out")
            }
        }
        return Count(least: 0, most: 0)
    }

    // MARK: Hits

    private mutating func hits(_ node: Node) -> HitsExpectation? {
        for entry in node.entries where ![ExpectKeys.fault.name, ExpectKeys.hits.name, ExpectKeys.within.name].contains(entry.key) {
            guard ExpectKeys.shape.keys.contains(where: { $0.name == entry.key }) else { continue }
            error(entry.position, "'\(entry.key)' belongs to a message; leave it out beside 'fault'")
        }
        guard let name = node[ExpectKeys.fault], let place = node[node: ExpectKeys.fault] else {
            error(node.position, "'fault' is missing beside 'hits'; write the name of one, from 'fault: {..., as: NAME}'")
            return nil
        }
        checkFaultName(name, place.position)
        guard let number = node[ExpectKeys.hits] else {
            error(node.position, "'hits' is missing beside 'fault'; write how many messages it has befallen, such as 'hits: 1'")
            return nil
        }
        guard let hits = count(number) else { return nil }
        var expectation = HitsExpectation(fault: name, hits: hits)
        expectation.withinMilliseconds = node[ExpectKeys.within] ?? expectation.withinMilliseconds
        return expectation
    }

    mutating func checkFaultName(_ name: String, _ position: Position) {
        if stepNames.faults.contains(name) { return }
        let advice = Suggestion.nearest(to: name, among: stepNames.faults).map { "write '\($0)'" }
        error(position, "no step before has a fault '\(name)'; " + (advice ?? "write 'as: \(name)' in the step that makes it"))
    }

    /// A number, or bounds.
    private mutating func count(_ node: Node) -> Count? {
        guard case .map = node.content else {
            return node.text.flatMap { Int($0) }.map { Count(least: $0, most: $0) }
        }
        let count = Count(least: node[CountKeys.min] ?? 0, most: node[CountKeys.max])
        if node.entries.isEmpty {
            error(node.position, "the count has no bound; write a number, or min, or max")
        } else if let most = count.most, most < count.least, let max = node[node: CountKeys.max] {
            error(max.position, "'max' is less than 'min'; write at least \(count.least)")
        }
        return count
    }

    // MARK: Rules

    private mutating func rules(_ node: Node) -> [TextRule] {
        guard case .list(let elements) = node.content else { return rule(node).map { [$0] } ?? [] }
        var rules: [TextRule] = []
        for element in elements {
            if let rule = rule(element) { rules.append(rule) }
        }
        return rules
    }

    /// A text, or one of `pattern`, `absent`, `present`.
    mutating func rule(_ node: Node) -> TextRule? {
        guard case .map = node.content else { return stepText(node).map { .value($0) } }
        guard hasOneKey(node, of: RuleKeys.keys) else { return nil }
        if let pattern = stepExpression(RuleKeys.pattern, in: node) { return .matches(pattern) }
        if node[RuleKeys.absent] != nil { return .absent }
        return node[RuleKeys.present].map { _ in .present }
    }

    /// Whether there is one of the keys and no more; what validation has found is not reported again.
    private mutating func hasOneKey(_ node: Node, of keys: [AnyKey]) -> Bool {
        let names = keys.map(\.name)
        let entries = node.entries.filter { names.contains($0.key) }
        if let second = entries.dropFirst().first {
            error(second.position, "'\(entries[0].key)' and '\(second.key)' exclude each other; write one of them")
            return false
        }
        if entries.isEmpty, node.entries.isEmpty {
            error(node.position, "nothing is said here; write one of \(names.joined(separator: ", "))")
        }
        return !entries.isEmpty
    }

    mutating func body(_ node: Node) -> BodyExpectation? {
        guard case .map = node.content else { return rule(node).map { .text($0) } }
        guard hasOneKey(node, of: BodyKeys.shape.keys) else { return nil }
        if let xml = node[BodyKeys.xml] { return .xml(pathRules(xml, fault: DocumentPath.xmlFault)) }
        if let json = node[BodyKeys.json] { return .json(pathRules(json, fault: DocumentPath.jsonFault)) }
        return rule(node).map { .text($0) }
    }

    private mutating func pathRules(_ node: Node, fault: (String) -> String?) -> [PathRule] {
        var rules: [PathRule] = []
        for entry in node.entries {
            if let text = fault(entry.key) { error(entry.position, text) }
            if let rule = rule(entry.value) { rules.append(PathRule(path: entry.key, rule: rule)) }
        }
        if rules.isEmpty, node.entries.isEmpty { error(node.position, "no path is given; write one and what its value is") }
        return rules
    }

    // MARK: Captures

    /// What a capture means that is a text alone.
    enum LoneCapture { case header, json, pattern }

    /// The variables are known from the next step on.
    mutating func captures(_ node: Node?, alone: LoneCapture) -> [Capture] {
        var captures: [Capture] = []
        for entry in node?.entries ?? [] {
            if let capture = capture(entry, alone: alone) { captures.append(capture) }
        }
        stepNames.variables.formUnion(node?.entries.map(\.key) ?? [])
        return captures
    }

    private mutating func capture(_ entry: Node.Entry, alone: LoneCapture) -> Capture? {
        let node = entry.value
        guard case .map = node.content else {
            guard let text = stepText(node) else { return nil }
            switch alone {
            case .header: return Capture(name: entry.key, source: .header(text))
            case .json:
                if let fault = DocumentPath.jsonFault(text) { error(node.position, fault) }
                return Capture(name: entry.key, source: .json(path: text))
            case .pattern: return stepExpression(node).map { Capture(name: entry.key, source: .body, pattern: $0) }
            }
        }
        let pattern = stepExpression(CaptureKeys.pattern, in: node)
        let sources = [CaptureKeys.header.any, CaptureKeys.xml.any, CaptureKeys.json.any, CaptureKeys.body.any]
        guard hasOneKey(node, of: sources) else {
            if pattern != nil, !node.entries.contains(where: { entry in sources.contains { $0.name == entry.key } }) {
                return Capture(name: entry.key, source: .body, pattern: pattern)
            }
            return nil
        }
        return source(node).map { Capture(name: entry.key, source: $0, pattern: pattern) }
    }

    private mutating func source(_ node: Node) -> Capture.Source? {
        if let header = node[CaptureKeys.header] { return .header(header) }
        if let path = node[CaptureKeys.xml], let place = node[node: CaptureKeys.xml] {
            if let fault = DocumentPath.xmlFault(path) { error(place.position, fault) }
            return .xml(path: path)
        }
        if let path = node[CaptureKeys.json], let place = node[node: CaptureKeys.json] {
            if let fault = DocumentPath.jsonFault(path) { error(place.position, fault) }
            return .json(path: path)
        }
        return node[CaptureKeys.body].map { _ in .body }
    }
}
