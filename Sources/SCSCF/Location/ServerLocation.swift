// Locating a server (RFC 3263 §4.1, §4.2) as a function of what is known: with the answers so far it tells either what has
// to be asked next, or where the server is. It is run again with each answer, so it has no states of its own.
//
//   port, transport     ──────────────────────────────────────► A, AAAA
//   no port, transport  ─────────────► SRV ───► targets ───────► A, AAAA
//   neither             ─► NAPTR ────► SRV ───► targets ───────► A, AAAA
//                            └ none ─► SRV of each transport
//                                        └ none ─► the name ──► A, AAAA, default port

import SansIO

/// What the core can send by, and whom it knows without asking.
struct LocationRules {
    /// In the order of preference where the peer leaves it open: UDP, TCP, TLS (RFC 3261 §18 asks for the first two).
    var transports: [Transport] = []
    /// The families of addresses that can be sent to, IPv6 first (RFC 6724 §2.1).
    var families: [NameRecordType] = []
    /// Names that are resolved without asking, in small letters.
    var hosts: [[UInt8]: Endpoint] = [:]

    init(listeners: [Listener], hosts: [[UInt8]: Endpoint]) {
        self.hosts = hosts
        if listeners.contains(where: { $0.transport == .udp }) { transports.append(.udp) }
        if !listeners.isEmpty { transports += [.tcp, .tls] }
        if listeners.contains(where: { $0.local.address.isIPv6 }) { families.append(.aaaa) }
        if listeners.contains(where: { !$0.local.address.isIPv6 }) { families.append(.a) }
    }
}

struct ServerLocation {
    enum Progress: Hashable {
        case asking([NameQuery])
        case located(ServerSet)
    }

    /// The most that is asked about one name; past it the rest is taken as not there.
    static let queryLimit = 64

    let name: ServerName
    private var answers: [NameQuery: NameAnswer] = [:]
    private var missing: [NameQuery] = []
    private var isConclusive = true
    private var lifetime = TimeSpan(nanoseconds: .max)

    init(_ name: ServerName) { self.name = name }

    mutating func take(_ answer: NameAnswer, to query: NameQuery) { answers[query] = answer }

    /// What is to be asked, or where the server is.
    mutating func progress(by rules: LocationRules) -> Progress {
        missing = []
        isConclusive = true
        lifetime = TimeSpan(nanoseconds: .max)
        let servers = servers(by: rules)
        return missing.isEmpty ? .located(ServerSet(servers, isConclusive: isConclusive, lifetime: lifetime)) : .asking(missing)
    }

    // MARK: The steps

    private mutating func servers(by rules: LocationRules) -> [LocatedServer] {
        let transport = name.transport ?? (name.isSecure ? .tls : .udp)
        // A port leaves nothing to SRV (§4.2), and with one the transport is the scheme's own (§4.1).
        guard name.port == 0 else { return standing(for: name.host, name.port, transport, rules) }
        let choices: [Choice]
        if let named = name.transport {
            choices = [Choice(service: service(named), transport: named)]
        } else {
            choices = pointers(rules) ?? []
        }
        guard missing.isEmpty else { return [] }
        let asked = choices.isEmpty ? standardChoices(rules) : choices
        var found: [LocatedServer] = []
        var isRefused = false
        for (number, choice) in asked.enumerated() {
            found += servers(of: choice, UInt16(number), rules, &isRefused)
        }
        guard missing.isEmpty, found.isEmpty, !isRefused else { return found }
        // §4.2: no SRV records, so the name itself, by the transport chosen.
        let chosen = choices.first?.transport ?? transport
        return standing(for: name.host, chosen.defaultPort, chosen, rules)
    }

    /// A way to ask for the servers of one transport.
    private struct Choice {
        /// Whose SRV records are asked for.
        var service: [UInt8]
        var transport: Transport
    }

    /// The NAPTR records that can be used, by preference; nil while they are not there. RFC 3403 §4.1: of those of the
    /// lowest order that fit, all may be tried, and none of a higher one.
    private mutating func pointers(_ rules: LocationRules) -> [Choice]? {
        guard let answer = answer(name.host, .naptr) else { return nil }
        var usable: [(order: UInt16, preference: UInt16, choice: Choice)] = []
        for case .pointer(let order, let preference, let flags, let service, let replacement) in answer.records {
            guard flags.count == 1, flags[0].asciiLowercased == 0x73, replacement.isHostName,
                let transport = transport(ofService: service), rules.transports.contains(transport)
            else { continue }
            usable.append((order, preference, Choice(service: replacement, transport: transport)))
        }
        let lowest = usable.map(\.order).min()
        return usable.filter { $0.order == lowest }.sorted { $0.preference < $1.preference }.map(\.choice)
    }

    /// `SIP+D2U` and the like. For a SIPS URI only those of SIPS will do (§4.1).
    private func transport(ofService service: [UInt8]) -> Transport? {
        switch String(decoding: service, as: UTF8.self).uppercased() {
        case "SIP+D2U": name.isSecure ? nil : .udp
        case "SIP+D2T": name.isSecure ? nil : .tcp
        case "SIPS+D2T": .tls
        case "SIP+D2W": name.isSecure ? nil : .ws
        case "SIPS+D2W": .wss
        default: nil
        }
    }

    /// Without NAPTR each transport that we have is asked for; TLS only for a SIPS URI (§4.1).
    private func standardChoices(_ rules: LocationRules) -> [Choice] {
        rules.transports.filter { ($0 == .tls) == name.isSecure }.map { Choice(service: service($0), transport: $0) }
    }

    private func service(_ transport: Transport) -> [UInt8] {
        let prefix =
            switch transport {
            case .udp: "_sip._udp."
            case .tcp, .ws: "_sip._tcp."
            case .tls, .wss: "_sips._tcp."
            }
        return Array(prefix.utf8) + name.host
    }

    /// - Parameter isRefused: set where the one target is the root: the service is decidedly not there (RFC 2782).
    private mutating func servers(
        of choice: Choice, _ number: UInt16, _ rules: LocationRules, _ isRefused: inout Bool
    ) -> [LocatedServer] {
        guard let answer = answer(choice.service, .srv) else { return [] }
        var records: [(priority: UInt16, weight: UInt16, port: UInt16, target: [UInt8])] = []
        for case .server(let priority, let weight, let port, let target) in answer.records {
            if target.isEmpty { isRefused = true }
            if target.isHostName, port != 0 { records.append((priority, weight, port, target)) }
        }
        // Where not all can be asked for, the best are.
        records.sort { $0.priority < $1.priority }
        return records.compactMap { record in
            let destinations = destinations(record.target, record.port, choice.transport, rules)
            guard !destinations.isEmpty else { return nil }
            return LocatedServer(choice: number, priority: record.priority, weight: record.weight, destinations: destinations)
        }
    }

    private mutating func standing(
        for host: [UInt8], _ port: UInt16, _ transport: Transport, _ rules: LocationRules
    ) -> [LocatedServer] {
        let destinations = destinations(host, port, transport, rules)
        return destinations.isEmpty ? [] : [LocatedServer(destinations: destinations)]
    }

    private mutating func destinations(
        _ host: [UInt8], _ port: UInt16, _ transport: Transport, _ rules: LocationRules
    ) -> [Destination] {
        if let known = rules.hosts[host] {
            return [Destination(endpoint: Endpoint(address: known.address, port: port), transport: transport)]
        }
        var destinations: [Destination] = []
        for family in rules.families {
            for case .address(let address) in answer(host, family)?.records ?? [] where !address.isUnspecified {
                destinations.append(Destination(endpoint: Endpoint(address: address, port: port), transport: transport))
            }
        }
        return destinations
    }

    // MARK: Answers

    /// What is known; nil: it has to be asked. Who does not answer for NAPTR or SRV is taken to have none: the addresses
    /// may be in a file of hosts, of which no name server knows.
    private mutating func answer(_ name: [UInt8], _ type: NameRecordType) -> NameAnswer? {
        let query = NameQuery(name, type)
        if let answer = answers[query] {
            lifetime = min(lifetime, answer.lifetime)
            if !answer.isConclusive { isConclusive = false }
            return answer
        }
        if missing.contains(query) { return nil }
        guard answers.count + missing.count < ServerLocation.queryLimit else { return NameAnswer(records: [], lifetime: lifetime) }
        missing.append(query)
        return nil
    }
}
