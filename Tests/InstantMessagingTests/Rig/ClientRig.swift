import InstantMessaging
import SansIO

/// An IM Client with a hand on its clock and everything that it sends.
final class ClientRig {
    static let core = Endpoint(address: .loopback, port: 5060)

    var client: IMClient
    var now: Now
    private var sent: [SIPText] = []
    private var branch = 0

    init(_ change: (inout IMClientSettings) -> Void = { _ in }) {
        now = Now(monotonic: .zero, wall: WallTime(seconds: 1_700_000_000))
        let listener = Listener(transport: .udp, local: Endpoint(address: .loopback, port: 5071))
        var settings = IMClientSettings(
            domain: "home1.test", publicIdentity: "sip:alice@home1.test", password: "wonderland", core: ClientRig.core,
            listeners: [listener], seed: 3)
        change(&settings)
        client = IMClient(settings: settings, start: now)
    }

    func perform(_ line: String) {
        guard let command = try? ClientCommand.parse(line) else { return }
        withEffects { client.perform(command, at: now, into: &$0) }
    }

    func receive(_ message: SIPText) {
        let octets = Array(message.text.utf8)
        withEffects {
            client.receive(octets.span.bytes, over: Flow(transport: .udp, listener: 0, remote: ClientRig.core), at: now, into: &$0)
        }
    }

    func advance(_ span: TimeSpan) {
        let end = now.monotonic + span
        while let next = client.nextDeadline, next <= end {
            move(to: max(next, now.monotonic))
            withEffects { client.advance(to: now, into: &$0) }
        }
        move(to: end)
    }

    private func move(to instant: Instant) {
        now = Now(monotonic: instant, wall: now.wall + (instant - now.monotonic))
    }

    func withEffects(_ body: (inout Effects) -> Void) {
        var effects = Effects()
        body(&effects)
        for transmission in effects.wire.transmissions {
            let octets = effects.wire.bytes.bytes(from: transmission.start, count: transmission.count)
            sent.append(SIPText(String(octets: octets)))
        }
    }

    func taken() -> [SIPText] {
        defer { sent = [] }
        return sent
    }

    func one() -> SIPText {
        let messages = taken()
        return messages.count == 1 ? messages[0] : SIPText("\(messages.count) messages: \(messages.map(\.startLine))\n\n")
    }

    func events() -> [ClientEvent.Kind] {
        defer { client.events = [] }
        return client.events.map(\.kind)
    }

    func outcomes() -> [CommandOutcome] {
        defer { client.outcomes = [] }
        return client.outcomes
    }

    var isIdle: Bool { client.isIdle }
    var isRegistered: Bool { client.isRegistered }
    var hasQuit: Bool { client.hasQuit }

    /// Registers, with a 200 of these seconds.
    func register(_ expires: Int = 600_000) {
        perform("register")
        let request = one()
        let contact = (request["Contact"] ?? "").replacing("expires=600000", with: "expires=\(expires)")
        receive(
            request.response(
                200, "OK",
                [
                    (
                        "Contact",
                        "<sip:other@192.0.2.9>;expires=5, \(contact)"
                    ),
                    ("Service-Route", "<sip:orig@127.0.0.1:5060;lr>"),
                    ("P-Associated-URI", "<sip:alice@home1.test>, <tel:+15550100>"),
                ]))
        _ = taken()
        _ = events()
        _ = outcomes()
    }

    /// A request to the client.
    func request(_ method: String, _ headers: [(String, String)] = [], body: String = "") -> SIPText {
        branch += 1
        var request = SIPText("\(method) sip:alice@127.0.0.1:5071 SIP/2.0\n\n")
        request.headers = [
            ("Via", "SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKcore\(branch)"), ("Max-Forwards", "70"),
            ("From", "<sip:bob@home1.test>;tag=b\(branch)"), ("To", "<sip:alice@home1.test>"), ("Call-ID", "call\(branch)"),
            ("CSeq", "1 \(method)"),
        ]
        for (name, value) in headers { request.set(name, value) }
        request.body = body
        return request
    }
}
