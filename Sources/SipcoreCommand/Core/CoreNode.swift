// The core as its HTTP interface sees it: questions go to the shards' threads, answers come back as plain values and are put
// together.

import ControlHTTP
import NodeRuntime
import SCSCF
import SIPMessage
import SIPTrace
import SIPTransaction
import SansIO
import Topology

struct CoreNode: CoreBacking {
    private let shards: ShardGroup<ServingCSCF>
    private let started = SystemClock.now.monotonic
    /// Names of application servers and networks by their address.
    private let names: [Endpoint: String]

    init(_ topology: Topology, _ shards: ShardGroup<ServingCSCF>) {
        self.shards = shards
        var names: [Endpoint: String] = [:]
        let peers = topology.applicationServers.map { ($0.name, $0.uri) } + topology.networks.map { ($0.domain, $0.uri) }
        for (name, uri) in peers {
            if let endpoint = CoreNode.endpoint(of: uri), names[endpoint] == nil { names[endpoint] = name }
        }
        self.names = names
    }

    private static func endpoint(of text: String) -> Endpoint? {
        let octets = Array(text.utf8)
        let bytes = octets.span.bytes
        guard let uri = bytes.uri(Slice(0, octets.count)), uri.isSIP else { return nil }
        return HostResolver.resolve(String(octets: bytes[uri.host]), port: uri.port == 0 ? 5060 : uri.port)
    }

    var operations: Set<CoreOperation> { [.deregistration] }

    func health() async -> Health {
        Health(
            role: "core", version: Sipcore.version, uptime: SystemClock.now.monotonic - started,
            listeners: shards.listeners.map { "\($0.transport.name)://\($0.local.text)" })
    }

    // MARK: Registrations

    func registrations() async -> [Registration] {
        let found = await shards.perform { node, now, _ in
            node.registeredIdentities(at: now.monotonic).map { (place: $0.place, registration: Registration($0, at: now)) }
        }
        return found.flatMap { $0 }.sorted { $0.place < $1.place }.map(\.registration)
    }

    func registration(of identity: String) async -> Registration? {
        let found = await shards.perform { node, now, _ in
            node.registeredIdentity(identity, at: now.monotonic).map { Registration($0, at: now) }
        }
        return found.compactMap { $0 }.first
    }

    func deregister(_ identity: String) async throws -> Bool {
        await shards.perform { node, now, effects in node.deregister(identity, at: now, into: &effects) }.contains(true)
    }

    // MARK: Messages

    func recordedMessages(after sequence: UInt64, limit: Int) async -> RecordedMessages {
        await shards.withTrace { $0.messages(after: sequence, limit: limit) }
    }

    func waitForMessages(after sequence: UInt64, for patience: TimeSpan) async {
        _ = await shards.waitForMessages(after: sequence, until: SystemClock.now.monotonic + patience)
    }

    func nodeName(of message: RecordedMessage) -> String? { names[message.remote] }

    // MARK: Metrics

    func metrics() async -> [MetricFamily] {
        let runtime = await shards.counters()
        let core = CoreFigures(await shards.perform { node, _, _ in CoreFigures(node) })
        return core.families + CoreMetrics.families(of: runtime, core)
    }
}

extension Registration {
    fileprivate init(_ identity: RegisteredIdentity, at now: Now) {
        self.init(
            publicIdentity: identity.publicIdentity, privateIdentity: identity.privateIdentity, implicitSet: identity.implicitSet,
            contacts: identity.contacts.map { contact in
                let span = TimeSpan.seconds(Int(contact.expires))
                var result = Contact(
                    uri: contact.uri, privateIdentity: contact.privateIdentity, expires: span, expiresAt: now.wall + span,
                    flow: "\(contact.flow.transport.name)://\(contact.flow.remote.text)")
                let parameters = Registration.parameters(contact.parameters)
                result.q = parameters.contains { $0.lowercased().hasPrefix("q=") } ? contact.q : nil
                result.path = Registration.values(contact.path)
                result.instance = contact.instance.isEmpty ? nil : contact.instance
                result.regID = contact.regID
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
