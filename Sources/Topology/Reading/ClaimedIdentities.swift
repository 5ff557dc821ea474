// Nothing may be claimed twice: not a name, not a private identity, not a public one.

/// What subscribers claim, in the order of the file.
struct ClaimedIdentities {
    struct Claim {
        var pattern: IdentityPattern
        /// The subscriber's place in the file's order.
        var subscriber: Int
        var position: Position
    }

    private var literals: [[UInt8]: Claim] = [:]
    private var ranges: [Claim] = []

    /// The earlier claim that stands in the way of a new one, with a text that both claim; nil if the claim was taken.
    mutating func claim(_ claim: Claim) -> (earlier: Claim, text: String)? {
        if let literal = claim.pattern.literal {
            if let earlier = literals[literal] { return (earlier, String(decoding: literal, as: UTF8.self)) }
            if let conflict = conflict(of: claim, with: ranges) { return conflict }
            literals[literal] = claim
            return nil
        }
        if let conflict = conflict(of: claim, with: ranges) ?? firstConflict(of: claim, with: literals.values) { return conflict }
        ranges.append(claim)
        return nil
    }

    /// Literals in sorted order would not help ranges; there are few ranges, so each is held against every literal.
    private func firstConflict(of claim: Claim, with earlier: some Sequence<Claim>) -> (earlier: Claim, text: String)? {
        var first: (earlier: Claim, text: String)?
        for other in earlier where first.map({ other.position < $0.earlier.position }) ?? true {
            if let text = claim.pattern.overlap(with: other.pattern) { first = (other, text) }
        }
        return first
    }

    private func conflict(of claim: Claim, with earlier: [Claim]) -> (earlier: Claim, text: String)? {
        for other in earlier {
            if let text = claim.pattern.overlap(with: other.pattern) { return (other, text) }
        }
        return nil
    }
}
