// What the core remembers of a request that it forwards (RFC 3261 §16.7, the response context): whose it is, how far
// its criteria have been tried, and its branches. One flat value, from the request to its final response.

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
import SansIO

struct RequestContext: BitwiseCopyable {
    /// The server transaction, and where its request came from.
    var server: SlotID
    var source: Flow
    var method: Method
    /// The request as it was received, kept until a final response: default handling and further targets begin with it.
    var original: PacketID
    var sender: Sender
    /// The served user, and the case in which it is served.
    var served = IdentityReference.none
    /// What the served user is called, if its identity is a wildcard.
    var servedName = PacketID.none
    var sessionCase = SessionCase.terminating
    var isRegistered = false
    /// Whether the Request-URI is a SIPS URI.
    var isSIPS = false
    /// The profile of the served user as it was when the chain began, whose criteria are tried; or -1.
    var profile: Int32 = -1
    /// The criterion that is being tried, or -1.
    var criterion: Int16 = -1
    /// A short-form criterion of this application server is skipped: the request came from it outside of a chain; or -1.
    var originServer: Int16 = -1
    /// Whether the application server has shown that it works on the request: by a 1xx other than 100, or by sending the
    /// request back with its dialog identifier (TS 24.229 §5.4.3.2).
    var isAlive = false
    /// Whether default handling has gone on without a server.
    var hasLostServer = false
    var isCancelled = false
    /// A 2xx or 6xx has ended the search: what comes now is only for the record.
    var isSettled = false
    /// The first of the branches, linked by `Branch.next`, and how many have no final response yet.
    var firstBranch = SlotID.none
    var pendingBranches: Int16 = 0
    /// Contacts that wait for their turn, by falling preference.
    var waitingBranches: Int16 = 0
    /// Of a request to several contacts: what tells it in our Via when it comes back, and how many requests each of them
    /// may be made into at once (RFC 5393 §4.2, §5.3); else 0.
    var loopToken: UInt64 = 0
    var breadth: UInt16 = 0
    /// How many redirections of application servers have been followed.
    var retargets: UInt8 = 0
    /// What the caller asks of the search for a contact.
    var disposition: RequestDisposition = []
    /// The best final response so far, and what gave it.
    var best = PacketID.none
    var bestStatus: UInt16 = 0
    var bestKind = Branch.Kind.contact
    /// The challenges of all 401 and 407 responses so far, as header fields, if there are several contacts.
    var challenges = PacketID.none
    /// P-Charging-Vector of a trusted peer's request.
    var charging = PacketID.none
    var timer = TimerID.none
}

/// One target of a forwarded request.
struct Branch: BitwiseCopyable {
    enum Kind: UInt8, BitwiseCopyable {
        case applicationServer, contact, route
        /// A URI that a contact redirected to.
        case redirection
        /// Another shard goes on with the request.
        case shard
    }
    enum State: UInt8, BitwiseCopyable {
        case waiting, sent, answered
        /// Its server is being located (RFC 3263): nothing is sent yet, but it is pending.
        case locating
        /// Not waited for any longer: what still comes is absorbed.
        case abandoned
    }
    var context: SlotID
    var next: SlotID
    var client: SlotID
    var kind: Kind
    var state: State
    /// Of a request with which another shard goes on: that one.
    var shard: UInt8 = 0
    /// Whether its server has targets that were not tried (RFC 3263 §4.3).
    var hasAlternatives = false
    /// Of a contact: the binding, and the number of those that are tried together with it.
    var binding = BindingID(rawValue: .max)
    var group: UInt16 = 0
    /// Of contacts and redirections: which of those that were sent it is, from 1; 0: it has not been sent.
    var number: UInt8 = 0
    /// The final response; 408 and 503 stand for silence and for a transport that failed.
    var status: UInt16 = 0
    /// Of a redirection: its Request-URI, the number of the branch that led there, and whether that called it an address of the
    /// same user (`rc`, RFC 7044 §8).
    var uri = PacketID.none
    var redirector: UInt8 = 0
    var isOfSameUser = false
    /// Whether the one who redirected wants others not to hear of it.
    var hidesHistory = false
}

/// What a client transaction belongs to, in the 64 bits that the transaction layer keeps: the kind in the top bits of the
/// slot's number.
enum Owner: Equatable {
    case nobody
    case branch(SlotID)
    case thirdParty(SlotID)
    /// The NOTIFY of one.
    case subscription(SlotID)
    /// A request of whoever runs the core, by its number.
    case ownRequest(UInt32)
    /// An answer that waits for application servers; it has a timer, no request.
    case heldAnswer(SlotID)

    private static let kindShift: UInt32 = 29

    var rawValue: UInt64 {
        switch self {
        case .nobody: 0
        case .branch(let id): Owner.pack(id, 1)
        case .thirdParty(let id): Owner.pack(id, 2)
        case .subscription(let id): Owner.pack(id, 3)
        case .ownRequest(let number): Owner.pack(SlotID(index: 0, generation: number), 4)
        case .heldAnswer(let id): Owner.pack(id, 5)
        }
    }

    init(rawValue: UInt64) {
        let packed = SlotID(rawValue: rawValue)
        let id = SlotID(index: packed.index & (1 << Owner.kindShift - 1), generation: packed.generation)
        switch packed.index >> Owner.kindShift {
        case 1: self = .branch(id)
        case 2: self = .thirdParty(id)
        case 3: self = .subscription(id)
        case 4: self = .ownRequest(id.generation)
        case 5: self = .heldAnswer(id)
        default: self = .nobody
        }
    }

    private static func pack(_ id: SlotID, _ kind: UInt32) -> UInt64 {
        SlotID(index: id.index | kind << kindShift, generation: id.generation).rawValue
    }
}

/// What the routing needs of a criterion, without references.
struct CriterionRoute: BitwiseCopyable {
    /// The application server's number, or -1: the criterion names one that nobody knows.
    var server: Int16
    /// The number by which the server is known when it sends something: of servers at one address that of the first.
    var sender: Int16
    /// What the criterion calls the server (`ServerNames`).
    var name: Int32
    var destination: Destination
    var isShortForm: Bool
    /// SESSION_TERMINATED.
    var endsSession: Bool
    var answerWithin: TimeSpan
    var hasBody: Bool
    var includesRequest: Bool
    var includesAnswer: Bool

    static func routes(
        of profile: ServiceProfile, _ servers: [ServingCSCFConfiguration.ServerPlan], naming names: inout ServerNames
    ) -> ContiguousArray<CriterionRoute> {
        var routes: ContiguousArray<CriterionRoute> = []
        for criterion in profile.criteria {
            let plan = criterion.applicationServer
            let number = plan.index ?? servers.firstIndex { $0.uri == Array(plan.uri.utf8) } ?? -1
            let none = Destination(endpoint: .none, transport: .udp)
            let destination = number >= 0 ? servers[number].destination : none
            // One that has to be located is known by its own number (`Locations`).
            let sender = destination.endpoint == .none ? nil : servers.firstIndex { $0.destination.endpoint == destination.endpoint }
            routes.append(
                CriterionRoute(
                    server: Int16(number), sender: Int16(sender ?? number), name: names.number(of: Array(plan.uri.utf8)),
                    destination: destination,
                    isShortForm: criterion.isShortForm, endsSession: plan.defaultHandling == .sessionTerminated,
                    answerWithin: number >= 0 ? servers[number].answerWithin : .zero,
                    hasBody: plan.serviceInfo != nil || plan.includesRegisterRequest || plan.includesRegisterResponse,
                    includesRequest: plan.includesRegisterRequest, includesAnswer: plan.includesRegisterResponse))
        }
        return routes
    }
}

/// How requests of an application server come back to it without end.
enum SelfLoop {
    /// The same request, with its Call-ID, From tag and CSeq.
    case repeated
    /// Each time another one that says the same, as a B2BUA makes it that begins Max-Forwards anew.
    case renewed
}

/// Requests that came from an application server and went back to it once by a criterion of long form: the same request
/// again, without its dialog identifier, is a loop. So are many within a short while that have method, Request-URI, sender and
/// body in common.
struct SelfLoopMemory {
    /// The most requests that say the same and go back to the server within the patience with a transaction.
    static let mostAlike = 32
    private var seen: [KeyHash: Instant] = [:]
    private var order: [(KeyHash, Instant)] = []
    private var head = 0
    /// How many say the same, and until when they are counted together.
    private var alike: [KeyHash: (count: Int, until: Instant)] = [:]
    private let secret: HashSecret
    /// The most that are remembered; after that the oldest is forgotten.
    private static let limit = 65_536

    init(secret: HashSecret) { self.secret = secret }

    /// Notes a request that is about to go back to the server that it came from.
    ///
    /// - Returns: what kind of loop it is part of, if requests that went this way less than `patience` ago show one.
    mutating func loop(
        of request: borrowing Message, _ essentials: Essentials, server: Int16, at now: Instant, patience: TimeSpan
    ) -> SelfLoop? {
        if sawBefore(request, essentials, server, now, patience) { return .repeated }
        return isOneOfTooMany(request, essentials, server, now, patience) ? .renewed : nil
    }

    private mutating func sawBefore(
        _ request: borrowing Message, _ essentials: Essentials, _ server: Int16, _ now: Instant, _ patience: TimeSpan
    ) -> Bool {
        while head < order.count, order[head].1 <= now || order.count - head >= SelfLoopMemory.limit {
            seen[order[head].0] = nil
            head += 1
        }
        if head > 4096 {
            order.removeFirst(head)
            head = 0
        }
        var hasher = KeyHasher(secret)
        hasher.combine(request[essentials.callID])
        hasher.combine(request[essentials.from.tag])
        hasher.combine(UInt64(essentials.sequence) << 16 | UInt64(UInt16(bitPattern: server)))
        let key = hasher.finish()
        if seen[key] != nil { return true }
        seen[key] = now + patience
        order.append((key, now + patience))
        return false
    }

    private mutating func isOneOfTooMany(
        _ request: borrowing Message, _ essentials: Essentials, _ server: Int16, _ now: Instant, _ patience: TimeSpan
    ) -> Bool {
        var hasher = KeyHasher(secret)
        hasher.combine(request[request.shape.methodName])
        hasher.combine(request[request.shape.requestURI])
        hasher.combine(request[essentials.from.uri.all])
        hasher.combine(request.body)
        hasher.combine(UInt64(UInt16(bitPattern: server)))
        let key = hasher.finish()
        if let known = alike[key], known.until > now {
            alike[key] = (known.count + 1, known.until)
            return known.count >= SelfLoopMemory.mostAlike
        }
        if alike.count >= SelfLoopMemory.limit { alike = alike.filter { $0.value.until > now } }
        if alike.count >= SelfLoopMemory.limit { alike = [:] }
        alike[key] = (1, now + patience)
        return false
    }
}

/// Peers that refused a stream for a large request: until 60 s later they are sent datagrams (RFC 3261 §18.1.1).
struct StreamRefusals {
    private var refusals: [(remote: Endpoint, until: Instant)] = []

    mutating func remember(_ remote: Endpoint, at now: Instant) {
        refusals.removeAll { $0.until <= now || $0.remote == remote }
        if refusals.count < 1024 { refusals.append((remote, now + .seconds(60))) }
    }

    func contains(_ remote: Endpoint, at now: Instant) -> Bool {
        refusals.contains { $0.remote == remote && $0.until > now }
    }
}
