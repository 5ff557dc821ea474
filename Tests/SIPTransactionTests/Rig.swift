import SIPMessage
import SIPTransaction
import SansIO
import Testing

/// A transaction layer with a clock that is turned by hand, and what it sent.
struct Rig: ~Copyable {
    /// What was sent, and when.
    struct Sent: Equatable {
        var milliseconds: Int
        var text: String
        var flow: Flow
        /// `INVITE`, `ACK`, `200`.
        var label: String { String(text.hasPrefix("SIP/2.0 ") ? text.dropFirst(8).prefix(3) : text.prefix { $0 != " " }) }
        /// The value of a field that is there once.
        func field(_ name: String) -> String? {
            text.split(separator: "\r\n").first { $0.hasPrefix(name + ": ") }.map { String($0.dropFirst(name.count + 2)) }
        }
    }

    static let peer = Endpoint(address: IPAddress(v4: 0xC000_0209), port: 5070)
    static let udp = Flow(transport: .udp, listener: 0, remote: peer)
    static let tcp = Flow(transport: .tcp, listener: 1, connection: 7, remote: peer)

    var layer: TransactionLayer
    private var wire = Wire()
    private(set) var events: [TransactionEvent] = []
    private(set) var now = Instant.zero

    init(timers: TimerSettings = TimerSettings(), limit: Int = 1000, keptLimit: Int = .max) {
        let udp = Endpoint(address: IPAddress(v4: 0xC000_0201), port: 5060)
        let tcp = Endpoint(address: IPAddress(v4: 0xC000_0202), port: 5062)
        layer = TransactionLayer(
            listeners: [Listener(transport: .udp, local: udp), Listener(transport: .tcp, local: tcp)], timers: timers, limit: limit,
            keptLimit: keptLimit,
            random: RandomSource(seed: 11), start: .zero)
    }

    var milliseconds: Int { Int(now.nanoseconds / 1_000_000) }

    /// Takes what was sent since the last call.
    mutating func sent() -> [Sent] {
        let result = wire.transmissions.map { transmission in
            Sent(
                milliseconds: Int(now.nanoseconds / 1_000_000),
                text: String(octets: wire.bytes.bytes(from: transmission.start, count: transmission.count)), flow: transmission.flow)
        }
        wire.removeAll()
        return result
    }

    mutating func takeEvents() -> [TransactionEvent] {
        defer { events = [] }
        return events
    }

    // MARK: Time

    /// Turns the clock to an instant, from wake-up to wake-up, and returns what was sent on the way.
    mutating func run(to milliseconds: Int) -> [Sent] {
        var all = sent()
        let end = Instant.zero + .milliseconds(milliseconds)
        while let next = layer.nextDeadline, next <= end {
            now = max(now, next)
            layer.advance(to: now, into: &wire, events: &events)
            all += sent()
        }
        now = end
        layer.advance(to: now, into: &wire, events: &events)
        return all + sent()
    }

    /// Turns the clock to an instant in one go.
    mutating func turn(to instant: Instant) {
        now = max(now, instant)
        layer.advance(to: now, into: &wire, events: &events)
    }

    /// Whether something was sent or happened that nobody has taken yet.
    var hasEffects: Bool { !wire.transmissions.isEmpty || !events.isEmpty }

    // MARK: Server side

    mutating func receive(_ text: String, over flow: Flow = udp) throws -> RequestOutcome {
        let octets = wireOctets(text)
        var scanner = MessageScanner()
        _ = scanner.scan(octets.span.bytes)
        let message = scanner.message(octets.span.bytes)
        return layer.requestReceived(message, try message.essentials(), over: flow, at: now, into: &wire)
    }

    /// Opens a server transaction.
    mutating func open(_ text: String, over flow: Flow = udp) throws -> SlotID {
        guard case .new(let id) = try receive(text, over: flow) else { throw Unexpected() }
        return id
    }

    mutating func respond(_ id: SlotID, _ status: UInt16) {
        let start = wire.bytes.count
        wire.bytes.appendStatusLine(status, "Because")
        wire.bytes.appendEmptyBody()
        layer.respond(id, status, from: start, at: now, into: &wire)
    }

    /// Answers a request with fields of ours.
    ///
    /// - Parameter tag: nil: the transaction's own.
    mutating func answer(_ id: SlotID, _ request: String, _ status: UInt16, fields: String = "", tag: UInt64? = nil) throws {
        let octets = wireOctets(request)
        var scanner = MessageScanner()
        _ = scanner.scan(octets.span.bytes)
        let message = scanner.message(octets.span.bytes)
        let start = wire.bytes.count
        let tag = tag ?? layer.tag(of: id) ?? 0
        wire.bytes.appendResponse(status, to: message, try message.essentials(), from: Rig.peer, toTag: tag)
        let ownFields = wire.bytes.count
        wire.bytes.append(Array(fields.utf8))
        wire.bytes.appendEmptyBody()
        layer.respond(id, status, OwnResponse(start: start, ownFields: ownFields, tag: tag), at: now, into: &wire)
    }

    mutating func leaveUnanswered(_ id: SlotID) { layer.leaveUnanswered(id, at: now, into: &wire) }

    mutating func await(_ id: SlotID, _ text: String) throws {
        let octets = wireOctets(text)
        var scanner = MessageScanner()
        _ = scanner.scan(octets.span.bytes)
        let message = scanner.message(octets.span.bytes)
        layer.awaitResponse(id, to: message, try message.essentials(), from: Rig.peer, at: now)
    }

    // MARK: Client side

    /// Sends a request of ours.
    mutating func send(_ method: String, over flow: Flow = udp, fallback: UInt8? = nil, user: UInt64 = 42, fields: String = "") throws
        -> SlotID
    {
        let name = Array(method.utf8)
        guard let id = layer.reserveClient(Method(name.span.bytes), user: user) else { throw Unexpected() }
        let start = wire.bytes.count
        wire.bytes.append(wireOctets("\(method) sip:bob@visited.test SIP/2.0\n"))
        layer.appendVia(id, over: flow, into: &wire.bytes)
        wire.bytes.append(
            wireOctets(
                "\(fields)From: <sip:alice@home.test>;tag=f\nTo: <sip:bob@visited.test>\nCall-ID: c@1\nCSeq: 9 \(method)\nContent-Length: 0\n\n"
            ))
        layer.send(id, from: start, over: flow, fallbackListener: fallback, at: now, into: &wire)
        return id
    }

    /// The peer's response to something that we sent.
    mutating func answer(_ request: Sent, _ status: Int, tag: String = "t", change: (String) -> String = { $0 }) throws -> ResponseOutcome {
        let via = try #require(request.field("Via"))
        let cseq = try #require(request.field("CSeq"))
        let text =
            "SIP/2.0 \(status) Because\nVia: \(via)\nFrom: <sip:alice@home.test>;tag=f\nTo: <sip:bob@visited.test>;tag=\(tag)\n"
            + "Call-ID: c@1\nCSeq: \(cseq)\nContent-Length: 0\n\n"
        let octets = wireOctets(change(text))
        var scanner = MessageScanner()
        _ = scanner.scan(octets.span.bytes)
        let message = scanner.message(octets.span.bytes)
        return layer.responseReceived(message, try message.essentials(), at: now, into: &wire)
    }

    mutating func cancel(_ id: SlotID, reason: String = "") {
        layer.cancel(id, reason: Array(reason.utf8).span.bytes, at: now, into: &wire)
    }

    mutating func fail(_ id: SlotID) { layer.transmissionFailed(id.rawValue, at: now, into: &wire, events: &events) }

    // MARK: What is left

    var isEmpty: Bool {
        TransactionKind.allCases.allSatisfy { layer.count(of: $0) == 0 } && layer.bytesKept == 0 && layer.nextDeadline == nil
    }
}

struct Unexpected: Error {}

func wireOctets(_ text: String) -> [UInt8] { Array(text.replacing("\n", with: "\r\n").utf8) }

/// A request of a peer.
func incoming(
    _ method: String, branch: String? = "z9hG4bKpeer1", sentBy: String = "192.0.2.9:5070", parameters: String = "", to: String = ""
) -> String {
    let via = "SIP/2.0/UDP \(sentBy)\(branch.map { ";branch=" + $0 } ?? "")\(parameters)"
    return
        "\(method) sip:bob@home.test SIP/2.0\nVia: \(via)\nFrom: <sip:alice@home.test>;tag=f\nTo: <sip:bob@home.test>\(to)\nCall-ID: c@9\n"
        + "CSeq: 3 \(method)\nContent-Length: 0\n\n"
}

/// Instants and first words of what was sent.
func timeline(_ sent: [Rig.Sent]) -> [String] { sent.map { "\($0.milliseconds) \($0.label)" } }
