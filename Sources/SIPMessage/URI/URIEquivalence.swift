// When two URIs are the same (RFC 3261 §19.1.4; for tel URIs RFC 3966 §4). The relation is not transitive: a parameter
// that only one URI has is mostly ignored, so both of two different ones may be equivalent to a third.

import SansIO

extension RawSpan {
    /// Whether a URI of these octets is equivalent to one of others.
    ///
    /// SIP and SIPS URIs never are, nor are a name and the address that it stands for, nor a URI that leaves a port or
    /// transport out and one that has the default. URIs of schemes that are not known are compared octet by octet,
    /// their schemes without case.
    public func isEquivalent(_ uri: SIPURI, to other: SIPURI, in octets: RawSpan) -> Bool {
        guard uri.scheme == other.scheme else { return false }
        switch uri.scheme {
        case .sip, .sips: return isSameSIP(uri, other, octets)
        case .tel: return isSameTel(uri, other, octets)
        case .other: return isSameOther(uri, other, octets)
        }
    }

    // MARK: SIP and SIPS

    private func isSameSIP(_ a: SIPURI, _ b: SIPURI, _ octets: RawSpan) -> Bool {
        guard a.port == b.port, isSame(a.user, b.user, octets, caseMatters: true),
            isSame(a.password, b.password, octets, caseMatters: true), a.password.isEmpty == b.password.isEmpty,
            isSameHost(a.host, b.host, octets)
        else { return false }
        return hasParameters(a.parameters, matching: b.parameters, octets)
            && octets.hasParameters(b.parameters, matching: a.parameters, self)
            && hasSameHeaders(a.headers, b.headers, octets)
    }

    private func isSameHost(_ a: Slice, _ b: Slice, _ octets: RawSpan) -> Bool {
        if self[a].equalsIgnoringCase(octets[b]) { return true }
        guard let address = IPAddress(self[a]), let other = IPAddress(octets[b]) else { return false }
        return address == other
    }

    /// Whether each parameter of `mine` that counts has the same value in `theirs`. One that is given more than once, which
    /// §19.1.1 does not allow, counts as it is given first: a URI is always equivalent to itself.
    private func hasParameters(_ mine: Slice, matching theirs: Slice, _ octets: RawSpan) -> Bool {
        var matches = true
        forEachParameter(in: mine) { name, value in
            if let other = octets.value(ofParameter: self[name], in: theirs) {
                matches = isSame(value, other, octets, caseMatters: false) || isRepeated(name, value, in: mine)
            } else {
                matches = !self[name].mustBeInBoth
            }
            return matches
        }
        return matches
    }

    /// Whether a parameter of this name stands before the one with this value.
    private func isRepeated(_ name: Slice, _ value: Slice, in parameters: Slice) -> Bool {
        guard let first = self.value(ofParameter: self[name], in: parameters) else { return false }
        return first.lower < value.lower
    }

    /// The value of the first parameter of this name; empty: it has none; nil: it is not there.
    private func value(ofParameter wanted: RawSpan, in parameters: Slice) -> Slice? {
        var found: Slice?
        forEachParameter(in: parameters) { name, value in
            if isSame(name, Slice(0, wanted.byteCount), wanted, caseMatters: false) { found = value }
            return found == nil
        }
        return found
    }

    /// Parameters that make a difference even if only one URI has them.
    private var mustBeInBoth: Bool {
        equalsIgnoringCase("transport") || equalsIgnoringCase("user") || equalsIgnoringCase("maddr") || equalsIgnoringCase("ttl")
            || equalsIgnoringCase("method")
    }

    /// Headers are never ignored; their order does not matter.
    private func hasSameHeaders(_ a: Slice, _ b: Slice, _ octets: RawSpan) -> Bool {
        var rest = a
        var count = 0
        while let header = nextHeader(&rest) {
            count += 1
            guard headerCount(a, like: header, self) == octets.headerCount(b, like: header, self) else { return false }
        }
        return count == octets.headerCount(b)
    }

    /// How many headers there are, or are the same as one of other octets.
    private func headerCount(_ headers: Slice, like other: Slice? = nil, _ octets: RawSpan = RawSpan()) -> Int {
        var rest = headers
        var count = 0
        while let header = nextHeader(&rest) {
            if let other, !isSame(header, other, octets, caseMatters: false) { continue }
            count += 1
        }
        return count
    }

    /// Takes the first `name=value` off `?name=value&name=value`.
    private func nextHeader(_ rest: inout Slice) -> Slice? {
        guard !rest.isEmpty else { return nil }
        let start = rest.lower + 1
        var end = start
        while end < rest.upper, self[end] != 0x26 { end += 1 }
        rest = Slice(end, rest.upper)
        return Slice(start, end)
    }

    // MARK: Others

    /// Numbers without their visual separators, and the same parameters in any order.
    private func isSameTel(_ a: SIPURI, _ b: SIPURI, _ octets: RawSpan) -> Bool {
        isSameNumber(a.user, b.user, octets) && hasTelParameters(a.parameters, matching: b.parameters, octets)
            && octets.hasTelParameters(b.parameters, matching: a.parameters, self)
    }

    private func hasTelParameters(_ mine: Slice, matching theirs: Slice, _ octets: RawSpan) -> Bool {
        var matches = true
        forEachParameter(in: mine) { name, value in
            guard let other = octets.value(ofParameter: self[name], in: theirs) else {
                matches = false
                return false
            }
            let isNumber = self[name].equalsIgnoringCase("ext") || self[value].hasPrefix(0x2B)
            matches =
                (isNumber ? isSameNumber(value, other, octets) : isSame(value, other, octets, caseMatters: false))
                || isRepeated(name, value, in: mine)
            return matches
        }
        return matches
    }

    private func hasPrefix(_ octet: UInt8) -> Bool { byteCount > 0 && self[0] == octet }

    private func isSameNumber(_ a: Slice, _ b: Slice, _ octets: RawSpan) -> Bool {
        var i = a.lower
        var j = b.lower
        while true {
            while i < a.upper, self[i].isVisualSeparator { i += 1 }
            while j < b.upper, octets[j].isVisualSeparator { j += 1 }
            guard i < a.upper, j < b.upper else { return i == a.upper && j == b.upper }
            guard self[i].asciiLowercased == octets[j].asciiLowercased else { return false }
            i += 1
            j += 1
        }
    }

    private func isSameOther(_ a: SIPURI, _ b: SIPURI, _ octets: RawSpan) -> Bool {
        guard a.all.count == b.all.count, let colon = self[a.all].firstOffset(of: 0x3A) else { return false }
        let mine = self[a.all]
        let theirs = octets[b.all]
        return mine.part(0, colon).equalsIgnoringCase(theirs.part(0, colon))
            && mine.part(colon, mine.byteCount - colon).equals(theirs.part(colon, theirs.byteCount - colon))
    }

    // MARK: Characters

    /// Compares two components: an escaped character is the same as the character, unless that is a reserved one.
    private func isSame(_ a: Slice, _ b: Slice, _ octets: RawSpan, caseMatters: Bool) -> Bool {
        var i = a.lower
        var j = b.lower
        while i < a.upper, j < b.upper {
            let mine = character(&i, a.upper)
            let theirs = octets.character(&j, b.upper)
            guard mine.isReservedEscape == theirs.isReservedEscape else { return false }
            guard caseMatters ? mine.octet == theirs.octet : mine.octet.asciiLowercased == theirs.octet.asciiLowercased else {
                return false
            }
        }
        return i == a.upper && j == b.upper
    }

    private func character(_ i: inout Int, _ end: Int) -> (octet: UInt8, isReservedEscape: Bool) {
        guard self[i] == 0x25, i + 2 < end, let high = self[i + 1].hexDigitValue, let low = self[i + 2].hexDigitValue else {
            i += 1
            return (self[i - 1], false)
        }
        i += 3
        let octet = high << 4 | low
        return (octet, octet.isReserved)
    }
}

extension UInt8 {
    /// `reserved` (RFC 3261 §25.1): ; / ? : @ & = + $ ,
    fileprivate var isReserved: Bool {
        switch self {
        case 0x3B, 0x2F, 0x3F, 0x3A, 0x40, 0x26, 0x3D, 0x2B, 0x24, 0x2C: true
        default: false
        }
    }
    /// `visual-separator` (RFC 3966 §3): - . ( )
    fileprivate var isVisualSeparator: Bool { self == 0x2D || self == 0x2E || self == 0x28 || self == 0x29 }
}
