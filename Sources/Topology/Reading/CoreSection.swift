// The sections `core`, `lab`, `networks`: addresses and limits.

extension Reader {
    mutating func readCore(_ node: Node) {
        var core = CoreSettings()
        core.listen = node[CoreKeys.listen] ?? []
        if node[node: CoreKeys.listen] == nil {
            core.listen = [.udp, .tcp].map { ListenAddress(transport: $0, host: "127.0.0.1", port: 5060) }
        }
        core.http = node[CoreKeys.http]
        core.httpToken = node[CoreKeys.httpToken]
        core.database = file(CoreKeys.database, in: node)
        core.authentication = node[CoreKeys.authentication] ?? core.authentication
        core.digestAlgorithms = node[CoreKeys.digestAlgorithms] ?? core.digestAlgorithms
        core.digestQops = node[CoreKeys.digestQop] ?? core.digestQops
        core.akaAlgorithms = node[CoreKeys.akaAlgorithms] ?? core.akaAlgorithms
        core.authenticationFailures = node[CoreKeys.authenticationFailures] ?? core.authenticationFailures
        core.challengeLifetimeMilliseconds = node[CoreKeys.challengeLifetime] ?? core.challengeLifetimeMilliseconds
        core.digestUserHash = node[CoreKeys.digestUserHash] ?? core.digestUserHash
        core.requireQop = node[CoreKeys.requireQop] ?? core.requireQop
        core.authenticationInfo = node[CoreKeys.authenticationInfo] ?? core.authenticationInfo
        core.registrar = node[CoreKeys.registrar] ?? core.registrar
        core.trace = node[CoreKeys.trace] ?? core.trace
        core.traceBytes = node[CoreKeys.traceBytes] ?? core.traceBytes
        core.advertise = node[CoreKeys.advertise]
        core.udpSizeLimit = node[CoreKeys.udpSizeLimit] ?? core.udpSizeLimit
        core.trusted = node[CoreKeys.trusted] ?? []
        core.requestURIScopeIsFull = node[CoreKeys.requestURIScope] ?? false
        core.headerContentIgnoresCase = node[CoreKeys.headerContentCase] ?? false
        core.webSocketOrigins = node[CoreKeys.webSocketOrigins]
        core.shards = node[CoreKeys.shards] ?? 1
        core.udpSegmentation = node[CoreKeys.udpSegmentation] ?? true
        core.recursion = node[CoreKeys.recursion] ?? core.recursion
        core.maxContacts = node[CoreKeys.maxContacts] ?? core.maxContacts
        core.listRemovedContacts = node[CoreKeys.listRemovedContacts] ?? core.listRemovedContacts
        if let timer = node[CoreKeys.flowTimer] { readFlowTimer(timer, node, into: &core) }
        core.visitedNetworks = (node[CoreKeys.visitedNetworks] ?? []).map { $0.lowercased() }
        if let options = node[CoreKeys.thirdPartyRegister] {
            core.thirdPartyRegister.before200 = options[ThirdPartyRegisterKeys.before200] ?? false
            core.thirdPartyRegister.registrationToken = options[ThirdPartyRegisterKeys.registrationToken] ?? false
            core.thirdPartyRegister.onProfileChange = options[ThirdPartyRegisterKeys.onProfileChange] ?? false
            core.thirdPartyRegister.deregistrationExpires = options[ThirdPartyRegisterKeys.deregistrationExpires] ?? .maxRemaining
        }
        core.rejectIfNoMatchingIFC = node[CoreKeys.rejectIfNoMatchingIFC] ?? core.rejectIfNoMatchingIFC
        if let functions = node[CoreKeys.chargingFunctions] {
            core.chargingFunctions.collection = functions[ChargingFunctionsKeys.collection] ?? []
            core.chargingFunctions.event = functions[ChargingFunctionsKeys.event] ?? []
        }
        if let limits = node[CoreKeys.limits] { readLimits(limits, into: &core) }
        core.seed = node[CoreKeys.seed]
        readClock(node, into: &core)
        for entry in node[CoreKeys.hosts]?.entries ?? [] {
            core.hosts[entry.key.lowercased()] = Codec<HostPort>.hostPort.read(entry.value)
        }
        core.dns = node[CoreKeys.dns] ?? core.dns
        if let expires = node[CoreKeys.expires] { readExpires(expires, into: &core) }
        if let timers = node[CoreKeys.timers] { readTimers(timers, into: &core.timers) }
        if let regEvent = node[CoreKeys.regEvent] { readRegEvent(regEvent, into: &core.regEvent) }
        if let tls = node[CoreKeys.tls] { readTLS(tls, into: &core) }
        if let hep = node[CoreKeys.hep] { readHEP(hep, into: &core) }
        topology.core = core
        checkListeners(node)
        checkToken(node, CoreKeys.http, CoreKeys.httpToken, "core")
        checkRepeated(node[node: CoreKeys.digestAlgorithms], "algorithm")
        checkRepeated(node[node: CoreKeys.digestQop], "qop")
        checkRepeated(node[node: CoreKeys.akaAlgorithms], "algorithm")
    }

    /// A default that is not given stays between the limits that are.
    private mutating func readExpires(_ node: Node, into core: inout CoreSettings) {
        core.minExpires = node[ExpiresKeys.min] ?? core.minExpires
        core.maxExpires = node[ExpiresKeys.max] ?? core.maxExpires
        guard core.minExpires <= core.maxExpires else {
            let place = node[node: ExpiresKeys.min] ?? node
            return error(place.position, "min \(core.minExpires) is more than max \(core.maxExpires); write min <= default <= max")
        }
        let granted = node[ExpiresKeys.standard] ?? min(max(core.defaultExpires, core.minExpires), core.maxExpires)
        if !(core.minExpires...core.maxExpires).contains(granted) {
            let place = node[node: ExpiresKeys.standard] ?? node
            error(
                place.position,
                "default \(granted) is not between min \(core.minExpires) and max \(core.maxExpires); write min <= default <= max")
        }
        core.defaultExpires = granted
    }

    private mutating func readClock(_ node: Node, into core: inout CoreSettings) {
        core.clockIsVirtual = node[CoreKeys.clock] ?? false
        core.clockStart = node[CoreKeys.clockStart] ?? core.clockStart
        core.clockPatience = node[CoreKeys.clockPatience] ?? core.clockPatience
        guard !core.clockIsVirtual else { return }
        for name in [CoreKeys.clockStart.name, CoreKeys.clockPatience.name] {
            if let entry = node.entry(name) {
                warn(entry.position, "'\(name)' is of a virtual clock, and this one is real; write 'clock: virtual' too, or leave it out")
            }
        }
    }

    private mutating func readFlowTimer(_ milliseconds: Int, _ node: Node, into core: inout CoreSettings) {
        core.flowTimer = UInt32(milliseconds / 1000)
        guard milliseconds % 1000 != 0, let place = node[node: CoreKeys.flowTimer] else { return }
        error(place.position, "\(milliseconds)ms are no whole seconds, which Flow-Timer counts in; write one such as 120s")
    }

    private mutating func readLimits(_ node: Node, into core: inout CoreSettings) {
        core.transactionLimit = node[LimitKeys.transactions] ?? core.transactionLimit
        guard let octets = node[LimitKeys.keptBytes] else { return }
        core.keptBytes = octets
        if octets < CoreSettings.leastKeptBytes, let place = node[node: LimitKeys.keptBytes] {
            error(place.position, "\(octets) bytes are too few to work with; write 1MiB or more")
        }
    }

    /// The interval of retransmissions begins with T1 and ends with T2. A T2 that is not given stays above the T1 that is.
    private mutating func readTimers(_ node: Node, into timers: inout TimerValues) {
        timers.t1 = node[TimerKeys.t1] ?? timers.t1
        timers.t4 = node[TimerKeys.t4] ?? timers.t4
        timers.timerC = node[TimerKeys.timerC] ?? timers.timerC
        timers.t2 = node[TimerKeys.t2] ?? max(timers.t2, timers.t1)
        if timers.t2 < timers.t1 {
            let place = node[node: TimerKeys.t1] ?? node[node: TimerKeys.t2] ?? node
            error(place.position, "t1 \(timers.t1)ms is more than t2 \(timers.t2)ms; write t1 <= t2")
        }
    }

    private func readRegEvent(_ node: Node, into regEvent: inout RegEventSettings) {
        regEvent.tellsChangesOnly = node[RegEventKeys.state] ?? regEvent.tellsChangesOnly
        regEvent.intervalMilliseconds = node[RegEventKeys.interval] ?? regEvent.intervalMilliseconds
        regEvent.terminatedReason = node[RegEventKeys.terminatedReason] ?? regEvent.terminatedReason
    }

    /// What is not recorded cannot be sent.
    private mutating func readHEP(_ node: Node, into core: inout CoreSettings) {
        guard let address = node[HEPKeys.uri] else { return }
        var hep = HomerSettings(address: address)
        hep.captureID = node[HEPKeys.captureID].map { UInt32($0) } ?? hep.captureID
        hep.password = node[HEPKeys.password]
        core.hep = hep
        if core.trace == 0 {
            error(node.position, "Homer is sent what is recorded, and core.trace is 0; write core.trace: 20000, or leave hep out")
        }
    }

    private mutating func checkListeners(_ node: Node) {
        var seen: [ListenAddress] = []
        for element in node[node: CoreKeys.listen]?.elements ?? [] {
            guard let listener = Codec<ListenAddress>.listenAddress.read(element) else { continue }
            if listener.port != 0, seen.contains(where: { $0.isSameSocket(as: listener) }) {
                error(element.position, "the core listens here already; write each address once")
            }
            seen.append(listener)
            if HostText.isWildcard(listener.host), topology.core.advertise == nil {
                error(
                    element.position,
                    "\(listener.host) is no address that others could answer to; write core.advertise too, or listen on the address itself")
            }
        }
        checkFree(topology.core.http, node[node: CoreKeys.http])
    }

    /// A control interface cannot listen where the core takes streams.
    private mutating func checkFree(_ http: HostPort?, _ node: Node?) {
        guard let http, let node, http.port != 0 else { return }
        let isTaken = topology.core.listen.contains { $0.transport != .udp && $0.port == http.port && $0.host == http.host }
        if isTaken { error(node.position, "the core takes SIP over TCP here already; write another port") }
    }

    private mutating func checkRepeated(_ list: Node?, _ what: String) {
        var seen: Set<String> = []
        for element in list?.elements ?? [] {
            if let name = element.text, !seen.insert(name).inserted {
                error(element.position, "'\(name)' is offered already; write each \(what) once")
            }
        }
    }

    mutating func readLab(_ node: Node?) {
        guard let node else { return }
        topology.lab.http = node[LabKeys.http]
        topology.lab.httpToken = node[LabKeys.httpToken]
        checkToken(node, LabKeys.http, LabKeys.httpToken, "lab")
        if let http = topology.lab.http, http.port != 0, http == topology.core.http, let value = node[node: LabKeys.http] {
            error(value.position, "this is the core's own control interface; write another port")
        }
        checkFree(topology.lab.http, node[node: LabKeys.http])
    }

    mutating func readNetworks(_ node: Node?) {
        for entry in node?.entries ?? [] {
            let domain = entry.key.lowercased()
            if domain == topology.domain {
                error(entry.position, "'\(entry.key)' is the home network itself; write another domain, or leave it out")
            }
            guard let section = Codec<Node>.object(NetworkKeys.shape).read(entry.value) else { continue }
            if let uri = section[NetworkKeys.uri], let value = section[node: NetworkKeys.uri] {
                checkServer(uri, at: value.position, isStartedByLab: false)
                var network = Network(domain: domain, uri: uri.text, isTrusted: section[NetworkKeys.trusted] ?? false)
                network.launch = launch(section, run: nil)
                network.environment = environment(section)
                network.readyPattern = expression(LaunchKeys.ready, in: section)
                topology.networks.append(network)
            }
            checkPlaceholders(in: section, client: nil)
        }
    }

    /// Whether requests can go to a server: by a port that is known, and over UDP from a listener of its family.
    mutating func checkServer(_ uri: ServerURI, at position: Position, isStartedByLab: Bool) {
        if HostText.isWildcard(uri.host) {
            return error(position, "\(uri.host) is no address to send to; write 127.0.0.1, or the server's own")
        }
        if let fault = uri.transportFault { return error(position, fault) }
        if uri.port == 0 {
            if !isStartedByLab {
                error(position, "port 0 asks for any free port, and here nothing is started that could take one; write the server's port")
            } else if !surroundings.isLab {
                error(position, "port 0 is chosen by 'sipcore lab' alone; write the server's port")
            }
        }
        let isAsked = !HostText.isLiteral(uri.host) && !HostText.isLocal(uri.host) && topology.core.hosts[uri.host] == nil
        if isAsked, topology.core.dns == .nobody {
            error(position, "with 'dns: none' nobody is asked where \(uri.host) is; name it under core.hosts, or write its address")
        }
        guard uri.effectiveTransport == .udp, !topology.core.listen.isEmpty else { return }
        // The name decides between UDP and streams (RFC 3263 §4.1).
        if isAsked, uri.port == nil, uri.transport == nil { return }
        let udp = topology.core.listen.filter { $0.transport == .udp }
        let host = topology.core.hosts[uri.host]?.host ?? uri.host
        if HostText.isLiteral(host) {
            let isIPv6 = host.contains(":")
            if !udp.contains(where: { $0.host.contains(":") == isIPv6 }) {
                let listener = isIPv6 ? "udp://[::1]:5060" : "udp://127.0.0.1:5060"
                error(
                    position,
                    "the core has no \(isIPv6 ? "IPv6" : "IPv4") listener on UDP to send from; "
                        + "add one such as \(listener) to core.listen, or write ;transport=tcp"
                )
            }
        } else if udp.isEmpty {
            error(
                position,
                "the core has no listener on UDP to send from; add one such as udp://127.0.0.1:5060 to core.listen, or write ;transport=tcp"
            )
        }
    }
}
