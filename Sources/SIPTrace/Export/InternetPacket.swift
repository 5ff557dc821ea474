// The packets that a message may have travelled in, made anew: IP and UDP for a datagram, IP and TCP for a piece of a stream.
// What TLS or WebSocket put round a message is left out, so that it can be read.

import SansIO

/// An IP packet (RFC 791, RFC 8200) with a UDP datagram or a TCP segment in it.
enum InternetPacket {
    /// The most octets that a UDP datagram of either family can have behind its header.
    static let longestDatagram = 65_507
    /// The octets of a segment at most: what a packet of either family can have, rounded down.
    static let longestSegment = 65_000

    static let udp: UInt8 = 17
    static let tcp: UInt8 = 6

    /// - Parameter number: of the packet; IPv4 writes it down.
    static func datagram(from source: Endpoint, to destination: Endpoint, number: UInt16, _ payload: ArraySlice<UInt8>) -> [UInt8] {
        var datagram: [UInt8] = []
        datagram.append(network: source.port)
        datagram.append(network: destination.port)
        datagram.append(network: UInt16(truncatingIfNeeded: 8 + payload.count))
        datagram.append(network: UInt16(0))
        datagram += payload
        let sum = checksum(of: datagram, udp, from: source.address, to: destination.address)
        // Zero would say that there is none (RFC 768).
        datagram.replace(network: sum == 0 ? .max : sum, at: 6)
        return packet(udp, from: source.address, to: destination.address, number: number, datagram)
    }

    /// A segment within a connection that is open already.
    static func segment(
        from source: Endpoint, to destination: Endpoint, number: UInt16, sequence: UInt32, acknowledged: UInt32,
        _ payload: ArraySlice<UInt8>
    ) -> [UInt8] {
        var segment: [UInt8] = []
        segment.append(network: source.port)
        segment.append(network: destination.port)
        segment.append(network: sequence)
        segment.append(network: acknowledged)
        // A header of five words; PSH and ACK; the widest window (RFC 9293 §3.1).
        segment += [0x50, 0x18, 0xFF, 0xFF, 0, 0, 0, 0]
        segment += payload
        segment.replace(network: checksum(of: segment, tcp, from: source.address, to: destination.address), at: 16)
        return packet(tcp, from: source.address, to: destination.address, number: number, segment)
    }

    private static func packet(
        _ kind: UInt8, from source: IPAddress, to destination: IPAddress, number: UInt16, _ payload: [UInt8]
    ) -> [UInt8] {
        var packet: [UInt8] = []
        packet.reserveCapacity(payload.count + 40)
        if source.isIPv6 {
            packet += [0x60, 0, 0, 0]
            packet.append(network: UInt16(truncatingIfNeeded: payload.count))
            packet += [kind, 64]
        } else {
            packet += [0x45, 0]
            packet.append(network: UInt16(truncatingIfNeeded: 20 + payload.count))
            packet.append(network: number)
            // Not to be fragmented; 64 hops.
            packet += [0x40, 0, 64, kind, 0, 0]
        }
        packet.append(source)
        packet.append(destination)
        if !source.isIPv6 { packet.replace(network: folded(sum(packet[...])), at: 10) }
        return packet + payload
    }

    // MARK: Checksums (RFC 1071)

    private static func checksum(of payload: [UInt8], _ kind: UInt8, from source: IPAddress, to destination: IPAddress) -> UInt16 {
        var pseudoHeader: [UInt8] = []
        pseudoHeader.append(source)
        pseudoHeader.append(destination)
        pseudoHeader.append(network: UInt32(payload.count))
        pseudoHeader += [0, 0, 0, kind]
        return folded(sum(pseudoHeader[...]) + sum(payload[...]))
    }

    private static func sum(_ octets: ArraySlice<UInt8>) -> UInt64 {
        var sum: UInt64 = 0
        var isHigh = true
        for octet in octets {
            sum += isHigh ? UInt64(octet) << 8 : UInt64(octet)
            isHigh.toggle()
        }
        return sum
    }

    private static func folded(_ sum: UInt64) -> UInt16 {
        var sum = sum
        while sum > 0xFFFF { sum = (sum & 0xFFFF) + sum >> 16 }
        return ~UInt16(sum)
    }
}

/// The payload of an IP packet, and whose it was.
struct PacketPayload {
    var isDatagram: Bool
    var source: Endpoint
    var destination: Endpoint
    var octets: ArraySlice<UInt8>

    /// Reads a packet as `InternetPacket` makes them; nil: it is another.
    init?(_ packet: ArraySlice<UInt8>) {
        guard let first = packet.first else { return nil }
        let isIPv6 = first >> 4 == 6
        let headerLength = isIPv6 ? 40 : 4 * Int(first & 15)
        guard isIPv6 || (first >> 4 == 4 && headerLength >= 20), let header = packet.part(0, headerLength) else { return nil }
        let bytes = Array(header)
        let kind = bytes[isIPv6 ? 6 : 9]
        let width = isIPv6 ? 16 : 4
        let addresses = isIPv6 ? 8 : 12
        guard let source = IPAddress(octets: Array(bytes[addresses..<(addresses + width)])),
            let destination = IPAddress(octets: Array(bytes[(addresses + width)..<(addresses + 2 * width)])),
            let sourcePort = packet.network16(at: headerLength), let destinationPort = packet.network16(at: headerLength + 2)
        else { return nil }
        let transportHeader: Int
        switch kind {
        case InternetPacket.udp: transportHeader = 8
        case InternetPacket.tcp:
            guard let offset = packet.part(headerLength + 12, 1)?.first else { return nil }
            transportHeader = 4 * Int(offset >> 4)
        default: return nil
        }
        let start = headerLength + transportHeader
        guard let payload = packet.part(start, packet.count - start) else { return nil }
        isDatagram = kind == InternetPacket.udp
        self.source = Endpoint(address: source, port: sourcePort)
        self.destination = Endpoint(address: destination, port: destinationPort)
        octets = payload
    }
}
