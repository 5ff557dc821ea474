// What waits for an absent user outlives the IM Server, and comes once and in order.

import Glibc
import Testing

@Suite struct OfflineDeliveryTests {
    private static let topology = """
        domain: home1.test
        core: {listen: ["udp://127.0.0.1:0", "tcp://127.0.0.1:0"], http: "127.0.0.1:CORE", database: core.sqlite}
        lab: {http: "127.0.0.1:0"}
        application_servers:
          im: {uri: "sip:127.0.0.1:0", feature_tags: [+g.oma.sip-im], run: im-server}
        subscribers:
          alice: {password: wonderland, application_servers: [im]}
          bob: {password: builder, application_servers: [im]}
        clients: {alice: {run: im-client}, bob: {run: im-client}}
        scenarios:
          across a restart:
            - alice: register
            - bob: register
            - bob: unregister
            - alice: message bob "one"
            - alice: message bob "two"
            - stop: im
            - start: im
            - expect: {at: im, stored: 2}
            - alice: message bob "three"
            - expect: {at: im, stored: 3}
            - bob: register
            - expect: {at: bob, request: MESSAGE, body: one, in_order: true}
            - expect: {at: bob, request: MESSAGE, body: two, in_order: true}
            - expect: {at: bob, request: MESSAGE, body: three, in_order: true}
            - expect: {at: im, stored: 0}

        """

    @Test func `the scenario of it passes`() async throws {
        let folder = try TemporaryFolder()
        let topology = try folder.write("lab.yaml", Self.topology.replacing(":CORE", with: ":0"))
        let (status, lab) = try await run([sipcore, "lab", topology, "--scenarios"], named: "lab", in: folder)
        #expect(status == 0, "\(lab.output)\n\(lab.errors)")
    }

    /// The server is killed rather than stopped, and the client itself tells what it showed.
    @Test func `messages come once and in order though the server was killed`() async throws {
        let folder = try TemporaryFolder()
        let topology = try folder.write("lab.yaml", Self.topology.replacing(":CORE", with: ":0"))
        let lab = try Child([sipcore, "lab", topology, "--logs", folder.path], named: "lab", in: folder)
        let ready = try await lab.ready()
        let port = try ready.httpPort
        func tell(_ client: String, _ command: String, expecting event: String) async throws {
            let line = command.replacing("\"", with: "\\\"")
            let answer = try await http("POST", "/api/clients/\(client)", port: port, body: "{\"do\":\"\(line)\"}")
            #expect(answer.body.contains("\"event\":\"\(event)\""), "\(command): \(answer.body)")
        }
        try await tell("alice", "register", expecting: "registered")
        try await tell("bob", "register", expecting: "registered")
        try await tell("bob", "unregister", expecting: "unregistered")
        for text in ["one", "two", "three"] { try await tell("alice", "message bob \"\(text)\"", expecting: "message_deferred") }
        let server = try #require(ready.nodes?["im"]?.pid.flatMap { ProcessTable.entry($0) }).identity
        kill(server.pid, SIGKILL)
        #expect(await eventually { !server.isAlive })
        #expect(
            try await eventually { try await http("POST", "/api/nodes/im/start", port: port).status == 200 }, "the server starts again")

        try await tell("bob", "register", expecting: "registered")
        func shown() -> [String] {
            (folder.read("bob.log") ?? "").matches(of: /"event":"message_received".*?"body":"([^"]*)"/).map { String($0.1) }
        }
        #expect(await eventually { shown().count >= 3 })
        // A registration anew delivers nothing again.
        try await tell("bob", "unregister", expecting: "unregistered")
        try await tell("bob", "register", expecting: "registered")
        try await tell("alice", "message bob \"four\"", expecting: "message_delivered")
        #expect(await eventually { shown().contains("four") })
        #expect(shown() == ["one", "two", "three", "four"])
        lab.signal(SIGTERM)
        #expect(try await lab.end() == 0, "\(lab.errors)")
    }
}
