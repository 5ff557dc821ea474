// Whose a message is: the names of a topology's nodes, by where they are.

import SIPMessage
import SIPTrace
import SansIO
import Topology

/// The names of the nodes that the core talks with.
struct NodeNames: Sendable {
    private var names: [Endpoint: String]

    /// - Parameter clients: where the clients of a lab are, by name.
    init(_ topology: Topology, clients: [String: Endpoint]) {
        names = [:]
        let peers = topology.applicationServers.map { ($0.name, $0.uri) } + topology.networks.map { ($0.domain, $0.uri) }
        for (name, uri) in peers {
            if let endpoint = NodeNames.endpoint(of: uri, in: topology), names[endpoint] == nil { names[endpoint] = name }
        }
        for (name, endpoint) in clients where names[endpoint] == nil { names[endpoint] = name }
    }

    /// The name of the node at the other end of a message; nil: none is known there.
    func name(_ message: RawSpan, _ direction: TraceDirection, _ transport: Transport, _ remote: Endpoint) -> String? {
        names[remote] ?? nameBySentBy(message, direction, transport, remote)
    }

    /// The name of a node by its Via: a stream that it opened comes from a port of its own.
    private func nameBySentBy(_ octets: RawSpan, _ direction: TraceDirection, _ transport: Transport, _ remote: Endpoint) -> String? {
        guard transport.isReliable else { return nil }
        var scanner = MessageScanner()
        guard case .message = scanner.scan(octets) else { return nil }
        let message = scanner.message(octets)
        // Of other messages the topmost Via is ours.
        guard message.isRequest == (direction == .incoming), let via = message.viaOfRefused else { return nil }
        return names[Endpoint(address: remote.address, port: via.port == 0 ? transport.defaultPort : via.port)]
    }

    private static func endpoint(of text: String, in topology: Topology) -> Endpoint? {
        let octets = Array(text.utf8)
        let bytes = octets.span.bytes
        guard let uri = bytes.uri(Slice(0, octets.count)), let transport = bytes.transport(of: uri) else { return nil }
        return topology.endpoint(of: String(octets: bytes[uri.host]), port: uri.port == 0 ? transport.defaultPort : uri.port)
    }
}
