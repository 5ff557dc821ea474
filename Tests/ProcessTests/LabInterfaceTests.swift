// Labs that others drive, and labs of others' programs.

import Glibc
import Testing

@Suite struct LabInterfaceTests {
    private static let topology = """
        domain: home1.test
        core: {listen: ["udp://127.0.0.1:0"], http: "127.0.0.1:0"}
        lab: {http: "127.0.0.1:0"}
        application_servers: {im: {uri: "sip:127.0.0.1:0", feature_tags: [+g.oma.sip-im], run: im-server}}
        subscribers: {alice: {password: wonderland, application_servers: [im]}, bob: {password: builder}}
        clients: {alice: {run: im-client}, bob: {command: [sh, -c, "sleep 600"]}}

        """

    private struct Nodes: Decodable {
        let nodes: [Node]
        struct Node: Decodable {
            let name: String
            let role: String
            let state: String
            let pid: pid_t?
        }
    }

    @Test func `nodes are listed, stopped and started, and clients are driven`() async throws {
        let folder = try TemporaryFolder()
        let lab = try Child([sipcore, "lab", try folder.write("lab.yaml", Self.topology)], named: "lab", in: folder)
        let port = try await lab.ready().httpPort
        let before = try await http("GET", "/api/nodes", port: port).decoded(Nodes.self).nodes
        #expect(Set(before.map(\.name)) == ["core", "im", "alice", "bob"])

        let registered = try await http("POST", "/api/clients/alice", port: port, body: #"{"do":"register"}"#)
        #expect(registered.status == 200)
        #expect(registered.body.contains(#""event":"registered""#), "\(registered.body)")
        let published = try await http("POST", "/api/clients/alice", port: port, body: #"{"do":"publish settings"}"#)
        #expect(published.body.contains(#""event":"settings_accepted""#), "\(published.body)")

        #expect(try await http("POST", "/api/clients/bob", port: port, body: #"{"do":"register"}"#).status == 409)
        #expect(try await http("POST", "/api/clients/carol", port: port, body: #"{"do":"register"}"#).status == 404)
        #expect(try await http("POST", "/api/clients/alice", port: port, body: #"{"done":"register"}"#).status == 400)

        #expect(try await http("POST", "/api/nodes/im/stop", port: port).status == 200)
        let stopped = try await http("GET", "/api/nodes", port: port).decoded(Nodes.self).nodes.first { $0.name == "im" }
        #expect(stopped?.pid == nil)
        #expect(try await http("POST", "/api/nodes/im/start", port: port).status == 200)
        let started = try await http("GET", "/api/nodes", port: port).decoded(Nodes.self).nodes.first { $0.name == "im" }
        #expect(started?.pid != nil && started?.pid != before.first { $0.name == "im" }?.pid)
        #expect(try await http("POST", "/api/nodes/nobody/stop", port: port).status == 404)

        lab.signal(SIGINT)
        #expect(try await lab.end() == 0, "\(lab.errors)")
    }

    /// The client speaks the lines; the server is known by its own ready line. Both write what they were given.
    @Test func `the user's own commands play client and server`() async throws {
        let folder = try TemporaryFolder()
        try folder.write(
            "my-server",
            """
            echo "$@ $COLOUR" > server.arguments
            echo '{"event":"ready","role":"mine","pid":'$$',"sip":["'"$1"'"]}'
            exec sleep 600
            """)
        try folder.write(
            "my-client",
            """
            echo "$@" > client.arguments
            while read -r verb rest; do
                case "$verb" in
                    register) echo '{"event":"registered","time":"2026-01-01T00:00:00.000000Z","expires":60,"public_identities":[]}';;
                    quit) exit 0;;
                esac
            done
            """)
        let topology = try folder.write(
            "lab.yaml",
            """
            domain: home1.test
            core: {listen: ["udp://127.0.0.1:0", "tcp://127.0.0.1:0"], http: "127.0.0.1:0"}
            application_servers:
              mine:
                uri: sip:127.0.0.1:0
                feature_tags: [+g.mine]
                command: [sh, my-server, "${application_servers.mine.uri}"]
                env: {COLOUR: red}
            subscribers: {alice: {password: wonderland, application_servers: [mine]}}
            clients:
              alice: {command: [sh, my-client, "${core.udp}", "${core.tcp}", "${subscriber.private_identity}"]}
            scenarios:
              it is driven:
                - alice: register

            """)
        let (status, lab) = try await run([sipcore, "lab", topology, "--scenarios"], named: "lab", in: folder)
        #expect(status == 0, "\(lab.output)\n\(lab.errors)")
        let client = folder.read("client.arguments") ?? ""
        #expect(client.wholeMatch(of: /127\.0\.0\.1:[1-9]\d* 127\.0\.0\.1:[1-9]\d* alice@home1\.test\n/) != nil, "\(client)")
        let server = folder.read("server.arguments") ?? ""
        #expect(server.wholeMatch(of: /sip:127\.0\.0\.1:[1-9]\d* red\n/) != nil, "\(server)")
    }
}
