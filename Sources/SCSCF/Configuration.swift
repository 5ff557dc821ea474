// What a serving CSCF is told at start: addresses as numbers, criteria compiled, subscribers as plans.

public import IMSProfile
public import SIPRegistrar
public import SIPTransaction
public import SansIO

/// Where requests for a SIP URI go (RFC 3263 with names already resolved).
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
    /// A larger request goes by a stream (RFC 3261 §18.1.1), in octets; 0: never.
    public var udpSizeLimit = 1300
    /// Blocks of addresses whose identity headers are believed.
    public var trusted: [(network: IPAddress, prefixLength: Int)] = []
    /// Names that are resolved without a DNS server, in small letters.
    public var hosts: [[UInt8]: Endpoint] = [:]
    public var applicationServers: [ServerPlan] = []
    public var networks: [NetworkPlan] = []
    public var subscribers: [SubscriberPlan] = []
    public var profiles: [ServiceProfile] = []
    /// The most transactions that may live at once.
    public var transactionLimit = 1_000_000
    /// The most octets kept for retransmission at once; past it requests are refused as past `transactionLimit`.
    public var keptLimit = 1 << 30
    /// Whether the contacts of a 3xx are tried in place of the one that gave it (RFC 3261 §16.7 step 4).
    public var followsRedirections = false
    /// Whether changes of registrations are stored, so that what depends on one waits for its commit.
    public var isPersistent = false
    /// The same for all shards of a node.
    public var seed: UInt64 = 0
    /// Which of the node's shards this core is.
    public var place = ShardPlace.only

    public init(domain: [UInt8], listeners: [Listener]) {
        self.domain = domain
        self.listeners = listeners
    }

    /// An application server.
    public struct ServerPlan: Sendable {
        public var name: String
        /// The URI as the topology has it, for Request-URI and Route.
        public var uri: [UInt8]
        public var destination: Destination
        /// How long it may give no sign before default handling (TS 24.229 §5.4.3.2).
        public var answerWithin: TimeSpan
        public init(name: String, uri: [UInt8], destination: Destination, answerWithin: TimeSpan) {
            self.name = name
            self.uri = uri
            self.destination = destination
            self.answerWithin = answerWithin
        }
    }

    /// Another network.
    public struct NetworkPlan: Sendable {
        /// In small letters.
        public var domain: [UInt8]
        public var destination: Destination
        public var isTrusted: Bool
        public init(domain: [UInt8], destination: Destination, isTrusted: Bool) {
            self.domain = domain
            self.destination = destination
            self.isTrusted = isTrusted
        }
    }
}
