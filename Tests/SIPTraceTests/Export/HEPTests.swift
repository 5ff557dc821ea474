import SIPTrace
import SansIO
import Testing

@Suite struct HEPTests {
    private static let payload = Array("OPTIONS sip:h SIP/2.0\r\nCall-ID: a@b\r\n\r\n".utf8)

    private func message(_ direction: TraceDirection, _ transport: Transport, isIPv6: Bool = false) -> TracedMessage {
        let remote = isIPv6 ? IPAddress(high: 0x2001_0db8 << 32, low: 7) : IPAddress(v4: 0xC000_0207)
        return TracedMessage(
            sequence: 1, time: WallTime(microseconds: 1_767_225_600_000_042), direction: direction, transport: transport,
            local: Endpoint(address: isIPv6 ? IPAddress(high: 0, low: 1) : .loopback, port: 5060),
            remote: Endpoint(address: remote, port: 40_000), octets: HEPTests.payload)
    }

    /// The chunks by their kind.
    private func chunks(_ packet: [UInt8]) throws -> [Int: [UInt8]] {
        try #require(Array(packet.prefix(4)) == Array("HEP3".utf8))
        #expect(CaptureFile.network(packet, 4, 2) == packet.count)
        var chunks: [Int: [UInt8]] = [:]
        var offset = 6
        while offset < packet.count {
            #expect(CaptureFile.network(packet, offset, 2) == 0)
            let (kind, length) = (CaptureFile.network(packet, offset + 2, 2), CaptureFile.network(packet, offset + 4, 2))
            try #require(length >= 6 && offset + length <= packet.count)
            #expect(chunks.updateValue(Array(packet[(offset + 6)..<(offset + length)]), forKey: kind) == nil)
            offset += length
        }
        return chunks
    }

    @Test func aMessageIsAllChunks() throws {
        let agent = HEPAgent(captureID: 2001, password: "secret")
        let chunks = try chunks(try #require(agent.packet(message(.incoming, .udp), correlation: "a@b")))
        #expect(
            chunks == [
                1: [2], 2: [17], 3: [192, 0, 2, 7], 4: [127, 0, 0, 1], 7: [0x9C, 0x40], 8: [0x13, 0xC4], 9: [0x69, 0x55, 0xB9, 0x00],
                10: [0, 0, 0, 42], 11: [1], 12: [0, 0, 7, 0xD1], 14: Array("secret".utf8), 15: HEPTests.payload, 17: Array("a@b".utf8),
                19: Array("sipcore".utf8),
            ])
    }

    @Test func whatGoesOutGoesTheOtherWay() throws {
        let chunks = try chunks(try #require(HEPAgent(captureID: 1).packet(message(.outgoing, .tls, isIPv6: true), correlation: nil)))
        #expect(chunks[1] == [10] && chunks[2] == [6])
        #expect(chunks[5] == Array(repeating: 0, count: 15) + [1])
        #expect(chunks[6] == [0x20, 0x01, 0x0D, 0xB8] + Array(repeating: 0, count: 11) + [7])
        #expect(chunks[7] == [0x13, 0xC4] && chunks[8] == [0x9C, 0x40])
        #expect(chunks[14] == nil && chunks[17] == nil)
    }

    @Test func whatIsLongerThanADatagramIsNoPacket() {
        var long = message(.incoming, .tcp)
        long.octets = [UInt8](repeating: 0x61, count: 65_000)
        #expect(HEPAgent(captureID: 1).packet(long, correlation: "a").map { $0.count <= 65_507 } == true)
        long.octets = [UInt8](repeating: 0x61, count: 65_507)
        #expect(HEPAgent(captureID: 1).packet(long, correlation: "a") == nil)
    }
}
