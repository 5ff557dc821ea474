// Nothing may be claimed twice: not a name, not a private identity, not a public one.

/// What subscribers claim, in the order of the file.
struct ClaimedIdentities {
    struct Claim {
        var pattern: IdentityPattern
        /// The subscriber's place in the file's order.
        var subscriber: Int
        var position: Position
    }

    /// The claim of a text, without its pattern: there may be a million.
    private struct Holder {
        var subscriber: Int32
        var line: Int32
        var column: Int32
    }

    /// Hashed as a whole, not octet by octet.
    private struct Literal: Hashable {
        var octets: [UInt8]
        func hash(into hasher: inout Hasher) { octets.withUnsafeBytes { hasher.combine(bytes: $0) } }
    }

    private var literals: [Literal: Holder] = [:]
    private var ranges: [Claim] = []

    /// - Parameter count: how many claims are expected.
    init(count: Int) { literals.reserveCapacity(count) }

    /// The earlier claim that stands in the way of a new one, with a text that both claim; nil if the claim was taken.
    mutating func claim(_ claim: Claim) -> (earlier: Claim, text: String)? {
        if let octets = claim.pattern.literal {
            if let conflict = conflict(of: claim, with: ranges) { return conflict }
            let literal = Literal(octets: octets)
            let holder = Holder(
                subscriber: Int32(clamping: claim.subscriber), line: Int32(clamping: claim.position.line),
                column: Int32(clamping: claim.position.column))
            // One search, for what is nearly always new; the first holder keeps it.
            guard let earlier = literals.updateValue(holder, forKey: literal) else { return nil }
            literals[literal] = earlier
            return (self.claim(of: literal, earlier), String(decoding: octets, as: UTF8.self))
        }
        if let conflict = conflict(of: claim, with: ranges) ?? firstConflict(of: claim) { return conflict }
        ranges.append(claim)
        return nil
    }

    /// Literals in sorted order would not help ranges; there are few ranges, so each is held against every literal.
    private func firstConflict(of claim: Claim) -> (earlier: Claim, text: String)? {
        var first: (earlier: Claim, text: String)?
        for (literal, holder) in literals {
            let other = self.claim(of: literal, holder)
            if let first, first.earlier.position < other.position { continue }
            if let text = claim.pattern.overlap(with: other.pattern) { first = (other, text) }
        }
        return first
    }

    private func claim(of literal: Literal, _ holder: Holder) -> Claim {
        Claim(
            pattern: IdentityPattern(literal: literal.octets), subscriber: Int(holder.subscriber),
            position: Position(line: Int(holder.line), column: Int(holder.column)))
    }

    private func conflict(of claim: Claim, with earlier: [Claim]) -> (earlier: Claim, text: String)? {
        for other in earlier {
            if let text = claim.pattern.overlap(with: other.pattern) { return (other, text) }
        }
        return nil
    }
}
