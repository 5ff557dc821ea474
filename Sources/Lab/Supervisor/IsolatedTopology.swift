// A topology whose lab can live beside others of the same topology: every port is any free one, every database is its own.

import Topology

extension ResolvedTopology {
    /// Leaves open what the file fixes.
    mutating func isolate(in folder: String) {
        for index in topology.core.listen.indices { topology.core.listen[index].port = 0 }
        topology.core.http?.port = 0
        topology.lab.http?.port = 0
        if topology.core.database != nil { setDatabase("\(folder)/core.sqlite") }
        for index in topology.applicationServers.indices {
            topology.applicationServers[index].database = nil
            let server = topology.applicationServers[index]
            guard server.canMove, let address = ServerAddress(uri: server.uri) else { continue }
            topology.applicationServers[index].uri = address.uri(withPort: 0)
        }
    }

    /// Why two labs of a topology cannot live side by side; each says what would be right.
    static func obstacles(to topology: Topology) -> [String] {
        let servers = topology.applicationServers.filter { server in
            if case .command = server.launch { return !server.canMove && ServerAddress(uri: server.uri)?.port != 0 }
            return false
        }
        let networks = topology.networks.filter { if case .command = $0.launch { true } else { false } }
        return servers.map { server in
            let placeholder = "${application_servers.\(server.name).uri}"
            return "the command of \(server.name) has the port of its uri written in it; give it \(placeholder) instead"
        }
            + networks.map { "\($0.domain) is started at the fixed address \($0.uri); run one lab at a time, with --jobs 1" }
    }

    /// What the labs of a topology have in common although each should have its own.
    static func shared(by topology: Topology) -> [String] {
        topology.applicationServers.filter { $0.launch == .external }.map(\.name)
            + topology.networks.filter { $0.launch == .external }.map(\.domain)
    }
}

extension ApplicationServer {
    /// Whether the lab may choose another port for it: it starts the server, and the server is told.
    fileprivate var canMove: Bool {
        switch launch {
        case .external: false
        case .builtIn: true
        case .command(let command):
            (command + environment.values).contains { $0.contains("${application_servers.\(name).uri}") }
        }
    }
}
