import SIPMessage
import SIPTransaction
import SansIO
import Testing

/// RFC 3261 §17.2.3 and §18.2.2, RFC 3581 §4.
struct ServerMatchingTests {
    @Test(arguments: [
        (incoming("MESSAGE"), true), (incoming("MESSAGE", branch: "Z9HG4BKPEER1"), true),
        (incoming("MESSAGE", sentBy: "192.0.2.9:5070", parameters: ";rport"), true),
        (incoming("MESSAGE", branch: "z9hG4bKpeer2"), false), (incoming("MESSAGE", sentBy: "192.0.2.9"), false),
        (incoming("MESSAGE", sentBy: "192.0.2.8:5070"), false),
        (incoming("OPTIONS"), false),
    ])
    func byBranchSentByAndMethod(_ text: String, _ isSame: Bool) throws {
        var rig = Rig()
        _ = try rig.open(incoming("MESSAGE"))
        let outcome = try rig.receive(text)
        #expect((outcome == .absorbed) == isSame)
    }

    @Test func hostNamesHaveNoCaseAndUnknownMethodsDiffer() throws {
        var rig = Rig()
        _ = try rig.open(incoming("FOO", sentBy: "Host.test"))
        let same = try rig.receive(incoming("FOO", sentBy: "hOST.TEST"))
        #expect(same == .absorbed)
        let other = try rig.receive(incoming("BAR", sentBy: "host.test"))
        #expect(other != .absorbed)
    }

    /// Without a branch of RFC 3261, and with the cookie alone (RFC 4475 §3.2.1).
    @Test(arguments: [nil, "1", "z9hG4bK"])
    func asRFC2543Does(_ branch: String?) throws {
        var rig = Rig()
        let invite = incoming("INVITE", branch: branch)
        let id = try rig.open(invite)
        let again = try rig.receive(invite)
        #expect(again == .absorbed)
        let changes: [(String, String)] = [
            ("tag=f", "tag=g"), ("Call-ID: c@9", "Call-ID: c@8"), ("CSeq: 3", "CSeq: 4"), ("INVITE sip:bob", "INVITE sip:bill"),
            ("UDP 192", "UDP 193"),
        ]
        for (old, new) in changes {
            let outcome = try rig.receive(invite.replacing(old, with: new))
            guard case .new = outcome else {
                Issue.record("\(new): \(outcome)")
                continue
            }
        }
        rig.respond(id, 404)
        let acknowledgement = try rig.receive(incoming("ACK", branch: branch, to: ";tag=t"))
        #expect(acknowledgement == .absorbed)
        #expect(rig.layer.state(of: id) == .confirmed)
    }

    @Test func anACKOfNothingIsOnlyForwarded() throws {
        var rig = Rig()
        let outcome = try rig.receive(incoming("ACK", branch: "z9hG4bKnew", to: ";tag=t"))
        #expect(outcome == .acknowledgement)
        #expect(rig.isEmpty == true)
        let id = try rig.open(incoming("INVITE"))
        rig.respond(id, 200)
        // The ACK to a 2xx has a branch of its own; a client of RFC 2543 uses the INVITE's.
        let own = try rig.receive(incoming("ACK", branch: "z9hG4bKpeer9", to: ";tag=t"))
        let same = try rig.receive(incoming("ACK", to: ";tag=t"))
        #expect(own == .acknowledgement && same == .acknowledgement)
    }

    @Test func aCANCELFindsItsINVITE() throws {
        var rig = Rig()
        let invite = try rig.open(incoming("INVITE"))
        guard case .cancel(let id, of: let found) = try rig.receive(incoming("CANCEL")) else { throw Unexpected() }
        #expect(found == invite && id != invite)
        let again = try rig.receive(incoming("CANCEL"))
        #expect(again == .absorbed)
        rig.respond(id, 200)
        rig.respond(invite, 487)
        #expect(rig.sent().map(\.label) == ["200", "487"])
        _ = try rig.receive(incoming("CANCEL"))
        #expect(rig.sent().map(\.label) == ["200"])
        _ = rig.run(to: 40_000)
        #expect(rig.isEmpty == true)
    }

    @Test func aCANCELOfNothing() throws {
        var rig = Rig()
        _ = try rig.open(incoming("MESSAGE", branch: "z9hG4bKother"))
        guard case .cancel(_, of: let found) = try rig.receive(incoming("CANCEL")) else { throw Unexpected() }
        #expect(found == nil)
    }

    /// §9.2: whatever the method, as long as there is a transaction the CANCEL is one that found what it is for.
    @Test(arguments: ["MESSAGE", "OPTIONS", "BYE", "PRACK"]) func aCANCELOfAnotherMethod(_ method: String) throws {
        var rig = Rig()
        let id = try rig.open(incoming(method))
        guard case .cancel(_, of: let found) = try rig.receive(incoming("CANCEL")) else { throw Unexpected() }
        #expect(found == id)
        #expect(rig.layer.state(of: id) == .trying)
    }

    @Test func pastTheLimitNothingIsOpened() throws {
        var rig = Rig(limit: 2)
        _ = try rig.open(incoming("MESSAGE", branch: "z9hG4bK1"))
        _ = try rig.open(incoming("INVITE", branch: "z9hG4bK2"))
        let third = try rig.receive(incoming("MESSAGE", branch: "z9hG4bK3"))
        #expect(third == .overloaded)
        let again = try rig.receive(incoming("MESSAGE", branch: "z9hG4bK1"))
        #expect(again == .absorbed)
        let client = rig.layer.reserveClient(.message, user: 1)
        #expect(client == nil)
        let acknowledgement = try rig.receive(incoming("ACK", branch: "z9hG4bK4", to: ";tag=t"))
        #expect(acknowledgement == .acknowledgement)
        rig.layer.removeAll()
        #expect(rig.isEmpty == true)
        _ = try rig.open(incoming("MESSAGE", branch: "z9hG4bK3"))
    }

    /// The request came from 192.0.2.9:5070.
    @Test(arguments: [
        ("192.0.2.9:5070", "", "192.0.2.9:5070"), ("192.0.2.9", "", "192.0.2.9:5060"), ("10.0.0.1:5099", "", "192.0.2.9:5099"),
        ("10.0.0.1:5099", ";rport", "192.0.2.9:5070"), ("host.test", "", "192.0.2.9:5060"),
        ("10.0.0.1", ";maddr=192.0.2.44", "192.0.2.44:5060"),
        ("10.0.0.1:5099", ";maddr=192.0.2.44;rport", "192.0.2.44:5099"), ("10.0.0.1:5099", ";maddr=host.test;rport", "192.0.2.9:5070"),
        ("10.0.0.1:5099", ";received=192.0.2.200", "192.0.2.9:5099"),
    ])
    func overDatagramsToWhereViaSays(_ sentBy: String, _ parameters: String, _ remote: String) throws {
        var rig = Rig()
        let id = try rig.open(incoming("MESSAGE", sentBy: sentBy, parameters: parameters))
        rig.respond(id, 200)
        let flow = rig.sent()[0].flow
        #expect(flow.remote.text == remote)
        #expect(flow.transport == .udp && flow.listener == 0 && flow.connection == 0)
    }

    @Test(arguments: [("192.0.2.9:5070", 5070), ("192.0.2.9", 5060), ("10.0.0.1:5099", 5099)])
    func overStreamsOnTheConnection(_ sentBy: String, _ port: UInt16) throws {
        var rig = Rig()
        let source = Flow(transport: .tcp, listener: 1, connection: 7, remote: Endpoint(address: Rig.peer.address, port: 40_000))
        let text = incoming("MESSAGE", sentBy: sentBy, parameters: ";maddr=192.0.2.44;rport").replacing("SIP/2.0/UDP", with: "SIP/2.0/TCP")
        let id = try rig.open(text, over: source)
        rig.respond(id, 200)
        let flow = rig.sent()[0].flow
        #expect(flow.connection == 7 && flow.transport == .tcp && flow.listener == 1)
        #expect(flow.remote == source.remote)
        // Where a new connection goes if this one is gone.
        #expect(flow.returnPort == port)
    }

    @Test func whatIsNotTakenIsNotSent() throws {
        var rig = Rig()
        let id = try rig.open(incoming("MESSAGE"))
        rig.respond(id, 200)
        rig.respond(id, 500)
        rig.layer.abandon(id)
        rig.respond(id, 200)
        #expect(rig.sent().map(\.label) == ["200"])
        #expect(rig.isEmpty == true)
    }
}
