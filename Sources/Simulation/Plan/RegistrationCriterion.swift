// Initial filter criteria as far as registrations are concerned, evaluated in the plainest way (TS 29.228 Annex F): what the
// core makes of its compiled criteria is held against this.

/// The registration types of TS 29.228 Annex E.
public enum RegistrationKind: Hashable, Sendable, CaseIterable { case initial, reregistration, deregistration }

/// What is known of a condition without the message: true, false, or neither.
public enum Verdict: Hashable, Sendable {
    case holds, fails, unknown

    static prefix func ! (verdict: Verdict) -> Verdict {
        switch verdict {
        case .holds: .fails
        case .fails: .holds
        case .unknown: .unknown
        }
    }

    static func all(_ verdicts: some Sequence<Verdict>) -> Verdict {
        var isKnown = true
        for verdict in verdicts {
            if verdict == .fails { return .fails }
            if verdict == .unknown { isKnown = false }
        }
        return isKnown ? .holds : .unknown
    }

    static func any(_ verdicts: some Sequence<Verdict>) -> Verdict { !all(verdicts.lazy.map { !$0 }) }
}

/// A criterion, held against a REGISTER.
public struct RegistrationCriterion: Hashable, Sendable {
    /// A condition of a trigger.
    public enum Condition: Hashable, Sendable {
        /// The method is REGISTER, and the registration of one of these types; none: of any.
        case register([RegistrationKind])
        /// The method is another one.
        case otherMethod
        /// The registration is of one of these types.
        case type([RegistrationKind])
        /// It depends on what stands in the message.
        case other

        func verdict(on kind: RegistrationKind) -> Verdict {
            switch self {
            case .register(let kinds): kinds.isEmpty || kinds.contains(kind) ? .holds : .fails
            case .type(let kinds): kinds.contains(kind) ? .holds : .fails
            case .otherMethod: .fails
            case .other: .unknown
            }
        }
    }

    public struct Term: Hashable, Sendable {
        public var condition: Condition
        public var isNegated: Bool
        public init(_ condition: Condition, isNegated: Bool = false) {
            self.condition = condition
            self.isNegated = isNegated
        }
    }

    /// The number of the application server.
    public var server: Int
    /// nil: each request fulfils it.
    public var trigger: [[Term]]?
    /// Every group holds, and in a group any term; else the reverse.
    public var isConjunctive: Bool
    /// One of the two of the topology's short form: of these the first alone tells a server.
    public var isShortForm: Bool
    /// Whether the failure of the server ends the registration.
    public var endsSession: Bool
    /// Whether the core uses it at all.
    public var isUsed = true

    public init(server: Int, trigger: [[Term]]?, isConjunctive: Bool = true, isShortForm: Bool = false, endsSession: Bool = false) {
        self.server = server
        self.trigger = trigger
        self.isConjunctive = isConjunctive
        self.isShortForm = isShortForm
        self.endsSession = endsSession
    }

    func verdict(on kind: RegistrationKind) -> Verdict {
        guard let trigger else { return .holds }
        let groups = trigger.map { group in
            let terms = group.map { $0.isNegated ? !$0.condition.verdict(on: kind) : $0.condition.verdict(on: kind) }
            return isConjunctive ? Verdict.any(terms) : Verdict.all(terms)
        }
        return isConjunctive ? Verdict.all(groups) : Verdict.any(groups)
    }
}

/// What one application server is to hear of a change of a registration.
struct Telling: Hashable {
    var server: Int
    /// The identity in To.
    var identity: String
    /// Holds: it must hear of it; unknown: it may.
    var verdict: Verdict
    var endsSession: Bool
}

extension LabPlan.User {
    var defaultIdentity: String { (identities.first { !$0.isBarred } ?? identities[0]).uri }

    /// Whom a change of the registration is told to (TS 24.229 §5.4.1.7): by each profile of the set one request for each
    /// criterion that it fulfils.
    func tellings(of kind: RegistrationKind) -> [Telling] {
        var tellings: [Telling] = []
        var profiles: [[RegistrationCriterion]] = []
        for (i, identity) in identities.enumerated() where i == 0 || !identity.isBarred {
            guard !identity.criteria.isEmpty, !profiles.contains(identity.criteria) else { continue }
            profiles.append(identity.criteria)
            // In place of a barred identity another of its profile is named; of a profile that has none nobody hears.
            let substitute = identities.first { !$0.isBarred && $0.criteria == identity.criteria }?.uri
            guard let named = identity.isBarred ? substitute : identity.uri else { continue }
            var told: Set<Int> = []
            for criterion in identity.criteria where criterion.isUsed {
                if criterion.isShortForm, !told.insert(criterion.server).inserted { continue }
                let verdict = criterion.verdict(on: kind)
                guard verdict != .fails else { continue }
                tellings.append(
                    Telling(server: criterion.server, identity: named, verdict: verdict, endsSession: criterion.endsSession))
            }
        }
        return tellings
    }

    /// Whether a server that fails may end the registration.
    var mayBeEnded: Bool { identities.contains { $0.criteria.contains(where: \.endsSession) } }
}
