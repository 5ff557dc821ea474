// The separators that most header values share: commas between values, semicolons before parameters, and the quotes
// and angle brackets within which neither counts (RFC 3261 §7.3.1, §25.1).

public import SansIO

extension RawSpan {
    /// Takes the first value off a comma-separated list. The rest begins after the comma.
    public func nextListValue(_ rest: inout Slice) -> Slice {
        let end = rest.upper
        let i = endOfListValue(from: rest.lower, to: end)
        let value = trimmed(Slice(rest.lower, i))
        rest = Slice(i < end ? i + 1 : end, end)
        return value
    }

    /// The offset of the comma behind a list value, or `end`.
    func endOfListValue(from start: Int, to end: Int) -> Int {
        var i = next(.listMark, from: start, to: end)
        var inBrackets = false
        while i < end {
            switch self[i] {
            case 0x22: i = skipQuoted(from: i, to: end) - 1
            case 0x3C: inBrackets = true
            case 0x3E: inBrackets = false
            // A comma.
            default: if !inBrackets { return i }
            }
            i = next(.listMark, from: min(i + 1, end), to: end)
        }
        return end
    }

    /// The offset after the quoted string that begins at `start`, or `end` if it is not closed.
    public func skipQuoted(from start: Int, to end: Int) -> Int { endOfQuoted(from: start, to: end) ?? end }

    /// The offset after the quoted string that begins at `start`; nil: it is not closed.
    func endOfQuoted(from start: Int, to end: Int) -> Int? {
        var i = start + 1
        while i < end {
            i = next(.quoteMark, from: i, to: end)
            guard i < end else { break }
            if self[i] == 0x22 { return i + 1 }
            i += 2
        }
        return nil
    }

    /// The value of a parameter in `;name=value;name`, or an empty slice for one without a value; nil: it is not there.
    /// `name` is lower case. A quoted value keeps its quotes.
    @inlinable @inline(__always)
    public func parameter(_ name: StaticString, in parameters: Slice) -> Slice? {
        var rest = parameters
        while let (key, value) = nextParameter(&rest) {
            if self[key].equalsIgnoringCase(name) { return value }
        }
        return nil
    }

    /// Calls `body` with the name and value (empty: none) of each parameter, until it returns false. The slice may begin
    /// before or after the first semicolon; a semicolon with nothing behind it is passed over.
    public func forEachParameter(in parameters: Slice, _ body: (_ name: Slice, _ value: Slice) -> Bool) {
        var rest = parameters
        while let (name, value) = nextParameter(&rest) {
            if name.isEmpty, value.isEmpty { continue }
            if !body(name, value) { return }
        }
    }

    /// Takes the first parameter off a list: its name and its value (empty: none). The name is empty if nothing is
    /// between two semicolons or behind the last, or if a quote is not closed: then all of it is the value. The rest begins
    /// at the next semicolon.
    public func nextParameter(_ rest: inout Slice) -> (name: Slice, value: Slice)? {
        let end = rest.upper
        guard rest.lower < end else { return nil }
        // `;name=value`, `;name="value"` and `;name` without white space: nearly every parameter.
        let start = self[rest.lower] == 0x3B ? rest.lower + 1 : rest.lower
        let nameEnd = run(of: .token, from: start, to: end)
        guard nameEnd > start else { return nextUnusualParameter(&rest) }
        let name = Slice(start, nameEnd)
        if nameEnd == end || self[nameEnd] == 0x3B {
            rest = Slice(nameEnd, end)
            return (name, Slice(nameEnd, nameEnd))
        }
        guard self[nameEnd] == 0x3D else { return nextUnusualParameter(&rest) }
        let valueStart = nameEnd + 1
        var valueEnd = next(.parameterMark, from: valueStart, to: end)
        if valueEnd == valueStart, valueEnd < end, self[valueEnd] == 0x22 {
            guard let close = endOfQuoted(from: valueStart, to: end) else { return nextUnusualParameter(&rest) }
            valueEnd = close
        }
        guard valueEnd == end || self[valueEnd] == 0x3B else { return nextUnusualParameter(&rest) }
        rest = Slice(valueEnd, end)
        return (name, Slice(valueStart, valueEnd))
    }

    private func nextUnusualParameter(_ rest: inout Slice) -> (name: Slice, value: Slice)? {
        let end = rest.upper
        var i = run(of: .whiteSpace, from: rest.lower, to: end)
        guard i < end else { return nil }
        if self[i] == 0x3B { i += 1 }
        let start = i
        var equals = -1
        while i < end, self[i] != 0x3B {
            if self[i] == 0x22 {
                guard let close = endOfQuoted(from: i, to: end) else {
                    rest = Slice(end, end)
                    return (Slice(start, start), Slice(start, end))
                }
                i = close
                continue
            }
            if self[i] == 0x3D, equals < 0 { equals = i }
            i += 1
        }
        rest = Slice(i, end)
        let name = trimmed(Slice(start, equals < 0 ? i : equals))
        return (name, equals < 0 ? Slice(i, i) : trimmed(Slice(equals + 1, i)))
    }

    /// The inside of a quoted string, or the slice as it is. Escapes are left in.
    public func unquoted(_ slice: Slice) -> Slice {
        guard slice.count >= 2, self[slice.lower] == 0x22, self[slice.upper - 1] == 0x22 else { return slice }
        return Slice(slice.lower + 1, slice.upper - 1)
    }

    /// A decimal number that fills the slice; nil for anything else or above `maximum`.
    public func decimal(_ slice: Slice, maximum: UInt64 = UInt64(UInt32.max)) -> UInt64? {
        guard !slice.isEmpty else { return nil }
        var value: UInt64 = 0
        if slice.count <= 9, maximum >= 999_999_999 {
            for i in slice.lower..<slice.upper {
                guard self[i].isASCIIDigit else { return nil }
                value = value &* 10 &+ UInt64(self[i] &- 0x30)
            }
            return value
        }
        for i in slice.lower..<slice.upper {
            guard self[i].isASCIIDigit else { return nil }
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            if overflow { return nil }
            let (sum, carry) = product.addingReportingOverflow(UInt64(self[i] - 0x30))
            if carry || sum > maximum { return nil }
            value = sum
        }
        return value
    }

    /// `delta-seconds` (RFC 3261 §25.1) that fill the slice: a number past 32 bits is the highest there is, it never wraps
    /// round. Nil: no number.
    public func deltaSeconds(_ slice: Slice) -> UInt32? {
        guard !slice.isEmpty else { return nil }
        for i in slice.lower..<slice.upper where !self[i].isASCIIDigit { return nil }
        return decimal(slice).map { UInt32($0) } ?? .max
    }

    /// `qvalue` (RFC 3261 §25.1) in thousandths; nil: not one.
    public func qvalue(_ slice: Slice) -> UInt16? {
        guard (1...5).contains(slice.count), slice.count == 1 || self[slice.lower + 1] == 0x2E else { return nil }
        var value: UInt16 = 0
        for i in 0..<5 where i != 1 {
            var digit: UInt16 = 0
            if i < Int(slice.count) {
                guard self[slice.lower + i].isASCIIDigit else { return nil }
                digit = UInt16(self[slice.lower + i] - 0x30)
            }
            value = value * 10 + digit
            if i == 0, digit > 1 { return nil }
        }
        return value <= 1000 ? value : nil
    }

    /// Whether the slice is a token (RFC 3261 §25.1).
    func isToken(_ slice: Slice) -> Bool { !slice.isEmpty && run(of: .token, from: slice.lower, to: slice.upper) == slice.upper }

    /// The offset after the comment that begins at `start`, comments within it included (RFC 3261 §25.1); nil: it is not
    /// closed.
    func endOfComment(from start: Int, to end: Int) -> Int? {
        var depth = 0
        var i = start
        while i < end {
            switch self[i] {
            case 0x28: depth += 1
            case 0x29: depth -= 1
            case 0x5C: i += 1
            default: break
            }
            i += 1
            if depth == 0 { return min(i, end) }
        }
        return nil
    }
}
