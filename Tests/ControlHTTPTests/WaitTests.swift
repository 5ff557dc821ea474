import Glibc
import Logging
import SansIO
import Testing

@testable import ControlHTTP

/// `wait`: an answer as soon as something matches, an empty one when the time is over.
struct WaitTests {
    private static func message(_ method: String) -> String { "\(method) sip:b@h.test SIP/2.0\nCSeq: 1 \(method)\n\n" }

    @Test func whatIsThereIsAnsweredAtOnce() async throws {
        let core = FakeCore()
        core.record(WaitTests.message("INFO"))
        try await withServer(.core(core)) { client in
            #expect(await client.get("/api/messages?method=INFO&wait=1h").sequences == [1])
        }
    }

    @Test func whatComesIsAnsweredWhenItMatches() async throws {
        let core = FakeCore()
        core.record(WaitTests.message("INFO"))
        try await withServer(.core(core)) { client in
            async let answer = client.get("/api/messages?method=MESSAGE&wait=1h")
            var waits = core.waiting.makeAsyncIterator()
            await waits.next()
            core.record(WaitTests.message("OPTIONS"))
            await waits.next()
            core.record(WaitTests.message("MESSAGE"))
            let found = await answer
            #expect(found.sequences == [3])
            #expect(found.next == 3)
        }
    }

    @Test func theEndOfTheTimeIsAnEmptyList() async throws {
        let core = FakeCore()
        core.record(WaitTests.message("INFO"))
        try await withServer(.core(core)) { client in
            let answer = await client.get("/api/messages?method=MESSAGE&wait=20ms")
            #expect(answer.status == 200)
            #expect(answer.text == #"{"messages":[],"next":1}"#)
            // A caller who would keep the connection is told that it ends.
            let kept = await client.exchange("GET /api/messages?since=1&wait=1ms HTTP/1.1\r\nHost: 127.0.0.1:\(client.port)\r\n\r\n")
            #expect(kept.header("Connection") == "close")
            #expect(kept.text == #"{"messages":[],"next":1}"#)
        }
    }

    @Test func manyWaitAtATime() async throws {
        let core = FakeCore()
        try await withServer(.core(core)) { client in
            await withTaskGroup(of: [Int].self) { group in
                for _ in 0..<16 { group.addTask { await client.get("/api/messages?wait=1h").sequences } }
                var waits = core.waiting.makeAsyncIterator()
                for _ in 0..<16 { await waits.next() }
                core.record(WaitTests.message("INFO"))
                for await sequences in group { #expect(sequences == [1]) }
            }
        }
    }

    @Test func aServerMayBeEndedBeforeItHasBegun() async throws {
        let server = ControlServer(.core(FakeCore()), at: Endpoint(address: .loopback, port: 0), logger: Logger(label: "test"))
        let task = Task { try await server.run() }
        task.cancel()
        try await task.value
    }

    /// The server of this test ends while a call waits for an hour, and a caller has hung up.
    @Test func nothingHoldsUpTheEnd() async throws {
        let core = FakeCore()
        try await withServer(.core(core)) { client in
            let request = "GET /api/messages?wait=1h HTTP/1.1\r\nHost: 127.0.0.1:\(client.port)\r\n\r\n"
            let first = client.hangUp(after: request)
            let second = client.hangUp(after: request)
            var waits = core.waiting.makeAsyncIterator()
            for _ in 0..<2 { await waits.next() }
            close(first)
            _ = second
        }
    }
}
