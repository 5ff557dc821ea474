// What a serving CSCF is told at start: addresses as numbers, criteria compiled, subscribers as plans.

public import IMSProfile
public import SIPRegistrar
public import SIPTransaction
public import SansIO

/// Where requests for a SIP URI go, the name in it already resolved.
public struct Destination: BitwiseCopyable, Hashable, Sendable {
    public var endpoint: Endpoint
    public var transport: Transport
    public init(endpoint: Endpoint, transport: Transport) {
        self.endpoint = endpoint
        self.transport = transport
    }
}

public struct ServingCSCFConfiguration: Sendable {
    /// The home network domain and digest realm, in small letters.
    public var domain: [UInt8]
    public var listeners: [Listener]
    public var registrar = RegistrarSettings()
    public var timers = TimerSettings()
    /// Wrong answers in a row that are challenged anew.
    public var authenticationFailures = 3
    /// What a challenge for a password offers, by hash function and by qop, in this order; one of each at least.
    public var digestFunctions: [DigestFunction] = [.md5]
    public var digestQops: [DigestQop] = [.auth]
    /// How long a challenge may be answered (reg-await-auth and request-await-auth, TS 24.229 table 7.8.1).
    public var challengeLifetime = TimeSpan.seconds(240)
    /// Whether answers without qop, in the manner of RFC 2069, are refused.
    public var requiresQop = false
    /// Whether challenges say that a hash will do in place of the user name (RFC 7616 §3.4.4).
    public var offersUserHash = false
    /// What the 200 to a REGISTER that a password proved says in Authentication-Info.
    public var authenticationInfo = AuthenticationInfo.proof
    /// What a challenge for a SIM offers, in this order; one at least.
    public var akaAlgorithms: [AKAAlgorithm] = [.v1MD5]
    /// A larger request goes by a stream (RFC 3261 §18.1.1), in octets; 0: never.
    public var udpSizeLimit = 1300
    /// Blocks of addresses whose identity headers are believed.
    public var trusted: [(network: IPAddress, prefixLength: Int)] = []
    /// Names that are resolved without a DNS server, in small letters.
    public var hosts: [[UInt8]: Endpoint] = [:]
    /// Whether other names may be asked for (RFC 3263): whoever drives the core answers then.
    public var asksNames = false
    public var applicationServers: [ServerPlan] = []
    public var networks: [NetworkPlan] = []
    public var subscribers: [SubscriberPlan] = []
    /// What was changed of them in an earlier run.
    var provisioning: [ProvisioningStep] = []
    public var profiles: [ServiceProfile] = []
    /// The most transactions that may live at once.
    public var transactionLimit = 1_000_000
    /// The most octets kept for retransmission at once; past it requests are refused as past `transactionLimit`.
    public var keptLimit = 1 << 30
    /// Whether the contacts of a 3xx are tried in place of the one that gave it (RFC 3261 §16.7 step 4).
    public var followsRedirections = false
    /// How application servers are told of registrations.
    public var thirdParty = ThirdPartySettings()
    /// Whether a user is deregistered whose first REGISTER no criterion takes.
    public var rejectsUnservedUsers = false
    /// Networks that users may roam in, by their names in P-Visited-Network-ID in small letters, beside our own; empty: all.
    public var visitedNetworks: [[UInt8]] = []
    /// The value of P-Charging-Function-Addresses (RFC 7315 §4.5); empty: none.
    public var chargingFunctions: [UInt8] = []
    /// How often UEs shall keep their flows alive, in seconds (RFC 5626 §4.4); 0: they are not told.
    public var flowTimer: UInt32 = 120
    /// How long a flow may be silent whose UE was told to keep it alive: Flow-Timer and half of it again (RFC 5626 §4.4); nil:
    /// UEs are not told.
    public var patienceWithFlows: TimeSpan? { flowTimer > 0 ? .milliseconds(Int(flowTimer) * 1500) : nil }
    /// How subscriptions to registration state are served.
    public var registrationEvents = RegistrationEventSettings()
    /// Whether changes of registrations are stored, so that what depends on one waits for its commit.
    public var isPersistent = false
    /// How many decisions about requests are remembered, so that they can be explained; 0: none. A request may take several.
    public var decisionsKept = 0
    /// Whether each decision is told in a notice at debug; then some must be kept.
    public var logsDecisions = false
    /// The same for all shards of a node.
    public var seed: UInt64 = 0
    /// Which of the node's shards this core is.
    public var place = ShardPlace.only

    public init(domain: [UInt8], listeners: [Listener]) {
        self.domain = domain
        self.listeners = listeners
    }

    /// Authentication-Info (RFC 2617 §3.2.3).
    public enum AuthenticationInfo: BitwiseCopyable, Sendable {
        case none
        /// That the core knows the password too.
        case proof
        /// That, and a nonce for the next REGISTER, as fresh as a challenge (TS 24.229 §5.4.1.2.2A).
        case nextNonce
    }

    /// How application servers are told of registrations (TS 24.229 §5.4.1.7).
    public struct ThirdPartySettings: BitwiseCopyable, Sendable {
        /// Whether the 200 to a user's REGISTER waits until each application server has answered, or is given up.
        public var holdsAnswer = false
        /// Whether the end of some of a user's contacts is told with Expires 0, as the end of all is (§5.7.1.1, the note);
        /// else with the longest time that the others have left.
        public var tellsZeroWithContactsLeft = false
        /// Whether a change of a registered user's profile is told to servers that it brings in (§5.4.1.8).
        public var tellsProfileChanges = false
        /// Whether each registration has a token, told in Contact and in what the user sends later (TS 24.229 §7.9.7).
        public var givesTokens = false
        public init() {}
    }

    /// An application server.
    public struct ServerPlan: Sendable {
        public var name: String
        /// The URI as the topology has it, for Request-URI and Route.
        public var uri: [UInt8]
        /// `.none` as endpoint if it has to be located.
        public var destination: Destination
        /// How long it may give no sign before default handling (TS 24.229 §5.4.3.2).
        public var answerWithin: TimeSpan
        /// What it is located by; nil: its address is known.
        public var location: ServerName?
        public init(name: String, uri: [UInt8], destination: Destination, answerWithin: TimeSpan, location: ServerName? = nil) {
            self.name = name
            self.uri = uri
            self.destination = destination
            self.answerWithin = answerWithin
            self.location = location
        }
    }

    /// Another network.
    public struct NetworkPlan: Sendable {
        /// In small letters.
        public var domain: [UInt8]
        /// `.none` as endpoint if it has to be located.
        public var destination: Destination
        public var isTrusted: Bool
        /// What it is located by; nil: its address is known.
        public var location: ServerName?
        public init(domain: [UInt8], destination: Destination, isTrusted: Bool, location: ServerName? = nil) {
            self.domain = domain
            self.destination = destination
            self.isTrusted = isTrusted
            self.location = location
        }
    }
}
