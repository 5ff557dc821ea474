// `"Display" <URI>;parameters` and `URI;parameters`: From, To, Contact, Route and their kin (RFC 3261 §20.10, §25.1).

import SansIO

public struct NameAddress: BitwiseCopyable, Sendable {
    /// The whole value.
    public var all: Slice
    /// As it stands, quotes included; empty: none.
    public var displayName: Slice
    public var uri: SIPURI
    /// The parameters of the header, behind the URI. Without brackets all parameters are the header's (§20.10).
    public var parameters: Slice
    /// `tag`; empty: none.
    public var tag: Slice
}

extension RawSpan {
    /// Reads one name-addr or addr-spec with its parameters; nil if it breaks the grammar.
    public func nameAddress(_ slice: Slice) -> NameAddress? {
        guard var address = nameAddressBeforeParameters(slice), readTag(of: &address) else { return nil }
        return address
    }

    /// The same without a look at the parameters, of which the reader makes sure that each has a name: a Contact's are read
    /// one by one anyhow (5 % of a REGISTER). The tag is not read.
    public func nameAddressBeforeParameters(_ slice: Slice) -> NameAddress? {
        let end = slice.upper
        var i = run(of: .whiteSpace, from: slice.lower, to: end)
        let start = i
        if i < end, self[i] == 0x3C { return bracketed(slice, Slice(i, i), from: i) }
        var displayName = Slice(start, start)
        if i < end, self[i] == 0x22 {
            let close = skipQuoted(from: i, to: end)
            guard close > i + 1, self[close - 1] == 0x22 else { return nil }
            displayName = Slice(i, close)
            i = close
            while i < end, self[i].isLinearWhiteSpace { i += 1 }
            guard i < end, self[i] == 0x3C else { return nil }
        } else {
            // Tokens up to a bracket are a display name; anything else begins an addr-spec.
            var j = i
            while j < end, self[j].isTokenCharacter || self[j].isLinearWhiteSpace || self[j] >= 0x80 { j += 1 }
            if j < end, self[j] == 0x3C {
                displayName = trimmed(Slice(i, j))
                i = j
            }
        }
        return i < end && self[i] == 0x3C ? bracketed(slice, displayName, from: i) : bare(slice, from: i)
    }

    private func bracketed(_ slice: Slice, _ displayName: Slice, from open: Int) -> NameAddress? {
        let end = slice.upper
        guard let uri = uri(from: open + 1, to: end), uri.all.upper < end, self[uri.all.upper] == 0x3E else { return nil }
        let i = run(of: .whiteSpace, from: uri.all.upper + 1, to: end)
        guard i == end || self[i] == 0x3B else { return nil }
        return NameAddress(all: slice, displayName: displayName, uri: uri, parameters: Slice(i, end), tag: .empty)
    }

    private func bare(_ slice: Slice, from start: Int) -> NameAddress? {
        let end = slice.upper
        var i = start
        while i < end, self[i] != 0x3B, self[i] != 0x2C, self[i] != 0x3F { i += 1 }
        // A comma or a question mark in an addr-spec asks for brackets (§20.10).
        guard i == end || self[i] == 0x3B, let uri = uri(trimmed(Slice(start, i))) else { return nil }
        return NameAddress(all: slice, displayName: Slice(start, start), uri: uri, parameters: Slice(i, end), tag: .empty)
    }

    /// Looks through the parameters for `tag`; false: one has no name.
    @inline(__always)
    private func readTag(of address: inout NameAddress) -> Bool {
        var rest = address.parameters
        while let (name, value) = nextParameter(&rest) {
            guard !name.isEmpty else { return false }
            if name.count == 3, self[name].equalsIgnoringCase("tag") { address.tag = value }
        }
        return true
    }
}
