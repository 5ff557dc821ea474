// What the core counts: plain numbers, read by whoever serves metrics.

public import SIPMessage
public import SIPRegistrar
public import SansIO

/// Why a message was not worked on.
public enum DropReason: UInt8, BitwiseCopyable, Sendable, CaseIterable {
    case keepAlive, malformed, strayResponse, strayAcknowledgement
    /// No room for a transaction: of new work, and of requests within a dialog; or too many octets are kept already.
    case overload, overloadWithinDialog, overloadMemory
    case unroutableAcknowledgement

    public var name: String {
        switch self {
        case .keepAlive: "keep_alive"
        case .malformed: "malformed"
        case .strayResponse: "stray_response"
        case .strayAcknowledgement: "stray_ack"
        case .overload: "overload"
        case .overloadWithinDialog: "overload_in_dialog"
        case .overloadMemory: "overload_memory"
        case .unroutableAcknowledgement: "unroutable_ack"
        }
    }
}

/// What came of a request of the core's own: a third-party REGISTER, a NOTIFY of registration state.
public enum RequestResult: UInt8, BitwiseCopyable, Sendable, CaseIterable {
    /// `refused`: a final response other than 2xx. `failed`: no answer, or no room to send it.
    case sent, accepted, refused, failed
    public var name: String {
        switch self {
        case .sent: "sent"
        case .accepted: "accepted"
        case .refused: "refused"
        case .failed: "failed"
        }
    }
}

public struct CoreCounters: Sendable {
    /// Requests and responses received, by transport, method and status (0: a request); the rows are `row`.
    private var received: ContiguousArray<UInt64>
    public var dropped = ContiguousArray<UInt64>(repeating: 0, count: DropReason.allCases.count)
    /// Malformed messages by the number of the fault's reason.
    public var malformed = ContiguousArray<UInt64>(repeating: 0, count: MessageFault.Reason.allCases.count)
    public var retransmissionsAbsorbed: UInt64 = 0
    /// By application server: the four results of each registration type; the columns are `column`.
    private var thirdParty: ContiguousArray<InlineArray<12, UInt64>>
    /// By result.
    public var notifies = ContiguousArray<UInt64>(repeating: 0, count: RequestResult.allCases.count)

    /// 0, then 100 to 699 one by one would be too wide: requests, and responses by their status up to this many.
    private static let statuses = 701

    init(applicationServers: Int) {
        received = ContiguousArray(repeating: 0, count: Transport.allCases.count * Method.allCases.count * CoreCounters.statuses)
        thirdParty = ContiguousArray(repeating: InlineArray(repeating: 0), count: applicationServers)
    }

    mutating func countReceived(_ transport: Transport, _ method: Method, _ status: UInt16) {
        received[CoreCounters.row(transport, method, status)] &+= 1
    }

    mutating func countDropped(_ reason: DropReason) { dropped[Int(reason.rawValue)] &+= 1 }

    mutating func countMalformed(_ fault: MessageFault) {
        dropped[Int(DropReason.malformed.rawValue)] &+= 1
        malformed[Int(fault.reason.rawValue)] &+= 1
    }

    mutating func countThirdParty(_ server: Int, _ kind: RegistrationChange.Kind, _ result: RequestResult) {
        guard thirdParty.indices.contains(server) else { return }
        thirdParty[server][CoreCounters.column(kind, result)] &+= 1
    }

    /// Third-party REGISTER requests that told an application server of a registration of this type.
    public func thirdParty(_ server: Int, _ kind: RegistrationChange.Kind, _ result: RequestResult) -> UInt64 {
        thirdParty[server][CoreCounters.column(kind, result)]
    }

    /// The same of all types.
    public func thirdParty(_ server: Int, _ result: RequestResult) -> UInt64 {
        RegistrationChange.Kind.allCases.reduce(0) { $0 &+ thirdParty(server, $1, result) }
    }

    private static func column(_ kind: RegistrationChange.Kind, _ result: RequestResult) -> Int {
        Int(kind.rawValue) * RequestResult.allCases.count + Int(result.rawValue)
    }

    mutating func countNotify(_ result: RequestResult) { notifies[Int(result.rawValue)] &+= 1 }

    /// Adds what another shard of the same core has counted.
    public mutating func add(_ other: CoreCounters) {
        for i in received.indices { received[i] &+= other.received[i] }
        for i in dropped.indices { dropped[i] &+= other.dropped[i] }
        for i in malformed.indices { malformed[i] &+= other.malformed[i] }
        retransmissionsAbsorbed &+= other.retransmissionsAbsorbed
        for i in notifies.indices { notifies[i] &+= other.notifies[i] }
        for i in thirdParty.indices {
            for column in thirdParty[i].indices { thirdParty[i][column] &+= other.thirdParty[i][column] }
        }
    }

    /// Calls `body` for each combination that was seen, in a fixed order.
    public func forEachReceived(_ body: (Transport, Method, UInt16, UInt64) -> Void) {
        for transport in Transport.allCases {
            for method in Method.allCases {
                for status in 0..<CoreCounters.statuses {
                    let count = received[CoreCounters.row(transport, method, UInt16(status))]
                    if count > 0 { body(transport, method, UInt16(status), count) }
                }
            }
        }
    }

    private static func row(_ transport: Transport, _ method: Method, _ status: UInt16) -> Int {
        (Int(transport.rawValue) * Method.allCases.count + Int(method.rawValue)) * statuses + min(Int(status), statuses - 1)
    }
}
