// Addresses as text: literals of IPv4 and IPv6, host names, ports, SIP URIs of servers.

enum HostText {
    /// The four bytes of `192.0.2.7`.
    static func ipv4(_ text: some StringProtocol) -> [UInt8]? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bytes: [UInt8] = []
        for part in parts {
            guard isDigits(part), part.count == 1 || part.first != "0", let byte = UInt8(part) else { return nil }
            bytes.append(byte)
        }
        return bytes
    }

    /// The sixteen bytes of `2001:db8::7` (RFC 4291 §2.2), without brackets and without a zone.
    static func ipv6(_ text: some StringProtocol) -> [UInt8]? {
        let text = String(text)
        guard let gap = text.firstRange(of: "::") else {
            guard let bytes = groups(text), bytes.count == 16 else { return nil }
            return bytes
        }
        guard let head = groups(String(text[..<gap.lowerBound])), let tail = groups(String(text[gap.upperBound...])),
            head.count + tail.count <= 14
        else { return nil }
        return head + Array(repeating: 0, count: 16 - head.count - tail.count) + tail
    }

    /// Groups of four hexadecimal digits; an IPv4 address may stand at the end.
    private static func groups(_ text: String) -> [UInt8]? {
        guard !text.isEmpty else { return [] }
        var bytes: [UInt8] = []
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            if part.contains("."), index == parts.count - 1 {
                guard let tail = ipv4(part) else { return nil }
                bytes += tail
            } else {
                guard 1...4 ~= part.count, part.allSatisfy(\.isHexDigit), part.utf8.count == part.count, let group = UInt16(part, radix: 16)
                else { return nil }
                bytes += [UInt8(group >> 8), UInt8(truncatingIfNeeded: group)]
            }
        }
        return bytes
    }

    static func isLiteral(_ host: String) -> Bool { ipv4(host) != nil || ipv6(host) != nil }

    /// `localhost` and names below it, which are this machine's wherever one asks (RFC 6761 §6.3).
    static func isLocal(_ host: String) -> Bool { host == "localhost" || host.hasSuffix(".localhost") }

    /// `0.0.0.0` or `::`: every address of the machine.
    static func isWildcard(_ host: String) -> Bool { (ipv4(host) ?? ipv6(host))?.allSatisfy { $0 == 0 } ?? false }

    /// An address that only this machine reaches.
    static func isLoopback(_ host: String) -> Bool {
        if let bytes = ipv4(host) { return bytes[0] == 127 }
        guard let bytes = ipv6(host) else { return false }
        return bytes == Array(repeating: 0, count: 15) + [1] || bytes.starts(with: Array(repeating: 0, count: 10) + [255, 255, 127])
    }

    /// A host name of RFC 3261 §25.1, without the dot at its end: labels of letters, digits and hyphens.
    static func isName(_ host: some StringProtocol) -> Bool { isName(Substring(host).utf8) }

    static func isName(_ host: Substring.UTF8View) -> Bool {
        let dot = UInt8(ascii: ".")
        let hyphen = UInt8(ascii: "-")
        var count = 0
        var labelCount = 0
        var last = dot
        for byte in host {
            count += 1
            if byte == dot {
                guard labelCount > 0, last != hyphen else { return false }
                labelCount = 0
            } else {
                labelCount += 1
                guard isLetterOrDigit(byte) || (byte == hyphen && labelCount > 1), labelCount <= 63 else { return false }
            }
            last = byte
        }
        return 1...253 ~= count && labelCount > 0 && last != hyphen
    }

    /// A host and, after a colon, a port; an IPv6 address stands in brackets, which are left out of the host.
    static func split(_ text: some StringProtocol) -> (host: String, port: String?)? {
        if text.first == "[" {
            guard let close = text.firstIndex(of: "]") else { return nil }
            let host = String(text[text.index(after: text.startIndex)..<close])
            let rest = text[text.index(after: close)...]
            guard ipv6(host) != nil, rest.isEmpty || rest.first == ":" else { return nil }
            return (host.lowercased(), rest.isEmpty ? nil : String(rest.dropFirst()))
        }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count <= 2 else { return nil }
        return (parts[0].lowercased(), parts.count == 2 ? String(parts[1]) : nil)
    }

    static func port(_ text: some StringProtocol) -> UInt16? { isDigits(text) && text.count <= 5 ? UInt16(text) : nil }

    static func isDigits(_ text: some StringProtocol) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
    }

    static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"): true
        default: false
        }
    }
}

/// What must be known of a server's SIP URI to reach it: `sip:im@[2001:db8::7]:5080;transport=tcp`.
struct ServerURI: Sendable, Equatable {
    var text: String
    /// `sips`, not `sip`.
    var isSecure: Bool
    /// A literal without brackets, or a name; lower case.
    var host: String
    /// nil: by name (RFC 3263), or the transport's own.
    var port: UInt16?
    /// nil: not said, so UDP for `sip` and TLS for `sips`.
    var transport: TransportName?

    var isIPv6: Bool { host.contains(":") }
    /// With SIPS each transport is the one with TLS (RFC 3261 §26.2.2, RFC 7118 §5.2.2); for UDP there is none.
    var effectiveTransport: TransportName {
        switch transport {
        case nil: isSecure ? .tls : .udp
        case .tcp: isSecure ? .tls : .tcp
        case .ws: isSecure ? .wss : .ws
        case let named?: named
        }
    }

    /// Why the core cannot send there, whatever the address; nil if it can.
    var transportFault: String? {
        switch effectiveTransport {
        case .ws, .wss: "WebSocket is opened by clients alone, and the core is none; write ;transport=tcp or ;transport=tls"
        case .udp where isSecure: "sips asks for TLS, which UDP has not; write ;transport=tls"
        default: nil
        }
    }

    init(_ text: String) throws(Wrong) {
        let example = "sip:127.0.0.1:5080"
        guard let colon = text.firstIndex(of: ":"), ["sip", "sips"].contains(text[..<colon].lowercased()) else {
            throw Wrong("'\(text)' is no SIP URI; write sip:\(text.isEmpty ? "127.0.0.1:5080" : text)")
        }
        self.text = text
        isSecure = text[..<colon].lowercased() == "sips"
        var rest = text[text.index(after: colon)...]
        if let question = rest.firstIndex(of: "?") {
            throw Wrong("a server's URI has no headers; write \(text[..<question])")
        }
        if let at = rest.firstIndex(of: "@") { rest = rest[rest.index(after: at)...] }
        let parts = rest.split(separator: ";", omittingEmptySubsequences: false)
        guard let (host, port) = HostText.split(parts[0]), HostText.isLiteral(host) || HostText.isName(host) else {
            throw Wrong("'\(text)' names no host; write a URI such as \(example) or sip:[::1]:5080")
        }
        self.host = host
        if let port {
            guard let number = HostText.port(port) else { throw Wrong("'\(port)' is no port; write a number from 0 to 65535") }
            self.port = number
        }
        for parameter in parts.dropFirst() where parameter.lowercased().hasPrefix("transport=") {
            let value = parameter.dropFirst("transport=".count).lowercased()
            guard let transport = TransportName(rawValue: value) else {
                let names = TransportName.allCases.map(\.rawValue)
                throw Wrong("'\(value)' is no transport; \(Suggestion.advice(for: value, among: names, otherwise: "write udp"))")
            }
            self.transport = transport
        }
        guard text.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) else {
            throw Wrong("'\(text)' holds a character that may not stand in a URI; write a URI such as \(example)")
        }
    }
}

extension ApplicationServer {
    /// Whether it is reached over TLS.
    public var asksForTLS: Bool {
        guard let address = try? ServerURI(uri) else { return false }
        return address.effectiveTransport == .tls
    }
}

extension String {
    /// Whether an ASCII character is in it, found without a look at the text as characters.
    func holds(_ octet: UInt8) -> Bool {
        utf8.withContiguousStorageIfAvailable { octets in
            for i in 0..<octets.count where octets[i] == octet { return true }
            return false
        } ?? utf8.contains(octet)
    }
}
