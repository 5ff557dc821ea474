import Foundation
import Testing

@testable import Simulation

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
        var plan = Laboratory.plan(shards: 3)
        // A request that is sent again when its user has been taken away meanwhile is still answered anew by another shard.
        for client in plan.clients.indices { plan.clients[client].user.subscription = nil }
        let simulation = Simulation(plan)
        for seed in 1...(Self.seeds / 4) { #expect(simulation.run(seed: seed).fault == nil, "seed \(seed)") }
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
