import SIPLadder
import SIPTrace
import SansIO
import Testing

@Suite struct LadderModelTests {
    /// The kinds and labels of a trace, in order.
    private func told(_ trace: Trace) -> [String] {
        LadderModel(trace.messages).events.map { "\($0.kind) \($0.from)>\($0.to) \($0.markedLabel)" }
    }

    @Test func aMessageIsWhatItIs() throws {
        var trace = Trace()
        trace.add(0, .incoming, request("MESSAGE", branch: "z9hG4bK1", "Content-Type: text/plain\n", body: "see you"))
        trace.add(0.1, .outgoing, response(404, "Not Found", "MESSAGE", branch: "z9hG4bK1"))
        let events = LadderModel(trace.messages).events
        #expect(events.map(\.label) == ["MESSAGE", "404 Not Found"])
        #expect(events.map(\.detail) == ["sip:bob@home1.test \"see you\"", "to MESSAGE"])
        #expect(events.map(\.sequence) == [1, 2] && events.map(\.status) == [nil, 404])
        #expect(events.allSatisfy { $0.method == "MESSAGE" && $0.callID == "a@b" && $0.kind == .message })
        #expect(events[1].microseconds - events[0].microseconds == 100_000)
    }

    @Test func theSameRequestAgainIsARetransmission() {
        var trace = Trace()
        trace.add(0, .incoming, request("MESSAGE", branch: "z9hG4bK1"))
        trace.add(0.5, .incoming, request("MESSAGE", branch: "z9hG4bK1", "Timestamp: 5\n"))
        trace.add(0.6, .incoming, request("MESSAGE", branch: "z9hG4bK2"))
        trace.add(0.7, .incoming, at: server, request("MESSAGE", branch: "z9hG4bK1"))
        trace.add(0.8, .outgoing, request("MESSAGE", branch: "z9hG4bK1"))
        trace.add(0.9, .incoming, request("CANCEL", branch: "z9hG4bK1"))
        let events = LadderModel(trace.messages).events
        #expect(events.map(\.kind) == [.message, .retransmission, .message, .message, .message, .message])
        #expect(events[1].detail == "again after 0.5 s, sip:bob@home1.test")
    }

    @Test func theSameOctetsOfAResponseAreARetransmission() {
        var trace = Trace()
        trace.add(0, .outgoing, response(180, "Ringing", "INVITE", branch: "z9hG4bK1"))
        trace.add(1, .outgoing, response(180, "Ringing", "INVITE", branch: "z9hG4bK1", to: "<sip:bob@home1.test>;tag=other"))
        trace.add(2, .outgoing, response(180, "Ringing", "INVITE", branch: "z9hG4bK1"))
        #expect(LadderModel(trace.messages).events.map(\.kind) == [.message, .message, .retransmission])
    }

    @Test func aFaultIsMarked() {
        var trace = Trace()
        trace.add(0, .incoming, mark: .dropped, request("MESSAGE", branch: "z9hG4bK1"))
        trace.add(0.5, .incoming, mark: .delayed, request("MESSAGE", branch: "z9hG4bK1"))
        let events = LadderModel(trace.messages).events
        #expect(events.map(\.kind) == [.fault, .fault])
        #expect(events.map(\.markedLabel) == ["MESSAGE [dropped]", "MESSAGE [delayed]"])
        #expect(events.map(\.isLost) == [true, false])
    }

    @Test func anUnansweredRequestRunsIntoItsTimer() {
        var trace = Trace()
        trace.add(0, .incoming, request("MESSAGE", branch: "z9hG4bK1"))
        trace.add(0.1, .outgoing, at: server, peer: "im", request("MESSAGE", branch: "z9hG4bKc"))
        trace.add(3.3, .outgoing, response(408, "Request Timeout", "MESSAGE", branch: "z9hG4bK1"))
        #expect(
            told(trace) == [
                "message 127.0.0.1:40000>core MESSAGE", "message core>im MESSAGE", "timer core>core Timer F",
                "message core>127.0.0.1:40000 408 Request Timeout",
            ])
        #expect(LadderModel(trace.messages).events[2].detail == "no answer from im to MESSAGE for 3.2 s")
    }

    @Test func withoutA408TheTimerIsToldAfter32Seconds() throws {
        var trace = Trace()
        trace.add(1, .outgoing, at: server, peer: "im", request("INVITE", branch: "z9hG4bKc"))
        trace.add(1, .outgoing, at: server, peer: "im", request("OPTIONS", branch: "z9hG4bKd", callID: "other"))
        trace.add(2, .incoming, at: server, peer: "im", response(200, "OK", "OPTIONS", branch: "z9hG4bKd", callID: "other"))
        trace.add(32.9, .incoming, request("MESSAGE", branch: "z9hG4bK1", callID: "c"))
        #expect(LadderModel(trace.messages).events.map(\.kind) == [.message, .message, .message, .message])
        trace.add(50, .incoming, request("MESSAGE", branch: "z9hG4bK2", callID: "d"))
        let events = LadderModel(trace.messages).events
        let timer = try #require(events.first { $0.kind == .timer })
        #expect(timer.label == "Timer B" && timer.microseconds == events[0].microseconds + 32_000_000)
        #expect(events.filter { $0.kind == .timer }.count == 1)
        #expect(events.map(\.microseconds) == events.map(\.microseconds).sorted())
    }

    @Test func anInviteThatRingsHasTimerC() {
        var trace = Trace()
        trace.add(0, .outgoing, at: server, peer: "im", request("INVITE", branch: "z9hG4bKc"))
        trace.add(1, .incoming, at: server, peer: "im", response(180, "Ringing", "INVITE", branch: "z9hG4bKc"))
        trace.add(100, .incoming, request("OPTIONS", branch: "z9hG4bK9", callID: "x"))
        trace.add(181, .outgoing, response(408, "Request Timeout", "INVITE", branch: "z9hG4bK1"))
        #expect(told(trace).filter { $0.hasPrefix("timer") } == ["timer core>core Timer C"])
    }

    @Test func goingOnWithoutAnAnswerIsTold() {
        var trace = Trace()
        trace.add(0, .outgoing, at: server, peer: "im", request("MESSAGE", branch: "z9hG4bKc"))
        trace.add(0.001, .outgoing, at: alice, request("MESSAGE", branch: "z9hG4bKd"))
        trace.add(2, .outgoing, at: Endpoint(address: .loopback, port: 9), request("MESSAGE", branch: "z9hG4bKe"))
        let timers = LadderModel(trace.messages).events.filter { $0.kind == .timer }
        #expect(timers.map(\.label) == ["given up", "given up"])
        #expect(timers.first?.detail == "no answer from im to MESSAGE for 2 s")
    }

    @Test func whatAHopChangedIsFoundByItsCall() throws {
        var trace = Trace()
        trace.add(0, .incoming, request("MESSAGE", branch: "z9hG4bK1"))
        trace.add(0.1, .outgoing, at: server, peer: "im", request("MESSAGE", branch: "z9hG4bK1", "P-Served-User: <sip:alice@home1.test>\n"))
        trace.add(0.2, .incoming, at: server, peer: "im", request("MESSAGE", branch: "z9hG4bKi", "P-Served-User: <sip:alice@home1.test>\n"))
        trace.add(0.3, .outgoing, at: server, peer: "im", response(200, "OK", "MESSAGE", branch: "z9hG4bKi"))
        trace.add(0.4, .incoming, at: server, peer: "im", request("MESSAGE", branch: "z9hG4bKj", cseq: 2))
        let hops = LadderModel(trace.messages).hops
        #expect(Set(hops.keys) == [2, 3])
        #expect(hops[2]?.node == "core" && hops[2]?.received == 1)
        #expect(hops[2]?.difference.changes == [.added(name: "P-Served-User", value: "<sip:alice@home1.test>")])
        #expect(hops[3]?.node == "im" && hops[3]?.received == 2)
        #expect(hops[3]?.difference.changes.map(\.name) == ["Via"])
    }

    @Test func clientsAreNamedByWhomTheyRegistered() {
        var trace = Trace()
        let accepted = "SIP/2.0 200 OK\nTo: <sip:alice@home1.test>\nCSeq: 1 REGISTER\nContact: <sip:a@127.0.0.1:5999>;expires=60\n\n"
        trace.add(0, .incoming, request("REGISTER", branch: "z9hG4bK1"))
        trace.add(0, .outgoing, accepted)
        trace.add(0, .outgoing, at: Endpoint(address: .loopback, port: 5999), request("MESSAGE", branch: "z9hG4bK2"))
        trace.add(0, .outgoing, at: server, peer: "im", request("MESSAGE", branch: "z9hG4bK3"))
        trace.add(0, .outgoing, at: Endpoint(address: .loopback, port: 5998), request("MESSAGE", branch: "z9hG4bK4"))
        let model = LadderModel(trace.messages)
        #expect(model.events.map(\.to) == ["core", "alice", "alice", "im", "127.0.0.1:5998"])
        #expect(model.nodes == ["alice", "127.0.0.1:5998", "core", "im"])
        // Two who share an address are neither.
        trace.add(0, .outgoing, accepted.replacing("alice", with: "bob"))
        #expect(LadderModel(trace.messages).events.map(\.to).prefix(2) == ["core", "127.0.0.1:40000"])
    }

    @Test func clientsThatHaveNamesStandBeforeTheCore() {
        var trace = Trace()
        trace.add(0, .outgoing, at: server, peer: "im", request("OPTIONS", branch: "z9hG4bK0"))
        trace.add(0, .incoming, peer: "bob", request("REGISTER", branch: "z9hG4bK1"))
        trace.add(0, .incoming, at: Endpoint(address: .loopback, port: 5999), peer: "alice", request("MESSAGE", branch: "z9hG4bK2"))
        trace.add(0, .incoming, at: server, peer: "im", request("MESSAGE", branch: "z9hG4bK3"))
        #expect(LadderModel(trace.messages).nodes == ["bob", "alice", "core", "im"])
    }

    @Test func whatIsNoMessageIsDrawnToo() {
        var trace = Trace()
        for text in ["", "\n\n", "hello there", "SIP/2.0 200", "MESSAGE sip:b SIP/2.0\nnonsense\n\n", "\u{1}\u{2}"] {
            trace.add(0, .incoming, text)
        }
        #expect(LadderModel(trace.messages).events.count == 6)
    }

    @Test func aReaderForgetsAndStaysRight() {
        var reader = LadderReader(memory: 10)
        var trace = Trace()
        for n in 0..<100 { trace.add(Double(n), .incoming, request("MESSAGE", branch: "z9hG4bK\(n)", callID: "\(n)")) }
        trace.add(100, .incoming, request("MESSAGE", branch: "z9hG4bK99", callID: "99"))
        let events = trace.messages.flatMap { reader.read($0, otherEnd: "alice").events }
        #expect(events.map(\.kind) == Array(repeating: .message, count: 100) + [.retransmission])
    }
}
