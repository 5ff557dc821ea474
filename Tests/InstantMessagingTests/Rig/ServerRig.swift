import InstantMessaging
import SIPTransaction
import SansIO

/// An IM Server with a hand on its clock, its store and everything that it sends. The core is whoever writes the test.
final class ServerRig {
    static let core = Endpoint(address: .loopback, port: 5060)
    static let own = Listener(transport: .udp, local: Endpoint(address: .loopback, port: 5080))

    var server: IMServer
    var now: Now
    /// Whether changes are committed as soon as they are made.
    var commits = true
    /// The store's content, by table and key.
    var records: [UInt8: [[UInt8]: [UInt8]]] = [:]
    private var pending: [(change: StoreChange, key: [UInt8], value: [UInt8])] = []
    private var sent: [SIPText] = []
    /// Over which transport each message since the start went.
    private(set) var transports: [Transport] = []
    private(set) var notices: [Notice] = []
    private var branch = 0
    private let settings: IMServerSettings

    init(
        records: [UInt8: [[UInt8]: [UInt8]]] = [:], asSuccessor isSuccessor: Bool = false, at seconds: Int64 = 1_700_000_000,
        _ change: (inout IMServerSettings) -> Void = { _ in }
    ) {
        var settings = IMServerSettings(domain: "home1.test", listeners: [ServerRig.own], core: ServerRig.core, seed: 7)
        change(&settings)
        self.settings = settings
        now = Now(monotonic: .zero, wall: WallTime(seconds: seconds))
        server = IMServer(settings: settings, start: now)
        self.records = records
        for table in records.keys.sorted() {
            for (key, value) in records[table]!.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
                precondition(server.restore(table: table, key: key, value: value, at: now))
            }
        }
        withEffects { server.start(asSuccessor: isSuccessor, at: now, into: &$0) }
    }

    /// The same server after its process died: only the committed records are left.
    func restarted() -> ServerRig {
        let settings = self.settings
        let next = ServerRig(records: records, asSuccessor: true, at: now.wall.seconds) { $0 = settings }
        // Its peers go on counting.
        next.branch = branch
        return next
    }

    // MARK: Driving

    func receive(_ text: String, from remote: Endpoint = ServerRig.core) {
        let octets = Array(text.utf8)
        withEffects { server.receive(octets.span.bytes, over: Flow(transport: .udp, listener: 0, remote: remote), at: now, into: &$0) }
    }

    func receive(_ message: SIPText) { receive(message.text) }

    /// Moves the clock, deadline by deadline.
    func advance(_ span: TimeSpan) {
        let end = now.monotonic + span
        while let next = server.nextDeadline, next <= end {
            move(to: max(next, now.monotonic))
            withEffects { server.advance(to: now, into: &$0) }
        }
        move(to: end)
    }

    private func move(to instant: Instant) {
        now = Now(monotonic: instant, wall: now.wall + (instant - now.monotonic))
    }

    /// Reports all changes that wait.
    func commit(succeeded: Bool = true) {
        while let last = pending.last {
            let changes = pending
            pending = []
            if succeeded {
                for (change, key, value) in changes { records[change.table, default: [:]][key] = change.isRemoval ? nil : value }
            }
            withEffects { server.committed(upTo: last.change.ticket, succeeded: succeeded, at: now, into: &$0) }
            if !succeeded { return }
        }
    }

    func withEffects(_ body: (inout Effects) -> Void) {
        var effects = Effects()
        body(&effects)
        for transmission in effects.wire.transmissions {
            let octets = effects.wire.bytes.bytes(from: transmission.start, count: transmission.count)
            sent.append(SIPText(String(octets: octets)))
            transports.append(transmission.flow.transport)
        }
        for change in effects.store.changes {
            let key = [UInt8](effects.store.bytes.bytes(from: change.keyStart, count: change.keyCount))
            let value = [UInt8](effects.store.bytes.bytes(from: change.valueStart, count: change.valueCount))
            pending.append((change, key, value))
        }
        notices += effects.notices
        if commits { commit() }
    }

    /// What was sent since the last call.
    func taken() -> [SIPText] {
        defer { sent = [] }
        return sent
    }

    /// The one message sent since the last call; a test that sees another number fails on its start line.
    func one() -> SIPText {
        let messages = taken()
        return messages.count == 1 ? messages[0] : SIPText("\(messages.count) messages: \(messages.map(\.startLine))\n\n")
    }

    // MARK: Queries

    func stored(to recipient: String? = nil) -> [StoredMessage] { server.stored(to: recipient) }
    func settings(of identity: String) -> PublishedSettings? { server.settings(of: identity, at: now) }
    var nextDeadline: Instant? { server.nextDeadline }
    var dropped: UInt64 { server.counters.dropped }

    func restore(table: UInt8, key: [UInt8], value: [UInt8]) -> Bool { server.restore(table: table, key: key, value: value, at: now) }

    func removeStored(_ id: String) -> Bool {
        var isRemoved = false
        withEffects { isRemoved = server.removeStored(id, at: now, into: &$0) }
        return isRemoved
    }

    // MARK: Requests of the core

    func request(_ method: String, _ uri: String, _ headers: [(String, String)] = [], body: String = "") -> SIPText {
        branch += 1
        var request = SIPText("\(method) \(uri) SIP/2.0\n\n")
        request.headers = [
            ("Via", "SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKcore\(branch)"), ("Max-Forwards", "70"),
            ("From", "<sip:alice@home1.test>;tag=a\(branch)"), ("To", "<\(uri)>"), ("Call-ID", "call\(branch)"), ("CSeq", "1 \(method)"),
        ]
        for (name, value) in headers { request.set(name, value) }
        request.body = body
        return request
    }

    func register(_ user: String, expires: Int = 3600, _ headers: [(String, String)] = [], body: String = "") -> SIPText {
        request(
            "REGISTER", "sip:127.0.0.1:5080",
            [
                ("From", "<sip:127.0.0.1:5060>;tag=core"), ("To", "<sip:\(user)@home1.test>"), ("Contact", "<sip:127.0.0.1:5060>"),
                ("Expires", String(expires)),
            ] + headers, body: body)
    }

    func publish(_ user: String = "alice", _ headers: [(String, String)] = [], body: String = "") -> SIPText {
        request(
            "PUBLISH", "sip:\(user)@home1.test",
            [("P-Asserted-Identity", "<sip:\(user)@home1.test>"), ("Event", "poc-settings")]
                + (body.isEmpty ? [] : [("Content-Type", "application/poc-settings+xml")]) + headers, body: body)
    }

    /// A MESSAGE as it comes in the terminating chain of its recipient.
    func message(
        to user: String, _ body: String, registered: Bool? = nil, from sender: String = "alice", _ headers: [(String, String)] = []
    ) -> SIPText {
        var all = [
            ("Route", "<sip:127.0.0.1:5080;lr>, <sip:odi_1@127.0.0.1:5060;lr>"),
            ("From", "\"A\" <sip:\(sender)@home1.test>;tag=x\(branch)"),
            ("P-Asserted-Identity", "<sip:\(sender)@home1.test>"), ("Accept-Contact", "*;+g.oma.sip-im"), ("Content-Type", "text/plain"),
        ]
        if let registered {
            all.append(("P-Served-User", "<sip:\(user)@home1.test>;sescase=term;regstate=\(registered ? "reg" : "unreg")"))
        }
        return request("MESSAGE", "sip:\(user)@home1.test", all + headers, body: body)
    }
}

/// A settings document of one device.
func settingsDocument(_ id: String = "device-1", _ content: String) -> String {
    """
    <?xml version="1.0"?>
    <poc-settings xmlns="urn:oma:params:xml:ns:poc:poc-settings" xmlns:im="urn:oma:xml:im:service-settings">
    <entity id="\(id)">\(content)</entity>
    </poc-settings>
    """
}
