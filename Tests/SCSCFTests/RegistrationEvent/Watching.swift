import SCSCF
import SansIO
import Testing
import XMLTree

/// A document of registration state, as a watcher reads it.
struct RegistrationInfo {
    struct Contact: Equatable {
        var id: String
        var state: String
        var event: String
        var uri: String
        var attributes: [String: String]
        /// Names and values of unknown-param.
        var parameters: [[String]]
    }
    struct Registration: Equatable {
        var aor: String
        var id: String
        var state: String
        var contacts: [Contact]
    }
    static let namespace = "urn:ietf:params:xml:ns:reginfo"
    var version: Int
    var state: String
    var registrations: [Registration]

    init(_ notify: SIPText) throws {
        #expect(notify["Content-Type"] == "application/reginfo+xml", "\(notify.text)")
        let root = try XMLTree.parse(Array(notify.body.utf8))
        #expect(root.name == "reginfo" && root.namespace == Self.namespace)
        version = try #require(root.attribute("version").flatMap { Int($0) })
        state = root.attribute("state") ?? ""
        registrations = root.elements("registration", namespace: Self.namespace).map { registration in
            Registration(
                aor: registration.attribute("aor") ?? "", id: registration.attribute("id") ?? "",
                state: registration.attribute("state") ?? "",
                contacts: registration.elements("contact", namespace: Self.namespace).map(Contact.init))
        }
        let ids = registrations.map(\.id) + registrations.flatMap { $0.contacts.map(\.id) }
        #expect(Set(ids).count == ids.count, "an id occurs twice: \(ids)")
    }

    /// The contacts of the first registration in short: `active registered sip:alice@127.0.0.1:5071`.
    var contacts: [String] { contacts(0) }
    func contacts(_ registration: Int) -> [String] {
        registrations[registration].contacts.map { "\($0.state) \($0.event) \($0.uri)" }
    }
}

extension RegistrationInfo.Contact {
    init(_ element: XMLElement) {
        attributes = Dictionary(uniqueKeysWithValues: element.attributes.map { ($0.name, $0.value) })
        id = attributes["id"] ?? ""
        state = attributes["state"] ?? ""
        event = attributes["event"] ?? ""
        uri = element.element("uri", namespace: RegistrationInfo.namespace)?.text ?? ""
        parameters = element.elements("unknown-param", namespace: RegistrationInfo.namespace).map {
            [$0.attribute("name") ?? "", $0.text]
        }
    }
}

/// Somebody who subscribed to a registration.
final class Watcher {
    let peer: Peer
    /// The rig of the core that serves it now.
    var rig: CoreRig
    private(set) var request: SIPText
    private(set) var answer: SIPText
    private var sequence = 7000

    /// Sends the first SUBSCRIBE and takes its answer.
    init(
        _ rig: CoreRig, _ identity: String = "sip:alice@home1.test", as peer: Peer = .alice, expires: Int? = 600,
        headers: [(String, String)] = []
    ) {
        self.rig = rig
        self.peer = peer
        request = rig.request("SUBSCRIBE", identity, from: peer, [("Event", "reg")] + headers)
        if let expires { request.set("Expires", String(expires)) }
        _ = rig.taken()
        rig.receive(request, from: peer)
        answer = rig.next(to: peer)
    }

    /// Another SUBSCRIBE within the dialog; its answer.
    @discardableResult
    func subscribe(expires: Int?, _ change: (inout SIPText) -> Void = { _ in }) -> SIPText {
        sequence += 1
        let target = answer["Contact"]?.dropFirst().prefix { $0 != ">" } ?? ""
        var next = request.with("To", answer["To"]).with("CSeq", "\(sequence) SUBSCRIBE")
            .with("Via", request["Via"]?.replacing("branch=z9hG4bK", with: "branch=z9hG4bKs\(sequence)"))
        next.startLine = "SUBSCRIBE \(target) SIP/2.0"
        next.set("Expires", expires.map(String.init))
        change(&next)
        _ = rig.taken()
        rig.receive(next, from: peer)
        return rig.next(to: peer)
    }

    /// The next NOTIFY to the watcher, answered.
    func notified(_ status: Int = 200, _ headers: [(String, String)] = []) -> SIPText {
        var notify = rig.next(to: peer)
        // An application server is sent other requests too.
        while !["NOTIFY", "NOTHING"].contains(notify.method) { notify = rig.next(to: peer) }
        if notify.method == "NOTIFY" { rig.receive(notify.response(status, headers), from: peer) }
        return notify
    }

    /// What the next NOTIFY tells.
    func told() throws -> RegistrationInfo { try RegistrationInfo(notified()) }
}

extension CoreRig {
    /// A core with `users` registered, whose datagrams may be as large as they like.
    static func watched(_ users: Peer..., change: (inout ServingCSCFConfiguration) -> Void = { _ in }) -> CoreRig {
        let rig = CoreRig {
            $0.udpSizeLimit = 0
            change(&$0)
        }
        rig.answers["im"] = 200
        rig.answers["second"] = 200
        for user in users { rig.register(user) }
        _ = rig.taken()
        return rig
    }

    func notifies(_ result: RequestResult) -> UInt64 { core.counters.notifies[Int(result.rawValue)] }
}
