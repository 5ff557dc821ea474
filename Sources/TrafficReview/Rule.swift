// A rule: what a standard asks, and a function that tells whether a message holds to it.

import SansIO

/// One thing that a standard asks of a user's client or server.
public struct Rule: Sendable {
    /// Stable, in small letters and hyphens.
    public let id: String
    public let severity: Severity
    /// Where it is asked: `RFC 3261 8.1.1.6`.
    public let clause: String
    /// What is asked, in a clause.
    public let demand: String
    let occasion: Occasion
    let examine: @Sendable (Subject) -> Fault?

    /// When a rule is looked at.
    enum Occasion: Sendable {
        /// Any message that a node sent, even one that cannot be read whole.
        case form
        /// A request of a node's own, once: not a copy, nor another's that it passes on. Of these methods; none: any.
        case request(Set<String>)
        /// A request that a server sends on, of what the core had sent it.
        case relay
        /// A copy of a request.
        case copy
        /// A response of a node's own.
        case response
        /// A response to nothing that the core had sent like this.
        case stray
        /// The core's final answer to a request: it tells what the request lacked.
        case answered
        /// A request of the core's is without an answer, or an answer of the core's without what has to follow, for 64*T1.
        case silence
    }

    init(
        _ id: String, _ severity: Severity, _ clause: String, _ demand: String, on occasion: Occasion,
        _ examine: @escaping @Sendable (Subject) -> Fault?
    ) {
        self.id = id
        self.severity = severity
        self.clause = clause
        self.demand = demand
        self.occasion = occasion
        self.examine = examine
    }
}

/// What a rule looks at: a message, its transaction, and what came before.
struct Subject {
    let message: ReadMessage
    let exchange: Exchange?
    let ledger: Ledger
    /// Another transaction that a request has its branch from.
    var branchUsedBy: Exchange?

    /// The request, or the one that a response answers.
    var request: ReadMessage { exchange?.request ?? message }
    var name: String { message.name }
    /// Whether a request comes straight from the one who made it, and that is no server of the topology.
    var isFromUser: Bool { message.observed.peer == nil && message.vias.count == 1 }
    /// Whether the user's client has shown that it is an IMS UE.
    var isFromIMSUser: Bool { isFromUser && ledger.isIMS(message.from?.uri.identity ?? "") }
}

/// How a rule is broken.
struct Fault {
    let text: String
    let advice: String
    /// Messages before it that it has to do with.
    var others: [UInt64] = []

    init(_ text: String, _ advice: String, with others: [UInt64] = []) {
        self.text = text
        self.advice = advice
        self.others = others
    }
}

/// All rules, in the order of their subjects.
public enum Rules {
    public static let all: [Rule] =
        omaIM + publication + registration + digest + message + pagerMode + responses + transactions + calls + dialogs
        + applicationServers
}
