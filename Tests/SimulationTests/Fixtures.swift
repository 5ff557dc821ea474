import IMSProfile
import InstantMessaging
import SCSCF
import SIPMessage
import SIPRegistrar
import SansIO

@testable import Simulation

/// Labs as the tests need them.
enum Laboratory {
    static let core = Endpoint(address: IPAddress(v4: 0xC000_0201), port: 5060)
    static func server(_ number: Int) -> Endpoint { Endpoint(address: IPAddress(v4: 0xC633_6401 + UInt32(number)), port: 5060) }
    static func client(_ number: Int) -> Endpoint { Endpoint(address: IPAddress(v4: 0xCB00_7101 + UInt32(number)), port: 5060) }

    /// A core, an IM Server, and alice, bob and carol with it; they are not asked for passwords.
    static func plan(shards: Int = 1) -> LabPlan {
        var core = ServingCSCFConfiguration(
            domain: Array("home1.test".utf8), listeners: [Listener(transport: .udp, local: Laboratory.core)])
        core.udpSizeLimit = 0
        let destination = Destination(endpoint: server(0), transport: .udp)
        core.applicationServers = [
            .init(name: "im", uri: Array("sip:\(server(0).text)".utf8), destination: destination, answerWithin: .seconds(32))
        ]
        var faults: [CriterionFault] = []
        core.profiles = [ServiceProfile(shortForm, faults: &faults)]
        let names = ["alice", "bob", "carol"]
        core.subscribers = names.map { name in
            SubscriberPlan(
                name: name, publicIdentities: [IdentityTemplate("sip:\(name)@home1.test")],
                privateIdentities: [IdentityTemplate("\(name)@home1.test")], passwords: [nil], isAuthenticated: false, profile: 0)
        }
        var plan = LabPlan(core: core)
        plan.shards = shards
        plan.servers = [
            LabPlan.Server(
                name: "im", address: server(0),
                role: .imServer(
                    IMServerSettings(
                        domain: "home1.test", listeners: [Listener(transport: .udp, local: server(0))], core: Laboratory.core, seed: 0)))
        ]
        plan.clients = names.enumerated().map { number, name in
            LabPlan.Client(
                name: name,
                settings: IMClientSettings(
                    domain: "home1.test", publicIdentity: "sip:\(name)@home1.test", password: "", core: Laboratory.core,
                    listeners: [Listener(transport: .udp, local: client(number))], seed: 0),
                user: LabPlan.User(
                    subscription: .init(number: UInt32(number), plan: core.subscribers[number]),
                    identities: [LabPlan.Identity(uri: "sip:\(name)@home1.test", criteria: [criterion])]))
        }
        return plan
    }

    /// What `feature_tags: [+g.oma.sip-im]` stands for.
    private static var shortForm: [InitialFilterCriterion] {
        [ServicePointTrigger.Condition.method("REGISTER"), .featureTag("+g.oma.sip-im")].map { condition in
            InitialFilterCriterion(
                priority: 0, trigger: TriggerPoint(isConjunctive: true, groups: [[ServicePointTrigger(condition)]]),
                applicationServer: ApplicationServer(uri: "sip:\(server(0).text)", index: 0), isShortForm: true)
        }
    }

    static let criterion = RegistrationCriterion(server: 0, trigger: [[.init(.register([]))]], isShortForm: true)
}
