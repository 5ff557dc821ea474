import SCSCF
import SansIO
import TortureMessages

/// The world that the messages of RFC 4475 and RFC 5118 speak of: mirror.test is home, its users are provisioned, and
/// whoever sends the messages is trusted, so that nothing but the message decides.
enum TortureLaboratory {
    /// The sender of a torture message.
    static let sender = Peer("sender", "sip:dialer@pepper.test", port: 5065, address: "192.0.2.66")
    /// Where the contacts of all users of mirror.test are.
    static let phone = Peer("phone", "sip:phone@mirror.test", port: 5085, address: "192.0.2.67")
    /// Every other network and every named host.
    static let elsewhere = Peer("elsewhere", "sip:elsewhere@pepper.test", port: 5066, address: "192.0.2.68")

    /// Users of mirror.test, by the identities in which the messages name them.
    static let users = [
        ["sip:user@mirror.test", "sip:user@[2001:db8::10]"], ["sip:j.user@mirror.test"], ["sip:callee@mirror.test"],
        ["sip:UserQ@mirror.test"], ["sip:null-%00-null@mirror.test"], ["sip:user;par=u%40pepper.test@mirror.test"],
        ["sip:1_strange.uri~(to-be!sure)&isn't+it$/weird?,/;;*@mirror.test"],
    ]

    static func rig(_ change: (inout ServingCSCFConfiguration) -> Void = { _ in }) -> CoreRig {
        CoreRig(Division()) { configuration in
            configuration.domain = Array("mirror.test".utf8)
            configuration.listeners += [
                listener("2001:db8::10", 5060), listener("2001:db8::10", 5070), listener("2001:db8::10:5070", 5060),
            ]
            configuration.applicationServers = []
            configuration.profiles = []
            configuration.subscribers = users.enumerated().map { number, identities in
                Laboratory.subscriber("user\(number)", identities, password: nil, profile: nil)
            }
            configuration.networks = ["pepper.test", "walnut.test", "chair-dnrc.mirror.test", "registrar.mirror.test"].map {
                .init(domain: Array($0.utf8), destination: Laboratory.destination(elsewhere), isTrusted: true)
            }
            for name in ["services.mirror.test", "host.pepper.test"] {
                configuration.hosts[Array(name.utf8)] = elsewhere.flow.remote
            }
            configuration.trusted = [(network: IPAddress(v4: 0xC000_0200), prefixLength: 24)]
            configuration.udpSizeLimit = 0
            change(&configuration)
        }
    }

    private static func listener(_ address: String, _ port: UInt16) -> Listener {
        Listener(transport: .udp, local: Endpoint(address: IPAddress(address) ?? .loopback, port: port))
    }

    /// The same with all users registered; what that sent is forgotten.
    static func registeredRig(_ change: (inout ServingCSCFConfiguration) -> Void = { _ in }) -> CoreRig {
        let rig = TortureLaboratory.rig(change)
        for (number, identities) in users.enumerated() {
            rig.receive(
                """
                REGISTER sip:mirror.test SIP/2.0
                Via: SIP/2.0/UDP \(phone.sentBy);branch=z9hG4bKr\(number)
                From: <\(identities[0])>;tag=r
                To: <\(identities[0])>
                Call-ID: register\(number)
                CSeq: 1 REGISTER
                Contact: <sip:phone\(number)@\(phone.sentBy)>
                Content-Length: 0\n\n
                """, from: phone)
        }
        precondition(rig.taken().allSatisfy { $0.message.status == 200 }, "not all users are registered")
        return rig
    }

    static func name(_ sent: CoreRig.Sent) -> String {
        [sender, phone, elsewhere].first { $0.flow.remote == sent.flow.remote }?.name ?? sent.destination
    }
}
