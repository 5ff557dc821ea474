// A topology in which every port is a number: what was written 0 is chosen before anything starts.

import Topology

/// A topology as the lab runs it, and how its core is told of what the file does not say.
struct ResolvedTopology: Sendable {
    var topology: Topology
    /// The core's control interface; a private one where the file gives none.
    private(set) var coreHTTP: HostAndPort
    /// Arguments `--set KEY=VALUE` of the core, for what differs from the file: `core.listen` (all listeners, with commas
    /// between them), `core.http`, `core.database`, `application_servers.NAME.uri`, and `application_servers.NAME.http` of each built-in one.
    private(set) var overrides: [(key: String, value: String)] = []
    /// The control interfaces of the built-in servers, by name.
    private(set) var serverHTTP: [String: HostAndPort] = [:]
    /// Where the built-in clients listen, by name.
    private(set) var clientAddress: [String: HostAndPort] = [:]

    struct Failure: Error, CustomStringConvertible { let description: String }

    /// Whether other labs may live beside this one.
    let isIsolated: Bool

    /// - Parameter folder: where the databases of a lab are that takes nothing which the file fixes, neither ports nor
    ///   databases, so that others may live beside it; nil: it is the only one.
    init(_ topology: Topology, isolatedIn folder: String? = nil) throws(Failure) {
        self.topology = topology
        isIsolated = folder != nil
        coreHTTP = HostAndPort(host: "127.0.0.1", port: 0)
        if let folder { isolate(in: folder) }
        if let http = self.topology.core.http { coreHTTP = HostAndPort(host: http.host, port: http.port) }
        var ports = FreePorts(seed: topology.core.seed, isAlone: !isIsolated)
        try chooseListeners(&ports)
        if coreHTTP.port == 0 {
            coreHTTP.port = try ResolvedTopology.port(on: coreHTTP.host, of: "core.http", &ports)
            self.topology.core.http = HostPort(host: coreHTTP.host, port: coreHTTP.port)
            overrides.append(("core.http", coreHTTP.description))
        }
        for index in topology.applicationServers.indices {
            try chooseServer(index, &ports)
            try chooseServerHTTP(topology.applicationServers[index], &ports)
        }
        for client in topology.clients { try chooseClient(client, &ports) }
        ports.release()
    }

    mutating func setDatabase(_ path: String) {
        topology.core.database = path
        overrides.append(("core.database", path))
    }

    private mutating func chooseListeners(_ ports: inout FreePorts) throws(Failure) {
        guard topology.core.listen.contains(where: { $0.port == 0 }) else { return }
        for index in topology.core.listen.indices where topology.core.listen[index].port == 0 {
            topology.core.listen[index].port = try ResolvedTopology.port(on: topology.core.listen[index].host, of: "core.listen", &ports)
        }
        overrides.append(("core.listen", topology.core.listen.map(\.text).joined(separator: ",")))
    }

    private mutating func chooseServer(_ index: Int, _ ports: inout FreePorts) throws(Failure) {
        let server = topology.applicationServers[index]
        guard server.launch != .external, let address = ServerAddress(uri: server.uri), address.port == 0 else { return }
        let host = topology.core.hosts[address.host]?.host ?? address.host
        let port = try ResolvedTopology.port(on: host, of: "application_servers.\(server.name).uri", &ports)
        let uri = address.uri(withPort: port)
        topology.applicationServers[index].uri = uri
        overrides.append(("application_servers.\(server.name).uri", uri))
    }

    private mutating func chooseServerHTTP(_ server: ApplicationServer, _ ports: inout FreePorts) throws(Failure) {
        guard case .builtIn = server.launch else { return }
        let port = try ResolvedTopology.port(on: "127.0.0.1", of: "application_servers.\(server.name)", &ports)
        let address = HostAndPort(host: "127.0.0.1", port: port)
        serverHTTP[server.name] = address
        overrides.append(("application_servers.\(server.name).http", address.description))
    }

    /// The core is told where a client listens, so that its messages have its name.
    private mutating func chooseClient(_ client: Client, _ ports: inout FreePorts) throws(Failure) {
        guard case .builtIn = client.launch, let core = coreAddress(builtInTransport) else { return }
        let port = try ResolvedTopology.port(on: core.host, of: "clients.\(client.name)", &ports)
        let address = HostAndPort(host: core.host, port: port)
        clientAddress[client.name] = address
        overrides.append(("clients.\(client.name).address", address.description))
    }

    private static func port(on host: String, of key: String, _ ports: inout FreePorts) throws(Failure) -> UInt16 {
        guard let port = ports.choose(host: host, for: key) else { throw Failure(description: "\(key): no free port on \(host)") }
        return port
    }
}

extension ResolvedTopology {
    /// Where a node on this machine reaches the core by a transport.
    func coreAddress(_ transport: TransportName) -> HostAndPort? {
        topology.core.listen.first { $0.transport == transport }.map { listener in
            let address = HostAndPort(host: listener.host, port: listener.port)
            guard address.isWildcard else { return address }
            return HostAndPort(host: address.host == "::" ? "::1" : "127.0.0.1", port: address.port)
        }
    }

    /// The transport of built-in nodes: the first that the core offers of those that all of them speak.
    var builtInTransport: TransportName { [.udp, .tcp, .tls].first { coreAddress($0) != nil } ?? .udp }

    /// The core's SIP URI for a built-in node.
    func coreURI(_ transport: TransportName) -> String? {
        coreAddress(transport).map { transport == .udp ? "sip:\($0)" : "sip:\($0);transport=\(transport.rawValue)" }
    }

    /// The address that a `uri` of a server or network stands for.
    func address(ofURI uri: String) -> HostAndPort? {
        guard let address = ServerAddress(uri: uri) else { return nil }
        let mapped = topology.core.hosts[address.host]
        let port = address.port ?? mapped.map { $0.port == 0 ? 5060 : $0.port } ?? (address.transport == .tls ? 5061 : 5060)
        return HostAndPort(host: (mapped?.host ?? address.host).lowercased(), port: port)
    }

    func subscriber(named name: String) -> Subscriber? { topology.subscribers.first { $0.name.contains(name) } }

    /// All public identities of a subscriber, the default one first.
    func identities(of name: String) -> [String] {
        subscriber(named: name)?.publicIdentities.filter { $0.kind == .user }.map { $0.uri.filled(with: name) } ?? []
    }
}

extension ListenAddress {
    var text: String { "\(transport.rawValue)://\(HostAndPort(host: host, port: port))" }
}

/// The host, port and transport in the `uri` of a server: `sip:127.0.0.1:5080;transport=tcp`.
struct ServerAddress: Equatable {
    var host: String
    /// nil where the URI names none.
    var port: UInt16?
    var transport: TransportName
    private let beforeHost: String
    private let writtenHost: String
    private let afterPort: String

    init?(uri: String) {
        guard let schemeEnd = uri.firstIndex(of: ":"), ["sip", "sips"].contains(uri[..<schemeEnd].lowercased()) else { return nil }
        let end = uri.firstIndex { $0 == ";" || $0 == "?" } ?? uri.endIndex
        let start = uri[..<end].lastIndex(of: "@").map { uri.index(after: $0) } ?? uri.index(after: schemeEnd)
        beforeHost = String(uri[..<start])
        afterPort = String(uri[end...])
        let hostPort = uri[start..<end]
        let portColon = hostPort.lastIndex(of: ":").flatMap { hostPort[$0...].contains("]") ? nil : $0 }
        writtenHost = String(hostPort[..<(portColon ?? hostPort.endIndex)])
        host = writtenHost.hasPrefix("[") && writtenHost.hasSuffix("]") ? String(writtenHost.dropFirst().dropLast()) : writtenHost
        guard !host.isEmpty else { return nil }
        if let portColon {
            guard let number = UInt16(hostPort[hostPort.index(after: portColon)...]) else { return nil }
            port = number
        }
        let named = afterPort.split(separator: ";").map { $0.lowercased() }.first { $0.hasPrefix("transport=") }
        let isSecure = uri[..<schemeEnd].lowercased() == "sips"
        transport = named.flatMap { TransportName(rawValue: String($0.dropFirst(10))) } ?? (isSecure ? .tls : .udp)
    }

    func uri(withPort port: UInt16) -> String { "\(beforeHost)\(writtenHost):\(port)\(afterPort)" }
}
