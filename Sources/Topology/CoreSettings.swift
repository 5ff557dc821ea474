// The section `core` of a topology: what the core is, and what its sections hold.

/// How subscribers are authenticated; `giba` is early IMS security: by their address (TR 33.978).
public enum Authentication: String, Sendable, CaseIterable { case digest, aka, giba, none }
public enum DigestAlgorithm: String, Sendable, CaseIterable {
    case md5 = "MD5"
    case sha256 = "SHA-256"
    case sha512_256 = "SHA-512-256"
}
public enum DigestQop: String, Sendable, CaseIterable {
    case auth
    case authInt = "auth-int"
}
public enum AKAAlgorithm: String, Sendable, CaseIterable {
    case v1MD5 = "AKAv1-MD5"
    case v2MD5 = "AKAv2-MD5"
    case v2SHA256 = "AKAv2-SHA-256"
}
/// What Authentication-Info in the 200 to a REGISTER says (RFC 2617 §3.2.3).
public enum AuthenticationInfo: String, Sendable, CaseIterable {
    case none, proof
    case nextNonce = "next_nonce"
}
/// `ims`: TS 24.229 (a new contact replaces the old one). `rfc3261`: all contacts are kept.
public enum RegistrarProfile: String, Sendable, CaseIterable { case ims, rfc3261 }

/// The section `core:`. Durations are seconds unless the name says otherwise.
public struct CoreSettings: Sendable, Equatable {
    /// Never empty; UDP and TCP on 127.0.0.1:5060 unless given.
    public var listen: [ListenAddress] = []
    public var http: HostPort?
    public var httpToken: String?
    /// Absolute path; nil keeps everything in memory.
    public var database: String?
    public var authentication: Authentication = .digest
    public var digestAlgorithms: [DigestAlgorithm] = [.md5]
    public var digestQops: [DigestQop] = [.auth]
    public var akaAlgorithms: [AKAAlgorithm] = [.v1MD5]
    public var authenticationFailures = 3
    /// How long a challenge may be answered.
    public var challengeLifetimeMilliseconds = 240_000
    /// Whether answers without qop are refused.
    public var requireQop = false
    /// Whether challenges say that a hash will do in place of the user name.
    public var digestUserHash = false
    public var authenticationInfo = AuthenticationInfo.proof
    public var registrar: RegistrarProfile = .ims
    public var minExpires: UInt32 = 60
    public var defaultExpires: UInt32 = 3600
    public var maxExpires: UInt32 = 600_000
    /// Contacts that a subscriber may have at once.
    public var maxContacts = 32
    /// Whether the 200 to a deregistration lists the contacts that are gone, with `expires=0`, beside those that are left.
    public var listRemovedContacts = false
    /// How often UEs with outbound are told to keep their flows alive; 0: they are not told.
    public var flowTimer: UInt32 = 120
    public var thirdPartyRegister = ThirdPartyRegisterSettings()
    /// Whether a user is deregistered whose first REGISTER no criterion takes.
    public var rejectIfNoMatchingIFC = false
    /// Networks that users may roam in, in small letters; empty: all.
    public var visitedNetworks: [String] = []
    public var chargingFunctions = ChargingFunctions()
    /// Messages kept for the HTTP interface (0: none), and the most bytes of them.
    public var trace = 20_000
    public var traceBytes = 64 << 20
    /// Where recorded messages go while the core runs.
    public var hep: HomerSettings?
    public var advertise: String?
    public var udpSizeLimit = 1300
    public var hosts: [String: HostPort] = [:]
    /// Who is asked for names that are not among `hosts`.
    public var dns = NameServer.system
    public var tls = TLSFiles()
    /// CIDR blocks whose identity headers are believed.
    public var trusted: [AddressBlock] = []
    /// Origins whose scripts may open a WebSocket (RFC 6454 §6.2); nil: any.
    public var webSocketOrigins: [String]?
    public var requestURIScopeIsFull = false
    public var headerContentIgnoresCase = false
    public var shards = 1
    /// Whether datagrams may share the way through the system under load.
    public var udpSegmentation = true
    /// Transactions that may live at once; a request past it is answered 503 with Retry-After.
    public var transactionLimit = 1_000_000
    /// Bytes of messages that may be kept for retransmission at once; the same past it.
    public var keptBytes = 1 << 30
    static let leastKeptBytes = 1 << 20
    public var timers = TimerValues()
    /// Whether the contacts of a redirection are tried in place of the one that gave it.
    public var recursion = false
    public var regEvent = RegEventSettings()
    /// Fixes all that is random; nil: from the system.
    public var seed: UInt64?
    /// Whether time moves only when told to; when it begins, in microseconds since 1970 (1 January 2026), and how many
    /// milliseconds of real time processes off the clock are waited for.
    public var clockIsVirtual = false
    public var clockStart: Int64 = 1_767_225_600_000_000
    public var clockPatience = 500
    public init() {}
}

/// The section `core.third_party_register`.
public struct ThirdPartyRegisterSettings: Sendable, Equatable {
    /// Whether the 200 to a user waits until the application servers have answered.
    public var before200 = false
    /// Whether a change of profile is told to the servers that it brings in.
    public var onProfileChange = false
    /// Whether each registration has a token that application servers are told.
    public var registrationToken = false
    /// What is told when some of a user's contacts end.
    public var deregistrationExpires = DeregistrationExpires.maxRemaining
    public init() {}
}

/// The Expires of a third-party deregistration while the user has contacts left (TS 24.229 §5.7.1.1).
public enum DeregistrationExpires: String, Sendable, CaseIterable {
    case zero
    case maxRemaining = "max_remaining"
}

/// The section `core.charging_functions`: hosts of charging collection and event charging functions (RFC 7315 §4.5).
public struct ChargingFunctions: Sendable, Equatable {
    public var collection: [String] = []
    public var event: [String] = []
    public init() {}
}

/// Who is asked for names (`core.dns`).
public enum NameServer: Sendable, Equatable {
    /// Whoever the system is set up to ask.
    case system
    /// `core.dns: none`.
    case nobody
    /// A literal address and a port.
    case server(HostPort)
}

/// A Homer that takes what is recorded, by HEP3 over UDP.
public struct HomerSettings: Sendable, Equatable {
    public var address: HostPort
    /// The number by which Homer tells its agents apart.
    public var captureID: UInt32 = 2001
    public var password: String?

    public init(address: HostPort) { self.address = address }
}

/// How subscriptions to registration state are served (RFC 3680).
public struct RegEventSettings: Sendable, Equatable {
    /// Whether a NOTIFY between two SUBSCRIBE requests tells only what changed.
    public var tellsChangesOnly = false
    /// The least time between two NOTIFYs of a subscription if contacts were only refreshed.
    public var intervalMilliseconds = 0
    public var terminatedReason = EndOfRegistration.deactivated
    public init() {}
}

/// What Subscription-State says when the last contact of a user is gone (RFC 6665 §4.1.3).
public enum EndOfRegistration: String, Sendable, CaseIterable { case deactivated, noresource }

/// The base timers of RFC 3261 §17, table 4, and timer C, in milliseconds.
public struct TimerValues: Sendable, Equatable {
    public var t1 = 500
    /// Never less than `t1`.
    public var t2 = 4000
    public var t4 = 5000
    public var timerC = 181_000
    public init() {}
}

/// The section `core.tls`: what its files hold, in PEM.
public struct TLSFiles: Sendable, Equatable {
    /// Our certificate and the chain behind it, and the key to it; both or neither. nil: they are made at start.
    public var certificate: [UInt8]?
    public var key: [UInt8]?
    /// Whose certificates are believed; nil: the system's.
    public var trust: [UInt8]?
    public var clients = ClientCertificates.none
    /// The file of the certificate, if a lab has made it: others are told of it.
    public var madeFile: String?
    public init() {}
}

/// Whether clients are asked for a certificate, and whether they need one.
public enum ClientCertificates: String, Sendable, CaseIterable { case none, request, require }

/// A CIDR block. `address` has 4 or 16 bytes.
public struct AddressBlock: Sendable, Equatable {
    public var address: [UInt8]
    public var prefixLength: Int
    public init(address: [UInt8], prefixLength: Int) {
        self.address = address
        self.prefixLength = prefixLength
    }
}
