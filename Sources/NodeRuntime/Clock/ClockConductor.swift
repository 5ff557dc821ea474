// The conductor of a virtual clock: a thread that gives the shards that go by the clock their turns, one at a time, and
// moves the time when nobody has anything left to do.
//
//   wish  → turn … done     a shard has something to read or to do; so have those to whom it sends, and so on until all rest
//   advance(by:)            to the next timer of any of them, rest again, and so on until the time is reached
//
// A shard reads its sockets within its turns only. What it sends is with its receiver before its turn is over, since they
// are on one machine; so the order of everything follows from the order of turns, which follows from the names of members
// and from what they say of their turns. What comes from outside comes when it likes: a command, or a message of somebody
// off the clock. It is a wish, and has to wait until all rest; so the same commands with the same seed give the same trace.
// Whoever does not go by the clock is waited for, but not for long.

import CNodeIO
import Glibc
public import Logging
public import SansIO
import Synchronization

/// Moves a virtual clock, over all shards that go by it.
public final class ClockConductor: Sendable {
    typealias Command = @Sendable (inout ConductorLoop) -> Void

    /// How long a process may take to say who it is.
    static let handshakeSeconds = 5
    /// How long a shard may take for a turn before it is left behind.
    static let turnSeconds = 30

    /// The clock of this process.
    public let clock: VirtualClock
    /// Where other processes find it; nil: none may join.
    public let path: String?
    private let mailbox: Mailbox<Command>
    private let loop: Mutex<ConductorLoop>

    /// - Parameters:
    ///   - start: the civil time at which the clock begins.
    ///   - patience: how much of the system's time a request to a process off the clock is waited for.
    ///   - path: of the socket at which shards of other processes join; one that is left there is replaced.
    public init(start: WallTime, patience: TimeSpan, path: String?, logger: Logger) throws(SystemFailure) {
        clock = VirtualClock(start: start)
        self.path = path
        mailbox = try Mailbox()
        loop = Mutex(ConductorLoop(clock: clock, patience: patience, listening: try path.map(ClockConductor.listen) ?? -1, logger: logger))
    }

    private static func listen(_ path: String) throws(SystemFailure) -> Int32 {
        let descriptor = try SystemFailure.check("socket", socket(AF_UNIX, Int32(NODE_IO_PACKETS), 0))
        do throws(SystemFailure) {
            unlink(path)
            try LocalSocket.bind(descriptor, to: path)
            _ = try SystemFailure.check("listen", Glibc.listen(descriptor, 128))
            return descriptor
        } catch {
            close(descriptor)
            throw error
        }
    }

    /// Lets a shard of this process go by the clock.
    public func membership(named name: String, listeners: [Listener]) throws(SystemFailure) -> ClockMembership {
        var pair: (Int32, Int32) = (-1, -1)
        let code = withUnsafeMutableBytes(of: &pair) {
            socketpair(AF_UNIX, Int32(NODE_IO_PACKETS), 0, $0.bindMemory(to: Int32.self).baseAddress)
        }
        _ = try SystemFailure.check("socketpair", code)
        let (own, other) = pair
        let endpoints = listeners.map(\.local)
        LocalSocket.limitWaiting(on: own, seconds: ClockConductor.turnSeconds)
        loop.withLock { $0.add(own, named: name, endpoints, isLocal: true) }
        return ClockMembership(clock: clock, name: name, listeners: endpoints, path: nil, connection: other)
    }

    /// Starts the thread, after the shards of this process have their memberships.
    public func start() throws(SystemFailure) {
        try ShardThread.start(name: "clock") { [self] in
            loop.withLock { $0.run(mailbox) }
            for command in mailbox.close() { loop.withLock { command(&$0) } }
        }
    }

    /// Moves the clock, timer by timer, and returns when all that fell due has been sent, and all that came of it.
    /// - Returns: the time then; nil: the conductor was stopped.
    public func advance(by span: TimeSpan) async -> WallTime? {
        await withCheckedContinuation { continuation in
            let isPosted = mailbox.post { loop in continuation.resume(returning: loop.isStopped ? nil : loop.advance(by: span)) }
            if !isPosted { continuation.resume(returning: nil) }
        }
    }

    /// Ends the thread; the clock stands still from then on.
    public func stop() { mailbox.post { $0.stop() } }
}

/// The state of the conductor's thread.
struct ConductorLoop {
    private struct Member {
        var number: Int
        var name: String
        var descriptor: Int32
        var listeners: [Endpoint]
        var isLocal: Bool
        var deadline: TimeSpan?
        /// Whether something came to it from another one's turn, or is due.
        var isPending = true
        /// Whether it has asked for a turn.
        var hasWished = false
        /// Whether it has sent to somebody who does not go by the clock.
        var hasReachedStrangers = false
    }

    private struct Waiting: Hashable {
        var member: Int
        var transaction: UInt64
    }

    /// How long streams may take to carry what was just written.
    private static var streamPatience: TimeSpan { .milliseconds(2) }

    private let clock: VirtualClock
    private let patience: TimeSpan
    private let listening: Int32
    private let logger: Logger
    /// In the order of their turns.
    private var members: [Member] = []
    private var nextNumber = 0
    private var memberAtEndpoint: [Endpoint: Int] = [:]
    /// Those that listen on every address, by port.
    private var memberAtPort: [UInt16: Int] = [:]
    /// Requests to strangers that were waited for long enough.
    private var givenUp: Set<Waiting> = []
    private var hasUsedStreams = false
    private(set) var isStopped = false

    init(clock: VirtualClock, patience: TimeSpan, listening: Int32, logger: Logger) {
        self.clock = clock
        self.patience = patience
        self.listening = listening
        self.logger = logger
    }

    mutating func run(_ mailbox: Mailbox<ClockConductor.Command>) {
        var commands: [ClockConductor.Command] = []
        while !isStopped {
            settle()
            let isCommanded = readPending(for: nil, mailbox.descriptor)
            settle()
            guard isCommanded else { continue }
            mailbox.takeAll(into: &commands)
            for command in commands { command(&self) }
            commands.removeAll()
        }
        if listening >= 0 { close(listening) }
        for member in members { close(member.descriptor) }
        members = []
    }

    mutating func stop() { isStopped = true }

    // MARK: Time

    mutating func advance(by span: TimeSpan) -> WallTime {
        let target = TimeSpan(nanoseconds: clock.elapsed.nanoseconds.addingReportingOverflow(span.nanoseconds).partialValue)
        for i in members.indices { members[i].isPending = true }
        rest()
        while let next = members.compactMap(\.deadline).min(), next <= target {
            clock.move(to: next)
            let elapsed = clock.elapsed
            for i in members.indices where members[i].deadline.map({ $0 <= elapsed }) ?? false { members[i].isPending = true }
            rest()
        }
        clock.move(to: target)
        // So that each knows what time it is.
        for i in members.indices { members[i].isPending = true }
        rest()
        return clock.now.wall
    }

    /// Lets all come to rest, those off the clock too as far as there is patience.
    private mutating func rest() {
        settle()
        let deadline = SystemClock.now.monotonic + patience
        while members.contains(where: \.hasReachedStrangers) {
            let waiting = requestsToStrangers()
            if waiting.isEmpty { return }
            let left = deadline - SystemClock.now.monotonic
            guard left > .zero else {
                logger.debug("time goes on without \(waiting.count) answers of processes that do not go by the clock")
                return givenUp.formUnion(waiting)
            }
            // A wish may have come with the answers: then there is nothing to wait for.
            if !members.contains(where: { $0.isPending || $0.hasWished }) { _ = readPending(for: left, -1) }
            settle()
        }
    }

    /// Gives turns until nobody has anything left to do.
    private mutating func settle() {
        while true {
            _ = readPending(for: .zero, -1)
            let round = members.filter(\.isPending).map(\.number)
            if !round.isEmpty {
                for number in round { giveTurn(to: number, atRest: false) }
            } else if hasUsedStreams {
                // What they carry comes as wishes.
                hasUsedStreams = false
                _ = readPending(for: ConductorLoop.streamPatience, -1)
            } else if let wishing = members.first(where: \.hasWished) {
                giveTurn(to: wishing.number, atRest: true)
            } else {
                return
            }
        }
    }

    // MARK: Turns

    /// - Parameter atRest: whether nobody has anything to do but what came from outside.
    private mutating func giveTurn(to number: Int, atRest: Bool) {
        guard let place = place(of: number) else { return }
        members[place].isPending = false
        members[place].hasWished = false
        let turn = ClockFrame.turn(elapsed: clock.elapsed, atRest: atRest)
        guard turn.send(to: members[place].descriptor) else { return remove(number) }
        while let place = self.place(of: number) {
            switch ClockFrame.receive(from: members[place].descriptor) {
            case .done(let report): return take(report, of: place)
            // A wish that was on its way when the turn came; or an answer to an older question.
            case .wish, .unanswered: continue
            default: remove(number)
            }
        }
    }

    private mutating func take(_ report: TurnReport, of place: Int) {
        members[place].deadline = report.deadline
        if let deadline = report.deadline, deadline <= clock.elapsed { members[place].isPending = true }
        if report.usedStreams { hasUsedStreams = true }
        for destination in report.destinations {
            if let receiver = memberNumber(at: destination).flatMap(self.place(of:)) {
                members[receiver].isPending = true
            } else {
                members[place].hasReachedStrangers = true
            }
        }
    }

    private func memberNumber(at endpoint: Endpoint) -> Int? { memberAtEndpoint[endpoint] ?? memberAtPort[endpoint.port] }

    /// What is not answered by processes off the clock, and was not given up.
    private mutating func requestsToStrangers() -> Set<Waiting> {
        var waiting: Set<Waiting> = []
        for number in members.filter(\.hasReachedStrangers).map(\.number) {
            guard let place = place(of: number), ClockFrame.question.send(to: members[place].descriptor) else {
                remove(number)
                continue
            }
            answer: while let place = self.place(of: number) {
                switch ClockFrame.receive(from: members[place].descriptor) {
                case .unanswered(let requests):
                    for request in requests where memberNumber(at: request.remote) == nil {
                        waiting.insert(Waiting(member: number, transaction: request.transaction))
                    }
                    break answer
                case .wish: members[place].hasWished = true
                default: remove(number)
                }
            }
        }
        givenUp.formIntersection(waiting)
        return waiting.subtracting(givenUp)
    }

    // MARK: Members

    /// Reads what members say of themselves, and lets new ones join.
    /// - Parameters:
    ///   - span: how long to wait for something to read; nil: without end.
    ///   - other: a descriptor that ends the waiting too; -1: none.
    /// - Returns: whether that one is readable.
    private mutating func readPending(for span: TimeSpan?, _ other: Int32) -> Bool {
        var descriptors = [pollfd(fd: other, events: Int16(POLLIN), revents: 0), pollfd(fd: listening, events: Int16(POLLIN), revents: 0)]
        let numbers = members.map(\.number)
        for member in members { descriptors.append(pollfd(fd: member.descriptor, events: Int16(POLLIN), revents: 0)) }
        guard node_io_wait(&descriptors, UInt32(descriptors.count), span?.nanoseconds ?? -1) > 0 else { return false }
        for (number, ready) in zip(numbers, descriptors.dropFirst(2)) where ready.revents != 0 {
            guard let place = place(of: number) else { continue }
            switch ClockFrame.receive(from: members[place].descriptor) {
            case .wish: members[place].hasWished = true
            case .done, .unanswered: continue
            default: remove(number)
            }
        }
        if descriptors[1].revents != 0 { welcome() }
        return descriptors[0].revents != 0
    }

    /// Lets a shard of another process join.
    private mutating func welcome() {
        let descriptor = accept(listening, nil, nil)
        guard descriptor >= 0 else { return }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        LocalSocket.limitWaiting(on: descriptor, seconds: ClockConductor.handshakeSeconds)
        guard case .hello(let name, let listeners, let elapsed) = ClockFrame.receive(from: descriptor) else {
            close(descriptor)
            return
        }
        // After a restart of this process the others are ahead.
        clock.move(to: elapsed)
        guard ClockFrame.welcome(start: clock.start, elapsed: clock.elapsed).send(to: descriptor) else {
            close(descriptor)
            return
        }
        LocalSocket.limitWaiting(on: descriptor, seconds: ClockConductor.turnSeconds)
        add(descriptor, named: name, listeners, isLocal: false)
        logger.debug("\(name) goes by the clock")
    }

    mutating func add(_ descriptor: Int32, named name: String, _ listeners: [Endpoint], isLocal: Bool) {
        let member = Member(number: nextNumber, name: name, descriptor: descriptor, listeners: listeners, isLocal: isLocal)
        nextNumber += 1
        let place = members.firstIndex { ($0.isLocal ? 0 : 1, $0.name) > (isLocal ? 0 : 1, name) } ?? members.count
        members.insert(member, at: place)
        indexMembers()
    }

    private mutating func remove(_ number: Int) {
        guard let place = place(of: number) else { return }
        logger.debug("\(members[place].name) does not go by the clock any more")
        close(members[place].descriptor)
        members.remove(at: place)
        indexMembers()
    }

    private mutating func indexMembers() {
        memberAtEndpoint = [:]
        memberAtPort = [:]
        for member in members {
            for listener in member.listeners {
                if listener.address.isUnspecified {
                    memberAtPort[listener.port] = member.number
                } else {
                    memberAtEndpoint[listener] = member.number
                }
            }
        }
    }

    private func place(of number: Int) -> Int? { members.firstIndex { $0.number == number } }
}
