// The names that the core has located or is locating, who waits for them, and the peers that it knows by name alone.
//
// Everything here has a bound: names known, names asked for at once, those who wait, and the time for which they do.

import SansIO

/// Who waits for a name.
enum LocationWaiter: BitwiseCopyable {
    case branch(SlotID)
    case thirdParty(SlotID)
    case acknowledgement(SlotID)
}

struct Locations: ~Copyable {
    /// Names located that are remembered; past it the oldest is forgotten.
    static let knownLimit = 1024
    /// Names that are asked for at once, and those who wait for them together.
    static let lookupLimit = 512
    static let waiterLimit = 4096
    /// How long a name is asked for before it counts as unanswered.
    static let patience = TimeSpan.seconds(10)
    /// For how long an answer holds at least and at most, and at most if somebody did not answer.
    static let shortest = TimeSpan.seconds(1)
    static let longest = TimeSpan.seconds(3600)
    static let longestUnanswered = TimeSpan.seconds(5)
    /// How long after it was learned the address of a peer is asked for again at the earliest.
    private static let refreshPause = TimeSpan.seconds(60)

    private struct Known {
        var servers: ServerSet
        var expires: Instant
    }
    private struct Lookup {
        var location: ServerLocation
        var waiters: [LocationWaiter] = []
        var questions: [UInt64] = []
        var deadline: Instant
    }
    private struct Peer {
        var name: ServerName
        /// The application server's number; -1: a network.
        var server: Int16
        var isTrusted: Bool
        var endpoints: [Endpoint] = []
        var refresh = Instant.distantFuture
    }

    let rules: LocationRules
    private var known: [ServerName: Known] = [:]
    /// The names known, the oldest first.
    private var order: [ServerName] = []
    private var lookups: [ServerName: Lookup] = [:]
    private var questions: [UInt64: (name: ServerName, query: NameQuery)] = [:]
    private var lastQuestion: UInt64 = 0
    private var waiterCount = 0
    private var peers: [Peer] = []
    /// Whether peers are known by name alone.
    var hasPeers: Bool { !peers.isEmpty }
    /// When `due` is wanted next.
    private(set) var nextDeadline = Instant.distantFuture

    init(_ rules: LocationRules) { self.rules = rules }

    // MARK: Looking up

    /// Where a server is, if that is known; a set without servers: it is known that it is nowhere.
    func servers(of name: ServerName, at now: Instant) -> ServerSet? {
        guard let entry = known[name], entry.expires > now else { return nil }
        return entry.servers
    }

    /// Asks where a server is, unless that is under way.
    ///
    /// - Parameter waiter: told when it is known; nil: nobody is.
    /// - Returns: false if as many names are asked for as may be, or as many wait.
    mutating func look(_ name: ServerName, for waiter: LocationWaiter?, at now: Instant, into lane: inout NameLane) -> Bool {
        if waiter != nil, waiterCount >= Locations.waiterLimit { return false }
        if lookups[name] == nil {
            guard lookups.count < Locations.lookupLimit else { return false }
            var lookup = Lookup(location: ServerLocation(name), deadline: now + Locations.patience)
            // Without a listener there is nothing to ask for, for nothing could be sent.
            guard case .asking(let queries) = lookup.location.progress(by: rules) else { return false }
            lookups[name] = lookup
            nextDeadline = min(nextDeadline, lookup.deadline)
            ask(queries, about: name, into: &lane)
        }
        if let waiter {
            lookups[name]?.waiters.append(waiter)
            waiterCount += 1
        }
        return true
    }

    private mutating func ask(_ queries: [NameQuery], about name: ServerName, into lane: inout NameLane) {
        for query in queries {
            lastQuestion += 1
            questions[lastQuestion] = (name, query)
            lookups[name]?.questions.append(lastQuestion)
            lane.questions.append(NameQuestion(number: lastQuestion, query: query))
        }
    }

    /// Takes in an answer.
    ///
    /// - Returns: who waits, if the server is located now; nil: the question is not open, or more is to be asked.
    mutating func answered(_ question: UInt64, _ answer: NameAnswer, at now: Instant, into lane: inout NameLane) -> [LocationWaiter]? {
        guard let (name, query) = questions.removeValue(forKey: question), lookups[name] != nil else { return nil }
        lookups[name]?.questions.removeAll { $0 == question }
        lookups[name]?.location.take(answer, to: query)
        // The next step is for all answers of this one.
        guard lookups[name]?.questions.isEmpty == true, let progress = lookups[name]?.location.progress(by: rules) else { return nil }
        switch progress {
        case .asking(let queries):
            ask(queries, about: name, into: &lane)
            return nil
        case .located(let servers):
            return finish(name, servers, at: now, into: &lane)
        }
    }

    private mutating func finish(
        _ name: ServerName, _ servers: ServerSet, at now: Instant, into lane: inout NameLane
    ) -> [LocationWaiter] {
        remember(name, servers, at: now)
        learnPeer(name, servers, at: now, into: &lane)
        guard let lookup = lookups.removeValue(forKey: name) else { return [] }
        for question in lookup.questions { questions[question] = nil }
        waiterCount -= lookup.waiters.count
        setDeadline()
        return lookup.waiters
    }

    private mutating func remember(_ name: ServerName, _ servers: ServerSet, at now: Instant) {
        let most = servers.isConclusive ? Locations.longest : Locations.longestUnanswered
        let lifetime = max(Locations.shortest, min(servers.lifetime, most))
        if known.updateValue(Known(servers: servers, expires: now + lifetime), forKey: name) != nil { order.removeAll { $0 == name } }
        order.append(name)
        if order.count > Locations.knownLimit { known[order.removeFirst()] = nil }
    }

    // MARK: Peers

    /// Notes a peer that is known by name alone.
    ///
    /// - Parameters:
    ///   - server: the application server's number; -1: it is a network.
    ///   - isTrusted: whether it is believed, by the addresses that the name has.
    mutating func addPeer(_ name: ServerName, server: Int16, isTrusted: Bool) {
        peers.append(Peer(name: name, server: server, isTrusted: isTrusted))
    }

    /// Asks for the addresses of all peers.
    mutating func lookForPeers(at now: Instant, into lane: inout NameLane) {
        for peer in peers { _ = look(peer.name, for: nil, at: now, into: &lane) }
    }

    /// The number of the application server at an address, -1 for a network; nil: no trusted peer that was located is there.
    func peer(at endpoint: Endpoint) -> Int16? {
        for peer in peers where peer.isTrusted && peer.endpoints.contains(endpoint) { return peer.server }
        return nil
    }

    /// The topology names its peers, so their certificates may be of those names wherever they are. Names that requests
    /// bring are not to be trusted so far: whoever owns one decides where it leads.
    private mutating func learnPeer(_ name: ServerName, _ servers: ServerSet, at now: Instant, into lane: inout NameLane) {
        for i in peers.indices where peers[i].name == name {
            let destinations = servers.servers.flatMap(\.destinations)
            // While nobody answers, it is where it was.
            if servers.isConclusive || !destinations.isEmpty { peers[i].endpoints = destinations.map(\.endpoint) }
            for destination in destinations where destination.transport == .tls {
                lane.findings.append(NameFinding(name: name.host, endpoint: destination.endpoint))
            }
            peers[i].refresh = now + max(servers.isConclusive ? min(servers.lifetime, Locations.longest) : .zero, Locations.refreshPause)
        }
    }

    // MARK: Time

    /// Gives up names that have been asked for too long, and asks again for peers whose addresses have run out.
    ///
    /// - Returns: who waited for the names given up.
    mutating func due(at now: Instant, into lane: inout NameLane) -> [LocationWaiter] {
        var late: [(question: UInt64, name: ServerName)] = []
        for (name, lookup) in lookups where lookup.deadline <= now { late.append((lookup.questions.first ?? 0, name)) }
        // A table has no order of its own; questions have.
        late.sort { $0.question < $1.question }
        var waiters: [LocationWaiter] = []
        for (_, name) in late {
            let nowhere = ServerSet([], isConclusive: false, lifetime: Locations.longestUnanswered)
            waiters += finish(name, nowhere, at: now, into: &lane)
        }
        for i in peers.indices where peers[i].refresh <= now {
            peers[i].refresh = now + Locations.refreshPause
            _ = look(peers[i].name, for: nil, at: now, into: &lane)
        }
        setDeadline()
        return waiters
    }

    private mutating func setDeadline() {
        nextDeadline = .distantFuture
        for lookup in lookups.values { nextDeadline = min(nextDeadline, lookup.deadline) }
        for peer in peers { nextDeadline = min(nextDeadline, peer.refresh) }
    }
}
