import SIPTrace
import SansIO
import Testing

@testable import ControlHTTP

/// `GET /api/trace.pcapng` and one message by its number.
struct TraceExportTests {
    private static func message(_ method: String) -> String { "\(method) sip:b@h.test SIP/2.0\nCSeq: 1 \(method)\n\n" }

    @Test func theFileHoldsWhatWasRecorded() async throws {
        let core = FakeCore()
        for _ in 0..<300 { core.record(TraceExportTests.message("INFO")) }
        core.record(TraceExportTests.message("MESSAGE"), .outgoing, FakeCore.server, mark: .duplicated)
        try await withServer(.core(core)) { client in
            let answer = await client.get("/api/trace.pcapng")
            #expect(answer.status == 200 && answer.header("Content-Type") == "application/x-pcapng")
            #expect(answer.header("Content-Disposition") == "attachment; filename=\"sipcore.pcapng\"")
            let messages = try PcapngReader.messages(in: answer.dechunkedOctets)
            #expect(messages.map(\.sequence) == Array(1...301))
            let last = try #require(messages.last)
            #expect(last.peer == "im" && last.mark == .duplicated && last.remote == FakeCore.server && last.local == FakeCore.local)
            #expect(last.octets == Array("MESSAGE sip:b@h.test SIP/2.0\r\nCSeq: 1 MESSAGE\r\n\r\n".utf8))
        }
    }

    @Test func filtersHoldAndAreChecked() async throws {
        let core = FakeCore()
        for method in ["INFO", "MESSAGE", "INFO", "MESSAGE"] { core.record(TraceExportTests.message(method)) }
        try await withServer(.core(core)) { client in
            for (query, expected) in [("?method=MESSAGE", [2, 4]), ("?since=1&limit=2", [2, 3]), ("?peer=im", [])] {
                let messages = try PcapngReader.messages(in: await client.get("/api/trace.pcapng\(query)").dechunkedOctets)
                #expect(messages.map { Int($0.sequence) } == expected)
            }
            #expect(await client.get("/api/trace.pcapng?wait=1s").status == 400)
        }
    }

    @Test func oneMessageIsFoundByItsNumber() async throws {
        let core = FakeCore(messageLimit: 2)
        for method in ["INFO", "MESSAGE", "OPTIONS"] { core.record(TraceExportTests.message(method)) }
        try await withServer(.core(core)) { client in
            let answer = await client.get("/api/messages/3")
            #expect(answer.status == 200 && answer.text.hasPrefix(#"{"sequence":3,"#) && answer.text.contains(#""method":"OPTIONS""#))
            #expect(await client.get("/api/messages/1").status == 404)
            #expect(await client.get("/api/messages/4").status == 404)
            #expect(await client.get("/api/messages/0").status == 404)
            let wrong = await client.get("/api/messages/first")
            #expect(wrong.status == 400 && wrong.text.contains("first is no sequence number"))
        }
    }
}
