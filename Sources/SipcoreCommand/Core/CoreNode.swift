// The core as its HTTP interface sees it: questions go to the shards' threads, answers come back as plain values and are put
// together.

import ControlHTTP
import NodeRuntime
import SCSCF
import SIPMessage
import SIPTrace
import SIPTransaction
import SansIO
import Store
import Topology

struct CoreNode: CoreBacking {
    let shards: ShardGroup<ServingCSCF>
    private let started = SystemClock.now.monotonic
    private let civil = CivilTimes()
    private let peers: NodeNames
    /// The trace as `why` last read it.
    let lastTrace = LastTrace()
    private let store: Store?
    private let provisioner: Provisioner
    /// What the core was started with, which objects that are sent to it are read by.
    let topology: Topology
    let surroundings: Surroundings
    let interceptor: Interceptor
    /// Of a virtual clock.
    let conductor: ClockConductor?
    /// The control interfaces of application servers that forget what the core forgets, by name.
    private let builtInServers: [String: Endpoint]
    /// What goes to Homer, if something does.
    var homer: HomerFeed?

    init(_ parts: CoreProcess.Parts, _ provisioner: Provisioner) {
        shards = parts.shards
        store = parts.store
        topology = parts.topology
        surroundings = parts.surroundings
        peers = parts.peers
        interceptor = parts.interceptor
        conductor = parts.conductor
        builtInServers = parts.builtInServers
        self.provisioner = provisioner
    }

    var operations: Set<CoreOperation> { [.deregistration, .reauthentication, .reset, .provisioning, .faults, .clock, .sending] }

    func health() async -> Health {
        Health(
            role: "core", version: Sipcore.version, uptime: SystemClock.now.monotonic - started,
            listeners: shards.listeners.map { "\($0.transport.name)://\($0.local.text)" })
    }

    // MARK: Registrations

    func registrations() async -> [Registration] {
        let found = await shards.perform { [civil] node, now, _ in
            node.registeredIdentities(at: now.monotonic).map { (place: $0.place, registration: Registration($0, by: civil, at: now)) }
        }
        return found.flatMap { $0 }.sorted { $0.place < $1.place }.map(\.registration)
    }

    func registration(of identity: String) async -> Registration? {
        let found = await shards.perform { [civil] node, now, _ in
            node.registeredIdentity(identity, at: now.monotonic).map { Registration($0, by: civil, at: now) }
        }
        return found.compactMap { $0 }.first
    }

    func deregister(_ identity: String, _ event: NetworkDeregistration) async throws -> Bool {
        let event = DeregistrationEvent(event)
        return try await whenStored {
            await shards.performAtRest { node, now, effects in node.deregister(identity, event, at: now, into: &effects) }.contains(true)
        }
    }

    func reauthenticate(_ identity: String) async throws -> Bool {
        try await whenStored {
            await shards.performAtRest { node, now, effects in node.reauthenticate(identity, at: now, into: &effects) }.contains(true)
        }
    }

    /// Makes a change, and waits until the database has it.
    /// - Throws: if it was lost; the core has undone it by then, or stores it later where it cannot be undone.
    private func whenStored(_ change: () async -> Bool) async throws -> Bool {
        guard let store else { return await change() }
        let before = await failedCommits()
        guard await change() else { return false }
        // By a shard's next turn its changes are handed in.
        _ = await failedCommits()
        await store.settle()
        guard await failedCommits() == before else { throw StorageFailure() }
        return true
    }

    private func failedCommits() async -> [UInt64] { await shards.perform { node, _, _ in node.failedCommits } }

    // MARK: Subscribers

    func subscribers() async -> [ProvisionedSubscriber] { await provisioner.subscribers() }

    func subscriber(_ name: String) async -> ProvisionedSubscriber? { await provisioner.subscriber(name) }

    func putSubscriber(_ name: String, json: String) async throws(ProvisioningFailure) -> Bool {
        try await provisioner.put(name, json: json)
    }

    func removeSubscriber(_ name: String) async throws(ProvisioningFailure) -> Bool { try await provisioner.remove(name) }

    // MARK: The beginning anew

    func reset() async throws {
        // First where it can fail. What is stored between the two goes with the second.
        if let store, let failure = await store.emptied() { throw failure }
        _ = await shards.performAtRest { node, now, effects in
            node.reset(at: now)
            // What was changed earlier in this tick is forgotten too.
            effects.store.removeAll()
        }
        if let store {
            if let failure = await store.emptied() { throw failure }
            // Who registered between the two is registered, so the database has to know it.
            _ = await shards.perform { node, now, effects in node.persistAll(at: now, into: &effects) }
        }
        await removeFaults()
        await shards.withTrace { $0.reset() }
        await lastTrace.forget()
        for (name, address) in builtInServers.sorted(by: { $0.key < $1.key }) { try await ServerControl.reset(name, at: address) }
    }

    // MARK: Messages

    func recordedMessages(after sequence: UInt64, limit: Int) async -> RecordedMessages {
        await shards.withTrace { $0.messages(after: sequence, limit: limit) }
    }

    func waitForMessages(after sequence: UInt64, for patience: TimeSpan) async {
        _ = await shards.waitForMessages(after: sequence, until: SystemClock.now.monotonic + patience)
    }

    func nodeName(of message: RecordedMessage) -> String? {
        peers.name(message.octets.span.bytes, message.direction, message.transport, message.remote)
    }

    // MARK: Metrics

    func metrics() async -> [MetricFamily] {
        let runtime = await shards.counters()
        let core = CoreFigures(await shards.perform { node, _, _ in CoreFigures(node) })
        return core.families + CoreMetrics.families(of: runtime, core) + (homer?.families ?? [])
    }
}

/// The database has not taken a change.
private struct StorageFailure: Error, CustomStringConvertible {
    let description = "the database could not store the change; the log says why"
}

extension Store {
    /// Removes all but what outlives a reset.
    fileprivate func emptied() async -> StoreFailure? {
        await withCheckedContinuation { continuation in reset(keeping: StoreTable.lasting) { continuation.resume(returning: $0) } }
    }
}

extension DeregistrationEvent {
    fileprivate init(_ event: NetworkDeregistration) {
        self =
            switch event {
            case .deactivated: .deactivated
            case .probation(let seconds): .probation(retryAfter: seconds)
            case .rejected: .rejected
            }
    }
}

extension Registration {
    fileprivate init(_ identity: RegisteredIdentity, by civil: CivilTimes, at now: Now) {
        self.init(
            publicIdentity: identity.publicIdentity, privateIdentity: identity.privateIdentity, implicitSet: identity.implicitSet,
            contacts: identity.contacts.map { contact in
                var result = Contact(
                    uri: contact.uri, privateIdentity: contact.privateIdentity, expires: .seconds(Int(contact.expires)),
                    expiresAt: civil.time(of: contact.end, at: now),
                    flow: "\(contact.flow.transport.name)://\(contact.flow.remote.text)")
                let parameters = Registration.parameters(contact.parameters)
                result.q = parameters.contains { $0.lowercased().hasPrefix("q=") } ? contact.q : nil
                result.path = Registration.values(contact.path)
                result.instance = contact.instance.isEmpty ? nil : contact.instance
                result.gruu = contact.gruu
                result.regID = contact.regID
                result.callID = contact.callID
                result.sequence = contact.sequence
                result.accessNetworkInfo = contact.accessNetworkInfo.isEmpty ? nil : contact.accessNetworkInfo
                result.visitedNetworkID = contact.visitedNetworkID.isEmpty ? nil : contact.visitedNetworkID
                result.chargingID = contact.chargingID.isEmpty ? nil : contact.chargingID
                result.featureTags = parameters.filter { parameter in
                    let name = parameter.prefix { $0 != "=" }.lowercased()
                    return name != "q" && name != "reg-id" && name != "+sip.instance"
                }
                return result
            })
    }

    /// The values of a list, as they stand.
    private static func values(_ text: String) -> [String] {
        let octets = Array(text.utf8)
        var rest = Slice(0, octets.count)
        var values: [String] = []
        while !rest.isEmpty {
            let value = octets.span.bytes.nextListValue(&rest)
            if !value.isEmpty { values.append(String(octets: octets.span.bytes[value])) }
        }
        return values
    }

    private static func parameters(_ text: String) -> [String] {
        let octets = Array(text.utf8)
        let bytes = octets.span.bytes
        var found: [String] = []
        bytes.forEachParameter(in: Slice(0, octets.count)) { name, value in
            found.append(String(octets: bytes[name]) + (value.isEmpty ? "" : "=" + String(octets: bytes[value])))
            return true
        }
        return found
    }
}
