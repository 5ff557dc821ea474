// The shell of a load: three sockets, one thread, the clock. It reads in batches, hands what came to the generator, and
// sends in batches what the generator wants sent.

import CNodeIO
import Glibc
public import LoadGenerator
public import SansIO

/// What a load came to.
public struct LoadOutcome: Sendable {
    /// The last phase that was begun; `measured` if all went well.
    public internal(set) var lastPhase = LoadPhase.probe
    /// The figures of each phase that was begun.
    public internal(set) var tallies: [LoadPhase: LoadTally] = [:]
    /// Whether it was stopped from outside.
    public internal(set) var wasStopped = false
    /// What the server spent on the measured phase; nil: there was none to watch, or the phase was not reached.
    public internal(set) var server: ServerFigures?

    /// The figures that count; empty if the load did not come so far.
    public var measured: LoadTally { tallies[.measured] ?? LoadTally() }
}

/// What a server spent.
public struct ServerFigures: Hashable, Sendable {
    /// What it had spent before the measured phase.
    public internal(set) var before = TimeSpan.zero
    /// User and system time while the measured phase lasted.
    public internal(set) var busy = TimeSpan.zero
    /// The same, with what it spent while it settled: what it had put off.
    public internal(set) var processorTime = TimeSpan.zero
    /// Resident after the measured phase, shared pages once; and the most of one process.
    public internal(set) var residentKiB = 0
    public internal(set) var peakResidentKiB = 0
}

/// Runs one load.
public struct LoadDriver: ~Copyable {
    private var generator: LoadGenerator
    private let ports: [DatagramPort]
    private var outbox = Outbox()
    private var descriptors: [pollfd]
    private let shouldStop: @Sendable () -> Bool
    private var outcome = LoadOutcome()

    /// How often a wish to stop is looked for.
    private static let lookout = TimeSpan.milliseconds(50)

    /// - Parameters:
    ///   - ports: the sockets, by `Station`; `plan.stations` are their addresses.
    ///   - shouldStop: asked now and then, on the thread that runs the load.
    public init(_ plan: LoadPlan, ports: [DatagramPort], shouldStop: @escaping @Sendable () -> Bool) throws(LoadPlanFault) {
        precondition(ports.map(\.local) == plan.stations, "the plan's stations are other sockets")
        generator = try LoadGenerator(plan, at: LoadDriver.now)
        self.ports = ports
        self.shouldStop = shouldStop
        descriptors = ports.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
    }

    /// Runs the phases, each if the one before went well, and returns when the last has ended.
    ///
    /// - Parameters:
    ///   - server: whose processor time and memory are taken down.
    ///   - settling: how long the server has, after the warm-up and after the measured phase, to do what it put off.
    ///   - began: told each phase.
    public consuming func run(
        watching server: ServerProcess?, settling: TimeSpan, began: (LoadPhase) -> Void
    ) -> LoadOutcome {
        node_io_sharpen_timers()
        for phase in LoadPhase.allCases {
            began(phase)
            let start = server?.processorTime ?? .zero
            run(phase)
            guard goesOn(after: phase) else { break }
            if phase == .measured, let server {
                outcome.server = ServerFigures(
                    before: start, busy: TimeSpan(nanoseconds: server.processorTime.nanoseconds - start.nanoseconds))
            }
            if server != nil, phase == .warmUp || phase == .measured { serve(for: settling) }
            if let server, outcome.server != nil { takeDown(server, since: start) }
        }
        return outcome
    }

    private mutating func run(_ phase: LoadPhase) {
        outcome.lastPhase = phase
        generator.begin(phase, at: LoadDriver.now, into: &outbox)
        send()
        while !generator.isFinished {
            turn(until: nil)
            if shouldStop() {
                generator.stop()
                outcome.wasStopped = true
            }
        }
        outcome.tallies[phase] = generator.tally
    }

    /// Whether the next phase has anything to stand on. Failures of a warm-up are not counted, but a dead target is.
    private func goesOn(after phase: LoadPhase) -> Bool {
        let tally = generator.tally
        if outcome.wasStopped || tally.wasCutShort { return false }
        return phase == .measured || phase == .warmUp || tally.failed == 0
    }

    private mutating func takeDown(_ server: ServerProcess, since start: TimeSpan) {
        outcome.server?.processorTime = TimeSpan(nanoseconds: server.processorTime.nanoseconds - start.nanoseconds)
        outcome.server?.residentKiB = server.residentKiB
        outcome.server?.peakResidentKiB = server.peakResidentKiB
    }

    /// Answers what still comes, for so long.
    private mutating func serve(for span: TimeSpan) {
        let end = LoadDriver.now + span
        while LoadDriver.now < end, !shouldStop() { turn(until: end) }
    }

    // MARK: One turn

    /// Waits for datagrams or the next deadline, and deals with both.
    private mutating func turn(until end: Instant?) {
        let now = LoadDriver.now
        var wake = now + LoadDriver.lookout
        if let deadline = generator.nextDeadline { wake = min(wake, deadline) }
        if let end { wake = min(wake, end) }
        let ready = node_io_wait(&descriptors, UInt32(descriptors.count), max(0, (wake - now).nanoseconds))
        if ready > 0 { for station in Station.allCases { receive(at: station) } }
        generator.advance(to: LoadDriver.now, into: &outbox)
        send()
    }

    private mutating func receive(at station: Station) {
        let number = Int(station.rawValue)
        let events = Int32(descriptors[number].revents)
        guard events != 0 else { return }
        if events & POLLERR != 0 { takeReports(of: ports[number]) }
        let port = ports[number]
        let count = port.receive()
        let now = LoadDriver.now
        for i in 0..<max(count, 0) {
            generator.receive(port.octets(i), from: port.source(i), at: station, now: now, into: &outbox)
        }
    }

    private mutating func takeReports(of port: DatagramPort) {
        var refused: [Endpoint] = []
        port.takeReports { refused.append($0) }
        for destination in refused { generator.refused(by: destination) }
    }

    private mutating func send() {
        guard !outbox.datagrams.isEmpty else { return }
        var refused: [Endpoint] = []
        for station in Station.allCases {
            let port = ports[Int(station.rawValue)]
            for datagram in outbox.datagrams where datagram.station == station {
                // A datagram of the other family can go nowhere from here; it counts as lost.
                guard datagram.destination.address.isIPv6 == port.local.address.isIPv6 else { continue }
                port.add(outbox.octets.bytes(from: datagram.start, count: datagram.count), to: datagram.destination)
                if port.pendingCount == DatagramPort.batchCapacity { port.flush { refused.append($0) } }
            }
            port.flush { refused.append($0) }
        }
        outbox.removeAll()
        for destination in refused { generator.refused(by: destination) }
    }

    private static var now: Instant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }
}
