// What a topology file says, after it was read and validated: plain values that the command hands to the core, the
// lab and the built-in nodes. Nothing here knows YAML. Numeric ranges stay symbolic, so a file that names a million
// subscribers costs what one subscriber costs.

/// A whole topology: one home network and what stands around it.
public struct Topology: Sendable, Equatable {
    /// The file as it was named on the command line, and its folder as an absolute path: relative names start there.
    public var file: String
    public var folder: String
    /// The home network domain, which is the digest realm too.
    public var domain: String
    public var core: CoreSettings
    /// In the order of the file.
    public var applicationServers: [ApplicationServer]
    public var serviceProfiles: [ServiceProfile]
    public var subscribers: [Subscriber]
    public var networks: [Network]
    public var clients: [Client]
    public var scenarios: [Scenario]
    public var lab: LabSettings
    /// Rules of messages that go astray from the start on.
    public var faults: [FaultPlan] = []

    public init(
        file: String, folder: String, domain: String, core: CoreSettings, applicationServers: [ApplicationServer] = [],
        serviceProfiles: [ServiceProfile] = [], subscribers: [Subscriber] = [], networks: [Network] = [],
        clients: [Client] = [], scenarios: [Scenario] = [], lab: LabSettings = LabSettings()
    ) {
        self.file = file
        self.folder = folder
        self.domain = domain
        self.core = core
        self.applicationServers = applicationServers
        self.serviceProfiles = serviceProfiles
        self.subscribers = subscribers
        self.networks = networks
        self.clients = clients
        self.scenarios = scenarios
        self.lab = lab
    }
}

/// How SIP travels; raw values are the scheme words of `core.listen`.
public enum TransportName: String, Sendable, CaseIterable { case udp, tcp, tls, ws, wss }

/// An address to listen on or to reach: `udp://127.0.0.1:5060`. The host is a literal address, without brackets.
public struct ListenAddress: Sendable, Equatable {
    public var transport: TransportName
    public var host: String
    public var port: UInt16
    public init(transport: TransportName, host: String, port: UInt16) {
        self.transport = transport
        self.host = host
        self.port = port
    }
}

/// A host and a port, as `http:` and `hosts:` have them.
public struct HostPort: Sendable, Equatable {
    public var host: String
    public var port: UInt16
    public init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }
}

/// How a process of a lab is started.
public enum Launch: Sendable, Equatable {
    /// Built in: `run: im-server`, `run: im-client`.
    case builtIn(String)
    /// The user's own: program and arguments, `${...}` not yet filled in.
    case command([String])
    /// Already running: the lab starts nothing.
    case external
}

/// The section `application_servers: NAME:`.
public struct ApplicationServer: Sendable, Equatable {
    public var name: String
    /// As written, for example `sip:127.0.0.1:5080;transport=tcp`.
    public var uri: String
    /// Feature tags of the short form, with their leading `+`.
    public var featureTags: [String] = []
    /// Milliseconds; how long silence or 100 is waited for before default handling.
    public var answerWithinMilliseconds = 32_000
    public var launch: Launch = .external
    public var environment: [String: String] = [:]
    /// Regular expression on the output that tells readiness of a user's command.
    public var readyPattern: String?
    /// Of the built-in server: the absolute path of its database; nil leaves the choice to the lab.
    public var database: String?
    /// Of the built-in server: milliseconds that it waits for a final answer before it keeps a message.
    public var deliveryTimeoutMilliseconds = 10_000
    /// Of the built-in server: whether it subscribes to the registration state of its users.
    public var watchesRegistrations = false
    /// Of the built-in server: whether it delivers only where a contact has the IM feature tag.
    public var requiresFeatureTag = false
    public init(name: String, uri: String) {
        self.name = name
        self.uri = uri
    }
}

/// A service profile in the words of TS 29.228: initial filter criteria, sorted by priority (ties in file order).
public struct ServiceProfile: Sendable, Equatable {
    public var name: String
    public var filterCriteria: [FilterCriterion]
    /// The number by which documents refer to these criteria (SharedIFCSetID).
    public var sharedSet: Int?
    public init(name: String, filterCriteria: [FilterCriterion]) {
        self.name = name
        self.filterCriteria = filterCriteria
        sharedSet = nil
    }
}

public struct FilterCriterion: Sendable, Hashable {
    public var priority: Int
    /// The application server's name in `application_servers`, or nil where a document names only an address.
    public var applicationServer: String?
    /// The server's SIP URI.
    public var serverURI: String
    public var sessionTerminatedOnFailure = false
    public var serviceInfo: String?
    public var includeRegisterRequest = false
    public var includeRegisterResponse = false
    public var profilePart: ProfilePart?
    public var trigger: Trigger?
    /// One of the two criteria that `feature_tags` stands for: a request is never sent back to the server it came from.
    public var isShortForm = false
    public init(priority: Int, applicationServer: String?, serverURI: String) {
        self.priority = priority
        self.applicationServer = applicationServer
        self.serverURI = serverURI
    }
}

public enum ProfilePart: String, Sendable, CaseIterable { case registered, unregistered }

/// Groups of conditions. In conjunctive form every group holds, and in a group any condition; else the reverse.
public struct Trigger: Sendable, Hashable {
    public var isConjunctive: Bool
    public var groups: [[Condition]]
    public init(isConjunctive: Bool, groups: [[Condition]]) {
        self.isConjunctive = isConjunctive
        self.groups = groups
    }
}

public struct Condition: Sendable, Hashable {
    public var isNegated = false
    public var kind: Kind
    public init(_ kind: Kind, isNegated: Bool = false) {
        self.kind = kind
        self.isNegated = isNegated
    }
    /// The classes of service point trigger of TS 29.228 Annex B, and one of ours.
    public enum Kind: Sendable, Hashable {
        /// Only for REGISTER do the registration types limit it; empty means all.
        case method(String, registrationTypes: [RegistrationType])
        /// A condition on the registration type alone.
        case registrationType([RegistrationType])
        case requestURI(String)
        case header(name: String, content: String?)
        case sessionCase(SessionCase)
        case sessionDescription(line: String, content: String?)
        /// Accept-Contact asks for this tag as a whole tag.
        case featureTag(String)
    }
}

/// Raw values are those of the schema (TS 29.228 Annex E).
public enum SessionCase: Int, Sendable, CaseIterable {
    case originating = 0
    case terminating = 1
    case terminatingUnregistered = 2
    case originatingUnregistered = 3
    case originatingCDIV = 4
}
public enum RegistrationType: Int, Sendable, CaseIterable {
    case initial = 0
    case reregistration = 1
    case deregistration = 2
}

/// A name with at most one numeric range: `u{0000..0999}`.
public struct NamePattern: Sendable, Equatable {
    public var prefix: String
    /// The numbers, written with `width` digits where the bounds have leading zeros (0: as short as possible).
    public var range: ClosedRange<UInt64>?
    public var width: Int
    public var suffix: String
    public init(_ literal: String) {
        prefix = literal
        range = nil
        width = 0
        suffix = ""
    }
    public init(prefix: String, range: ClosedRange<UInt64>, width: Int, suffix: String) {
        self.prefix = prefix
        self.range = range
        self.width = width
        self.suffix = suffix
    }
    public var count: UInt64 { range.map { $0.upperBound - $0.lowerBound + 1 } ?? 1 }
}

/// A value in which `{name}` stands for the subscriber's name: literal, name, literal, ... The pieces are the literals,
/// so `["sip:", "@home1.test"]` is `sip:{name}@home1.test`, and a value without a hole is one piece.
public struct NameTemplate: Sendable, Equatable {
    public var pieces: [String]
    public init(pieces: [String]) { self.pieces = pieces }
    public init(_ text: String) { pieces = text.holds(UInt8(ascii: "{")) ? NameTemplate.split(text) : [text] }
    public func filled(with name: String) -> String { pieces.count == 1 ? pieces[0] : pieces.joined(separator: name) }

    private static func split(_ text: String) -> [String] {
        var pieces = [""]
        var rest = text[...]
        while let open = rest.firstIndex(of: "{") {
            if rest[open...].hasPrefix("{name}") {
                pieces[pieces.count - 1] += rest[..<open]
                pieces.append("")
                rest = rest[rest.index(open, offsetBy: 6)...]
            } else {
                pieces[pieces.count - 1] += rest[...open]
                rest = rest[rest.index(after: open)...]
            }
        }
        pieces[pieces.count - 1] += rest
        return pieces
    }
}

public struct PrivateIdentity: Sendable, Equatable {
    /// With its domain: `alice@home1.test`.
    public var identity: NameTemplate
    public var password: NameTemplate?
    public var aka: SIMKeys?
    public init(identity: NameTemplate, password: NameTemplate?, aka: SIMKeys? = nil) {
        self.identity = identity
        self.password = password
        self.aka = aka
    }
}

/// The credentials of a SIM, as numbers (TS 35.206, TS 33.102 §6.3).
public struct SIMKeys: Sendable, Equatable {
    /// The operator's code: derived for the key, or yet to be.
    public enum OperatorCode: Sendable, Equatable { case opc(UInt128), op(UInt128) }
    public var k: UInt128
    public var code: OperatorCode
    public var amf: UInt16 = 0x8000
    /// 48 bits: the sequence number to begin with.
    public var sqn: UInt64 = 0
    public init(k: UInt128, code: OperatorCode) {
        self.k = k
        self.code = code
    }
}

public struct PublicIdentity: Sendable, Equatable {
    /// What an identity stands for (IdentityType of TS 29.228 Annex E).
    public enum Kind: Sendable, Equatable {
        case user
        /// A public service identity, one or all that a wildcard takes; never registered.
        case service, wildcardedService
        /// All that a wildcard takes, registered with the others of the set.
        case wildcardedUser
    }
    public var uri: NameTemplate
    public var kind = Kind.user
    public var isBarred = false
    /// nil: the subscriber's. Else the criteria of the service profile that a document gives this identity in place of
    /// that of the first one (a document may hold several service profiles, TS 29.228 Annex E).
    public var filterCriteria: [FilterCriterion]?
    /// What a document says of the identity beside (TS 29.228 Annex E).
    public var displayName: String?
    /// Identities of one alias group are exchangeable.
    public var aliasGroup: String?
    public init(uri: NameTemplate) { self.uri = uri }
}

extension Topology {
    /// How a private identity is authenticated: what is said of the subscriber, else a SIM where there is no password, else
    /// as the core does it.
    public func authentication(of device: PrivateIdentity, _ subscriber: Subscriber) -> Authentication {
        subscriber.authentication ?? (device.aka != nil && device.password == nil ? .aka : core.authentication)
    }
}

/// A subscriber, or a numeric range of them.
public struct Subscriber: Sendable, Equatable {
    public var name: NamePattern
    /// The first is the subscriber's own; then further devices.
    public var privateIdentities: [PrivateIdentity]
    /// One implicit registration set; the first is the default public user identity.
    public var publicIdentities: [PublicIdentity]
    /// nil: as the core.
    public var authentication: Authentication?
    /// The address that alone may register where authentication is by address.
    public var address: String?
    /// All filter criteria that hold for the subscriber, in the order in which they are tried: those of the service
    /// profile first, then the two of each application server's short form.
    public var filterCriteria: [FilterCriterion]
    /// Names, in the order of the file.
    public var applicationServers: [String]
    /// The name of its service profile, or of the file with its document, as written; `filterCriteria` has what they say.
    public var serviceProfile: String?
    public var profileDocument: String?
    public init(name: NamePattern, privateIdentities: [PrivateIdentity], publicIdentities: [PublicIdentity]) {
        self.name = name
        self.privateIdentities = privateIdentities
        self.publicIdentities = publicIdentities
        self.authentication = nil
        self.filterCriteria = []
        self.applicationServers = []
    }
}

public struct Network: Sendable, Equatable {
    public var domain: String
    public var uri: String
    public var isTrusted: Bool
    /// What the lab starts in its place; nothing of it is built in.
    public var launch: Launch = .external
    public var environment: [String: String] = [:]
    /// Regular expression on the output that tells readiness of the command.
    public var readyPattern: String?
    public init(domain: String, uri: String, isTrusted: Bool) {
        self.domain = domain
        self.uri = uri
        self.isTrusted = isTrusted
    }
}

/// The section `clients: NAME:`; the name is a subscriber's.
public struct Client: Sendable, Equatable {
    public var name: String
    public var launch: Launch
    public var environment: [String: String] = [:]
    public var readyPattern: String?
    public init(name: String, launch: Launch) {
        self.name = name
        self.launch = launch
    }
}

public struct LabSettings: Sendable, Equatable {
    public var http: HostPort?
    public var httpToken: String?
    public init() {}
}
