// What a ladder draws: one line each, whatever it is drawn with.

public import SIPTrace

/// Something that happened at a time between two lanes of a ladder, or at one.
public struct LadderEvent: Hashable, Sendable {
    /// What it is; each is drawn as what it is.
    public enum Kind: Hashable, Sendable {
        /// A message on its way for the first time.
        case message
        /// A message that went the same way before.
        case retransmission
        /// A message that a fault rule touched; `mark` says how.
        case fault
        /// A timer that ran out, as far as the messages show it.
        case timer
        /// A word in between.
        case note
    }

    public var kind: Kind
    /// When, in microseconds since any moment that is the same for all events.
    public var microseconds: Int64
    /// The lanes; both are the same for what happens at one node.
    public var from: String
    public var to: String
    /// What stands on the arrow: `REGISTER`, `200 OK`.
    public var label: String
    /// What stands beside the ladder; may be empty.
    public var detail: String
    /// What a fault rule did to the message.
    public var mark = TraceMark.none
    /// The number of the message in the trace; nil: it is none, or has none.
    public var sequence: UInt64?
    public var method: String?
    /// nil for a request.
    public var status: Int?
    public var callID: String?

    public init(
        _ kind: Kind = .message, microseconds: Int64, from: String, to: String, label: String, detail: String = "",
        sequence: UInt64? = nil
    ) {
        self.kind = kind
        self.microseconds = microseconds
        self.from = from
        self.to = to
        self.label = label
        self.detail = detail
        self.sequence = sequence
    }

    /// Whether the message never reached the other end.
    public var isLost: Bool { mark == .dropped || mark == .answered }

    /// The label with what befell the message: `REGISTER [dropped]`.
    public var markedLabel: String { mark.word.map { "\(label) [\($0)]" } ?? label }
}

extension [LadderEvent] {
    /// The lanes in the order of the first event at each; those of `nodes` come first, in their order, if they take part.
    func lanes(_ nodes: [String]) -> [String] {
        var talking = Set<String>()
        var found: [String] = []
        for event in self {
            for lane in [event.from, event.to] where talking.insert(lane).inserted { found.append(lane) }
        }
        let first = nodes.filter { talking.contains($0) }
        return first + found.filter { !first.contains($0) }
    }
}
