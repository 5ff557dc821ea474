// All that a load is made from. A plan that is let through can be run.

public import SansIO

/// What is wrong with a plan, and what would be right, in one line.
public struct LoadPlanFault: Error, Hashable, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
}

/// How transactions follow one another.
public enum Pacing: Hashable, Sendable {
    /// Closed loop: so many are outstanding, each that ends begins the next. A server that stalls is not sent to while it
    /// stalls, so its latencies look better than users would find them.
    case window(Int)
    /// Open loop: so many are begun a second, whatever the server does. Latency counts from when one was due to begin,
    /// so that none is left out because an earlier one was slow (no coordinated omission).
    case rate(perSecond: Double)
}

/// When no more transactions are begun.
public enum Extent: Hashable, Sendable {
    case count(Int)
    case duration(TimeSpan)
}

/// One of the three sockets of a load.
public enum Station: UInt8, BitwiseCopyable, Hashable, Sendable, CaseIterable {
    /// The UEs: they send requests.
    case user
    /// The UEs that are called: the contact of every registration.
    case called
    /// The application server.
    case server
}

/// A load.
public struct LoadPlan: Sendable {
    /// Where requests go.
    public var target: Endpoint
    /// The home network domain: the registrar's Request-URI, the users' domain and the realm.
    public var domain: String
    public var mix: ModeShares
    public var pacing: Pacing = .window(64)
    public var extent: Extent = .duration(.seconds(10))
    /// Transactions before those that count.
    public var warmUp = 1000
    public var users: UserTemplate
    /// How many of the template's users take part.
    public var userCount: Int
    /// A user's password: the name between these two, or, if it holds no name, the first alone.
    public var passwordPrefix = Array("pw-".utf8)
    public var passwordSuffix: [UInt8] = []
    public var passwordHasName = true
    /// How long a transaction may take (RFC 3261 §17.1.2.2, timer F).
    public var patience = TimeSpan.seconds(32)
    /// How long the target may take to answer the first OPTIONS.
    public var probePatience = TimeSpan.seconds(5)
    /// The addresses of the three sockets, by `Station`.
    public var stations: [Endpoint]
    /// Fixes branches, tags and the like. Two loads one after the other need two seeds: a server remembers transactions.
    public var seed: UInt64

    /// The most transactions that are outstanding at once.
    public static let outstandingLimit = 16_384
    /// The most transactions of a load.
    public static let countLimit = 100_000_000

    public init(target: Endpoint, domain: String, mix: ModeShares, users: UserTemplate, stations: [Endpoint], seed: UInt64) {
        precondition(stations.count == Station.allCases.count, "an address for each station")
        self.target = target
        self.domain = domain
        self.mix = mix
        self.users = users
        userCount = users.count
        self.stations = stations
        self.seed = seed
    }

    /// The users that are registered before the load begins, counted from 0; the others are those that modes register.
    public var registeredUsers: Range<Int> {
        guard mix.modes.contains(where: \.needsRegisteredUsers) else { return 0..<0 }
        return 0..<(registersNewUsers ? userCount / 2 : userCount)
    }

    /// The users whom the modes register.
    public var newUsers: Range<Int> { registersNewUsers ? registeredUsers.upperBound..<userCount : 0..<0 }

    private var registersNewUsers: Bool { mix.modes.contains { $0.registers && !$0.needsRegisteredUsers } }

    /// - Throws: the first thing that is wrong.
    public func validate() throws(LoadPlanFault) {
        guard target.port != 0 else { throw LoadPlanFault("the target has port 0") }
        guard !domain.isEmpty, domain.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x3E && $0 != 0x3B && $0 != 0x40 }) else {
            throw LoadPlanFault("'\(domain)' is no domain; write home1.test")
        }
        switch pacing {
        case .window(let window) where !(1...LoadPlan.outstandingLimit).contains(window):
            throw LoadPlanFault("a window of \(window); it is from 1 to \(LoadPlan.outstandingLimit)")
        case .rate(let rate) where !(rate > 0 && rate <= 1_000_000):
            throw LoadPlanFault("a rate of \(rate) a second; it is above 0 and at most 1000000")
        default: break
        }
        switch extent {
        case .count(let count) where !(1...LoadPlan.countLimit).contains(count):
            throw LoadPlanFault("a count of \(count); it is from 1 to \(LoadPlan.countLimit)")
        case .duration(let span) where !(span > .zero && span <= .seconds(86_400)):
            throw LoadPlanFault("a duration of \(span.wholeSeconds) s; it is above 0 and at most a day")
        default: break
        }
        guard (0...LoadPlan.countLimit).contains(warmUp) else {
            throw LoadPlanFault("a warm-up of \(warmUp); it is from 0 to \(LoadPlan.countLimit)")
        }
        guard patience > .zero, patience <= .seconds(600) else { throw LoadPlanFault("a transaction may take up to 600 s") }
        guard (1...users.count).contains(userCount) else {
            throw LoadPlanFault("\(userCount) users; the user template has 1 to \(users.count)")
        }
        guard userCount >= 2 || registeredUsers.isEmpty || !registersNewUsers else {
            throw LoadPlanFault("this mix needs two users, one registered before and one not")
        }
    }
}
