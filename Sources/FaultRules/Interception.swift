// What becomes of a message that was looked at: what a shell is to do with it.

public import SIPTrace
public import SansIO

/// What becomes of a message.
public struct Interception: Hashable, Sendable {
    /// What is done, in order.
    public enum Consequence: Hashable, Sendable {
        /// It goes its way: as it is, or in this form.
        case pass([UInt8]?)
        /// The same after a time, or when `release` names the number.
        case hold([UInt8]?, TimeSpan, number: UInt64)
        /// One that is held goes its way now.
        case release(UInt64)
        /// This goes back to where the message came from.
        case answer([UInt8])
        /// The stream that it is on is closed.
        case close
    }

    public var consequences: [Consequence]
    /// What the trace says of it.
    public var mark: TraceMark
    /// What the node does wrong with it.
    public var misbehaviour: Misbehaviour?

    public init(_ consequences: [Consequence], mark: TraceMark, misbehaviour: Misbehaviour? = nil) {
        self.consequences = consequences
        self.mark = mark
        self.misbehaviour = misbehaviour
    }

    /// It goes its way.
    public static let none = Interception([.pass(nil)], mark: .none)

    /// Whether it goes nowhere, now or later.
    public var isLoss: Bool {
        !consequences.contains {
            switch $0 {
            case .pass, .hold: true
            case .release, .answer, .close: false
            }
        }
    }
}
