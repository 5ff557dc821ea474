// Fault rules in a topology, and over HTTP.
import Testing

@testable import Topology

@Suite struct FaultRuleTests {
    private static let topology = read(withBase("")).topology

    private func fault(_ json: String) throws(FieldFault) -> FaultPlan {
        guard let topology = Self.topology else { preconditionFailure("the base is right") }
        return try topology.fault(json: json, in: surroundings())
    }

    private func wrong(_ json: String) -> FieldFault? {
        do throws(FieldFault) {
            _ = try fault(json)
            return nil
        } catch { return error }
    }

    @Test func `all keys are read`() throws {
        let plan = try fault(
            """
            {"method": "MESSAGE", "status": "2xx", "peer": "im", "direction": "out", "transport": "tcp", "call_id": "a@b", "nth": 2,
             "times": 3, "probability": 0.25, "seed": 7, "action": "delay", "delay": "200ms"}
            """)
        var expected = FaultPlan(.delay(milliseconds: 200))
        expected.method = "MESSAGE"
        expected.status = 200...299
        expected.peer = "im"
        expected.isOutgoing = true
        expected.transport = .tcp
        expected.callID = "a@b"
        expected.nth = 2
        expected.times = 3
        expected.probability = 0.25
        expected.seed = 7
        #expect(plan == expected)
    }

    @Test(arguments: [
        (#"{"action": "drop"}"#, FaultAction.drop),
        (#"{"action": "duplicate"}"#, .duplicate(copies: 1)),
        (#"{"action": "duplicate", "copies": 3}"#, .duplicate(copies: 3)),
        (#"{"action": "reorder"}"#, .reorder(behind: 1)),
        (
            #"{"action": "answer", "answer_status": 503, "answer_headers": {"Retry-After": 5}}"#,
            .answer(status: 503, headers: [.init(name: "Retry-After", value: "5")])
        ),
        (
            #"{"action": "header", "set": {"Expires": "60", "X": ["a", "b"]}, "remove": "Accept-Contact"}"#,
            .header(
                set: [.init(name: "Expires", value: "60"), .init(name: "X", value: "a"), .init(name: "X", value: "b")],
                remove: ["Accept-Contact"])
        ),
        (#"{"action": "corrupt"}"#, .corrupt(bytes: 1)),
        (#"{"action": "cut"}"#, .cut(bytes: nil)),
        (#"{"action": "cut", "bytes": 100}"#, .cut(bytes: 100)),
        (#"{"action": "close", "transport": "tcp"}"#, .close),
        (#"{"action": "stale_sqn"}"#, .staleSequenceNumber),
        (#"{"action": "stale_sqn", "method": "REGISTER", "direction": "in"}"#, .staleSequenceNumber),
    ])
    func `each action has its keys`(json: String, action: FaultAction) throws {
        #expect(try fault(json).action == action)
    }

    @Test(arguments: [
        ("{}", "action"), (#"{"action": "dorp"}"#, "action"), (#"{"action": "drop", "nth": 0}"#, "nth"),
        (#"{"action": "drop", "times": -1}"#, "times"), (#"{"action": "drop", "probability": 1.5}"#, "probability"),
        (#"{"action": "drop", "status": 99}"#, "status"), (#"{"action": "drop", "direction": "up"}"#, "direction"),
        (#"{"action": "drop", "delay": "1s"}"#, "delay"), (#"{"action": "delay"}"#, "delay"),
        (#"{"action": "delay", "delay": "1"}"#, "delay"), (#"{"action": "answer"}"#, "answer_status"),
        (#"{"action": "answer", "answer_status": 503, "status": 200}"#, "status"),
        (#"{"action": "close", "transport": "udp"}"#, "transport"), (#"{"action": "drop", "mehtod": "MESSAGE"}"#, "mehtod"),
        (#"{"action": "stale_sqn", "method": "MESSAGE"}"#, "method"), (#"{"action": "stale_sqn", "status": 401}"#, "status"),
        (#"{"action": "stale_sqn", "direction": "out"}"#, "direction"), (#"{"action": "stale_sqn", "bytes": 1}"#, "bytes"),
        (#"{"action": "drop", "peer": 1, "seed": "x"}"#, "seed"), (#"{"action": "header"}"#, "set"),
        (#"{"action": "corrupt", "bytes": 0}"#, "bytes"), (#"{"action": "answer", "answer_status": 99}"#, "answer_status"),
        (#"{"action": "answer", "answer_status": 503, "answer_headers": {"A": "1\r\nB: 2"}}"#, "answer_headers.A"),
        (#"{"action": "header", "set": {"A": ["1", "2\n3"]}}"#, "set.A"),
    ])
    func `what is wrong is told by its field`(json: String, field: String) throws {
        let fault = try #require(wrong(json))
        #expect(fault.field == field, "\(fault.text)")
        #expect(fault.text.contains(";") || fault.text.contains("write"), "\(fault.text)")
    }

    @Test func `what is no object is told`() throws {
        #expect(wrong("[]")?.field == nil)
        #expect(wrong("")?.text.contains("JSON object") == true)
        #expect(wrong("{\"action\"")?.text.contains("line 1") == true)
        #expect(wrong("{action: drop}")?.text.hasPrefix("this is not JSON;") == true)
        #expect(wrong(#"{"action": "drop", "peer": "${env:HOME}"}"#)?.text.contains("does not see the environment") == true)
    }

    @Test func `a topology has them from the start`() {
        let right = read(withBase("faults: [{action: drop, method: MESSAGE, times: 1}, {action: cut}]\n"))
        #expect(right.faults.isEmpty)
        #expect(right.topology?.faults.map(\.action) == [.drop, .cut(bytes: nil)])
        let wrong = read(withBase("faults:\n  - {method: MESSAGE}\n"))
        #expect(wrong.faults.contains { $0.text.contains("action") && $0.severity == .error })
        // What is there and wrong is not said to be missing too.
        #expect(read(withBase("faults: [{action: delay, delay: '5'}]\n")).faults.map(\.text).filter { $0.contains("needs") } == [])
    }

    @Test func `how far a clock moves is a duration`() throws {
        let topology = try #require(Self.topology)
        #expect(try topology.advance(json: #"{"by": "7d"}"#, in: surroundings()) == 604_800_000)
        #expect(try topology.advance(json: #"{"by": "0s"}"#, in: surroundings()) == 0)
        for (json, field) in [("{}", "by"), (#"{"by": 5}"#, "by"), (#"{"by": "-1s"}"#, "by"), (#"{"to": "1h"}"#, "to")] {
            #expect { try topology.advance(json: json, in: surroundings()) } throws: { ($0 as? FieldFault)?.field == field }
        }
    }

    @Test func `a clock is real unless it is virtual`() throws {
        let core = try #require(Self.topology).core
        #expect(!core.clockIsVirtual && core.clockPatience == 500)
        let text = withBase("core: {clock: virtual, clock_start: \"2026-03-01T12:00:00.5+01:00\", clock_patience: 1s}\n")
        let moved = try #require(read(text).topology).core
        #expect(moved.clockIsVirtual && moved.clockPatience == 1000)
        // 1 March 2026, 11:00:00.5 UTC.
        #expect(moved.clockStart == 1_772_362_800_500_000)
        let warned = read(withBase("core: {clock_start: 2026-01-01T00:00:00Z}\n")).faults
        #expect(warned.contains { $0.severity == .warning && $0.text.contains("clock: virtual") })
    }
}
