// Which processes a lab starts, with which arguments, and how each tells that it is ready.

import Topology

/// A process of the lab.
struct NodePlan: Sendable {
    var name: String
    var role: NodeRole
    var process: ProcessSpec
    var readiness: Readiness
    /// The executable itself in one of its roles, which needs no other node to start.
    var isBuiltIn: Bool
    /// Whether it goes by the core's virtual clock. Then it needs the core at its start, and a client waits itself.
    var hasVirtualClock = false
}

enum NodeRole: String, Sendable {
    case core, server, client
    /// What a step of a scenario runs.
    case command
}

/// What is waited for after a process has started.
enum Readiness: Sendable, Equatable {
    /// A ready line on standard output.
    case readyLine
    /// A ready line, or any answer to OPTIONS at this URI.
    case readyLineOrAnswer(uri: String)
    /// A line of output that holds a match of this expression.
    case output(pattern: String)
    /// That it runs.
    case running

    /// A user's process gets 10 s; a built-in one may have a large topology or database to read.
    var patienceMilliseconds: Int { self == .readyLine ? 30_000 : 10_000 }

    /// What is said when it did not come.
    var missing: String {
        switch self {
        case .readyLine: "printed no ready line"
        case .readyLineOrAnswer(let uri): "neither printed a ready line nor answered OPTIONS at \(uri)"
        case .output(let pattern): "printed nothing that matches \(pattern)"
        case .running: "did not run"
        }
    }
}

/// The switches that the lab hands on to the built-in roles.
struct BuiltInOptions: Sendable {
    /// Path of this executable.
    var executable: String
    /// For example `--log-level debug`.
    var arguments: [String] = []
    /// Absolute path of a folder that goes with the lab.
    var scratch: String
    /// nil: there is no TLS in the lab.
    var tls: TLSPaths?
    /// Where the conductor of a virtual clock is found.
    var clockSocket: String { "\(scratch)/clock" }
}

extension ResolvedTopology {
    struct PlanFailure: Error, CustomStringConvertible { let description: String }

    /// Every process that the lab starts: the core, then the servers, then the clients.
    func nodePlans(_ options: BuiltInOptions) throws(PlanFailure) -> [NodePlan] {
        var plans = [corePlan(options)]
        for server in topology.applicationServers {
            if let plan = try serverPlan(server, options) { plans.append(plan) }
        }
        for network in topology.networks {
            if let plan = try networkPlan(network, options) { plans.append(plan) }
        }
        for client in topology.clients {
            if let plan = try clientPlan(client, options) { plans.append(plan) }
        }
        var names: Set<String> = []
        for plan in plans where !names.insert(plan.name).inserted {
            throw PlanFailure(description: "two nodes of the lab are called \(plan.name); rename one")
        }
        return plans
    }

    private func corePlan(_ options: BuiltInOptions) -> NodePlan {
        let file = topology.file.split(separator: "/").last.map(String.init) ?? topology.file
        var arguments = ["core", topology.folder + "/" + file]
        for override in overrides + (options.tls?.coreSettings ?? []) { arguments += ["--set", "\(override.key)=\(override.value)"] }
        if topology.core.clockIsVirtual { arguments += ["--set", "core.clock_socket=\(options.clockSocket)"] }
        return builtIn("core", .core, arguments, options)
    }

    private func serverPlan(_ server: ApplicationServer, _ options: BuiltInOptions) throws(PlanFailure) -> NodePlan? {
        switch server.launch {
        case .external: return nil
        case .builtIn(let role):
            guard let address = ServerAddress(uri: server.uri), let listen = self.address(ofURI: server.uri) else {
                throw PlanFailure(description: "application_servers.\(server.name).uri: \(server.uri) is no SIP URI")
            }
            let transport = coreAddress(address.transport) == nil ? builtInTransport : address.transport
            guard let core = coreURI(transport) else {
                throw PlanFailure(description: "core.listen has none of udp://, tcp:// and tls://, which \(server.name) needs")
            }
            var arguments = [role, "--listen", "\(address.transport.rawValue)://\(listen)"]
            // What is too large for a datagram comes by TCP to the same port (RFC 3261 §18.1.1).
            if address.transport == .udp { arguments += ["--listen", "tcp://\(listen)"] }
            arguments += [
                "--core", core, "--domain", topology.domain, "--database", database(of: server, options),
            ]
            if address.transport == .tls || transport == .tls { arguments += options.tls?.nodeOptions ?? [] }
            if let http = serverHTTP[server.name] { arguments += ["--http", http.description] }
            if server.deliveryTimeoutMilliseconds != 10_000 {
                arguments += ["--delivery-timeout", "\(server.deliveryTimeoutMilliseconds)ms"]
            }
            if server.watchesRegistrations { arguments.append("--use-reg-event") }
            if server.requiresFeatureTag { arguments.append("--require-feature-tag") }
            var plan = builtIn(server.name, .server, arguments + clockArguments(server.name, options), options)
            plan.hasVirtualClock = topology.core.clockIsVirtual
            return plan
        case .command(let command):
            let readiness = server.readyPattern.map(Readiness.output) ?? .readyLineOrAnswer(uri: server.uri)
            return try own(server.name, .server, command, server.environment, readiness, options)
        }
    }

    private func networkPlan(_ network: Network, _ options: BuiltInOptions) throws(PlanFailure) -> NodePlan? {
        guard case .command(let command) = network.launch else { return nil }
        let readiness = network.readyPattern.map(Readiness.output) ?? .readyLineOrAnswer(uri: network.uri)
        return try own(network.domain, .server, command, network.environment, readiness, options)
    }

    private func clientPlan(_ client: Client, _ options: BuiltInOptions) throws(PlanFailure) -> NodePlan? {
        switch client.launch {
        case .external: return nil
        case .builtIn(let role):
            let transport = builtInTransport
            guard let core = coreURI(transport), let address = coreAddress(transport) else {
                throw PlanFailure(description: "core.listen has none of udp://, tcp:// and tls://, which \(client.name) needs")
            }
            guard let subscriber = subscriber(named: client.name), let identity = identities(of: client.name).first else {
                throw PlanFailure(description: "clients.\(client.name): no subscriber has this name")
            }
            var arguments = [role, "--core", core, "--public-identity", identity]
            if let own = subscriber.privateIdentities.first {
                arguments += ["--private-identity", own.identity.filled(with: client.name)]
                if let password = own.password { arguments += ["--password", password.filled(with: client.name)] }
                if let aka = own.aka { arguments += ["--aka", aka.argument] }
            }
            let listen = clientAddress[client.name] ?? HostAndPort(host: address.host, port: 0)
            arguments += ["--listen", "\(transport.rawValue)://\(listen)"]
            // What is too large for a datagram comes by TCP to the same port (RFC 3261 §18.1.1).
            if transport == .udp, listen.port != 0 { arguments += ["--listen", "tcp://\(listen)"] }
            if transport == .tls { arguments += options.tls?.nodeOptions ?? [] }
            var plan = builtIn(client.name, .client, arguments + clockArguments(client.name, options), options)
            plan.hasVirtualClock = topology.core.clockIsVirtual
            return plan
        case .command(let command):
            let readiness = client.readyPattern.map(Readiness.output) ?? .running
            return try own(client.name, .client, command, client.environment, readiness, options)
        }
    }

    /// What has a built-in node go by the core's clock, and draw what is random from the core's seed.
    private func clockArguments(_ name: String, _ options: BuiltInOptions) -> [String] {
        let clock = topology.core.clockIsVirtual ? ["--clock", options.clockSocket, "--clock-name", name] : []
        // Each node has a seed of its own: the names' octets, mixed as FNV-1a does.
        let seed = topology.core.seed.map { seed in name.utf8.reduce(seed) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 } }
        return clock + (seed.map { ["--seed", String($0)] } ?? [])
    }

    private func builtIn(_ name: String, _ role: NodeRole, _ arguments: [String], _ options: BuiltInOptions) -> NodePlan {
        let process = ProcessSpec(
            node: name, arguments: [options.executable] + arguments + options.arguments, folder: topology.folder)
        return NodePlan(name: name, role: role, process: process, readiness: .readyLine, isBuiltIn: true)
    }

    private func own(
        _ name: String, _ role: NodeRole, _ command: [String], _ environment: [String: String], _ readiness: Readiness,
        _ options: BuiltInOptions
    ) throws(PlanFailure) -> NodePlan {
        let values = placeholders(forClient: role == .client ? name : nil, options)
        var process = ProcessSpec(node: name, arguments: [], folder: topology.folder)
        do throws(UnknownPlaceholder) {
            for argument in command { process.arguments.append(try values.fill(argument)) }
            for (key, value) in environment { process.environment[key] = try values.fill(value) }
        } catch {
            throw PlanFailure(description: "\(name): \(error)")
        }
        guard !process.arguments.isEmpty else { throw PlanFailure(description: "\(name): the command is empty") }
        return NodePlan(name: name, role: role, process: process, readiness: readiness, isBuiltIn: false)
    }

    /// What `${...}` stands for; `subscriber.*` is known to clients alone.
    func placeholders(forClient client: String?, _ options: BuiltInOptions) -> PlaceholderValues {
        let values = PlaceholderValues(
            udp: coreAddress(.udp)?.description, tcp: coreAddress(.tcp)?.description, tls: coreAddress(.tls)?.description,
            ws: coreAddress(.ws)?.description, wss: coreAddress(.wss)?.description, http: "http://\(coreHTTP)",
            applicationServers: Dictionary(topology.applicationServers.map { ($0.name, $0.uri) }) { first, _ in first },
            executable: options.executable)
        guard let client, let subscriber = subscriber(named: client) else { return values }
        return values.with(subscriber, named: client)
    }

    /// Unless the file names one, off-line messages live as long as the core's registrations: beside its database, or as
    /// long as the lab, so that they outlive a restart of the server.
    private func database(of server: ApplicationServer, _ options: BuiltInOptions) -> String {
        if let database = server.database { return database }
        guard let core = topology.core.database else { return "\(options.scratch)/\(server.name).sqlite" }
        guard let dot = core.lastIndex(of: "."), !core[dot...].contains("/") else { return "\(core).\(server.name)" }
        return "\(core[..<dot]).\(server.name)\(core[dot...])"
    }
}

extension SIMKeys {
    /// As the built-in client takes it. Both sides begin with the same sequence number, so the core's first is a later one.
    fileprivate var argument: String {
        let code =
            switch self.code {
            case .opc(let opc): "opc=" + SIMKeys.digits(opc, 32)
            case .op(let op): "op=" + SIMKeys.digits(op, 32)
            }
        return "k=\(SIMKeys.digits(k, 32)),\(code),amf=\(SIMKeys.digits(UInt128(amf), 4)),sqn=\(SIMKeys.digits(UInt128(sqn), 12))"
    }

    private static func digits(_ number: UInt128, _ count: Int) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: count - digits.count) + digits
    }
}
