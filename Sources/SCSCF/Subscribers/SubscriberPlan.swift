// Subscribers as they are provisioned: one, or a numeric range of them that is never spelt out.

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
    /// Whether requests are challenged.
    public var isAuthenticated: Bool
    /// For each public identity the number of its service profile; nil: no criteria.
    public var profiles: [Int?]

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
        self.isAuthenticated = isAuthenticated
        profiles = Array(repeating: profile, count: publicIdentities.count)
    }

    /// How many subscribers the plan stands for.
    public var count: UInt64 { range.map { $0.upperBound - $0.lowerBound + 1 } ?? 1 }
}
