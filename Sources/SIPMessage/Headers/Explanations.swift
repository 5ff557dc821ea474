// Why, and what next: Reason (RFC 3326) and Retry-After (RFC 3261 §20.33).

import SansIO

/// One value of Reason.
public struct Reason: BitwiseCopyable, Sendable {
    /// `SIP`, `Q.850` and others, compared without case.
    public var protocolName: Slice
    /// A status of that protocol; nil: not given.
    public var cause: UInt32?
    /// Without its quotes, escapes left in; empty: none.
    public var text: Slice
}

/// Retry-After: when to try again, and for how long that will then work.
public struct RetryAfter: BitwiseCopyable, Sendable {
    /// Seconds from now.
    public var delay: UInt32
    /// For humans, with its parentheses; empty: none.
    public var comment: Slice
    /// Seconds; nil: not given.
    public var duration: UInt32?
}

extension RawSpan {
    /// Reads one value of Reason; nil: it breaks the grammar.
    public func reason(_ slice: Slice) -> Reason? {
        guard let (protocolName, parameters) = tokenAndParameters(slice) else { return nil }
        var reason = Reason(protocolName: protocolName, text: .empty)
        var rest = parameters
        while let (name, value) = nextParameter(&rest) {
            if name.isEmpty { return nil }
            if self[name].equalsIgnoringCase("cause") {
                guard let cause = decimal(value) else { return nil }
                reason.cause = UInt32(cause)
            } else if self[name].equalsIgnoringCase("text") {
                guard !value.isEmpty, self[value.lower] == 0x22 else { return nil }
                reason.text = unquoted(value)
            }
        }
        return reason
    }

    /// Reads the value of Retry-After; nil: it breaks the grammar.
    public func retryAfter(_ slice: Slice) -> RetryAfter? {
        let value = trimmed(slice)
        let digits = run(of: .token, from: value.lower, to: value.upper)
        guard let delay = deltaSeconds(Slice(value.lower, digits)) else { return nil }
        var result = RetryAfter(delay: delay, comment: .empty)
        var i = run(of: .whiteSpace, from: digits, to: value.upper)
        if i < value.upper, self[i] == 0x28 {
            guard let close = endOfComment(from: i, to: value.upper) else { return nil }
            result.comment = Slice(i, close)
            i = run(of: .whiteSpace, from: close, to: value.upper)
        }
        guard i == value.upper || self[i] == 0x3B else { return nil }
        var rest = Slice(i, value.upper)
        while let (name, content) = nextParameter(&rest) {
            if name.isEmpty { return nil }
            if self[name].equalsIgnoringCase("duration") {
                guard let duration = deltaSeconds(content) else { return nil }
                result.duration = duration
            }
        }
        return result
    }
}
