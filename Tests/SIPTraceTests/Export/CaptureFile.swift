// Capture files, packets and HEP read to the letter of their formats, by other means than the code under test.

import SIPTrace
import SansIO
import Testing

/// A pcapng file taken apart block by block; every length and every checksum is held against the octets.
struct CaptureFile {
    struct Packet: Equatable {
        var microseconds: Int64
        var comment: String
        var isInbound: Bool
        var protocolNumber: UInt8
        var source: [UInt8]
        var destination: [UInt8]
        var sourcePort: Int
        var destinationPort: Int
        /// Of TCP.
        var sequence = 0
        var acknowledged = 0
        var payload: [UInt8]
    }

    var linkType = -1
    var packets: [Packet] = []

    init(_ file: [UInt8]) throws {
        var offset = 0
        var kinds: [Int] = []
        while offset < file.count {
            let kind = CaptureFile.little(file, offset, 4)
            let length = CaptureFile.little(file, offset + 4, 4)
            try #require(length >= 12 && length % 4 == 0 && offset + length <= file.count)
            try #require(CaptureFile.little(file, offset + length - 4, 4) == length)
            let body = Array(file[(offset + 8)..<(offset + length - 4)])
            kinds.append(kind)
            switch kind {
            case 0x0A0D_0D0A: #expect(CaptureFile.little(body, 0, 4) == 0x1A2B_3C4D && CaptureFile.little(body, 4, 2) == 1)
            case 1: linkType = CaptureFile.little(body, 0, 2)
            default: packets.append(try CaptureFile.packet(body))
            }
            offset += length
        }
        #expect(kinds.prefix(2) == [0x0A0D_0D0A, 1])
        #expect(kinds.dropFirst(2).allSatisfy { $0 == 6 })
    }

    private static func packet(_ body: [UInt8]) throws -> Packet {
        let captured = little(body, 12, 4)
        #expect(captured == little(body, 16, 4))
        let ip = Array(body[20..<(20 + captured)])
        let isIPv6 = ip[0] >> 4 == 6
        let header = isIPv6 ? 40 : 20
        let payloadLength = isIPv6 ? network(ip, 4, 2) : network(ip, 2, 2) - 20
        try #require(header + payloadLength == ip.count)
        if !isIPv6 { #expect(sum(Array(ip[..<20])) == 0xFFFF) }
        let (source, destination) = isIPv6 ? (ip[8..<24], ip[24..<40]) : (ip[12..<16], ip[16..<20])
        let inner = Array(ip[header...])
        let kind = ip[isIPv6 ? 6 : 9]
        let pseudo = Array(source) + Array(destination) + [0, 0, UInt8(inner.count >> 8), UInt8(inner.count & 255), 0, 0, 0, kind]
        #expect(sum(pseudo.count % 2 == 0 ? pseudo + inner : []) == 0xFFFF)
        if kind == 17 { #expect(network(inner, 4, 2) == inner.count) }
        var (comment, flags) = ("", 0)
        var place = 20 + (captured + 3) / 4 * 4
        while little(body, place, 2) != 0 {
            let (code, length) = (little(body, place, 2), little(body, place + 2, 2))
            if code == 1 { comment = String(decoding: body[(place + 4)..<(place + 4 + length)], as: UTF8.self) }
            if code == 2 { flags = little(body, place + 4, 4) }
            place += 4 + (length + 3) / 4 * 4
        }
        return Packet(
            microseconds: Int64(little(body, 4, 4)) << 32 | Int64(little(body, 8, 4)), comment: comment, isInbound: flags == 1,
            protocolNumber: kind, source: Array(source), destination: Array(destination), sourcePort: network(inner, 0, 2),
            destinationPort: network(inner, 2, 2), sequence: kind == 6 ? network(inner, 4, 4) : 0,
            acknowledged: kind == 6 ? network(inner, 8, 4) : 0, payload: Array(inner[(kind == 6 ? 20 : 8)...]))
    }

    static func little(_ octets: [UInt8], _ offset: Int, _ count: Int) -> Int {
        octets[offset..<(offset + count)].reversed().reduce(0) { $0 << 8 | Int($1) }
    }

    static func network(_ octets: [UInt8], _ offset: Int, _ count: Int) -> Int {
        octets[offset..<(offset + count)].reduce(0) { $0 << 8 | Int($1) }
    }

    /// The sum in ones' complement of 16-bit numbers; with its checksum in it, it is all ones.
    private static func sum(_ octets: [UInt8]) -> Int {
        var total = 0
        for start in stride(from: 0, to: octets.count, by: 2) {
            total += Int(octets[start]) << 8 | (start + 1 < octets.count ? Int(octets[start + 1]) : 0)
            if total > 0xFFFF { total -= 0xFFFF }
        }
        return total
    }
}

/// Messages for files, all different.
struct MessageMaker {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func number(below limit: UInt64) -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return (state >> 33) % limit
    }

    mutating func message(_ sequence: UInt64) -> TracedMessage {
        let isIPv6 = number(below: 3) == 0
        func address(_ n: UInt64) -> IPAddress {
            isIPv6 ? IPAddress(high: 0x2001_0db8 << 32, low: n) : IPAddress(v4: UInt32(0x7F00_0001 + n))
        }
        let transport = Transport.allCases[Int(number(below: 5))]
        let longest: UInt64 = number(below: 20) == 0 ? 65_000 : 600
        let octets = (0..<number(below: longest)).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ sequence) }
        return TracedMessage(
            sequence: sequence, time: WallTime(microseconds: Int64(sequence) * 1_000_003 + 1_767_225_600_000_000),
            direction: number(below: 2) == 0 ? .incoming : .outgoing, transport: transport,
            peer: [nil, "im", "a server with spaces", "peer=x"][Int(number(below: 4))],
            local: Endpoint(address: address(0), port: 5060),
            remote: Endpoint(address: address(number(below: 4)), port: UInt16(number(below: 3) + 1)),
            mark: TraceMark.allCases[Int(number(below: UInt64(TraceMark.allCases.count)))], octets: octets)
    }
}
