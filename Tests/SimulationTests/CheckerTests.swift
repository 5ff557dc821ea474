import InstantMessaging
import SIPMessage
import SansIO
import Testing

@testable import Simulation

/// Each checker finds what it is there for, and lets pass what is right: it is shown logs that somebody made up.
@Suite struct CheckerTests {
    /// Shows a checker what happened, a second apart unless it says otherwise.
    private struct Log {
        var checker: any Checker
        var time = Instant.zero
        private let reader = WireReader()

        init(_ checker: any Checker) { self.checker = checker }

        static let cast = Cast(Laboratory.plan())
        static let alice = 0
        static let bob = 1
        static let core = 3
        static let im = 4

        var faults: [String] { checker.violations.map(\.text) }

        mutating func observe(_ observation: Observation) { checker.observe(observation, at: time) }

        mutating func pass(_ seconds: Int) { time = time + .seconds(seconds) }

        func message(_ text: String, from sender: Int, to receiver: Int) -> WireMessage {
            let octets = Array(text.replacing("\n", with: "\r\n").utf8)
            return WireMessage(time: time, sender: sender, receiver: receiver, octets: octets, reader: reader)
        }

        mutating func send(_ text: String, from sender: Int, to receiver: Int, arrives: Bool = true) {
            let message = message(text, from: sender, to: receiver)
            observe(.sent(message))
            if arrives { observe(.delivered(message)) }
        }

        mutating func exchange(_ request: String, _ response: String, from sender: Int, to receiver: Int) {
            send(request, from: sender, to: receiver)
            send(response, from: receiver, to: sender)
        }
    }

    // MARK: Messages

    private func request(_ method: String, _ branch: String, call: String = "c", sequence: Int = 1, to: String = "sip:bob@home1.test")
        -> String
    {
        """
        \(method) \(to) SIP/2.0
        Via: SIP/2.0/UDP 203.0.113.1:5060;branch=z9hG4bK\(branch)
        From: <sip:alice@home1.test>;tag=f
        To: <\(to)>
        Call-ID: \(call)
        CSeq: \(sequence) \(method)
        Content-Length: 0


        """
    }

    private func response(
        _ status: Int, _ method: String, _ branch: String, call: String = "c", sequence: Int = 1, tag: String = "t", fields: String = "",
        to: String = "sip:bob@home1.test"
    ) -> String {
        """
        SIP/2.0 \(status) Whatever
        Via: SIP/2.0/UDP 203.0.113.1:5060;branch=z9hG4bK\(branch)
        From: <sip:alice@home1.test>;tag=f
        To: <\(to)>;tag=\(tag)
        Call-ID: \(call)
        CSeq: \(sequence) \(method)
        \(fields)Content-Length: 0


        """
    }

    private static let alice = "sip:alice@home1.test"
    private static let contact = "sip:alice@203.0.113.1:5060"

    private func register(_ branch: String, expires: Int, sequence: Int = 1) -> String {
        request("REGISTER", branch, call: "reg", sequence: sequence, to: Self.alice)
            .replacing("Content-Length", with: "Contact: <\(Self.contact)>;expires=\(expires)\nContent-Length")
    }

    private func registered(_ branch: String, expires: Int, sequence: Int = 1) -> String {
        let contact = expires > 0 ? "Contact: <\(Self.contact)>;expires=\(expires)\n" : ""
        return response(200, "REGISTER", branch, call: "reg", sequence: sequence, fields: contact, to: Self.alice)
    }

    private func told(_ branch: String, expires: Int) -> String {
        request("REGISTER", branch, call: "tpr", to: Self.alice).replacing("Content-Length", with: "Expires: \(expires)\nContent-Length")
    }

    // MARK: Transactions

    private func transactions() -> Log { Log(TransactionChecker(Log.cast, patience: .seconds(32))) }

    @Test func `one final answer, sent again when asked again, is right`() {
        var log = transactions()
        log.exchange(request("MESSAGE", "1"), response(200, "MESSAGE", "1"), from: Log.alice, to: Log.core)
        log.pass(1)
        log.observe(.delivered(log.message(request("MESSAGE", "1"), from: Log.alice, to: Log.core)))
        log.send(response(200, "MESSAGE", "1"), from: Log.core, to: Log.alice)
        log.observe(.rested([]))
        #expect(log.faults == [])
    }

    @Test func `a second final answer is found`() {
        var log = transactions()
        log.exchange(request("MESSAGE", "1"), response(200, "MESSAGE", "1"), from: Log.alice, to: Log.core)
        log.send(response(480, "MESSAGE", "1"), from: Log.core, to: Log.alice)
        #expect(log.faults == ["core sent 480 Whatever after the final response 200 of the same transaction"])
    }

    @Test func `an answer with another tag, or to nobody's question, or too often is found`() {
        var log = transactions()
        log.exchange(request("MESSAGE", "1"), response(200, "MESSAGE", "1"), from: Log.alice, to: Log.core)
        log.send(response(200, "MESSAGE", "1", tag: "u"), from: Log.core, to: Log.alice)
        log.send(response(200, "MESSAGE", "1"), from: Log.core, to: Log.alice)
        log.send(response(200, "MESSAGE", "9"), from: Log.core, to: Log.alice)
        #expect(
            log.faults == [
                "core sent the final response 200 twice, with another tag", "core sent 200 Whatever more often than it was asked",
                "core sent 200 Whatever to a MESSAGE that it never received",
            ])
    }

    @Test func `what is sent after the end is found`() {
        var log = transactions()
        log.exchange(request("MESSAGE", "1"), response(200, "MESSAGE", "1"), from: Log.alice, to: Log.core)
        log.send(response(100, "MESSAGE", "1"), from: Log.core, to: Log.alice)
        log.send(request("MESSAGE", "1"), from: Log.alice, to: Log.core, arrives: false)
        log.send(request("MESSAGE", "2"), from: Log.alice, to: Log.core, arrives: false)
        log.pass(40)
        log.send(request("MESSAGE", "2"), from: Log.alice, to: Log.core, arrives: false)
        #expect(
            log.faults == [
                "core sent 100 Whatever after the final response 200", "alice sent MESSAGE again, though it has its final response",
                "alice sent MESSAGE again after its transaction had timed out",
            ])
    }

    @Test func `a request without an answer is found, unless it was passed on or its server died`() {
        var log = transactions()
        log.send(request("MESSAGE", "1", call: "lost"), from: Log.alice, to: Log.core)
        log.send(request("MESSAGE", "2", call: "on"), from: Log.alice, to: Log.core)
        log.send(request("MESSAGE", "3", call: "on"), from: Log.core, to: Log.im, arrives: false)
        log.send(request("MESSAGE", "4", call: "died"), from: Log.alice, to: Log.im)
        log.observe(.crashed(station: Log.im))
        log.observe(.rested([]))
        #expect(log.faults == ["core never answered a MESSAGE"])
    }

    // MARK: Registrations

    private func registrations(isPersistent: Bool = true) -> Log { Log(RegistrationChecker(Log.cast, isPersistent: isPersistent)) }

    private func shown(_ contact: String? = nil, expires: UInt32 = 0) -> Observation {
        guard let contact else { return .registrations([]) }
        return .registrations([RegisteredUser(identity: Self.alice, contacts: [.init(uri: contact, expires: expires)])])
    }

    @Test func `a forgotten binding is found`() {
        var log = registrations()
        log.exchange(register("1", expires: 600), registered("1", expires: 600), from: Log.alice, to: Log.core)
        log.observe(shown(Self.contact, expires: 600))
        #expect(log.faults == [])
        log.observe(shown())
        #expect(log.faults.count == 1)
    }

    @Test func `an answered binding outlives a crash with a database, and not without`() {
        for isPersistent in [true, false] {
            var log = registrations(isPersistent: isPersistent)
            log.exchange(register("1", expires: 600), registered("1", expires: 600), from: Log.alice, to: Log.core)
            log.observe(.crashed(station: Log.core))
            log.observe(shown())
            #expect(log.faults.isEmpty == !isPersistent)
        }
    }

    @Test func `without its answer a request may have had its effect or not`() {
        for isThere in [true, false] {
            var log = registrations()
            log.send(register("1", expires: 600), from: Log.alice, to: Log.core)
            log.observe(.crashed(station: Log.core))
            log.observe(isThere ? shown(Self.contact, expires: 600) : shown())
            #expect(log.faults == [])
            // Once it is known it stays.
            log.observe(isThere ? shown() : shown(Self.contact, expires: 600))
            #expect(log.faults.count == 1)
        }
    }

    @Test func `a binding that outlives its time, or has another contact or interval, is found`() {
        var log = registrations()
        log.exchange(register("1", expires: 60), registered("1", expires: 60), from: Log.alice, to: Log.core)
        log.observe(shown("sip:alice@203.0.113.9:5060", expires: 60))
        log.observe(shown(Self.contact, expires: 90))
        log.pass(70)
        log.observe(shown(Self.contact, expires: 1))
        #expect(log.faults.count == 3)
    }

    @Test func `a 200 that lists something else is found`() {
        var log = registrations()
        log.exchange(register("1", expires: 600), registered("1", expires: 0), from: Log.alice, to: Log.core)
        #expect(log.faults == ["the 200 to alice lists no contact and not \(Self.contact) for 600 s"])
    }

    @Test func `a deregistration by the network counts when it is stored`() {
        var log = registrations()
        log.exchange(register("1", expires: 600), registered("1", expires: 600), from: Log.alice, to: Log.core)
        log.observe(.deregistered(client: Log.alice, wasRegistered: true, change: 7))
        log.observe(shown())
        log.observe(shown(Self.contact, expires: 600))
        #expect(log.faults == [])
        log.observe(.committed(upTo: 7, succeeded: true))
        log.observe(shown(Self.contact, expires: 600))
        #expect(log.faults.count == 1)
    }

    // MARK: Third-party registration

    private func thirdParty() -> Log { Log(ThirdPartyChecker(Log.cast, isPersistent: false)) }

    @Test func `a server that is not told is found`() {
        var log = thirdParty()
        log.exchange(register("1", expires: 600), registered("1", expires: 600), from: Log.alice, to: Log.core)
        log.send(told("2", expires: 600), from: Log.core, to: Log.im)
        log.pass(1)
        log.exchange(register("3", expires: 600, sequence: 2), registered("3", expires: 600, sequence: 2), from: Log.alice, to: Log.core)
        log.pass(1)
        log.observe(.lifted)
        #expect(log.faults == ["im was not told that \(Self.alice) is registered for 600 s"])
    }

    @Test func `another interval, and what no 200 has led to, is found`() {
        var log = thirdParty()
        log.exchange(register("1", expires: 600), registered("1", expires: 600), from: Log.alice, to: Log.core)
        log.send(told("2", expires: 700), from: Log.core, to: Log.im)
        log.pass(1)
        log.exchange(
            register("3", expires: 600, sequence: 2), response(403, "REGISTER", "3", call: "reg", sequence: 2, to: Self.alice),
            from: Log.alice, to: Log.core)
        log.send(told("4", expires: 600), from: Log.core, to: Log.im)
        log.pass(1)
        log.send(told("5", expires: 0), from: Log.core, to: Log.im)
        log.pass(1)
        log.observe(.lifted)
        #expect(
            log.faults == [
                "im was not told that \(Self.alice) is registered for 600 s",
                "im was told that \(Self.alice) is registered for 700 s, which nothing has led to",
                "im was told that \(Self.alice) is registered for 600 s, which nothing has led to",
                "im was told that \(Self.alice) is gone, which nothing has led to",
            ])
    }

    /// The core knows of a registration before its 200 leaves, and may have ended it by then.
    @Test(arguments: [true, false])
    func `the end of what was not answered yet may be told, if there was one`(_ isDeregistered: Bool) {
        var log = Log(ThirdPartyChecker(Log.cast, isPersistent: true))
        log.send(register("1", expires: 600), from: Log.alice, to: Log.core)
        log.pass(1)
        if isDeregistered { log.observe(.deregistered(client: Log.alice, wasRegistered: true, change: 7)) }
        log.pass(1)
        log.observe(.committed(upTo: 7, succeeded: true))
        log.send(registered("1", expires: 600), from: Log.core, to: Log.alice)
        log.send(told("2", expires: 600), from: Log.core, to: Log.im)
        log.send(told("3", expires: 0), from: Log.core, to: Log.im)
        log.pass(1)
        log.observe(.lifted)
        #expect(log.faults == (isDeregistered ? [] : ["im was told that \(Self.alice) is gone, which nothing has led to"]))
    }

    @Test func `a server that knows it otherwise is found`() {
        var log = thirdParty()
        log.observe(.lifted)
        log.exchange(register("1", expires: 600), registered("1", expires: 600), from: Log.alice, to: Log.core)
        log.send(told("2", expires: 600), from: Log.core, to: Log.im, arrives: false)
        log.pass(1)
        log.observe(.settled)
        #expect(log.faults == ["im knows \(Self.alice) as gone, and it is registered"])
    }

    // MARK: Messages

    private func accepted(_ log: inout Log, _ body: String, _ branch: String) {
        let text = request("MESSAGE", branch, call: body).replacing(
            "Content-Length: 0\n\n", with: "Content-Length: \(body.utf8.count)\n\n\(body)")
        log.exchange(
            text, response(202, "MESSAGE", branch, call: body), from: Log.alice, to: Log.core)
    }

    private func shownMessage(_ body: String) -> Observation {
        .event(client: Log.bob, .messageReceived(from: Self.alice, body: body, date: .init(seconds: 0)))
    }

    private var bobIsThere: Observation {
        .registrations([RegisteredUser(identity: "sip:bob@home1.test", contacts: [.init(uri: "sip:bob@203.0.113.2:5060", expires: 60)])])
    }

    @Test func `a message that is dropped, shown twice, or was never sent is found`() {
        var log = Log(MessageChecker(Log.cast))
        accepted(&log, "one", "1")
        accepted(&log, "two", "2")
        log.observe(shownMessage("one"))
        log.observe(shownMessage("one"))
        log.observe(shownMessage("three"))
        log.observe(bobIsThere)
        log.observe(.settled)
        #expect(
            log.faults == [
                "bob shows \"one\" a second time", "bob shows a message that nobody sent: \"three\"",
                "bob is registered and was never shown \"two\", which alice was told to be accepted",
            ])
    }

    @Test func `a client that died may show a message again, and who is away need not`() {
        var log = Log(MessageChecker(Log.cast))
        accepted(&log, "one", "1")
        accepted(&log, "two", "2")
        log.observe(shownMessage("one"))
        log.observe(.crashed(station: Log.bob))
        log.observe(shownMessage("one"))
        log.observe(.registrations([]))
        log.observe(.settled)
        #expect(log.faults == [])
    }

    // MARK: Rest

    @Test func `what stays behind is found`() {
        var log = Log(RestChecker(Log.cast))
        log.observe(.rested([RemainingWork(station: Log.core, counts: [("transactions", 2), ("branches", 0)])]))
        #expect(log.faults == ["at rest core still has 2 transactions"])
    }
}
