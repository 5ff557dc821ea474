// Nothing may be claimed twice: not a name, not a private identity, not a public one.

/// What subscribers claim, in the order of the file.
struct ClaimedIdentities {
    struct Claim {
        var pattern: IdentityPattern
        /// The subscriber's place in the file's order.
        var subscriber: Int
        var position: Position
    }

    private var literals: ClaimedTexts
    private var ranges: [Claim] = []

    /// - Parameter count: how many claims are expected.
    init(count: Int) { literals = ClaimedTexts(count: count) }

    /// The earlier claim that stands in the way of a new one, with a text that both claim; nil if the claim was taken.
    mutating func claim(_ claim: Claim) -> (earlier: Claim, text: String)? {
        if let octets = claim.pattern.literal {
            if let conflict = conflict(of: claim, with: ranges) { return conflict }
            guard let earlier = literals.claim(octets, claim.subscriber, claim.position) else { return nil }
            return (literals.claim(earlier), String(decoding: octets, as: UTF8.self))
        }
        if let conflict = conflict(of: claim, with: ranges) ?? firstConflict(of: claim) { return conflict }
        ranges.append(claim)
        return nil
    }

    /// Literals in sorted order would not help ranges; there are few ranges, so each is held against every literal.
    private func firstConflict(of claim: Claim) -> (earlier: Claim, text: String)? {
        for i in literals.indices {
            let other = literals.claim(i)
            if let text = claim.pattern.overlap(with: other.pattern) { return (other, text) }
        }
        return nil
    }

    private func conflict(of claim: Claim, with earlier: [Claim]) -> (earlier: Claim, text: String)? {
        for other in earlier {
            if let text = claim.pattern.overlap(with: other.pattern) { return (other, text) }
        }
        return nil
    }
}

/// Claims of texts, by their text. Of a million subscribers there are three million, so they lie in three runs of memory
/// instead of one for each: of the 259 MB that 100,000 subscribers need while they are read, written out, it saves 23.
private struct ClaimedTexts {
    private struct Entry {
        var start: Int
        var length: Int32
        var subscriber: Int32
        var line: Int32
        var column: Int32
    }

    private var octets: [UInt8] = []
    /// In the order of the file.
    private var entries: [Entry] = []
    /// One more than the number of an entry, at the first free place from the one that its hash names; 0: free.
    private var places: [UInt32]

    init(count: Int) {
        var size = 16
        while size < 2 * count { size *= 2 }
        places = Array(repeating: 0, count: size)
        entries.reserveCapacity(count)
    }

    var indices: Range<Int> { entries.indices }

    func claim(_ index: Int) -> ClaimedIdentities.Claim {
        let entry = entries[index]
        return ClaimedIdentities.Claim(
            pattern: IdentityPattern(literal: Array(text(entry))), subscriber: Int(entry.subscriber),
            position: Position(line: Int(entry.line), column: Int(entry.column)))
    }

    /// Takes a claim, or gives the number of the earlier one of the same text.
    mutating func claim(_ text: [UInt8], _ subscriber: Int, _ position: Position) -> Int? {
        if 2 * entries.count >= places.count { grow() }
        var place = firstPlace(of: text[...])
        while places[place] != 0 {
            let index = Int(places[place] - 1)
            if self.text(entries[index]) == text[...] { return index }
            place = (place + 1) & (places.count - 1)
        }
        places[place] = UInt32(entries.count + 1)
        entries.append(
            Entry(
                start: octets.count, length: Int32(text.count), subscriber: Int32(clamping: subscriber),
                line: Int32(clamping: position.line), column: Int32(clamping: position.column)))
        octets += text
        return nil
    }

    private func text(_ entry: Entry) -> ArraySlice<UInt8> { octets[entry.start..<entry.start + Int(entry.length)] }

    private func firstPlace(of text: ArraySlice<UInt8>) -> Int {
        var hasher = Hasher()
        text.withUnsafeBytes { hasher.combine(bytes: $0) }
        return hasher.finalize() & (places.count - 1)
    }

    private mutating func grow() {
        places = Array(repeating: 0, count: 2 * places.count)
        for (index, entry) in entries.enumerated() {
            var place = firstPlace(of: text(entry))
            while places[place] != 0 { place = (place + 1) & (places.count - 1) }
            places[place] = UInt32(index + 1)
        }
    }
}
