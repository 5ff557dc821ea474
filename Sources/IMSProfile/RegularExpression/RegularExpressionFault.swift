/// What is wrong with a regular expression, and where.
public struct RegularExpressionFault: Error, Equatable, Sendable, CustomStringConvertible {
    /// The character at which the fault is, counted from 1.
    public let column: Int
    /// What is wrong, for example `back-reference \1`.
    public let problem: String
    /// What to write instead.
    public let remedy: String

    /// Both in one line: what is wrong; what to write instead.
    public var description: String { "\(problem); \(remedy)" }
}
