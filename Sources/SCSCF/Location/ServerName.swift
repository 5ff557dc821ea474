// What a SIP URI says of where requests for it go, if that is to be asked of others (RFC 3263 §4).

public import SIPMessage
public import SansIO

/// A server by name: what RFC 3263 needs of a URI to find it.
public struct ServerName: Hashable, Sendable {
    /// In small letters, without the full stop at the end.
    public var host: [UInt8]
    /// 0: the URI has none.
    public var port: UInt16
    /// With a SIPS URI the one with TLS. Nil: the URI names none.
    public var transport: Transport?
    /// Whether it is a SIPS URI, for which only TLS will do.
    public var isSecure: Bool

    /// The longest host name: with `_sips._tcp.` before it, it is still a name of DNS (RFC 1035 §3.1).
    static let longest = 240

    public init(host: [UInt8], port: UInt16 = 0, transport: Transport? = nil, isSecure: Bool = false) {
        self.host = host
        self.port = port
        self.transport = transport
        self.isSecure = isSecure
    }
}

extension RawSpan {
    /// The server that a URI names (RFC 3263 §4: `maddr` before the host); nil: it names none that could be asked for,
    /// such as an address, what is no host name, one below `invalid`, which is nobody's (RFC 6761 §6.4), or a transport
    /// that clients alone open.
    public func serverName(of uri: SIPURI) -> ServerName? {
        guard let transport = transport(of: uri), !transport.isWebSocket else { return nil }
        let target = self[parameter("maddr", in: uri.parameters) ?? uri.host]
        guard IPAddress(target) == nil else { return nil }
        var host: [UInt8] = []
        for i in 0..<target.byteCount { host.append(target[i].asciiLowercased) }
        if host.last == 0x2E { host.removeLast() }
        guard host.count <= ServerName.longest, host.isHostName, !host.isInvalidDomain else { return nil }
        let isNamed = parameter("transport", in: uri.parameters) != nil
        return ServerName(host: host, port: uri.port, transport: isNamed ? transport : nil, isSecure: uri.scheme == .sips)
    }
}

extension [UInt8] {
    /// Labels of letters, digits, hyphens and underscores (names of services have those), 63 octets each at most.
    var isHostName: Bool {
        var length = 0
        for octet in self {
            if octet == 0x2E {
                guard length > 0 else { return false }
                length = 0
                continue
            }
            length += 1
            let isLetter = octet >= 0x61 && octet <= 0x7A
            guard isLetter || octet.isASCIIDigit || octet == 0x2D || octet == 0x5F, length <= 63 else { return false }
        }
        return length > 0
    }

    fileprivate var isInvalidDomain: Bool {
        let domain = Array("invalid".utf8)
        guard count >= domain.count, Array(suffix(domain.count)) == domain else { return false }
        return count == domain.count || self[count - domain.count - 1] == 0x2E
    }
}
