import SIPTrace
import SansIO
import Testing

@testable import ControlHTTP

/// What a question that found nothing is answered, and the filters by header fields and by text.
struct NearestTests {
    private func core() -> FakeCore {
        let core = FakeCore()
        core.record(
            "MESSAGE sip:b@h.test SIP/2.0\nf: <sip:a@h.test>;tag=1\nTo: <sip:b@h.test>\nCSeq: 1 MESSAGE\n"
                + "a: *;+g.oma.sip-im.large-message\nX-Own: one\nX-Own: two, \"three, four\"\n\n")  // 1
        core.record("SIP/2.0 200 OK\nCSeq: 1 MESSAGE\n\n", .outgoing)  // 2
        core.record(
            "PUBLISH sip:a@h.test SIP/2.0\nCSeq: 2 PUBLISH\nAccept-Contact: *;+g.oma.sip-im\n\nHello There", .incoming,
            FakeCore.server)  // 3
        return core
    }

    /// The number of the nearest message, and what of it differs.
    private func nearest(_ query: String) async throws -> (sequence: Int?, differences: String) {
        var text = ""
        try await withServer(.core(core())) { client in
            let answer = await client.get("/api/messages?\(query)&near=true")
            #expect(answer.status == 200)
            text = answer.text
        }
        #expect(text.hasPrefix(#"{"messages":[],"next":3,"nearest":{"message":{"#), "\(text)")
        let number = text.split(separator: "\"sequence\":").dropFirst().first.flatMap { Int($0.prefix { $0.isNumber }) }
        let start = try #require(text.firstRange(of: #""differences":"#)?.upperBound)
        return (number, String(text[start...].dropLast(2)))
    }

    @Test func theOneThatMeetsTheMostIsTold() async throws {
        let found = try await nearest("method=MESSAGE&direction=in&to=sip:b@h.test&header.Accept-Contact=*;%2Bg.oma.sip-im")
        #expect(found.sequence == 1)
        #expect(
            found.differences
                == #"[{"field":"header.Accept-Contact","wanted":"*;+g.oma.sip-im","found":"*;+g.oma.sip-im.large-message"}]"#)
    }

    @Test func ofThoseThatMeetAsMuchTheNewestIsTold() async throws {
        let found = try await nearest("method=OPTIONS")
        #expect(found.sequence == 3)
        #expect(found.differences == #"[{"field":"method","wanted":"OPTIONS","found":"PUBLISH"}]"#)
    }

    @Test func eachTermThatIsNotMetIsTold() async throws {
        let query =
            "method=INFO&status=202&from=sip:x@h.test&to=sip:y@h.test&call_id=z&peer=im&direction=out&text=nowhere&header.x-own=five"
        let found = try await nearest("since=0&\(query)")
        #expect(found.sequence == 3)
        #expect(
            found.differences
                == #"[{"field":"method","wanted":"INFO","found":"PUBLISH"},{"field":"status","wanted":"202","found":null},"#
                + #"{"field":"from","wanted":"sip:x@h.test","found":null},{"field":"to","wanted":"sip:y@h.test","found":null},"#
                + #"{"field":"call_id","wanted":"z","found":null},{"field":"direction","wanted":"out","found":"in"},"#
                + #"{"field":"text","wanted":"nowhere","found":null},{"field":"header.x-own","wanted":"five","found":null}]"#)
    }

    @Test func severalFieldsAreToldAsOne() async throws {
        let found = try await nearest("method=MESSAGE&direction=in&header.X-Own=five")
        #expect(found.differences.hasSuffix(#""found":"one, two, \"three, four\""}]"#))
    }

    @Test func whatIsBeforeIsNotNear() async throws {
        try await withServer(.core(core())) { client in
            #expect(await client.get("/api/messages?since=3&method=INFO&near=true").text == #"{"messages":[],"next":3,"nearest":null}"#)
            // Nobody asks what is near to what was found.
            #expect(await client.get("/api/messages?method=PUBLISH&near=true").text.contains("nearest") == false)
        }
    }

    @Test func itIsToldWhenTheWaitIsOver() async throws {
        try await withServer(.core(core())) { client in
            let answer = await client.get("/api/messages?method=INFO&wait=20ms&near=true")
            #expect(answer.text.hasSuffix(#""differences":[{"field":"method","wanted":"INFO","found":"PUBLISH"}]}}"#))
        }
    }

    @Test(arguments: [
        ("header.X-Own=one", [1]), ("header.x-OWN=two", [1]), ("header.X-Own=%22three,%20four%22", [1]),
        ("header.X-Own=three", []), ("header.X-Own=one&header.X-Own2=", [1]), ("header.Accept-Contact=*;%2Bg.oma.sip-im", [3]),
        ("header.a=*;%2Bg.oma.sip-im", [3]), ("header.From=<sip:a@h.test>;tag=1", [1]), ("header.To=<sip:b@h.test>&status=200", []),
        ("text=hello%20THERE", [3]), ("text=oma", [1, 3]), ("text=g.oma.sip-im.large", [1]), ("text=nothing", []),
    ])
    func headersAndTextFilter(query: String, expected: [Int]) async throws {
        try await withServer(.core(core())) { client in
            #expect(await client.get("/api/messages?\(query)").sequences == expected)
        }
    }

    @Test(arguments: [("near=yes", "near"), ("brief=1", "brief"), ("header.=x", "header."), ("header.a%20b=x", "header.a b")])
    func whatIsNoFilterIsTheCallersFault(query: String, field: String) async throws {
        try await withServer(.core(core())) { client in
            let answer = await client.get("/api/messages?\(query)")
            #expect(answer.status == 400)
            #expect(answer.text.hasSuffix(#","field":"\#(field)"}"#), "\(answer.text)")
        }
    }

    @Test func aMessageIsToldInShort() async throws {
        let core = FakeCore()
        core.record(
            "MESSAGE sip:b@h.test SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK7\nf: \"A\" <sip:a@h.test>;tag=1\nTo: <sip:b@h.test>\n"
                + "Call-ID: x\nCSeq: 1 MESSAGE\nContent-Type: text/plain\n\n" + String(repeating: "a", count: 100))
        core.record("noise")
        try await withServer(.core(core)) { client in
            let text = await client.get("/api/messages?brief=true").text
            let snippet = String(repeating: "a", count: 80)
            #expect(
                text.contains(
                    #""start_line":"MESSAGE sip:b@h.test SIP/2.0","method":"MESSAGE","call_id":"x","from":"sip:a@h.test","to":"sip:b@h.test","#
                        + #""cseq":"1 MESSAGE","branch":"z9hG4bK7","snippet":"\#(snippet)"},"#), "\(text)")
            #expect(
                text.hasSuffix(
                    #""start_line":"noise","method":null,"call_id":null,"from":null,"to":null,"cseq":null,"branch":null,"snippet":null}],"next":2}"#
                ), "\(text)")
        }
    }
}
