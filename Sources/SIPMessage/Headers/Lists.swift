// The separators that most header values share: commas between values, semicolons before parameters, and the quotes
// and angle brackets within which neither counts (RFC 3261 §7.3.1, §25.1).

import SansIO

extension RawSpan {
    /// Takes the first value off a comma-separated list. The rest begins after the comma.
    public func nextListValue(_ rest: inout Slice) -> Slice {
        let end = rest.upper
        var i = rest.lower
        var inBrackets = false
        while i < end {
            switch self[i] {
            case 0x22: i = skipQuoted(from: i, to: end) - 1
            case 0x3C: inBrackets = true
            case 0x3E: inBrackets = false
            case 0x2C where !inBrackets:
                let value = trimmed(Slice(rest.lower, i))
                rest = Slice(i + 1, end)
                return value
            default: break
            }
            i += 1
        }
        let value = trimmed(rest)
        rest = Slice(end, end)
        return value
    }

    /// The offset after the quoted string that begins at `start`, or `end` if it is not closed.
    public func skipQuoted(from start: Int, to end: Int) -> Int {
        var i = start + 1
        while i < end {
            if self[i] == 0x5C {
                i += 2
            } else if self[i] == 0x22 {
                return i + 1
            } else {
                i += 1
            }
        }
        return end
    }

    /// The value of a parameter in `;name=value;name`, or an empty slice for one without a value; nil: it is not there.
    /// `name` is lower case. A quoted value keeps its quotes.
    public func parameter(_ name: StaticString, in parameters: Slice) -> Slice? {
        var found: Slice?
        forEachParameter(in: parameters) { key, value in
            if self[key].equalsIgnoringCase(name) {
                found = value
                return false
            }
            return true
        }
        return found
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
    /// between two semicolons or behind the last. The rest begins at the next semicolon.
    public func nextParameter(_ rest: inout Slice) -> (name: Slice, value: Slice)? {
        let end = rest.upper
        var i = rest.lower
        while i < end, self[i].isLinearWhiteSpace { i += 1 }
        guard i < end else { return nil }
        if self[i] == 0x3B { i += 1 }
        let start = i
        var equals = -1
        while i < end, self[i] != 0x3B {
            if self[i] == 0x22 {
                i = skipQuoted(from: i, to: end)
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
}
