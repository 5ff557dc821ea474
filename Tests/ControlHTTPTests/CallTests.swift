import SansIO
import Testing

@testable import ControlHTTP

/// The calls but for messages, and what is answered to calls that are none.
struct CallTests {
    private static let registration: Registration = {
        var contact = Registration.Contact(
            uri: "sip:alice@192.0.2.1:5062", privateIdentity: "alice@home1.test", expires: .milliseconds(3_599_500),
            expiresAt: WallTime(microseconds: 1_767_225_600_000_123), flow: "udp://192.0.2.1:5062")
        contact.q = 500
        contact.instance = "<urn:uuid:1>"
        contact.regID = 1
        contact.callID = "c1"
        contact.sequence = 7
        contact.visitedNetworkID = "home1.test"
        contact.featureTags = ["+g.oma.sip-im", #"methods="MESSAGE""#]
        return Registration(
            publicIdentity: "sip:alice@home1.test", privateIdentity: "alice@home1.test",
            implicitSet: ["sip:alice@home1.test", "tel:+15550100"], contacts: [contact])
    }()

    private static let registrationJSON =
        #"{"public_identity":"sip:alice@home1.test","private_identity":"alice@home1.test","#
        + #""implicit_set":["sip:alice@home1.test","tel:+15550100"],"contacts":[{"uri":"sip:alice@192.0.2.1:5062","#
        + #""private_identity":"alice@home1.test","expires":3600,"expires_at":"2026-01-01T00:00:00.000123Z","q":0.5,"path":[],"#
        + #""instance":"<urn:uuid:1>","reg_id":1,"gruu":null,"feature_tags":["+g.oma.sip-im","methods=\"MESSAGE\""],"#
        + #""flow":"udp://192.0.2.1:5062","call_id":"c1","cseq":7,"access_network_info":null,"#
        + #""visited_network_id":"home1.test","charging_id":null}]}"#

    @Test func health() async throws {
        try await withServer(.core(FakeCore())) { client in
            let answer = await client.get("/api/health")
            #expect(answer.status == 200)
            #expect(answer.header("Content-Type") == "application/json")
            #expect(
                answer.text
                    == #"{"role":"core","version":"1.2.3","uptime":61.25,"listeners":["udp://127.0.0.1:5060","tcp://127.0.0.1:5060"]}"#)
            let head = await client.call("HEAD", "/api/health")
            #expect(head.status == 200 && head.body.isEmpty)
            #expect(head.header("Content-Length") == "\(answer.body.count)")
        }
    }

    @Test func registrations() async throws {
        try await withServer(.core(FakeCore(registrations: [CallTests.registration]))) { client in
            #expect(await client.get("/api/registrations").text == #"{"registrations":[\#(CallTests.registrationJSON)]}"#)
            for path in ["sip%3Aalice%40home1.test", "sip:alice@HOME1.test", "sip:%2561lice@home1.test:5060;x=y"] {
                let answer = await client.get("/api/registrations/\(path)")
                #expect(answer.text == CallTests.registrationJSON, "\(path)")
            }
            let missing = await client.get("/api/registrations/sip:bob@home1.test")
            #expect(missing.status == 404)
            #expect(missing.text == #"{"error":"sip:bob@home1.test is not registered; register it first"}"#)
            let wrong = await client.get("/api/registrations/bob")
            #expect(wrong.status == 400)
            #expect(wrong.text.hasSuffix(#""field":"public_identity"}"#))
            // The core of this test cannot do that.
            #expect(await client.call("DELETE", "/api/registrations/sip:alice@home1.test").status == 405)
        }
    }

    @Test func deregistrationAndReset() async throws {
        let core = FakeCore(operations: [.deregistration, .reset], registrations: [CallTests.registration])
        try await withServer(.core(core)) { client in
            let gone = await client.call("DELETE", "/api/registrations/sip%3aalice%40home1.test")
            #expect(gone.status == 204 && gone.body.isEmpty)
            #expect(await client.call("DELETE", "/api/registrations/sip:alice@home1.test").status == 404)
            #expect(await client.get("/api/registrations").text == #"{"registrations":[]}"#)
            #expect(await client.call("POST", "/api/reset").status == 204)
            #expect(core.resets == 1)
            let wrong = await client.get("/api/reset")
            #expect(wrong.status == 405 && wrong.header("Allow") == "POST")
        }
    }

    @Test(arguments: [
        ("", NetworkDeregistration.deactivated), ("?event=deactivated", .deactivated), ("?event=rejected", .rejected),
        ("?event=probation&retry_after=300", .probation(retryAfter: 300)), ("?retry_after=1&event=probation", .probation(retryAfter: 1)),
    ])
    func theNetworkSaysWhetherToComeBack(query: String, event: NetworkDeregistration) async throws {
        let core = FakeCore(operations: [.deregistration], registrations: [CallTests.registration])
        try await withServer(.core(core)) { client in
            #expect(await client.call("DELETE", "/api/registrations/sip:alice@home1.test\(query)").status == 204)
            #expect(core.ends == [event])
        }
    }

    @Test(arguments: [
        ("event=expired", "event"), ("event=probation", "retry_after"), ("event=probation&retry_after=0", "retry_after"),
        ("event=probation&retry_after=5m", "retry_after"), ("event=probation&retry_after=4294967296", "retry_after"),
        ("event=rejected&retry_after=5", "retry_after"), ("retry_after=5", "retry_after"), ("reason=rejected", "reason"),
    ])
    func anEndThatIsNoneIsTheCallersFault(query: String, field: String) async throws {
        let core = FakeCore(operations: [.deregistration], registrations: [CallTests.registration])
        try await withServer(.core(core)) { client in
            let answer = await client.call("DELETE", "/api/registrations/sip:alice@home1.test?\(query)")
            #expect(answer.status == 400)
            #expect(answer.text.hasSuffix(#","field":"\#(field)"}"#), "\(answer.text)")
            #expect(core.ends == [])
        }
    }

    @Test func callsThatAreNone() async throws {
        try await withServer(.core(FakeCore())) { client in
            for path in ["/index.html", "/api", "/api/healt", "/api/health/x", "/api/registrations/a/b", "/api/reset"] {
                let answer = await client.get(path)
                #expect(answer.status == 404, "\(path)")
                #expect(answer.text.hasPrefix(#"{"error":"there is nothing at \#(path); there is /api/health, "#))
                #expect(answer.header("Content-Type") == "application/json")
            }
            let method = await client.call("PUT", "/api/messages")
            #expect(method.status == 405 && method.header("Allow") == "GET, HEAD")
            #expect(method.text == #"{"error":"PUT is not for /api/messages; use GET or HEAD"}"#)
            let unknown = await client.get("/api/health?verbose=1")
            #expect(unknown.status == 400)
            #expect(unknown.text == #"{"error":"there is no parameter verbose; this call takes none","field":"verbose"}"#)
            #expect(await client.get("/api/registrations/%zz").status == 400)
            #expect(await client.get("/api/registrations/%ff").status == 400)
            // What is no HTTP at all is answered by the library.
            #expect(await client.exchange("HELLO\r\n\r\n").status == 400)
        }
    }

    @Test func connectionsAreUsedAgain() async throws {
        try await withServer(.core(FakeCore())) { client in
            let host = "Host: 127.0.0.1:\(client.port)\r\n"
            let first = "POST /api/health HTTP/1.1\r\n\(host)Content-Length: 5\r\n\r\nhello"
            let answer = await client.exchange("\(first)GET /metrics HTTP/1.1\r\n\(host)Connection: close\r\n\r\n")
            #expect(answer.status == 405)
            #expect(answer.text.contains("HTTP/1.1 200 OK"))
        }
    }

    @Test func metrics() async throws {
        let families = [
            MetricFamily(
                "sipcore_messages_sent_total", .counter, help: "Messages\nsent \\ \"out\".",
                [
                    .init(["transport": "udp", "method": "MESSAGE", "status": "200"], count: 7),
                    .init(["transport": "a\"b\\c\nd"], count: UInt64.max),
                ]),
            MetricFamily("sipcore_load", .gauge, help: "Load.", [.init([:], .real(0.5)), .init(["x": ""], .real(.infinity))]),
            MetricFamily("sipcore_none", .gauge, help: "Nothing.", []),
        ]
        try await withServer(.core(FakeCore(families: families))) { client in
            let answer = await client.get("/metrics")
            #expect(answer.header("Content-Type") == "text/plain; version=0.0.4; charset=utf-8")
            #expect(
                answer.text == #"""
                    # HELP sipcore_messages_sent_total Messages\nsent \\ "out".
                    # TYPE sipcore_messages_sent_total counter
                    sipcore_messages_sent_total{transport="udp",method="MESSAGE",status="200"} 7
                    sipcore_messages_sent_total{transport="a\"b\\c\nd"} 9223372036854775807
                    # HELP sipcore_load Load.
                    # TYPE sipcore_load gauge
                    sipcore_load 0.5
                    sipcore_load{x=""} +Inf
                    # HELP sipcore_none Nothing.
                    # TYPE sipcore_none gauge

                    """#)
        }
    }
}
