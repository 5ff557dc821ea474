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

    private var servers: [ServingCSCFConfiguration.ServerPlan] = []
    private(set) var profiles: [IMSProfile::ServiceProfile] = []
    /// The number of the profile that criteria make.
    private var compiled: [[Topology::FilterCriterion]: Int] = [:]
    /// The same by the address where criteria are stored: subscribers that are planned alike share them, and so they are
    /// compared once.
    private var shared: [UInt: Int] = [:]
    /// Whether the configuration is made: then no application server is added, and criteria may lie where others lay.
    private var isComplete = false
    /// Criteria that were left out, for the log.
    private(set) var faults: [CriterionFault] = []

    init(_ topology: Topology) { self.topology = topology }

    /// - Parameters:
    ///   - listeners: the bound ones, in the order of the topology.
    ///   - seed: fixes all that is random.
    mutating func configuration(listeners: [Listener], seed: UInt64) throws(CommandFailure) -> ServingCSCFConfiguration {
        let core = topology.core
        var configuration = ServingCSCFConfiguration(domain: Array(topology.domain.lowercased().utf8), listeners: listeners)
        configuration.registrar = RegistrarSettings(
            profile: core.registrar == .ims ? .ims : .rfc3261, minimumExpires: core.minExpires, defaultExpires: core.defaultExpires,
            maximumExpires: core.maxExpires, maximumContacts: core.maxContacts, listsRemoved: core.listRemovedContacts)
        configuration.flowTimer = core.flowTimer
        configuration.thirdParty.holdsAnswer = core.thirdPartyRegister.before200
        configuration.thirdParty.givesTokens = core.thirdPartyRegister.registrationToken
        configuration.thirdParty.tellsProfileChanges = core.thirdPartyRegister.onProfileChange
        configuration.thirdParty.tellsZeroWithContactsLeft = core.thirdPartyRegister.deregistrationExpires == .zero
        configuration.rejectsUnservedUsers = core.rejectIfNoMatchingIFC
        configuration.visitedNetworks = core.visitedNetworks.map { Array($0.utf8) }
        configuration.chargingFunctions = CoreAssembly.chargingFunctions(core.chargingFunctions)
        configuration.authenticationFailures = core.authenticationFailures
        configuration.challengeLifetime = .milliseconds(core.challengeLifetimeMilliseconds)
        configuration.requiresQop = core.requireQop
        configuration.offersUserHash = core.digestUserHash
        configuration.authenticationInfo =
            switch core.authenticationInfo {
            case .none: .none
            case .proof: .proof
            case .nextNonce: .nextNonce
            }
        configuration.digestFunctions = core.digestAlgorithms.map { DigestFunction($0) }
        configuration.digestQops = core.digestQops.map { $0 == .auth ? .auth : .authInt }
        configuration.akaAlgorithms = core.akaAlgorithms.map { SIPRegistrar::AKAAlgorithm($0) }
        configuration.udpSizeLimit = core.udpSizeLimit
        configuration.transactionLimit = core.transactionLimit
        configuration.keptLimit = core.keptBytes
        configuration.followsRedirections = core.recursion
        configuration.timers = TimerSettings(
            t1: .milliseconds(core.timers.t1), t2: .milliseconds(core.timers.t2), t4: .milliseconds(core.timers.t4),
            timerC: .milliseconds(core.timers.timerC))
        configuration.registrationEvents.tellsChangesOnly = core.regEvent.tellsChangesOnly
        configuration.registrationEvents.refreshInterval = .milliseconds(core.regEvent.intervalMilliseconds)
        configuration.registrationEvents.endReason = core.regEvent.terminatedReason == .noresource ? .noresource : .deactivated
        configuration.trusted = core.trusted.compactMap { block in
            IPAddress(octets: block.address).map { (network: $0, prefixLength: block.prefixLength) }
        }
        for (name, target) in core.hosts {
            guard let address = IPAddress(target.host) else { continue }
            configuration.hosts[Array(name.lowercased().utf8)] = Endpoint(address: address, port: target.port)
        }
        configuration.asksNames = core.dns != .nobody
        for server in topology.applicationServers { servers.append(try plan(server.name, server.uri, server.answerWithinMilliseconds)) }
        for network in topology.networks {
            let place = try place(of: network.uri, for: "networks.\(network.domain).uri")
            configuration.networks.append(
                ServingCSCFConfiguration.NetworkPlan(
                    domain: Array(network.domain.lowercased().utf8), destination: place.destination, isTrusted: network.isTrusted,
                    location: place.location))
        }
        for subscriber in topology.subscribers { configuration.subscribers.append(try plan(subscriber)) }
        configuration.applicationServers = servers
        configuration.profiles = profiles
        configuration.isPersistent = core.database != nil
        configuration.seed = seed
        isComplete = true
        return configuration
    }

    /// `ccf=192.0.2.9;ecf=192.0.2.10` (RFC 7315 §5.5).
    private static func chargingFunctions(_ functions: ChargingFunctions) -> [UInt8] {
        func parameter(_ name: String, _ host: String) -> String { host.contains(":") ? "\(name)=\"[\(host)]\"" : "\(name)=\(host)" }
        let all = functions.collection.map { parameter("ccf", $0) } + functions.event.map { parameter("ecf", $0) }
        return Array(all.joined(separator: ";").utf8)
    }

    /// The plan of a subscriber who comes later.
    mutating func plan(adding subscriber: Topology::Subscriber) throws(CommandFailure) -> SubscriberPlan { try plan(subscriber) }

    // MARK: Addresses

    private func plan(_ name: String, _ uri: String, _ patience: Int) throws(CommandFailure) -> ServingCSCFConfiguration.ServerPlan {
        let place = try place(of: uri, for: "application_servers.\(name).uri")
        return ServingCSCFConfiguration.ServerPlan(
            name: name, uri: Array(uri.utf8), destination: place.destination, answerWithin: .milliseconds(patience),
            location: place.location)
    }

    /// Where a server of the topology is, if its file says so, or else the name that the core has to locate it by.
    private func place(of text: String, for key: String) throws(CommandFailure) -> (destination: Destination, location: ServerName?) {
        let octets = Array(text.utf8)
        let bytes = octets.span.bytes
        guard let uri = bytes.uri(Slice(0, octets.count)), uri.isSIP else {
            throw CommandFailure(status: 1, text: "\(key): \(text) is not a SIP URI; write sip:HOST:PORT")
        }
        guard let transport = bytes.transport(of: uri) else {
            throw CommandFailure(status: 1, text: "\(key): unknown transport in \(text); write udp, tcp or tls")
        }
        let port = uri.port == 0 ? transport.defaultPort : uri.port
        let host = String(octets: bytes[uri.host])
        if let endpoint = topology.endpoint(of: host, port: port) { return (Destination(endpoint: endpoint, transport: transport), nil) }
        guard topology.core.dns != .nobody, let name = bytes.serverName(of: uri) else {
            throw CommandFailure(status: 3, text: "\(key): \(host) has no address; name it under core.hosts")
        }
        return (Destination(endpoint: .none, transport: transport), name)
    }

    // MARK: Subscribers

    private mutating func plan(_ subscriber: Topology::Subscriber) throws(CommandFailure) -> SubscriberPlan {
        let identities = subscriber.publicIdentities.filter { $0.kind == .user }
        var plan = SubscriberPlan(
            name: subscriber.name.prefix, publicIdentities: identities.map { CoreAssembly.canonical($0.uri) },
            privateIdentities: subscriber.privateIdentities.map { CoreAssembly.template($0.identity) },
            passwords: subscriber.privateIdentities.map { $0.password.map(CoreAssembly.template) },
            isAuthenticated: isChallenged(subscriber), profile: nil)
        giveSIMs(to: &plan, of: subscriber)
        for (i, identity) in identities.enumerated() {
            plan.profiles[i] = try profile(identity.filterCriteria ?? subscriber.filterCriteria)
            plan.aliasGroups[i] = identity.aliasGroup.flatMap { group in identities.firstIndex { $0.aliasGroup == group } }
        }
        for identity in subscriber.publicIdentities where identity.kind != .user {
            plan.specialIdentities.append(try special(identity, profile(identity.filterCriteria ?? subscriber.filterCriteria)))
        }
        plan.range = subscriber.name.range
        plan.width = subscriber.name.width
        plan.nameSuffix = Array(subscriber.name.suffix.utf8)
        plan.isBarred = identities.map(\.isBarred)
        return plan
    }

    /// A service or a wildcard.
    private func special(_ identity: PublicIdentity, _ profile: Int?) throws(CommandFailure) -> SpecialIdentity {
        guard identity.kind != .service else {
            return SpecialIdentity(service: CoreAssembly.canonical(identity.uri).pieces[0], profile: profile)
        }
        let text = identity.uri.pieces[0]
        do throws(RegularExpressionFault) {
            return try SpecialIdentity(
                wildcard: CoreAssembly.canonical(wildcard: text), isService: identity.kind == .wildcardedService, profile: profile)
        } catch {
            throw CommandFailure(status: 1, text: "the wildcard \(text): \(error); write an expression between the exclamation marks")
        }
    }

    /// Scheme and domain in small letters; the expression stays as it is.
    private static func canonical(wildcard text: String) -> [UInt8] {
        var octets = Array(text.utf8)
        let colon = octets.firstIndex(of: UInt8(ascii: ":")) ?? 0
        let mark = octets.lastIndex(of: UInt8(ascii: "!")) ?? 0
        let domain = octets[mark...].firstIndex(of: UInt8(ascii: "@")) ?? octets.endIndex
        for i in octets.indices where i < colon || i > domain { octets[i] = octets[i].asciiLowercased }
        return octets
    }

    private func isChallenged(_ subscriber: Topology::Subscriber) -> Bool {
        subscriber.privateIdentities.contains { device in
            let authentication = topology.authentication(of: device, subscriber)
            return authentication == .digest || authentication == .aka
        }
    }

    /// A private identity with a SIM is not asked for a password, even if it has one.
    private func giveSIMs(to plan: inout SubscriberPlan, of subscriber: Topology::Subscriber) {
        for (i, device) in subscriber.privateIdentities.enumerated() where topology.authentication(of: device, subscriber) == .aka {
            plan.sims[i] = device.aka.map(AKACredentials.init)
            plan.passwords[i] = nil
        }
        if (subscriber.authentication ?? topology.core.authentication) == .giba {
            plan.address = subscriber.address.flatMap { IPAddress($0) }
        }
    }

    private static func template(_ template: NameTemplate) -> IdentityTemplate {
        IdentityTemplate(pieces: template.pieces.map { Array($0.utf8) })
    }

    /// The canonical form of an identity, its holes left open: they are filled with a word for the time being.
    static func canonical(_ template: NameTemplate) -> IdentityTemplate {
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
        guard !criteria.isEmpty else { return nil }
        // The topology outlives this, so no other criteria of it can come to lie at the same place.
        let place = isComplete ? 0 : criteria.withUnsafeBufferPointer { UInt(bitPattern: $0.baseAddress) }
        if place != 0, let number = shared[place] { return number }
        let number = if let known = compiled[criteria] { known } else { try compile(criteria) }
        if place != 0 { shared[place] = number }
        return number
    }

    private mutating func compile(_ criteria: [Topology::FilterCriterion]) throws(CommandFailure) -> Int {
        var options = IMSProfile::ServiceProfile.Options()
        options.requestURIScopeIsFull = topology.core.requestURIScopeIsFull
        options.headerContentIgnoresCase = topology.core.headerContentIgnoresCase
        var declared: [InitialFilterCriterion] = []
        // They are in their order already, which the sort by priority keeps.
        for criterion in criteria { declared.append(try InitialFilterCriterion(criterion, server: server(of: criterion))) }
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
        guard !isComplete else {
            throw CommandFailure(
                status: 1,
                text: "the application server \(criterion.serverURI) was not known when the core started; "
                    + "name it under application_servers and start the core again")
        }
        servers.append(try plan(criterion.serverURI, criterion.serverURI, 32_000))
        return servers.count - 1
    }
}

extension Topology {
    /// The address of a host that nobody has to be asked for: a literal one, one of `core.hosts`, or this machine's.
    func endpoint(of host: String, port: UInt16) -> Endpoint? {
        let name = host.lowercased()
        if let address = IPAddress(name) { return Endpoint(address: address, port: port) }
        if let target = core.hosts[name], let address = IPAddress(target.host) {
            return Endpoint(address: address, port: target.port != 0 ? target.port : port)
        }
        return name == "localhost" || name.hasSuffix(".localhost") ? HostResolver.resolve(name, port: port) : nil
    }
}

extension InitialFilterCriterion {
    /// From the topology's words.
    fileprivate init(_ plan: Topology::FilterCriterion, server: Int) {
        var application = IMSProfile::ApplicationServer(uri: plan.serverURI, index: server)
        application.defaultHandling = plan.sessionTerminatedOnFailure ? .sessionTerminated : .sessionContinued
        application.serviceInfo = plan.serviceInfo
        application.includesRegisterRequest = plan.includeRegisterRequest
        application.includesRegisterResponse = plan.includeRegisterResponse
        self.init(
            priority: plan.priority, profilePart: plan.profilePart.map { $0 == .registered ? .registered : .unregistered },
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

extension DigestFunction {
    fileprivate init(_ algorithm: Topology::DigestAlgorithm) {
        self =
            switch algorithm {
            case .md5: .md5
            case .sha256: .sha256
            case .sha512_256: .sha512_256
            }
    }
}

extension SIPRegistrar::AKAAlgorithm {
    fileprivate init(_ algorithm: Topology::AKAAlgorithm) {
        self =
            switch algorithm {
            case .v1MD5: .v1MD5
            case .v2MD5: .v2MD5
            case .v2SHA256: .v2SHA256
            }
    }
}

extension AKACredentials {
    fileprivate init(_ keys: SIMKeys) {
        let sqn = SequenceNumber(rawValue: keys.sqn)
        switch keys.code {
        case .opc(let opc): self.init(k: keys.k, opc: opc, amf: keys.amf, sqn: sqn)
        case .op(let op): self.init(k: keys.k, op: op, amf: keys.amf, sqn: sqn)
        }
    }
}
