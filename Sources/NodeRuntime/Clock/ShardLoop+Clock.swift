// A shard that goes by a virtual clock: it reads its sockets and lets timers fire within its turns only, and tells the
// conductor when it would like one.

import CNodeIO
import Glibc
import Logging
import SansIO

/// What a shard knows of its place at the clock.
struct ClockMember {
    let membership: ClockMembership
    /// The connection to the conductor; -1: it is gone, and the time stands still.
    var descriptor: Int32
    /// Whether a turn was asked for, so that sockets need not be watched until it comes.
    var hasWished = false
    /// Where datagrams went since the last report.
    var destinations: Set<Endpoint> = []
    var usedStreams = false
    /// The deadline that was told last.
    var toldDeadline: Instant?
    /// When a conductor that is gone is looked for again, by the system's clock.
    var nextSearch = Instant.zero

    var isConducted: Bool { descriptor >= 0 }
}

extension ShardLoop where Node: ~Copyable {
    /// How often a conductor that is gone is looked for.
    private static var searchInterval: TimeSpan { .milliseconds(50) }
    /// How long a turn waits for the store and for names.
    private static var patienceOfTurn: TimeSpan { .seconds(5) }

    /// The number of the conductor's connection with the poller.
    var clockNumber: Int { wiring.listeners.count + 1 }

    /// Whether sockets are read by turns.
    var isConducted: Bool { member?.isConducted ?? false }

    /// The system's clock: what the shell does for itself goes by it.
    var systemTime: Instant { member == nil ? now.monotonic : SystemClock.now.monotonic }

    mutating func joinClock() {
        guard let membership = wiring.membership, let descriptor = membership.takeConnection() else { return }
        member = ClockMember(membership: membership, descriptor: -1)
        watchConductor(descriptor)
    }

    private mutating func watchConductor(_ descriptor: Int32) {
        do {
            try poller.watch(descriptor, number: clockNumber)
            member?.descriptor = descriptor
        } catch {
            logger.error("the clock cannot be watched: \(error)")
            close(descriptor)
        }
    }

    // MARK: Wishes

    /// Asks for a turn, once.
    mutating func wishTurn() {
        guard let current = member, current.isConducted, !current.hasWished else { return }
        member?.hasWished = true
        for socket in sockets { watch(socket) }
        if !ClockFrame.wish.send(to: current.descriptor) { loseConductor() }
    }

    /// After a tick outside of a turn: asks for one if something was sent or set in it.
    mutating func settleWithClock() {
        seekConductor()
        guard let member, member.isConducted else { return }
        if !member.destinations.isEmpty || member.usedStreams || member.toldDeadline != deadline { wishTurn() }
    }

    /// Notes where datagrams and messages on streams go.
    mutating func noteDestinations(of transmissions: [Transmission]) {
        for transmission in transmissions {
            if transmission.flow.transport == .udp {
                member?.destinations.insert(transmission.flow.remote)
            } else {
                member?.usedStreams = true
            }
        }
    }

    // MARK: Turns

    mutating func readConductor() {
        guard let current = member, current.isConducted else { return }
        switch ClockFrame.receive(from: current.descriptor, waiting: false) {
        case .turn(let elapsed, let atRest): takeTurn(elapsed, atRest: atRest)
        case .question:
            if !ClockFrame.unanswered(node.unansweredRequests).send(to: current.descriptor) { loseConductor() }
        default: loseConductor()
        }
    }

    private mutating func takeTurn(_ elapsed: TimeSpan, atRest: Bool) {
        guard let membership = member?.membership else { return }
        membership.clock.move(to: elapsed)
        now = membership.clock.now
        member?.hasWished = false
        if atRest { doPutOff() }
        var hasMore = true
        while hasMore {
            readLetters()
            advanceIfDue()
            finishTick()
            hasMore = false
            for socket in sockets where ending == nil && !isQuiet {
                if receive(from: socket) > 0 { hasMore = true }
            }
            awaitOthers()
            if let deadline, deadline <= now.monotonic { hasMore = true }
        }
        // The conductor passes over a wish that came within the turn: the turn was to fulfil it.
        member?.hasWished = false
        for socket in sockets { watch(socket) }
        report()
        // What was put off and came too late for this turn.
        if !putOff.isEmpty { wishTurn() }
    }

    /// Does something at once or, by a conductor's clock, when all have come to rest.
    mutating func doAtRest(_ letter: @escaping ShardWiring<Node>.Letter) {
        guard isConducted, ending == nil else { return letter(&self) }
        putOff.append(letter)
        wishTurn()
    }

    mutating func doPutOff() {
        var batch: [ShardWiring<Node>.Letter] = []
        swap(&batch, &putOff)
        for letter in batch { letter(&self) }
    }

    /// Waits for the store and for names, whose answers belong to this turn.
    private mutating func awaitOthers() {
        let limit = SystemClock.now.monotonic + Self.patienceOfTurn
        while lastTicketReported < lastTicketHanded || openQuestions > 0, SystemClock.now.monotonic < limit {
            var descriptor = pollfd(fd: wiring.mailbox.descriptor, events: Int16(POLLIN), revents: 0)
            _ = node_io_wait(&descriptor, 1, 100_000_000)
            readLetters()
            finishTick()
        }
    }

    private mutating func report() {
        guard let current = member, current.isConducted else { return }
        let clock = current.membership.clock
        let report = TurnReport(
            deadline: deadline.map(clock.elapsed(at:)), destinations: Array(current.destinations.prefix(ClockFrame.listLimit)),
            usedStreams: current.usedStreams)
        member?.destinations.removeAll(keepingCapacity: true)
        member?.usedStreams = false
        let told = deadline
        member?.toldDeadline = told
        if !ClockFrame.done(report).send(to: current.descriptor) { loseConductor() }
    }

    // MARK: Without a conductor

    private mutating func loseConductor() {
        guard let current = member, current.isConducted else { return }
        poller.forget(current.descriptor)
        close(current.descriptor)
        member?.descriptor = -1
        member?.hasWished = false
        doPutOff()
        for socket in sockets { watch(socket) }
    }

    /// Looks for a new conductor if the old one is gone; until there is one, messages are served and the time stands still.
    private mutating func seekConductor() {
        guard let current = member, !current.isConducted, ending == nil else { return }
        let time = SystemClock.now.monotonic
        guard time >= current.nextSearch else { return }
        member?.nextSearch = time + Self.searchInterval
        guard let descriptor = current.membership.rejoin() else { return }
        watchConductor(descriptor)
        wishTurn()
    }

    mutating func leaveClock() {
        guard let current = member, current.isConducted else { return }
        poller.forget(current.descriptor)
        close(current.descriptor)
        member?.descriptor = -1
    }
}
