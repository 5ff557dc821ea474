// A recorded message as Homer takes it: the Homer Encapsulation Protocol, version 3 (HEP3, rev. 12), one datagram a message.

import SansIO

/// Who sends messages to Homer.
public struct HEPAgent: Hashable, Sendable {
    /// The number by which Homer tells agents apart.
    public var captureID: UInt32
    /// What Homer asks of agents, if it does.
    public var password: String?
    /// The name that Homer shows.
    public var name: String

    /// The most octets that a packet can have: what fits in a datagram.
    public static let longestPacket = 65_507

    public init(captureID: UInt32, password: String? = nil, name: String = "sipcore") {
        self.captureID = captureID
        self.password = password
        self.name = name
    }

    /// The packet for a message; nil: it would not fit in a datagram.
    /// - Parameter correlation: what Homer joins messages by, the Call-ID; nil: there is none.
    public func packet(_ message: TracedMessage, correlation: String?) -> [UInt8]? {
        var packet = Array("HEP3".utf8)
        packet.reserveCapacity(message.octets.count + 160)
        packet.append(network: UInt16(0))
        // Where it went on a network that maps one family to the other, both are of one.
        let isIPv6 = message.remote.address.isIPv6
        let local =
            message.local.address.isIPv6 == isIPv6 ? message.local : Endpoint(address: .unspecified(isIPv6), port: message.local.port)
        let (source, destination) = message.direction == .incoming ? (message.remote, local) : (local, message.remote)
        packet.append(chunk: .family, [isIPv6 ? 10 : 2])
        packet.append(chunk: .internetProtocol, [message.transport.isReliable ? 6 : 17])
        packet.append(chunk: isIPv6 ? .sourceIPv6 : .sourceIPv4, source.address.octets)
        packet.append(chunk: isIPv6 ? .destinationIPv6 : .destinationIPv4, destination.address.octets)
        packet.append(chunk: .sourcePort, source.port.octets)
        packet.append(chunk: .destinationPort, destination.port.octets)
        let time = max(message.time.microseconds, 0)
        packet.append(chunk: .seconds, UInt32(truncatingIfNeeded: time / 1_000_000).octets)
        packet.append(chunk: .microseconds, UInt32(time % 1_000_000).octets)
        // SIP.
        packet.append(chunk: .payloadKind, [1])
        packet.append(chunk: .captureID, captureID.octets)
        if let password { packet.append(chunk: .authenticationKey, password.utf8) }
        packet.append(chunk: .nodeName, name.utf8)
        if let correlation { packet.append(chunk: .correlation, correlation.utf8.prefix(255)) }
        guard packet.count + 6 + message.octets.count <= HEPAgent.longestPacket else { return nil }
        packet.append(chunk: .payload, message.octets)
        packet.replace(network: UInt16(packet.count), at: 4)
        return packet
    }
}

/// The generic chunks, vendor 0.
private enum Chunk: UInt16 {
    case family = 1
    case internetProtocol = 2
    case sourceIPv4 = 3
    case destinationIPv4 = 4
    case sourceIPv6 = 5
    case destinationIPv6 = 6
    case sourcePort = 7
    case destinationPort = 8
    case seconds = 9
    case microseconds = 10
    case payloadKind = 11
    case captureID = 12
    case authenticationKey = 14
    case payload = 15
    case correlation = 17
    case nodeName = 19
}

extension [UInt8] {
    /// The vendor, the kind, the length with this head, and the value.
    fileprivate mutating func append(chunk: Chunk, _ value: some Collection<UInt8>) {
        append(network: UInt16(0))
        append(network: chunk.rawValue)
        append(network: UInt16(truncatingIfNeeded: 6 + value.count))
        self += value
    }
}

extension IPAddress {
    fileprivate static func unspecified(_ isIPv6: Bool) -> IPAddress { isIPv6 ? IPAddress(high: 0, low: 0) : IPAddress(v4: 0) }

    fileprivate var octets: [UInt8] {
        var octets: [UInt8] = []
        octets.append(self)
        return octets
    }
}

extension UInt16 {
    fileprivate var octets: [UInt8] { [UInt8(self >> 8), UInt8(truncatingIfNeeded: self)] }
}

extension UInt32 {
    fileprivate var octets: [UInt8] { (UInt16(truncatingIfNeeded: self >> 16)).octets + (UInt16(truncatingIfNeeded: self)).octets }
}
