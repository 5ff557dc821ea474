// What checkers get to see: the wire, what clients report, and what was done to nodes. Nothing of how a run was made reaches
// them, so that they cannot share its errors.

import InstantMessaging
import SansIO

/// Something that happened.
enum Observation {
    /// A node sent a message. Copies that the network makes are not told of.
    case sent(WireMessage)
    /// A message was handed to its receiver. `time` in it is when it was sent.
    case delivered(WireMessage)
    /// The sender of a message was told that nobody listens where it went.
    case unreachable(WireMessage)
    /// A process died, and with it all that it had not stored.
    case crashed(station: Int)
    case started(station: Int)
    /// The network has a user deregistered; for a core with a database it is stored with the changes up to `change`.
    case deregistered(client: Int, wasRegistered: Bool, change: UInt64)
    /// The network has a user authenticate anew.
    case reauthenticated(client: Int, change: UInt64)
    /// A core with a database was told that its changes up to this one are stored, or lost.
    case committed(upTo: UInt64, succeeded: Bool)
    /// The core's answer to who is registered.
    case registrations([RegisteredUser])
    /// The subscriber is to be another one when that is stored; nobody finds one who is to be gone.
    case changing(client: Int, SubscriberVariant)
    /// It could not be stored.
    case changeFailed(client: Int)
    /// The subscriber is another one from now on.
    case changed(client: Int, SubscriberVariant)
    case event(client: Int, ClientEvent.Kind)
    case call(client: Int, Phone.Event)
    /// All faults are over.
    case lifted
    /// Nothing is under way any more, and clients are to be as they should be.
    case settled
    /// Since then each client has called another, and all calls are over.
    case called
    /// All are deregistered; what is under way in each node.
    case rested([RemainingWork])
}

/// A registered identity, as the core tells it.
struct RegisteredUser {
    var identity: String
    /// With the seconds that are left.
    var contacts: [WireMessage.Contact]
}

/// What is left of a node's work.
struct RemainingWork {
    var station: Int
    /// What it is, and how much.
    var counts: [(name: String, count: Int)]
}

/// What a subscriber is provisioned as.
enum SubscriberVariant: Hashable, CaseIterable {
    case planned
    /// Without filter criteria.
    case withoutCriteria
    case gone
}

/// What did not hold.
struct Violation: Hashable, Sendable {
    /// The checker that found it.
    var checker: String
    var text: String
    var time: Instant
    /// Stands for the Call-ID of a message that it is about; 0: of none.
    var call: UInt64 = 0
    /// The identity whose registration it is about; empty: of nobody's.
    var subject = ""
}

/// Watches a run for one kind of promise.
protocol Checker {
    var violations: [Violation] { get }
    mutating func observe(_ observation: Observation, at time: Instant)
}

/// Who is who in a lab.
struct Cast {
    let plan: LabPlan
    let clientCount: Int

    init(_ plan: LabPlan) {
        self.plan = plan
        clientCount = plan.clients.count
    }

    /// Stations in the order of a ladder's columns: clients, the core, servers.
    var core: Int { clientCount }
    var stationCount: Int { clientCount + 1 + plan.servers.count }
    func isClient(_ station: Int) -> Bool { station >= 0 && station < clientCount }
    func server(of station: Int) -> Int? { station > clientCount ? station - clientCount - 1 : nil }
    func station(ofServer server: Int) -> Int { clientCount + 1 + server }
    func name(_ station: Int) -> String { station < 0 ? "nobody" : plan.nodeNames[station] }

    /// The client whose user has an identity.
    func client(of identity: String) -> Int? {
        plan.clients.firstIndex { $0.user.identities.contains { $0.uri == identity } }
    }
}
