// Names and identities of subscribers as text: their formats, and numeric ranges in names.

import JSONText

enum IdentityText {
    /// What is wrong with a public user identity (TS 23.003 §13.4): a SIP URI with a user, or a tel URI.
    static func publicFault(_ text: String) -> String? {
        if isUsual(text.utf8, scheme: "sip:") || isGlobalNumber(text.utf8) { return nil }
        guard let colon = text.firstIndex(of: ":"), ["sip", "sips", "tel"].contains(text[..<colon].lowercased()) else {
            let isNumber = !text.isEmpty && text.allSatisfy { "+-.()0123456789".contains($0) }
            let form = isNumber ? "tel:\(text)" : text.contains("@") ? "sip:\(text)" : "sip:\(text)@home1.test"
            return "'\(text)' is no public identity; write \(form)"
        }
        let rest = text[text.index(after: colon)...]
        guard text.utf8.allSatisfy({ 0x21...0x7E ~= $0 && !"<>\"".utf8.contains($0) }) else {
            return "'\(text)' holds a character that may not stand in a URI; write it as %XX"
        }
        if text[..<colon].lowercased() == "tel" { return telephoneFault(rest, text) }
        guard let at = rest.firstIndex(of: "@"), at != rest.startIndex else { return "'\(text)' names no user; write sip:USER@DOMAIN" }
        let host = rest[rest.index(after: at)...]
        if let end = host.firstIndex(where: { ";?".contains($0) }) {
            return "a public identity has no parameters and no headers; write \(text[..<end])"
        }
        return hostFault(host, of: text)
    }

    /// A user of letters, digits and `-_.+` in a domain: nearly all there are, told without taking them apart.
    private static func isUsual(_ text: String.UTF8View, scheme: StaticString) -> Bool {
        guard text.starts(with: UnsafeBufferPointer(start: scheme.utf8Start, count: scheme.utf8CodeUnitCount)) else { return false }
        let rest = text.dropFirst(scheme.utf8CodeUnitCount)
        guard let at = rest.firstIndex(where: { !HostText.isLetterOrDigit($0) && !isUserMark($0) }), at > rest.startIndex,
            rest[at] == UInt8(ascii: "@")
        else { return false }
        return HostText.isName(rest[rest.index(after: at)...])
    }

    private static func isUserMark(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "+"): true
        default: false
        }
    }

    private static func isGlobalNumber(_ text: String.UTF8View) -> Bool {
        guard text.starts(with: "tel:+".utf8) else { return false }
        let digits = text.dropFirst(5)
        return !digits.isEmpty && digits.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
    }

    private static func telephoneFault(_ rest: Substring, _ text: String) -> String? {
        let number = rest.prefix { $0 != ";" }.filter { !"-.()".contains($0) }.replacing("{name}", with: "0")
        let isGlobal = number.hasPrefix("+")
        let digits = isGlobal ? number.dropFirst() : number[...]
        guard !digits.isEmpty,
            digits.allSatisfy({ isGlobal ? "0"..."9" ~= $0 : $0.isHexDigit || "*#".contains($0) }) || rest.contains("{name}")
        else {
            return "'\(text)' is no telephone number; write one such as tel:+15550100"
        }
        guard isGlobal || rest.lowercased().contains(";phone-context=") || rest.hasPrefix("{name}") else {
            return "'\(text)' is a local number without its context; write tel:+..., or ;phone-context= behind it"
        }
        return nil
    }

    /// What an identity with a fault is taken for where nobody can mend it, as exports have some: a SIP URI without port, parameters
    /// and headers, and a local number as it stands. Nil: it cannot be taken for any.
    static func nearest(_ text: String) -> String? {
        guard let colon = text.firstIndex(of: ":") else { return nil }
        let rest = text[text.index(after: colon)...]
        if text[..<colon].lowercased() == "tel" {
            let isNumber = !rest.isEmpty && rest.allSatisfy { "0123456789-.()*#".contains($0) }
            return isNumber ? text : nil
        }
        guard let at = rest.firstIndex(of: "@") else { return nil }
        let host = rest[rest.index(after: at)...].prefix { !":;?".contains($0) }
        let plain = text[..<colon] + ":" + rest[...at] + host
        return publicFault(String(plain)) == nil ? String(plain) : nil
    }

    /// A wildcard (TS 23.003 §13.5) with a digit in place of its expression, and the expression; nil: it is none.
    static func wildcardParts(_ text: String) -> (plain: String, expression: String)? {
        guard let first = text.firstIndex(of: "!"), let last = text.lastIndex(of: "!"), first < last else { return nil }
        let expression = text[text.index(after: first)..<last]
        return (text[..<first] + "0" + text[text.index(after: last)...], String(expression))
    }

    /// What is wrong with a private user identity (TS 23.003 §13.3): `user@domain`, or the user alone.
    static func privateFault(_ text: String) -> String? {
        if isUsual(text.utf8, scheme: "") { return nil }
        guard !text.isEmpty, text.utf8.allSatisfy({ 0x21...0x7E ~= $0 && !"<>\"\\".utf8.contains($0) }) else {
            return "'\(text)' is no private identity; write one such as alice@home1.test"
        }
        if let colon = text.firstIndex(of: ":"), ["sip", "sips", "tel"].contains(text[..<colon].lowercased()) {
            return "a private identity has no scheme; write \(text[text.index(after: colon)...])"
        }
        guard let at = text.firstIndex(of: "@") else { return nil }
        guard at != text.startIndex else { return "'\(text)' names no user; write one such as alice@home1.test" }
        return hostFault(text[text.index(after: at)...], of: text)
    }

    private static func hostFault(_ host: Substring, of text: String) -> String? {
        let filled = host.replacing("{name}", with: "0")
        guard let (name, port) = HostText.split(filled), HostText.isName(name) || HostText.isLiteral(name) else {
            return "'\(host)' in '\(text)' is no domain name; write one such as home1.test"
        }
        return port == nil
            ? nil
            : "an identity has no port; write \(text.prefix { $0 != ":" }):\(text.drop { $0 != ":" }.dropFirst().prefix { $0 != ":" })"
    }
}

extension Codec where Value == NamePattern {
    /// A subscriber's name, with at most one numeric range.
    static var namePattern: Codec {
        .scalar([.init("type", .text("string"))]) { text throws(Wrong) in try NamePattern(parsing: text) }
    }
}

extension NamePattern {
    /// The most digits of a number in a name, so that all arithmetic on ranges is exact.
    static let digitLimit = 18

    /// `alice`, `u{0000..0999}`, `pbx-{1..20}-door`.
    init(parsing text: String) throws(Wrong) {
        let example = "u{0000..0999}"
        guard text.holds(UInt8(ascii: "{")), let open = text.firstIndex(of: "{") else {
            try NamePattern.check(text, isWhole: true, in: text)
            self.init(text)
            return
        }
        guard let close = text[open...].firstIndex(of: "}") else {
            throw Wrong("the range in '\(text)' has no end; write one such as \(example)")
        }
        let bounds = text[text.index(after: open)..<close]
        let suffix = text[text.index(after: close)...]
        guard !suffix.contains("{") else { throw Wrong("'\(text)' has more than one range; write one, as in \(example)") }
        try NamePattern.check(String(text[..<open] + "0" + suffix), isWhole: false, in: text)
        guard let dots = bounds.firstRange(of: "..") else {
            throw Wrong("'{\(bounds)}' is no range of numbers; write two with two dots between, as in \(example)")
        }
        let (low, high) = (bounds[..<dots.lowerBound], bounds[dots.upperBound...])
        guard HostText.isDigits(low), HostText.isDigits(high), low.count <= NamePattern.digitLimit, high.count <= NamePattern.digitLimit,
            let first = UInt64(low), let last = UInt64(high)
        else {
            throw Wrong("'{\(bounds)}' is no range of numbers; write two of up to \(NamePattern.digitLimit) digits, as in \(example)")
        }
        guard first <= last else { throw Wrong("the range '{\(bounds)}' runs backwards; write {\(high)..\(low)}") }
        let isPadded = (low.count > 1 && low.first == "0") || (high.count > 1 && high.first == "0")
        guard !isPadded || low.count == high.count else {
            let width = max(low.count, high.count)
            func padded(_ digits: Substring) -> String { String(repeating: "0", count: width - digits.count) + digits }
            throw Wrong("the numbers of '{\(bounds)}' differ in width; write {\(padded(low))..\(padded(high))}")
        }
        self.init(prefix: String(text[..<open]), range: first...last, width: isPadded ? low.count : 0, suffix: String(suffix))
    }

    /// A name is the user part of identities, so it is made of what may stand there without escapes.
    private static func check(_ name: String, isWhole: Bool, in text: String) throws(Wrong) {
        guard !name.isEmpty, name.utf8.allSatisfy({ HostText.isLetterOrDigit($0) || "-_.!~*'()&=+$".utf8.contains($0) }) else {
            if name.contains("}") { throw Wrong("'}' in '\(text)' closes nothing; write a range such as u{0000..0999}") }
            throw Wrong("'\(text)' is no name of a subscriber; write letters, digits, '.', '_', '+' or '-'")
        }
    }

    /// The name with a number in it, written as the range is.
    public func name(_ number: UInt64) -> String {
        guard range != nil else { return prefix + suffix }
        let digits = String(number)
        return prefix + String(repeating: "0", count: max(0, width - digits.count)) + digits + suffix
    }

    /// Whether this is the name, or one of the names, that the pattern stands for.
    public func contains(_ name: String) -> Bool { place(of: name) != nil }

    /// Which of the pattern's names this is, from 0; nil: none.
    public func place(of name: String) -> UInt64? {
        guard let range else { return name == prefix + suffix ? 0 : nil }
        guard name.hasPrefix(prefix), name.hasSuffix(suffix), name.utf8.count > prefix.utf8.count + suffix.utf8.count else { return nil }
        let digits = name.dropFirst(prefix.count).dropLast(suffix.count)
        guard HostText.isDigits(digits), digits.count <= NamePattern.digitLimit, let number = UInt64(digits), range.contains(number) else {
            return nil
        }
        return self.name(number) == name ? number - range.lowerBound : nil
    }

    /// As it is written in a topology.
    public var text: String {
        guard let range else { return prefix + suffix }
        let bounds = [range.lowerBound, range.upperBound].map { number in
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        return "\(prefix){\(bounds[0])..\(bounds[1])}\(suffix)"
    }
}
