// What a review comes to.

/// How bad it is to break a rule.
public enum Severity: String, CaseIterable, Comparable, Sendable {
    /// Odd, or forbidden only under conditions that a trace does not show.
    case note
    /// Against a SHOULD, or likely to fail with others.
    case warning
    /// Against a MUST.
    case error

    public static func < (a: Severity, b: Severity) -> Bool { a.rank < b.rank }

    private var rank: Int {
        switch self {
        case .note: 0
        case .warning: 1
        case .error: 2
        }
    }
}

/// A message, or a silence, that breaks a rule.
public struct Finding: Hashable, Sendable {
    /// The numbers of the messages that show it; the last is the one at fault. Of a silence that is the request that was not
    /// answered.
    public var sequences: [UInt64]
    /// The rule's identifier, `settings-accept-contact`.
    public var rule: String
    public var severity: Severity
    /// Whose fault it is: the node's name in the topology, the user's public identity, or an address.
    public var node: String
    /// `OMA IM 1.0 5.3 step 4`, `RFC 3261 8.1.1.6`.
    public var clause: String
    /// What is wrong: `PUBLISH: no Accept-Contact`.
    public var text: String
    /// What would be right.
    public var advice: String

    /// The message at fault.
    public var sequence: UInt64 { sequences.last ?? 0 }
}
