// What the core's interface asks of whoever runs the core: plain values, no type of the core or of its threads.

public import SIPTrace
public import SansIO

/// The core behind its HTTP interface. Calls come from many tasks at a time.
public protocol CoreBacking: Sendable {
    /// What it can do beside telling; calls for the others are answered 404 or 405.
    var operations: Set<CoreOperation> { get }

    func health() async -> Health
    /// Those who are registered, in a steady order.
    func registrations() async -> [Registration]
    /// - Parameter identity: a public identity in canonical form (`sip:alice@home1.test`, `tel:+15550100`).
    func registration(of identity: String) async -> Registration?
    /// The oldest messages with numbers over `sequence`, at most `limit` of them.
    func recordedMessages(after sequence: UInt64, limit: Int) async -> RecordedMessages
    /// Returns when there is a message with a number over `sequence`, at once if there is one, or after `patience`; early
    /// too if the task is cancelled.
    func waitForMessages(after sequence: UInt64, for patience: TimeSpan) async
    /// Why a recorded request went where it went.
    func why(_ sequence: UInt64) async throws(WhyFailure) -> Why
    /// The name in the topology of the node at the other end; nil: none is known there.
    func nodeName(of message: RecordedMessage) -> String?
    func metrics() async -> [MetricFamily]
    /// Ends the registration of a public identity (TS 24.229 §5.4.1.5).
    /// - Returns: whether it was registered.
    func deregister(_ identity: String, _ event: NetworkDeregistration) async throws -> Bool
    /// Has a registered user authenticate anew (TS 24.229 §5.4.1.6).
    /// - Returns: whether the identity was registered.
    func reauthenticate(_ identity: String) async throws -> Bool
    /// Sends a request as a subscriber, or to a node, and waits for what comes back.
    func send(_ order: SendOrder) async throws(SendFailure) -> SentRequest
    /// Forgets registrations and messages, but not subscribers, and numbers messages from 1 again.
    func reset() async throws

    /// All who are provisioned, ranges as one, in a steady order.
    func subscribers() async -> [ProvisionedSubscriber]
    /// - Parameter name: of a subscriber, also of one out of a range, or that of a range as it is written.
    func subscriber(_ name: String) async -> ProvisionedSubscriber?
    /// Provisions a subscriber, or changes one.
    /// - Parameter json: an object with the fields that the topology has for it.
    /// - Returns: whether there was none of this name.
    func putSubscriber(_ name: String, json: String) async throws(ProvisioningFailure) -> Bool
    /// - Returns: whether there was one.
    func removeSubscriber(_ name: String) async throws(ProvisioningFailure) -> Bool

    /// The fault rules, in the order in which they were added.
    func faults() async -> [FaultState]
    /// - Parameter json: an object with the fields of a fault.
    func addFault(json: String) async throws(ProvisioningFailure) -> FaultState
    /// - Returns: whether there was one.
    func removeFault(_ id: Int) async -> Bool
    func removeFaults() async

    func clock() async -> ClockState
    /// Moves a virtual clock, and returns when all that fell due has been sent.
    /// - Parameter json: an object such as `{"by": "1h"}`.
    func advanceClock(json: String) async throws(ProvisioningFailure) -> ClockState
}

/// What not every core can do.
public enum CoreOperation: Hashable, Sendable {
    case deregistration, reauthentication, reset, provisioning, faults, clock, sending
}

/// What a user is told whom the network deregisters: the event of its contacts (RFC 3680 §4.7.1).
public enum NetworkDeregistration: Hashable, Sendable {
    /// Register again at once; again after so many seconds; not again.
    case deactivated
    case probation(retryAfter: UInt32)
    case rejected
}

extension CoreBacking {
    public var operations: Set<CoreOperation> { [] }
    public func deregister(_ identity: String, _ event: NetworkDeregistration) async throws -> Bool { false }
    public func reauthenticate(_ identity: String) async throws -> Bool { false }
    public func send(_ order: SendOrder) async throws(SendFailure) -> SentRequest { throw .unreachable("this core sends nothing") }
    public func reset() async throws {}
    public func subscribers() async -> [ProvisionedSubscriber] { [] }
    public func subscriber(_ name: String) async -> ProvisionedSubscriber? { nil }
    public func putSubscriber(_ name: String, json: String) async throws(ProvisioningFailure) -> Bool { false }
    public func removeSubscriber(_ name: String) async throws(ProvisioningFailure) -> Bool { false }
    public func faults() async -> [FaultState] { [] }
    public func addFault(json: String) async throws(ProvisioningFailure) -> FaultState {
        throw .conflict("this core has no fault rules; leave them out", field: nil)
    }
    public func removeFault(_ id: Int) async -> Bool { false }
    public func removeFaults() async {}
    public func clock() async -> ClockState { ClockState(isVirtual: false, now: WallTime(seconds: 0)) }
    public func advanceClock(json: String) async throws(ProvisioningFailure) -> ClockState {
        throw .conflict("this core has no clock that moves; leave it alone", field: nil)
    }
}

/// That a node is alive, and what it is.
public struct Health: Hashable, Sendable {
    /// As in the ready line: `core`, `im-server`.
    public var role: String
    public var version: String
    public var uptime: TimeSpan
    /// `udp://127.0.0.1:5060` and so on.
    public var listeners: [String]

    public init(role: String, version: String, uptime: TimeSpan, listeners: [String]) {
        self.role = role
        self.version = version
        self.uptime = uptime
        self.listeners = listeners
    }
}

/// A registered public identity.
public struct Registration: Hashable, Sendable {
    public struct Contact: Hashable, Sendable {
        public var uri: String
        public var privateIdentity: String
        /// How long it lasts from now, and until when.
        public var expires: TimeSpan
        public var expiresAt: WallTime
        /// In thousandths; nil: none was given.
        public var q: Int?
        public var path: [String] = []
        /// `+sip.instance` and `reg-id` (RFC 5626), and the public GRUU (RFC 5627).
        public var instance: String?
        public var regID: UInt32?
        public var gruu: String?
        /// As they stand in the Contact: `+g.oma.sip-im`, `methods="INVITE,BYE"`.
        public var featureTags: [String] = []
        /// The way that it was registered over: `udp://192.0.2.1:5062`.
        public var flow: String
        /// Of the last REGISTER.
        public var callID: String?
        public var sequence: UInt32?
        /// What it said of the access network, the visited network and the charging (RFC 7315).
        public var accessNetworkInfo: String?
        public var visitedNetworkID: String?
        public var chargingID: String?

        public init(uri: String, privateIdentity: String, expires: TimeSpan, expiresAt: WallTime, flow: String) {
            self.uri = uri
            self.privateIdentity = privateIdentity
            self.expires = expires
            self.expiresAt = expiresAt
            self.flow = flow
        }
    }

    public var publicIdentity: String
    /// The one that registered last.
    public var privateIdentity: String
    /// The public identities that are registered together with it, itself included.
    public var implicitSet: [String]
    public var contacts: [Contact]

    public init(publicIdentity: String, privateIdentity: String, implicitSet: [String], contacts: [Contact]) {
        self.publicIdentity = publicIdentity
        self.privateIdentity = privateIdentity
        self.implicitSet = implicitSet
        self.contacts = contacts
    }
}

/// A message of the trace.
public struct RecordedMessage: Hashable, Sendable {
    public var sequence: UInt64
    public var time: WallTime
    public var direction: TraceDirection
    public var transport: Transport
    public var local: Endpoint
    public var remote: Endpoint
    /// The stream's number; 0: a datagram, or a message that opened a stream.
    public var connection: UInt32
    /// What a fault rule did to it.
    public var mark: TraceMark
    public var octets: [UInt8]

    public init(
        sequence: UInt64, time: WallTime, direction: TraceDirection, transport: Transport, local: Endpoint, remote: Endpoint,
        connection: UInt32 = 0, mark: TraceMark = .none, octets: [UInt8]
    ) {
        self.sequence = sequence
        self.time = time
        self.direction = direction
        self.transport = transport
        self.local = local
        self.remote = remote
        self.connection = connection
        self.mark = mark
        self.octets = octets
    }

    /// A record of a trace with its octets.
    public init(_ sequence: UInt64, _ record: TraceRecord, octets: [UInt8]) {
        self.init(
            sequence: sequence, time: record.time, direction: record.direction, transport: record.transport, local: record.local,
            remote: record.remote, connection: record.connection, mark: record.mark, octets: octets)
    }
}

/// A part of the trace.
public struct RecordedMessages: Sendable {
    public var messages: [RecordedMessage]
    /// The number of the newest message there was when they were taken; 0: none.
    public var newest: UInt64
    /// How often the trace was forgotten and its numbers began anew.
    public var resets: UInt64

    public init(messages: [RecordedMessage], newest: UInt64, resets: UInt64 = 0) {
        self.messages = messages
        self.newest = newest
        self.resets = resets
    }
}

extension TraceRing {
    /// The oldest messages with numbers over `sequence`, at most `limit` of them.
    public borrowing func messages(after sequence: UInt64, limit: Int) -> RecordedMessages {
        var found = RecordedMessages(messages: [], newest: nextSequence - 1, resets: resets)
        var next = max(firstSequence, sequence == .max ? .max : sequence + 1)
        while next < nextSequence, found.messages.count < limit {
            if let record = record(next) { found.messages.append(RecordedMessage(next, record, octets: [UInt8](octets(of: next)))) }
            next += 1
        }
        return found
    }
}
