// Network-initiated re-authentication (TS 24.229 §5.4.1.6): what is registered ends earlier than was granted.

public import SansIO

extension Registrar {
    /// Lets a subscriber's bindings end after `span` at the latest; those that end sooner stay as they are.
    public mutating func shorten(_ subscriber: UInt32, to span: TimeSpan, at now: Instant) {
        let end = now + span
        var index = first[subscriber]
        while index != .max {
            if bindings[index].expiry > end { setExpiry(of: index, to: end) }
            index = bindings[index].next
        }
    }
}
