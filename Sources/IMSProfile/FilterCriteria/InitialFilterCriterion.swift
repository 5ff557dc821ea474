// Initial filter criteria as they are declared (TS 29.228 Annex B, with the values of the schema in Annex E). Declarations
// are plain and may hold anything; `ServiceProfile` compiles them and tells what is wrong.

/// One criterion: when it is fulfilled, the request goes to its application server (TS 29.228 B.2.2).
public struct InitialFilterCriterion: Sendable, Equatable {
    /// Lower numbers are tried first.
    public var priority: Int
    /// For which of the two states of the user the criterion holds; nil: for both.
    public var profilePart: ProfilePart?
    /// The condition; nil: always fulfilled.
    public var trigger: TriggerPoint?
    public var applicationServer: ApplicationServer
    /// Whether the topology's `feature_tags` made it: a request is then never sent back to the server it came from.
    public var isShortForm = false

    public init(
        priority: Int, profilePart: ProfilePart? = nil, trigger: TriggerPoint? = nil, applicationServer: ApplicationServer,
        isShortForm: Bool = false
    ) {
        self.priority = priority
        self.profilePart = profilePart
        self.trigger = trigger
        self.applicationServer = applicationServer
        self.isShortForm = isShortForm
    }
}

/// The server that a criterion names, and what is to be done with it (TS 29.228 B.2.4).
public struct ApplicationServer: Sendable, Equatable {
    /// ServerName: a SIP or SIPS URI.
    public var uri: String
    /// The number by which the core knows the server; nil: it knows only the URI.
    public var index: Int?
    public var defaultHandling = DefaultHandling.sessionContinued
    /// Carried in the body of third-party REGISTER requests (TS 24.229 §7.6), not looked into.
    public var serviceInfo: String?
    /// Whether a third-party REGISTER carries the user's request, and the answer to it (TS 24.229 §5.4.1.7A).
    public var includesRegisterRequest = false
    public var includesRegisterResponse = false

    public init(uri: String, index: Int? = nil) {
        self.uri = uri
        self.index = index
    }
}

/// What becomes of a request when the server does not answer (TS 29.228 B.2.4).
public enum DefaultHandling: UInt8, BitwiseCopyable, Sendable, CaseIterable {
    case sessionContinued = 0
    case sessionTerminated = 1
}

/// The part of the profile that a criterion belongs to (ProfilePartIndicator).
public enum ProfilePart: UInt8, BitwiseCopyable, Sendable, CaseIterable {
    case registered = 0
    case unregistered = 1
}

/// On whose behalf a request is handled, and whether that user is registered (TS 29.228 Annex E, tSessionCase).
public enum SessionCase: UInt8, BitwiseCopyable, Sendable, CaseIterable {
    /// By a registered user.
    case originating = 0
    /// To a registered user.
    case terminating = 1
    case terminatingUnregistered = 2
    case originatingUnregistered = 3
    /// Diverted by the user that it was meant for.
    case originatingCDIV = 4
}

/// What a REGISTER does to the registration (TS 29.228 Annex E, tRegistrationType).
public enum RegistrationType: UInt8, BitwiseCopyable, Sendable, CaseIterable {
    case initial = 0
    case reregistration = 1
    case deregistration = 2
}

/// Conditions in groups (TS 29.228 B.2.3).
public struct TriggerPoint: Sendable, Equatable {
    /// ConditionTypeCNF. In conjunctive normal form every group holds, and in a group any condition. In disjunctive normal
    /// form any group holds, and in a group every condition.
    public var isConjunctive: Bool
    public var groups: [[ServicePointTrigger]]

    public init(isConjunctive: Bool, groups: [[ServicePointTrigger]]) {
        self.isConjunctive = isConjunctive
        self.groups = groups
    }

    /// Collects conditions by the numbers of their groups, as the schema has them: one may be in several groups, and those
    /// of a group need not stand together.
    public init(isConjunctive: Bool, triggers: [(trigger: ServicePointTrigger, groups: [Int])]) {
        var members: [Int: [ServicePointTrigger]] = [:]
        for (trigger, groups) in triggers {
            for group in groups { members[group, default: []].append(trigger) }
        }
        self.init(isConjunctive: isConjunctive, groups: members.sorted { $0.key < $1.key }.map(\.value))
    }
}

/// One condition on a request (TS 29.228 B.2.3; matching as in Annex F).
public struct ServicePointTrigger: Sendable, Equatable {
    /// ConditionNegated.
    public var isNegated: Bool
    public var condition: Condition

    public init(_ condition: Condition, isNegated: Bool = false) {
        self.condition = condition
        self.isNegated = isNegated
    }

    /// The schema's classes of condition, and two more of our own. Expressions are POSIX extended and searched.
    public enum Condition: Sendable, Equatable {
        /// The whole method, with case. Registration types, if there are any, limit REGISTER alone.
        case method(String, registrationTypes: [RegistrationType] = [])
        /// Ours: a REGISTER of one of these types.
        case registrationType([RegistrationType])
        /// An expression for host and port of a SIP URI, or the number of a tel URI.
        case requestURI(String)
        /// A field whose name is this one (in its long form or its compact one), or is found by it if it is an expression; and
        /// whose content, if asked for, is found by an expression in the line as received.
        case header(String, content: String? = nil)
        case sessionCase(SessionCase)
        /// A line of the session description: expressions for its one-letter type and for what follows the equals sign.
        case sessionDescription(line: String, content: String? = nil)
        /// Ours: a value of Accept-Contact asks for this feature tag as a whole (`Message.asksFor(_:)`).
        case featureTag(String)
    }
}
