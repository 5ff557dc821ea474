// Where messages come from and go to. An address here is a number, never a name: names are a shell's business.

/// How a message travels (RFC 3261 §18; RFC 7118 for WebSocket).
public enum Transport: UInt8, BitwiseCopyable, Hashable, Sendable, CaseIterable {
    case udp, tcp, tls, ws, wss

    /// Whether it keeps order and delivers: timers A, E, G, I, J and K depend on it.
    @inlinable public var isReliable: Bool { self != .udp }
    /// The word in Via, upper case (RFC 3261 §25.1).
    @inlinable public var viaName: StaticString {
        switch self {
        case .udp: "UDP"
        case .tcp: "TCP"
        case .tls: "TLS"
        case .ws: "WS"
        case .wss: "WSS"
        }
    }
    /// The word in URIs and listener names, lower case.
    @inlinable public var name: StaticString {
        switch self {
        case .udp: "udp"
        case .tcp: "tcp"
        case .tls: "tls"
        case .ws: "ws"
        case .wss: "wss"
        }
    }
    /// The word of a `transport` parameter: WebSocket has one for both, and the scheme tells them apart (RFC 7118 §5.2.2).
    @inlinable public var uriName: StaticString { self == .wss ? "ws" : name }
    /// The port where none is written (RFC 3261 §19.1.2; of WebSocket the one of its own URIs, RFC 6455 §3).
    @inlinable public var defaultPort: UInt16 {
        switch self {
        case .udp, .tcp: 5060
        case .tls: 5061
        case .ws: 80
        case .wss: 443
        }
    }
    /// Whether TLS protects it.
    @inlinable public var isSecure: Bool { self == .tls || self == .wss }
    /// Whether it is WebSocket: only clients open such a stream, so a server reaches them by the streams that there are.
    @inlinable public var isWebSocket: Bool { self == .ws || self == .wss }
    /// The transport that a SIPS URI means where it names this one (RFC 3261 §26.2.2, RFC 7118 §5.2.2); nil: there is none.
    public var secured: Transport? {
        switch self {
        case .udp: nil
        case .tcp, .tls: .tls
        case .ws, .wss: .wss
        }
    }
}

/// An IPv4 or IPv6 address as a number.
public struct IPAddress: BitwiseCopyable, Hashable, Sendable {
    /// The 128 bits of an IPv6 address; an IPv4 address is in the low 32.
    public var high: UInt64
    public var low: UInt64
    public var isIPv6: Bool

    @inlinable public init(v4: UInt32) {
        high = 0
        low = UInt64(v4)
        isIPv6 = false
    }
    @inlinable public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
        isIPv6 = true
    }

    public static let loopback = IPAddress(v4: 0x7F00_0001)

    public var isLoopback: Bool { isIPv6 ? (high == 0 && low == 1) : low >> 24 == 127 }
    /// The address of a wildcard listener, 0.0.0.0 or `[::]`.
    public var isUnspecified: Bool { high == 0 && low == 0 }
    public var isIPv4Broadcast: Bool { !isIPv6 && low == 0xFFFF_FFFF }

    /// Whether the first `prefixLength` bits are those of `network` (CIDR); never across the two families.
    public func isIn(_ network: IPAddress, prefixLength: Int) -> Bool {
        guard isIPv6 == network.isIPv6, prefixLength >= 0 else { return false }
        if !isIPv6 {
            let shift = UInt64(max(0, 32 - prefixLength))
            return low >> shift == network.low >> shift
        }
        if prefixLength <= 64 {
            return prefixLength == 0 || high >> UInt64(64 - prefixLength) == network.high >> UInt64(64 - prefixLength)
        }
        let shift = UInt64(max(0, 128 - prefixLength))
        return high == network.high && low >> shift == network.low >> shift
    }
}

extension IPAddress {
    /// 4 or 16 octets in network order.
    public var octets: [UInt8] {
        isIPv6 ? IPAddress.octets(of: high, from: 56) + IPAddress.octets(of: low, from: 56) : IPAddress.octets(of: low, from: 24)
    }

    /// The highest octet begins at bit `top`.
    private static func octets(of number: UInt64, from top: Int) -> [UInt8] {
        stride(from: top, through: 0, by: -8).map { UInt8(truncatingIfNeeded: number >> UInt64($0)) }
    }

    /// From 4 or 16 octets in network order.
    public init?(octets: [UInt8]) {
        func number(_ part: ArraySlice<UInt8>) -> UInt64 { part.reduce(0) { $0 << 8 | UInt64($1) } }
        switch octets.count {
        case 4: self.init(v4: UInt32(number(octets[...])))
        case 16: self.init(high: number(octets[..<8]), low: number(octets[8...]))
        default: return nil
        }
    }
}

/// An address and a port.
public struct Endpoint: BitwiseCopyable, Hashable, Sendable {
    public var address: IPAddress
    public var port: UInt16

    @inlinable public init(address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }
    public static let none = Endpoint(address: IPAddress(v4: 0), port: 0)
}

/// A way to a peer: over which of our listeners, to which address, and on a stream over which connection.
///
/// A received message has the flow that it came on. An outgoing one names the flow it should take; a stream without a
/// connection (0) is opened, or an earlier one to the same address is used again.
public struct Flow: BitwiseCopyable, Hashable, Sendable {
    public var transport: Transport
    /// The number of the listener, in the order of the topology; streams that the core opens keep the listener whose
    /// address stands in their Via.
    public var listener: UInt8
    /// Of a response on a stream: the port at which the peer takes another one if the first is gone, that of its sent-by
    /// (RFC 3261 §18.2.2). 0: the port of `remote`.
    public var returnPort: UInt16 = 0
    /// A stream's number, unique over the life of the process; 0 for a datagram or a stream yet to be opened.
    public var connection: UInt32
    public var remote: Endpoint

    @inlinable public init(transport: Transport, listener: UInt8, connection: UInt32 = 0, remote: Endpoint) {
        self.transport = transport
        self.listener = listener
        self.connection = connection
        self.remote = remote
    }

    /// Whether two messages came the same way: the same source on a datagram listener, or the same stream.
    @inlinable public func isSame(as other: Flow) -> Bool {
        guard transport == other.transport else { return false }
        return transport == .udp
            ? remote == other.remote && listener == other.listener : connection == other.connection && connection != 0
    }
}

/// A bound listener of ours.
public struct Listener: BitwiseCopyable, Hashable, Sendable {
    public var transport: Transport
    /// The address and port bound, port 0 already replaced.
    public var local: Endpoint
    /// The address and port that stand in Via, Record-Route, Service-Route and Contact (`core.advertise`).
    public var advertised: Endpoint

    public init(transport: Transport, local: Endpoint, advertised: Endpoint? = nil) {
        self.transport = transport
        self.local = local
        self.advertised = advertised ?? local
    }
}

// MARK: Text

extension IPAddress {
    /// Reads `192.0.2.1`, `2001:db8::1` or `[2001:db8::1]`; nil for anything else, names included.
    public init?(_ text: RawSpan) {
        let count = text.byteCount
        if count >= 2, text[0] == 0x5B, text[count - 1] == 0x5D {
            self.init(v6: text.extracting(1..<(count - 1)))
        } else if let v4 = IPAddress.parseIPv4(text) {
            self.init(v4: v4)
        } else {
            self.init(v6: text)
        }
    }

    public init?(_ text: String) {
        let octets = Array(text.utf8)
        self.init(octets.span.bytes)
    }

    private static func parseIPv4(_ text: RawSpan) -> UInt32? {
        guard text.byteCount >= 7, text.byteCount <= 15 else { return nil }
        var result: UInt32 = 0
        var part: UInt32 = 0
        var digits = 0
        var parts = 0
        for i in 0...text.byteCount {
            let octet = i < text.byteCount ? text[i] : 0x2E
            if octet.isASCIIDigit, digits < 3 {
                part = part * 10 + UInt32(octet - 0x30)
                digits += 1
            } else if octet == 0x2E, digits > 0, part < 256, parts < 4 {
                result = result << 8 | part
                part = 0
                digits = 0
                parts += 1
            } else {
                return nil
            }
        }
        return parts == 4 ? result : nil
    }

    /// An IPv6 address. Three colons are read as two: RFC 5118 §4.10 asks for it.
    private init?(v6 text: RawSpan) {
        guard text.byteCount >= 2, text.byteCount <= 46 else { return nil }
        var groups = InlineArray<8, UInt16>(repeating: 0)
        var count = 0
        var gap = -1
        var i = 0
        while i < text.byteCount {
            if text[i] == 0x3A {
                guard i + 1 < text.byteCount, text[i + 1] == 0x3A else {
                    guard count > 0, gap != count, i + 1 < text.byteCount else { return nil }
                    i += 1
                    continue
                }
                guard gap < 0 else { return nil }
                gap = count
                i += 2
                if i < text.byteCount, text[i] == 0x3A { i += 1 }
                continue
            }
            guard count < 8 else { return nil }
            var end = i
            var value: UInt32 = 0
            while end < text.byteCount, end - i < 5, let digit = text[end].hexDigitValue {
                value = value << 4 | UInt32(digit)
                end += 1
            }
            if end < text.byteCount, text[end] == 0x2E {
                guard count <= 6, let v4 = IPAddress.parseIPv4(text.extracting(i..<text.byteCount)) else { return nil }
                groups[count] = UInt16(v4 >> 16)
                groups[count + 1] = UInt16(truncatingIfNeeded: v4)
                count += 2
                i = text.byteCount
                break
            }
            guard end > i, end - i <= 4, end == text.byteCount || text[end] == 0x3A else { return nil }
            groups[count] = UInt16(value)
            count += 1
            i = end
        }
        guard gap >= 0 ? count < 8 : count == 8 else { return nil }
        var all = InlineArray<8, UInt16>(repeating: 0)
        let head = gap >= 0 ? gap : 8
        for g in 0..<head { all[g] = groups[g] }
        for g in head..<count where gap >= 0 { all[8 - (count - g)] = groups[g] }
        var high: UInt64 = 0
        var low: UInt64 = 0
        for g in 0..<4 { high = high << 16 | UInt64(all[g]) }
        for g in 4..<8 { low = low << 16 | UInt64(all[g]) }
        self.init(high: high, low: low)
    }

    public var text: String {
        var buffer = OctetBuffer(capacity: 64)
        buffer.append(self)
        return String(octets: buffer.bytes)
    }
}

extension Endpoint {
    /// `127.0.0.1:5060`, `[::1]:5060`.
    public var text: String {
        var buffer = OctetBuffer(capacity: 64)
        buffer.append(self)
        return String(octets: buffer.bytes)
    }
}

extension OctetBuffer {
    /// An address as a URI or Via has it: IPv6 in brackets, shortened as RFC 5952 asks.
    public mutating func append(_ address: IPAddress) {
        if !address.isIPv6 {
            for part in 0..<4 {
                if part > 0 { append(byte: 0x2E) }
                appendDecimal((address.low >> UInt64(24 - 8 * part)) & 255)
            }
            return
        }
        append(byte: 0x5B)
        appendGroups(address)
        append(byte: 0x5D)
    }

    public mutating func append(_ endpoint: Endpoint) {
        append(endpoint.address)
        append(byte: 0x3A)
        appendDecimal(UInt64(endpoint.port))
    }

    private mutating func appendGroups(_ address: IPAddress) {
        func group(_ i: Int) -> UInt64 { (i < 4 ? address.high >> UInt64(48 - 16 * i) : address.low >> UInt64(112 - 16 * i)) & 0xFFFF }
        var best = (start: 8, length: 1)
        var i = 0
        while i < 8 {
            var length = 0
            while i + length < 8, group(i + length) == 0 { length += 1 }
            if length > best.length { best = (i, length) }
            i += max(length, 1)
        }
        i = 0
        while i < 8 {
            if i == best.start {
                append("::")
                i += best.length
                continue
            }
            if i > 0, i != best.start + best.length { append(byte: 0x3A) }
            let value = group(i)
            appendHex(value, digits: value > 0xFFF ? 4 : value > 0xFF ? 3 : value > 0xF ? 2 : 1)
            i += 1
        }
    }
}
