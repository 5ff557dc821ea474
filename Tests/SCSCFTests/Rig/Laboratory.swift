import IMSProfile
import SCSCF
import SansIO

/// The parts of the topology that the tests have in common.
enum Laboratory {
    /// Two listeners, application servers `im`, `second` and `stream`; alice and bob with digest and the short form of `im`;
    /// carol without authentication and criteria; a range of subscribers; `home2` trusted, `home3` not.
    static func configuration() -> ServingCSCFConfiguration {
        let own = Endpoint(address: .loopback, port: 5060)
        var configuration = ServingCSCFConfiguration(
            domain: Array("home1.test".utf8),
            listeners: [Listener(transport: .udp, local: own), Listener(transport: .tcp, local: own)])
        configuration.applicationServers = [
            server("im", .im, "sip:127.0.0.1:5080"), server("second", .second, "sip:127.0.0.1:5090"),
            server("stream", .stream, "sip:127.0.0.1:5095;transport=tcp"),
        ]
        configuration.networks = [
            ServingCSCFConfiguration.NetworkPlan(domain: Array("home2.test".utf8), destination: destination(.home2), isTrusted: true),
            ServingCSCFConfiguration.NetworkPlan(domain: Array("home3.test".utf8), destination: destination(.home3), isTrusted: false),
        ]
        configuration.profiles = [profile(shortForm(0))]
        configuration.subscribers = [
            subscriber("alice", ["sip:alice@home1.test", "tel:+15550100"], password: "wonderland", profile: 0),
            subscriber("bob", ["sip:bob@home1.test"], password: "builder", profile: 0),
            subscriber("carol", ["sip:carol@home1.test"], password: nil, profile: nil),
        ]
        configuration.seed = 11
        return configuration
    }

    static func server(_ name: String, _ peer: Peer, _ uri: String, answerWithin: TimeSpan = .seconds(32))
        -> ServingCSCFConfiguration.ServerPlan
    {
        ServingCSCFConfiguration.ServerPlan(name: name, uri: Array(uri.utf8), destination: destination(peer), answerWithin: answerWithin)
    }

    static func destination(_ peer: Peer) -> Destination { Destination(endpoint: peer.flow.remote, transport: peer.flow.transport) }

    static func subscriber(_ name: String, _ identities: [String], password: String?, profile: Int?) -> SubscriberPlan {
        SubscriberPlan(
            name: name, publicIdentities: identities.map { IdentityTemplate($0) },
            privateIdentities: [IdentityTemplate("\(name)@home1.test")],
            passwords: [password.map { IdentityTemplate($0) }], isAuthenticated: password != nil, profile: profile)
    }

    /// `u0000` to `u0999`, all with the password `pw-NAME`.
    static func range() -> SubscriberPlan {
        var plan = SubscriberPlan(
            name: "u", publicIdentities: [template("sip:", "@home1.test")], privateIdentities: [template("", "@home1.test")],
            passwords: [template("pw-", "")], isAuthenticated: true, profile: 0)
        plan.range = 0...999
        plan.width = 4
        return plan
    }

    private static func template(_ before: String, _ after: String) -> IdentityTemplate {
        IdentityTemplate(pieces: [Array(before.utf8), Array(after.utf8)])
    }

    // MARK: Criteria

    static func profile(_ criteria: [InitialFilterCriterion]) -> ServiceProfile {
        var faults: [CriterionFault] = []
        let profile = ServiceProfile(criteria, faults: &faults)
        precondition(faults.isEmpty, "\(faults)")
        return profile
    }

    /// What `feature_tags: [+g.oma.sip-im]` stands for.
    static func shortForm(_ server: Int, tag: String = "+g.oma.sip-im") -> [InitialFilterCriterion] {
        let groups: [[ServicePointTrigger]] = [[ServicePointTrigger(.method("REGISTER"))], [ServicePointTrigger(.featureTag(tag))]]
        return groups.map {
            InitialFilterCriterion(
                priority: 0, trigger: TriggerPoint(isConjunctive: true, groups: [$0]), applicationServer: application(server),
                isShortForm: true)
        }
    }

    /// A criterion of the long form: all conditions hold.
    static func criterion(
        _ priority: Int = 0, _ conditions: [ServicePointTrigger.Condition], _ server: Int,
        _ change: (inout ApplicationServer) -> Void = { _ in }
    ) -> InitialFilterCriterion {
        var application = application(server)
        change(&application)
        return InitialFilterCriterion(
            priority: priority,
            trigger: conditions.isEmpty
                ? nil : TriggerPoint(isConjunctive: true, groups: conditions.map { [ServicePointTrigger($0)] }),
            applicationServer: application)
    }

    private static func application(_ server: Int) -> ApplicationServer {
        ApplicationServer(uri: ["sip:127.0.0.1:5080", "sip:127.0.0.1:5090", "sip:127.0.0.1:5095;transport=tcp"][server], index: server)
    }
}
