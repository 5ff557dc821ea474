// From a validated topology to what the serving CSCF is told: names become addresses, criteria are compiled, identities get
// their canonical form. All of it happens once, at start.

import IMSProfile
import NodeRuntime
import SCSCF
import SIPMessage
import SIPRegistrar
import SIPTransaction
import SansIO
import Topology

/// Builds the core's configuration.
struct CoreAssembly {
    let topology: Topology
    /// Finds the address of a name that the topology does not resolve itself.
    let resolve: (String) -> IPAddress?

    private var servers: [ServingCSCFConfiguration.ServerPlan] = []
    private var profiles: [IMSProfile::ServiceProfile] = []
    /// The number of the profile that criteria make.
    private var compiled: [[Topology::FilterCriterion]: Int] = [:]
    /// The same by where criteria are stored: subscribers that are planned alike share them, and so they are compared once.
    private var shared: [UnsafePointer<Topology::FilterCriterion>: Int] = [:]
    /// Criteria that were left out, for the log.
    private(set) var faults: [CriterionFault] = []

    init(_ topology: Topology, resolve: @escaping (String) -> IPAddress?) {
        self.topology = topology
        self.resolve = resolve
    }

    /// - Parameters:
    ///   - listeners: the bound ones, in the order of the topology.
    ///   - seed: fixes all that is random.
    mutating func configuration(listeners: [Listener], seed: UInt64) throws(CommandFailure) -> ServingCSCFConfiguration {
        let core = topology.core
        var configuration = ServingCSCFConfiguration(domain: Array(topology.domain.lowercased().utf8), listeners: listeners)
        configuration.registrar = RegistrarSettings(
            profile: core.registrar == .ims ? .ims : .rfc3261, minimumExpires: core.minExpires, defaultExpires: core.defaultExpires,
            maximumExpires: core.maxExpires)
        configuration.authenticationFailures = core.authenticationFailures
        configuration.udpSizeLimit = core.udpSizeLimit
        configuration.transactionLimit = core.transactionLimit
        configuration.keptLimit = core.keptBytes
        configuration.followsRedirections = core.recursion
        configuration.timers = TimerSettings(
            t1: .milliseconds(core.timers.t1), t2: .milliseconds(core.timers.t2), t4: .milliseconds(core.timers.t4),
            timerC: .milliseconds(core.timers.timerC))
        configuration.trusted = core.trusted.compactMap { block in
            IPAddress(octets: block.address).map { (network: $0, prefixLength: block.prefixLength) }
        }
        for (name, target) in core.hosts {
            configuration.hosts[Array(name.lowercased().utf8)] = try endpoint(target.host, target.port, of: "core.hosts.\(name)")
        }
        for server in topology.applicationServers { servers.append(try plan(server.name, server.uri, server.answerWithinMilliseconds)) }
        for network in topology.networks {
            configuration.networks.append(
                ServingCSCFConfiguration.NetworkPlan(
                    domain: Array(network.domain.lowercased().utf8),
                    destination: try destination(network.uri, of: "networks.\(network.domain).uri"),
                    isTrusted: network.isTrusted))
        }
        for subscriber in topology.subscribers { configuration.subscribers.append(try plan(subscriber)) }
        configuration.applicationServers = servers
        configuration.profiles = profiles
        configuration.isPersistent = core.database != nil
        configuration.seed = seed
        return configuration
    }

    // MARK: Addresses

    private func plan(_ name: String, _ uri: String, _ patience: Int) throws(CommandFailure) -> ServingCSCFConfiguration.ServerPlan {
        ServingCSCFConfiguration.ServerPlan(
            name: name, uri: Array(uri.utf8), destination: try destination(uri, of: "application_servers.\(name).uri"),
            answerWithin: .milliseconds(patience))
    }

    private func destination(_ text: String, of key: String) throws(CommandFailure) -> Destination {
        let octets = Array(text.utf8)
        let bytes = octets.span.bytes
        guard let uri = bytes.uri(Slice(0, octets.count)), uri.isSIP else {
            throw CommandFailure(status: 1, text: "\(key): \(text) is not a SIP URI; write sip:HOST:PORT")
        }
        guard let transport = bytes.transport(of: uri) else {
            throw CommandFailure(status: 1, text: "\(key): unknown transport in \(text); write udp, tcp or tls")
        }
        let port = uri.port == 0 ? transport.defaultPort : uri.port
        return Destination(endpoint: try endpoint(String(octets: bytes[uri.host]), port, of: key), transport: transport)
    }

    private func endpoint(_ host: String, _ port: UInt16, of key: String) throws(CommandFailure) -> Endpoint {
        if let address = IPAddress(host) { return Endpoint(address: address, port: port) }
        if let target = topology.core.hosts[host.lowercased()], let address = IPAddress(target.host) {
            return Endpoint(address: address, port: target.port != 0 ? target.port : port)
        }
        guard let address = resolve(host) else {
            throw CommandFailure(status: 3, text: "\(key): \(host) has no address; name it under core.hosts")
        }
        return Endpoint(address: address, port: port)
    }

    // MARK: Subscribers

    private mutating func plan(_ subscriber: Topology::Subscriber) throws(CommandFailure) -> SubscriberPlan {
        var plan = SubscriberPlan(
            name: subscriber.name.prefix, publicIdentities: subscriber.publicIdentities.map { CoreAssembly.canonical($0.uri) },
            privateIdentities: subscriber.privateIdentities.map { CoreAssembly.template($0.identity) },
            passwords: subscriber.privateIdentities.map { $0.password.map(CoreAssembly.template) },
            isAuthenticated: (subscriber.authentication ?? topology.core.authentication) != .none,
            profile: nil)
        for (i, identity) in subscriber.publicIdentities.enumerated() {
            plan.profiles[i] = try profile(identity.filterCriteria ?? subscriber.filterCriteria)
        }
        plan.range = subscriber.name.range
        plan.width = subscriber.name.width
        plan.nameSuffix = Array(subscriber.name.suffix.utf8)
        plan.isBarred = subscriber.publicIdentities.map(\.isBarred)
        return plan
    }

    private static func template(_ template: NameTemplate) -> IdentityTemplate {
        IdentityTemplate(pieces: template.pieces.map { Array($0.utf8) })
    }

    /// The canonical form of an identity, its holes left open: they are filled with a word for the time being.
    private static func canonical(_ template: NameTemplate) -> IdentityTemplate {
        let hole = "zzholezz"
        let octets = Array(template.filled(with: hole).utf8)
        var buffer = OctetBuffer(capacity: 128)
        if let uri = octets.span.bytes.uri(Slice(0, octets.count)) { buffer.appendIdentity(uri, in: octets.span.bytes) }
        if template.pieces.count == 1 { return IdentityTemplate(pieces: [[UInt8](buffer.bytes)]) }
        return IdentityTemplate(pieces: String(octets: buffer.bytes).split(separator: hole).map { Array($0.utf8) })
    }

    // MARK: Criteria

    /// The number of the profile that these criteria make; nil for none. Subscribers with the same criteria share one.
    private mutating func profile(_ criteria: [Topology::FilterCriterion]) throws(CommandFailure) -> Int? {
        // The topology outlives this, so no other criteria can come to lie at the same place.
        guard let place = criteria.withUnsafeBufferPointer(\.baseAddress), !criteria.isEmpty else { return nil }
        if let number = shared[place] { return number }
        if let number = compiled[criteria] {
            shared[place] = number
            return number
        }
        let number = try compile(criteria)
        shared[place] = number
        return number
    }

    private mutating func compile(_ criteria: [Topology::FilterCriterion]) throws(CommandFailure) -> Int {
        var options = IMSProfile::ServiceProfile.Options()
        options.requestURIScopeIsFull = topology.core.requestURIScopeIsFull
        options.headerContentIgnoresCase = topology.core.headerContentIgnoresCase
        var declared: [InitialFilterCriterion] = []
        for (place, criterion) in criteria.enumerated() {
            declared.append(try InitialFilterCriterion(criterion, priority: place, server: server(of: criterion)))
        }
        profiles.append(IMSProfile::ServiceProfile(declared, options: options, faults: &faults))
        compiled[criteria] = profiles.count - 1
        return profiles.count - 1
    }

    /// The number of a criterion's server; one that only a document names is added.
    private mutating func server(of criterion: Topology::FilterCriterion) throws(CommandFailure) -> Int {
        if let name = criterion.applicationServer, let number = topology.applicationServers.firstIndex(where: { $0.name == name }) {
            return number
        }
        if let number = servers.firstIndex(where: { $0.uri == Array(criterion.serverURI.utf8) }) { return number }
        servers.append(try plan(criterion.serverURI, criterion.serverURI, 32_000))
        return servers.count - 1
    }
}

extension InitialFilterCriterion {
    /// From the topology's words. `priority` is the place in the order that the topology has already settled.
    fileprivate init(_ plan: Topology::FilterCriterion, priority: Int, server: Int) {
        var application = IMSProfile::ApplicationServer(uri: plan.serverURI, index: server)
        application.defaultHandling = plan.sessionTerminatedOnFailure ? .sessionTerminated : .sessionContinued
        application.serviceInfo = plan.serviceInfo
        application.includesRegisterRequest = plan.includeRegisterRequest
        application.includesRegisterResponse = plan.includeRegisterResponse
        self.init(
            priority: priority, profilePart: plan.profilePart.map { $0 == .registered ? .registered : .unregistered },
            trigger: plan.trigger.map { trigger in
                TriggerPoint(
                    isConjunctive: trigger.isConjunctive,
                    groups: trigger.groups.map { group in
                        group.map { ServicePointTrigger(ServicePointTrigger.Condition($0.kind), isNegated: $0.isNegated) }
                    })
            }, applicationServer: application, isShortForm: plan.isShortForm)
    }
}

extension ServicePointTrigger.Condition {
    fileprivate init(_ kind: Topology::Condition.Kind) {
        self =
            switch kind {
            case .method(let name, let types): .method(name, registrationTypes: types.map(IMSProfile::RegistrationType.init))
            case .registrationType(let types): .registrationType(types.map(IMSProfile::RegistrationType.init))
            case .requestURI(let expression): .requestURI(expression)
            case .header(let name, let content): .header(name, content: content)
            case .sessionCase(let sessionCase): .sessionCase(IMSProfile::SessionCase(sessionCase))
            case .sessionDescription(let line, let content): .sessionDescription(line: line, content: content)
            case .featureTag(let tag): .featureTag(tag)
            }
    }
}

extension IMSProfile::RegistrationType {
    fileprivate init(_ type: Topology::RegistrationType) {
        self =
            switch type {
            case .initial: .initial
            case .reregistration: .reregistration
            case .deregistration: .deregistration
            }
    }
}

extension IMSProfile::SessionCase {
    fileprivate init(_ sessionCase: Topology::SessionCase) {
        self =
            switch sessionCase {
            case .originating: .originating
            case .terminating: .terminating
            case .terminatingUnregistered: .terminatingUnregistered
            case .originatingUnregistered: .originatingUnregistered
            case .originatingCDIV: .originatingCDIV
            }
    }
}
