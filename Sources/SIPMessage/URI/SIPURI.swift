// SIP, SIPS and tel URIs (RFC 3261 §19.1, RFC 3966): where their parts stand, and when two are the same.

public import SansIO

/// The parts of a URI, as slices of the octets it was read from.
public struct SIPURI: BitwiseCopyable, Sendable {
    public enum Scheme: UInt8, BitwiseCopyable, Sendable { case sip, sips, tel, other }

    public var scheme: Scheme
    /// The whole URI.
    public var all: Slice
    /// Of a SIP URI: user, with its password apart. Of a tel URI: the number. Empty: none.
    public var user: Slice
    public var password: Slice
    /// Without brackets for a name or IPv4 address, with them for IPv6.
    public var host: Slice
    /// 0: none given.
    public var port: UInt16
    /// From the first semicolon on, and from the question mark on; empty: none.
    public var parameters: Slice
    public var headers: Slice

    public var isSIP: Bool { scheme == .sip || scheme == .sips }
}

extension RawSpan {
    /// Reads a URI that fills the slice. Nil: not a URI, or a SIP URI that breaks the grammar of §25.1 (white space,
    /// brackets, a bad host or port). A scheme that is not known is `.other` and is not looked into.
    public func uri(_ slice: Slice) -> SIPURI? {
        guard let uri = uri(from: slice.lower, to: slice.upper), uri.all.upper == slice.upper else { return nil }
        return uri
    }

    /// Reads a URI that ends where the first octet is that cannot be in one, or at `end`.
    func uri(from start: Int, to end: Int) -> SIPURI? {
        guard let (scheme, contentStart) = scheme(from: start, to: end) else { return nil }
        var marks = URIMarks(end: end)
        find(&marks, from: contentStart)
        var result = SIPURI(
            scheme: scheme, all: Slice(start, marks.end), user: .empty, password: .empty, host: .empty, port: 0, parameters: .empty,
            headers: .empty)
        switch scheme {
        case .other: return contentStart < marks.end ? result : nil
        case .tel: return telURI(&result, from: contentStart)
        case .sip, .sips: return sipURI(&result, from: contentStart, marks)
        }
    }

    /// The scheme, and where what is behind its colon begins.
    @inline(__always)
    private func scheme(from start: Int, to end: Int) -> (SIPURI.Scheme, Int)? {
        if end - start > 4, self[Slice(start, start + 4)].equalsIgnoringCase("sip:") { return (.sip, start + 4) }
        return otherScheme(from: start, to: end)
    }

    private func otherScheme(from start: Int, to end: Int) -> (SIPURI.Scheme, Int)? {
        var colon = start
        while colon < end, self[colon] != 0x3A {
            guard self[colon].isSchemeCharacter else { return nil }
            colon += 1
        }
        guard colon < end, colon > start, self[start].asciiLowercased &- 0x61 < 26 else { return nil }
        let text = self[Slice(start, colon)]
        if text.equalsIgnoringCase("sip") { return (.sip, colon + 1) }
        if text.equalsIgnoringCase("sips") { return (.sips, colon + 1) }
        return (text.equalsIgnoringCase("tel") ? .tel : .other, colon + 1)
    }

    /// Where the characters stand that part a SIP URI.
    private struct URIMarks {
        var end: Int
        /// The first @, or -1, and the first colon before it.
        var at = -1
        var userColon = -1
        /// The first question mark behind the @, or -1.
        var question = -1
    }

    /// One pass over the URI. An @ can only stand behind the user: it is not allowed in host, parameters or headers.
    @inline(__always)
    private func find(_ marks: inout URIMarks, from start: Int) {
        let end = marks.end
        var i = next(.uriMark, from: start, to: end)
        var colon = -1
        while i < end {
            switch self[i] {
            case 0x40:
                if marks.at < 0 {
                    marks.at = i
                    marks.userColon = colon
                    marks.question = -1
                }
            case 0x3A: if colon < 0 { colon = i }
            case 0x3F: if marks.question < 0 { marks.question = i }
            case 0x3B: break
            default:
                marks.end = i
                return
            }
            i = next(.uriMark, from: i + 1, to: end)
        }
    }

    private func telURI(_ uri: inout SIPURI, from start: Int) -> SIPURI? {
        let end = uri.all.upper
        var i = start
        while i < end, self[i] != 0x3B { i += 1 }
        guard i > start else { return nil }
        uri.user = Slice(start, i)
        if i < end { uri.parameters = Slice(i, end) }
        return uri
    }

    @inline(__always)
    private func sipURI(_ uri: inout SIPURI, from start: Int, _ marks: URIMarks) -> SIPURI? {
        let end = marks.end
        var i = start
        if marks.at >= 0 {
            let colon = marks.userColon < 0 ? marks.at : marks.userColon
            guard colon > start else { return nil }
            uri.user = Slice(start, colon)
            if colon < marks.at { uri.password = Slice(colon + 1, marks.at) }
            i = marks.at + 1
        }
        guard let host = readHost(&i, end) else { return nil }
        uri.host = host
        if i == end { return uri }
        if self[i] == 0x3A {
            guard let port = readPort(&i, end) else { return nil }
            uri.port = port
        }
        let question = marks.question < 0 ? end : marks.question
        if i < question {
            guard self[i] == 0x3B else { return nil }
            uri.parameters = Slice(i, question)
        }
        if question < end { uri.headers = Slice(question, end) }
        return uri
    }

    /// The digits behind a colon; moves `i` behind them. Nil: none, or too large a number.
    func readPort(_ i: inout Int, _ end: Int) -> UInt16? {
        var port = 0
        let digits = i + 1
        i += 1
        while i < end, self[i].isASCIIDigit, port <= 65_535 {
            port = port * 10 + Int(self[i] - 0x30)
            i += 1
        }
        return i > digits ? UInt16(exactly: port) : nil
    }

    /// A host name, IPv4 address or bracketed IPv6 reference; moves `i` behind it.
    func readHost(_ i: inout Int, _ end: Int) -> Slice? {
        let start = i
        if i < end, self[i] == 0x5B {
            while i < end, self[i] != 0x5D { i += 1 }
            guard i < end else { return nil }
            i += 1
            return IPAddress(self[Slice(start, i)]) == nil ? nil : Slice(start, i)
        }
        i = run(of: .host, from: start, to: end)
        return i > start ? Slice(start, i) : nil
    }
}

extension UInt8 {
    fileprivate var isSchemeCharacter: Bool {
        isASCIIDigit || asciiLowercased &- 0x61 < 26 || self == 0x2B || self == 0x2D || self == 0x2E
    }
}

extension OctetBuffer {
    /// The canonical form of a public user identity (TS 23.003 §13.4, RFC 3261 §19.1.4): no port, parameters or headers,
    /// host in small letters, escapes of unreserved characters undone; a tel number without visual separators, and a
    /// SIP URI with `user=phone` and a global number as the tel URI. Nothing is written for another scheme.
    public mutating func appendIdentity(_ uri: SIPURI, in bytes: RawSpan) {
        switch uri.scheme {
        case .tel: appendNumber(uri.user, in: bytes)
        case .sip, .sips:
            if uri.parameters.count > 0, !uri.user.isEmpty, bytes[uri.user.lower] == 0x2B,
                let kind = bytes.parameter("user", in: uri.parameters), bytes[kind].equalsIgnoringCase("phone")
            {
                appendNumber(uri.user, in: bytes)
                return
            }
            append("sip:")
            if !uri.user.isEmpty {
                appendUnescaped(uri.user, in: bytes)
                append(byte: 0x40)
            }
            appendLowercased(bytes[uri.host])
        case .other: break
        }
    }

    public mutating func appendLowercased(_ text: RawSpan) {
        let count = text.byteCount
        var i = 0
        while i + 8 <= count {
            append(word: text.word(at: i).asciiLowercased)
            i += 8
        }
        while i < count {
            append(byte: text[i].asciiLowercased)
            i += 1
        }
    }

    private mutating func appendNumber(_ number: Slice, in bytes: RawSpan) {
        append("tel:")
        for i in number.lower..<number.upper {
            switch bytes[i] {
            case 0x2D, 0x2E, 0x28, 0x29: continue  // - . ( )
            // In the user part of a SIP URI the number's own parameters follow (RFC 3261 §19.1.6).
            case 0x3B: return
            default: append(byte: bytes[i].asciiLowercased)
            }
        }
    }

    /// Undoes `%` escapes of characters that need none; the others are written with capital digits, so that two
    /// spellings of one user become one. A `%` that begins no escape stands for itself.
    private mutating func appendUnescaped(_ slice: Slice, in bytes: RawSpan) {
        guard bytes[slice].firstOffset(of: 0x25) != nil else { return append(bytes[slice]) }
        var i = slice.lower
        while i < slice.upper {
            if bytes[i] == 0x25, i + 2 < slice.upper, let high = bytes[i + 1].hexDigitValue, let low = bytes[i + 2].hexDigitValue {
                let octet = high << 4 | low
                if octet.isUnreservedInUser {
                    append(byte: octet)
                } else {
                    appendEscape(of: octet)
                }
                i += 3
            } else {
                if bytes[i] == 0x25 { append("%25") } else { append(byte: bytes[i]) }
                i += 1
            }
        }
    }

    /// Writes a user part, what may not stand in one as it is with escapes (RFC 3261 §25.1).
    public mutating func append(user: some Sequence<UInt8>) {
        for octet in user {
            if octet.isUnreservedInUser { append(byte: octet) } else { appendEscape(of: octet) }
        }
    }

    private mutating func appendEscape(of octet: UInt8) {
        append(byte: 0x25)
        for digit in [octet >> 4, octet & 15] { append(byte: digit < 10 ? 0x30 + digit : 0x37 + digit) }
    }
}

extension UInt8 {
    /// `unreserved` and `user-unreserved` (RFC 3261 §25.1).
    fileprivate var isUnreservedInUser: Bool {
        switch self {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        // - _ . ! ~ * ' ( ) & = + $ , ; ? /
        case 0x2D, 0x5F, 0x2E, 0x21, 0x7E, 0x2A, 0x27, 0x28, 0x29, 0x26, 0x3D, 0x2B, 0x24, 0x2C, 0x3B, 0x3F, 0x2F: true
        default: false
        }
    }
}
