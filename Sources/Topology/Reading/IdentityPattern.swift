// Which texts a range of subscribers claims, and whether two ranges claim one text both: by arithmetic on the numbers,
// never by writing the names out, so that a range of a million costs what one name costs.

/// A set of texts: one, or a prefix, a number of a range and a suffix.
struct IdentityPattern: Sendable, Equatable {
    var prefix: [UInt8]
    var range: ClosedRange<UInt64>?
    /// The least number of digits; shorter numbers have leading zeros.
    var width: Int
    var suffix: [UInt8]

    /// The names of a pattern.
    init(_ name: NamePattern) {
        prefix = Array(name.prefix.utf8)
        range = name.range
        width = name.width
        suffix = Array(name.suffix.utf8)
    }

    /// One text.
    init(literal: [UInt8]) {
        prefix = literal
        width = 0
        suffix = []
    }

    /// What a template becomes for the names of a pattern; nil if a range would stand in it more than once or not at all.
    init?(_ template: NameTemplate, of name: NamePattern) {
        guard name.range != nil else {
            self.init(
                literal: IdentityPattern.canonical(template.filled(with: name.suffix.isEmpty ? name.prefix : name.prefix + name.suffix)))
            return
        }
        guard template.pieces.count == 2 else { return nil }
        let text = IdentityPattern.canonical(template.pieces[0] + name.prefix + "\u{1}" + name.suffix + template.pieces[1])
        let halves = text.split(separator: 1, maxSplits: 1, omittingEmptySubsequences: false)
        self.init(name)
        prefix = Array(halves[0])
        suffix = Array(halves[1])
    }

    /// Identities are compared without the case of scheme and host, and telephone numbers without visual separators.
    private static func canonical(_ identity: String) -> [UInt8] {
        var octets = Array(identity.utf8)
        if begins(octets, with: "tel:") {
            octets.removeAll(where: isVisualSeparator)
            for i in octets.indices { octets[i] = lowercased(octets[i]) }
            return octets
        }
        guard let at = octets.lastIndex(of: UInt8(ascii: "@")) else { return octets }
        if begins(octets, with: "sip:") || begins(octets, with: "sips:") {
            for i in 0..<4 { octets[i] = lowercased(octets[i]) }
        }
        for i in at..<octets.count { octets[i] = lowercased(octets[i]) }
        return octets
    }

    private static func begins(_ octets: [UInt8], with scheme: StaticString) -> Bool {
        guard octets.count >= scheme.utf8CodeUnitCount else { return false }
        for i in 0..<scheme.utf8CodeUnitCount where lowercased(octets[i]) != scheme.utf8Start[i] { return false }
        return true
    }

    /// `visual-separator` of RFC 3966 §3.
    private static func isVisualSeparator(_ octet: UInt8) -> Bool {
        switch octet {
        case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "("), UInt8(ascii: ")"): true
        default: false
        }
    }

    private static func lowercased(_ octet: UInt8) -> UInt8 { 0x41...0x5A ~= octet ? octet | 0x20 : octet }

    /// The only text, where there is no range.
    var literal: [UInt8]? { range != nil ? nil : suffix.isEmpty ? prefix : prefix + suffix }

    /// A text that both stand for.
    func overlap(with other: IdentityPattern) -> String? {
        switch (range, other.range) {
        case (nil, nil): prefix + suffix == other.prefix + other.suffix ? String(decoding: prefix + suffix, as: UTF8.self) : nil
        default:
            agreesAtTheEnds(with: other)
                ? digitCounts.lazy.compactMap { own in
                    other.digitCounts.lazy.compactMap { self.overlap(digits: own, with: other, digits: $0) }.first
                }.first : nil
        }
    }

    private func agreesAtTheEnds(with other: IdentityPattern) -> Bool {
        zip(prefix, other.prefix).allSatisfy(==) && zip(suffix.reversed(), other.suffix.reversed()).allSatisfy(==)
    }

    /// How many digits the number may have. A literal counts as a pattern whose number has none.
    private var digitCounts: ClosedRange<Int> {
        guard let range else { return 0...0 }
        return max(width, String(range.lowerBound).count)...max(width, String(range.upperBound).count)
    }

    /// The numbers of the range that are written with so many digits.
    private func numbers(digits: Int) -> ClosedRange<UInt64>? {
        guard let range else { return 0...0 }
        let low = max(range.lowerBound, digits > max(width, 1) ? IdentityPattern.power(digits - 1) : 0)
        let high = min(range.upperBound, IdentityPattern.power(digits) - 1)
        return low <= high ? low...high : nil
    }

    /// With both numbers' lengths fixed, each place in the text holds a fixed byte or a digit of each number. Where one has a
    /// digit and the other a byte, the digit is fixed; the run of places where both have digits is one unknown number X. So
    /// each number is left·10^(k+s) + X·10^s + right, and its range limits X.
    private func overlap(digits n: Int, with other: IdentityPattern, digits m: Int) -> String? {
        let length = prefix.count + n + suffix.count
        guard length == other.prefix.count + m + other.suffix.count, let own = numbers(digits: n), let others = other.numbers(digits: m)
        else {
            return nil
        }
        var ownSplit = SplitNumber()
        var otherSplit = SplitNumber()
        for place in 0..<length {
            switch (byte(at: place, digits: n, length), other.byte(at: place, digits: m, length)) {
            case (nil, nil):
                ownSplit.addUnknown()
                otherSplit.addUnknown()
            case (nil, let byte?):
                guard ownSplit.add(byte) else { return nil }
            case (let byte?, nil):
                guard otherSplit.add(byte) else { return nil }
            case (let a?, let b?):
                guard a == b else { return nil }
            }
        }
        guard let x = ownSplit.unknowns(within: own), let y = otherSplit.unknowns(within: others), x.overlaps(y) else { return nil }
        let number = ownSplit.number(max(x.lowerBound, y.lowerBound))
        let text = String(number)
        let written = range == nil ? "" : String(repeating: "0", count: max(0, n - text.count)) + text
        return String(decoding: prefix, as: UTF8.self) + written + String(decoding: suffix, as: UTF8.self)
    }

    /// The fixed byte at a place, or nil where the number stands.
    private func byte(at place: Int, digits: Int, _ length: Int) -> UInt8? {
        if place < prefix.count { return prefix[place] }
        return place < prefix.count + digits ? nil : suffix[place - prefix.count - digits]
    }

    static func power(_ exponent: Int) -> UInt64 { (0..<exponent).reduce(1) { value, _ in value * 10 } }
}

/// A number whose digits are known on the left, unknown in the middle and known on the right.
private struct SplitNumber {
    private var left: UInt64 = 0
    private var right: UInt64 = 0
    private var unknownCount = 0
    private var rightCount = 0

    mutating func addUnknown() { unknownCount += 1 }

    /// false if the byte is no digit.
    mutating func add(_ byte: UInt8) -> Bool {
        guard UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte else { return false }
        let digit = UInt64(byte - UInt8(ascii: "0"))
        if unknownCount == 0 {
            left = left * 10 + digit
        } else {
            right = right * 10 + digit
            rightCount += 1
        }
        return true
    }

    func number(_ x: UInt64) -> UInt64 {
        (left * IdentityPattern.power(unknownCount) + x) * IdentityPattern.power(rightCount) + right
    }

    /// The X for which the number lies in a range.
    func unknowns(within range: ClosedRange<UInt64>) -> ClosedRange<UInt64>? {
        let base = number(0)
        let step = IdentityPattern.power(rightCount)
        guard range.upperBound >= base else { return nil }
        let low = range.lowerBound <= base ? 0 : (range.lowerBound - base + step - 1) / step
        let high = min((range.upperBound - base) / step, IdentityPattern.power(unknownCount) - 1)
        return low <= high ? low...high : nil
    }
}
