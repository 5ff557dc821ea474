import SIPLadder
import SIPTrace
import SansIO
import Testing

@Suite struct TraceFilterTests {
    private static let messages: [TracedMessage] = {
        var trace = Trace()
        trace.add(0, .incoming, request("MESSAGE", branch: "z9hG4bK1"))
        trace.add(0, .outgoing, at: server, peer: "im", request("MESSAGE", branch: "z9hG4bK2"))
        trace.add(0, .incoming, at: server, peer: "im", response(202, "Accepted", "MESSAGE", branch: "z9hG4bK2", callID: "other"))
        trace.add(0, .outgoing, response(200, "OK", "REGISTER", branch: "z9hG4bK3", to: "<sip:carol@HOME1.test>"))
        trace.add(0, .incoming, "noise")
        return trace.messages
    }()

    private func found(_ change: (inout TraceFilter) -> Void) -> [UInt64] {
        var filter = TraceFilter()
        change(&filter)
        return filter.filtered(TraceFilterTests.messages).map(\.sequence)
    }

    @Test func eachTermHolds() {
        #expect(found { _ in } == [1, 2, 3, 4, 5])
        #expect(found { $0.method = "MESSAGE" } == [1, 2, 3])
        #expect(found { $0.status = 202 } == [3])
        #expect(found { $0.from = "sip:alice@Home1.test" } == [1, 2, 3, 4])
        #expect(found { $0.to = "sip:carol@home1.test" } == [4])
        #expect(found { $0.to = "nonsense" } == [])
        #expect(found { $0.callID = "other" } == [3])
        #expect(found { $0.peer = "im" } == [2, 3])
        #expect(found { $0.peer = "127.0.0.1:40000" } == [1, 4, 5])
        #expect(found { $0.direction = .outgoing } == [2, 4])
        #expect(found { $0.since = 3 } == [4, 5])
        #expect(found { $0.limit = 2 } == [1, 2])
        #expect(
            found {
                $0.method = "MESSAGE"
                $0.direction = .incoming
                $0.limit = 1
                $0.since = 1
            } == [3])
    }
}
