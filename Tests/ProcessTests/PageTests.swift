// The page in a browser, and the interface under a tool that reads its description.

import Foundation
import Glibc
import Testing

@Suite struct PageTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// A core at which alice has registered, published what nobody takes and sent what the IM Server takes.
    private func core() async throws -> (core: RunningCore, server: Child) {
        let port = try #require(try freePorts(1).first)
        let core = try await RunningCore(
            in: folder,
            subscribers: """
                  alice: {password: wonderland, application_servers: [im]}
                  bob: {password: builder}
                application_servers:
                  im: {uri: "sip:127.0.0.1:\(port)", feature_tags: [+g.oma.sip-im]}
                """)
        let server = try Child(
            [sipcore, "im-server", "--listen", "udp://127.0.0.1:\(port)", "--core", "sip:127.0.0.1:\(core.udp)", "--domain", "home1.test"],
            named: "im", in: folder)
        _ = try await server.ready()
        for order in [
            #"{"as":"alice","method":"REGISTER","headers":{"Contact":"<sip:alice@127.0.0.1:9>"}}"#,
            #"{"as":"alice","method":"PUBLISH","uri":"sip:alice@home1.test","headers":{"Accept-Contact":"*;+g.oma.sip-im.large-message"}}"#,
            #"{"as":"alice","method":"MESSAGE","uri":"sip:bob@home1.test","headers":{"Accept-Contact":"*;+g.oma.sip-im"},"body":""#
                + String(repeating: "-", count: 80) + #" behind the eighty octets"}"#,
        ] {
            let answer = try await http("POST", "/api/send", port: core.http, body: order)
            #expect(answer.status == 200, "\(answer.body)")
        }
        return (core, server)
    }

    /// Runs a program that may take longer than others on a machine that others use too.
    private func runPatiently(_ command: [String], named name: String) async throws -> (status: Int32, child: Child) {
        let child = try Child(command, named: name, in: folder)
        for _ in 0..<8 where child.exitStatus == nil { _ = await eventually { child.exitStatus != nil } }
        return (try await child.end(), child)
    }

    @Test func `the page shows what was recorded, why, and who is there`() async throws {
        let (core, server) = try await core()
        let viewer = [try peerPython(), peerPath("page_viewer.py"), "look", "http://127.0.0.1:\(core.http)/"]
        let (status, child) = try await runPatiently(viewer, named: "viewer")
        #expect(status == 0, "\(child.output)\n\(child.errors)\n\(core.process.errors)")
        server.signal(SIGTERM)
        try await core.stop()
    }

    /// Off loopback, where a token is asked for, and with a clock that moves when it is told to.
    @Test func `the page asks for the token, moves the clock, and can be read and used by keys in light and dark`() async throws {
        let file = try folder.write(
            "lab.yaml",
            """
            domain: home1.test
            core: {listen: ["udp://127.0.0.1:0"], http: "0.0.0.0:0", http_token: open-sesame, clock: virtual}
            lab: {http: "127.0.0.1:0"}
            application_servers: {im: {uri: "sip:127.0.0.1:0", feature_tags: [+g.oma.sip-im], run: im-server}}
            subscribers: {alice: {password: wonderland, application_servers: [im]}, bob: {password: builder}}
            clients: {alice: {run: im-client}}
            """)
        let lab = try Child([sipcore, "lab", file], named: "lab", in: folder)
        let ready = try await lab.ready()
        let port = try #require(ready.nodes?["core"]?.http?.split(separator: ":").last)
        let registered = try await http("POST", "/api/clients/alice", port: try ready.httpPort, body: #"{"do":"register expires=7200"}"#)
        #expect(registered.status == 200, "\(registered.body)")
        let viewer = [try peerPython(), peerPath("page_viewer.py"), "steer", "http://127.0.0.1:\(port)/", "open-sesame"]
        let (status, child) = try await runPatiently(viewer, named: "viewer")
        #expect(status == 0, "\(child.output)\n\(child.errors)\n\(lab.errors)")
        lab.signal(SIGINT)
        #expect(try await lab.end() == 0, "\(lab.errors)")
    }

    @Test func `a hundred thousand messages are a few rows`() async throws {
        let core = try await RunningCore(in: folder, settings: "  trace: 200000\n  trace_bytes: 256MiB")
        let count = 100_000
        let load = [sipcore, "load", "sip:127.0.0.1:\(core.udp)", "--mode", "options", "--count", "\(count / 2)", "--warm-up", "0"]
        let (loaded, generator) = try await runPatiently(load, named: "load")
        #expect(loaded == 0, "\(generator.output)\n\(generator.errors)")
        let viewer = [try peerPython(), peerPath("page_viewer.py"), "many", "http://127.0.0.1:\(core.http)/", "\(count)"]
        let (status, child) = try await runPatiently(viewer, named: "viewer")
        #expect(status == 0, "\(child.output)\n\(child.errors)")
        #expect(child.output.contains(" messages, at most "), "\(child.output)")
        try await core.stop()
    }

    /// What the schema says is tried, and what it forbids; that a request is valid needs more than a schema can say.
    @Test func `the interface is as its description says`() async throws {
        let (core, server) = try await core()
        let tool = [
            try peerPathOfPython("schemathesis"), "run", "http://127.0.0.1:\(core.http)/api/openapi.yaml", "--max-examples", "10", "--seed",
            "1",
            "--phases", "examples,coverage,fuzzing", "--generation-database", "none", "--suppress-health-check", "all",
            // The stream has no end that could be waited for.
            "--exclude-path", "/api/messages/stream", "--exclude-checks", "positive_data_acceptance", "--warnings", "off",
            "--request-timeout", "40",
        ]
        let (status, child) = try await runPatiently(tool, named: "schemathesis")
        #expect(status == 0, "\(child.output)\n\(child.errors)\n\(core.process.errors)")
        #expect(try await core.isAnswering())
        server.signal(SIGTERM)
        try await core.stop()
    }

    private func peerPathOfPython(_ name: String) throws -> String {
        URL(filePath: try peerPython()).deletingLastPathComponent().appending(path: name).path
    }
}
