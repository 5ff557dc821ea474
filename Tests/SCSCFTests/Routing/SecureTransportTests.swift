import SCSCF
import SansIO
import Testing

/// TLS and WebSocket as the core sees them: names in what it writes, and where a SIPS URI leads (RFC 3261 §16.6, §26.2.2).
@Suite(.overShards) struct SecureTransportTests {
    private func rig() -> CoreRig {
        CoreRig { configuration in
            for (transport, port) in [(Transport.tls, 5061), (.wss, 8443)] as [(Transport, UInt16)] {
                configuration.listeners.append(Listener(transport: transport, local: Endpoint(address: .loopback, port: port)))
            }
        }
    }

    private func peer(_ transport: Transport, listener: UInt8, connection: UInt32) -> Peer {
        var peer = Peer("carol", "sip:carol@home1.test", port: 40_002, transport: transport, connection: connection)
        peer.flow.listener = listener
        return peer
    }

    @Test(arguments: [(Transport.tls, UInt8(2), "127.0.0.1:5061;transport=tls"), (.wss, 3, "127.0.0.1:8443;transport=ws")])
    func theServiceRouteNamesTheTransport(transport: Transport, listener: UInt8, address: String) {
        let (rig, carol) = (rig(), peer(transport, listener: listener, connection: 9))
        rig.receive(rig.registerRequest(carol, contact: "<sip:carol@df7.invalid;transport=ws>"), from: carol)
        let answer = rig.first()
        #expect(answer.status == 200)
        #expect(answer["Service-Route"] == "<sip:orig@\(address);lr>")
    }

    @Test func aSIPSURILeadsToTLSAndIsRecordedAsOne() {
        let (rig, carol) = (rig(), peer(.tls, listener: 2, connection: 9))
        var registration = rig.registerRequest(carol, contact: "<sips:carol@127.0.0.2:5099>")
        registration.startLine = "REGISTER sips:home1.test SIP/2.0"
        rig.receive(registration, from: carol)
        _ = rig.taken()
        rig.send("INVITE", "sips:carol@home1.test", from: carol)
        let sent = rig.taken().first { $0.message.isRequest && $0.message.method == "INVITE" }
        #expect(sent?.destination == "tls:127.0.0.2:5099")
        #expect(sent?.message.uri == "sips:carol@127.0.0.2:5099")
        #expect(sent?.message["Via"]?.hasPrefix("SIP/2.0/TLS 127.0.0.1:5061;") == true)
        #expect(sent?.message.all("Record-Route") == ["<sips:127.0.0.1:5061;lr>"])
    }

    @Test func aContactByWebSocketIsReachedByItsStream() {
        let (rig, carol) = (rig().registered(.bob), peer(.wss, listener: 3, connection: 9))
        rig.receive(rig.registerRequest(carol, contact: "<sip:carol@192.0.2.9;transport=ws>"), from: carol)
        _ = rig.taken()
        rig.send("MESSAGE", "sip:carol@home1.test", from: .bob)
        let sent = rig.taken().first { $0.message.isRequest && $0.message.method == "MESSAGE" }
        #expect(sent?.flow == carol.flow)
        #expect(sent?.message["Via"]?.hasPrefix("SIP/2.0/WSS 127.0.0.1:8443;") == true)
    }
}
