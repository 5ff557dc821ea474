// The entry of the module: a file's text to a topology, or to everything that is wrong with it.

/// What reading a topology needs of the world around it. The module itself opens no file and reads no environment.
public struct Surroundings: Sendable {
    /// Values of `${env:NAME}`; nil: nobody who is asked from afar looks at them.
    public var environment: [String: String]?
    /// Absolute; a relative name of the topology file starts here.
    public var workingFolder: String
    /// The lab chooses ports that are written 0 before it starts a core; the core alone refuses them in a `uri`.
    public var isLab: Bool
    /// The bytes of a file that the topology names, by its absolute path.
    public var readFile: @Sendable (_ path: String) throws(UnreadableFile) -> [UInt8]
    /// What is wrong with a POSIX extended regular expression (`what is wrong; what to write instead`), nil if nothing is.
    public var expressionFault: @Sendable (_ expression: String) -> String?
    /// What is wrong with certificates and keys, nil if nothing is.
    public var tlsFault: @Sendable (_ files: TLSFiles) -> TLSFileFault?

    public init(
        environment: [String: String]?, workingFolder: String, isLab: Bool = false,
        readFile: @escaping @Sendable (_ path: String) throws(UnreadableFile) -> [UInt8],
        expressionFault: @escaping @Sendable (_ expression: String) -> String?,
        tlsFault: @escaping @Sendable (_ files: TLSFiles) -> TLSFileFault?
    ) {
        self.environment = environment
        self.workingFolder = workingFolder
        self.isLab = isLab
        self.readFile = readFile
        self.expressionFault = expressionFault
        self.tlsFault = tlsFault
    }
}

/// What is wrong with one of the files of `core.tls`.
public struct TLSFileFault: Sendable {
    public enum File: Sendable { case certificate, key, trust }
    public var file: File
    /// What is wrong; what to write instead.
    public var text: String
    public init(_ file: File, _ text: String) {
        self.file = file
        self.text = text
    }
}

/// Why a file that a topology names could not be read: `no such file`.
public struct UnreadableFile: Error, Sendable {
    public var reason: String
    public init(reason: String) { self.reason = reason }
}

/// What came of a topology file.
public struct LoadResult: Sendable {
    /// nil if there is an error among the faults.
    public var topology: Topology?
    /// All of them, in the order of their places; those of a document that the topology names follow its own.
    public var faults: [Fault]

    public var hasErrors: Bool { faults.contains { $0.severity == .error } }
}

extension Topology {
    /// Reads and validates a whole topology.
    ///
    /// - Parameters:
    ///   - file: as it was named on the command line; it stands in faults, and its folder is where relative names start.
    ///   - text: what the file holds.
    public static func load(file: String, text: String, in surroundings: Surroundings) -> LoadResult {
        if let parts = SubscriberParts(of: text), let topology = Reader.topology(from: parts, file: file, in: surroundings) {
            return LoadResult(topology: topology, faults: [])
        }
        var reader = Reader(file: file, surroundings: surroundings)
        guard let root = reader.document(text, of: RootKeys.shape, orElse: "write at least 'domain: home1.test'") else {
            return LoadResult(topology: nil, faults: reader.sortedFaults)
        }
        reader.readTopology(root)
        let faults = reader.sortedFaults
        let isRight = !faults.contains { $0.severity == .error }
        return LoadResult(topology: isRight ? reader.topology : nil, faults: faults)
    }

    /// Reads a file of scenarios for this topology: `scenarios:` with lists of steps by name, or one list of steps, which
    /// then is called as the file is.
    public func loadScenarios(file: String, text: String, in surroundings: Surroundings) -> (scenarios: [Scenario], faults: [Fault]) {
        var reader = Reader(file: file, surroundings: surroundings)
        reader.topology = self
        let name = Path.baseName(file)
        guard let root = reader.scenarioDocument(text) else { return ([], reader.sortedFaults) }
        let scenarios: [Scenario]
        if case .list = root.content {
            scenarios = [reader.scenario(named: name, steps: root)]
        } else {
            scenarios = reader.scenarios(root[node: RootKeys.scenarios])
        }
        return (reader.sortedFaults.contains { $0.severity == .error } ? [] : scenarios, reader.sortedFaults)
    }
}
