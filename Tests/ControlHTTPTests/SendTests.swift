import SansIO
import Testing

@testable import ControlHTTP

/// `POST /api/send`: what is asked of the core, and what is told of its answer.
struct SendTests {
    private static let request = Array("OPTIONS sip:h.test SIP/2.0\r\nCSeq: 1 OPTIONS\r\n\r\n".utf8)
    private static let responses = ["SIP/2.0 100 Trying\r\nCSeq: 1 OPTIONS\r\n\r\n", "SIP/2.0 200 All well\r\nCSeq: 1 OPTIONS\r\n\r\nyes"]
        .map {
            Array($0.utf8)
        }

    private static func core(_ outcome: Result<SentRequest, SendFailure>) -> FakeCore { FakeCore(operations: [.sending], outcome: outcome) }

    private static func answered(_ count: Int = 2) -> FakeCore {
        core(.success(SentRequest(request: request, responses: Array(responses.prefix(count)), isAnswered: count == 2)))
    }

    @Test(arguments: [
        (
            #"{"as":"alice","method":"OPTIONS"}"#,
            SendOrder(.asSubscriber("alice"), .parts(method: "OPTIONS", uri: nil, headers: [], body: []))
        ),
        (
            #"{"to":"im","method":"MESSAGE","uri":"sip:b@h","body":"é","wait":"700ms"}"#,
            SendOrder(
                .toNode("im"), .parts(method: "MESSAGE", uri: "sip:b@h", headers: [], body: [0xC3, 0xA9]), patience: .milliseconds(700))
        ),
        (
            #"{"method":"X","headers":{"B":["1","2"],"A":"0"},"body_base64":"/wA="}"#,
            SendOrder(
                .asSubscriber(nil),
                .parts(method: "X", uri: nil, headers: [.init("B", "1"), .init("B", "2"), .init("A", "0")], body: [0xFF, 0]))
        ),
        (
            #"{"raw":"X","as":null,"headers":null,"wait":"32s"}"#,
            SendOrder(.asSubscriber(nil), .raw([0x58]), patience: .seconds(32))
        ),
        (
            #"{"raw_base64":"WA==","headers":null}"#, SendOrder(.asSubscriber(nil), .raw([0x58]))
        ),
        (
            #"{"method":"X","headers":[["B","1"],["A","0"]]}"#,
            SendOrder(.asSubscriber(nil), .parts(method: "X", uri: nil, headers: [.init("B", "1"), .init("A", "0")], body: []))
        ),
    ])
    func anOrderIsUnderstood(body: String, expected: SendOrder) async throws {
        let core = SendTests.answered()
        try await withServer(.core(core)) { client in
            #expect(await client.call("POST", "/api/send", body: body).status == 200)
        }
        #expect(core.orders == [expected])
    }

    @Test func theResponsesAreTold() async throws {
        try await withServer(.core(SendTests.answered())) { client in
            let answer = await client.call("POST", "/api/send", body: #"{"raw":"X"}"#)
            #expect(
                answer.text
                    == #"{"request":{"start_line":"OPTIONS sip:h.test SIP/2.0","method":"OPTIONS","call_id":null,"headers":[["CSeq","1 OPTIONS"]],"#
                    + #""body":"","raw":"OPTIONS sip:h.test SIP/2.0\r\nCSeq: 1 OPTIONS\r\n\r\n"},"responses":["#
                    + #"{"start_line":"SIP/2.0 100 Trying","method":"OPTIONS","status":100,"call_id":null,"reason":"Trying","#
                    + #""headers":[["CSeq","1 OPTIONS"]],"body":"","raw":"SIP/2.0 100 Trying\r\nCSeq: 1 OPTIONS\r\n\r\n"},"#
                    + #"{"start_line":"SIP/2.0 200 All well","method":"OPTIONS","status":200,"call_id":null,"reason":"All well","#
                    + #""headers":[["CSeq","1 OPTIONS"]],"body":"yes","raw":"SIP/2.0 200 All well\r\nCSeq: 1 OPTIONS\r\n\r\nyes"}]}"#)
        }
    }

    @Test func withoutAFinalResponseItTimesOut() async throws {
        try await withServer(.core(SendTests.answered(1))) { client in
            let answer = await client.call("POST", "/api/send", body: #"{"raw":"X","wait":"1s"}"#)
            #expect(answer.status == 504)
            #expect(answer.text.hasPrefix(#"{"error":"no final response came within 1000 ms; "#))
            #expect(answer.text.contains(#""status":100,"#))
        }
    }

    @Test(arguments: [
        (SendFailure.invalid("there is no subscriber x", field: "as"), 400, #","field":"as"}"#),
        (.unreachable("it is not registered", field: "to"), 409, #","field":"to"}"#), (.overloaded, 503, "try again later\"}"),
    ])
    func whatCannotBeSentIsSaid(failure: SendFailure, status: Int, end: String) async throws {
        try await withServer(.core(SendTests.core(.failure(failure)))) { client in
            let answer = await client.call("POST", "/api/send", body: #"{"raw":"X"}"#)
            #expect(answer.status == status)
            #expect(answer.text.hasSuffix(end), "\(answer.text)")
        }
    }

    @Test(arguments: [
        (#"{"raw":"X","as":"a","to":"b"}"#, "to"), (#"{"raw":1}"#, "raw"), (#"{}"#, "method"), (#"{"raw":"X","method":"Y"}"#, "method"),
        (#"{"raw":"X","body":"Y"}"#, "body"), (#"{"raw":"X","raw_base64":"WA=="}"#, "raw_base64"), (#"{"raw_base64":"?"}"#, "raw_base64"),
        (#"{"method":"X","headers":1}"#, "headers"), (#"{"method":"X","headers":{"A":1}}"#, "headers"),
        (#"{"method":"X","headers":[["A"]]}"#, "headers"), (#"{"method":"X","headers":[["A",null]]}"#, "headers"),
        (#"{"raw":"X","wait":"33s"}"#, "wait"), (#"{"raw":"X","wait":"soon"}"#, "wait"), (#"{"raw":"X","wait":2}"#, "wait"),
        (#"{"raw":"X","form":"a"}"#, "form"), (#"{"method":"X","uri":["a"]}"#, "uri"), (#"{"method":true}"#, "method"),
    ])
    func anOrderThatIsNoneNamesTheField(body: String, field: String) async throws {
        let core = SendTests.answered()
        try await withServer(.core(core)) { client in
            let answer = await client.call("POST", "/api/send", body: body)
            #expect(answer.status == 400)
            #expect(answer.text.hasSuffix(#","field":"\#(field)"}"#), "\(answer.text)")
        }
        #expect(core.orders.isEmpty)
    }

    @Test(arguments: ["", "{", "[]", "7", "\"raw\"", #"{"raw":"X"} x"#])
    func whatIsNoObjectIsNoOrder(body: String) async throws {
        try await withServer(.core(SendTests.answered())) { client in
            let answer = await client.call("POST", "/api/send", body: body)
            #expect(answer.status == 400)
            #expect(answer.text.hasPrefix(#"{"error":"the body is "#), "\(answer.text)")
        }
    }

    @Test func aCoreThatSendsNothingHasNoSuchCall() async throws {
        try await withServer(.core(FakeCore())) { client in
            #expect(await client.call("POST", "/api/send", body: #"{"raw":"X"}"#).status == 404)
        }
    }
}
