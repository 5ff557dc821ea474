// A whole lab in virtual time: its nodes, the network between them, and the loop that moves the clock from one event to the
// next. Everything that happens is told to the checkers.

import InstantMessaging
import SCSCF
import SIPMessage
import SIPTransaction
import SansIO

struct VirtualLab {
    /// What will happen. `life` is that of the process that it is meant for.
    enum Event {
        case arrival(WireMessage, Flow)
        /// A message that a flaw of its sender adds.
        case added([UInt8], from: Int, to: Int)
        case unreachable(WireMessage, life: Int, cell: Int, transaction: UInt64, Flow)
        case handOver(Int, life: Int, HandOver, [UInt8])
        case name(Int, life: Int, cell: Int, NameQuestion)
        case commitDurable(Int, life: Int)
        case commitEnd(Int, life: Int)
        case start(Int)
        case step(Schedule.Action)
        case faultBegins(Schedule.Fault.Kind, span: TimeSpan)
        case faultEnds(Schedule.Fault.Kind)
    }

    let cast: Cast
    let schedule: Schedule
    let stations: [Station]
    var network: VirtualNetwork
    var queue = EventQueue<Event>()
    var checkers: [any Checker]
    private(set) var now: Now
    private let origin: WallTime
    private let addresses: [Endpoint: Int]
    private let reader = WireReader()
    var random: RandomSource
    /// Whether all faults are over.
    var isLifted = false
    /// Whether all have left.
    var isResting = false
    /// A fault of the house that is built in.
    let flaw: Flaw?
    /// Subscribers as they are, and as their changes were stored (numbers by client).
    var variants: [SubscriberVariant]
    var pendingVariants: [(ticket: UInt64, client: Int, variant: SubscriberVariant, prepared: [PreparedChange])] = []
    var lastVariantTicket: UInt64 = 0
    /// Outcomes of commands, by client, since somebody looked.
    var outcomes: [[CommandOutcome]]

    /// How much was sent and done, and what it hashes to: the same of each run of a seed.
    private(set) var messageCount = 0
    private(set) var eventCount = 0
    private(set) var lastSent = Instant.zero
    private var hasher = KeyHasher(HashSecret(1, 2))
    private var own: Violation?
    /// What is recorded for a ladder, if it is.
    var record: WireRecord?

    init(_ plan: LabPlan, _ schedule: Schedule, seed: UInt64, records: Bool, flaw: Flaw? = nil) {
        cast = Cast(plan)
        self.flaw = flaw
        self.schedule = schedule
        var random = RandomSource(seed: ~seed)
        network = VirtualNetwork(schedule.quality, random: RandomSource(seed: random.next()))
        origin = WallTime(seconds: 1_700_000_000)
        now = Now(monotonic: .zero, wall: origin)
        stations = VirtualLab.stations(of: cast, isPersistent: schedule.isPersistent)
        addresses = Dictionary(stations.map { ($0.address, $0.number) }) { first, _ in first }
        let patience = plan.core.timers.patience
        checkers = [
            TransactionChecker(cast, patience: max(patience, .seconds(32))),
            RegistrationChecker(cast, isPersistent: schedule.isPersistent),
            ThirdPartyChecker(cast, isPersistent: schedule.isPersistent), MessageChecker(cast), CallChecker(cast), RestChecker(cast),
        ]
        variants = Array(repeating: .planned, count: plan.clients.count)
        outcomes = Array(repeating: [], count: plan.clients.count)
        record = records ? WireRecord() : nil
        self.random = random
        for station in stations { start(station) }
        for step in schedule.steps { queue.add(.step(step.action), at: step.time) }
        for fault in schedule.faults { queue.add(.faultBegins(fault.kind, span: fault.span), at: fault.time) }
    }

    private static func stations(of cast: Cast, isPersistent: Bool) -> [Station] {
        var stations: [Station] = []
        for client in cast.plan.clients {
            stations.append(Station(number: stations.count, name: client.name, address: client.settings.listeners[0].local))
        }
        let core = Station(number: stations.count, name: "core", address: cast.plan.core.listeners[0].local)
        if isPersistent { core.store = VirtualStore() }
        stations.append(core)
        for server in cast.plan.servers {
            let station = Station(number: stations.count, name: server.name, address: server.address)
            if case .imServer = server.role { station.store = VirtualStore() }
            stations.append(station)
        }
        return stations
    }

    /// The first thing that did not hold.
    var violation: Violation? { own ?? checkers.lazy.compactMap(\.violations.first).min { $0.time < $1.time } }
    var digest: UInt64 { hasher.finish().low }

    mutating func fail(_ text: String) {
        own = own ?? violation ?? Violation(checker: "lab", text: text, time: now.monotonic)
    }

    mutating func tell(_ observation: Observation) {
        for i in checkers.indices { checkers[i].observe(observation, at: now.monotonic) }
    }

    // MARK: The loop

    /// How many events a run may have: past it something does not come to rest.
    private static let eventLimit = 2_000_000

    /// Lets everything happen until then.
    mutating func run(until end: Instant) {
        while violation == nil, eventCount < VirtualLab.eventLimit {
            let station = stations.filter { !hasStoppedTimers || $0.number != cast.core }.min { $0.deadline < $1.deadline }
            let timer = station?.deadline ?? .distantFuture
            let next = min(queue.nextTime ?? .distantFuture, timer)
            guard next <= end else { break }
            move(to: max(next, now.monotonic))
            eventCount += 1
            if let station, timer <= now.monotonic, timer < queue.nextTime ?? .distantFuture {
                for i in station.cells.indices where (station.cells[i].nextDeadline ?? .distantFuture) <= now.monotonic {
                    tick(station, i) { $0.advance(to: $1) }
                }
            } else if let (_, event) = queue.popFirst() {
                perform(event)
            }
        }
        move(to: max(end, now.monotonic))
    }

    var hasRunAway: Bool { eventCount >= VirtualLab.eventLimit }

    private mutating func move(to instant: Instant) { now = Now(monotonic: instant, wall: origin + (instant - .zero)) }

    private mutating func perform(_ event: Event) {
        switch event {
        case .arrival(let message, let flow): arrive(message, over: flow)
        case .added(let octets, let sender, let receiver):
            carry(
                WireMessage(time: now.monotonic, sender: sender, receiver: receiver, octets: octets, reader: reader),
                from: stations[sender])
        case .unreachable(let message, let life, let cell, let transaction, let flow):
            guard let station = alive(message.sender, life) else { return }
            tell(.unreachable(message))
            tick(station, cell) { $0.transmissionFailed(transaction, over: flow, at: $1) }
        case .handOver(let number, let life, let handOver, let octets):
            guard let station = alive(number, life) else { return }
            tick(station, Int(handOver.target)) { $0.handedOver(handOver, octets.span.bytes, at: $1) }
        case .name(let number, let life, let cell, let question):
            guard let station = alive(number, life) else { return }
            let answer = answer(to: question.query)
            tick(station, cell) { $0.nameAnswered(question.number, answer, at: $1) }
        case .commitDurable(let number, let life):
            guard let station = alive(number, life), isLifted || station.storeFaults == 0 else { return }
            station.store?.becomeDurable(forgets: flaw == .forgetsStored && number == cast.core)
        case .commitEnd(let number, let life):
            if let station = alive(number, life) { endCommit(station) }
        case .start(let number):
            stations[number].isDown -= 1
            if stations[number].isDown == 0 { start(stations[number]) }
        case .step(let action): perform(action)
        case .faultBegins(let kind, let span):
            guard !isLifted else { return }
            begin(kind, span)
        case .faultEnds(let kind): end(kind)
        }
    }

    func alive(_ number: Int, _ life: Int) -> Station? {
        let station = stations[number]
        return station.life == life && station.isRunning ? station : nil
    }

    private func answer(to query: NameQuery) -> NameAnswer {
        let address = query.type == .a ? cast.plan.names[query.name] : nil
        return NameAnswer(records: address.map { [.address($0)] } ?? [], lifetime: .seconds(60))
    }

    // MARK: Nodes

    /// One call of a core, and what follows from it.
    mutating func tick(_ station: Station, _ index: Int, _ body: (Cell, Now) -> Void) {
        let cell = station.cells[index]
        body(cell, now)
        cell.examine { follow($0, station, index) }
        cell.effects.removeAll()
        if let client = station.client { takeEvents(of: client, station) }
        if let phone = station.phone { takeEvents(of: phone, station) }
        station.noteDeadline()
    }

    private mutating func follow(_ effects: borrowing Effects, _ station: Station, _ index: Int) {
        send(effects, station, index)
        if station.store != nil, !effects.store.changes.isEmpty {
            station.store?.add(effects.store, of: index)
            commit(station)
        }
        for handOver in effects.wire.handOvers {
            let octets = [UInt8](effects.wire.bytes.bytes(from: handOver.start, count: handOver.count))
            queue.add(.handOver(station.number, life: station.life, handOver, octets), at: now.monotonic)
        }
        for question in effects.names.questions {
            queue.add(.name(station.number, life: station.life, cell: index, question), at: now.monotonic + .milliseconds(20))
        }
    }

    private mutating func takeEvents(of client: NodeCell<IMClient>, _ station: Station) {
        let events = client.node.events
        client.node.events = []
        outcomes[station.number] += client.node.outcomes
        client.node.outcomes = []
        for event in events {
            tell(.event(client: station.number, event.kind))
            if flaw == .showsTwice, case .messageReceived = event.kind { tell(.event(client: station.number, event.kind)) }
        }
    }

    private mutating func takeEvents(of phone: NodeCell<Phone>, _ station: Station) {
        let events = phone.node.events
        phone.node.events = []
        for event in events { tell(.call(client: station.number, event)) }
    }

    // MARK: Datagrams

    private mutating func send(_ effects: borrowing Effects, _ station: Station, _ index: Int) {
        for transmission in effects.wire.transmissions {
            let octets = [UInt8](effects.wire.bytes.bytes(from: transmission.start, count: transmission.count))
            let receiver = addresses[transmission.flow.remote] ?? -1
            let message = WireMessage(
                time: now.monotonic, sender: station.number, receiver: receiver, octets: octets, reader: reader)
            if swallows(message) { continue }
            if let (octets, delay) = addition(to: message) {
                queue.add(.added(octets, from: station.number, to: receiver), at: now.monotonic + delay)
            }
            if !carry(message, from: station), schedule.tellsUnreachable, transmission.transaction != 0 {
                queue.add(
                    .unreachable(
                        message, life: station.life, cell: index, transaction: transmission.transaction, transmission.flow),
                    at: now.monotonic + .milliseconds(1))
            }
        }
    }

    /// Puts a message on its way.
    /// - Returns: false if nobody listens where it goes.
    @discardableResult
    private mutating func carry(_ message: WireMessage, from station: Station) -> Bool {
        messageCount += 1
        lastSent = now.monotonic
        hasher.combine(UInt64(bitPattern: now.monotonic.nanoseconds))
        hasher.combine(message.octets.span.bytes)
        tell(.sent(message))
        let isListening = message.receiver >= 0 && stations[message.receiver].isRunning
        let isCut = station.isDead > 0 || message.receiver >= 0 && stations[message.receiver].isDead > 0
        let delays = isCut || message.receiver < 0 ? [] : network.delays(from: message.sender, to: message.receiver)
        record?.add(message, copies: isListening ? delays.count : 0)
        let flow = Flow(transport: .udp, listener: 0, remote: station.address)
        let slowness = message.isRequest ? TimeSpan.zero : station.delay
        for delay in delays { queue.add(.arrival(message, flow), at: now.monotonic + delay + slowness) }
        return isListening
    }

    private mutating func arrive(_ message: WireMessage, over flow: Flow) {
        let station = stations[message.receiver]
        guard station.isRunning, station.isDead == 0 else { return }
        tell(.delivered(message))
        if isRefused(message, station) { return refuse(message, station, over: flow) }
        let octets = message.octets
        let cell = cell(for: message, station)
        tick(station, cell) { $0.receive(octets.span.bytes, over: flow, at: $1) }
    }

    /// Any shard may read what comes; of a client's two cells the phone has what belongs to calls.
    private mutating func cell(for message: WireMessage, _ station: Station) -> Int {
        if station.phone != nil { return message.isOfCall ? 1 : 0 }
        return station.cells.count == 1 ? 0 : Int.random(in: station.cells.indices, using: &random)
    }

    /// Whether a server that has too much to do refuses a request: what it has begun it goes on with.
    private func isRefused(_ message: WireMessage, _ station: Station) -> Bool {
        guard message.isRequest, message.method != .ack, cast.server(of: station.number) != nil else { return false }
        if station.refused.contains(message.transaction) { return true }
        if station.isOverloaded > 0, !station.admitted.contains(message.transaction) {
            station.refused.insert(message.transaction)
            return true
        }
        station.admitted.insert(message.transaction)
        return false
    }

    private mutating func refuse(_ message: WireMessage, _ station: Station, over flow: Flow) {
        var scanner = MessageScanner()
        var wire = Wire()
        guard case .message = scanner.scan(message.octets.span.bytes) else { return }
        wire.answer(503, to: scanner.message(message.octets.span.bytes), over: flow)
        let octets = [UInt8](wire.bytes.bytes)
        carry(
            WireMessage(
                time: now.monotonic, sender: station.number, receiver: message.sender, octets: octets, reader: reader),
            from: station)
    }

    // MARK: Stores

    /// Begins a commit if none is under way.
    mutating func commit(_ station: Station) {
        guard let store = station.store, !store.isCommitting, store.hasWaiting else { return }
        station.store?.beginCommit()
        let most = isLifted ? 1_000_000 : max(schedule.commitTime.nanoseconds, 1000)
        let durable = Int64.random(in: 0...most, using: &random)
        let end = durable + Int64.random(in: 0...most, using: &random)
        queue.add(.commitDurable(station.number, life: station.life), at: now.monotonic + TimeSpan(nanoseconds: durable))
        queue.add(.commitEnd(station.number, life: station.life), at: now.monotonic + TimeSpan(nanoseconds: end))
    }

    private mutating func endCommit(_ station: Station) {
        guard let report = station.store?.endCommit() else { return }
        if station.number == cast.core { tell(.committed(upTo: report.upTo, succeeded: report.succeeded)) }
        for (cell, ticket) in report.tickets where cell >= 0 {
            tick(station, cell) { $0.committed(upTo: ticket, succeeded: report.succeeded, at: $1) }
        }
        for (cell, ticket) in report.tickets where cell < 0 { variantsStored(upTo: ticket, report.succeeded) }
        commit(station)
    }
}
