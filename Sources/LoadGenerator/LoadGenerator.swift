// A load of SIP transactions against a registrar and proxy: the UEs, the called UEs and the application server at once, as
// one value that takes octets and the time and appends what is to be sent. It opens no socket and reads no clock.
//
//   probe → preload → warm-up → measured       each phase: `begin`, then `advance` and `receive` until `isFinished`
//
// Each transaction is an `Exchange` in a slot; its branch and Call-ID name the slot, so that every message of it, at
// whichever of the three stations it arrives, is found by number. The UE's transactions are RFC 3261 §17.1 cut down to
// UDP and to what a load needs: timers A and E with their doubling, one patience for B and F. The servers' answers are a
// function of the request, so a retransmission gets the same answer again without being remembered (§17.2).

import SIPMessage
public import SansIO

/// Plays a load.
public struct LoadGenerator: ~Copyable {
    public let plan: LoadPlan
    public private(set) var phase = LoadPhase.probe
    /// The figures of the phase under way, or of the last one.
    public internal(set) var tally = LoadTally()
    /// Whether the phase has ended: all that was due was begun, and has ended.
    public private(set) var isFinished = true

    let texts: RequestTexts
    var exchanges = Slab<Exchange>()
    var population: Population
    var packets = PacketPool()
    var wheel: TimerWheel
    var random: RandomSource
    private var mix: ModeShares
    private var schedule: PhaseSchedule
    private var scanner = MessageScanner()
    private var expired: [UInt64] = []
    /// The time of the call under way.
    private var clock = Instant.zero
    /// Whether a transaction is due whose users all wait for an answer.
    private var isStarved = false
    private var began = Instant.zero
    private var lastEnd = Instant.zero
    private var lastHeard = Instant.zero
    /// Reports of ICMP since the target was last heard.
    private var refusals = 0

    /// RFC 3261 §17.1.1.1: the first interval of a retransmission, and the longest of one that is no INVITE.
    static let t1 = TimeSpan.milliseconds(500)
    static let t2 = TimeSpan.seconds(4)

    /// How many reports of ICMP in a row end a phase; the first phase ends with one.
    private static let refusalLimit = 8

    /// - Parameter plan: one that `validate` lets through.
    public init(_ plan: LoadPlan, at now: Instant) throws(LoadPlanFault) {
        try plan.validate()
        self.plan = plan
        mix = plan.mix
        random = RandomSource(seed: plan.seed)
        texts = RequestTexts(plan, salt: random.next())
        population = Population(plan)
        wheel = TimerWheel(start: now)
        schedule = PhaseSchedule(.probe, of: plan, at: now)
    }

    // MARK: Phases

    /// Begins a phase; the one before must have ended.
    public mutating func begin(_ phase: LoadPhase, at now: Instant, into outbox: inout Outbox) {
        precondition(isFinished, "a phase is under way")
        self.phase = phase
        tally = LoadTally()
        schedule = PhaseSchedule(phase, of: plan, at: now)
        (began, lastEnd, lastHeard) = (now, now, now)
        refusals = 0
        isFinished = false
        advance(to: now, into: &outbox)
    }

    /// Lets the timers that are due fire, and begins the transactions that are due.
    public mutating func advance(to now: Instant, into outbox: inout Outbox) {
        var due: [UInt64] = []
        swap(&due, &expired)
        clock = now
        isStarved = false
        wheel.expire(upTo: now, into: &due)
        // First all are marked as fired: what ends with one of them must not stop another that is no more.
        for payload in due { timerExpired(payload) }
        for payload in due { timerFired(payload, at: now, into: &outbox) }
        due.removeAll(keepingCapacity: true)
        swap(&due, &expired)
        guard !isFinished else { return }
        startWhatIsDue(at: now, into: &outbox)
        if exchanges.count == 0, schedule.isOver(at: now) { finish() }
    }

    /// When `advance` is wanted next; nil: only what arrives leads on.
    public var nextDeadline: Instant? {
        let timer = wheel.nextDeadline
        guard !isFinished, !isStarved, let start = schedule.nextDue(outstanding: exchanges.count) else { return timer }
        return timer.map { min($0, start) } ?? start
    }

    /// Ends the phase now, at its user's wish: what is outstanding is given up and not counted.
    public mutating func stop() {
        guard !isFinished else { return }
        tally.wasCutShort = true
        forEachExchange { generator, index in generator.remove(index) }
        schedule.close()
        finish(countingRest: false)
    }

    /// The system told that nobody listens where a datagram went.
    public mutating func refused(by destination: Endpoint) {
        guard destination == plan.target, !isFinished else { return }
        refusals += 1
        guard phase == .probe || refusals >= LoadGenerator.refusalLimit else { return }
        cutShort()
        forEachExchange { generator, index in generator.fail(index, .unreachable) }
        finish()
    }

    private mutating func finish(countingRest: Bool = true) {
        isFinished = true
        tally.elapsed = lastEnd - began
        // Of a mix nobody knows any more which they would have been.
        guard countingRest, schedule.notStarted > 0, phase == .warmUp || phase == .measured, let mode = plan.mix.modes.first else { return }
        tally[mode].failures[.notStarted] = schedule.notStarted
    }

    private mutating func cutShort() {
        tally.wasCutShort = true
        schedule.close()
    }

    private mutating func forEachExchange(_ body: (inout LoadGenerator, UInt32) -> Void) {
        for index in 0..<exchanges.endIndex where exchanges.isInUse(index) { body(&self, index) }
    }

    // MARK: Beginning

    private mutating func startWhatIsDue(at now: Instant, into outbox: inout Outbox) {
        while let due = schedule.due(at: now, outstanding: exchanges.count) {
            let mode = nextMode()
            guard let user = population.next(for: mode, in: phase) else {
                if phase == .warmUp || phase == .measured { mix.putBack(mode) }
                isStarved = true
                return
            }
            schedule.begin()
            start(mode, for: user, due: due, at: now, into: &outbox)
        }
    }

    private mutating func nextMode() -> LoadMode {
        switch phase {
        case .probe: .options
        case .preload: .register
        case .warmUp, .measured: mix.next()
        }
    }

    private mutating func start(_ mode: LoadMode, for user: Int, due: Instant, at now: Instant, into outbox: inout Outbox) {
        let patience = phase == .probe ? plan.probePatience : plan.patience
        let callee = mode == .message || mode == .call ? population.callee(of: user) : user
        let id = exchanges.insert(
            Exchange(
                mode: mode, phase: phase, user: UInt32(user), callee: UInt32(callee), due: due, deadline: now + patience,
                destination: plan.target, interval: LoadGenerator.t1))
        if mode.registers {
            population.beginRegistration(of: user, in: id.index)
            exchanges[id.index].sequence = population.advanceSequence(of: user)
        }
        let start = outbox.octets.count
        appendRequest(id, into: &outbox.octets)
        transmit(id.index, from: start, at: now, into: &outbox)
    }

    // MARK: Ends

    /// Whether all has been seen that must be; then the transaction is over.
    mutating func completeIfAllIsSeen(_ index: UInt32, at now: Instant) -> Bool {
        let exchange = exchanges[index]
        let required: Milestones = exchange.phase == .probe || exchange.phase == .preload ? [.answered] : exchange.mode.required
        guard exchange.seen.isSuperset(of: required) else { return false }
        tally[exchange.mode].completed += 1
        tally[exchange.mode].latency.record(now - exchange.due)
        lastEnd = now
        remove(index)
        return true
    }

    mutating func fail(_ index: UInt32, _ failure: LoadFailure) {
        lastEnd = clock
        tally[exchanges[index].mode].failures[failure, default: 0] += 1
        remove(index)
        // What comes after a user who could not be registered would only fail in other words.
        if phase == .preload { cutShort() }
    }

    private mutating func remove(_ index: UInt32) {
        let exchange = exchanges[index]
        wheel.cancel(exchange.timer)
        wheel.cancel(exchange.answerTimer)
        packets.release(exchange.request)
        packets.release(exchange.answer)
        if exchange.mode.registers { population.endRegistration(of: Int(exchange.user)) }
        exchanges.remove(index)
    }

    /// A target that has been silent as long as a transaction may take is not sent to any more.
    mutating func timedOut(_ index: UInt32, _ failure: LoadFailure, at now: Instant) {
        let patience = exchanges[index].phase == .probe ? plan.probePatience : plan.patience
        if now - lastHeard >= patience { cutShort() }
        fail(index, failure)
    }

    // MARK: Receiving

    /// Takes a datagram that came to a station.
    ///
    /// - Parameter source: where it came from.
    public mutating func receive(
        _ octets: RawSpan, from source: Endpoint, at station: Station, now: Instant, into outbox: inout Outbox
    ) {
        var scanner = MessageScanner()
        swap(&scanner, &self.scanner)
        let verdict = scanner.scan(octets)
        take(scanner.message(octets), verdict, from: source, at: station, now: now, into: &outbox)
        swap(&scanner, &self.scanner)
    }

    private mutating func take(
        _ message: borrowing Message, _ verdict: MessageScanner.Verdict, from source: Endpoint, at station: Station, now: Instant,
        into outbox: inout Outbox
    ) {
        clock = now
        if case .blank = verdict { return }
        lastHeard = now
        refusals = 0
        guard case .message = verdict, let essentials = try? message.essentials() else { return malformed(message, at: station) }
        switch (message.isRequest, station) {
        case (false, .user): responseReceived(message, essentials, at: now, into: &outbox)
        case (true, .called): calledUEReceived(message, essentials, from: source, at: now, into: &outbox)
        case (true, .server): serverReceived(message, essentials, from: source, at: now, into: &outbox)
        case (true, .user), (false, .called), (false, .server): tally.strays += 1
        }
    }

    /// A malformed answer fails its transaction, if it still says whose it is.
    private mutating func malformed(_ message: borrowing Message, at station: Station) {
        guard station == .user, !message.isRequest, let value = message.firstValue(.via), let via = message.bytes.via(value),
            let (id, _) = ExchangeToken.read(message[via.branch], behind: texts.branch), exchanges.contains(id)
        else {
            tally.strays += 1
            return
        }
        fail(id.index, .malformed)
    }
}
