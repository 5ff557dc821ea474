// Nodes that validation has seen to a topology. Here values are held against one another: names that must exist, limits
// that must be in order, addresses that must be reachable. A value that validation has found wrong reads as nil and is
// passed over, so that no fault is reported twice.

struct Reader {
    let file: String
    let folder: String
    let surroundings: Surroundings
    var topology: Topology
    /// The topology's own faults, and then those of documents that it names.
    private var faults: [Fault] = []
    private var reported: Set<Fault> = []
    private var documentFaults: [Fault] = []
    /// Files of `profile_xml` that were read, by their names; nil: nothing can be taken from one, which has been said.
    var profileTrees: [String: ProfileTree?] = [:]
    /// What the steps of the scenario that is being read have named so far.
    var stepNames = StepNames()
    /// Whether a criterion or a subscriber names an application server that does not exist.
    var hasUnknownServers = false

    init(file: String, surroundings: Surroundings) {
        self.file = file
        self.surroundings = surroundings
        folder = Path.absolute(Path.folder(of: Path.absolute(file, from: surroundings.workingFolder)), from: "/")
        topology = Topology(file: file, folder: folder, domain: "home.invalid", core: CoreSettings())
    }

    // MARK: Faults

    /// - Parameter missing: a key that has to stand beside what is there, or in it.
    mutating func error(_ position: Position, _ text: String, missing: String? = nil) { report(.error, position, text, missing) }

    /// Only where nothing is wrong yet: the reading of the value has said it better.
    mutating func errorOnce(_ position: Position, _ text: String) {
        let isKnown = faults.contains { $0.severity == .error && ($0.line, $0.column) == (position.line, position.column) }
        if !isKnown { error(position, text) }
    }

    mutating func warn(_ position: Position, _ text: String) { report(.warning, position, text, nil) }

    private mutating func report(_ severity: Fault.Severity, _ position: Position, _ text: String, _ missing: String?) {
        let fault = Fault(severity, file: file, line: position.line, column: position.column, text: text, missing: missing)
        // An alias brings one value to several places; it is wrong once.
        if reported.insert(fault).inserted { faults.append(fault) }
    }

    mutating func add(_ faults: [Fault]) { documentFaults += faults }

    /// Whether something is wrong within a node: what is odd about that may come of it, and is not looked for.
    func hasErrors(in node: Node) -> Bool {
        let errors = faults.filter { $0.severity == .error }
        guard !errors.isEmpty else { return false }
        let lines = node.position.line...node.lastLine
        return errors.contains { lines.contains($0.line) }
    }

    /// Whether a document that a subscriber names is no good.
    var hasErrorsInDocuments: Bool { documentFaults.contains { $0.severity == .error } }

    /// By line and column; what stands at one place keeps its order.
    var sortedFaults: [Fault] {
        let own = faults.enumerated().sorted { a, b in
            (a.element.line, a.element.column, a.offset) < (b.element.line, b.element.column, b.offset)
        }
        return own.map(\.element) + documentFaults
    }

    // MARK: Documents

    /// The root of a document that has this shape; nil if there is nothing to read on with.
    mutating func document(_ text: String, of shape: ObjectShape, orElse advice: String) -> Node? {
        guard let root = yaml(text, orElse: advice) else { return nil }
        validate(root, .object(shape), as: shape.what)
        guard case .map = root.content else { return nil }
        return root
    }

    /// A file of scenarios: a map with them, or one list of steps.
    mutating func scenarioDocument(_ text: String) -> Node? {
        guard let root = yaml(text, orElse: "write 'scenarios:' and lists of steps, or one list of steps") else { return nil }
        if case .list = root.content {
            validate(root, ScenarioKeys.steps.shape, as: "the scenario")
        } else {
            validate(root, .object(ScenarioKeys.fileShape), as: ScenarioKeys.fileShape.what)
        }
        return root
    }

    private mutating func yaml(_ text: String, orElse advice: String) -> Node? {
        let document = YAMLDocument(text: text, environment: surroundings.environment)
        for fault in document.faults { error(fault.position, fault.text) }
        if document.root == nil, document.faults.isEmpty { error(Position(line: 1, column: 1), "the file is empty; \(advice)") }
        return document.root
    }

    mutating func validate(_ root: Node, _ shape: Shape, as name: String) {
        var validation = Validation()
        validation.check(root, against: shape, as: name)
        for fault in validation.faults { error(fault.position, fault.text) }
    }

    // MARK: The topology

    /// - Parameter subscribers: reads these, where they are not as usual below the root.
    mutating func readTopology(_ root: Node, subscribers: ((inout Reader) -> Void)? = nil) {
        topology.domain = root[RootKeys.domain]?.lowercased() ?? topology.domain
        let core = root[RootKeys.core]
        readCore(core ?? Node(content: .map([]), position: root.position))
        readServers(root[RootKeys.servers])
        readNetworks(root[RootKeys.networks])
        readProfiles(root[RootKeys.profiles])
        if let subscribers { subscribers(&self) } else { readSubscribers(root[RootKeys.subscribers]) }
        warnOfIdleServers(root)
        readClients(root[RootKeys.clients])
        checkNodeNames(root)
        readLab(root[RootKeys.lab])
        readFaults(root[node: RootKeys.faults]?.elements ?? [])
        topology.scenarios = scenarios(root[node: RootKeys.scenarios])
    }

    // MARK: What several sections need

    /// A key's file name, absolute.
    func file(_ key: Key<String>, in node: Node) -> String? { node[key].map { Path.absolute($0, from: folder) } }

    /// An expression that validation has found nothing wrong with is compiled.
    mutating func expression(_ key: Key<String>, in node: Node) -> String? {
        guard let expression = node[key] else { return nil }
        if let value = node[node: key], let fault = surroundings.expressionFault(expression) { error(value.position, fault) }
        return expression
    }

    /// A control interface that others can reach asks for a token.
    mutating func checkToken(_ node: Node, _ http: Key<HostPort>, _ token: Key<String>, _ section: String) {
        guard let address = node[http], let value = node[node: http], node[token] == nil, !HostText.isLoopback(address.host) else { return }
        error(
            value.position,
            "\(address.host) is not loopback, and whoever reaches it could steer the lab; write \(section).http_token too, or 127.0.0.1")
    }

    /// What to write in place of a name that is not known.
    func unknown(_ what: String, _ name: String, among known: [String], section: String) -> String {
        "no \(what) is called '\(name)'; " + Suggestion.advice(for: name, among: known, otherwise: "add it to \(section)")
    }
}
