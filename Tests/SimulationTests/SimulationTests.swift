import Foundation
import SansIO
import Testing

@testable import Simulation

extension Schedule.Fault.Kind {
    fileprivate var name: String {
        switch self {
        case .partition: "partition"
        case .crash: "crash"
        case .slow: "slow"
        case .dead: "dead"
        case .overloaded: "overloaded"
        case .failingStore: "failing store"
        }
    }
}

/// Whole runs: they hold, and the same seed gives the same run.
@Suite struct SimulationTests {
    /// `SIPCORE_SEEDS=10000` for more.
    private static let seeds = ProcessInfo.processInfo.environment["SIPCORE_SEEDS"].flatMap { UInt64($0) } ?? 100

    @Test func `all promises hold whatever goes wrong`() {
        let simulation = Simulation(Laboratory.plan())
        for seed in 1...Self.seeds {
            let outcome = simulation.run(seed: seed)
            #expect(outcome.fault == nil, "seed \(seed)")
            #expect(outcome.messages > 0)
        }
    }

    @Test func `they hold with several shards`() {
        let simulation = Simulation(Laboratory.plan(shards: 3))
        for seed in 1...(Self.seeds / 4) { #expect(simulation.run(seed: seed).fault == nil, "seed \(seed)") }
    }

    @Test(arguments: Flaw.allCases)
    func `each checker finds what is wrong with the house on purpose`(flaw: Flaw) {
        let simulation = Simulation(Laboratory.plan(), flaw: flaw)
        let found = (UInt64(1)...40).contains { simulation.run(seed: $0).fault?.hasPrefix("\(flaw.checker): ") ?? false }
        #expect(found, "\(flaw.rawValue)")
    }

    /// All that may go wrong is drawn, and not seldom.
    @Test func `schedules hold every kind of fault`() {
        let simulation = Simulation(Laboratory.plan())
        let schedules = (UInt64(1)...200).map { simulation.schedule(of: $0) }
        var kinds: [String: Int] = [:]
        for fault in schedules.flatMap(\.faults) { kinds[fault.kind.name, default: 0] += 1 }
        for name in ["partition", "crash", "slow", "dead", "overloaded", "failing store"] {
            #expect(kinds[name, default: 0] > 20, "\(name)")
        }
        for property in [\NetworkQuality.loss, \.duplication, \.reordering] {
            #expect(schedules.count { $0.quality[keyPath: property] > 0 } > 50)
            #expect(schedules.count { $0.quality[keyPath: property] == 0 } > 30)
        }
        // The core dies in the midst of commits, with and without a database.
        let crashes = schedules.filter { schedule in schedule.faults.contains { $0.kind == .crash(Laboratory.plan().clients.count) } }
        #expect(crashes.contains { $0.isPersistent && $0.commitTime > .milliseconds(10) } && crashes.contains { !$0.isPersistent })
    }

    @Test(arguments: UInt64(1)...8)
    func `the same seed gives the same run to the octet`(seed: UInt64) {
        let simulation = Simulation(Laboratory.plan())
        let log = simulation.wireLog(seed: seed)
        #expect(!log.isEmpty)
        #expect(log == simulation.wireLog(seed: seed))
        #expect(simulation.run(seed: seed).digest == simulation.run(seed: seed).digest)
        #expect(log != simulation.wireLog(seed: seed + 100))
    }
}
