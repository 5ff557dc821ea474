import SansIO

/// Somebody at the other end of a flow.
struct Peer: Hashable {
    var name: String
    /// The identity that its requests are from.
    var identity: String
    var flow: Flow

    init(
        _ name: String, _ identity: String, port: UInt16, transport: Transport = .udp, connection: UInt32 = 0, address: String = "127.0.0.1"
    ) {
        self.name = name
        self.identity = identity
        flow = Flow(
            transport: transport, listener: transport == .udp ? 0 : 1, connection: connection,
            remote: Endpoint(address: IPAddress(address) ?? .loopback, port: port))
    }

    static let alice = Peer("alice", "sip:alice@home1.test", port: 5071)
    static let bob = Peer("bob", "sip:bob@home1.test", port: 5072)
    static let bobDesk = Peer("bobDesk", "sip:bob@home1.test", port: 5073)
    static let bobTablet = Peer("bobTablet", "sip:bob@home1.test", port: 5074)
    /// Not challenged by the core.
    static let carol = Peer("carol", "sip:carol@home1.test", port: 5075)
    static let aliceStream = Peer("aliceStream", "sip:alice@home1.test", port: 40_001, transport: .tcp, connection: 7)
    static let im = Peer("im", "sip:im.home1.test", port: 5080)
    static let second = Peer("second", "sip:second.home1.test", port: 5090)
    static let stream = Peer("stream", "sip:stream.home1.test", port: 5095, transport: .tcp)
    static let stranger = Peer("stranger", "sip:eve@elsewhere.test", port: 5999, address: "192.0.2.66")
    static let home2 = Peer("home2", "sip:dora@home2.test", port: 6060)
    static let home3 = Peer("home3", "sip:emil@home3.test", port: 6070)

    static let all = [
        alice, bob, bobDesk, bobTablet, carol, aliceStream, im, second, stream, stranger, home2, home3,
    ]

    var sentBy: String { flow.remote.text }
    var viaTransport: String { "\(flow.transport.viaName)" }
    var contact: String {
        let user = identity.dropFirst(4).prefix { $0 != "@" }
        return "<sip:\(user)@\(sentBy)\(flow.transport == .udp ? "" : ";transport=\(flow.transport.name)")>"
    }
}
