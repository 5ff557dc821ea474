// What is simulated: a core, its application servers and its clients, as a topology has them, each at a fixed address of a
// network that is not there. All of it goes by UDP.

public import InstantMessaging
public import SCSCF
public import SansIO

/// A lab that can be simulated.
public struct LabPlan: Sendable {
    /// The core's configuration. Its seed, and whether it has a database, a run decides.
    public var core: ServingCSCFConfiguration
    /// How many shards the core has.
    public var shards = 1
    /// Whether the core has a database in each run; else half of the runs give it one.
    public var hasDatabase = false
    /// By their numbers in the core's configuration.
    public var servers: [Server] = []
    public var clients: [Client] = []
    /// What the name service knows.
    public var names: [[UInt8]: IPAddress] = [:]

    public init(core: ServingCSCFConfiguration) { self.core = core }

    /// An application server.
    public struct Server: Sendable {
        public enum Role: Sendable {
            /// The built-in IM Server, with a database.
            case imServer(IMServerSettings)
            /// One that answers every request 200 and passes none on: for a server that is not built in.
            case standIn
        }
        public var name: String
        public var address: Endpoint
        public var role: Role
        /// How long the core waits for it before default handling.
        public var answerWithin: TimeSpan
        public init(name: String, address: Endpoint, role: Role, answerWithin: TimeSpan = .seconds(32)) {
            self.name = name
            self.address = address
            self.role = role
            self.answerWithin = answerWithin
        }
    }

    /// A built-in IM Client and what the network knows of its user.
    public struct Client: Sendable {
        public var name: String
        public var settings: IMClientSettings
        public var user: User
        public init(name: String, settings: IMClientSettings, user: User) {
            self.name = name
            self.settings = settings
            self.user = user
        }
    }

    /// What the models know of a user.
    public struct User: Sendable {
        /// The subscriber's number in the core and its plan; nil: one of a range, who is not changed while a run lasts.
        public var subscription: Subscription?
        /// The implicit registration set, the default identity first.
        public var identities: [Identity]
        public init(subscription: Subscription? = nil, identities: [Identity]) {
            self.subscription = subscription
            self.identities = identities
        }
    }

    public struct Subscription: Sendable {
        public var number: UInt32
        public var plan: SubscriberPlan
        public init(number: UInt32, plan: SubscriberPlan) {
            self.number = number
            self.plan = plan
        }
    }

    /// A public identity, and which application servers its profile tells of registrations.
    public struct Identity: Sendable {
        /// In canonical form.
        public var uri: String
        public var isBarred: Bool
        public var criteria: [RegistrationCriterion]
        public init(uri: String, isBarred: Bool = false, criteria: [RegistrationCriterion] = []) {
            self.uri = uri
            self.isBarred = isBarred
            self.criteria = criteria
        }
    }
}

extension LabPlan {
    /// The names of all nodes, the core's first: the columns of a ladder.
    var nodeNames: [String] { clients.map(\.name) + ["core"] + servers.map(\.name) }
}
