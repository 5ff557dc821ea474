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

    /// We are the edge that marks what comes on a connection whose user has proved itself `tls-yes`.
    @Test func whoHasProvedItselfOnAConnectionNeedNotDoSoAgain() {
        let rig = rig()
        func alice(_ transport: Transport, connection: UInt32) -> Peer {
            var peer = Peer.alice
            peer.flow = Flow(transport: transport, listener: transport == .tls ? 2 : 1, connection: connection, remote: peer.flow.remote)
            return peer
        }
        func status(_ peer: Peer, _ authorization: String?) -> Int? {
            _ = rig.taken()
            rig.receive(rig.registerRequest(peer, contact: "<sip:alice@127.0.0.1:5071>").with("Authorization", authorization), from: peer)
            return rig.first().status
        }
        func credentials(_ name: String = "alice@home1.test", response: String = "") -> String {
            "Digest username=\"\(name)\", realm=\"home1.test\", nonce=\"\", uri=\"sip:home1.test\", response=\"\(response)\""
        }
        for (transport, isBound) in [(Transport.tls, true), (.tcp, false)] {
            let peer = alice(transport, connection: 9)
            let request = rig.registerRequest(peer, contact: "<sip:alice@127.0.0.1:5071>")
            rig.receive(request, from: peer)
            let challenge = rig.first()
            #expect(challenge.status == 401)
            rig.receive(rig.answering(challenge, request, username: "alice", password: "wonderland"), from: peer)
            #expect(rig.first().status == 200)
            #expect(status(peer, credentials()) == (isBound ? 200 : 401))
            // Who names nobody, somebody else or a proof, or comes by another connection, is asked.
            #expect(status(peer, nil) == 401)
            #expect(status(peer, credentials("bob@home1.test")) != 200)
            #expect(status(peer, credentials(response: String(repeating: "0", count: 32))) == 401)
            #expect(status(alice(transport, connection: 10), credentials()) == 401)
        }
        // The network may ask all the same.
        let peer = alice(.tls, connection: 9)
        let request = rig.registerRequest(peer, contact: "<sip:alice@127.0.0.1:5071>")
        rig.receive(request, from: peer)
        rig.receive(rig.answering(rig.first(), request, username: "alice", password: "wonderland"), from: peer)
        #expect(rig.first().status == 200)
        #expect(rig.onEachShard { $0.reauthenticate("sip:alice@home1.test", at: $1, into: &$2) }.contains(true))
        #expect(status(peer, credentials()) == 401)
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
