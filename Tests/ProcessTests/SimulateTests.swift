// `sipcore simulate`: each shipped topology holds, and what is wrong is told so that it can be seen again.

import Testing

@Suite struct SimulateTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func simulate(_ arguments: String...) async throws -> (status: Int32, child: Child) {
        try await run([sipcore, "simulate"] + arguments, named: "simulate", in: folder)
    }

    @Test(arguments: [
        "im-offline.yaml", "im-settings.yaml", "minimal.yaml", "sim.yaml", "two-servers.yaml", "hss-profile.yaml", "two-networks.yaml",
    ])
    func `a shipped topology holds whatever goes wrong`(name: String) async throws {
        let (status, child) = try await simulate(shippedTopologyPath(name), "--seeds", "8")
        #expect(status == 0, "\(child.output)")
        #expect(child.output.contains(/^8 of 8 seeds held: \d+ messages/))
    }

    @Test func `it holds with several shards`() async throws {
        let text = try shippedTopology("im-offline.yaml").replacing("\ncore:\n", with: "\ncore:\n  shards: 3\n")
        let (status, child) = try await simulate(try folder.write("shards.yaml", text), "--seeds", "8")
        #expect(status == 0, "\(child.output)")
    }

    @Test func `a seed that fails is told with its ladder and fails again`() async throws {
        let topology = shippedTopologyPath("im-offline.yaml")
        let (status, child) = try await simulate(topology, "--seeds", "3", "--flaw", "answers-twice")
        #expect(status == 1)
        let found = try #require(child.output.firstMatch(of: /seed (\d+): (transactions: after .*)\n/), "\(child.output)")
        #expect(child.output.contains("what it takes to fail:\n"))
        #expect(child.output.contains(/alice +bob +core +im/))
        #expect(child.output.contains(/─ REGISTER ─+>/))
        let replay = "again: sipcore simulate \(topology) --seed \(found.1) --flaw answers-twice\n"
        #expect(child.output.contains(replay), "\(child.output)")
        let (statusAgain, again) = try await simulate(topology, "--seed", String(found.1), "--flaw", "answers-twice")
        #expect(statusAgain == 1)
        #expect(again.output.contains("seed \(found.1): \(found.2)\n"))
        // Without it the seed holds.
        #expect(try await simulate(topology, "--seed", String(found.1)).status == 0)
    }
}
