// Subscribers as they are provisioned: one, or a numeric range of them that is never spelt out.

public import SIPRegistrar
public import SansIO

/// Text with holes for the subscriber's name: literal, name, literal ...
public struct IdentityTemplate: Sendable, Equatable {
    /// The literals; there is a hole between any two.
    public var pieces: [[UInt8]]
    public init(pieces: [[UInt8]]) { self.pieces = pieces }
    public init(_ literal: String) { pieces = [Array(literal.utf8)] }
}

/// One subscriber, or as many as a range has numbers, with everything that they share.
public struct SubscriberPlan: Sendable {
    /// The name: prefix, number with `width` digits at least, suffix.
    public var namePrefix: [UInt8]
    public var range: ClosedRange<UInt64>?
    public var width: Int
    public var nameSuffix: [UInt8]
    /// The implicit registration set, canonical URIs; the first is the default public user identity.
    public var publicIdentities: [IdentityTemplate]
    /// For each public identity: registering by it is allowed, anything else is not (TS 23.228 §4.3.3).
    public var isBarred: [Bool]
    /// Private identities with their domain, and their passwords (nil: none).
    public var privateIdentities: [IdentityTemplate]
    public var passwords: [IdentityTemplate?]
    /// For each private identity the keys of its SIM, by which it is authenticated in place of a password (nil: none).
    public var sims: [AKACredentials?]
    /// Whether requests are challenged.
    public var isAuthenticated: Bool
    /// With early IMS security (TR 33.978): the address that alone may register, and is believed without a challenge.
    public var address: IPAddress?
    /// For each public identity the number of its service profile; nil: no criteria.
    public var profiles: [Int?]
    /// For each public identity the number of its alias group: identities of one group are exchangeable (TS 29.228 Annex E);
    /// nil: those that share a profile are.
    public var aliasGroups: [Int?]
    /// Services and wildcards; of a range none.
    public var specialIdentities: [SpecialIdentity] = []

    public init(
        name: String, publicIdentities: [IdentityTemplate], privateIdentities: [IdentityTemplate], passwords: [IdentityTemplate?],
        isAuthenticated: Bool, profile: Int?
    ) {
        namePrefix = Array(name.utf8)
        range = nil
        width = 0
        nameSuffix = []
        self.publicIdentities = publicIdentities
        isBarred = Array(repeating: false, count: publicIdentities.count)
        self.privateIdentities = privateIdentities
        self.passwords = passwords
        sims = Array(repeating: nil, count: privateIdentities.count)
        self.isAuthenticated = isAuthenticated
        profiles = Array(repeating: profile, count: publicIdentities.count)
        aliasGroups = Array(repeating: nil, count: publicIdentities.count)
    }

    /// How many subscribers the plan stands for.
    public var count: UInt64 { range.map { $0.upperBound - $0.lowerBound + 1 } ?? 1 }
}
