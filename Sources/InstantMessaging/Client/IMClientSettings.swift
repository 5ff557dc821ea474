// What an IM Client is told at its start, with the defaults.

public import SIPRegistrar
public import SIPTransaction
public import SansIO

public struct IMClientSettings: Sendable {
    /// The home network domain, where REGISTER goes.
    public var domain: String
    /// The public user identity, `sip:alice@home1.test`.
    public var publicIdentity: String
    /// The private user identity, `alice@home1.test`, and its password.
    public var privateIdentity: String
    public var password: String
    /// A SIM in place of the password: its keys, and the highest sequence number that it has accepted.
    public var sim: AKACredentials?
    /// The first hop of every request.
    public var core: Endpoint
    public var coreTransport: Transport
    /// Our listeners, by the numbers that flows name; the first of the core's transport stands in Contact.
    public var listeners: [Listener]
    /// Seconds asked for: of a registration (TS 24.229 §5.1.1.2), and of a publication.
    public var registrationExpires: UInt32 = 600_000
    public var settingsExpires: UInt32 = 3600
    /// Whether to subscribe to the own registration, and so to hear that the network has ended it (TS 24.229 §5.1.1.3).
    public var watchesRegistration = false
    /// The event package of the settings (RFC 4354).
    public var packageName = "poc-settings"
    /// Octets of a MESSAGE that may be sent (RFC 3428 §8).
    public var messageLimit = 1300
    public var timers = TimerSettings()
    public var seed: UInt64

    public init(
        domain: String, publicIdentity: String, privateIdentity: String? = nil, password: String, core: Endpoint,
        coreTransport: Transport = .udp, listeners: [Listener], seed: UInt64
    ) {
        self.domain = domain
        self.publicIdentity = publicIdentity
        let withoutScheme = publicIdentity.split(separator: ":", maxSplits: 1).last.map(String.init) ?? publicIdentity
        self.privateIdentity = privateIdentity ?? withoutScheme
        self.password = password
        self.core = core
        self.coreTransport = coreTransport
        self.listeners = listeners
        self.seed = seed
    }
}

extension TimerSettings {
    /// The timers of user equipment in IMS (TS 24.229 table 7.7).
    public static let userEquipment = TimerSettings(t1: .seconds(2), t2: .seconds(16), t4: .seconds(17))
}
