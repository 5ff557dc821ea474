// What fault rules make of messages.

import FaultRules
import SIPTrace
import SansIO
import Testing

@Suite struct FaultTableTests {
    private static let remote = Endpoint(address: .loopback, port: 5062)
    private static let local = Endpoint(address: .loopback, port: 5060)

    private let datagram = Flow(transport: .udp, listener: 0, remote: Self.remote)
    private let stream = Flow(transport: .tcp, listener: 1, connection: 7, remote: Self.remote)

    private static func request(_ method: String = "MESSAGE", callID: String = "one", branch: String = "z9hG4bKa") -> String {
        """
        \(method) sip:bob@home1.test SIP/2.0\r
        Via: SIP/2.0/UDP 127.0.0.1:5062;branch=\(branch)\r
        From: <sip:alice@home1.test>;tag=a\r
        To: <sip:bob@home1.test>\r
        i: \(callID)\r
        CSeq: 1 \(method)\r
        Expires: 600\r
        Content-Length: 2\r
        \r
        hi
        """
    }

    private static func response(_ status: Int, to method: String = "MESSAGE") -> String {
        "SIP/2.0 \(status) Text\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKa\r\nCall-ID: one\r\nCSeq: 1 \(method)\r\n\r\n"
    }

    /// A table of one rule.
    private static func table(_ action: FaultRule.Action, _ change: (inout FaultRule.Match) -> Void = { _ in }) -> FaultTable {
        var match = FaultRule.Match()
        change(&match)
        var table = FaultTable(seed: 1)
        _ = table.add(FaultRule(action, of: match))
        return table
    }

    private func judge(
        _ table: inout FaultTable, _ text: String, _ direction: TraceDirection = .incoming, over flow: Flow? = nil,
        at milliseconds: Int = 0,
        peer: String = "bob"
    ) -> Interception {
        let octets = Array(text.utf8)
        let now = Now(monotonic: Instant.zero + .milliseconds(milliseconds), wall: WallTime(seconds: 0))
        return table.judge(octets.span.bytes, direction, over: flow ?? datagram, local: Self.local, at: now) { $0 == peer }
    }

    private func text(_ interception: Interception) -> [String] {
        interception.consequences.compactMap {
            switch $0 {
            case .pass(let octets?), .answer(let octets), .hold(let octets?, _, _): String(decoding: octets, as: UTF8.self)
            default: nil
            }
        }
    }

    // MARK: Which messages

    @Test func `a rule is about messages that have all that it names`() {
        let cases: [(String, String, TraceDirection, (inout FaultRule.Match) -> Void, Bool)] = [
            ("anything incoming", Self.request(), .incoming, { _ in }, true),
            ("nothing outgoing", Self.request(), .outgoing, { _ in }, false),
            ("outgoing", Self.request(), .outgoing, { $0.direction = .outgoing }, true),
            ("method", Self.request("PUBLISH"), .incoming, { $0.method = "PUBLISH" }, true),
            ("another method", Self.request("PUBLISH"), .incoming, { $0.method = "MESSAGE" }, false),
            ("a response by its CSeq", Self.response(200, to: "PUBLISH"), .incoming, { $0.method = "PUBLISH" }, true),
            ("status", Self.response(200), .incoming, { $0.status = 200...200 }, true),
            ("another status", Self.response(202), .incoming, { $0.status = 200...200 }, false),
            ("a class", Self.response(202), .incoming, { $0.status = 200...299 }, true),
            ("no request by status", Self.request(), .incoming, { $0.status = 100...699 }, false),
            ("peer by name", Self.request(), .incoming, { $0.peer = "bob" }, true),
            ("peer by address", Self.request(), .incoming, { $0.peer = "127.0.0.1:5062" }, true),
            ("another peer", Self.request(), .incoming, { $0.peer = "carol" }, false),
            ("transport", Self.request(), .incoming, { $0.transport = .udp }, true),
            ("another transport", Self.request(), .incoming, { $0.transport = .tcp }, false),
            ("Call-ID, in its compact form", Self.request(callID: "x@y"), .incoming, { $0.callID = "x@y" }, true),
            ("another Call-ID", Self.request(), .incoming, { $0.callID = "two" }, false),
        ]
        for (name, message, direction, change, isHit) in cases {
            var table = Self.table(.drop, change)
            #expect(judge(&table, message, direction).isLoss == isHit, "\(name)")
            #expect(table.entries[0].hits == (isHit ? 1 : 0), "\(name)")
        }
    }

    @Test func `nth and times count those that match`() {
        var table = Self.table(.drop) {
            $0.method = "MESSAGE"
            $0.nth = 2
            $0.times = 2
        }
        var lost: [Bool] = []
        for method in ["MESSAGE", "PUBLISH", "MESSAGE", "MESSAGE", "MESSAGE"] {
            lost.append(judge(&table, Self.request(method)).isLoss)
        }
        #expect(lost == [false, false, true, true, false])
        #expect(table.entries[0].hits == 2)
        #expect(table.entries[0].matches == 4)
    }

    @Test func `chance is drawn from the seed`() {
        func lost(seed: UInt64) -> [Bool] {
            var table = Self.table(.drop) {
                $0.probability = 0.5
                $0.seed = seed
            }
            return (0..<64).map { _ in judge(&table, Self.request()).isLoss }
        }
        #expect(lost(seed: 7) == lost(seed: 7))
        #expect(lost(seed: 7) != lost(seed: 8))
        #expect(Set(lost(seed: 7)) == [true, false])
    }

    @Test func `keep-alives and what is no message are no trouble`() {
        var table = Self.table(.drop)
        #expect(judge(&table, "\r\n\r\n") == .none)
        #expect(judge(&table, "\u{0}garbage").isLoss)
        var methods = Self.table(.answer(status: 503, headers: []))
        #expect(judge(&methods, "\u{0}garbage") == .none)
    }

    // MARK: What befalls them

    @Test func `a REGISTER goes on whole, and is challenged with an old number`() {
        var table = Self.table(.staleSequenceNumber) { $0.times = 1 }
        #expect(judge(&table, Self.request()) == .none)
        let register = judge(&table, Self.request("REGISTER"))
        #expect(register.misbehaviour == .staleSequenceNumber && register.mark == .outdated && text(register).isEmpty && !register.isLoss)
        #expect(judge(&table, Self.request("REGISTER")) == .none)
        #expect(table.entries[0].hits == 1)
        // What befalls it beside that does not undo it.
        table.removeAll()
        for action in [FaultRule.Action.staleSequenceNumber, .header(set: [], remove: ["Expires"]), .delay(.seconds(1))] {
            _ = table.add(FaultRule(action))
        }
        let late = judge(&table, Self.request("REGISTER"))
        #expect(late.misbehaviour == .staleSequenceNumber && late.mark == .delayed)
    }

    @Test func `a message is delayed, or comes more than once`() {
        var table = Self.table(.delay(.milliseconds(200)))
        #expect(judge(&table, Self.request()).consequences == [.hold(Array(Self.request().utf8), .milliseconds(200), number: 0)])
        var copies = Self.table(.duplicate(copies: 2))
        let interception = judge(&copies, Self.request())
        #expect(text(interception) == [Self.request(), Self.request(), Self.request()])
        #expect(interception.mark == .duplicated)
    }

    @Test func `a reordered message waits for others to pass it`() {
        var table = Self.table(.reorder(behind: 2)) { $0.method = "MESSAGE" }
        guard case .hold(_, FaultRule.reorderPatience, let number)? = judge(&table, Self.request()).consequences.first else {
            Issue.record("the first is held")
            return
        }
        #expect(judge(&table, Self.request("PUBLISH")) == .none)
        #expect(judge(&table, Self.request()) == .none)
        #expect(judge(&table, Self.request()).consequences == [.pass(nil), .release(number)])
        // The next is held in turn; when it went by itself, so is the one after.
        #expect(judge(&table, Self.request(), at: 10).mark == .reordered)
        #expect(judge(&table, Self.request(), at: 600).mark == .reordered)
    }

    @Test func `a request is answered in the stead of whoever would get it`() throws {
        var table = Self.table(.answer(status: 503, headers: [.init("Retry-After", "7")]))
        let answer = try #require(text(judge(&table, Self.request())).first)
        #expect(answer.hasPrefix("SIP/2.0 503 Service Unavailable\r\nVia: SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bKa\r\n"))
        #expect(answer.contains("\r\nRetry-After: 7\r\n"))
        #expect(answer.contains("\r\nTo: <sip:bob@home1.test>;tag="))
        #expect(answer.contains("\r\nCSeq: 1 MESSAGE\r\n"))
        #expect(judge(&table, Self.response(200)) == .none)
        #expect(judge(&table, Self.request("ACK", branch: "z9hG4bKother")) == .none)
        _ = judge(&table, Self.request("INVITE", branch: "z9hG4bKinvite"))
        let acknowledgement = judge(&table, Self.request("ACK", branch: "z9hG4bKinvite"))
        #expect(acknowledgement.consequences.isEmpty && acknowledgement.mark == .answered)
    }

    @Test func `header fields are set where the first stood, and removed`() {
        var table = Self.table(.header(set: [.init("Expires", "60"), .init("X-New", "1"), .init("X-New", "2")], remove: ["Call-ID"]))
        let changed = text(judge(&table, Self.request()))
        let expected = Self.request().replacingOccurrences("Expires: 600", "Expires: 60")
            .replacingOccurrences("i: one\r\n", "")
            .replacingOccurrences("Content-Length: 2\r\n", "Content-Length: 2\r\nX-New: 1\r\nX-New: 2\r\n")
        #expect(changed == [expected])
    }

    @Test func `octets are spoilt, and ends cut off`() throws {
        var corrupt = Self.table(.corrupt(octets: 3)) { $0.seed = 5 }
        let spoilt = try #require(text(judge(&corrupt, Self.request())).first.map { _ in judge(&corrupt, Self.request()) })
        guard case .pass(let octets?)? = spoilt.consequences.first else {
            Issue.record("it goes on")
            return
        }
        let different = zip(octets, Self.request().utf8).count { $0 != $1 }
        #expect(1...3 ~= different)
        var cut = Self.table(.cut(octets: 20))
        #expect(text(judge(&cut, Self.request())) == [String(Self.request().prefix(20))])
        #expect(judge(&cut, Self.request(), over: stream).consequences == [.close])
        var outgoing = Self.table(.cut(octets: 20)) { $0.direction = .outgoing }
        #expect(
            judge(&outgoing, Self.request(), .outgoing, over: stream).consequences
                == [.pass(Array(Self.request().utf8.prefix(20))), .close])
    }

    @Test func `only streams are closed`() {
        var table = Self.table(.close)
        #expect(judge(&table, Self.request()) == .none)
        let closed = judge(&table, Self.request(), over: stream)
        #expect(closed.consequences == [.close] && closed.isLoss && closed.mark == .closed)
        #expect(table.entries[0].hits == 1)
    }

    // MARK: Several

    @Test func `what is altered goes to the next rule`() {
        var table = Self.table(.header(set: [.init("Expires", "1")], remove: []))
        _ = table.add(FaultRule(.duplicate(copies: 1)))
        let copies = text(judge(&table, Self.request()))
        #expect(copies.count == 2 && copies.allSatisfy { $0.contains("Expires: 1\r\n") })
        #expect(table.remove(1) && !table.remove(1))
        #expect(table.entries.map(\.number) == [2])
        table.removeAll()
        #expect(judge(&table, Self.request()) == .none)
        #expect(table.add(FaultRule(.drop))?.number == 3)
    }

    @Test func `there are not too many`() {
        var table = FaultTable(seed: 0)
        for _ in 0..<FaultTable.limit { #expect(table.add(FaultRule(.drop)) != nil) }
        #expect(table.add(FaultRule(.drop)) == nil)
    }
}

extension String {
    fileprivate func replacingOccurrences(_ old: String, _ new: String) -> String { replacing(old, with: new) }
}
