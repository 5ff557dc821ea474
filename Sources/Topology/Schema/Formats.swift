// The formats of scalar values: how each is read, what is said of a wrong one, and what editors are told.

import JSONText

extension Codec where Value == String {
    /// Any text with a character in it.
    static var text: Codec { textCodec("text") }

    /// A file's name.
    static var file: Codec { textCodec("the name of a file") }

    private static func textCodec(_ what: String) -> Codec {
        .scalar(
            [.init("type", .list([.text("string"), .text("number"), .text("boolean")])), .init("minLength", .integer(1))], isFreeText: true
        ) {
            text throws(Wrong) in
            if text.isEmpty { throw Wrong("the value is empty; write \(what)") }
            return text
        }
    }

    /// A text that matches what `isRight` says.
    static func pattern(_ pattern: String? = nil, _ fault: @escaping @Sendable (String) -> String?) -> Codec {
        .scalar([.init("type", .text("string"))] + (pattern.map { [.init("pattern", .text($0))] } ?? [])) { text throws(Wrong) in
            if let fault = fault(text) { throw Wrong(fault) }
            return text
        }
    }

    /// A domain name, or an address in the place of one.
    static var domain: Codec {
        pattern(#"^[A-Za-z0-9.-]+$"#) { HostText.isName($0) ? nil : "'\($0)' is no domain name; write one such as home1.test" }
    }

    /// A name or an address, IPv6 with or without brackets, which are left out.
    static var host: Codec {
        .scalar([.init("type", .text("string"))]) { text throws(Wrong) in
            let host = text.hasPrefix("[") && text.hasSuffix("]") ? String(text.dropFirst().dropLast()) : text
            guard HostText.isLiteral(host) || HostText.isName(host) else {
                throw Wrong("'\(text)' is no address; write one such as 192.0.2.7, without a port")
            }
            return host.lowercased()
        }
    }

    /// A literal address.
    static var address: Codec {
        .scalar([.init("type", .text("string"))]) { text throws(Wrong) in
            let host = text.hasPrefix("[") && text.hasSuffix("]") ? String(text.dropFirst().dropLast()) : text
            guard HostText.isLiteral(host) else { throw Wrong("'\(text)' is no address; write one such as 192.0.2.7, without a port") }
            return host
        }
    }

    /// A token of RFC 3261 §25.1.
    static func token(_ what: String, _ example: String) -> Codec {
        pattern { isToken($0) ? nil : "'\($0)' is no \(what); write one such as \(example)" }
    }

    /// A method of SIP. Methods are compared with case.
    static var method: Codec {
        pattern { text in
            guard isToken(text) else { return "'\(text)' is no method; write one such as MESSAGE" }
            let upper = text.uppercased()
            return knownMethods.contains(upper) && upper != text ? "methods are compared with case; write \(upper)" : nil
        }
    }

    static let knownMethods = [
        "REGISTER", "INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "MESSAGE", "PUBLISH", "SUBSCRIBE", "NOTIFY", "REFER", "INFO", "UPDATE",
        "PRACK",
    ]

    /// The name of a media feature tag as it stands in Contact and Accept-Contact (RFC 3840 §9).
    static var featureTag: Codec {
        pattern { text in
            let name = text.hasPrefix("+") ? text.dropFirst() : text[...]
            if let equals = text.firstIndex(of: "=") { return "a feature tag stands here without a value; write \(text[..<equals])" }
            guard let first = name.utf8.first, HostText.isLetterOrDigit(first), isToken(String(name)) else {
                return "'\(text)' is no feature tag; write one such as +g.oma.sip-im"
            }
            if text.hasPrefix("+") || baseTags.contains(name.lowercased()) { return nil }
            if let nearest = Suggestion.nearest(to: text, among: baseTags), !text.contains(".") {
                return "'\(text)' is no feature tag of RFC 3840; write '\(nearest)', or +\(text) for one of another tree"
            }
            return "a feature tag of another tree than RFC 3840's begins with '+'; write +\(text)"
        }
    }

    /// The tags that stand without a plus (RFC 3840 §9, RFC 4569 and the registry that it began).
    private static let baseTags = [
        "actor", "application", "attendant", "audio", "automata", "class", "control", "data", "description", "duplex", "events",
        "extensions", "isfocus", "language", "methods", "mobility", "priority", "schemes", "text", "type", "video",
    ]

    /// Scheme, host and, unless it is the scheme's own, port of a page whose scripts are meant (RFC 6454 §6.2).
    static var origin: Codec {
        pattern("^[A-Za-z][A-Za-z0-9+.-]*://[^/?#@]+$") { text in
            let example = "https://phone.home1.test"
            guard let mark = text.firstRange(of: "://"), mark.lowerBound > text.startIndex else {
                return "'\(text)' is no origin; write scheme and host such as \(example)"
            }
            guard let (host, port) = HostText.split(text[mark.upperBound...]), HostText.isLiteral(host) || HostText.isName(host),
                port.map({ HostText.port($0) != nil }) ?? true
            else { return "'\(text)' is no origin; write scheme, host and port alone, such as \(example)" }
            return nil
        }
    }

    /// So many hexadecimal digits.
    static func hexadecimal(_ count: Int) -> Codec {
        pattern("^[0-9A-Fa-f]{\(count)}$") { text in
            if text.utf8.count == count, text.utf8.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }) { return nil }
            return "this is not \(count) hexadecimal digits but \(text.count) characters; write \(count / 2) bytes as \(count) digits"
        }
    }

    /// A SIP or tel URI that names a user; `{name}` may stand in it.
    static var publicIdentity: Codec {
        pattern("^(sips?|tel):.+") { IdentityText.publicFault($0) }
    }

    /// `user@domain`, or the user alone in the home domain; `{name}` may stand in it.
    static var privateIdentity: Codec {
        pattern { IdentityText.privateFault($0) }
    }

    /// A POSIX extended regular expression; whether it compiles is asked later, of the module that matches.
    static var expression: Codec { pattern { ExpressionHints.fault(in: $0) } }

    /// A name that the user chooses for a node.
    static func name(_ what: String) -> Codec {
        pattern(#"^[A-Za-z0-9_][A-Za-z0-9_.+-]*$"#) { text in
            let isRight = text.utf8.allSatisfy { HostText.isLetterOrDigit($0) || "_.+-".utf8.contains($0) }
            guard isRight, let first = text.utf8.first, HostText.isLetterOrDigit(first) || first == UInt8(ascii: "_") else {
                return "'\(text)' is no name of \(what); write letters, digits, '.', '_', '+' or '-', a letter or digit first"
            }
            return nil
        }
    }

    static func isToken(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { HostText.isLetterOrDigit($0) || "-.!%*_+`'~".utf8.contains($0) }
    }
}

extension Codec where Value == Bool {
    static var bool: Codec {
        .scalar([.init("type", .text("boolean"))]) { text throws(Wrong) in
            switch text {
            case "true", "True", "TRUE": return true
            case "false", "False", "FALSE": return false
            case "yes", "Yes", "on", "On", "1": throw Wrong("'\(text)' is neither true nor false; write true")
            case "no", "No", "off", "Off", "0": throw Wrong("'\(text)' is neither true nor false; write false")
            default: throw Wrong("'\(text)' is neither true nor false; write true or false")
            }
        }
    }

    /// A key that is there to say something, and else is left out.
    static var onlyTrue: Codec {
        .scalar([.init("const", .boolean(true))]) { text throws(Wrong) in
            guard text == "true" else { throw Wrong("'\(text)' says nothing here; write true, or leave the key out") }
            return true
        }
    }
}

extension Codec where Value: FixedWidthInteger {
    static func integer(_ range: ClosedRange<Value>, _ unit: String = "a whole number") -> Codec {
        var schema: [JSON.Member] = [.init("type", .text("integer"))]
        if let least = Int(exactly: range.lowerBound) { schema.append(.init("minimum", .integer(Int64(least)))) }
        if let most = Int(exactly: range.upperBound) { schema.append(.init("maximum", .integer(Int64(most)))) }
        return .scalar(schema) { text throws(Wrong) in
            guard HostText.isDigits(text), let value = Value(text), range.contains(value) else {
                throw Wrong("'\(text)' is not \(unit) from \(range.lowerBound) to \(range.upperBound); write one")
            }
            return value
        }
    }
}

extension Codec where Value == UInt32 {
    /// Whole seconds, as a number or as a duration.
    static var seconds: Codec {
        .scalar([
            .init("type", .list([.text("integer"), .text("string")])), .init("pattern", .text("^[0-9]+(s|m|h|d)?$")),
            .init("minimum", .integer(1)),
        ]) { text throws(Wrong) in
            var milliseconds = HostText.isDigits(text) ? Int(text).map { $0.multipliedReportingOverflow(by: 1000) } : nil
            if !HostText.isDigits(text) { milliseconds = (try DurationText.milliseconds(text), false) }
            guard let (value, isTooLarge) = milliseconds, !isTooLarge, value % 1000 == 0, let seconds = UInt32(exactly: value / 1000),
                seconds > 0
            else { throw Wrong("'\(text)' is not whole seconds from 1 to 4294967295; write a number of seconds, or a duration such as 1h") }
            return seconds
        }
    }
}

extension Codec where Value == Int {
    /// A duration with its unit, in milliseconds.
    static func milliseconds(_ range: ClosedRange<Int>) -> Codec {
        .scalar([.init("type", .text("string")), .init("pattern", .text("^[0-9]+(ms|s|m|h|d)$"))]) { text throws(Wrong) in
            let value = try DurationText.milliseconds(text)
            guard range.contains(value) else {
                let bounds = [range.lowerBound, range.upperBound].map(DurationText.written)
                throw Wrong("'\(text)' is out of range; write a duration from \(bounds[0]) to \(bounds[1])")
            }
            return value
        }
    }

    /// A number of bytes, also in KiB, MiB or GiB.
    static func bytes(_ range: ClosedRange<Int>) -> Codec {
        .scalar([.init("type", .list([.text("integer"), .text("string")])), .init("pattern", .text("^[0-9]+(KiB|MiB|GiB)?$"))]) {
            text throws(Wrong) in
            let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)]
            let unit = units.first { text.hasSuffix($0.0) }
            let digits = unit == nil ? text[...] : text.dropLast(3)
            guard HostText.isDigits(digits), let number = Int(digits), number <= range.upperBound >> (unit?.1 ?? 0) else {
                throw Wrong("'\(text)' is no number of bytes up to \(range.upperBound); write one such as 67108864 or 64MiB")
            }
            return number << (unit?.1 ?? 0)
        }
    }
}

enum DurationText {
    private static let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)]

    static func milliseconds(_ text: String) throws(Wrong) -> Int {
        let digits = text.prefix { "0"..."9" ~= $0 }
        let unit = text[digits.endIndex...]
        if unit.isEmpty, !digits.isEmpty { throw Wrong("'\(text)' has no unit; write \(text)s or \(text)ms") }
        guard let factor = units.first(where: { $0.0 == unit })?.1, let number = Int(digits) else {
            throw Wrong("'\(text)' is no duration; write a whole number and a unit, such as 700ms, 2s, 1h or 7d")
        }
        let (product, isTooLarge) = number.multipliedReportingOverflow(by: factor)
        if isTooLarge { throw Wrong("'\(text)' is too long; write a shorter duration") }
        return product
    }

    static func written(_ milliseconds: Int) -> String {
        guard milliseconds > 0, let unit = units.last(where: { milliseconds % $0.1 == 0 }) else { return "0ms" }
        return "\(milliseconds / unit.1)\(unit.0)"
    }
}

extension Codec where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
    /// One of the words that the type knows.
    static var word: Codec { words(Value.allCases.map { ($0.rawValue, $0) }) }
}

extension Codec {
    /// One of these words.
    static func words(_ words: [(String, Value)]) -> Codec {
        let names = words.map(\.0)
        return .scalar([.init("enum", .list(names.map(JSON.text)))]) { text throws(Wrong) in
            guard let word = words.first(where: { $0.0 == text }) else {
                throw Wrong("'\(text)' is not known here; \(Suggestion.advice(for: text, among: names, otherwise: "write \(names[0])"))")
            }
            return word.1
        }
    }
}

extension Codec where Value == ListenAddress {
    static var listenAddress: Codec {
        .scalar([.init("type", .text("string")), .init("pattern", .text(#"^((udp|tcp)://.+:[0-9]+|(tls|ws|wss)://.+)$"#))]) {
            text throws(Wrong) in
            guard let separator = text.firstRange(of: "://") else {
                let isAddress = HostText.split(text).map { HostText.isLiteral($0.host) && $0.port != nil } ?? false
                let address = isAddress ? text : "127.0.0.1:5060"
                throw Wrong("'\(text)' names no transport; write udp://\(address) or tcp://\(address)")
            }
            let scheme = String(text[..<separator.lowerBound])
            guard let transport = TransportName(rawValue: scheme) else {
                let names = TransportName.allCases.map(\.rawValue)
                throw Wrong("'\(scheme)' is no transport; \(Suggestion.advice(for: scheme, among: names, otherwise: "write udp"))")
            }
            var hostPort = String(text[separator.upperBound...])
            if let port = transport.impliedPort, let (host, written) = HostText.split(hostPort), written == nil, HostText.isLiteral(host) {
                hostPort += ":\(port)"
            }
            let address = try HostPort(checking: hostPort, after: "\(scheme)://")
            return ListenAddress(transport: transport, host: address.host, port: address.port)
        }
    }
}

extension TransportName {
    /// The port of a listener that names none (RFC 3261 §19.1.2, RFC 6455 §3). SIP without TLS is to say its port: most who
    /// leave it out have forgotten it.
    fileprivate var impliedPort: Int? {
        switch self {
        case .udp, .tcp: nil
        case .tls: 5061
        case .ws: 80
        case .wss: 443
        }
    }
}

extension Codec where Value == HostPort {
    static var hostPort: Codec {
        .scalar([.init("type", .text("string")), .init("pattern", .text(#"^.+:[0-9]+$"#))]) { text throws(Wrong) in
            try HostPort(checking: text, after: "")
        }
    }
}

extension Codec where Value == HostPort {
    /// `udp://127.0.0.1:9060`: HEP has other transports too, but only this one never makes the sender wait.
    static var homerAddress: Codec {
        .scalar([.init("type", .text("string")), .init("pattern", .text(#"^udp://.+:[0-9]+$"#))]) { text throws(Wrong) in
            guard let separator = text.firstRange(of: "://") else { throw Wrong("'\(text)' names no transport; write udp://\(text)") }
            guard text[..<separator.lowerBound] == "udp" else {
                throw Wrong(
                    "'\(text[..<separator.lowerBound])' is no transport to Homer here; write udp://\(text[separator.upperBound...])")
            }
            let address = try HostPort(checking: String(text[separator.upperBound...]), after: "udp://")
            guard address.port != 0 else { throw Wrong("port 0 is nobody's; write the port that Homer listens on, such as 9060") }
            return address
        }
    }
}

extension Codec where Value == NameServer {
    /// An address with the port 53 unless it is said, or `none`.
    static var nameServer: Codec {
        .scalar([.init("type", .text("string")), .init("pattern", .text(#"^(none|[0-9A-Fa-f.:\[\]]+)$"#))]) { text throws(Wrong) in
            if text == "none" { return .nobody }
            if HostText.ipv6(text) != nil { return .server(HostPort(host: text.lowercased(), port: 53)) }
            guard let (host, port) = HostText.split(text), HostText.isLiteral(host) else {
                throw Wrong("'\(text)' is no address of a name server; write one such as 127.0.0.1:5353, or none")
            }
            guard let port else { return .server(HostPort(host: host, port: 53)) }
            guard let number = HostText.port(port), number != 0 else {
                throw Wrong("'\(port)' is no port of a name server; write a number from 1 to 65535")
            }
            return .server(HostPort(host: host, port: number))
        }
    }
}

extension HostPort {
    /// A literal address and a port.
    fileprivate init(checking text: String, after scheme: String) throws(Wrong) {
        guard let (host, port) = HostText.split(text) else {
            throw Wrong("'\(text)' is no address and port; write one such as \(scheme)127.0.0.1:5060 or \(scheme)[::1]:5060")
        }
        if HostText.port(text) != nil { throw Wrong("'\(text)' is a port without an address; write \(scheme)127.0.0.1:\(text)") }
        guard HostText.isLiteral(host) else {
            throw Wrong(
                "'\(host)' is no address; write \(scheme)127.0.0.1:\(port ?? "5060"), for a name says nothing about which address is meant")
        }
        guard let port else { throw Wrong("'\(text)' has no port; write \(scheme)\(text):5060, or :0 for any free one") }
        guard let number = HostText.port(port) else { throw Wrong("'\(port)' is no port; write a number from 0 to 65535") }
        self.init(host: host, port: number)
    }
}

extension Codec where Value == AddressBlock {
    /// `10.0.0.0/8`, or one address.
    static var addressBlock: Codec {
        .scalar([.init("type", .text("string"))]) { text throws(Wrong) in
            let parts = text.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count <= 2, let bytes = HostText.ipv4(parts[0]) ?? HostText.ipv6(parts[0]) else {
                throw Wrong("'\(text)' is no block of addresses; write one such as 10.0.0.0/8 or 2001:db8::/32")
            }
            let bits = bytes.count * 8
            guard parts.count == 2 else { return AddressBlock(address: bytes, prefixLength: bits) }
            guard HostText.isDigits(parts[1]), let length = Int(parts[1]), length <= bits else {
                throw Wrong("'/\(parts[1])' is no length of a prefix of \(parts[0]); write a number from 0 to \(bits)")
            }
            return AddressBlock(address: bytes, prefixLength: length)
        }
    }
}

extension Codec where Value == ServerURI {
    static var serverURI: Codec {
        .scalar([.init("type", .text("string")), .init("pattern", .text("^sips?:.+"))]) { text throws(Wrong) in try ServerURI(text) }
    }
}

extension Codec where Value == Int64 {
    /// A time of day on a date (RFC 3339), in microseconds since 1970.
    static var dateTime: Codec {
        let pattern = #"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$"#
        return .scalar([.init("type", .text("string")), .init("pattern", .text(pattern))]) { text throws(Wrong) in
            guard let time = DateTimeText.microseconds(text) else {
                throw Wrong("'\(text)' is no date and time; write one such as 2026-01-01T00:00:00Z")
            }
            return time
        }
    }
}

enum DateTimeText {
    private static let shape = Array("0000-00-00T00:00:00".utf8)
    private static let digits = UInt8(ascii: "0")...UInt8(ascii: "9")

    /// Microseconds since 1970; nil: it is none.
    static func microseconds(_ text: String) -> Int64? {
        let bytes = Array(text.utf8)
        guard bytes.count > shape.count else { return nil }
        for (byte, wanted) in zip(bytes, shape) {
            guard wanted == UInt8(ascii: "0") ? digits ~= byte : byte == wanted else { return nil }
        }
        func number(_ range: Range<Int>) -> Int { bytes[range].reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) } }
        let (year, month, day) = (number(0..<4), number(5..<7), number(8..<10))
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let days = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        guard 1...12 ~= month, 1...days[month - 1] ~= day, number(11..<13) < 24, number(14..<16) < 60, number(17..<19) < 60 else {
            return nil
        }
        var zone = bytes[shape.count...]
        var fraction = 0
        if zone.first == UInt8(ascii: ".") {
            let written = zone.dropFirst().prefix { digits ~= $0 }
            guard 1...9 ~= written.count else { return nil }
            let padded = Array(written) + Array(repeating: UInt8(ascii: "0"), count: 9 - written.count)
            fraction = padded.prefix(6).reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
            zone = zone[written.endIndex...]
        }
        guard let offset = offsetMinutes(zone) else { return nil }
        // Leap days of the years before this one, since the year 0.
        let before = year - 1
        let daysBefore = 365 * year + (year > 0 ? before / 4 - before / 100 + before / 400 + 1 : 0)
        let date = daysBefore - 719_528 + days.prefix(month - 1).reduce(0, +) + day - 1
        let seconds = date * 86_400 + number(11..<13) * 3600 + (number(14..<16) - offset) * 60 + number(17..<19)
        return Int64(seconds) * 1_000_000 + Int64(fraction)
    }

    /// How far a zone is ahead of UTC.
    private static func offsetMinutes(_ zone: ArraySlice<UInt8>) -> Int? {
        if zone.elementsEqual("Z".utf8) { return 0 }
        let text = String(decoding: zone, as: UTF8.self)
        guard text.utf8.count == 6, let sign = text.first, "+-".contains(sign) else { return nil }
        let parts = text.dropFirst().split(separator: ":")
        guard parts.count == 2, parts.allSatisfy({ $0.count == 2 && HostText.isDigits($0) }), let hours = Int(parts[0]), hours < 24,
            let minutes = Int(parts[1]), minutes < 60
        else { return nil }
        return (sign == "-" ? -1 : 1) * (hours * 60 + minutes)
    }
}
