// Subscriptions and published state: Event and Subscription-State (RFC 6665 §8.2), SIP-ETag and SIP-If-Match (RFC 3903 §11.3).

import SansIO

/// Event: which package, and which of several subscriptions to it in a dialog.
public struct EventType: BitwiseCopyable, Sendable {
    /// Package and templates, `presence.winfo`. It is compared with case (§8.2.1).
    public var package: Slice
    /// `id`; empty: none.
    public var id: Slice
}

/// Subscription-State: what a NOTIFY says of its subscription (§4.1.3).
public struct SubscriptionState: BitwiseCopyable, Sendable {
    public enum State: UInt8, BitwiseCopyable, Sendable { case active, pending, terminated, other }
    public enum Reason: UInt8, BitwiseCopyable, Sendable {
        case deactivated, probation, rejected, timeout, giveup, noresource, invariant, other
    }

    public var state: State
    /// Why it is terminated; nil: not given.
    public var reason: Reason?
    /// Seconds that are left; nil: not given.
    public var expires: UInt32?
    /// Seconds until a new attempt makes sense; nil: not given.
    public var retryAfter: UInt32?
}

extension RawSpan {
    /// Reads the value of Event; nil: it breaks the grammar.
    public func eventType(_ slice: Slice) -> EventType? {
        guard let (package, parameters) = tokenAndParameters(slice), isDottedName(package) else { return nil }
        var event = EventType(package: package, id: .empty)
        var rest = parameters
        while let (name, value) = nextParameter(&rest) {
            guard !name.isEmpty else { return nil }
            if self[name].equalsIgnoringCase("id") {
                guard isToken(value) else { return nil }
                event.id = value
            }
        }
        return event
    }

    /// Whether two Event values mean the same subscription (§8.2.1): the package and the `id`, octet by octet.
    public func isSame(_ event: EventType, as other: EventType, in octets: RawSpan) -> Bool {
        self[event.package].equals(octets[other.package]) && self[event.id].equals(octets[other.id])
    }

    /// Reads the value of Subscription-State; nil: it breaks the grammar.
    public func subscriptionState(_ slice: Slice) -> SubscriptionState? {
        guard let (word, parameters) = tokenAndParameters(slice) else { return nil }
        var state = SubscriptionState(state: subscriptionState(named: self[word]))
        var rest = parameters
        while let (name, value) = nextParameter(&rest) {
            if name.isEmpty { return nil }
            if self[name].equalsIgnoringCase("reason") {
                guard isToken(value) else { return nil }
                state.reason = SubscriptionState.Reason(self[value])
            } else if self[name].equalsIgnoringCase("expires") {
                guard let seconds = deltaSeconds(value) else { return nil }
                state.expires = seconds
            } else if self[name].equalsIgnoringCase("retry-after") {
                guard let seconds = deltaSeconds(value) else { return nil }
                state.retryAfter = seconds
            }
        }
        return state
    }

    private func subscriptionState(named word: RawSpan) -> SubscriptionState.State {
        if word.equalsIgnoringCase("active") { return .active }
        if word.equalsIgnoringCase("pending") { return .pending }
        return word.equalsIgnoringCase("terminated") ? .terminated : .other
    }

    /// `token *(SEMI parameter)`: the token, and the parameters with the first semicolon.
    func tokenAndParameters(_ slice: Slice) -> (Slice, Slice)? {
        let value = trimmed(slice)
        let end = run(of: .token, from: value.lower, to: value.upper)
        let next = run(of: .whiteSpace, from: end, to: value.upper)
        guard end > value.lower, next == value.upper || self[next] == 0x3B else { return nil }
        return (Slice(value.lower, end), Slice(next, value.upper))
    }

    /// Whether something stands before, between and behind the dots of a token.
    private func isDottedName(_ token: Slice) -> Bool {
        var isAtDot = true
        for i in token.lower..<token.upper {
            if self[i] == 0x2E, isAtDot { return false }
            isAtDot = self[i] == 0x2E
        }
        return !isAtDot
    }
}

extension SubscriptionState.Reason {
    /// §4.1.3; a reason that is not known counts as given.
    init(_ word: RawSpan) {
        self = .other
        if word.equalsIgnoringCase("deactivated") { self = .deactivated }
        if word.equalsIgnoringCase("probation") { self = .probation }
        if word.equalsIgnoringCase("rejected") { self = .rejected }
        if word.equalsIgnoringCase("timeout") { self = .timeout }
        if word.equalsIgnoringCase("giveup") { self = .giveup }
        if word.equalsIgnoringCase("noresource") { self = .noresource }
        if word.equalsIgnoringCase("invariant") { self = .invariant }
    }
}

extension Message {
    /// The one entity tag of SIP-ETag or SIP-If-Match, an opaque token; nil: the header is not there.
    ///
    /// - Throws: 400 if there are several fields or values, or none that is a token.
    public func entityTag(_ name: HeaderName) throws(MessageFault) -> Slice? {
        guard let index = firstIndex(of: name) else { return nil }
        guard nextIndex(after: index) == nil else { throw MessageFault(400, name, .repeated) }
        guard bytes.isToken(fields[index].value) else { throw MessageFault(400, name, .malformed) }
        return fields[index].value
    }

    /// The number of a header that is one number: Expires, Min-Expires, Max-Breadth, RSeq, Flow-Timer. Past 32 bits it is
    /// the highest there is. Nil: the header is not there.
    ///
    /// - Throws: 400 if there are several fields, or one that is no number.
    public func number(_ name: HeaderName) throws(MessageFault) -> UInt32? {
        guard let index = firstIndex(of: name) else { return nil }
        guard nextIndex(after: index) == nil else { throw MessageFault(400, name, .repeated) }
        guard let number = bytes.deltaSeconds(fields[index].value) else { throw MessageFault(400, name, .malformed) }
        return number
    }
}
