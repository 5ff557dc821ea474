// The life of processes: how each starts with what its database holds, as the commands of the real ones do it, and dies.

import InstantMessaging
import SCSCF
import SIPRegistrar
import SansIO

extension VirtualLab {
    // MARK: Start

    mutating func start(_ station: Station) {
        guard !station.isRunning else { return }
        record?.note("starts", at: station.number, now.monotonic)
        if station.number == cast.core {
            startCore(station)
        } else if let server = cast.server(of: station.number) {
            startServer(cast.plan.servers[server].role, station)
        } else {
            var settings = cast.plan.clients[station.number].settings
            settings.seed = random.next()
            let phone = Phone(
                identity: settings.publicIdentity, at: settings.listeners[0], core: settings.core, timers: settings.timers,
                seed: random.next(), start: now)
            station.cells = [NodeCell(IMClient(settings: settings, start: now)), NodeCell(phone)]
            tell(.started(station: station.number))
        }
        station.noteDeadline()
    }

    private mutating func startServer(_ role: LabPlan.Server.Role, _ station: Station) {
        guard case .imServer(var settings) = role else {
            station.cells = [NodeCell(StandIn())]
            return tell(.started(station: station.number))
        }
        settings.seed = random.next()
        let cell = NodeCell(IMServer(settings: settings, start: now))
        station.cells = [cell]
        tell(.started(station: station.number))
        for table in IMServer.storeTables.keys.sorted() {
            for (key, value) in station.store?.records(of: table) ?? [] {
                if !cell.node.restore(table: table, key: key, value: value, at: now) {
                    fail("\(station.name) does not understand what it has stored itself")
                }
            }
        }
        let isSuccessor = station.life > 0
        tick(station, 0) { _, now in cell.node.start(asSuccessor: isSuccessor, at: now, into: &cell.effects) }
    }

    private mutating func startCore(_ station: Station) {
        var configuration = cast.plan.core
        configuration.isPersistent = schedule.isPersistent
        configuration.seed = random.next()
        takeOverVariants(station, into: &configuration)
        let now = self.now
        station.cells = (0..<max(1, cast.plan.shards)).map { number in
            var mine = configuration
            mine.place = ShardPlace(number: number, count: max(1, cast.plan.shards))
            return NodeCell(ServingCSCF(mine, at: now))
        }
        tell(.started(station: station.number))
        let records = StoreTable.restored.map { ($0, station.store?.records(of: $0) ?? []) }
        var isUnderstood = true
        for (i, cell) in station.core.enumerated() {
            tick(station, i) { _, now in
                guard configuration.isPersistent else { return }
                for (table, entries) in records {
                    for (key, value) in entries
                    where !cell.node.restore(
                        table: table, key: key.span.bytes, value: value.span.bytes, at: now, into: &cell.effects)
                    { isUnderstood = false }
                }
                cell.node.begin(at: now, into: &cell.effects)
            }
            tick(station, i) { _, now in cell.node.locatePeers(at: now, into: &cell.effects) }
        }
        // Records of subscribers or criteria that are gone are left out, and it says so.
        if !isUnderstood, variants.allSatisfy({ $0 == .planned }) { fail("the core does not understand what it has stored itself") }
        tellRegistrations()
    }

    // MARK: Death

    mutating func crash(_ station: Station) {
        guard station.isRunning else { return }
        record?.note("dies", at: station.number, now.monotonic)
        station.cells = []
        station.life += 1
        station.store?.crash()
        station.deadline = .distantFuture
        station.refused = []
        station.admitted = []
        if station.number == cast.core { pendingVariants = [] }
        tell(.crashed(station: station.number))
    }

    // MARK: Questions

    mutating func tellRegistrations() {
        let cells = stations[cast.core].core
        guard !cells.isEmpty else { return }
        let time = now.monotonic
        let identities = cells.flatMap { $0.node.registeredIdentities(at: time) }
        tell(
            .registrations(
                identities.map { identity in
                    RegisteredUser(
                        identity: identity.publicIdentity,
                        contacts: identity.contacts.map { WireMessage.Contact(uri: $0.uri, expires: $0.expires) })
                }))
    }

    var remainingWork: [RemainingWork] {
        stations.map { station in
            var counts: [(name: String, count: Int)] = []
            for cell in station.core { counts += cell.node.remainingWork }
            if let server = station.imServer { counts += server.node.remainingWork }
            if let client = station.client { counts += client.node.remainingWork }
            if let phone = station.phone { counts += phone.node.remainingWork }
            return RemainingWork(station: station.number, counts: counts)
        }
    }

    var areClientsIdle: Bool {
        stations.allSatisfy { ($0.client.map { $0.node.isIdle } ?? true) && ($0.phone.map { $0.node.isIdle } ?? true) }
    }

    // MARK: Steps

    mutating func perform(_ action: Schedule.Action) {
        tellRegistrations()
        let core = stations[cast.core]
        switch action {
        case .command(let client, let command): order(command, to: client)
        case .call(let client, let recipient, let patience, let talk): call(recipient, from: client, patience: patience, talk: talk)
        case .deregister(let client, let event):
            guard core.isRunning else { return }
            let identity = cast.plan.clients[client].user.defaultIdentity
            record?.note("deregisters \(identity)", at: cast.core, now.monotonic)
            var isDone = false
            for (i, cell) in core.core.enumerated() {
                tick(core, i) { _, now in
                    if cell.node.deregister(identity, event, at: now, into: &cell.effects) { isDone = true }
                }
            }
            tell(.deregistered(client: client, wasRegistered: isDone, change: core.store?.made ?? 0))
        case .reauthenticate(let client):
            let identity = cast.plan.clients[client].user.defaultIdentity
            var isDone = false
            for (i, cell) in core.core.enumerated() {
                tick(core, i) { _, now in
                    if cell.node.reauthenticate(identity, at: now, into: &cell.effects) { isDone = true }
                }
            }
            if isDone { tell(.reauthenticated(client: client, change: core.store?.made ?? 0)) }
        case .provision(let client, let variant): provision(client, as: variant)
        }
    }

    mutating func order(_ command: ClientCommand, to client: Int) {
        let station = stations[client]
        guard let cell = station.client else { return }
        record?.note(command.label, at: client, now.monotonic)
        tick(station, 0) { _, now in cell.node.perform(command, at: now, into: &cell.effects) }
    }

    mutating func call(_ recipient: String, from client: Int, patience: TimeSpan, talk: TimeSpan) {
        let station = stations[client]
        guard let phone = station.phone else { return }
        record?.note("call \(recipient)", at: client, now.monotonic)
        tick(station, 1) { _, now in phone.node.call(recipient, patience: patience, talk: talk, at: now, into: &phone.effects) }
    }

    // MARK: Faults

    mutating func begin(_ kind: Schedule.Fault.Kind, _ span: TimeSpan) {
        switch kind {
        case .partition(let a, let b):
            record?.note("no way to \(cast.name(b))", at: a, now.monotonic)
            network.part(a, b)
        case .crash(let number):
            stations[number].isDown += 1
            crash(stations[number])
            return queue.add(.start(number), at: now.monotonic + span)
        case .slow(let server, let delay): stations[cast.station(ofServer: server)].slowness.append(delay)
        case .dead(let server):
            record?.note("is dead", at: cast.station(ofServer: server), now.monotonic)
            stations[cast.station(ofServer: server)].isDead += 1
        case .overloaded(let server):
            record?.note("is overloaded", at: cast.station(ofServer: server), now.monotonic)
            stations[cast.station(ofServer: server)].isOverloaded += 1
        case .failingStore(let number): stations[number].storeFaults += 1
        }
        queue.add(.faultEnds(kind), at: now.monotonic + span)
    }

    mutating func end(_ kind: Schedule.Fault.Kind) {
        guard !isLifted else { return }
        switch kind {
        case .partition(let a, let b): network.join(a, b)
        case .crash: break
        case .slow(let server, let delay):
            let station = stations[cast.station(ofServer: server)]
            if let place = station.slowness.firstIndex(of: delay) { station.slowness.remove(at: place) }
        case .dead(let server): stations[cast.station(ofServer: server)].isDead -= 1
        case .overloaded(let server): stations[cast.station(ofServer: server)].isOverloaded -= 1
        case .failingStore(let number): stations[number].storeFaults -= 1
        }
    }

    /// Ends all faults, for good.
    mutating func lift() {
        guard !isLifted else { return }
        isLifted = true
        network.heal()
        for station in stations {
            station.isDead = 0
            station.isOverloaded = 0
            station.storeFaults = 0
            station.slowness = []
            station.isDown = 0
            start(station)
        }
        tell(.lifted)
    }
}

extension ClientCommand {
    /// As a ladder shows it.
    var label: String {
        switch self {
        case .register(let expires): "register" + (expires.map { " \($0)" } ?? "")
        case .unregister: "unregister"
        case .publishSettings: "publish settings"
        case .removeSettings: "remove settings"
        case .message(let recipient, let text): "message \(recipient) \(text)"
        case .wait: "wait"
        case .quit: "quit"
        }
    }
}
