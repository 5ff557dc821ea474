// What a core asks of the Domain Name System, and what it is told. A core opens no socket: its question is an effect, and
// the shell answers it by `SansIONode.nameAnswered`, later, once, whatever becomes of it.

/// The types of records that SIP needs (RFC 3263 §4).
public enum NameRecordType: UInt16, BitwiseCopyable, Hashable, Sendable, CaseIterable {
    case a = 1
    case aaaa = 28
    case srv = 33
    case naptr = 35
}

/// What all records of a question have in common.
public struct NameQuery: Hashable, Sendable {
    /// In small letters, without the full stop at the end.
    public var name: [UInt8]
    public var type: NameRecordType

    public init(_ name: [UInt8], _ type: NameRecordType) {
        self.name = name
        self.type = type
    }
}

/// A question that a core asks.
public struct NameQuestion: Hashable, Sendable {
    /// Of the core's choosing; the answer names it.
    public var number: UInt64
    public var query: NameQuery

    public init(number: UInt64, query: NameQuery) {
        self.number = number
        self.query = query
    }
}

/// A record. Names in it are in small letters, without the full stop at the end; the root is empty.
public enum NameRecord: Hashable, Sendable {
    /// A or AAAA.
    case address(IPAddress)
    /// SRV (RFC 2782).
    case server(priority: UInt16, weight: UInt16, port: UInt16, target: [UInt8])
    /// NAPTR without a regular expression (RFC 3403 §4.1).
    case pointer(order: UInt16, preference: UInt16, flags: [UInt8], service: [UInt8], replacement: [UInt8])
}

/// What a question came to.
public struct NameAnswer: Hashable, Sendable {
    /// Of the type asked for; none if there are none.
    public var records: [NameRecord]
    /// Whether somebody who knows has answered: without records there are none then. Else nobody has, or with an error.
    public var isConclusive: Bool
    /// For how long it holds.
    public var lifetime: TimeSpan

    public init(records: [NameRecord], isConclusive: Bool = true, lifetime: TimeSpan) {
        self.records = records
        self.isConclusive = isConclusive
        self.lifetime = lifetime
    }

    /// Nobody has answered.
    public static func unanswered(for lifetime: TimeSpan) -> NameAnswer {
        NameAnswer(records: [], isConclusive: false, lifetime: lifetime)
    }
}

/// The names of a tick: what is asked, and what servers turned out to be where.
public struct NameLane: Sendable {
    public var questions: [NameQuestion] = []
    /// Peers of the node that were found, and are reached by TLS: their certificates have to be of the name that led to them (RFC 5922 §7.3).
    public var findings: [NameFinding] = []

    public init() {}

    @inlinable public var isEmpty: Bool { questions.isEmpty && findings.isEmpty }

    public mutating func removeAll() {
        questions.removeAll(keepingCapacity: true)
        findings.removeAll(keepingCapacity: true)
    }
}

/// A name that leads to an endpoint.
public struct NameFinding: Hashable, Sendable {
    public var name: [UInt8]
    public var endpoint: Endpoint

    public init(name: [UInt8], endpoint: Endpoint) {
        self.name = name
        self.endpoint = endpoint
    }
}
