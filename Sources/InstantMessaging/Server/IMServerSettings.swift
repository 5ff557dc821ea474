// What an IM Server is told at its start, with the defaults.

public import SIPTransaction
public import SansIO

public struct IMServerSettings: Sendable {
    /// The home network domain whose users are served.
    public var domain: String
    /// Our listeners, by the numbers that flows name.
    public var listeners: [Listener]
    /// Where requests for the core go when no Route says otherwise.
    public var core: Endpoint
    public var coreTransport: Transport
    /// The core's address as a URI, `sip:127.0.0.1:5060`.
    public var coreURI: String
    /// Who may send requests: on a datagram listener by address and port, on a stream by address. The core if empty.
    public var trustedPeers: [Endpoint]

    /// The event package of the settings (RFC 4354).
    public var packageName = "poc-settings"
    /// Seconds of a publication: the least that is taken, what is granted when none is asked for, and the most.
    public var expires = ExpiresLimits()
    public var composition = SettingsComposition.mostRestrictive
    /// Live publications of one user.
    public var publicationQuota = 16
    /// Octets of a settings document, and of a message.
    public var bodyLimit = 16_384
    /// PUBLISH requests of one user within a second.
    public var publicationRate = 10
    /// Whether a user's publications end with the registration.
    public var dropsSettingsOnDeregistration = false

    /// How long a message is kept whose sender does not say.
    public var retention = TimeSpan.seconds(7 * 86_400)
    /// Messages, and their octets, kept for one user.
    public var messageQuota = 500
    public var storageQuota = 2 << 20
    /// Octets kept for all users together.
    public var totalStorageQuota = 256 << 20
    /// How long a final answer is waited for before a message is kept.
    public var deliveryTimeout = TimeSpan.seconds(10)
    /// How long after the answer to a registration the delivery begins.
    public var deliveryDelay = TimeSpan.zero
    /// How much later than promised a registration may be refreshed (the core's timers are not ours).
    public var registrationGrace = TimeSpan.seconds(32)
    /// Deliver only where a contact has the IM feature tag, by what the core shows of the registration.
    public var requiresFeatureTagForDelivery = false
    /// Whether the registration of each user who is there is watched by the registration event package (RFC 3680): which contacts
    /// there are, and which have the IM feature tag.
    public var watchesRegistrations = false
    /// Take From for the sender where no identity is asserted.
    public var takesFromAsIdentity = false
    /// Whose messages a recipient refuses, by the recipient's identity.
    public var barredSenders: [String: [String]] = [:]
    /// Identities of the domain that are served; nil: all.
    public var servedUsers: Set<String>?
    /// Users about whom something is known.
    public var userLimit = 250_000

    public var timers = TimerSettings()
    /// Transactions alive at once.
    public var transactionLimit = 100_000
    /// A request over a datagram that is longer goes by a stream, if there is such a listener (RFC 3261 §18.1.1).
    public var datagramLimit = 1300
    public var seed: UInt64

    public struct ExpiresLimits: Sendable, Hashable {
        public var minimum: UInt32 = 60
        public var standard: UInt32 = 3600
        public var maximum: UInt32 = 600_000
        public init() {}
    }

    public init(
        domain: String, listeners: [Listener], core: Endpoint, coreTransport: Transport = .udp, coreURI: String? = nil,
        trustedPeers: [Endpoint] = [], seed: UInt64
    ) {
        self.domain = domain
        self.listeners = listeners
        self.core = core
        self.coreTransport = coreTransport
        self.coreURI = coreURI ?? (coreTransport == .udp ? "sip:\(core.text)" : "sip:\(core.text);transport=\(coreTransport.name)")
        self.trustedPeers = trustedPeers.isEmpty ? [core] : trustedPeers
        self.seed = seed
    }
}
