// At which node of the lab a recorded message arrived, or from which it came.

import JSONText
import Topology

/// The nodes' addresses, as far as they are known. What is learned stays: a client that came back with another address
/// still owns what went to the first.
struct Whereabouts: Sendable {
    private let servers: [String: HostAndPort]
    private var clients: [String: ClientPlace]

    private struct ClientPlace {
        /// All public identities of the subscriber.
        var identities: Set<String>
        /// From the client's ready line.
        var listeners: Set<HostAndPort> = []
        /// Where its registrations came from, and the addresses of their contacts.
        var flows: Set<HostAndPort> = []
        var contacts: Set<String> = []
    }

    static let core = "core"

    init(_ resolved: ResolvedTopology) {
        let topology = resolved.topology
        let named = topology.applicationServers.map { ($0.name, $0.uri) } + topology.networks.map { ($0.domain, $0.uri) }
        servers = Dictionary(named.compactMap { name, uri in resolved.address(ofURI: uri).map { (name, $0) } }) { first, _ in first }
        // A subscriber without a client of the lab's may have one that was started elsewhere.
        let names = topology.clients.map(\.name) + topology.subscribers.compactMap { $0.name.range == nil ? $0.name.name(0) : nil }
        clients = Dictionary(
            names.map { ($0, ClientPlace(identities: Set(resolved.identities(of: $0).map(Identity.comparable)))) }
        ) { first, _ in first }
    }

    // MARK: Learning

    mutating func learn(listeners: [String: [HostAndPort]]) {
        for (name, addresses) in listeners { clients[name]?.listeners.formUnion(addresses) }
    }

    /// The answer of `GET /api/registrations`: who was registered before the scenario began.
    mutating func learn(registrations: JSON) {
        for registration in registrations["registrations"]?.list ?? [] {
            guard let identity = registration["public_identity"]?.text, let name = client(of: identity) else { continue }
            for contact in registration["contacts"]?.list ?? [] {
                if let flow = contact["flow"]?.text { learn(flow: flow, of: name) }
                if let uri = contact["uri"]?.text { learn(contact: uri, of: name) }
            }
        }
    }

    /// A 200 to REGISTER tells the flow and the contacts of a subscriber.
    mutating func learn(from message: RecordedMessage) {
        guard !message.isInbound, message.method == "REGISTER", message.status == 200, let remote = message.remote,
            !isServer(message), let identity = message.identity(in: "To"), let name = client(of: identity)
        else { return }
        clients[name]?.flows.insert(remote)
        for value in message.values(of: "Contact") {
            for contact in value.split(separator: ",") { learn(contact: String(contact), of: name) }
        }
    }

    /// `udp 127.0.0.1:5060 127.0.0.1:40000` and the like: every address in it that is not the core's own is the client's.
    private mutating func learn(flow: String, of name: String) {
        let words = flow.split { $0 == " " || $0 == ">" || $0 == "<" || $0 == "-" || $0 == ";" || $0 == "," }
        guard let remote = words.compactMap({ HostAndPort(withoutScheme(String($0))) }).last else { return }
        clients[name]?.flows.insert(remote)
    }

    private mutating func learn(contact: String, of name: String) {
        let uri = Identity.text(inHeader: contact)
        clients[name]?.contacts.insert(uri)
        if let address = ServerAddress(uri: uri) {
            clients[name]?.flows.insert(HostAndPort(host: address.host.lowercased(), port: address.port ?? 5060))
        }
    }

    private func client(of identity: String) -> String? {
        let comparable = Identity.comparable(identity)
        return clients.first { $0.value.identities.contains(comparable) }?.key
    }

    // MARK: Telling

    /// Whether a message arrived at a node: what went out of the core went there; what came in arrived at `core`.
    func arrived(_ message: RecordedMessage, at node: String) -> Bool {
        guard node != Whereabouts.core else { return message.isInbound }
        return !message.isInbound && isOtherEnd(node, of: message)
    }

    /// The node at the other end, or its address where no node is known there.
    func otherEnd(of message: RecordedMessage) -> String {
        if let peer = message.peer { return peer }
        let known = servers.keys.sorted() + clients.keys.sorted()
        return known.first { isOtherEnd($0, of: message) } ?? message.remote?.description ?? "?"
    }

    /// The order of the columns of a ladder.
    var columns: [String] { clients.keys.sorted() + [Whereabouts.core] + servers.keys.sorted() }

    private func isOtherEnd(_ node: String, of message: RecordedMessage) -> Bool {
        if let peer = message.peer, peer == node || servers[peer] != nil { return peer == node }
        if let address = servers[node] { return message.remote == address }
        guard let client = clients[node], let remote = message.remote, !isServer(message) else { return false }
        if client.listeners.contains(remote) { return true }
        if message.method == "REGISTER" { return message.identity(in: "To").map(client.identities.contains) ?? false }
        guard client.flows.contains(remote) else { return false }
        let sharing = clients.values.filter { $0.flows.contains(remote) || $0.listeners.contains(remote) }
        return sharing.count == 1 || concerns(client, message)
    }

    private func isServer(_ message: RecordedMessage) -> Bool {
        if let peer = message.peer, servers[peer] != nil { return true }
        return message.remote.map { servers.values.contains($0) } ?? false
    }

    /// Whether a message on a flow of several subscribers is this one's: sent to its contact or identity, or the answer to
    /// what it sent.
    private func concerns(_ client: ClientPlace, _ message: RecordedMessage) -> Bool {
        let isFromClient = message.isInbound == (message.status == nil)
        if isFromClient { return message.identity(in: "From").map(client.identities.contains) ?? false }
        if let uri = message.requestURI, client.contacts.contains(Identity.comparable(uri)) { return true }
        return message.identity(in: "To").map(client.identities.contains) ?? false
    }
}
