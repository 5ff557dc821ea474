// `sipcore core TOPOLOGY`: the SIP/IP core alone, in the foreground.

import ArgumentParser
import ControlHTTP
import FaultRules
import Logging
import NodeRuntime
import SCSCF
import SansIO
import Store
import Topology

struct CoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "core", abstract: "Run the SIP/IP core of a topology alone, in the foreground.")

    @Argument(help: "The topology file.", completion: .file())
    var topology: String

    @Option(name: .customLong("set"), help: .hidden)
    var settings: [String] = []

    @OptionGroup var shared: SharedOptions

    mutating func run() async throws {
        let logger = shared.startLogging("core")
        let signals = try TerminationSignals()
        // A lab fills in what the file leaves open; alone there is nobody to do that.
        var topology = try TopologyFile.load(topology, isLab: !settings.isEmpty)
        var surroundings = CoreSurroundings(isLab: !settings.isEmpty)
        for setting in settings where try !surroundings.take(setting: setting) { try topology.apply(setting: setting) }
        let process = try CoreProcess(topology, surroundings, logger)
        try await process.run(until: signals, readyFile: shared.readyFile)
    }
}

extension Topology {
    /// `core.listen=udp://127.0.0.1:5060,...`, `core.http=127.0.0.1:8080`, `core.database=FILE`, `core.tls.certificate=FILE` and its like,
    /// `application_servers.NAME.uri=sip:...`: what a lab has chosen in place of the file's.
    fileprivate mutating func apply(setting: String) throws(CommandFailure) {
        let parts = setting.split(separator: "=", maxSplits: 1).map(String.init)
        guard parts.count == 2 else { throw CommandFailure(status: 2, text: "--set \(setting): write KEY=VALUE") }
        let path = parts[0].split(separator: ".").map(String.init)
        switch path {
        case ["core", "listen"]:
            core.listen = try parts[1].split(separator: ",").map { (text) throws(CommandFailure) in try listener(String(text)) }
        case ["core", "http"]:
            let address = try Endpoint(httpArgument: parts[1])
            core.http = HostPort(host: address.address.text, port: address.port)
        case ["core", "database"]: core.database = parts[1]
        case ["core", "tls", "certificate"]:
            core.tls.certificate = try file(parts[1], of: setting)
            core.tls.madeFile = parts[1]
        case ["core", "tls", "key"]: core.tls.key = try file(parts[1], of: setting)
        case ["core", "tls", "trust"]: core.tls.trust = try file(parts[1], of: setting)
        case let path where path.count >= 3 && path.first == "application_servers" && path.last == "uri":
            let name = path.dropFirst().dropLast().joined(separator: ".")
            guard let index = applicationServers.firstIndex(where: { $0.name == name }) else {
                throw CommandFailure(status: 2, text: "--set \(setting): there is no application server '\(name)'")
            }
            replaceURI(of: index, with: parts[1])
        default:
            throw CommandFailure(status: 2, text: "--set \(setting): this cannot be set")
        }
    }

    private func file(_ path: String, of setting: String) throws(CommandFailure) -> [UInt8] {
        do throws(FileFailure) { return try Descriptor.contents(of: path) } catch {
            throw CommandFailure(status: 3, text: "--set \(setting): \(error.reason)")
        }
    }

    private func listener(_ text: String) throws(CommandFailure) -> Topology::ListenAddress {
        let address = try NodeRuntime::ListenAddress(argument: text, among: Transport.allCases)
        let host = address.endpoint.address.text
        return Topology::ListenAddress(
            transport: TransportName(rawValue: "\(address.transport.name)") ?? .udp,
            host: host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host,
            port: address.endpoint.port)
    }

    /// In the server itself, and in every criterion that names it.
    mutating func replaceURI(of index: Int, with uri: String) {
        let name = applicationServers[index].name
        applicationServers[index].uri = uri
        func replace(_ criteria: inout [FilterCriterion]) {
            for i in criteria.indices where criteria[i].applicationServer == name { criteria[i].serverURI = uri }
        }
        for i in serviceProfiles.indices { replace(&serviceProfiles[i].filterCriteria) }
        for i in subscribers.indices {
            replace(&subscribers[i].filterCriteria)
            for j in subscribers[i].publicIdentities.indices where subscribers[i].publicIdentities[j].filterCriteria != nil {
                replace(&subscribers[i].publicIdentities[j].filterCriteria!)
            }
        }
    }
}

/// What a lab tells its core of the nodes around it.
struct CoreSurroundings {
    var isLab: Bool
    /// The control interfaces of the lab's own application servers, and where its clients are, by name.
    var builtInServers: [String: Endpoint] = [:]
    var clients: [String: Endpoint] = [:]
    /// Where other nodes find the conductor of a virtual clock.
    var clockSocket: String?

    /// - Returns: whether the setting is one of these.
    mutating func take(setting: String) throws(CommandFailure) -> Bool {
        let parts = setting.split(separator: "=", maxSplits: 1).map(String.init)
        let path = parts[0].split(separator: ".")
        guard parts.count == 2, path.count >= 2 else { return false }
        let name = path.dropFirst().dropLast().joined(separator: ".")
        switch (path[0], path[path.count - 1]) {
        case ("application_servers", "http"): builtInServers[name] = try Endpoint(httpArgument: parts[1])
        case ("clients", "address"): clients[name] = try Endpoint(argument: parts[1], of: "--set")
        case ("core", "clock_socket"): clockSocket = parts[1]
        default: return false
        }
        return true
    }
}

/// A running core.
struct CoreProcess {
    /// What it is made of.
    struct Parts {
        var topology: Topology
        var shards: ShardGroup<ServingCSCF>
        var store: Store?
        var surroundings: Surroundings
        var peers: NodeNames
        var interceptor: Interceptor
        var conductor: ClockConductor?
        var builtInServers: [String: Endpoint]
    }

    private let parts: Parts
    private let logger: Logger
    private let tls: CoreTLS
    private let provisioning: ProvisioningPlan
    private var topology: Topology { parts.topology }
    private var shards: ShardGroup<ServingCSCF> { parts.shards }

    init(_ topology: Topology, _ surroundings: CoreSurroundings, _ logger: Logger) throws(CommandFailure) {
        self.logger = logger
        let bound = try CoreProcess.bind(topology)
        var assembly = CoreAssembly(topology)
        var generator = SystemRandomNumberGenerator()
        let seed = topology.core.seed ?? generator.next()
        var configuration = try assembly.configuration(listeners: bound.listeners, seed: seed)
        configuration.logsDecisions = logger.logLevel <= .debug
        // A decision belongs to a message that is recorded; for the log the last ones do.
        configuration.decisionsKept = max(topology.core.trace, configuration.logsDecisions ? 1024 : 0)
        for fault in assembly.faults { logger.warning("left out: \(fault)") }
        tls = try CoreTLS(topology, listeners: bound.listeners)
        let store = try CoreProcess.openStore(topology, logger)
        let entries = try CoreProcess.load(store)
        var provisioning = ProvisioningPlan(assembly, surroundings: TopologyFile.surroundings(isLab: surroundings.isLab))
        provisioning.takeOver(entries?[StoreTable.subscribers] ?? [], into: &configuration, logger)
        self.provisioning = provisioning
        let planned = configuration
        var settings = ShardConfiguration(logger: logger)
        settings.traceMessages = topology.core.trace
        settings.traceOctets = topology.core.traceBytes
        settings.security = tls.security
        settings.webSocketOrigins = topology.core.webSocketOrigins
        settings.segmentsDatagrams = topology.core.udpSegmentation
        settings.names = NameService(topology.core.dns)
        settings.streamLimits.question = planned.patienceWithFlows
        let peers = NodeNames(topology, clients: surroundings.clients)
        let interceptor = Interceptor(seed: ~seed) { peers.name($0, $1, $2.transport, $2.remote) }
        interceptor.withTable { table in for plan in topology.faults { _ = table.add(FaultRule(plan)) } }
        settings.interceptor = interceptor
        do throws(SystemFailure) {
            let conductor = try CoreProcess.conductor(topology, surroundings, listeners: bound.listeners, into: &settings)
            let clock = settings.clock
            let shards = try ShardGroup<ServingCSCF>(topology.core.shards, on: bound, settings) { place in
                var mine = planned
                mine.place = place
                return ServingCSCF(mine, at: clock.now)
            }
            parts = Parts(
                topology: topology, shards: shards, store: store, surroundings: provisioning.surroundings, peers: peers,
                interceptor: interceptor, conductor: conductor, builtInServers: surroundings.builtInServers)
            try conductor?.start()
            // Posted before the start, so that it waits for the first tick already.
            CoreProcess.restore(entries, into: shards, logger)
            shards.post { node, now, effects in node.locatePeers(at: now, into: &effects) }
            try shards.start(name: "core", committingTo: store)
        } catch {
            throw CommandFailure(status: 3, text: "cannot start: \(error)")
        }
    }

    /// The conductor of a virtual clock, by which all shards go.
    private static func conductor(
        _ topology: Topology, _ surroundings: CoreSurroundings, listeners: [Listener], into settings: inout ShardConfiguration
    ) throws(SystemFailure) -> ClockConductor? {
        guard topology.core.clockIsVirtual else { return nil }
        let conductor = try ClockConductor(
            start: WallTime(microseconds: topology.core.clockStart), patience: .milliseconds(topology.core.clockPatience),
            path: surroundings.clockSocket, logger: settings.logger)
        settings.clock = .virtual(conductor.clock)
        for shard in 0..<topology.core.shards {
            settings.memberships.append(try conductor.membership(named: "core-\(shard)", listeners: listeners))
        }
        return conductor
    }

    private static func bind(_ topology: Topology) throws(CommandFailure) -> BoundListeners {
        let addresses = topology.core.listen.compactMap { NodeRuntime::ListenAddress($0, advertised: topology.core.advertise) }
        do throws(BindFailure) {
            return try BoundListeners(binding: addresses)
        } catch {
            throw CommandFailure(status: 3, text: error.description)
        }
    }

    // MARK: Storage

    private static func openStore(_ topology: Topology, _ logger: Logger) throws(CommandFailure) -> Store? {
        guard let path = topology.core.database else { return nil }
        do throws(StoreFailure) {
            return try Store.open(path, role: "core", tables: StoreTable.names) { logger.error("\($0)") }
        } catch {
            throw CommandFailure(status: 3, text: "\(error)")
        }
    }

    /// The entries of each table; nil: there is no database.
    private static func load(_ store: Store?) throws(CommandFailure) -> [UInt8: [Store.Entry]]? {
        guard let store else { return nil }
        do throws(StoreFailure) {
            var entries: [UInt8: [Store.Entry]] = [:]
            for table in StoreTable.names.keys {
                // Of two changes of one subscriber the later holds.
                entries[table] = try store.load(table, in: table == StoreTable.subscribers ? .lastChange : .key)
            }
            return entries
        } catch {
            throw CommandFailure(status: 3, text: "\(error)")
        }
    }

    private static func restore(_ entries: [UInt8: [Store.Entry]]?, into shards: ShardGroup<ServingCSCF>, _ logger: Logger) {
        guard let entries else { return }
        // Each shard takes those of its own users.
        shards.post { node, now, effects in
            var lost = 0
            for table in StoreTable.restored {
                for entry in entries[table] ?? []
                where !node.restore(table: table, key: entry.key.span.bytes, value: entry.value.span.bytes, at: now, into: &effects) {
                    lost += 1
                }
            }
            node.begin(at: now, into: &effects)
            if lost > 0 {
                logger.warning("\(lost) stored records are of subscribers that are gone or are others now, or damaged: passed over")
            }
        }
    }

    // MARK: Running

    func run(until signals: TerminationSignals, readyFile: String?) async throws {
        defer { tls.removeFiles() }
        let homer = try topology.core.hep.map { (settings) throws(CommandFailure) in try HomerFeed(settings, shards) }
        let feeding = Task { await homer?.run() }
        let control = try await serve(homer)
        try ReadyLine.announce(
            role: "core", sip: shards.listeners, http: control?.address, extra: tls.readyMembers, readyFile: readyFile)
        await signals.wait()
        await control?.stop()
        feeding.cancel()
        await feeding.value
        await shards.stop()
        parts.conductor?.stop()
        do throws(StoreFailure) { try await parts.store?.close() } catch {
            throw CommandFailure(status: 3, text: "the database could not be closed: \(error)")
        }
    }

    private func serve(_ homer: HomerFeed?) async throws(CommandFailure) -> RunningControl? {
        guard let http = topology.core.http else { return nil }
        guard let address = HostResolver.resolve(http.host, port: http.port) else {
            throw CommandFailure(status: 3, text: "core.http: the host '\(http.host)' is not known")
        }
        var node = CoreNode(parts, Provisioner(provisioning, shards, parts.store, logger))
        node.homer = homer
        return try await .start(.core(node), at: address, token: topology.core.httpToken, hostNames: [http.host], logger: logger)
    }
}
