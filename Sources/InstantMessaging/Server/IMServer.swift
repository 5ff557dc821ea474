// The IM Server of OMA SIMPLE IM: an application server behind the ISC interface (TS 24.229 §5.7).
//
//   PUBLISH            → settings of a user                     SettingsPublication.swift
//   third-party REGISTER → who can be reached, and delivery     ThirdPartyRegistration.swift
//   NOTIFY of a registration → by which contacts, an option     RegistrationSubscription.swift
//   MESSAGE, INVITE    → passed on along the core's Route       PagerMode.swift, Forwarding.swift
//   MESSAGE to no one there → kept, 202, delivered later        Deferral.swift, DeliveryRun.swift
//
// What depends on a stored change is answered when the change is durable (`committed`).

import SIPMessage
import SIPTransaction
public import SansIO

public struct IMServer: ~Copyable, SansIONode {
    /// The product in our requests and answers.
    static let product: StaticString = "IM-serv/OMA1.0 sipcore"
    static let allow: StaticString = "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, PUBLISH, MESSAGE"

    let settings: IMServerSettings
    let domain: [UInt8]
    let coreURI: [UInt8]
    /// Host and port of the core's URI.
    let coreHost: [UInt8]
    let corePort: UInt16
    let barredSenders: [Identity: Set<Identity>]
    let servedUsers: Set<Identity>?
    /// Who stands in a Warning.
    let warningHost: String

    var transactions: TransactionLayer
    var wheel: TimerWheel
    var random: RandomSource
    private var scanner = MessageScanner()
    private var expiredTimers: [UInt64] = []
    private var transactionEvents: [TransactionEvent] = []

    var users: [User] = []
    /// Users by every identity known of them.
    var userNumbers: [Identity: Int] = [:]
    var publicationOwners: [UInt64: Int] = [:]
    /// Users who are watched, by our tag in the subscription's dialog.
    var watchers: [[UInt8]: Int] = [:]
    var kept: [UInt64: StoredState] = [:]
    /// Octets of all kept messages.
    var octetsKept = 0
    /// Kept messages by what their delivery is known by.
    var keptKeys: [DeliveryKey: UInt64] = [:]
    /// Messages that may come once more by another way.
    var originals = Originals()
    /// Messages of our users that are on their way to their recipients' side, as numbers of requests that were passed on.
    var outgoing: [DeliveryKey: UInt64] = [:]
    /// Until then a message may be one that the process before this one has passed on already.
    var restoredUntil = Instant.zero
    var forwards: [UInt64: Forward] = [:]
    /// What waits for the store, in the order of the tickets.
    var commitments: [Commitment] = []
    var lastTicket: UInt64 = 0
    var reportedTicket: UInt64 = 0
    /// The last numbers given to kept messages, to publications and to forwarded requests.
    var lastMessage: UInt64 = 0
    var lastPublication: UInt64 = 0
    /// Rises with every document published.
    var lastRevision: UInt64 = 0
    var lastForward: UInt64 = 0

    /// What happened since the start.
    public internal(set) var counters = IMServerCounters()

    /// - Parameter now: its wall clock enters what is random: a server that starts again with the same seed must not give
    ///   out the same Call-IDs, tags and entity-tags.
    public init(settings: IMServerSettings, start now: Now) {
        self.settings = settings
        var random = RandomSource(seed: settings.seed ^ UInt64(bitPattern: now.wall.microseconds))
        transactions = TransactionLayer(
            listeners: settings.listeners, timers: settings.timers, limit: settings.transactionLimit,
            random: RandomSource(seed: random.next()), start: now.monotonic)
        wheel = TimerWheel(start: now.monotonic)
        domain = Array(settings.domain.utf8)
        coreURI = Array(settings.coreURI.utf8)
        (coreHost, corePort) = IMServer.hostAndPort(of: coreURI)
        barredSenders = IMServer.identities(settings.barredSenders)
        servedUsers = settings.servedUsers.map { Set($0.compactMap { Identity($0) }) }
        warningHost = settings.listeners.first?.advertised.text ?? settings.domain
        self.random = random
    }

    /// As above, where the seed alone is to decide what is random.
    public init(settings: IMServerSettings, start: Instant) {
        self.init(settings: settings, start: Now(monotonic: start, wall: WallTime(seconds: 0)))
    }

    private static func hostAndPort(of uri: [UInt8]) -> ([UInt8], UInt16) {
        let bytes = uri.span.bytes
        guard let parsed = bytes.uri(Slice(0, uri.count)), parsed.isSIP else { return ([], 0) }
        let port = parsed.port == 0 ? (bytes.transport(of: parsed) ?? .udp).defaultPort : parsed.port
        return ([UInt8](bytes[parsed.host]), port)
    }

    private static func identities(_ lists: [String: [String]]) -> [Identity: Set<Identity>] {
        var result: [Identity: Set<Identity>] = [:]
        for (recipient, senders) in lists {
            guard let recipient = Identity(recipient) else { continue }
            result[recipient] = Set(senders.compactMap { Identity($0) })
        }
        return result
    }

    // MARK: SansIONode

    public mutating func receive(_ octets: RawSpan, over flow: Flow, at now: Now, into effects: inout Effects) {
        // The scanner is taken out while its message is looked at: the message borrows it, and the server changes meanwhile.
        var scanner = MessageScanner()
        swap(&scanner, &self.scanner)
        switch scanner.scan(octets) {
        case .blank:
            break
        case .fault(let fault):
            faultFound(fault, scanner.message(octets), over: flow, into: &effects)
        case .message:
            messageReceived(scanner.message(octets), over: flow, at: now, into: &effects)
        }
        swap(&scanner, &self.scanner)
    }

    public mutating func flowClosed(_ flow: Flow, at now: Now, into effects: inout Effects) {
        // Nothing hangs on a connection: what was not answered is sent anew by its transaction's user, or times out.
    }

    public mutating func transmissionFailed(_ transaction: UInt64, over flow: Flow, at now: Now, into effects: inout Effects) {
        var events: [TransactionEvent] = []
        transactions.transmissionFailed(transaction, at: now.monotonic, into: &effects.wire, events: &events)
        for event in events { transactionChanged(event, at: now, into: &effects) }
    }

    public mutating func committed(upTo ticket: UInt64, succeeded: Bool, at now: Now, into effects: inout Effects) {
        changesReported(upTo: ticket, succeeded: succeeded, at: now, into: &effects)
    }

    public mutating func advance(to now: Now, into effects: inout Effects) {
        var events = transactionEvents
        transactionEvents = []
        transactions.advance(to: now.monotonic, into: &effects.wire, events: &events)
        for event in events { transactionChanged(event, at: now, into: &effects) }
        events.removeAll(keepingCapacity: true)
        transactionEvents = events

        var due = expiredTimers
        expiredTimers = []
        wheel.expire(upTo: now.monotonic, into: &due)
        for payload in due { timerFired(ServerTimer(payload: payload), at: now, into: &effects) }
        due.removeAll(keepingCapacity: true)
        expiredTimers = due
    }

    public var nextDeadline: Instant? {
        guard let next = transactions.nextDeadline else { return wheel.nextDeadline }
        return wheel.nextDeadline.map { min($0, next) } ?? next
    }

    public var unansweredRequests: [UnansweredRequest] { transactions.unansweredRequests }

    // MARK: Messages

    private mutating func faultFound(_ fault: MessageFault, _ message: Message, over flow: Flow, into effects: inout Effects) {
        if !transactions.refuse(message, fault, over: flow, server: IMServer.product, into: &effects.wire) {
            drop("a message from \(flow.remote.text) is malformed: \(fault.reason.text)", into: &effects)
        }
    }

    private mutating func messageReceived(_ message: Message, over flow: Flow, at now: Now, into effects: inout Effects) {
        do {
            let essentials = try message.essentials()
            if message.isRequest {
                requestReceived(message, essentials, over: flow, at: now, into: &effects)
            } else {
                responseReceived(message, essentials, at: now, into: &effects)
            }
        } catch {
            faultFound(error, message, over: flow, into: &effects)
        }
    }

    private mutating func requestReceived(
        _ message: Message, _ essentials: Essentials, over flow: Flow, at now: Now, into effects: inout Effects
    ) {
        switch transactions.requestReceived(message, essentials, over: flow, at: now.monotonic, into: &effects.wire) {
        case .absorbed:
            break
        case .acknowledgement:
            forwardAcknowledgement(message, essentials, over: flow, into: &effects)
        case .overloaded:
            let start = effects.wire.bytes.count
            effects.wire.bytes.appendResponse(503, to: message, essentials, from: flow.remote, toTag: random.next())
            effects.wire.bytes.append("Retry-After: 5\r\n")
            effects.wire.bytes.appendEmptyBody()
            transactions.respondStatelessly(to: message, essentials.via, over: flow, 503, from: start, into: &effects.wire)
        case .cancel(let server, of: let invite):
            let arrival = Arrival(message, essentials, server: server, over: flow, at: now)
            cancelReceived(arrival, invite: invite, into: &effects)
        case .new(let server):
            dispatch(Arrival(message, essentials, server: server, over: flow, at: now), into: &effects)
        }
    }

    /// By method; requests that have no role here go on along their Route, as a proxy sends them (TS 23.218 §9).
    private mutating func dispatch(_ arrival: borrowing Arrival, into effects: inout Effects) {
        let request = arrival.message
        let path = returnPath(of: request)
        guard arrival.essentials.requestURI?.scheme != .other else { return answer(arrival, 416, into: &effects) }
        if request.method == .options, path.next == nil { return optionsReceived(arrival, into: &effects) }
        guard isTrusted(arrival.flow) else {
            return answer(arrival, 403, warning: "only the core may send requests to this server", into: &effects)
        }
        let isInDialog = !arrival.essentials.to.tag.isEmpty
        switch request.method {
        case .register: registrationReceived(arrival, into: &effects)
        case .publish: publicationReceived(arrival, into: &effects)
        case .notify where isInDialog && path.next == nil: notified(arrival, into: &effects)
        case .message where !isInDialog: pagerMessageReceived(arrival, path, into: &effects)
        case .invite where !isInDialog: sessionInvited(arrival, path, into: &effects)
        case .subscribe where !isInDialog && namesOurPackage(request): answerBadEvent(arrival, into: &effects)
        default:
            if path.next != nil { return forward(arrival, path, .plain, into: &effects) }
            refuse(arrival, isInDialog: isInDialog, into: &effects)
        }
    }

    private mutating func refuse(_ arrival: borrowing Arrival, isInDialog: Bool, into effects: inout Effects) {
        switch arrival.message.method {
        case _ where isInDialog: answer(arrival, 481, into: &effects)
        case .notify, .bye: answer(arrival, 481, into: &effects)
        case .subscribe: answerBadEvent(arrival, into: &effects)
        case .other: answer(arrival, 501, into: &effects) { $0.appendField(.allow, IMServer.allow) }
        default: answer(arrival, 405, into: &effects) { $0.appendField(.allow, IMServer.allow) }
        }
    }

    private mutating func optionsReceived(_ arrival: borrowing Arrival, into effects: inout Effects) {
        let package = settings.packageName
        answer(arrival, 200, into: &effects) {
            $0.appendField(.allow, IMServer.allow)
            $0.appendField(.allowEvents, text: package)
            $0.append("Accept: application/poc-settings+xml, multipart/mixed, text/plain, message/cpim\r\n")
            $0.append("Accept-Encoding: identity\r\nAccept-Language: en\r\n")
        }
    }

    /// 489 with the package that there is (RFC 3903 §6 step 2, RFC 6665 §8.3.2).
    mutating func answerBadEvent(_ arrival: borrowing Arrival, into effects: inout Effects) {
        let package = settings.packageName
        answer(arrival, 489, into: &effects) { $0.appendField(.allowEvents, text: package) }
    }

    /// Whether Event names the settings' package; its parameters do not count (RFC 6665 §8.2.1).
    func namesOurPackage(_ request: Message) -> Bool {
        guard let event = request.value(.event) else { return false }
        var end = event.lower
        while end < event.upper, request.bytes[end] != 0x3B { end += 1 }
        return request[request.bytes.trimmed(Slice(event.lower, end))].equals(Array(settings.packageName.utf8))
    }

    private func isTrusted(_ flow: Flow) -> Bool {
        settings.trustedPeers.contains { flow.transport.isReliable ? $0.address == flow.remote.address : $0 == flow.remote }
    }

    // MARK: Answers

    mutating func answer(
        _ arrival: borrowing Arrival, _ status: UInt16, warning: String? = nil, into effects: inout Effects,
        fields: (inout OctetBuffer) -> Void = { _ in }
    ) {
        let host = warningHost
        transactions.answer(arrival, status, toTag: random.next(), into: &effects.wire) {
            $0.appendField(.server, IMServer.product)
            if let warning { $0.appendWarning(warning, from: host) }
            fields(&$0)
        }
    }

    mutating func answer(
        _ prepared: PreparedAnswer, _ status: UInt16, at now: Now, into effects: inout Effects,
        fields: (inout OctetBuffer) -> Void = { _ in }
    ) {
        transactions.answer(prepared, status, at: now, into: &effects.wire) {
            $0.appendField(.server, IMServer.product)
            fields(&$0)
        }
    }

    /// An answer for later, and the 100 that a client must hear meanwhile (RFC 4320 §4.1).
    mutating func prepareAnswer(_ arrival: borrowing Arrival) -> PreparedAnswer {
        transactions.awaitResponse(
            arrival.server, to: arrival.message, arrival.essentials, from: arrival.flow.remote, at: arrival.now.monotonic)
        return PreparedAnswer(arrival, toTag: random.next())
    }

    mutating func drop(_ reason: String, into effects: inout Effects) {
        counters.dropped += 1
        effects.notices.append(Notice(.warning, reason))
    }

    // MARK: Time

    mutating func schedule(_ timer: ServerTimer, after span: TimeSpan, _ now: Now) -> TimerID {
        wheel.schedule(at: now.monotonic + span, payload: timer.payload)
    }

    private mutating func timerFired(_ timer: ServerTimer, at now: Now, into effects: inout Effects) {
        switch timer {
        case .publicationExpired(let number): publicationExpired(number)
        case .registrationLapsed(let user): registrationLapsed(user)
        case .answerOverdue(let number): answerOverdue(number, at: now, into: &effects)
        case .messageExpired(let number): messageExpired(number, at: now, into: &effects)
        case .deliveryDue(let user): deliveryDue(user, at: now, into: &effects)
        case .removalDue(let number): removeRecord(number, into: &effects)
        case .watchDue(let user): watchDue(user, at: now, into: &effects)
        case .watchSilence(let user): watchSilent(user, at: now, into: &effects)
        case .originalForgotten(let number): originalForgotten(number, into: &effects)
        }
    }

    // MARK: Users

    /// The user of an identity; nil: there are as many as are allowed.
    mutating func userNumber(of identity: Identity) -> Int? {
        if let number = userNumbers[identity] { return number }
        guard users.count < settings.userLimit else { return nil }
        users.append(User(identity))
        userNumbers[identity] = users.count - 1
        return users.count - 1
    }

    func isServed(_ identity: Identity) -> Bool {
        guard let servedUsers else { return identity.isServed(in: domain) }
        return servedUsers.contains(identity)
    }

    /// The settings that hold for a user. Of several documents of one device the last counts.
    func effectiveSettings(of user: Int) -> ServiceSettings {
        var latest: [String: (revision: UInt64, settings: ServiceSettings)] = [:]
        for publication in users[user].publications {
            for entity in publication.document.entities where (latest[entity.id]?.revision ?? 0) <= publication.revision {
                latest[entity.id] = (publication.revision, entity.settings)
            }
        }
        let ordered = latest.sorted { ($0.value.revision, $0.key) < ($1.value.revision, $1.key) }
        return settings.composition.effective(of: ordered.map(\.value.settings))
    }
}

/// Counts for metrics.
public struct IMServerCounters: BitwiseCopyable, Sendable, Hashable {
    /// Messages that could neither be answered nor used.
    public var dropped: UInt64 = 0
    /// Messages kept (202), delivered later, and given up.
    public var deferred: UInt64 = 0
    public var delivered: UInt64 = 0
    public var discarded: UInt64 = 0
}

/// What a timer of the server is for, packed into its payload.
enum ServerTimer: Equatable {
    case publicationExpired(UInt64)
    case registrationLapsed(user: Int)
    case answerOverdue(forward: UInt64)
    case messageExpired(UInt64)
    case deliveryDue(user: Int)
    case removalDue(UInt64)
    case watchDue(user: Int)
    case watchSilence(user: Int)
    case originalForgotten(UInt64)

    private static let numberMask: UInt64 = (1 << 56) - 1

    var payload: UInt64 {
        switch self {
        case .publicationExpired(let number): number & ServerTimer.numberMask
        case .registrationLapsed(let user): 1 << 56 | UInt64(user)
        case .answerOverdue(let number): 2 << 56 | number & ServerTimer.numberMask
        case .messageExpired(let number): 3 << 56 | number & ServerTimer.numberMask
        case .deliveryDue(let user): 4 << 56 | UInt64(user)
        case .removalDue(let number): 5 << 56 | number & ServerTimer.numberMask
        case .watchDue(let user): 6 << 56 | UInt64(user)
        case .watchSilence(let user): 7 << 56 | UInt64(user)
        case .originalForgotten(let number): 8 << 56 | number & ServerTimer.numberMask
        }
    }

    init(payload: UInt64) {
        let number = payload & ServerTimer.numberMask
        self =
            switch payload >> 56 {
            case 0: .publicationExpired(number)
            case 1: .registrationLapsed(user: Int(number))
            case 2: .answerOverdue(forward: number)
            case 3: .messageExpired(number)
            case 4: .deliveryDue(user: Int(number))
            case 5: .removalDue(number)
            case 6: .watchDue(user: Int(number))
            case 7: .watchSilence(user: Int(number))
            default: .originalForgotten(number)
            }
    }
}
