// The IM Client of OMA SIMPLE IM: a user agent that registers (TS 24.229 §5.1.1), publishes service settings (OMA IM 5.3,
// RFC 3903, RFC 4354), and sends and receives messages in page mode (RFC 3428).
//
//   perform(command) → Commands.swift → Registration.swift, SettingsPublishing.swift, Messaging.swift → Requests.swift
//   requests of others → Incoming.swift, and what the core tells of the registration → RegistrationWatch.swift
//   events ← what happened, outcomes ← how commands ended; the shell takes both

import SIPMessage
import SIPRegistrar
import SIPTransaction
public import SansIO

public struct IMClient: ~Copyable, SansIONode {
    /// The product in our requests and answers.
    static let product: StaticString = "IM-client/OMA1.0 sipcore"
    static let allow: StaticString = "MESSAGE, OPTIONS, NOTIFY, INVITE, ACK, CANCEL, BYE"
    /// How long after a refresh that found no one home the next is tried.
    static let retryInterval = TimeSpan.seconds(30)
    private static let commandLimit = 10_000

    let settings: IMClientSettings
    let domainURI: [UInt8]
    let identityURI: [UInt8]
    /// The URI in Contact, and its user and host with port, by which the core's answer is searched.
    let contactURI: [UInt8]
    /// The device: `urn:uuid:` with a number that the private identity determines, so that it outlives the process.
    let instance: String

    var transactions: TransactionLayer
    var wheel: TimerWheel
    var random: RandomSource
    private var scanner = MessageScanner()
    private var expiredTimers: [UInt64] = []
    private var transactionEvents: [TransactionEvent] = []

    // The registration.
    /// Whether the core has us registered, as far as we know.
    public internal(set) var isRegistered = false
    var registrationCallID: [UInt8] = []
    var registrationTag: [UInt8] = []
    var registrationSequence: UInt32 = 0
    var refreshTimer = TimerID.none
    var lapseTimer = TimerID.none
    var registrationExpires: UInt32 = 0
    /// When the registration ends unless it is refreshed.
    var registrationEnd = Instant.zero
    var serviceRoute: [[UInt8]] = []
    var registrarChallenge: Challenge?
    var proxyChallenge: Challenge?
    var sim: USIM?
    /// The subscription to it.
    var watch: WatchDialog?
    var watchTimer = TimerID.none
    var watchSilence = TimerID.none
    var farewellTimer = TimerID.none

    // The settings.
    /// All settings, once the user has published any.
    var desired: ServiceSettings?
    /// Of the live publication; empty: there is none.
    var entityTag: [UInt8] = []
    var settingsExpires: UInt32 = 0
    var settingsTimer = TimerID.none

    // What is under way.
    var exchanges = [Exchange?](repeating: nil, count: Lane.allCases.count)
    var lastRequest: UInt64 = 0
    var commands: [ClientCommand] = []
    var current: ClientCommand?
    var waitTimer = TimerID.none
    var received = ReceivedMessages()

    /// What happened since the shell last took it away.
    public var events: [ClientEvent] = []
    /// How commands ended, in the order in which they were given, since the shell last took it away.
    public var outcomes: [CommandOutcome] = []
    /// Whether `quit` is done: nothing more will happen.
    public internal(set) var hasQuit = false

    /// - Parameter now: its wall clock enters what is random: a client that starts again with the same seed must not use
    ///   the Call-ID of its last registration, whose CSeq it has forgotten.
    public init(settings: IMClientSettings, start now: Now) {
        self.settings = settings
        var random = RandomSource(seed: settings.seed ^ UInt64(bitPattern: now.wall.microseconds))
        transactions = TransactionLayer(
            listeners: settings.listeners, timers: settings.timers, limit: 10_000, random: RandomSource(seed: random.next()),
            start: now.monotonic)
        wheel = TimerWheel(start: now.monotonic)
        domainURI = Array("sip:\(settings.domain)".utf8)
        identityURI = Array(settings.publicIdentity.utf8)
        contactURI = IMClient.contactURI(settings)
        instance = IMClient.instance(of: settings.privateIdentity)
        settingsExpires = settings.settingsExpires
        sim = settings.sim.map { USIM($0) }
        self.random = random
        registrationCallID = newCallID()
        registrationTag = newTag()
    }

    /// As above, where the seed alone is to decide what is random.
    public init(settings: IMClientSettings, start: Instant) {
        self.init(settings: settings, start: Now(monotonic: start, wall: WallTime(seconds: 0)))
    }

    /// Whether no command is under way or waits.
    public var isIdle: Bool { current == nil && commands.isEmpty }

    /// Does a command, after those given before.
    public mutating func perform(_ command: ClientCommand, at now: Now, into effects: inout Effects) {
        guard commands.count < IMClient.commandLimit, !hasQuit else {
            report(.error(text: hasQuit ? "the client has quit" : "too many commands wait"), at: now)
            return outcomes.append(.failed)
        }
        commands.append(command)
        performNext(at: now, into: &effects)
    }

    // MARK: SansIONode

    public mutating func receive(_ octets: RawSpan, over flow: Flow, at now: Now, into effects: inout Effects) {
        // The scanner is taken out while its message is looked at: the message borrows it, and the client changes meanwhile.
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
        // The next request opens the connection anew.
    }

    public mutating func transmissionFailed(_ transaction: UInt64, over flow: Flow, at now: Now, into effects: inout Effects) {
        var events: [TransactionEvent] = []
        transactions.transmissionFailed(transaction, at: now.monotonic, into: &effects.wire, events: &events)
        for event in events { transactionChanged(event, at: now, into: &effects) }
    }

    public mutating func committed(upTo ticket: UInt64, succeeded: Bool, at now: Now, into effects: inout Effects) {
        // A client stores nothing.
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
        for payload in due { timerFired(payload, at: now, into: &effects) }
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
        if !transactions.refuse(message, fault, over: flow, server: IMClient.product, into: &effects.wire) {
            effects.notices.append(Notice(.warning, "a message from \(flow.remote.text) is malformed: \(fault.reason.text)"))
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

    private mutating func timerFired(_ payload: UInt64, at now: Now, into effects: inout Effects) {
        switch ClientTimer(rawValue: payload) {
        case .registrationRefresh: registrationRefreshDue(at: now, into: &effects)
        case .registrationLapse: registrationLapsed(at: now, into: &effects)
        case .settingsRefresh: settingsRefreshDue(at: now, into: &effects)
        case .watchRefresh: watchRefreshDue(at: now, into: &effects)
        case .watchSilence: watchSilent(into: &effects)
        case .farewell:
            farewellTimer = .none
            sayFarewell(at: now, into: &effects)
        case .wait:
            waitTimer = .none
            finishCommand(.succeeded, at: now, into: &effects)
        case nil: break
        }
    }

    mutating func report(_ kind: ClientEvent.Kind, at now: Now) { events.append(ClientEvent(kind, at: now.wall)) }

    mutating func schedule(_ timer: ClientTimer, after span: TimeSpan, _ now: Now) -> TimerID {
        wheel.schedule(at: now.monotonic + span, payload: timer.rawValue)
    }

    // MARK: Names

    private static func contactURI(_ settings: IMClientSettings) -> [UInt8] {
        let identity = Array(settings.publicIdentity.utf8)
        let bytes = identity.span.bytes
        var buffer = OctetBuffer(capacity: 256)
        buffer.append("sip:")
        if let uri = bytes.uri(Slice(0, identity.count)), uri.isSIP, !uri.user.isEmpty {
            buffer.append(bytes[uri.user])
        } else {
            buffer.append("user")
        }
        buffer.append("@")
        let listener = settings.listeners.first { $0.transport == settings.coreTransport } ?? settings.listeners.first
        if let listener { buffer.append(listener.advertised) }
        buffer.appendTransportParameter(settings.coreTransport)
        return [UInt8](buffer.bytes)
    }

    private static func instance(of privateIdentity: String) -> String {
        var hasher = KeyHasher(HashSecret(0x0049_4D2D_636C_6965, 0x6E74_2D69_6E73_7461))
        let octets = Array(privateIdentity.utf8)
        hasher.combine(octets.span.bytes)
        let hash = hasher.finish()
        var buffer = OctetBuffer(capacity: 64)
        // Version 8, made as its maker likes, and the variant of RFC 9562 §4.
        buffer.append("urn:uuid:")
        buffer.appendHex(hash.high >> 32, digits: 8)
        buffer.append("-")
        buffer.appendHex(hash.high >> 16, digits: 4)
        buffer.append("-8")
        buffer.appendHex(hash.high, digits: 3)
        buffer.append("-8")
        buffer.appendHex(hash.low >> 48, digits: 3)
        buffer.append("-")
        buffer.appendHex(hash.low, digits: 12)
        return String(octets: buffer.bytes)
    }
}

/// What a timer of the client is for.
enum ClientTimer: UInt64 {
    case registrationRefresh, registrationLapse, settingsRefresh, watchRefresh, watchSilence, farewell, wait
}
