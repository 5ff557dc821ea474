// Addresses on the command line and in a topology, as the runtime takes them.

import NodeRuntime
import SIPMessage
import SansIO
import Topology

extension NodeRuntime.ListenAddress {
    /// - Parameter advertised: the address of `core.advertise`.
    /// - Returns: nil for a host that is no literal address, which the reader of topologies does not let through.
    init?(_ address: Topology::ListenAddress, advertised: String? = nil) {
        guard let host = IPAddress(address.host) else { return nil }
        self.init(
            transport: Transport(address.transport), endpoint: Endpoint(address: host, port: address.port),
            advertised: advertised.flatMap { IPAddress($0) })
    }

    /// Reads `udp://127.0.0.1:5060`; a host name is resolved, port 0 asks for any free one.
    /// - Parameter transports: those that the node can listen on.
    init(argument text: String, among transports: [Transport] = [.udp, .tcp, .tls]) throws(CommandFailure) {
        func wrong(_ what: String) -> CommandFailure {
            CommandFailure(
                status: 2, text: "--listen \(text): \(what); write udp://127.0.0.1:5080, tcp://127.0.0.1:5080 or tls://127.0.0.1:5081")
        }
        guard let separator = text.firstRange(of: "://") else { throw wrong("there is no transport before an address") }
        let name = text[..<separator.lowerBound].lowercased()
        guard let transport = Transport.allCases.first(where: { "\($0.name)" == name }) else { throw wrong("'\(name)' is no transport") }
        guard transports.contains(transport) else { throw wrong("\(name) is not supported here") }
        guard let (host, port) = splitHostAndPort(text[separator.upperBound...]), let port else { throw wrong("there is no port") }
        guard let endpoint = HostResolver.resolve(host, port: port) else { throw wrong("the host '\(host)' is not known") }
        self.init(transport: transport, endpoint: endpoint)
    }
}

extension Transport {
    init(_ name: TransportName) {
        self =
            switch name {
            case .udp: .udp
            case .tcp: .tcp
            case .tls: .tls
            case .ws: .ws
            case .wss: .wss
            }
    }
}

extension Endpoint {
    /// Reads `127.0.0.1:5080`; a host name is resolved, port 0 asks for any free one.
    init(argument text: String, of option: String) throws(CommandFailure) {
        guard let (host, port) = splitHostAndPort(text[...]), let port, let endpoint = HostResolver.resolve(host, port: port) else {
            throw CommandFailure(status: 2, text: "\(option) \(text): no address; write 127.0.0.1:5080")
        }
        self = endpoint
    }

    /// Reads `127.0.0.1:8080`, with or without `http://`; a host name is resolved.
    init(httpArgument text: String) throws(CommandFailure) {
        let address = text.hasPrefix("http://") ? text.dropFirst(7) : text[...]
        guard let (host, port) = splitHostAndPort(address), let port, let endpoint = HostResolver.resolve(host, port: port) else {
            throw CommandFailure(status: 2, text: "--http \(text): no address; write 127.0.0.1:8081")
        }
        self = endpoint
    }
}

/// The core as a client or server finds it: `sip:127.0.0.1:5060;transport=tcp`.
struct CoreAddress: Equatable {
    /// As written.
    var uri: String
    var endpoint: Endpoint
    var transport: Transport
    /// The host, if it is a name.
    var hostName: String?

    /// - Parameter option: what the address was given as, for what is said of a wrong one.
    init(argument text: String, of option: String = "--core") throws(CommandFailure) {
        func wrong(_ what: String) -> CommandFailure {
            CommandFailure(
                status: 2, text: "\(option) \(text): \(what); write sip:127.0.0.1:5060, or with ;transport=tcp or ;transport=tls")
        }
        let octets = Array(text.utf8)
        let bytes = octets.span.bytes
        guard let uri = bytes.uri(Slice(0, octets.count)), uri.scheme == .sip else { throw wrong("not a SIP URI") }
        let named = uri.parameters.isEmpty ? nil : bytes.parameter("transport", in: uri.parameters)
        let word = named.map { String(octets: bytes[$0]).lowercased() } ?? "udp"
        guard let transport = [Transport.udp, .tcp, .tls].first(where: { "\($0.name)" == word }) else {
            throw wrong("the transport \(word) is not supported here")
        }
        let host = String(octets: bytes[uri.host])
        guard let endpoint = HostResolver.resolve(host, port: uri.port == 0 ? transport.defaultPort : uri.port) else {
            throw CommandFailure(status: 3, text: "\(option) \(text): the host '\(host)' is not known")
        }
        self.uri = text
        self.endpoint = endpoint
        self.transport = transport
        hostName = IPAddress(host) == nil ? host : nil
    }
}

/// `127.0.0.1:5060`, `[::1]:5060`, `localhost` (no port): the host without brackets. Nil: neither.
private func splitHostAndPort(_ text: Substring) -> (host: String, port: UInt16?)? {
    var rest = text
    let host: Substring
    if rest.first == "[" {
        guard let end = rest.firstIndex(of: "]") else { return nil }
        host = rest[rest.index(after: rest.startIndex)..<end]
        rest = rest[rest.index(after: end)...]
    } else {
        let end = rest.firstIndex(of: ":") ?? rest.endIndex
        host = rest[..<end]
        rest = rest[end...]
    }
    guard !host.isEmpty else { return nil }
    if rest.isEmpty { return (String(host), nil) }
    guard rest.first == ":", rest.dropFirst().allSatisfy({ ("0"..."9").contains($0) }), let port = UInt16(rest.dropFirst()) else {
        return nil
    }
    return (String(host), port)
}
