import SCSCF
import SansIO
import Testing

/// `alias` in a Via: whose word is taken for it (RFC 5923).
@Suite(.overShards) struct ConnectionReuseTests {
    private func peer(_ transport: Transport, port: UInt16) -> Peer {
        var peer = Peer("proxy", "sip:proxy.test", port: port, transport: transport, connection: 9, address: "192.0.2.30")
        peer.flow.listener = transport == .tls ? 2 : 1
        return peer
    }

    private func aliases(_ transport: Transport, _ via: String, trusted: Bool = false) -> [String] {
        let rig = CoreRig { configuration in
            configuration.listeners.append(Listener(transport: .tls, local: Endpoint(address: .loopback, port: 5061)))
            if trusted, let block = IPAddress("192.0.2.0") { configuration.trusted = [(block, 24)] }
        }
        let peer = peer(transport, port: 40_000)
        let request = rig.request("OPTIONS", "sip:home1.test", from: peer)
        rig.receive(request.with("Via", "SIP/2.0/\(peer.viaTransport) \(via)"), from: peer)
        #expect(rig.first().status == 200)
        return rig.aliases
    }

    @Test func withTLSTheCertificateIsAskedFor() {
        #expect(aliases(.tls, "proxy.test:5071;branch=z9hG4bK1;alias") == ["9 5071 proxy.test"])
        #expect(aliases(.tls, "Proxy.test;ALIAS;branch=z9hG4bK1") == ["9 5061 Proxy.test"])
        #expect(aliases(.tls, "[2001:db8::7]:5071;branch=z9hG4bK1;alias") == ["9 5071 [2001:db8::7]"])
    }

    @Test func withoutTLSOnlyTrustedPeersAreBelieved() {
        #expect(aliases(.tcp, "192.0.2.30:5070;branch=z9hG4bK1;alias", trusted: true) == ["9 5070 192.0.2.30"])
        #expect(aliases(.tcp, "192.0.2.30:5070;branch=z9hG4bK1;alias") == [])
    }

    @Test func nobodyElseAsks() {
        #expect(aliases(.tls, "proxy.test:5071;branch=z9hG4bK1") == [])
        #expect(aliases(.tls, "proxy.test:5071;branch=z9hG4bK1;aliases") == [])
        #expect(aliases(.tcp, "proxy.test:5071;branch=z9hG4bK1;blias", trusted: true) == [])
    }

    @Test func aDatagramHasNoConnection() {
        let rig = CoreRig()
        let request = rig.request("OPTIONS", "sip:home1.test", from: .im)
        rig.receive(request.with("Via", "\(request["Via"] ?? "");alias"), from: .im)
        #expect(rig.first().status == 200)
        #expect(rig.aliases == [])
    }
}
