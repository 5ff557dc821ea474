// A call to a user with two telephones, on different transports and address families.

import Glibc
import Testing

@Suite struct ForkedCallTests {
    private let toBob = "<sip:bob@home1.test>"
    private let fromAlice = "<sip:alice@home1.test>"

    private func start(_ folder: TemporaryFolder) async throws -> (core: Child, ready: ReadyLine) {
        let topology = try folder.write(
            "core.yaml",
            """
            domain: home1.test
            core: {listen: ['udp://127.0.0.1:0', 'tcp://[::1]:0'], http: '127.0.0.1:0', authentication: none}
            subscribers:
            \(twoSubscribers)

            """)
        let core = try Child([sipcore, "core", topology], named: "core", in: folder)
        return (core, try await core.ready())
    }

    private func register(_ user: String, _ contacts: String, from peer: DatagramPeer) async throws {
        let identity = "<sip:\(user)@home1.test>"
        let request = SIPRequest(
            method: "REGISTER", uri: "sip:home1.test", from: identity, to: identity, contact: contacts, port: peer.port)
        #expect(try await peer.answer(to: request).status == 200)
    }

    @Test func `a forked call is answered by one, cancelled at the other, and torn down through Record-Route`() async throws {
        let folder = try TemporaryFolder()
        let (core, ready) = try await start(folder)
        let udp = try ready.port("udp")
        let (alice, desk, mobile) = (try DatagramPeer(to: udp), try DatagramPeer(to: udp), try StreamServer())
        let mobileContact = "sip:bob@[::1]:\(mobile.port);transport=tcp"
        try await register("alice", "<sip:alice@127.0.0.1:\(alice.port)>", from: alice)
        try await register("bob", "<sip:bob@127.0.0.1:\(desk.port)>, <\(mobileContact)>", from: desk)

        let call = SIPRequest(
            method: "INVITE", uri: "sip:bob@home1.test", from: fromAlice, contact: "<sip:alice@127.0.0.1:\(alice.port)>", port: alice.port)
        alice.send(call.text)
        let atDesk = try await desk.expect("INVITE")
        let atMobile = try await mobile.expect("INVITE")
        #expect(atDesk.startLine == "INVITE sip:bob@127.0.0.1:\(desk.port) SIP/2.0")
        #expect(atMobile.startLine == "INVITE \(mobileContact) SIP/2.0")
        // Each telephone sees first where it can reach the core itself.
        let (inner, outer) = ("<sip:127.0.0.1:\(udp);lr>", "<sip:[::1]:\(try ready.port("tcp"));transport=tcp;lr>")
        #expect(atDesk.all("Record-Route") == [inner])
        #expect(atMobile.all("Record-Route") == [outer, inner])

        desk.send(atDesk.response(180, tag: "desk", contact: "sip:bob@127.0.0.1:\(desk.port)"))
        mobile.send(atMobile.response(180, tag: "mobile", contact: mobileContact))
        mobile.send(atMobile.response(200, tag: "mobile", contact: mobileContact))
        let cancel = try await desk.expect("CANCEL")
        #expect(cancel["Reason"].contains("cause=200"))
        desk.send(cancel.response(200, tag: "desk"))
        desk.send(atDesk.response(487, tag: "desk"))
        _ = try await desk.expect("ACK")

        let answer = try await alice.expect("200 INVITE")
        #expect(answer["To"].hasSuffix(";tag=mobile"))
        #expect(answer.uri(of: "Contact") == mobileContact)
        alice.send(
            SIPLines.request(
                "ACK", mobileContact, via: "SIP/2.0/UDP 127.0.0.1:\(alice.port)", routes: answer.all("Record-Route").reversed(),
                from: answer["From"], to: answer["To"], callID: answer["Call-ID"], sequence: 1))
        let acknowledgement = try await mobile.expect("ACK")
        #expect(acknowledgement.startLine == "ACK \(mobileContact) SIP/2.0")
        #expect(acknowledgement.all("Route").isEmpty)

        // The one who was called hangs up.
        mobile.send(
            SIPLines.request(
                "BYE", atMobile.uri(of: "Contact"), via: "SIP/2.0/TCP [::1]:\(mobile.port)", routes: atMobile.all("Record-Route"),
                from: answer["To"], to: answer["From"], callID: answer["Call-ID"], sequence: 7))
        let bye = try await alice.expect("BYE")
        #expect(bye.startLine == "BYE sip:alice@127.0.0.1:\(alice.port) SIP/2.0")
        #expect(bye.all("Route").isEmpty)
        alice.send(bye.response(200, tag: "unused"))
        _ = try await mobile.expect("200 BYE")
        core.signal(SIGTERM)
        #expect(try await core.end() == 0, "\(core.errors)")
    }
}
