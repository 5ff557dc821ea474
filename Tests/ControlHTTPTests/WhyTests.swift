import ControlHTTP
import Testing

@Suite struct WhyTests {
    @Test func `a request has its why`() async throws {
        try await withServer(.core(FakeCore())) { client in
            let answer = await client.get("/api/messages/1/why")
            #expect(answer.status == 200)
            #expect(
                answer.text == #"{"believed_because":"it comes on the flow of a registration","served_user":"sip:alice@home1.test","#
                    + #""session_case":"originating_cdiv","registered":true,"also_served":[],"criteria":[],"#
                    + #""contacts":[{"uri":"sip:bob@127.0.0.1:5072","q":0.7,"score":0.25,"verdict":"tried"}],"#
                    + #""next_hop":"im","nearest_miss":null,"sentence":"it is \"so\""}"#)
        }
    }

    @Test func `a response has none, nor has what is not kept`() async throws {
        try await withServer(.core(FakeCore())) { client in
            let response = await client.get("/api/messages/2/why")
            #expect(response.status == 409)
            #expect(response.text.contains("ask why of its request"))
            let unknown = await client.get("/api/messages/3/why")
            #expect(unknown.status == 404)
            #expect(unknown.text.contains("no message 3 is recorded"))
            let word = await client.get("/api/messages/last/why")
            #expect(word.status == 400)
            #expect(word.text.contains(#""field":"sequence""#))
        }
    }
}
