// POSIX extended regular expressions (IEEE Std 1003.1, clause 9.4), as initial filter criteria use them
// (TS 29.228 Annex F): searched, unanchored, and answered with yes or no only.
//
// This file owns the public type. A pattern goes PatternParser -> SyntaxTree -> NondeterministicAutomaton ->
// DeterministicAutomaton, all at load time; a request only walks the last.

/// A compiled POSIX extended regular expression over bytes.
///
/// The expression is looked for anywhere in the subject, unless `^` and `$` bind it to the subject's ends. Time is linear
/// in the subject for every expression, there is no backtracking, and matching allocates nothing.
///
/// Characters are those of the POSIX locale: `.` stands for any one byte, and classes such as `[:alpha:]` are ASCII's. A
/// character outside ASCII in the pattern stands for its UTF-8 bytes, and can be repeated as a whole. What POSIX leaves
/// undefined and other dialects fill differently (`\d`, `(?i)`, lazy quantifiers, a stray `{`) is refused with what to
/// write instead, and so are back-references, which no automaton can have.
public struct RegularExpression: Sendable {
    /// Most characters in a pattern.
    public static let longestPattern = 1024
    /// Most bytes of a subject that are looked at. In a longer subject the rest is not searched, and `$` does not match.
    public static let longestSubject = 8192

    /// The pattern as it was written.
    public let pattern: String
    private let engine: Engine

    private enum Engine {
        case walk(DeterministicAutomaton)
        /// The deterministic automaton would have been too large.
        case simulate(NondeterministicAutomaton)
    }

    /// Compiles a pattern.
    ///
    /// - Parameters:
    ///   - pattern: the expression; an empty one matches everything.
    ///   - ignoringCase: ASCII letters match in both cases.
    /// - Throws: the first fault in the pattern, with its column.
    public init(_ pattern: String, ignoringCase: Bool = false) throws(RegularExpressionFault) {
        var parser = try PatternParser(pattern, ignoringCase: ignoringCase)
        let automaton = try NondeterministicAutomaton(accepting: try parser.parse())
        self.pattern = pattern
        self.engine = DeterministicAutomaton(simulating: automaton).map(Engine.walk) ?? .simulate(automaton)
    }

    /// Whether the expression is found in the subject.
    public func matches(_ subject: RawSpan) -> Bool {
        let isCut = subject.byteCount > RegularExpression.longestSubject
        let visible = isCut ? subject.extracting(first: RegularExpression.longestSubject) : subject
        switch engine {
        case .walk(let automaton): return automaton.matches(visible, isCut: isCut)
        case .simulate(let automaton): return automaton.matches(visible, isCut: isCut)
        }
    }
}
