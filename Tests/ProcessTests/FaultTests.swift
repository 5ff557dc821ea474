// Messages that go astray because a rule says so.

import Glibc
import Testing

@Suite struct FaultTests {
    private struct Faults: Decodable {
        let faults: [Fault]
    }

    private struct Fault: Decodable {
        let id: Int
        let hits: Int
        let action: String
        let method: String?
    }

    private func add(_ rule: String, to core: RunningCore) async throws -> Fault {
        let answer = try await http("POST", "/api/faults", port: core.http, body: rule)
        #expect(answer.status == 201, "\(answer.body)")
        return try answer.decoded(Fault.self)
    }

    private func hits(_ id: Int, _ core: RunningCore) async throws -> Int? {
        try await http("GET", "/api/faults", port: core.http).decoded(Faults.self).faults.first { $0.id == id }?.hits
    }

    @Test func `a request is lost once, and comes through when it is sent again`() async throws {
        let core = try await RunningCore(in: try TemporaryFolder())
        let fault = try await add(#"{"method":"OPTIONS","action":"drop","times":1}"#, to: core)
        #expect(fault.hits == 0 && fault.method == "OPTIONS")
        let peer = try DatagramPeer(to: core.udp)
        // It asks again until it is answered.
        #expect(try await peer.answer(to: .options(from: peer.port)).status == 200)
        #expect(try await hits(fault.id, core) == 1)
        let messages = try await http("GET", "/api/messages?method=OPTIONS", port: core.http).decoded(Messages.self).messages
        #expect(messages.map(\.fault).prefix(2) == ["dropped", nil])
        #expect(try await metric(#"sipcore_messages_dropped_total{reason="fault"}"#, port: core.http) == 1)
        try await core.stop()
    }

    @Test func `a request is answered in the core's stead, and the core's answer altered`() async throws {
        let core = try await RunningCore(in: try TemporaryFolder())
        let peer = try DatagramPeer(to: core.udp)
        let answering = try await add(
            #"{"method":"OPTIONS","action":"answer","answer_status":503,"answer_headers":{"Retry-After":"7"}}"#, to: core)
        let refused = try await peer.answer(to: .options(from: peer.port))
        #expect(refused.status == 503 && refused["Retry-After"] == "7")
        #expect(try await http("DELETE", "/api/faults/\(answering.id)", port: core.http).status == 204)
        #expect(try await http("DELETE", "/api/faults/\(answering.id)", port: core.http).status == 404)
        _ = try await add(#"{"direction":"out","status":200,"action":"header","set":{"X-Lab":"1"},"remove":["Allow"]}"#, to: core)
        let altered = try await peer.answer(to: .options(from: peer.port))
        #expect(altered.status == 200 && altered["X-Lab"] == "1" && altered["Allow"] == nil)
        #expect(try await http("DELETE", "/api/faults", port: core.http).status == 204)
        let plain = try await peer.answer(to: .options(from: peer.port))
        #expect(plain["X-Lab"] == nil && plain["Allow"] != nil)
        try await core.stop()
    }

    @Test func `a stream is closed on a message`() async throws {
        let core = try await RunningCore(in: try TemporaryFolder())
        _ = try await add(#"{"method":"OPTIONS","transport":"tcp","action":"close"}"#, to: core)
        let stream = try StreamPeer(to: core.tcp)
        try await stream.sendAll(SIPRequest(method: "OPTIONS", uri: "sip:home1.test", via: "SIP/2.0/TCP", port: 5099).text)
        #expect(try await stream.receivedUntilClosed().isEmpty)
        try await core.stop()
    }

    @Test func `rules stand in a topology too, and a reset removes them`() async throws {
        let core = try await RunningCore(
            in: try TemporaryFolder(), sections: "faults: [{method: OPTIONS, action: answer, answer_status: 486}]")
        let peer = try DatagramPeer(to: core.udp)
        #expect(try await peer.answer(to: .options(from: peer.port)).status == 486)
        #expect(try await http("POST", "/api/reset", port: core.http).status == 204)
        #expect(try await peer.answer(to: .options(from: peer.port)).status == 200)
        #expect(try await http("GET", "/api/faults", port: core.http).decoded(Faults.self).faults.isEmpty)
        try await core.stop()
    }

    @Test func `a delayed answer comes when its time has come`() async throws {
        let core = try await RunningCore(in: try TemporaryFolder(), settings: "  clock: virtual\n  clock_patience: 20ms")
        _ = try await add(#"{"direction":"out","status":200,"action":"delay","delay":"1h","times":1}"#, to: core)
        let peer = try DatagramPeer(to: core.udp)
        let request = SIPRequest.options(from: peer.port)
        peer.send(Array(request.text.utf8))
        #expect(try await http("GET", "/api/messages?method=OPTIONS&wait=5s", port: core.http).decoded(Messages.self).messages.count == 1)
        #expect(try await http("POST", "/api/clock/advance", port: core.http, body: #"{"by":"1h"}"#).status == 200)
        let messages = try await http("GET", "/api/messages?method=OPTIONS", port: core.http).decoded(Messages.self).messages
        #expect(messages.map(\.status) == [nil, 200] && messages.last?.fault == "delayed")
        try await core.stop()
    }

    // MARK: SIMs

    private static let keys = "k: 8182838485868788898a8b8c8d8e8f91, op: c1c2c3c4c5c6c7c8c9cacbcccdcecfd1"

    /// A lab of clients with SIMs, whose messages any of two threads may have to answer.
    private static let sims = """
        domain: home1.test
        core: {listen: ["udp://127.0.0.1:0"], http: "127.0.0.1:0", shards: 2}
        lab: {http: "127.0.0.1:0"}
        subscribers: {"u{0..3}": {aka: {\(keys), sqn: "000000001000"}}}
        clients: {u0: {run: im-client}, u1: {run: im-client}, u2: {run: im-client}, u3: {run: im-client}}

        """

    @Test func `SIMs ask for a resynchronisation when a rule or a new number makes their challenges old`() async throws {
        let folder = try TemporaryFolder()
        let lab = try Child([sipcore, "lab", try folder.write("sims.yaml", Self.sims)], named: "lab", in: folder)
        let ready = try await lab.ready()
        let core = try #require(ready.nodes?["core"]?.http?.split(separator: ":").last.flatMap { UInt16($0) })
        func resynchronisations(of client: String) async throws -> Int {
            let since = try await http("GET", "/api/messages?limit=100000", port: core).decoded(Messages.self).next
            let answer = try await http("POST", "/api/clients/\(client)", port: try ready.httpPort, body: #"{"do":"register"}"#)
            #expect(answer.status == 200 && answer.body.contains("registered"), "\(answer.body)")
            let trace = try await http("GET", "/api/messages?since=\(since)&method=REGISTER&peer=\(client)", port: core)
            return try trace.decoded(Messages.self).messages.count { $0.direction == "in" && $0.raw?.contains("auts=\"") == true }
        }
        let rule = try await http("POST", "/api/faults", port: core, body: #"{"action":"stale_sqn","peer":"u1","times":1}"#)
        #expect(rule.status == 201, "\(rule.body)")
        for (client, count) in [("u0", 0), ("u1", 1), ("u1", 0)] {
            #expect(try await resynchronisations(of: client) == count, "\(client)")
        }
        #expect(try await http("GET", "/api/faults", port: core).body.contains(#""hits":1"#))
        #expect(try await http("GET", "/api/messages", port: core).body.contains(#""fault":"outdated""#))
        #expect(try await http("DELETE", "/api/faults", port: core).status == 204)
        // From behind, and from ahead.
        for (sqn, count) in [("000000000020", 1), ("000000000020", 0), ("000000100000", 0)] {
            let keys = Self.keys.replacing(/(\w+): (\w+)/) { "\"\($0.output.1)\":\"\($0.output.2)\"" }
            let body = #"{"aka":{\#(keys),"sqn":"\#(sqn)"}}"#
            #expect(try await http("PUT", "/api/subscribers/u3", port: core, body: body).status == 200)
            #expect(try await resynchronisations(of: "u3") == count, "\(sqn)")
        }
        lab.signal(SIGINT)
        #expect(try await lab.end() == 0, "\(lab.errors)")
    }

    @Test func `every rule that the README shows is taken`() async throws {
        let rules = try readme().matches(of: /\| `(\{"[^`]*"action":[^`]*\})` \|/).map { String($0.output.1) }
        #expect(rules.count >= 10)
        let core = try await RunningCore(in: try TemporaryFolder())
        for rule in rules { _ = try await add(rule, to: core) }
        try await core.stop()
    }

    // MARK: What is wrong

    @Test(arguments: ["{}", #"{"action":"explode"}"#, #"{"action":"close","transport":"udp"}"#, "drop"])
    func `what is no rule is refused`(body: String) async throws {
        let core = try await RunningCore(in: try TemporaryFolder())
        let answer = try await http("POST", "/api/faults", port: core.http, body: body)
        #expect(answer.status == 400 && answer.body.contains("error"), "\(answer.body)")
        try await core.stop()
    }
}
