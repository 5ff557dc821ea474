import SCSCF
import SIPMessage
import SIPRegistrar
import SansIO
import Testing

/// What stays of a transaction after its answer, as RFC 3261 §17 asks: it is to be little, and not to be in the way.
@Suite struct LingeringTests {
    @Test func `a lingering transaction takes less than a kilobyte`() {
        let rig = Lingering(limit: 100_000)
        let before = rig.memory
        for number in 0..<8000 { rig.options(number) }
        #expect(rig.alive == 8000)
        #expect((rig.memory - before) / 8000 < 1024)
    }

    @Test func `many that end at once are ended in several calls`() {
        let rig = Lingering(limit: 100_000)
        for number in 0..<5000 { rig.options(number) }
        let calls = rig.end()
        #expect(calls >= 5 && calls < 100)
        #expect(rig.alive == 0)
    }

    @Test func `a request past the limit is told to come back later`() {
        let rig = Lingering(limit: 114)
        // An eighth is kept free for what is under way.
        for number in 0..<100 { #expect(rig.options(number).hasPrefix("SIP/2.0 200 ")) }
        let refused = rig.options(100)
        #expect(refused.hasPrefix("SIP/2.0 503 ") && refused.contains("\r\nRetry-After: "))
        #expect(rig.overloads == 1)
        _ = rig.end()
        #expect(rig.options(101).hasPrefix("SIP/2.0 200 "))
    }
}

private final class Lingering {
    private var core: ServingCSCF
    private var effects = Effects()
    private var now = Now(monotonic: .zero, wall: WallTime(seconds: 1_800_000_000))

    init(limit: Int) {
        var configuration = ServingCSCFConfiguration(
            domain: Array("home1.test".utf8), listeners: [Listener(transport: .udp, local: Endpoint(address: .loopback, port: 5060))])
        configuration.transactionLimit = limit
        core = ServingCSCF(configuration, at: now)
    }

    var memory: Int { core.memoryUse.transactions + core.memoryUse.contexts }
    var alive: Int { core.transactionCount }
    var overloads: UInt64 { core.counters.dropped[Int(DropReason.overload.rawValue)] }

    /// - Returns: the answer.
    @discardableResult
    func options(_ number: Int) -> String {
        let request = [
            "OPTIONS sip:home1.test SIP/2.0", "Via: SIP/2.0/UDP 127.0.0.1:5090;branch=z9hG4bKlinger\(number);rport", "Max-Forwards: 70",
            "From: <sip:a@home1.test>;tag=1", "To: <sip:home1.test>", "Call-ID: \(number)@lingering.home1.test", "CSeq: 1 OPTIONS",
            "Content-Length: 0", "", "",
        ]
        let octets = Array(request.joined(separator: "\r\n").utf8)
        let flow = Flow(transport: .udp, listener: 0, remote: Endpoint(address: .loopback, port: 5090))
        core.receive(octets.span.bytes, over: flow, at: now, into: &effects)
        let answer = String(octets: effects.wire.bytes.bytes)
        effects.removeAll()
        return answer
    }

    /// Lets Timer J of all fire.
    ///
    /// - Returns: how many calls that took.
    func end() -> Int {
        now.monotonic = now.monotonic + .seconds(40)
        var calls = 0
        while let deadline = core.nextDeadline, deadline <= now.monotonic, calls < 1000 {
            core.advance(to: now, into: &effects)
            calls += 1
        }
        return calls
    }
}
