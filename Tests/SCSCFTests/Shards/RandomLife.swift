import IMSProfile
import SCSCF
import SansIO

/// Users, application servers and a network that live at random: what they do is decided by a seed alone, and how they
/// react by what they are told, so that the same core, whole or parted, must be told and tell the same.
final class RandomLife {
    private let rig: CoreRig
    private let seed: UInt64
    private var random: RandomSource
    private var invites: [(invite: SIPText, peer: Peer)] = []
    private var sent: [(octets: [UInt8], peer: Peer)] = []
    /// At an application server: the Via values that a request had before it was forwarded, by the branch put on top.
    private var forwarded: [String: (request: SIPText, peer: Peer)] = [:]
    private var inbox: [CoreRig.Sent] = []
    /// What each peer was told: the instant, and the message without what is random.
    private(set) var told: [String: [(at: Instant, text: String)]] = [:]

    static let users = (0..<8).map { Peer("v\($0)", "sip:v\($0)@home1.test", port: 5200 + UInt16($0)) }

    init(seed: UInt64, _ division: Division, holdsHandOvers: Bool = false) {
        self.seed = seed
        random = RandomSource(seed: seed)
        rig = CoreRig(division) { configuration in
            let criteria = [
                Laboratory.criterion(0, [.method("REGISTER")], 0),
                Laboratory.criterion(1, [.method("MESSAGE"), .sessionCase(.originating)], 0),
                Laboratory.criterion(2, [.method("INVITE"), .sessionCase(.originating)], 1),
                Laboratory.criterion(3, [.method("INVITE"), .sessionCase(.terminating)], 0) {
                    $0.defaultHandling = seed % 2 == 0 ? .sessionTerminated : .sessionContinued
                },
                Laboratory.criterion(4, [.method("PUBLISH")], 1),
            ]
            configuration.profiles = [Laboratory.profile(criteria)]
            configuration.subscribers = RandomLife.users.map {
                Laboratory.subscriber($0.name, [$0.identity, "tel:+1555\($0.flow.remote.port)"], password: nil, profile: 0)
            }
            configuration.udpSizeLimit = 0
            configuration.isPersistent = seed % 3 == 0
        }
        rig.holdsHandOvers = holdsHandOvers
    }

    /// How much went between shards.
    var handOvers: [HandOver.Purpose: Int] { rig.core.handedOver }
    var transactionsLeft: Int { TransactionKindCount.all(rig.core) }

    func live(steps: Int) {
        for user in RandomLife.users.prefix(6) { send(rig.registerRequest(user, expires: 600), from: user) }
        for _ in 0..<steps {
            act()
            react()
        }
        rig.holdsHandOvers = false
        rig.deliver()
        react()
        // All that is under way comes to its end, whoever keeps silent.
        for _ in 0..<30 {
            rig.advance(.seconds(30))
            react()
        }
    }

    // MARK: What happens by itself

    private func act() {
        let (one, other) = (user(), user())
        switch Int.random(in: 0..<20, using: &random) {
        case 0...1: send(rig.registerRequest(one, expires: [0, 60, 600].randomElement(using: &random)!), from: one)
        case 2:
            send(
                rig.registerRequest(one, expires: 600, contact: "<sip:\(one.name)@\(other.sentBy)>;q=0.\(one.flow.remote.port % 10)"),
                from: one)
        case 3...6: send(rig.request("MESSAGE", other.identity, from: one, body: "hello"), from: one)
        case 7: send(rig.request("MESSAGE", other.identity, from: one, [("P-Preferred-Identity", "<\(user().identity)>")]), from: one)
        case 8:
            // From a flow that one user, several or nobody registered on, with a name that is somebody's or nobody's.
            let from = Bool.random(using: &random) ? "sip:eve@elsewhere.test" : user().identity
            send(rig.request("MESSAGE", other.identity, from: one).with("From", "<\(from)>;tag=e\(sent.count)"), from: one)
        case 9...12:
            let invite = rig.request("INVITE", other.identity, from: one)
            invites.append((invite, one))
            send(invite, from: one)
        case 13...14: cancelOne()
        case 15: send(rig.request("PUBLISH", one.identity, from: one), from: one)
        case 16:
            let served = ("P-Served-User", "<\(other.identity)>;sescase=orig;regstate=reg")
            send(rig.request("MESSAGE", user().identity, from: .second, [served]), from: .second)
        case 17:
            if let again = sent.suffix(10).randomElement(using: &random) { rig.receive(again.octets, from: again.peer) }
        case 18: _ = rig.deregister(one.identity)
        default: rig.advance(.milliseconds([1, 400, 1000, 5000, 40_000].randomElement(using: &random)!))
        }
        if rig.holdsHandOvers { rig.deliver(atMost: Int.random(in: 0..<4, using: &random)) }
    }

    private func user() -> Peer { RandomLife.users.randomElement(using: &random)! }

    private func cancelOne() {
        guard let (invite, peer) = invites.suffix(4).randomElement(using: &random) else { return }
        var cancel = invite.with("CSeq", invite["CSeq"]?.replacing("INVITE", with: "CANCEL")).with("Contact", nil)
        cancel.startLine = invite.startLine.replacing("INVITE", with: "CANCEL")
        send(cancel, from: peer)
    }

    private func send(_ message: SIPText, from peer: Peer) {
        let octets = Array(message.text.utf8)
        sent.append((octets, peer))
        rig.receive(octets, from: peer)
    }

    // MARK: How peers react

    private func react() {
        for _ in 0..<200 {
            inbox = rig.taken()
            var ordered: [(key: String, message: SIPText, place: String)] = []
            for one in inbox {
                let text = RandomLife.withoutRandomness(one.message)
                told[one.destination, default: []].append((rig.now.monotonic, text))
                ordered.append((one.destination + text, one.message, one.destination))
            }
            if inbox.isEmpty { return }
            // In an order of the peers' own: not in the one in which shards have their turns.
            ordered.sort { $0.key < $1.key }
            for (_, message, place) in ordered { answer(message, at: place) }
            if rig.holdsHandOvers { rig.deliver(atMost: 2) }
        }
    }

    private func answer(_ message: SIPText, at place: String) {
        guard let peer = (RandomLife.users + [.im, .second]).first(where: { [$0.name, "udp:\($0.sentBy)"].contains(place) }) else { return }
        if peer == .im || peer == .second { return message.isRequest ? serve(message, at: peer) : returned(message, to: peer) }
        if message.isRequest { receive(message, at: peer) } else { answered(message, at: peer) }
    }

    /// 0 to 99, from the message and the one who got it alone: not from the numbers that a core gives its own requests.
    private func mood(_ message: SIPText, _ peer: Peer) -> Int {
        var text = "\(seed) \(peer.name) \(message.method) "
        if message.method == "REGISTER" {
            text += "\(message["To"] ?? "") \(message["Expires"] ?? "")"
        } else {
            text += "\(message["Call-ID"] ?? "") \(message["CSeq"] ?? "")"
        }
        return Int(text.utf8.reduce(14_695_981_039_346_656_037 as UInt64) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 } >> 33) % 100
    }

    private func receive(_ request: SIPText, at peer: Peer) {
        let mood = mood(request, peer)
        switch request.method {
        case "ACK": break
        case "CANCEL":
            rig.receive(request.response(200, tag: peer.name), from: peer)
            if let invite = ringing.removeValue(forKey: "\(peer.name) \(request["Via"] ?? "")") {
                rig.receive(invite.response(487, tag: peer.name), from: peer)
            }
        case "INVITE":
            if mood < 8 { return }
            if mood % 3 > 0 { rig.receive(request.response(180, tag: peer.name), from: peer) }
            if mood < 45 { return ringing["\(peer.name) \(request["Via"] ?? "")"] = request }
            rig.receive(request.response(mood < 60 ? 486 : mood < 65 ? 603 : 200, tag: peer.name, [("Contact", peer.contact)]), from: peer)
        default:
            if mood >= 10 { rig.receive(request.response(mood < 25 ? 486 : mood < 30 ? 503 : 200, tag: peer.name), from: peer) }
        }
    }
    /// INVITEs that ring, by their Via.
    private var ringing: [String: SIPText] = [:]

    /// A caller acknowledges what it gets, and hangs up.
    private func answered(_ response: SIPText, at peer: Peer) {
        guard response.method == "INVITE", let status = response.status, status >= 200,
            let call = invites.first(where: { $0.invite["Call-ID"] == response["Call-ID"] })
        else { return }
        var ack = call.invite.with("To", response["To"]).with("CSeq", call.invite["CSeq"]?.replacing("INVITE", with: "ACK"))
        ack.startLine = call.invite.startLine.replacing("INVITE", with: "ACK")
        ack.set("Contact", nil)
        guard status < 300 else { return rig.receive(ack, from: peer) }
        let target = response["Contact"]?.dropFirst().prefix { $0 != ">" } ?? ""
        for (method, sequence) in [("ACK", ""), ("BYE", "9")] {
            var request = ack.with("Via", call.invite["Via"]?.replacing(";rport", with: method + ";rport"))
            request.startLine = "\(method) \(target) SIP/2.0"
            request.set("CSeq", "\(sequence)\(call.invite["CSeq"]?.prefix { $0 != " " } ?? "") \(method)")
            for route in response.all("Record-Route").reversed() { request.headers.append(("Route", route)) }
            rig.receive(request, from: peer)
        }
    }

    /// An application server answers, sends the request back into its chain, or is silent.
    private func serve(_ request: SIPText, at peer: Peer) {
        let mood = mood(request, peer)
        if request.method == "REGISTER" {
            if mood >= 5 { rig.receive(request.response(200), from: peer) }
            return
        }
        if request.method == "ACK" { return }
        if request.method == "CANCEL" {
            rig.receive(request.response(200), from: peer)
            let branch = "\(peer.name)-\(request["Call-ID"] ?? "")-\(request["CSeq"]?.prefix { $0 != " " } ?? "")"
            guard let earlier = forwarded.first(where: { $0.key.hasPrefix(branch) && $0.value.request["Via"] == request["Via"] }) else {
                return
            }
            let again = earlier.value.request.with("CSeq", request["CSeq"]).with("Contact", nil)
            var cancel = again.forwarded(by: peer, branch: earlier.key)
            cancel.headers.removeAll { $0.name == "Via" && !$0.value.contains(earlier.key) }
            cancel.startLine = again.startLine.replacing("INVITE", with: "CANCEL")
            return rig.receive(cancel, from: peer)
        }
        if mood < 10 { return }
        if mood < 20 { return rig.receive(request.response(mood < 15 ? 500 : 404, tag: peer.name), from: peer) }
        guard request.has("Route") else { return rig.receive(request.response(200, tag: peer.name), from: peer) }
        if request.method == "INVITE" { rig.receive(request.response(100), from: peer) }
        let odi = request.all("Route").first { $0.contains("odi_") } ?? ""
        let side = odi.contains("orig") ? "o" : "t"
        let sequence = request["CSeq"]?.prefix { $0 != " " } ?? ""
        let branch = "\(peer.name)-\(request["Call-ID"] ?? "")-\(sequence)\(side)\(request.method)"
        // One sent again is sent on again.
        forwarded[branch] = (request, peer)
        rig.receive(request.forwarded(by: peer, branch: branch), from: peer)
    }

    /// The answer to what an application server sent on goes back the way it came.
    private func returned(_ response: SIPText, to peer: Peer) {
        guard let via = response["Via"],
            let original = forwarded.first(where: { via.contains("z9hG4bK\($0.key);") || via.hasSuffix("z9hG4bK\($0.key)") }),
            response.status != 100, response.method != "CANCEL"
        else { return }
        var back = response
        if let first = back.headers.firstIndex(where: { $0.name == "Via" }) { back.headers.remove(at: first) }
        if response.method == "INVITE", let status = response.status, status >= 300 {
            var ack = original.value.request.forwarded(by: peer, branch: original.key).with("To", response["To"])
            ack.headers.removeAll { $0.name == "Via" && !$0.value.contains(original.key) }
            ack.startLine = ack.startLine.replacing("INVITE", with: "ACK")
            rig.receive(ack.with("CSeq", ack["CSeq"]?.replacing("INVITE", with: "ACK")), from: peer)
        }
        rig.receive(back, from: peer)
    }

    // MARK: What is compared

    /// Branches, tags, identifiers and numbers of the core's own making are drawn at random: each is put as one word.
    private static func withoutRandomness(_ message: SIPText) -> String {
        var text = message
        text.headers = message.headers.map { name, value in
            if name == "CSeq", message["Call-ID"]?.hasPrefix("tpr-") == true { return (name, "n \(message.method)") }
            return (name, masked(value))
        }
        return text.text
    }

    /// Masks runs of 8 or more hexadecimal digits.
    private static func masked(_ value: String) -> String {
        var result: [UInt8] = []
        var run: [UInt8] = []
        func flush() {
            result += run.count >= 8 ? Array("#".utf8) : run
            run = []
        }
        for octet in value.utf8 {
            let isDigit = (0x30...0x39).contains(octet) || (0x61...0x66).contains(octet)
            if isDigit {
                run.append(octet)
            } else {
                flush()
                result.append(octet)
            }
        }
        flush()
        return String(decoding: result, as: UTF8.self)
    }
}
