// Simulation of a whole lab: each seed is one life of it, with everything that goes wrong, in virtual time and in one call.
// The same plan and seed give the same run, to the octet.
//
//   seed → Schedule (what is done, what goes wrong) → VirtualLab (nodes, network, stores, clock) → Checks/ → Outcome
//
// A run has three parts. In the first all that the schedule says happens. Then all faults end, and the lab comes to rest:
// clients that are to be registered are, messages that wait are delivered. In the end all leave, and nothing may stay behind.

import InstantMessaging
import SIPMessage
public import SansIO

/// Runs labs.
public struct Simulation: Sendable {
    private let plan: LabPlan
    private let steps: Int
    private let flaw: Flaw?

    /// - Parameters:
    ///   - steps: how many things are done in a run.
    ///   - flaw: a fault of the house that is built in, to see that it is found.
    public init(_ plan: LabPlan, steps: Int = 40, flaw: Flaw? = nil) {
        self.plan = plan
        self.steps = steps
        self.flaw = flaw
    }

    /// What a run came to.
    public struct Outcome: Sendable {
        public var seed: UInt64
        /// nil: all promises held.
        public var fault: String?
        /// Messages that were sent, and a hash of all of them and their times.
        public var messages: Int
        public var digest: UInt64
        /// How long the run was for its nodes.
        public var span: TimeSpan
    }

    /// A run that failed, as it is told.
    public struct Failure: Sendable {
        /// What did not hold.
        public var fault: String
        /// The least of the schedule with which it still fails so, a line each.
        public var schedule: [String]
        /// The messages that led to it.
        public var ladder: String
    }

    /// Runs a seed.
    public func run(seed: UInt64) -> Outcome {
        let lab = play(schedule(of: seed), seed: seed, records: false)
        return Outcome(
            seed: seed, fault: lab.violation?.description, messages: lab.messageCount, digest: lab.digest, span: lab.now.monotonic - .zero)
    }

    /// Every octet that is sent in a run, with its time: the same for the same seed.
    public func wireLog(seed: UInt64) -> [UInt8] { play(schedule(of: seed), seed: seed, records: true).record?.log ?? [] }

    /// Runs a seed that fails once more, with as little as it takes, and tells what happened.
    ///
    /// - Returns: nil: it does not fail.
    public func explain(seed: UInt64) -> Failure? {
        let schedule = schedule(of: seed)
        guard let first = play(schedule, seed: seed, records: false).violation else { return nil }
        let least = schedule.reduced { play($0, seed: seed, records: false).violation?.checker == first.checker }
        let lab = play(least, seed: seed, records: true)
        guard let violation = lab.violation, let record = lab.record else { return nil }
        return Failure(
            fault: violation.description, schedule: least.lines(lab.cast), ladder: record.ladder(of: violation, lab.cast, atMost: 80))
    }

    func schedule(of seed: UInt64) -> Schedule {
        var random = RandomSource(seed: seed)
        return Schedule(for: plan, steps: steps, from: &random)
    }

    /// With these everything reaches a user.
    static let openSettings: [SettingsChange] = [
        .flag(.offlineDelivery, true), .flag(.messageDeferral, true), .flag(.incomingSessionBarring, false),
    ]

    // MARK: A run

    func play(_ schedule: Schedule, seed: UInt64, records: Bool) -> VirtualLab {
        var lab = VirtualLab(plan, schedule, seed: seed, records: records, flaw: flaw)
        lab.run(until: schedule.end)
        lab.lift()
        lab.settle()
        lab.rest()
        return lab
    }
}

extension VirtualLab {
    /// How long clients may take until they are done with all that they were told.
    private static let patience = TimeSpan.seconds(3600)
    /// Longer than any transaction lives, be it a forked INVITE's.
    private static let linger = TimeSpan.seconds(240)

    /// Without faults everything becomes as it should be.
    mutating func settle() {
        finishCommands()
        run(until: now.monotonic + .seconds(70))
        for client in variants.indices {
            provision(client, as: .planned)
            run(until: now.monotonic + .seconds(1))
        }
        for client in cast.plan.clients.indices {
            outcomes[client] = []
            guard Int.random(in: 0..<4, using: &random) > 0 else {
                order(.unregister, to: client)
                continue
            }
            order(.register(expires: nil), to: client)
            order(.publishSettings(Simulation.openSettings), to: client)
            order(.register(expires: nil), to: client)
        }
        finishCommands()
        for client in outcomes.indices where outcomes[client].first == .failed {
            fail("\(cast.name(client)) cannot register or deregister, though nothing is wrong any more")
        }
        run(until: now.monotonic + .seconds(120))
        tellRegistrations()
        tell(.settled)
        for client in cast.plan.clients.indices {
            let called = cast.plan.clients[(client + 1) % cast.plan.clients.count].settings.publicIdentity
            call(called, from: client, patience: Phone.longest * 2, talk: .seconds(5))
        }
        finishCommands()
        tell(.called)
    }

    /// All leave, and nothing stays.
    mutating func rest() {
        for client in cast.plan.clients.indices { order(.unregister, to: client) }
        finishCommands()
        isResting = true
        run(until: now.monotonic + VirtualLab.linger)
        tellRegistrations()
        tell(.rested(remainingWork))
    }

    private mutating func finishCommands() {
        let end = now.monotonic + VirtualLab.patience
        while !areClientsIdle, violation == nil, !hasRunAway {
            guard now.monotonic < end else {
                return fail("clients are not done with what they were told after \(VirtualLab.patience.wholeSeconds) s")
            }
            run(until: now.monotonic + .seconds(1))
        }
        if hasRunAway { fail("the lab does not come to rest") }
    }
}

extension Violation: CustomStringConvertible {
    var description: String {
        let milliseconds = time.nanoseconds / 1_000_000
        let rest = String(milliseconds % 1000)
        return "\(checker): after \(milliseconds / 1000).\(String(repeating: "0", count: 3 - rest.count))\(rest) s \(text)"
    }
}
