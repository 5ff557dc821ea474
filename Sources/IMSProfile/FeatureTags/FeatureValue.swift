// The values of feature tags (RFC 3840 §9) and when two of them can mean the same.

import SIPMessage
import SansIO

/// One value of a feature tag: a token, TRUE or FALSE, a number or an interval of numbers, or a string; with `!` all but that.
struct FeatureValue: BitwiseCopyable {
    enum Kind: UInt8, BitwiseCopyable { case token, boolean, number, string }

    private var kind = Kind.boolean
    private var isNegated = false
    /// Of a token or a string: where it stands.
    private var text = Slice.empty
    /// The closed interval of a number; 1 for TRUE and 0 for FALSE.
    private var low = 1.0
    private var high = 1.0

    /// What a tag without a value says.
    static var isTrue: FeatureValue { FeatureValue() }

    var isFalse: Bool { kind == .boolean && low == 0 }

    private init() {}

    /// Reads a value that fills the slice.
    init(_ bytes: RawSpan, _ slice: Slice) {
        text = slice
        if !slice.isEmpty && bytes[slice.lower] == UInt8(ascii: "!") {
            isNegated = true
            text = Slice(slice.lower + 1, slice.upper)
        }
        let word = bytes[text]
        if word.equalsIgnoringCase("true") {
            becomeBoolean(!isNegated)
        } else if word.equalsIgnoringCase("false") {
            becomeBoolean(isNegated)
        } else if let interval = NumericInterval(word) {
            kind = .number
            low = interval.low
            high = interval.high
        } else {
            kind = word.byteCount > 0 && word[0] == UInt8(ascii: "<") ? .string : .token
        }
    }

    /// What is not TRUE is FALSE, so a boolean needs no negation.
    private mutating func becomeBoolean(_ value: Bool) {
        kind = .boolean
        isNegated = false
        low = value ? 1 : 0
        high = low
    }

    /// Whether there is something that both values mean. Values of different kinds have nothing in common, unless one of
    /// them is negated.
    func overlaps(_ other: FeatureValue, in bytes: RawSpan, _ otherBytes: RawSpan) -> Bool {
        guard kind == other.kind else { return isNegated || other.isNegated }
        switch kind {
        case .boolean, .number: return overlapsNumerically(other)
        case .token, .string:
            if isNegated && other.isNegated { return true }
            // Tokens are compared without case, strings with it.
            let isSame =
                kind == .token
                ? bytes[text].equalsIgnoringCase(otherBytes[other.text]) : bytes[text].equals(otherBytes[other.text])
            return isSame != (isNegated || other.isNegated)
        }
    }

    private func overlapsNumerically(_ other: FeatureValue) -> Bool {
        switch (isNegated, other.isNegated) {
        case (false, false): low <= other.high && other.low <= high
        case (false, true): low < other.low || high > other.high
        case (true, false): other.low < low || other.high > high
        // Something is left below both, above both, or between them.
        case (true, true): min(low, other.low) > -.infinity || max(high, other.high) < .infinity || high < other.low || other.high < low
        }
    }
}

extension RawSpan {
    /// Calls `body` with each value of a feature tag until it returns false. The slice is the parameter's value, quoted or
    /// not; an empty slice, which stands for no value, is TRUE.
    func forEachFeatureValue(in value: Slice, _ body: (FeatureValue) -> Bool) {
        if value.isEmpty {
            _ = body(.isTrue)
            return
        }
        var rest = unquoted(value)
        while !rest.isEmpty {
            let item = nextFeatureValue(&rest)
            if !item.isEmpty && !body(FeatureValue(self, item)) { return }
        }
    }

    /// Takes a value off the front of a list. Commas in the angle brackets of a string separate nothing; the `<` in a number is
    /// no bracket.
    private func nextFeatureValue(_ rest: inout Slice) -> Slice {
        var end = rest.lower
        while end < rest.upper, self[end].isLinearWhiteSpace || self[end] == UInt8(ascii: "!") { end += 1 }
        if end < rest.upper, self[end] == UInt8(ascii: "<") {
            while end < rest.upper, self[end] != UInt8(ascii: ">") { end += 1 }
        }
        while end < rest.upper, self[end] != UInt8(ascii: ",") { end += 1 }
        let value = trimmed(Slice(rest.lower, end))
        rest = Slice(min(end + 1, rest.upper), rest.upper)
        return value
    }
}

/// The numbers that a `numeric` of RFC 3840 §9 allows: `#>=3`, `#<=5`, `#=1.5`, `#1:9`.
private struct NumericInterval {
    var low = -Double.infinity
    var high = Double.infinity

    init?(_ text: RawSpan) {
        guard text.byteCount > 1, text[0] == UInt8(ascii: "#") else { return nil }
        var digits = NumberReader(offset: 1)
        switch text[1] {
        case UInt8(ascii: ">"):
            guard text.byteCount > 2, text[2] == UInt8(ascii: "="), let bound = digits.number(text, from: 3) else { return nil }
            low = bound
        case UInt8(ascii: "<"):
            guard text.byteCount > 2, text[2] == UInt8(ascii: "="), let bound = digits.number(text, from: 3) else { return nil }
            high = bound
        case UInt8(ascii: "="):
            guard let value = digits.number(text, from: 2) else { return nil }
            low = value
            high = value
        default:
            guard let from = digits.number(text, from: 1), digits.offset < text.byteCount, text[digits.offset] == UInt8(ascii: ":"),
                let to = digits.number(text, from: digits.offset + 1)
            else { return nil }
            low = from
            high = to
        }
        if digits.offset != text.byteCount { return nil }
    }
}

/// Reads `["+" / "-"] 1*DIGIT ["." 0*DIGIT]`. Digits past the fifteenth are taken as zeros: a double holds no more.
private struct NumberReader {
    private(set) var offset: Int
    /// The digits as one integer and its power of ten, so that `1.5` and `1.50` are the same number.
    private var integer = 0.0
    private var scale = 1.0
    private var kept = 0

    init(offset: Int) { self.offset = offset }

    mutating func number(_ text: RawSpan, from start: Int) -> Double? {
        self = NumberReader(offset: start)
        let isNegative = start < text.byteCount && text[start] == UInt8(ascii: "-")
        if isNegative || (start < text.byteCount && text[start] == UInt8(ascii: "+")) { offset += 1 }
        let first = offset
        readDigits(text, isFraction: false)
        if offset == first { return nil }
        if offset < text.byteCount && text[offset] == UInt8(ascii: ".") {
            offset += 1
            readDigits(text, isFraction: true)
        }
        return (isNegative ? -integer : integer) / scale
    }

    private mutating func readDigits(_ text: RawSpan, isFraction: Bool) {
        while offset < text.byteCount && text[offset].isASCIIDigit {
            if kept < 15 {
                integer = integer * 10 + Double(text[offset] - 0x30)
                if isFraction { scale *= 10 }
                kept += 1
            } else if !isFraction {
                integer *= 10
            }
            offset += 1
        }
    }
}
