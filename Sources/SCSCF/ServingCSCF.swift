// The serving CSCF (TS 24.229 §5.4) as one value: registrar, proxy and the glue of IMS between them. It is also the edge
// (P-CSCF) for users that come to it directly.
//
//   octets → scan → transaction → REGISTER: Registration/
//                               → OPTIONS to us: answered here
//                               → else: Identity/ (who sends) → Routing/ (criteria, application servers, target)
//
// A tick is one call of a member of `SansIONode`; what it wants done is in the effects.
//
// A node may be several of these, its shards: `Shards/` says which of them a message belongs to, and how one goes on with
// what another has begun.

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
public import SansIO

public struct ServingCSCF: ~Copyable, SansIONode {
    /// Says nothing. A value with an existential in it lives in memory and is never loaded as a whole; otherwise the compiler,
    /// which follows each of these hundreds of fields by itself wherever `self` is borrowed, takes seven times as long for this
    /// module (260 s instead of 36 s).
    private let inMemory: any Sendable = ()
    var configuration: ServingCSCFConfiguration
    let own: OwnAddresses
    var directory: SubscriberDirectory
    /// What the routing needs of each profile's criteria, without references.
    var criteria: ContiguousArray<ContiguousArray<CriterionRoute>>
    let secret: HashSecret
    let place: ShardPlace
    /// Keys what all shards must see alike.
    let commonSecret: HashSecret
    var serverNames: ServerNames
    let chargingOrigins: ChargingOrigins

    var transactions: TransactionLayer
    var registrar: Registrar
    var digest: DigestAuthenticator
    var aka: AKAAuthenticator
    /// What is done wrong on purpose.
    var misbehaviour: Misbehaviour?
    /// Devices whose word the network wants proved at their next REGISTER, by their keys.
    var demandedProofs: Set<UInt64> = []
    var shortenings: [Shortening] = []
    var contexts = Slab<RequestContext>()
    var endedChains = EndedChains()
    var branches = Slab<Branch>()
    var thirdParty = Slab<ThirdPartyRegistration>()
    var waiting = WaitingRegistrations()
    /// Subscribers whose registration the database had under another identity than the first of their set; at start only.
    var restoredUnderOldKeys: [UInt32] = []
    /// How often changes were lost since the start.
    public private(set) var failedCommits: UInt64 = 0
    /// Restored bindings whose time was over by then.
    var overdue: [BindingID] = []
    var subscriptions: Subscriptions
    var pool = PacketPool()
    var wheel: TimerWheel
    var random: RandomSource
    var loops: SelfLoopMemory
    var fallbacks = StreamRefusals()
    var relays = Relays()
    var locations: Locations
    var pins = ServerPins()
    /// Targets that branches, and third-party REGISTER requests, have not tried, by their owner.
    var alternatives: [UInt64: ArraySlice<Flow>] = [:]
    var heldAcknowledgements = Slab<HeldAcknowledgement>()
    var answered: AnsweredRequests
    var thirdPartyNumbers: ThirdPartyNumbers
    /// The latest third-party REGISTER without a final answer of each user.
    var thirdPartyKeys = KeyTable()
    var heldAnswers = Slab<HeldAnswer>()
    /// The secret of temporary GRUUs, and whether the database has it already.
    var gruuSecret: (UInt64, UInt64)
    var isGRUUSecretStored = false
    var date = DateField()
    var decisions: DecisionLog
    /// Requests of whoever runs the core, by their numbers.
    var ownRequests: [UInt32: OwnRequest] = [:]
    /// Where requests come from that are believed to be of a user whatever they bring along, and whether there is such a place.
    var vouchedFor: [Endpoint: IdentityReference] = [:]
    var vouches = false
    /// A run of octets for what is compared and thrown away: canonical identities, passwords.
    var scratch = OctetBuffer(capacity: 512)
    public internal(set) var counters: CoreCounters
    private var scanner = MessageScanner()
    private var transactionEvents: [TransactionEvent] = []
    private var expiredTimers: [UInt64] = []
    private var expiredBindings: [ExpiredBinding] = []

    /// - Parameter configuration: taken as it is; whoever made it has validated it.
    public init(_ configuration: ServingCSCFConfiguration, at now: Now) {
        place = configuration.place
        var common = RandomSource(seed: ~configuration.seed)
        commonSecret = HashSecret(from: &common)
        gruuSecret = (common.next(), common.next())
        // Each shard draws from a stream of its own.
        var random = RandomSource(seed: configuration.seed &+ UInt64(place.number) &* 0xD1B5_4A32_D192_ED03)
        self.configuration = configuration
        own = OwnAddresses(domain: configuration.domain, listeners: configuration.listeners)
        secret = HashSecret(from: &random)
        directory = SubscriberDirectory(configuration.subscribers, secret: secret)
        for step in configuration.provisioning { _ = directory.perform(step) }
        chargingOrigins = ChargingOrigins(domain: configuration.domain, listeners: configuration.listeners)
        criteria = []
        serverNames = ServerNames()
        for profile in configuration.profiles {
            criteria.append(CriterionRoute.routes(of: profile, configuration.applicationServers, naming: &serverNames))
        }
        // Each part draws from a stream of its own, so that one more draw in one does not shift the others.
        transactions = TransactionLayer(
            listeners: configuration.listeners, timers: configuration.timers,
            limit: max(1, configuration.transactionLimit / Int(place.count)), keptLimit: configuration.keptLimit / Int(place.count),
            place: place, random: RandomSource(seed: random.next()), start: now.monotonic)
        registrar = Registrar(
            settings: configuration.registrar, keepsUndo: configuration.isPersistent, secret: HashSecret(from: &random),
            start: now.monotonic)
        digest = DigestAuthenticator(
            settings: DigestSettings(
                realm: configuration.domain, challengeLifetime: configuration.challengeLifetime,
                allowedFailures: configuration.authenticationFailures, requiresQop: configuration.requiresQop,
                functions: configuration.digestFunctions, qops: configuration.digestQops, offersUserHash: configuration.offersUserHash),
            secret: HashSecret(from: &random), start: now.monotonic)
        wheel = TimerWheel(start: now.monotonic)
        subscriptions = Subscriptions(start: now.monotonic)
        loops = SelfLoopMemory(secret: HashSecret(from: &random))
        locations = Locations(LocationRules(listeners: configuration.listeners, hosts: configuration.hosts))
        for (number, server) in configuration.applicationServers.enumerated() {
            if let location = server.location { locations.addPeer(location, server: Int16(number), isTrusted: true) }
        }
        for network in configuration.networks {
            if let location = network.location { locations.addPeer(location, server: -1, isTrusted: network.isTrusted) }
        }
        answered = AnsweredRequests(secret: secret)
        decisions = DecisionLog(limit: configuration.decisionsKept)
        counters = CoreCounters(applicationServers: configuration.applicationServers.count)
        thirdPartyNumbers = ThirdPartyNumbers(session: random.next())
        aka = AKAAuthenticator(
            settings: AKASettings(
                realm: configuration.domain, algorithms: configuration.akaAlgorithms, qops: configuration.digestQops,
                challengeLifetime: configuration.challengeLifetime),
            secret: HashSecret(from: &random))
        self.random = random
    }

    // MARK: SansIONode

    public mutating func receive(_ octets: RawSpan, over flow: Flow, at now: Now, into effects: inout Effects) {
        // The scanner is taken out while its message is looked at: the message borrows it, and the core changes meanwhile.
        var scanner = MessageScanner()
        swap(&scanner, &self.scanner)
        let verdict = scanner.scan(octets)
        switch verdict {
        case .blank:
            counters.countDropped(.keepAlive)
        case .fault(let fault):
            faultFound(fault, scanner.message(octets), over: flow, into: &effects)
        case .message:
            messageReceived(scanner.message(octets), over: flow, at: now, into: &effects)
        }
        swap(&scanner, &self.scanner)
    }

    public func patience(with flow: Flow) -> TimeSpan? {
        guard registrar.subscriberCount(on: flow) > 0 else { return nil }
        guard let patience = configuration.patienceWithFlows, registrar.isKeptAliveByUser(flow) else { return .forever }
        return patience
    }

    public mutating func flowClosed(_ flow: Flow, at now: Now, into effects: inout Effects) {
        // Bindings outlive their connection: the user may come back, and others are reached by their Contact.
    }

    public mutating func transmissionFailed(_ transaction: UInt64, over flow: Flow, at now: Now, into effects: inout Effects) {
        var events: [TransactionEvent] = []
        transactions.transmissionFailed(transaction, at: now.monotonic, into: &effects.wire, events: &events)
        for event in events { transactionChanged(event, at: now, into: &effects) }
    }

    public mutating func committed(upTo ticket: UInt64, succeeded: Bool, at now: Now, into effects: inout Effects) {
        if !succeeded { failedCommits += 1 }
        registrationsCommitted(upTo: ticket, succeeded: succeeded, at: now, into: &effects)
        shorteningsCommitted(upTo: ticket, succeeded: succeeded, at: now, into: &effects)
        subscriptionsCommitted(upTo: ticket, succeeded: succeeded, at: now, into: &effects)
    }

    /// Timers of contexts that one call of `advance` looks after at most: messages are served in between.
    private static let timersPerAdvance = 1024

    public mutating func handedOver(_ handOver: HandOver, _ octets: RawSpan, at now: Now, into effects: inout Effects) {
        switch handOver.purpose {
        case .arrival, .request:
            var scanner = MessageScanner()
            swap(&scanner, &self.scanner)
            // It was sound when the other shard read it.
            if case .message = scanner.scan(octets), let essentials = try? scanner.message(octets).essentials() {
                messageHandedOver(handOver, scanner.message(octets), essentials, at: now, into: &effects)
            }
            swap(&scanner, &self.scanner)
        case .response: relayAnswered(handOver, octets, at: now, into: &effects)
        case .silence: relayUnanswered(handOver, at: now, into: &effects)
        case .cancel: relayCancelled(handOver, octets, at: now, into: &effects)
        case .question: flowQuestioned(handOver, into: &effects)
        case .answer: flowAnswered(handOver, at: now, into: &effects)
        }
    }

    private mutating func messageHandedOver(
        _ handOver: HandOver, _ message: borrowing Message, _ essentials: Essentials, at now: Now, into effects: inout Effects
    ) {
        if handOver.purpose == .request {
            relayedRequestReceived(handOver, message, essentials, at: now, into: &effects)
        } else if message.isRequest {
            misbehaviour = handOver.detail == 0 ? nil : Misbehaviour(rawValue: UInt8(truncatingIfNeeded: handOver.detail - 1))
            requestReceived(message, essentials, over: handOver.flow, at: now, into: &effects)
            misbehaviour = nil
        } else {
            responseReceived(message, essentials, over: handOver.flow, at: now, into: &effects)
        }
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
        wheel.expire(upTo: now.monotonic, into: &due, atMost: ServingCSCF.timersPerAdvance)
        for payload in due { timerFired(payload, at: now, into: &effects) }
        due.removeAll(keepingCapacity: true)
        expiredTimers = due

        var expired = expiredBindings
        expiredBindings = []
        registrar.advance(to: now.monotonic, into: &expired)
        for binding in expired { bindingExpired(binding, at: now, into: &effects) }
        expired.removeAll(keepingCapacity: true)
        expiredBindings = expired
        if locations.nextDeadline <= now.monotonic { locationsDue(at: now, into: &effects) }
        advanceSubscriptions(to: now, into: &effects)
    }

    private mutating func timerFired(_ payload: UInt64, at now: Now, into effects: inout Effects) {
        switch Owner(rawValue: payload) {
        case .thirdParty(let id):
            guard thirdParty.contains(id) else { return }
            thirdParty[id.index].timer = .none
            thirdPartyUnanswered(id, 408, at: now, into: &effects)
        case .heldAnswer(let id): holdEnded(id, at: now, into: &effects)
        default: applicationServerSilent(SlotID(rawValue: payload), at: now, into: &effects)
        }
    }

    public var nextDeadline: Instant? {
        var next = transactions.nextDeadline
        if locations.nextDeadline != .distantFuture { next = min(next ?? .distantFuture, locations.nextDeadline) }
        if let other = wheel.nextDeadline { next = min(next ?? other, other) }
        if let other = registrar.nextDeadline { next = min(next ?? other, other) }
        if let other = subscriptions.nextDeadline { next = min(next ?? other, other) }
        return next
    }

    public mutating func misbehave(_ misbehaviour: Misbehaviour?) { self.misbehaviour = misbehaviour }

    public var unansweredRequests: [UnansweredRequest] { transactions.unansweredRequests }

    // MARK: Messages

    private mutating func messageReceived(_ message: borrowing Message, over flow: Flow, at now: Now, into effects: inout Effects) {
        let essentials: Essentials
        do {
            essentials = try message.essentials()
        } catch {
            faultFound(error, message, over: flow, into: &effects)
            return
        }
        counters.countReceived(flow.transport, essentials.method, message.status)
        if essentials.via.hasAlias, message.isRequest { aliasAsked(essentials, message, over: flow, into: &effects) }
        if place.hasOthers, let other = otherHome(of: message, essentials) {
            let start = effects.wire.bytes.count
            effects.wire.bytes.append(message.bytes)
            var handOver = HandOver(.arrival, from: place.number, to: other, flow: flow)
            handOver.detail = misbehaviour.map { UInt32($0.rawValue) + 1 } ?? 0
            return effects.wire.handOver(handOver, from: start)
        }
        if message.isRequest {
            requestReceived(message, essentials, over: flow, at: now, into: &effects)
        } else {
            responseReceived(message, essentials, over: flow, at: now, into: &effects)
        }
    }

    private mutating func requestReceived(
        _ request: borrowing Message, _ essentials: Essentials, over flow: Flow, at now: Now, into effects: inout Effects
    ) {
        switch transactions.requestReceived(request, essentials, over: flow, at: now.monotonic, into: &effects.wire) {
        case .absorbed:
            counters.retransmissionsAbsorbed += 1
        case .new(let server):
            newRequest(Arrival(server: server, flow: flow, essentials: essentials), request, at: now, into: &effects)
        case .acknowledgement:
            forwardAcknowledgement(request, essentials, over: flow, at: now, into: &effects)
        case .cancel(let cancel, let cancelled):
            cancelReceived(cancel, of: cancelled, request, essentials, over: flow, at: now, into: &effects)
        case .overloaded:
            counters.countDropped(overloadReason(essentials))
            let start = effects.wire.bytes.count
            effects.wire.bytes.appendResponse(503, to: request, essentials, from: flow.remote, toTag: random.next())
            effects.wire.bytes.appendField(.retryAfter, decimal: ServingCSCF.retryAfter)
            effects.wire.bytes.appendEmptyBody()
            transactions.respondStatelessly(to: request, essentials.via, over: flow, 503, from: start, into: &effects.wire)
        }
    }

    /// In how many seconds a client that is refused for want of room may try again.
    static let retryAfter: UInt64 = 5

    /// Under which reason a refusal for want of room is counted.
    func overloadReason(_ essentials: Essentials) -> DropReason {
        if transactions.isKeepingTooMuch { return .overloadMemory }
        return essentials.to.tag.isEmpty ? .overload : .overloadWithinDialog
    }

    /// A malformed message is answered where an answer can find its way: a request (but ACK) with a usable Via. The
    /// reason phrase names the header at fault. Else it is dropped and counted (RFC 3261 §16.3 step 1, §18.2).
    private mutating func faultFound(
        _ fault: MessageFault, _ message: borrowing Message, over flow: Flow, into effects: inout Effects
    ) {
        let fault = fault.onStream(flow.transport == .tcp || flow.transport == .tls)
        counters.countMalformed(fault)
        guard message.isRequest, message.method != .ack, let via = message.viaOfRefused, !message.shape.methodName.isEmpty else {
            effects.notices.append(Notice(.info, dropNotice(fault, flow)))
            return
        }
        let start = effects.wire.bytes.count
        effects.wire.bytes.append("SIP/2.0 ")
        effects.wire.bytes.appendDecimal(UInt64(fault.status))
        effects.wire.bytes.append(" ")
        effects.wire.bytes.append(fault)
        effects.wire.bytes.append("\r\n")
        effects.wire.bytes.appendVias(of: message, via, from: flow.remote)
        effects.wire.bytes.appendFields(of: message, .from)
        appendToWithTag(of: message, into: &effects.wire.bytes)
        effects.wire.bytes.appendFields(of: message, .callID)
        effects.wire.bytes.appendFields(of: message, .cseq)
        effects.wire.bytes.appendEmptyBody()
        transactions.respondStatelessly(to: message, via, over: flow, fault.status, from: start, into: &effects.wire)
    }

    private mutating func appendToWithTag(of message: borrowing Message, into bytes: inout OctetBuffer) {
        guard let to = message.value(.to), message.count(of: .to) == 1 else { return bytes.appendFields(of: message, .to) }
        bytes.append("To: ")
        bytes.append(message[to])
        if let address = message.bytes.nameAddress(to), address.tag.isEmpty {
            bytes.append(";tag=")
            bytes.appendHex(random.next())
        }
        bytes.append("\r\n")
    }

    private func dropNotice(_ fault: MessageFault, _ flow: Flow) -> String {
        var text = OctetBuffer(capacity: 128)
        text.append("dropped a malformed message from ")
        text.append(flow.transport.name)
        text.append("://")
        text.append(flow.remote)
        text.append(": ")
        text.append(fault)
        return String(octets: text.bytes)
    }
}

/// A request that has come in: its transaction, the way it came, and its essential fields.
struct Arrival: BitwiseCopyable {
    var server: SlotID
    var flow: Flow
    var essentials: Essentials
}
