import SIPTrace
import SansIO
import Testing

@testable import ControlHTTP

/// How a message is shown, and how it is found.
struct MessageTests {
    private static let request = """
        MESSAGE sip:bob@home1.test SIP/2.0
        v: SIP/2.0/UDP 127.0.0.1:5061;branch=z9hG4bK1
        f: "Alice" <sip:alice@home1.test>;tag=1
        To: <tel:+1-555-0100>
        i: a@b
        cseq: 7 MESSAGE
        X-Own: one, two
        Subject: first
          second
        \tthird
        Content-Length: 6

        héll"
        """

    private static func response(_ status: Int, _ cseq: String, callID: String = "a@b") -> String {
        """
        SIP/2.0 \(status) Fine
        Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK2
        From: <sip:alice@HOME1.test>;tag=1
        To: <sip:bob@home1.test>;tag=2
        Call-ID: \(callID)
        CSeq: \(cseq)
        Content-Length: 0


        """
    }

    @Test func aMessageIsShownWhole() async throws {
        let core = FakeCore()
        core.record(MessageTests.request, at: WallTime(microseconds: 1_767_225_600_000_001))
        try await withServer(.core(core)) { client in
            let answer = await client.get("/api/messages")
            let raw = MessageTests.request.replacing("\n", with: #"\r\n"#).replacing("\"", with: #"\""#).replacing("\t", with: #"\t"#)
            #expect(
                answer.text
                    == #"{"messages":[{"sequence":1,"time":"2026-01-01T00:00:00.000001Z","direction":"in","transport":"udp","#
                    + #""peer":null,"local":"127.0.0.1:5060","remote":"127.0.0.1:5061","start_line":"MESSAGE sip:bob@home1.test SIP/2.0","#
                    + #""method":"MESSAGE","call_id":"a@b","headers":[["Via","SIP/2.0/UDP 127.0.0.1:5061;branch=z9hG4bK1"],"#
                    + #"["From","\"Alice\" <sip:alice@home1.test>;tag=1"],["To","<tel:+1-555-0100>"],["Call-ID","a@b"],"#
                    + #"["CSeq","7 MESSAGE"],["X-Own","one, two"],["Subject","first second third"],["Content-Length","6"]],"#
                    + #""body":"héll\"","raw":"\#(raw)"}],"next":1}"#)
        }
    }

    @Test func aResponseHasItsStatusAndTheMethodOfItsCSeq() async throws {
        let core = FakeCore()
        core.record(MessageTests.response(401, "1   REGISTER"), .outgoing, FakeCore.server)
        try await withServer(.core(core)) { client in
            let text = await client.get("/api/messages").text
            #expect(text.contains(#""direction":"out","transport":"udp","peer":"im""#))
            #expect(text.contains(#""start_line":"SIP/2.0 401 Fine","method":"REGISTER","status":401,"call_id":"a@b""#))
            #expect(text.contains(#""body":"","raw":"SIP/2.0 401"#))
        }
    }

    @Test func aFaultThatBefellAMessageIsTold() async throws {
        let core = FakeCore()
        core.record(MessageTests.response(200, "1 REGISTER"), mark: .dropped)
        try await withServer(.core(core)) { client in
            #expect(await client.get("/api/messages").text.contains(#""status":200,"fault":"dropped","call_id":"a@b""#))
        }
    }

    @Test func octetsThatAreNoTextAreBase64() async throws {
        let core = FakeCore()
        let octets = Array("MESSAGE sip:b@h SIP/2.0\r\nQ: \u{1}\u{7f}\r\n\r\n".utf8) + [0xFF, 0x00]
        core.record(octets, .incoming, FakeCore.alice, at: WallTime(seconds: 0))
        try await withServer(.core(core)) { client in
            let text = await client.get("/api/messages").text
            #expect(text.contains(#""headers":[["Q","\u0001\u007f"]],"body_base64":"/wA=","raw_base64":"TUVTU0FHR"#))
        }
    }

    @Test func whatIsNoMessageIsShownAsFarAsItGoes() async throws {
        let core = FakeCore()
        for text in ["", "\n\n", "hello", "MESSAGE sip:b@h SIP/2.0\nno colon\nCall-ID: x\n\n", "SIP/2.0 200 OK\nCSeq: 1\n\n"] {
            core.record(text)
        }
        try await withServer(.core(core)) { client in
            let answer = await client.get("/api/messages")
            #expect(answer.status == 200)
            #expect(answer.sequences == [1, 2, 3, 4, 5])
            #expect(answer.text.contains(#""start_line":"hello","method":null,"call_id":null,"headers":[],"body":"","raw":"hello"}"#))
            #expect(answer.text.contains(#""method":"MESSAGE","call_id":"x""#))
            #expect(answer.text.contains(#""method":null,"status":200,"call_id":null,"headers":[["CSeq","1"]]"#))
        }
    }

    private func filteredCore() -> FakeCore {
        let core = FakeCore()
        core.record(MessageTests.request)  // 1
        core.record(MessageTests.response(200, "7 MESSAGE"), .outgoing)  // 2
        core.record(MessageTests.response(202, "8 MESSAGE", callID: "A@b"), .incoming, FakeCore.server)  // 3
        core.record(MessageTests.response(200, "1 REGISTER", callID: "c"), .outgoing, FakeCore.server)  // 4
        core.record("noise")  // 5
        return core
    }

    @Test(arguments: [
        ("", [1, 2, 3, 4, 5]),
        ("method=MESSAGE", [1, 2, 3]),
        ("method=OPTIONS", []),
        ("status=200", [2, 4]),
        ("status=200&method=MESSAGE", [2]),
        ("from=sip:alice@home1.test", [1, 2, 3, 4]),
        ("from=sip%3A%2561lice%40Home1.test", [1, 2, 3, 4]),
        ("from=sip:alice@home1.test:5060", []),
        ("from=sip:ALICE@home1.test", []),
        ("to=sip:bob@home1.test", [2, 3, 4]),
        ("to=tel:+15550100", [1]),
        ("to=tel:15550100", []),
        ("call_id=a@b", [1, 2]),
        ("call_id=A%40b", [3]),
        ("peer=im", [3, 4]),
        ("peer=127.0.0.1:5061", [1, 2, 5]),
        ("peer=127.0.0.1:5080", []),
        ("peer=nobody", []),
        ("direction=in", [1, 3, 5]),
        ("direction=out", [2, 4]),
        ("since=3", [4, 5]),
        ("since=5", []),
        ("since=99", []),
        ("since=18446744073709551615", []),
        ("limit=2", [1, 2]),
        ("limit=1&status=200", [2]),
        ("limit=18446744073709551615", [1, 2, 3, 4, 5]),
        ("method=&status=&from=&to=&call_id=&peer=&direction=&since=&limit=&wait=", [1, 2, 3, 4, 5]),
        ("wait=0s&status=600", []),
    ])
    func filters(query: String, expected: [Int]) async throws {
        try await withServer(.core(filteredCore())) { client in
            let answer = await client.get("/api/messages?\(query)")
            #expect(answer.status == 200)
            #expect(answer.sequences == expected)
        }
    }

    @Test(arguments: [
        ("methd=MESSAGE", "methd"), ("method=message", "method"), ("method=A%20B", "method"), ("status=ok", "status"),
        ("status=99", "status"), ("status=700", "status"), ("status=2xx", "status"), ("from=alice", "from"), ("to=%3Csip:a@b%3E", "to"),
        ("direction=both", "direction"), ("since=-1", "since"), ("since=+1", "since"), ("since=18446744073709551616", "since"),
        ("limit=0", "limit"), ("limit=x", "limit"), ("wait=2", "wait"), ("wait=s", "wait"), ("wait=2w", "wait"), ("wait=-2s", "wait"),
        ("wait=1.5s", "wait"), ("wait=61m", "wait"), ("wait=9223372036854775807d", "wait"), ("call_id=%zz", "call_id"),
        ("status=200&status=200", "status"), ("wait=%EF%BC%92s", "wait"),
    ])
    func wrongParameters(query: String, field: String) async throws {
        try await withServer(.core(FakeCore())) { client in
            let answer = await client.get("/api/messages?\(query)")
            #expect(answer.status == 400)
            #expect(answer.text.hasSuffix(#","field":"\#(field)"}"#), "\(answer.text)")
        }
    }

    @Test func pagesFollowOneAnother() async throws {
        let core = FakeCore()
        for number in 0..<1500 { core.record(MessageTests.response(number % 3 == 0 ? 200 : 180, "1 INVITE")) }
        try await withServer(.core(core)) { client in
            let first = await client.get("/api/messages")
            #expect(first.sequences.count == 1000 && first.next == 1000)
            var seen: [Int] = []
            var next = 0
            while true {
                let answer = await client.get("/api/messages?status=200&limit=77&since=\(next)")
                seen += answer.sequences
                next = try #require(answer.next)
                if answer.sequences.isEmpty { break }
            }
            #expect(seen == Array(stride(from: 1, through: 1500, by: 3)))
            // The last that was looked at, not the last that matched.
            #expect(next == 1500)
        }
    }
}
