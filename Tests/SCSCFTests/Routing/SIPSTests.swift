import IMSProfile
import SCSCF
import SIPRegistrar
import SansIO
import Testing

/// A SIPS URI: TLS on every hop, or none (RFC 3261 §26.2.2, RFC 5630).
@Suite(.overShards) struct SIPSTests {
    private let toBob = "sips:bob@home1.test"
    private static let tls: UInt8 = 2

    private func rig(_ change: (inout ServingCSCFConfiguration) -> Void = { _ in }) -> CoreRig {
        CoreRig { configuration in
            configuration.listeners.append(Listener(transport: .tls, local: Endpoint(address: .loopback, port: 5061)))
            configuration.registrar = RegistrarSettings(profile: .rfc3261)
            change(&configuration)
        }
    }

    /// Carol, whom nobody challenges, on a stream with TLS.
    private var carol: Peer {
        var peer = Peer("carol", "sip:carol@home1.test", port: 40_002, transport: .tls, connection: 9)
        peer.flow.listener = SIPSTests.tls
        return peer
    }

    private var bob: Peer {
        // His Contact is at another address, so it is no other name for this stream.
        var peer = Peer("bob", "sip:bob@home1.test", port: 40_003, transport: .tls, connection: 10, address: "127.0.0.3")
        peer.flow.listener = SIPSTests.tls
        return peer
    }

    /// Registers at a SIPS Request-URI.
    private func register(_ peer: Peer, _ contact: String, at rig: CoreRig, _ headers: [(String, String)] = []) -> SIPText {
        var request = rig.registerRequest(peer, contact: contact, headers)
        request.startLine = "REGISTER sips:home1.test SIP/2.0"
        _ = rig.taken()
        rig.receive(request, from: peer)
        guard let challenge = rig.taken().first(where: { $0.message.status != nil })?.message else { return SIPText("NOTHING came\n\n") }
        guard challenge.status == 401 else { return challenge }
        rig.receive(
            rig.answering(challenge, request, username: "bob@home1.test", password: "builder", uri: "sips:home1.test"), from: peer)
        return rig.taken().first { $0.message.status != nil }?.message ?? SIPText("NOTHING came\n\n")
    }

    /// Carol on TLS, and bob by a SIPS Contact.
    private func registered(_ contacts: String..., change: (inout ServingCSCFConfiguration) -> Void = { _ in }) -> CoreRig {
        let rig = rig(change)
        rig.receive(rig.registerRequest(carol), from: carol)
        for contact in contacts {
            let answer = contact.contains("sips:") ? register(bob, contact, at: rig) : rig.register(.bob, contact: contact)
            #expect(answer.status == 200)
        }
        _ = rig.taken()
        return rig
    }

    private func requests(_ rig: CoreRig) -> [CoreRig.Sent] { rig.taken().filter { $0.message.isRequest } }

    // MARK: Requests

    @Test(arguments: ["MESSAGE", "INVITE", "REGISTER", "OPTIONS"])
    func itHasToComeOverTLS(method: String) {
        let rig = registered("<sips:bob@127.0.0.1:5099>")
        rig.send(method, method == "REGISTER" ? "sips:home1.test" : toBob, from: .alice)
        let answer = rig.next(to: .alice)
        #expect(answer.status == 403)
        #expect(answer["Warning"]?.hasPrefix("399 ") == true)
        #expect(rig.trace() == [])
    }

    @Test func aContactWithoutItIsNotTried() {
        let rig = registered("<sip:bob@127.0.0.1:5072>")
        rig.send("MESSAGE", toBob, from: carol)
        let answer = rig.first()
        #expect(answer.status == 480)
        #expect(answer["Warning"] == "380 127.0.0.1:5060 \"SIPS Not Allowed\"")
    }

    /// `transport=tls` alone is no promise that the user's own URI is secure.
    @Test func onlyContactsWithItAreTried() {
        let rig = registered("<sip:bob@127.0.0.1:5072>", "<sip:bob@127.0.0.1:5098;transport=tls>", "<sips:bob@127.0.0.1:5099>")
        rig.send("MESSAGE", toBob, from: carol)
        let sent = requests(rig)
        #expect(sent.map(\.destination) == ["tls:127.0.0.1:5099"])
        #expect(sent.map(\.message.uri) == ["sips:bob@127.0.0.1:5099"])
    }

    @Test func aRequestWithoutItGetsThereOverTLSByASIPURI() {
        let rig = registered("<sips:bob@127.0.0.1:5099>")
        rig.send("MESSAGE", "sip:bob@home1.test", from: carol)
        let sent = requests(rig)
        #expect(sent.map(\.destination) == ["tls:127.0.0.1:5099"])
        #expect(sent.map(\.message.uri) == ["sip:bob@127.0.0.1:5099"])
    }

    @Test func anotherNetworkIsNotReachedWithoutTLS() {
        let rig = registered()
        rig.send("MESSAGE", "sips:dora@home2.test", from: carol)
        let answer = rig.first()
        #expect(answer.status == 480)
        #expect(answer["Warning"]?.hasPrefix("380 ") == true)
    }

    @Test func aRouteWithoutTLSIsNotTaken() {
        let rig = registered("<sips:bob@127.0.0.1:5099>")
        rig.send("MESSAGE", toBob, from: carol, [("Route", "<sip:127.0.0.1:6070;lr>")])
        #expect(rig.trace().contains { $0.hasSuffix("480 MESSAGE") })
    }

    /// Default handling (TS 24.229 §5.4.3.2): the session goes on without the server, which is reached by UDP.
    @Test func anApplicationServerWithoutTLSIsPassedOver() {
        let rig = registered("<sips:bob@127.0.0.1:5099>") { configuration in
            configuration.profiles = [Laboratory.profile([Laboratory.criterion(0, [.method("MESSAGE", registrationTypes: [])], 0)])]
        }
        rig.send("MESSAGE", toBob, from: carol)
        #expect(requests(rig).map(\.destination) == ["tls:127.0.0.1:5099"])
        rig.send("MESSAGE", "sip:bob@home1.test", from: carol)
        #expect(requests(rig).map(\.destination) == ["im"])
    }

    @Test func anAcknowledgementNeverGoesOnWithoutTLS() {
        let rig = registered("<sips:bob@127.0.0.1:5099>")
        let own = ("Route", "<sip:127.0.0.1:5061;transport=tls;lr>")
        let headers = [[own], [own, ("Route", "<sip:127.0.0.1:6070;lr>")]]
        for (headers, expected) in zip(headers, [["tls:127.0.0.1:5099 ACK"], []]) {
            let acknowledgement = rig.request("ACK", "sips:bob@127.0.0.1:5099", from: carol, headers)
            rig.receive(acknowledgement.with("To", "<\(toBob)>;tag=remote"), from: carol)
            #expect(rig.trace() == expected)
        }
        #expect(rig.dropped(.unroutableAcknowledgement) == 1)
    }

    @Test(arguments: [("sips:bob@home1.test", "<sip:bob@127.0.0.1:6070>"), ("sip:bob@home1.test", "<sips:bob@127.0.0.1:6070>")])
    func aRedirectionDoesNotChangeTheScheme(uri: String, contact: String) throws {
        let rig = registered("<sips:bob@127.0.0.1:5099>") { $0.followsRedirections = true }
        rig.send("MESSAGE", uri, from: carol)
        let request = try #require(requests(rig).first)
        rig.receive(request.message.response(302, [("Contact", contact)]), from: bob)
        let answer = rig.first()
        #expect(answer.status == 302)
        #expect(answer["Contact"] == contact)
    }

    // MARK: Registration

    @Test(
        arguments: [
            ("sips:home1.test", "<sips:bob@127.0.0.1:5099>", nil, 200), ("sips:home1.test", "<sip:bob@127.0.0.1:5099>", nil, 200),
            ("sips:home1.test", "<sips:bob@127.0.0.1:5099>", "<sips:edge.test;lr>", 200),
            ("sips:home1.test", "<sips:bob@127.0.0.1:5099>, <sip:bob@127.0.0.1:5072>", nil, 400),
            ("sips:home1.test", "<sips:bob@127.0.0.1:5099>", "<sips:edge.test;lr>, <sip:edge.test;lr>", 400),
            ("sip:home1.test", "<sips:bob@127.0.0.1:5099>", nil, 400),
            ("sip:home1.test", "<sips:bob@127.0.0.1:5099>;expires=0, <sip:bob@127.0.0.1:5072>", nil, 200),
        ] as [(String, String, String?, Int)])
    func aContactWithItAsksForItInAllTheRequest(uri: String, contact: String, path: String?, status: Int) {
        let rig = rig()
        var request = rig.registerRequest(carol, contact: contact.replacing("bob@", with: "carol@"), path.map { [("Path", $0)] } ?? [])
        request.startLine = "REGISTER \(uri) SIP/2.0"
        if path != nil { request.set("Supported", "path") }
        rig.receive(request, from: carol)
        #expect(rig.first().status == status)
    }
}
