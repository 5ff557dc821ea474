import Glibc
import SIPTrace
import SansIO
import Testing

@testable import ControlHTTP

/// `GET /api/messages/stream`: what is recorded as it is recorded.
struct StreamTests {
    private static func message(_ method: String) -> String { "\(method) sip:b@h.test SIP/2.0\nCSeq: 1 \(method)\n\n" }

    /// The events of an answer without their data.
    private func events(_ answer: HTTPClient.Answer) -> [String] {
        answer.dechunked.split(separator: "\n\n").compactMap { event in
            let lines = event.split(separator: "\n")
            guard let name = lines.first(where: { $0.hasPrefix("event: ") }) else { return nil }
            return "\(lines.first { $0.hasPrefix("id: ") }?.dropFirst(4) ?? "") \(name.dropFirst(7))"
        }
    }

    @Test func whatIsThereAndWhatComesAreEvents() async throws {
        let core = FakeCore()
        core.record(StreamTests.message("INFO"))
        core.record(StreamTests.message("MESSAGE"))
        try await withServer(.core(core)) { client in
            async let answer = client.get("/api/messages/stream?since=1&limit=2")
            var waits = core.waiting.makeAsyncIterator()
            await waits.next()
            core.record(StreamTests.message("OPTIONS"))
            let found = await answer
            #expect(found.status == 200 && found.header("Content-Type") == "text/event-stream")
            #expect(events(found) == ["2 message", "3 message"])
            #expect(found.dechunked.contains(#"data: {"sequence":3,"time":"1970-01-01T00:00:00.000000Z","direction":"in""#))
            #expect(found.dechunked.hasPrefix("retry: 1000\n\n"))
        }
    }

    @Test func withoutANumberOnlyWhatComesIsTold() async throws {
        let core = FakeCore()
        core.record(StreamTests.message("INFO"))
        try await withServer(.core(core)) { client in
            async let answer = client.get("/api/messages/stream?limit=1")
            var waits = core.waiting.makeAsyncIterator()
            await waits.next()
            core.record(StreamTests.message("OPTIONS"))
            #expect(events(await answer) == ["2 message"])
        }
    }

    @Test func filtersHoldAndAreChecked() async throws {
        let core = FakeCore()
        for method in ["INFO", "MESSAGE", "INFO", "MESSAGE"] { core.record(StreamTests.message(method)) }
        try await withServer(.core(core)) { client in
            #expect(events(await client.get("/api/messages/stream?since=0&method=MESSAGE&limit=2")) == ["2 message", "4 message"])
            #expect(await client.get("/api/messages/stream?method=message").status == 400)
            #expect(await client.get("/api/messages/stream?wait=1s").status == 400)
        }
    }

    @Test func aCallerWhoComesBackIsToldTheRest() async throws {
        let core = FakeCore()
        for _ in 0..<5 { core.record(StreamTests.message("INFO")) }
        try await withServer(.core(core)) { client in
            let answer = await client.call(
                "GET", "/api/messages/stream?since=0&limit=2", headers: ["Host: 127.0.0.1:\(client.port)", "Last-Event-ID: 3"])
            #expect(events(answer) == ["4 message", "5 message"])
        }
    }

    @Test func whatWasForgottenIsToldAsLost() async throws {
        let core = FakeCore(messageLimit: 3)
        for _ in 0..<10 { core.record(StreamTests.message("INFO")) }
        try await withServer(.core(core)) { client in
            let answer = await client.get("/api/messages/stream?since=2&limit=3")
            #expect(events(answer) == ["7 lost", "8 message", "9 message", "10 message"])
            #expect(answer.dechunked.contains("data: {\"from\":3,\"to\":7}\n\n"))
        }
    }

    @Test func aResetBeginsAnew() async throws {
        let core = FakeCore()
        for _ in 0..<3 { core.record(StreamTests.message("INFO")) }
        try await withServer(.core(core)) { client in
            async let answer = client.get("/api/messages/stream?limit=2")
            var waits = core.waiting.makeAsyncIterator()
            await waits.next()
            core.beginTraceAnew()
            core.record(StreamTests.message("MESSAGE"))
            core.record(StreamTests.message("MESSAGE"))
            #expect(events(await answer) == ["0 reset", "1 message", "2 message"])
            // A number from before the core was started anew.
            #expect(events(await client.get("/api/messages/stream?since=99&limit=1")) == ["0 reset", "1 message"])
        }
    }

    /// The server of this test ends while callers read the stream, and one of them has hung up.
    @Test func nothingHoldsUpTheEnd() async throws {
        let core = FakeCore()
        try await withServer(.core(core)) { client in
            let request = "GET /api/messages/stream HTTP/1.1\r\nHost: 127.0.0.1:\(client.port)\r\n\r\n"
            let first = client.hangUp(after: request)
            let second = client.hangUp(after: request)
            var waits = core.waiting.makeAsyncIterator()
            for _ in 0..<2 { await waits.next() }
            close(first)
            _ = second
        }
    }

    /// A caller who reads nothing for a while: more is recorded than connections hold, and what the trace forgot meanwhile was
    /// kept for him nowhere else.
    @Test func aCallerWhoDoesNotReadIsWaitedFor() async throws {
        let core = FakeCore(messageLimit: 500)
        try await withServer(.core(core)) { client in
            let sleeper = client.hangUp(after: "GET /api/messages/stream HTTP/1.1\r\nHost: 127.0.0.1:\(client.port)\r\n\r\n")
            defer { close(sleeper) }
            var waits = core.waiting.makeAsyncIterator()
            await waits.next()
            let long = StreamTests.message("INFO") + String(repeating: "x", count: 30_000)
            for _ in 0..<3000 {
                core.record(long)
                await Task.yield()
            }
            // The server serves others all the while.
            #expect(events(await client.get("/api/messages/stream?since=2999&limit=1")) == ["3000 message"])
            #expect(await client.read(sleeper, until: "event: lost"))
        }
    }
}
