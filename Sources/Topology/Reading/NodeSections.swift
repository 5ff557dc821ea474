// The sections `application_servers` and `clients`, and what they share with `networks`: the nodes of a lab and how each is started.

extension Reader {
    mutating func readServers(_ node: Node?) {
        var places: [String: String] = [:]
        for entry in node?.entries ?? [] {
            guard let section = Codec<Node>.object(ServerKeys.shape).read(entry.value) else { continue }
            let uri = section[ServerKeys.uri]
            var server = ApplicationServer(name: entry.key, uri: uri?.text ?? "sip:unknown.invalid")
            server.featureTags = section[ServerKeys.featureTags] ?? []
            server.answerWithinMilliseconds = section[ServerKeys.answerWithin] ?? server.answerWithinMilliseconds
            server.launch = launch(section, run: section[ServerKeys.run])
            server.database = file(ServerKeys.database, in: section)
            server.deliveryTimeoutMilliseconds = section[ServerKeys.deliveryTimeout] ?? server.deliveryTimeoutMilliseconds
            server.watchesRegistrations = section[ServerKeys.watchesRegistrations] ?? false
            server.requiresFeatureTag = section[ServerKeys.requiresFeatureTag] ?? false
            server.environment = environment(section)
            server.readyPattern = expression(LaunchKeys.ready, in: section)
            topology.applicationServers.append(server)
            if let uri, let value = section[node: ServerKeys.uri] {
                checkServer(uri, at: value.position, isStartedByLab: server.launch != .external)
                if case .builtIn = server.launch { checkPlace(of: server, at: uri, value.position, taken: &places) }
            }
            checkBuiltInKeys(section, server)
        }
        // Commands may name any server, so they are looked at when all are known.
        for entry in node?.entries ?? [] { checkPlaceholders(in: entry.value, client: nil) }
    }

    /// A server that the lab starts needs an address of its own.
    private mutating func checkPlace(of server: ApplicationServer, at uri: ServerURI, _ position: Position, taken: inout [String: String]) {
        let port = uri.port ?? 5060
        guard port != 0 else { return }
        let place = "\(uri.host):\(port)"
        if topology.core.listen.contains(where: { $0.host == uri.host && $0.port == port }) {
            error(position, "the core listens at \(place) itself; write another port for '\(server.name)', or 0 for any free one")
        } else if let other = taken[place] {
            error(position, "'\(other)' is started at \(place) already; write another port for '\(server.name)', or 0 for any free one")
        } else {
            taken[place] = server.name
        }
    }

    private mutating func checkBuiltInKeys(_ section: Node, _ server: ApplicationServer) {
        if case .builtIn = server.launch { return }
        let names = [
            ServerKeys.database.name, ServerKeys.deliveryTimeout.name, ServerKeys.watchesRegistrations.name,
            ServerKeys.requiresFeatureTag.name,
        ]
        for name in names {
            if let entry = section.entry(name) {
                error(entry.position, "'\(name)' is the built-in server's; write 'run: im-server' too, or leave it out")
            }
        }
    }

    mutating func readClients(_ node: Node?) {
        for entry in node?.entries ?? [] {
            guard let section = Codec<Node>.object(ClientKeys.shape).read(entry.value) else { continue }
            var client = Client(name: entry.key, launch: launch(section, run: section[ClientKeys.run]))
            client.environment = environment(section)
            client.readyPattern = expression(LaunchKeys.ready, in: section)
            topology.clients.append(client)
            if !topology.subscribers.contains(where: { $0.name.contains(entry.key) }) {
                error(entry.position, unknown("subscriber", entry.key, among: subscriberNames, section: "subscribers"))
            }
            checkPlaceholders(in: section, client: entry.key)
        }
    }

    /// Names of subscribers to suggest: of a range, its first.
    var subscriberNames: [String] { topology.subscribers.map { $0.name.name($0.name.range?.lowerBound ?? 0) } }

    mutating func launch(_ section: Node, run: String?) -> Launch {
        if let entry = section.entry(LaunchKeys.command.name), section.entry(ServerKeys.run.name) != nil {
            error(entry.position, "'command' and 'run' exclude each other; write one of them")
        }
        if section.entry(LaunchKeys.command.name) == nil {
            for name in [LaunchKeys.environment.name, LaunchKeys.ready.name] {
                if let entry = section.entry(name) {
                    error(
                        entry.position,
                        "'\(name)' belongs to a program of your own; write 'command: [PROGRAM, ARGUMENT, ...]' too, or leave it out")
                }
            }
        }
        if let run { return .builtIn(run) }
        return section[LaunchKeys.command].map(Launch.command) ?? .external
    }

    func environment(_ section: Node) -> [String: String] {
        var environment: [String: String] = [:]
        for entry in section[LaunchKeys.environment]?.entries ?? [] { environment[entry.key] = Codec<String>.text.read(entry.value) }
        return environment
    }

    mutating func checkPlaceholders(in section: Node, client: String?) {
        let values = (section[node: LaunchKeys.command]?.elements ?? []) + (section[LaunchKeys.environment]?.entries.map(\.value) ?? [])
        for value in values {
            guard let text = value.text else { continue }
            for name in Placeholders.names(in: text) {
                if let fault = placeholderFault(name, client: client) { error(value.position, fault) }
            }
        }
    }

    func placeholderFault(_ name: String, client: String?) -> String? {
        let written = "${\(name)}"
        if let transport = TransportName.allCases.first(where: { "core.\($0.rawValue)" == name }) {
            let isThere = topology.core.listen.isEmpty || topology.core.listen.contains { $0.transport == transport }
            let port = transport == .udp || transport == .tcp ? 5060 : transport == .tls ? 5061 : transport == .ws ? 8080 : 8443
            return isThere
                ? nil : "the core has no listener for \(written); add one such as \(transport.rawValue)://127.0.0.1:\(port) to core.listen"
        }
        if name == "core.http" || name == "sipcore" { return nil }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        if parts[0] == "application_servers", parts.count >= 2 {
            let server = parts[1...].dropLast(parts.last == "uri" && parts.count > 2 ? 1 : 0).joined(separator: ".")
            let names = topology.applicationServers.map(\.name)
            guard names.contains(server) else { return unknown("application server", server, among: names, section: "application_servers") }
            return parts.last == "uri"
                ? nil : "of an application server '\(written)' gives nothing; write ${application_servers.\(server).uri}"
        }
        if parts[0] == "subscriber", parts.count == 2 {
            guard client != nil else { return "'\(written)' is known to clients alone, who are subscribers; write the value itself" }
            guard Placeholders.subscriberFields.contains(parts[1]) else {
                let known = Placeholders.subscriberFields.map { "${subscriber.\($0)}" }
                return "a subscriber has no '\(parts[1])' to fill in; \(Suggestion.advice(for: written, among: known, otherwise: ""))"
            }
            return nil
        }
        let known =
            TransportName.allCases.map { "core.\($0.rawValue)" } + ["core.http", "application_servers.NAME.uri", "sipcore"]
            + Placeholders.subscriberFields.map { "subscriber.\($0)" }
        return "nothing is known as '\(written)'; \(Suggestion.advice(for: written, among: known.map { "${\($0)}" }, otherwise: ""))"
    }

    /// Scenarios and the lab's own interface name nodes, so no two may be called alike.
    mutating func checkNodeNames(_ root: Node) {
        let taken = ["core", "lab", StepKeys.mayFail.name] + StepKeys.actions.map(\.name)
        var lines: [String: Int] = [:]
        for section in [root[RootKeys.servers], root[RootKeys.networks], root[RootKeys.clients]] {
            for entry in section?.entries ?? [] {
                if taken.contains(entry.key) {
                    error(entry.position, "'\(entry.key)' means something else in a scenario; write another name")
                } else if let line = lines.updateValue(entry.position.line, forKey: entry.key) {
                    error(
                        entry.position,
                        "a node is called '\(entry.key)' already (line \(line)), and scenarios could not tell them apart; "
                            + "write another name"
                    )
                }
            }
        }
    }
}
