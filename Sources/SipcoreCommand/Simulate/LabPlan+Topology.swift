// From a topology to the lab that is simulated: its own addresses are replaced by those of a network that is not there, and what
// is not built in by the plainest thing that can stand in its place.

import IMSProfile
import InstantMessaging
import SCSCF
import SIPRegistrar
import SansIO
import Simulation
import Topology

/// Builds the plan of a simulation.
struct LabPlanAssembly {
    private var topology: Topology
    /// What is simulated otherwise than it is written.
    private(set) var notes: [String] = []

    private static let core = Endpoint(address: IPAddress(v4: 0xC000_0201), port: 5060)
    /// Clients that are simulated where the topology names none.
    private static let clientsUnasked = 4
    private static let mostClients = 200

    init(_ topology: Topology) { self.topology = topology }

    private static func server(_ number: Int) -> Endpoint { Endpoint(address: IPAddress(v4: 0xC633_6401 + UInt32(number)), port: 5060) }
    private static func client(_ number: Int) -> Endpoint { Endpoint(address: IPAddress(v4: 0xCB00_7101 + UInt32(number)), port: 5060) }

    mutating func plan() throws(CommandFailure) -> LabPlan {
        let clients = try clients()
        place(clients)
        let listener = Listener(transport: .udp, local: LabPlanAssembly.core)
        var assembly = CoreAssembly(topology)
        var configuration = try assembly.configuration(listeners: [listener], seed: 0)
        if let fault = assembly.faults.first {
            throw CommandFailure(status: 1, text: "\(fault); mend it: what the core leaves out cannot be held against a model")
        }
        for number in configuration.applicationServers.indices {
            configuration.applicationServers[number].destination = Destination(
                endpoint: LabPlanAssembly.server(number), transport: .udp)
            configuration.applicationServers[number].location = nil
        }
        var plan = LabPlan(core: configuration)
        plan.shards = topology.core.shards
        plan.hasDatabase = topology.core.database != nil
        for (name, target) in topology.core.hosts {
            if let address = IPAddress(target.host) { plan.names[Array(name.lowercased().utf8)] = address }
        }
        plan.servers = configuration.applicationServers.enumerated().map { number, server in
            LabPlan.Server(
                name: server.name, address: LabPlanAssembly.server(number), role: role(of: number), answerWithin: server.answerWithin)
        }
        for (number, client) in clients.enumerated() { plan.clients.append(self.client(number, client, configuration)) }
        return plan
    }

    // MARK: Who is in it

    /// A client: its name and the number of its subscriber's entry.
    private struct Member {
        var name: String
        var entry: Int
    }

    private mutating func clients() throws(CommandFailure) -> [Member] {
        var members: [Member] = []
        for client in topology.clients {
            guard case .builtIn = client.launch else {
                notes.append("\(client.name) is left out: only built-in clients are simulated; write 'run: im-client'")
                continue
            }
            guard let entry = topology.subscribers.firstIndex(where: { $0.name.contains(client.name) }) else { continue }
            members.append(Member(name: client.name, entry: entry))
        }
        if members.isEmpty {
            members = firstSubscribers()
            notes.append("no client of the topology is built in: \(members.map(\.name).joined(separator: ", ")) get one each")
        }
        guard !members.isEmpty else {
            throw CommandFailure(status: 1, text: "there is no subscriber, so nobody to simulate; add one under subscribers")
        }
        guard members.count <= LabPlanAssembly.mostClients else {
            throw CommandFailure(
                status: 1, text: "\(members.count) clients are too many to simulate; leave \(LabPlanAssembly.mostClients) of them")
        }
        return members
    }

    private func firstSubscribers() -> [Member] {
        var members: [Member] = []
        for (entry, subscriber) in topology.subscribers.enumerated() {
            guard subscriber.publicIdentities.contains(where: { $0.kind == .user }) else { continue }
            let first = subscriber.name.range?.lowerBound ?? 0
            for offset in 0..<min(subscriber.name.count, UInt64(LabPlanAssembly.clientsUnasked - members.count)) {
                members.append(Member(name: subscriber.name.name(first + offset), entry: entry))
            }
        }
        return members
    }

    /// Gives every node its place in the network.
    private mutating func place(_ clients: [Member]) {
        let core = LabPlanAssembly.core
        topology.core.listen = [
            Topology::ListenAddress(transport: .udp, host: core.address.text, port: core.port)
        ]
        topology.core.advertise = nil
        // There are no streams.
        topology.core.udpSizeLimit = 0
        for number in topology.applicationServers.indices {
            if case .builtIn = topology.applicationServers[number].launch {
            } else {
                notes.append(
                    "\(topology.applicationServers[number].name) is not built in: a server that answers 200 stands in its place; "
                        + "write 'run: im-server' for the built-in one")
            }
            topology.replaceURI(of: number, with: "sip:\(LabPlanAssembly.server(number).text)")
        }
        for network in topology.networks { notes.append("the network \(network.domain) is left out: only one network is simulated") }
        topology.networks = []
        for (number, client) in clients.enumerated() where topology.subscribers[client.entry].address != nil {
            topology.subscribers[client.entry].address = LabPlanAssembly.client(number).address.text
        }
    }

    // MARK: Nodes

    private func role(of server: Int) -> LabPlan.Server.Role {
        guard topology.applicationServers.indices.contains(server), case .builtIn = topology.applicationServers[server].launch else {
            return .standIn
        }
        var settings = IMServerSettings(
            domain: topology.domain, listeners: [Listener(transport: .udp, local: LabPlanAssembly.server(server))],
            core: LabPlanAssembly.core, seed: 0)
        settings.deliveryTimeout = .milliseconds(topology.applicationServers[server].deliveryTimeoutMilliseconds)
        settings.watchesRegistrations = topology.applicationServers[server].watchesRegistrations
        settings.requiresFeatureTagForDelivery = topology.applicationServers[server].requiresFeatureTag
        return .imServer(settings)
    }

    private func client(_ number: Int, _ member: Member, _ core: ServingCSCFConfiguration) -> LabPlan.Client {
        let subscriber = topology.subscribers[member.entry]
        let plan = core.subscribers[member.entry]
        let identities = subscriber.publicIdentities.filter { $0.kind == .user }.map { identity in
            LabPlan.Identity(
                uri: LabPlanAssembly.canonical(identity.uri, member.name), isBarred: identity.isBarred,
                criteria: (identity.filterCriteria ?? subscriber.filterCriteria).compactMap { criterion($0, core) })
        }
        var user = LabPlan.User(identities: identities)
        if subscriber.name.range == nil {
            var book = SubscriberBook(topology)
            user.subscription = book.number(of: member.name).map { LabPlan.Subscription(number: $0, plan: plan) }
        }
        let device = subscriber.privateIdentities.first
        var settings = IMClientSettings(
            domain: topology.domain, publicIdentity: user.identities.first { !$0.isBarred }?.uri ?? identities[0].uri,
            privateIdentity: device?.identity.filled(with: member.name), password: device?.password?.filled(with: member.name) ?? "",
            core: LabPlanAssembly.core, listeners: [Listener(transport: .udp, local: LabPlanAssembly.client(number))], seed: 0)
        settings.sim = plan.sims.first ?? nil
        return LabPlan.Client(name: member.name, settings: settings, user: user)
    }

    private static func canonical(_ uri: NameTemplate, _ name: String) -> String {
        let pieces = CoreAssembly.canonical(NameTemplate(uri.filled(with: name))).pieces
        return String(decoding: pieces.joined(), as: UTF8.self)
    }

    // MARK: Criteria

    private func criterion(_ criterion: Topology::FilterCriterion, _ core: ServingCSCFConfiguration) -> RegistrationCriterion? {
        let number =
            core.applicationServers.firstIndex { $0.name == criterion.applicationServer }
            ?? core.applicationServers.firstIndex { $0.uri == Array(criterion.serverURI.utf8) }
        // Such criteria are for who is not registered: no REGISTER is held against them with certainty.
        guard let number else { return nil }
        var made = RegistrationCriterion(
            server: number, trigger: criterion.trigger?.groups.map { $0.map(RegistrationCriterion.Term.init) },
            isConjunctive: criterion.trigger?.isConjunctive ?? true, isShortForm: criterion.isShortForm,
            endsSession: criterion.sessionTerminatedOnFailure)
        if criterion.profilePart == .unregistered { made.trigger = (made.trigger ?? []) + [[.init(.other)]] }
        return made
    }
}

extension RegistrationCriterion.Term {
    fileprivate init(_ condition: Topology::Condition) {
        let made: RegistrationCriterion.Condition =
            switch condition.kind {
            case .method(let name, let types) where name == "REGISTER": .register(types.map(RegistrationKind.init))
            case .method: .otherMethod
            case .registrationType(let types): .type(types.map(RegistrationKind.init))
            case .requestURI, .header, .sessionCase, .sessionDescription, .featureTag: .other
            }
        self.init(made, isNegated: condition.isNegated)
    }
}

extension RegistrationKind {
    fileprivate init(_ type: Topology::RegistrationType) {
        self =
            switch type {
            case .initial: .initial
            case .reregistration: .reregistration
            case .deregistration: .deregistration
            }
    }
}
