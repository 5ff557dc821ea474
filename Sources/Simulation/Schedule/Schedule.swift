// What happens in a run, drawn from its seed before it begins: what clients are told, what the network does to subscribers, and
// what goes wrong. It is a value, so that a failing run can be tried with less of it.

import InstantMessaging
import SCSCF
import SansIO

/// All that a run does to its lab.
struct Schedule: Sendable {
    var quality: NetworkQuality
    /// Whether the core has a database.
    var isPersistent: Bool
    /// How long a commit takes at most.
    var commitTime: TimeSpan
    /// Whether the network tells the sender that nobody listens at an address.
    var tellsUnreachable: Bool
    var steps: [Step]
    var faults: [Fault]

    struct Step: Sendable {
        var time: Instant
        var action: Action
    }

    enum Action: Sendable {
        case command(client: Int, ClientCommand)
        case call(client: Int, to: String, patience: TimeSpan, talk: TimeSpan)
        case deregister(client: Int, DeregistrationEvent)
        case reauthenticate(client: Int)
        case provision(client: Int, SubscriberVariant)
    }

    struct Fault: Sendable {
        var time: Instant
        var span: TimeSpan
        var kind: Kind

        enum Kind: Sendable, Hashable {
            /// Nothing goes from one of the two to the other.
            case partition(Int, Int)
            /// The process dies, and is started again when the time is over.
            case crash(Int)
            /// An application server's answers come so much later.
            case slow(server: Int, TimeSpan)
            /// It gets nothing and sends nothing.
            case dead(server: Int)
            /// It answers each new request 503.
            case overloaded(server: Int)
            /// The commits of a node fail.
            case failingStore(Int)
        }
    }

    /// When the last of it begins.
    var end: Instant { (steps.map(\.time) + faults.map { $0.time + $0.span }).max() ?? .zero }
}

/// What becomes of a datagram.
struct NetworkQuality: Sendable, Hashable {
    /// Of a thousand datagrams, how many are lost, come twice, or are late.
    var loss = 0
    var duplication = 0
    var reordering = 0
    /// How late a late one is at most; less than what a message may live (T4, RFC 3261 §17).
    var lateness = TimeSpan.seconds(2)
}
