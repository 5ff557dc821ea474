// However a lab ends, no process of it is left.

import Glibc
import Testing

@Suite struct LabCleanupTests {
    private static let topology = """
        domain: home1.test
        core: {listen: ["udp://127.0.0.1:0"], http: "127.0.0.1:0"}
        application_servers: {im: {uri: "sip:127.0.0.1:0", feature_tags: [+g.oma.sip-im], run: im-server}}
        subscribers: {alice: {password: wonderland, application_servers: [im]}, bob: {password: builder}}
        clients:
          alice: {run: im-client}
          # A shell with a child of its own, which ignores the polite signals.
          bob: {command: [sh, stubborn]}

        """

    @Test(arguments: [SIGINT, SIGTERM, SIGKILL])
    func `no process is left`(signal: Int32) async throws {
        let folder = try TemporaryFolder()
        try folder.write("stubborn", "trap '' INT TERM HUP\nsleep 600 &\nwait\nsleep 600\n")
        let lab = try Child([sipcore, "lab", try folder.write("lab.yaml", Self.topology)], named: "lab", in: folder)
        let nodes = try #require(try await lab.ready().nodes)
        #expect(Set(nodes.keys) == ["core", "im", "alice", "bob"])
        // The sleeping child of bob's shell is there too.
        #expect(await eventually { ProcessTable.descendants(of: lab.pid).count >= nodes.count + 1 })
        let all = ProcessTable.descendants(of: lab.pid)
        #expect(Set(nodes.values.compactMap(\.pid)).isSubset(of: all.map(\.pid)))

        lab.signal(signal)
        #expect(try await lab.end() == (signal == SIGKILL ? 128 + SIGKILL : 0), "\(lab.errors)")
        let isEmpty = await eventually { !all.contains(where: \.isAlive) }
        #expect(isEmpty, "left: \(all.filter(\.isAlive).map(\.pid))")
    }
}
