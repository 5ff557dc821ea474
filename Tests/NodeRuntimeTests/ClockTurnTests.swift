// Shards that go by one virtual clock, in one process.

import Logging
import SansIO
import Testing

@testable import NodeRuntime

@Suite(.timeLimit(.minutes(1))) struct ClockTurnTests {
    private let conductor: ClockConductor

    init() throws {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        conductor = try ClockConductor(start: WallTime(seconds: 1_700_000_000), patience: .milliseconds(50), path: nil, logger: logger)
    }

    private func probe(_ name: String) throws -> Shard<ProbeNode> {
        let bound = try BoundListeners(binding: [ListenAddress(transport: .udp, endpoint: Endpoint(address: .loopback, port: 0))])
        var configuration = ShardConfiguration.quiet
        configuration.clock = .virtual(conductor.clock)
        configuration.memberships = [try conductor.membership(named: name, listeners: bound.listeners)]
        let shard = try Shard(ProbeNode(), on: bound, configuration)
        try shard.start()
        return shard
    }

    /// Two shards answer each other two hundred times; what the third one is asked to do meanwhile has to wait for the last.
    @Test func whatIsAskedFromOutsideWaitsUntilAllRest() async throws {
        let shards = try ["a", "b", "c"].map(probe)
        try conductor.start()
        let flow = Flow(transport: .udp, listener: 0, remote: shards[1].listeners[0].local)
        for round in 1...20 {
            let text = String(repeating: "echo ", count: 200) + "end"
            await shards[0].performAtRest { node, _, effects in node.send(text, over: flow, into: &effects) }
            _ = await shards[2].performAtRest { node, _, _ in node.events.count }
            var received = 0
            for shard in shards { received += await shard.events().count { if case .received = $0 { true } else { false } } }
            #expect(received == 201 * round)
        }
        for shard in shards { await shard.stop() }
        conductor.stop()
    }

    /// Whoever is left without a conductor does what was put off.
    @Test func nothingIsPutOffForGood() async throws {
        let shard = try probe("a")
        try conductor.start()
        #expect(await shard.performAtRest { _, now, _ in now.wall } == WallTime(seconds: 1_700_000_000))
        conductor.stop()
        #expect(await shard.performAtRest { node, _, _ in node.events } == [])
        await shard.stop()
        #expect(await shard.performAtRest { node, _, _ in node.events } == [])
    }
}
