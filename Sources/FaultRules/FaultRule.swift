// A fault on purpose: which messages it befalls, and what becomes of them.

public import SIPTrace
public import SansIO

/// A rule of messages that go astray between a node and its sockets.
public struct FaultRule: Hashable, Sendable {
    /// Which messages a rule is about: those that have all that is given here.
    public struct Match: Hashable, Sendable {
        /// Of a request; of a response the one in its CSeq.
        public var method: String?
        /// Responses with a status in this range; nil: requests too.
        public var status: ClosedRange<UInt16>?
        /// The other side: a node's name, or its address such as `127.0.0.1:5080`.
        public var peer: String?
        /// Seen from the node.
        public var direction = TraceDirection.incoming
        public var transport: Transport?
        public var callID: String?
        /// The first to be hit, of those that match; counted from 1.
        public var nth = 1
        /// How many from that one on are hit; nil: all.
        public var times: Int?
        /// How likely each of those is hit; nil: surely.
        public var probability: Double?
        /// What decides where chance does; nil: whatever the table draws.
        public var seed: UInt64?

        public init() {}
    }

    /// What befalls a message.
    public enum Action: Hashable, Sendable {
        case drop
        case delay(TimeSpan)
        /// So many more of it.
        case duplicate(copies: Int)
        /// It waits until so many that match have passed it, or `reorderPatience`.
        case reorder(behind: Int)
        /// A request, but for ACK, is answered in the stead of whoever would have got it.
        case answer(status: UInt16, headers: [Field])
        case header(set: [Field], remove: [String])
        /// So many octets, anywhere in it, become others.
        case corrupt(octets: Int)
        /// Only so many octets of it go on, or half of them; on a stream that is the end of the stream too.
        case cut(octets: Int?)
        /// The stream that it is on is closed, and it is lost.
        case close
        /// A REGISTER of a SIM is challenged with a sequence number that the SIM takes for old (TS 33.102 §6.3.5).
        case staleSequenceNumber
    }

    /// A header field.
    public struct Field: Hashable, Sendable {
        public var name: String
        public var value: String

        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// The most that a message waits for others to pass it.
    public static let reorderPatience = TimeSpan.milliseconds(500)

    public var match: Match
    public var action: Action

    public init(_ action: Action, of match: Match = Match()) {
        self.action = action
        self.match = match
    }
}
