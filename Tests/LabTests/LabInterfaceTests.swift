import JSONText
import Glibc
import Testing

@testable import Lab

@Suite struct LabInterfaceTests {
    private func interface(token: String? = nil, address: HostAndPort = HostAndPort(host: "127.0.0.1", port: 8090)) throws -> LabInterface {
        let link = try GuardLink(command: [sipcoreExecutable, LabGuard.subcommand])
        let script = #"""
            echo '{"event":"ready"}'
            while read -r verb to rest; do case "$verb" in
                register) echo '{"event":"registered"}';;
                message) echo "{\"event\":\"message_delivered\",\"to\":\"$to\"}";;
            esac; done
            """#
        let plans = [
            NodePlan(name: "alice", role: .client, process: shell(script, node: "alice"), readiness: .readyLine, isBuiltIn: true),
            NodePlan(name: "im", role: .server, process: shell("exec sleep 1000", node: "im"), readiness: .running, isBuiltIn: true),
        ]
        let supervisor = Supervisor(
            plans: plans, link: link, output: try NodeOutput(logFolder: nil) { _ in }, addressOfURI: { _ in nil },
            unexpectedEnd: { _ in })
        Task { await supervisor.watch() }
        return LabInterface(
            supervisor: supervisor, address: address, token: token, identity: { $0 == "bob" ? "sip:bob@home1.test" : nil },
            version: "1.2.3", began: .now)
    }

    private func ask(
        _ interface: LabInterface, _ method: String, _ path: String, host: String? = "127.0.0.1:8090", origin: String? = nil,
        authorization: String? = nil, body: String = ""
    ) async -> LabResponse {
        await interface.respond(
            to: LabRequest(method: method, path: path, host: host, origin: origin, authorization: authorization, body: Array(body.utf8)))
    }

    @Test func nodesAreListedStoppedAndStarted() async throws {
        let interface = try interface()
        try await interface.supervisor.startAll()
        let list = await ask(interface, "GET", "/api/nodes")
        #expect(list.status == 200)
        #expect(list.body["nodes"]?.list?.compactMap { $0["name"]?.text } == ["alice", "im"])
        let stopped = await ask(interface, "POST", "/api/nodes/im/stop")
        #expect(stopped.status == 200)
        #expect(stopped.body["state"] == .text("stopped"))
        #expect(await ask(interface, "POST", "/api/nodes/im/stop").status == 409)
        let started = await ask(interface, "POST", "/api/nodes/im/start")
        #expect(started.status == 200)
        #expect(started.body["state"] == .text("ready"))
        #expect(await ask(interface, "POST", "/api/nodes/im/start").status == 409)
        await interface.supervisor.stopAll()
    }

    @Test func clientsAreDriven() async throws {
        let interface = try interface()
        try await interface.supervisor.startAll()
        let answer = await ask(interface, "POST", "/api/clients/alice", body: #"{"do":"register"}"#)
        #expect(answer == LabResponse(status: 200, body: .members(["event": .text("registered")])))
        let message = await ask(interface, "POST", "/api/clients/%61lice", body: #"{"do":"message bob \"hi\""}"#)
        #expect(message.body["to"] == .text("sip:bob@home1.test"))
        await interface.supervisor.stopAll()
        #expect(await ask(interface, "POST", "/api/clients/alice", body: #"{"do":"register"}"#).status == 409)
    }

    @Test(arguments: [
        ("GET", "/api/nodes/x/stop", 405), ("POST", "/api/nodes/x/stop", 404), ("POST", "/api/nodes", 405), ("GET", "/", 404),
        ("GET", "/api/clients/alice", 405), ("POST", "/api/clients/im", 404), ("POST", "/api/clients/x", 404),
        ("GET", "/api/nodes/im/restart", 404),
    ])
    func whatIsNotThereIsSaid(method: String, path: String, status: Int) async throws {
        let answer = await ask(try interface(), method, path, body: #"{"do":"register"}"#)
        #expect(answer.status == status)
        #expect(answer.body["error"]?.text?.isEmpty == false)
        #expect((answer.allow != nil) == (status == 405))
    }

    @Test func aWrongMethodIsToldTheRightOne() async throws {
        let interface = try interface()
        #expect(await ask(interface, "DELETE", "/api/nodes").allow == "GET")
        #expect(await ask(interface, "GET", "/api/clients/alice").allow == "POST")
    }

    @Test func healthTellsRoleAndVersion() async throws {
        let health = await ask(try interface(), "GET", "/api/health")
        #expect(health.status == 200)
        #expect(health.body["role"] == .text("lab") && health.body["version"] == .text("1.2.3"))
        #expect(health.body["listeners"] == .list([.text("http://127.0.0.1:8090")]))
        #expect(await ask(try interface(), "POST", "/api/health").status == 405)
    }

    @Test(arguments: [
        ("", nil), ("[]", nil), ("{}", "do"), (#"{"do":1}"#, "do"), (#"{"do":""}"#, "do"), (#"{"do":"a\nb"}"#, "do"),
        (#"{"do":"register","x":1}"#, "x"),
    ])
    func illFormedBodiesAreRefused(body: String, field: String?) async throws {
        let answer = await ask(try interface(), "POST", "/api/clients/alice", body: body)
        #expect(answer.status == 400)
        #expect(answer.body["field"]?.text == field)
    }

    @Test func foreignPagesAreRefused() async throws {
        let interface = try interface()
        #expect(await ask(interface, "GET", "/api/nodes", host: "evil.test:8090").status == 403)
        #expect(await ask(interface, "GET", "/api/nodes", host: "127.0.0.1:8091").status == 403)
        #expect(await ask(interface, "GET", "/api/nodes", host: nil).status == 403)
        #expect(await ask(interface, "GET", "/api/nodes", origin: "http://evil.test").status == 403)
        #expect(await ask(interface, "GET", "/api/nodes", origin: "null").status == 403)
        #expect(await ask(interface, "GET", "/api/nodes", host: "localhost:8090", origin: "http://localhost:8090").status == 200)
    }

    @Test func aTokenIsAskedFor() async throws {
        let interface = try interface(token: "s3cret")
        #expect(await ask(interface, "GET", "/api/nodes").status == 401)
        #expect(await ask(interface, "GET", "/api/nodes", authorization: "Bearer other!").status == 401)
        #expect(await ask(interface, "GET", "/api/nodes", authorization: "Bearer s3cret").status == 200)
    }
}
