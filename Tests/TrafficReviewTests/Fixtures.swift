import SIPTrace
import SansIO
import Testing
import TrafficReview

/// A message that a test writes: a sound one, changed where it should be wrong.
struct Draft {
    var start: String
    var fields: [(name: String, value: String)]
    var body = ""

    /// A request of alice's client, sound in all that every request has.
    init(_ method: String, _ uri: String, callID: String = "c1", cseq: Int = 1, branch: String? = nil, _ more: [String] = []) {
        start = "\(method) \(uri) SIP/2.0"
        fields = [
            ("Via", "SIP/2.0/UDP 127.0.0.1:5062;branch=\(branch ?? "z9hG4bK\(method)\(callID)\(cseq)")"), ("Max-Forwards", "70"),
            ("From", "<sip:alice@home1.test>;tag=a1"), ("To", method == "REGISTER" ? "<sip:alice@home1.test>" : "<\(uri)>"),
            ("Call-ID", callID), ("CSeq", "\(cseq) \(method)"),
        ]
        fields += more.map(Draft.field)
    }

    private init(start: String, fields: [(name: String, value: String)]) {
        self.start = start
        self.fields = fields
    }

    private static func field(_ line: String) -> (name: String, value: String) {
        let colon = line.firstIndex(of: ":")!
        return (String(line[..<colon]), String(line[line.index(after: colon)...].drop { $0 == " " }))
    }

    func value(_ name: String) -> String? { fields.first { $0.name == name }?.value }

    /// With this value in place of all others, or beside the other fields.
    func with(_ name: String, _ value: String) -> Draft {
        var copy = self
        let place = fields.firstIndex { $0.name == name } ?? fields.count
        copy.fields.removeAll { $0.name == name }
        copy.fields.insert((name, value), at: min(place, copy.fields.count))
        return copy
    }

    func adding(_ name: String, _ value: String, onTop: Bool = false) -> Draft {
        var copy = self
        copy.fields.insert((name, value), at: onTop ? 0 : fields.count)
        return copy
    }

    func without(_ name: String) -> Draft {
        var copy = self
        copy.fields.removeAll { $0.name == name }
        return copy
    }

    func with(body: String, type: String?) -> Draft {
        var copy = type.map { with("Content-Type", $0) } ?? without("Content-Type")
        copy.body = body
        return copy
    }

    /// Another request of the same call.
    func next(_ cseq: Int, _ more: [String] = []) -> Draft {
        let method = start.prefix { $0 != " " }
        var copy = with("CSeq", "\(cseq) \(method)").with("Via", "SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bK\(method)next\(cseq)")
        copy.fields += more.map(Draft.field)
        return copy
    }

    /// A sound answer.
    func answer(_ status: Int, _ more: [String] = []) -> Draft {
        var copied = fields.filter { ["Via", "From", "To", "Call-ID", "CSeq", "Record-Route"].contains($0.name) }
        for index in copied.indices where copied[index].name == "To" && status > 100 && !copied[index].value.contains(";tag=") {
            copied[index].value += ";tag=b1"
        }
        return Draft(start: "SIP/2.0 \(status) Answer", fields: copied + more.map(Draft.field))
    }

    /// What a server makes of it that sends it on as a proxy.
    func relayed(route: [String] = []) -> Draft {
        var copy = adding("Via", "SIP/2.0/UDP 127.0.0.1:5080;branch=z9hG4bKrelay", onTop: true)
        copy = copy.with("Max-Forwards", "\((Int(value("Max-Forwards") ?? "") ?? 70) - 1)")
        copy = copy.without("Route")
        for value in route { copy = copy.adding("Route", value) }
        return copy
    }

    var octets: [UInt8] {
        var text = start + "\r\n"
        for field in fields { text += "\(field.name): \(field.value)\r\n" }
        if !fields.contains(where: { $0.name == "Content-Length" || $0.name == "No-Length" }) {
            text += "Content-Length: \(body.utf8.count)\r\n"
        }
        return Array((text + "\r\n" + body).utf8)
    }
}

/// A trace in the making, and its review.
struct Trace {
    let review = Review()
    private var sequence: UInt64 = 0
    private var time = WallTime(seconds: 1_800_000_000)

    /// Where alice's client is, and the server.
    static let alice: UInt16 = 5062
    static let server: UInt16 = 5080

    mutating func wait(milliseconds: Int) {
        time = time + .milliseconds(milliseconds)
        review.advance(to: time)
    }

    mutating func add(
        _ octets: [UInt8], isIncoming: Bool, port: UInt16 = alice, peer: String? = nil, over transport: Transport = .udp,
        _ mark: TraceMark = .none
    ) {
        sequence += 1
        time = time + .milliseconds(5)
        review.add(
            ObservedMessage(
                sequence: sequence, time: time, isIncoming: isIncoming, transport: transport,
                remote: Endpoint(address: .loopback, port: port), peer: peer, mark: mark, octets: octets))
    }

    /// From alice to the core, and back.
    mutating func receive(_ draft: Draft, over transport: Transport = .udp, _ mark: TraceMark = .none) {
        add(draft.octets, isIncoming: true, over: transport, mark)
    }
    mutating func send(_ draft: Draft, _ mark: TraceMark = .none) { add(draft.octets, isIncoming: false, mark) }

    /// From the server to the core, and back.
    mutating func receive(fromServer draft: Draft) { add(draft.octets, isIncoming: true, port: Trace.server, peer: "im") }
    mutating func send(toServer draft: Draft) { add(draft.octets, isIncoming: false, port: Trace.server, peer: "im") }

    /// A request and its answer.
    mutating func exchange(_ request: Draft, _ answer: Draft) {
        receive(request)
        send(answer)
    }

    var found: Set<String> { Set(review.findings.map(\.rule)) }
}

/// A rule, a trace that breaks it, and the nearest that does not.
struct RuleCase: Sendable, CustomTestStringConvertible {
    var rule: String
    /// What the broken trace breaks besides.
    var also: Set<String> = []
    var broken: @Sendable (inout Trace) -> Void
    var sound: @Sendable (inout Trace) -> Void

    init(
        _ rule: String, also: Set<String> = [], broken: @escaping @Sendable (inout Trace) -> Void,
        sound: @escaping @Sendable (inout Trace) -> Void
    ) {
        self.rule = rule
        self.also = also
        self.broken = broken
        self.sound = sound
    }

    /// One request of alice's, wrong and right.
    init(_ rule: String, also: Set<String> = [], wrong: Draft, right: Draft) {
        self.init(rule, also: also, broken: { $0.receive(wrong) }, sound: { $0.receive(right) })
    }

    /// An answer of alice's to a request of the core's, wrong and right.
    init(_ rule: String, also: Set<String> = [], to request: Draft, wrong: Draft, right: Draft) {
        self.init(
            rule, also: also,
            broken: {
                $0.send(request)
                $0.receive(wrong)
            },
            sound: {
                $0.send(request)
                $0.receive(right)
            })
    }

    var testDescription: String { rule }
}

extension Draft {
    static let options = Draft("OPTIONS", "sip:home1.test")
    static let message = Draft("MESSAGE", "sip:bob@home1.test").with(body: "hello", type: "text/plain")
    static let invite = Draft("INVITE", "sip:bob@home1.test", ["Contact: <sip:alice@127.0.0.1:5062>"])
    static let subscribe = Draft(
        "SUBSCRIBE", "sip:alice@home1.test", callID: "s1", ["Contact: <sip:alice@127.0.0.1:5062>", "Event: reg", "Expires: 3600"])
    static let register = Draft("REGISTER", "sip:home1.test", callID: "r1", ["Contact: <sip:alice@127.0.0.1:5062>", "Expires: 3600"])

    /// Of an IM Client, which is an IMS UE.
    static let imRegister = register.with("Contact", "<sip:alice@127.0.0.1:5062>;+g.oma.sip-im").adding("Supported", "path")
    static let registered = imRegister.answer(
        200, ["Contact: <sip:alice@127.0.0.1:5062>;+g.oma.sip-im;expires=3600", "Service-Route: <sip:orig@127.0.0.1:5060;lr>"])

    static let document = """
        <poc-settings xmlns="urn:oma:params:xml:ns:poc:poc-settings"><entity id="do39s8zksn2d98x"/></poc-settings>
        """
    static let publish = Draft(
        "PUBLISH", "sip:alice@home1.test", callID: "p1",
        [
            "Route: <sip:orig@127.0.0.1:5060;lr>", "Event: poc-settings", "Expires: 3600", "P-Preferred-Identity: <sip:alice@home1.test>",
            "Accept-Contact: *;+g.oma.sip-im", "User-Agent: IM-client/OMA1.0 test",
        ]
    ).with(body: document, type: "application/poc-settings+xml")
    static let refresh = Draft(
        "PUBLISH", "sip:alice@home1.test", callID: "p2",
        [
            "Route: <sip:orig@127.0.0.1:5060;lr>", "Event: poc-settings", "Expires: 3600", "SIP-If-Match: e1",
            "P-Preferred-Identity: <sip:alice@home1.test>", "Accept-Contact: *;+g.oma.sip-im",
        ])

    /// What the core tells the server of alice.
    static let thirdParty = Draft("REGISTER", "sip:127.0.0.1:5080", callID: "t1", ["Contact: <sip:127.0.0.1:5060>", "Expires: 3600"])
        .with("From", "<sip:scscf.home1.test>;tag=s1")
    /// Requests of the core's.
    static let toAlice = Draft("MESSAGE", "sip:alice@127.0.0.1:5062", callID: "m1").with(body: "hello", type: "text/plain")
    static let inviteToAlice = Draft(
        "INVITE", "sip:alice@127.0.0.1:5062", callID: "i1",
        ["Contact: <sip:bob@127.0.0.1:5072>", "Record-Route: <sip:127.0.0.1:5060;lr>"])
    static let subscribeToServer = Draft(
        "SUBSCRIBE", "sip:alice@home1.test", callID: "s2", ["Contact: <sip:127.0.0.1:5060>", "Event: presence", "Expires: 600"])
    /// A MESSAGE that a criterion sends to the server.
    static let toServer = message.with("Max-Forwards", "69")
        .adding("Route", "<sip:127.0.0.1:5080;lr>").adding("Route", "<sip:odi_1@127.0.0.1:5060;lr>")
        .adding("Record-Route", "<sip:127.0.0.1:5060;lr>").adding("P-Asserted-Identity", "<sip:alice@home1.test>")
        .adding("P-Charging-Vector", "icid-value=\"abc\";orig-ioi=home1.test")
    static let back = toServer.relayed(route: ["<sip:odi_1@127.0.0.1:5060;lr>"])
}
