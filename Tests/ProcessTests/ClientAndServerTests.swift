// The built-in IM Client and IM Server, each alone on the command line.

import Foundation
import Glibc
import Testing

@Suite struct ClientAndServerTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func client(_ core: RunningCore, password: String = "wonderland") -> [String] {
        [sipcore, "im-client", "--core", "sip:127.0.0.1:\(core.udp)", "--public-identity", "sip:alice@home1.test", "--password", password]
    }

    /// The events after the ready line.
    private func events(_ child: Child) throws -> [Event] {
        try child.output.split(separator: "\n").dropFirst().map { try JSONDecoder().decode(Event.self, from: Data($0.utf8)) }
    }

    private struct Event: Decodable {
        let event: String
        let time: String
        let status: Int?
        let to: String?
    }

    @Test func `commands as arguments are done in order, and the registration stays`() async throws {
        let core = try await RunningCore(in: folder, authentication: "digest")
        let (status, alice) = try await run(
            client(core) + ["register expires=120", "message sip:bob@home1.test \"hi\"", "wait 0"], named: "alice", in: folder)
        // Nobody serves bob, who is away.
        #expect(status == 1)
        let events = try events(alice)
        #expect(events.map(\.event) == ["registered", "message_refused"])
        #expect(events.last?.status == 480 && events.last?.to == "sip:bob@home1.test")
        #expect(try await http("GET", "/api/registrations", port: core.http).body.contains("sip:alice@home1.test"))
        let (second, _) = try await run(client(core) + ["register", "unregister"], named: "again", in: folder)
        #expect(second == 0)
        #expect(try await !http("GET", "/api/registrations", port: core.http).body.contains("sip:alice@home1.test"))
        try await core.stop()
    }

    @Test func `a wrong command line is told before anything is sent`() async throws {
        let core = try await RunningCore(in: folder)
        let (status, alice) = try await run(client(core) + ["register", "mesage sip:bob@home1.test"], named: "alice", in: folder)
        #expect(status == 2)
        #expect(alice.output.contains("\"event\":\"error\"") && !alice.output.contains("\"registered\""))
        #expect(try await metric("sipcore_messages_received_total{transport=\"udp\",method=\"REGISTER\"}", port: core.http) ?? 0 == 0)
        try await core.stop()
    }

    @Test func `a wrong password fails`() async throws {
        let core = try await RunningCore(in: folder, authentication: "digest")
        let (status, _) = try await run(client(core, password: "wrong") + ["register"], named: "alice", in: folder)
        #expect(status == 1)
        try await core.stop()
    }

    @Test func `the end of standard input unregisters`() async throws {
        let core = try await RunningCore(in: folder, authentication: "digest")
        let words = client(core).map { "'\($0)'" }.joined(separator: " ")
        let (status, alice) = try await run(
            ["/bin/sh", "-c", "printf 'register\\n\\n# nothing\\nnonsense\\n' | \(words)"], named: "alice", in: folder)
        #expect(status == 0)
        #expect(Set(try events(alice).map(\.event)) == ["registered", "error", "unregistered"])
        #expect(try events(alice).last?.event == "unregistered")
        try await core.stop()
    }

    @Test(arguments: [SIGINT, SIGTERM])
    func `a signal ends a client in order`(number: Int32) async throws {
        let core = try await RunningCore(in: folder, authentication: "digest")
        let words = client(core).map { "'\($0)'" }.joined(separator: " ")
        let command = "mkfifo input; exec 3<>input; echo register >&3; exec \(words) <&3"
        let alice = try Child(["/bin/sh", "-c", command], named: "alice", in: folder)
        #expect(await eventually { alice.output.contains("\"registered\"") })
        alice.signal(number)
        #expect(try await alice.end() == 0)
        #expect(try events(alice).map(\.event) == ["registered", "unregistered"])
        try await core.stop()
    }

    /// The client watches its registration, and ends in order once it has none.
    @Test func `a deregistration by the network is heard`() async throws {
        let core = try await RunningCore(in: folder, authentication: "digest")
        let words = client(core).map { "'\($0)'" }.joined(separator: " ")
        let command = "mkfifo input; exec 3<>input; echo register >&3; exec \(words) <&3"
        let alice = try Child(["/bin/sh", "-c", command], named: "alice", in: folder)
        #expect(await eventually { alice.output.contains("\"registered\"") })
        let path = "/api/registrations/sip%3Aalice%40home1.test"
        // Its first word of the registration has to have come; else there is nobody to be told.
        #expect(
            try await eventually { try await metric("sipcore_reg_notifies_total{result=\"accepted\"}", port: core.http) ?? 0 == 1 })
        #expect(try await http("DELETE", path, port: core.http).status == 204)
        #expect(await eventually { alice.output.contains("\"registration_lost\"") }, "\(alice.output)")
        #expect(alice.output.contains("deactivated by the network"))
        alice.signal(SIGTERM)
        #expect(try await alice.end() == 0)
        #expect(try events(alice).map(\.event) == ["registered", "registration_lost"])
        try await core.stop()
    }

    @Test func `a client speaks TCP`() async throws {
        let core = try await RunningCore(in: folder, authentication: "digest")
        let (status, alice) = try await run(
            [
                sipcore, "im-client", "--core", "sip:localhost:\(core.tcp);transport=tcp", "--public-identity", "sip:alice@home1.test",
                "--private-identity", "alice@home1.test", "--password", "wonderland", "register", "unregister",
            ], named: "alice", in: folder)
        #expect(status == 0)
        #expect(alice.output.contains("\"sip\":[\"tcp://"))
        #expect(try events(alice).map(\.event) == ["registered", "unregistered"])
        try await core.stop()
    }

    @Test func `a server alone serves SIP and HTTP until it is told to end`() async throws {
        let server = try Child(
            [
                sipcore, "im-server", "--listen", "udp://127.0.0.1:0", "--listen", "tcp://127.0.0.1:0", "--core", "sip:127.0.0.1:5060",
                "--domain", "home1.test", "--http", "127.0.0.1:0", "--http-token", "secret", "--database", "im.sqlite", "--ready-file",
                "ready",
            ], named: "server", in: folder)
        let ready = try await server.ready()
        #expect(ready.role == "im-server" && ready.pid == server.pid && ready.sip?.count == 2)
        #expect(folder.read("ready") == server.output)
        #expect(try await http("GET", "/api/health", port: ready.httpPort).status == 401)
        server.signal(SIGTERM)
        #expect(try await server.end() == 0)
        #expect(server.errors == "")

        // The database is free again, and of no other role.
        let (status, core) = try await run(
            [
                sipcore, "core",
                try folder.write("core.yaml", "domain: home1.test\ncore: {listen: [\"udp://127.0.0.1:0\"], database: im.sqlite}\n"),
            ],
            named: "core", in: folder)
        #expect(status == 3)
        #expect(core.errorLines.count == 1 && core.errors.contains("im.sqlite"), "\(core.errors)")
    }
}
