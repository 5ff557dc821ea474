// `GET /api/findings`: what the recorded trace shows of others' faults.

import ControlHTTP
import SIPTrace
import SansIO
import Testing

@Suite struct FindingsTests {
    private static func options(_ cseq: Int, branch: String = "z9hG4bK1", maxForwards: String = "Max-Forwards: 70\n") -> String {
        """
        OPTIONS sip:home1.test SIP/2.0
        Via: SIP/2.0/UDP 127.0.0.1:5061;branch=\(branch)\(cseq)
        \(maxForwards)From: <sip:alice@home1.test>;tag=a1
        To: <sip:home1.test>
        Call-ID: c1
        CSeq: \(cseq) OPTIONS
        Content-Length: 0


        """
    }

    /// Two requests of alice's with a fault each, a sound one between them, and an answer of the server's without a tag.
    private func core() -> FakeCore {
        let core = FakeCore()
        core.record(Self.options(1, maxForwards: ""))
        core.record(Self.options(2))
        core.record(Self.options(3, maxForwards: "Max-Forwards: 9\n"))
        core.record(Self.options(4), .outgoing, FakeCore.server)
        core.record(Self.options(4).replacing("OPTIONS sip:home1.test SIP/2.0", with: "SIP/2.0 200 OK"), .incoming, FakeCore.server)
        return core
    }

    @Test func `findings come in the order of their messages`() async throws {
        try await withServer(.core(core())) { client in
            let answer = await client.get("/api/findings")
            #expect(answer.status == 200)
            #expect(
                answer.text == """
                    {"findings":[{"sequence":1,"sequences":[1],"node":"sip:alice@home1.test","severity":"error",\
                    "rule":"max-forwards-missing","clause":"RFC 3261 8.1.1.6","text":"OPTIONS: no Max-Forwards",\
                    "advice":"write Max-Forwards: 70"},\
                    {"sequence":3,"sequences":[3],"node":"sip:alice@home1.test","severity":"warning",\
                    "rule":"max-forwards-initial","clause":"RFC 3261 8.1.1.6","text":"OPTIONS: Max-Forwards is 9",\
                    "advice":"begin with 70"},\
                    {"sequence":5,"sequences":[5],"node":"im","severity":"error","rule":"answer-to-tag-missing",\
                    "clause":"RFC 3261 8.2.6.2","text":"200 to OPTIONS: To has no tag",\
                    "advice":"add ;tag= with a random value, the same in all answers to a request"}],"next":5}
                    """)
        }
    }

    @Test(arguments: [
        ("severity=error", [1, 5], 5), ("node=im", [5], 5), ("rule=max-forwards-initial", [3], 5), ("since=1", [3, 5], 5),
        ("limit=1", [1], 1), ("since=1&limit=1", [3], 3), ("since=5", [], 5), ("since=9", [], 9), ("severity=note&node=nobody", [], 5),
    ])
    func `they are filtered and told in pages`(query: String, sequences: [Int], next: Int) async throws {
        try await withServer(.core(core())) { client in
            let answer = await client.get("/api/findings?\(query)")
            #expect(answer.sequences == sequences)
            #expect(answer.next == next)
        }
    }

    @Test(arguments: [
        ("severity=fatal", "severity"), ("rule=nothing", "rule"), ("since=x", "since"), ("limit=0", "limit"), ("message=1", "message"),
    ])
    func `a wrong question gets told what would be right`(query: String, field: String) async throws {
        try await withServer(.core(core())) { client in
            let answer = await client.get("/api/findings?\(query)")
            #expect(answer.status == 400)
            #expect(answer.text.contains("\"field\":\"\(field)\""))
        }
    }

    @Test func `the next question reads on, and a trace that begins anew is read anew`() async throws {
        let core = core()
        try await withServer(.core(core)) { client in
            #expect(await client.get("/api/findings").sequences == [1, 3, 5])
            core.record(Self.options(6, branch: "1"))
            #expect(await client.get("/api/findings?since=5").sequences == [6])
            // What went before is still known: this is a copy.
            core.record(Self.options(1, maxForwards: ""))
            #expect(await client.get("/api/findings?since=6").sequences == [])
            core.beginTraceAnew()
            #expect(await client.get("/api/findings").sequences == [])
            core.record(Self.options(1, maxForwards: ""))
            #expect(await client.get("/api/findings").sequences == [1])
        }
    }

    @Test func `questions that come together have one answer`() async throws {
        try await withServer(.core(core())) { client in
            await withTaskGroup { group in
                for _ in 0..<8 { group.addTask { await client.get("/api/findings").sequences } }
                for await sequences in group { #expect(sequences == [1, 3, 5]) }
            }
        }
    }
}
