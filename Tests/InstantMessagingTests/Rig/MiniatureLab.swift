import InstantMessaging
import SansIO

/// Clients, an IM Server and a core of a page between them, all in one thread and one time. The core registers without
/// asking for a password, tells the server by third-party REGISTER, and leads requests with a Route through it.
final class MiniatureLab {
    private(set) var clients: [String: ClientRig] = [:]
    private(set) var server: ServerRig
    /// Registered contacts by public identity, and the names of their clients.
    private var contacts: [String: String] = [:]
    /// Whether a request from the server enters the server's own chain again, as with the long form of criteria.
    let hasSelfLoop: Bool
    /// Everything that a node sent, as `node: start line`.
    private(set) var log: [String] = []
    private var branch = 0
    /// Where a response to a request with this branch goes.
    private var origins: [String: String] = [:]

    init(clients names: [String], hasSelfLoop: Bool = false) {
        self.hasSelfLoop = hasSelfLoop
        server = ServerRig()
        for (i, name) in names.enumerated() {
            clients[name] = ClientRig {
                $0.publicIdentity = "sip:\(name)@home1.test"
                $0.privateIdentity = "\(name)@home1.test"
                $0.listeners = [Listener(transport: .udp, local: Endpoint(address: .loopback, port: UInt16(5071 + i)))]
                $0.seed = UInt64(i)
            }
        }
    }

    /// Has a client do something, and lets all messages find their way.
    func perform(_ name: String, _ line: String) -> [ClientEvent.Kind] {
        clients[name]?.perform(line)
        settle()
        return clients[name]?.events() ?? []
    }

    func restartServer() { server = server.restarted() }

    func settle() {
        for _ in 0..<100 {
            var isQuiet = true
            for name in clients.keys.sorted() {
                for message in clients[name]?.taken() ?? [] {
                    isQuiet = false
                    log.append("\(name): \(message.startLine)")
                    route(message, from: name)
                }
            }
            for message in server.taken() {
                isQuiet = false
                log.append("im: \(message.startLine)")
                route(message, from: "im")
            }
            if isQuiet { return }
        }
    }

    // MARK: The core

    private func route(_ message: SIPText, from sender: String) {
        guard message.isRequest else { return relay(message) }
        if message.method == "REGISTER" { return register(message, from: sender) }
        if let chain = message["Route"], chain.contains("odi_") {
            // Back from the server: to the next step of its chain.
            return chain.contains("orig") ? terminate(message, from: sender) : deliver(message, from: sender)
        }
        if sender == "im" { return hasSelfLoop ? terminate(message, from: sender) : deliver(message, from: sender) }
        var originating = message
        originating.set("P-Preferred-Identity", nil)
        originating.set("P-Asserted-Identity", "<sip:\(sender)@home1.test>")
        send(originating, to: "im", from: sender, routes: ["<sip:127.0.0.1:5080;lr>", "<sip:odi_o@127.0.0.1:5060;lr;orig>"])
    }

    private func terminate(_ message: SIPText, from sender: String) {
        let state = contacts[message.uri] == nil ? "unreg" : "reg"
        var terminating = message
        terminating.set("P-Served-User", "<\(message.uri)>;sescase=term;regstate=\(state)")
        send(terminating, to: "im", from: sender, routes: ["<sip:127.0.0.1:5080;lr>", "<sip:odi_t@127.0.0.1:5060;lr>"])
    }

    private func deliver(_ message: SIPText, from sender: String) {
        guard let contact = contacts[message.uri] else { return hand(message.response(480, "Temporarily Unavailable"), to: sender) }
        send(message, to: contact, from: sender, routes: [])
    }

    private func send(_ message: SIPText, to receiver: String, from sender: String, routes: [String]) {
        branch += 1
        origins["z9hG4bKcore\(branch)"] = sender
        var copy = message
        copy.set("Route", nil)
        for (i, route) in routes.enumerated() { copy.headers.insert(("Route", route), at: i) }
        copy.headers.insert(("Via", "SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKcore\(branch)"), at: 0)
        hand(copy, to: receiver)
    }

    private func relay(_ response: SIPText) {
        guard let via = response["Via"], let range = via.firstRange(of: "branch="),
            let origin = origins[String(via[range.upperBound...].prefix { $0 != ";" })]
        else { return }
        var copy = response
        if let first = copy.headers.firstIndex(where: { $0.name == "Via" }) { copy.headers.remove(at: first) }
        hand(copy, to: origin)
    }

    private func hand(_ message: SIPText, to receiver: String) {
        if receiver == "im" { server.receive(message) } else { clients[receiver]?.receive(message) }
    }

    private func register(_ message: SIPText, from sender: String) {
        let identity = "sip:\(sender)@home1.test"
        let expires = message["Expires"] ?? "3600"
        contacts[identity] = expires == "0" ? nil : sender
        hand(message.response(200, "OK", [("Expires", expires), ("Service-Route", "<sip:orig@127.0.0.1:5060;lr>")]), to: sender)
        server.receive(server.register(sender, expires: Int(expires) ?? 0))
    }
}
