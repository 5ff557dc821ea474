// Labs whose time moves only when it is told to.

import Foundation
import Glibc
import Testing

@Suite struct ClockTests {
    private struct Clock: Decodable {
        let clock: String
        let now: String
    }

    private static func topology(core: UInt16 = 0, server: UInt16 = 0) -> String {
        """
        domain: home1.test
        core: {listen: ["udp://127.0.0.1:\(core)"], http: "127.0.0.1:0", clock: virtual, seed: 7, clock_patience: 50ms}
        lab: {http: "127.0.0.1:0"}
        application_servers: {im: {uri: "sip:127.0.0.1:\(server)", feature_tags: [+g.oma.sip-im], run: im-server}}
        subscribers: {"u{0..9}": {password: x, application_servers: [im]}}
        clients: {\((0...9).map { "u\($0): {run: im-client}" }.joined(separator: ", "))}

        """
    }

    /// A lab with its ports.
    private struct Lab {
        let process: Child
        let http: UInt16
        let core: UInt16

        init(_ topology: String, in folder: TemporaryFolder) async throws {
            process = try Child([sipcore, "lab", try folder.write("lab.yaml", topology)], named: "lab", in: folder)
            let ready = try await process.ready()
            http = try ready.httpPort
            core = try #require(ready.nodes?["core"]?.http?.split(separator: ":").last.flatMap { UInt16($0) })
        }

        func ask(_ client: String, _ command: String) async throws -> String {
            let answer = try await ProcessTests.http("POST", "/api/clients/\(client)", port: http, body: #"{"do":"\#(command)"}"#)
            #expect(answer.status == 200, "\(answer.body)")
            return answer.body
        }

        @discardableResult
        func advance(by span: String) async throws -> String {
            let answer = try await ProcessTests.http("POST", "/api/clock/advance", port: core, body: #"{"by":"\#(span)"}"#)
            #expect(answer.status == 200, "\(answer.body)")
            return try answer.decoded(Clock.self).now
        }

        func stop() async throws {
            process.signal(SIGINT)
            #expect(try await process.end() == 0, "\(process.errors)")
        }
    }

    /// Ten clients register and publish; both are refreshed for a week. The same seed does the same, octet by octet.
    @Test func `a week of ten clients is the same week twice`() async throws {
        let ports = try freePorts(2)
        var traces: [String] = []
        for _ in 0..<2 {
            let lab = try await Lab(Self.topology(core: ports[0], server: ports[1]), in: try TemporaryFolder())
            for client in 0...9 {
                let registered = try await lab.ask("u\(client)", "register expires=36000")
                #expect(registered.contains(#""time":"2026-01-01T00:00:00.000000Z""#), "\(registered)")
            }
            #expect(try await lab.advance(by: "7d") == "2026-01-08T00:00:00.000000Z")
            let trace = try await http("GET", "/api/messages?limit=10000", port: lab.core).body
            #expect(trace.contains("2026-01-07T"))
            traces.append(trace)
            try await lab.stop()
        }
        let messages = try JSONDecoder().decode(Messages.self, from: Data(traces[0].utf8)).messages
        #expect(messages.count { $0.method == "REGISTER" && $0.direction == "in" && $0.peer == "u3" } > 15)
        let lines = traces.map { $0.split(separator: "},{\"sequence\"") }
        let parting = zip(lines[0], lines[1]).first { $0 != $1 }
        #expect(parting == nil)
        #expect(lines[0].count == lines[1].count)
    }

    /// The server goes by the system's clock: time waits for its answers, but not longer. With this patience one wait for what
    /// is there already would outlast the test.
    @Test func `time waits for a server off the clock no longer than it takes to answer`() async throws {
        let folder = try TemporaryFolder()
        let port = try freePorts(2)
        let server = try Child(
            [
                sipcore, "im-server", "--listen", "udp://127.0.0.1:\(port[0])", "--core", "sip:127.0.0.1:\(port[1])", "--domain",
                "home1.test",
            ], named: "im", in: folder)
        _ = try await server.ready()
        let topology = Self.topology(core: port[1], server: port[0]).replacing(", run: im-server", with: "")
            .replacing("clock_patience: 50ms", with: "clock_patience: 1h")
        let lab = try await Lab(topology, in: folder)
        for client in 0...4 {
            _ = try await lab.ask("u\(client)", "register expires=3600")
            _ = try await lab.ask("u\(client)", "publish settings")
        }
        #expect(try await lab.advance(by: "2d") == "2026-01-03T00:00:00.000000Z")
        #expect(try await metric(#"sipcore_registrations"#, port: lab.core) == 5)
        try await lab.stop()
        server.signal(SIGTERM)
        #expect(try await server.end() == 0, "\(server.errors)")
    }

    @Test func `a real clock cannot be moved`() async throws {
        let core = try await RunningCore(in: try TemporaryFolder())
        #expect(try await http("GET", "/api/clock", port: core.http).decoded(Clock.self).clock == "real")
        let answer = try await http("POST", "/api/clock/advance", port: core.http, body: #"{"by":"1h"}"#)
        #expect(answer.status == 409, "\(answer.body)")
        #expect(answer.body.contains("clock: virtual"))
        try await core.stop()
    }

    /// Alone, with a client of somebody else's: its registration ends when its time is up, and not before.
    @Test func `a core alone moves too`() async throws {
        let core = try await RunningCore(in: try TemporaryFolder(), settings: "  clock: virtual\n  clock_patience: 20ms")
        let alice = try DatagramPeer(to: core.udp)
        let identity = "<sip:alice@home1.test>"
        let register = SIPRequest(
            method: "REGISTER", uri: "sip:home1.test", from: identity, to: identity,
            contact: "<sip:alice@127.0.0.1:\(alice.port)>;expires=100", port: alice.port)
        #expect(try await alice.answer(to: register).status == 200)
        let path = "/api/registrations/sip:alice@home1.test"
        for (span, status) in [("99s", 200), ("2s", 404)] {
            #expect(try await http("POST", "/api/clock/advance", port: core.http, body: #"{"by":"\#(span)"}"#).status == 200)
            #expect(try await http("GET", path, port: core.http).status == status)
        }
        for body in ["{}", #"{"by":"soon"}"#, "by=1h"] {
            #expect(try await http("POST", "/api/clock/advance", port: core.http, body: body).status == 400)
        }
        try await core.stop()
    }
}
