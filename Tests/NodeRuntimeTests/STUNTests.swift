import SIPTrace
import SansIO
import Testing

@testable import NodeRuntime

/// With the messages of RFC 5769.
@Suite(.timeLimit(.minutes(1))) struct STUNTests {
    private static let transaction: [UInt8] = [
        0x21, 0x12, 0xA4, 0x42, 0xB7, 0xE7, 0xA7, 0x01, 0xBC, 0x34, 0xD6, 0x86, 0xFA, 0x87, 0xDF, 0xAE,
    ]
    private static let plain = joined([0, 1, 0, 0], transaction)

    /// §2.1: with a priority of ICE, which has to be understood, and a fingerprint.
    private static let ofICE = joined(
        [0x00, 0x01, 0x00, 0x58], transaction, [0x80, 0x22, 0x00, 0x10], Array("STUN test client".utf8),
        [0x00, 0x24, 0x00, 0x04, 0x6E, 0x00, 0x01, 0xFF, 0x80, 0x29, 0x00, 0x08, 0x93, 0x2F, 0xF9, 0xB1, 0x51, 0x26, 0x3B, 0x36],
        [0x00, 0x06, 0x00, 0x09, 0x65, 0x76, 0x74, 0x6A, 0x3A, 0x68, 0x36, 0x76, 0x59, 0x20, 0x20, 0x20],
        [0x00, 0x08, 0x00, 0x14, 0x9A, 0xEA, 0xA7, 0x0C, 0xBF, 0xD8, 0xCB, 0x56, 0x78, 0x1E, 0xF2, 0xB5, 0xB2, 0xD3, 0xF2, 0x49],
        [0xC1, 0xB5, 0x71, 0xA2, 0x80, 0x28, 0x00, 0x04, 0xE5, 0x7A, 0x3B, 0xCF])

    private static func joined(_ parts: [UInt8]...) -> [UInt8] { parts.flatMap { $0 } }

    private func answer(_ message: [UInt8], from source: String = "192.0.2.1") throws -> (outcome: STUN.Outcome, octets: [UInt8]) {
        var bytes = OctetBuffer(capacity: 64)
        bytes.append("before")
        let isSTUN = STUN.isSTUN(message.span.bytes)
        #expect(isSTUN)
        let endpoint = Endpoint(address: try #require(IPAddress(source)), port: 32_853)
        let outcome = STUN.answer(message.span.bytes, from: endpoint, into: &bytes)
        return (outcome, Array([UInt8](bytes.bytes).dropFirst(6)))
    }

    @Test func anAddressOfIPv4() throws {
        let (outcome, octets) = try answer(STUNTests.plain)
        #expect(outcome == .answered)
        #expect(
            octets == STUNTests.joined([1, 1, 0, 12], STUNTests.transaction, [0, 0x20, 0, 8, 0, 1, 0xA1, 0x47, 0xE1, 0x12, 0xA6, 0x43]))
    }

    @Test func anAddressOfIPv6() throws {
        let (_, octets) = try answer(STUNTests.plain, from: "2001:db8:1234:5678:11:2233:4455:6677")
        let address: [UInt8] = [
            0x01, 0x13, 0xA9, 0xFA, 0xA5, 0xD3, 0xF1, 0x79, 0xBC, 0x25, 0xF4, 0xB5, 0xBE, 0xD2, 0xB9, 0xD9,
        ]
        #expect(octets == STUNTests.joined([1, 1, 0, 24], STUNTests.transaction, [0, 0x20, 0, 20, 0, 2, 0xA1, 0x47], address))
    }

    @Test func aFingerprintIsCheckedAndAnsweredWithOne() throws {
        let (outcome, octets) = try answer(STUNTests.ofICE)
        #expect(outcome == .answered)
        // 420, the priority is not known.
        let error = STUNTests.joined([0, 9, 0, 21, 0, 0, 4, 20], Array("Unknown Attribute".utf8), [0, 0, 0])
        #expect(
            Array(octets.prefix(56)) == STUNTests.joined([1, 0x11, 0, 44], STUNTests.transaction, error, [0, 0x0A, 0, 2, 0, 0x24, 0, 0]))
        #expect(octets.count == 64)
        #expect(Array(octets[56..<60]) == [0x80, 0x28, 0, 4])
        var damaged = STUNTests.ofICE
        damaged[25] ^= 1
        #expect(try answer(damaged).outcome == .malformed)
    }

    @Test(
        arguments: [
            joined([0, 1, 0, 4], transaction), joined([0, 1, 0, 3], transaction, [0, 0, 0]),
            joined([0, 1, 0, 4], transaction, [0x80, 0x22, 0, 1]), joined([0, 1, 0, 4], transaction, [0, 0x24, 0xFF, 0xFF]),
            joined([0, 1, 0, 12], transaction, [0x80, 0x28, 0, 4, 0, 0, 0, 0, 0x80, 0x22, 0, 0]),
        ]) func whatIsMalformedIsNotAnswered(message: [UInt8]) throws
    {
        let (outcome, octets) = try answer(message)
        #expect(outcome == .malformed)
        #expect(octets.isEmpty)
    }

    @Test func whatAsksForNothingIsNotAnswered() throws {
        // An indication, a success, an error.
        for type in [[0, 0x11], [1, 0x01], [1, 0x11]] as [[UInt8]] {
            #expect(try answer(STUNTests.joined(type, [0, 0], STUNTests.transaction)).outcome == .silent)
        }
        // A method that nobody knows.
        let (outcome, octets) = try answer(STUNTests.joined([0, 3, 0, 0], STUNTests.transaction))
        #expect(outcome == .answered)
        #expect(Array(octets.prefix(4)) == [1, 0x13, 0, 20])
    }

    @Test func whatIsNotSTUN() {
        for octets in [
            [], Array("\r\n\r\n".utf8), Array(STUNTests.plain.dropLast()), STUNTests.joined([0x40], Array(STUNTests.plain.dropFirst())),
        ] {
            let isSTUN = STUN.isSTUN(octets.span.bytes)
            #expect(!isSTUN)
        }
    }

    @Test(arguments: [IPAddress.loopback, IPAddress(high: 0, low: 1)])
    func thePortOfSIPAnswers(address: IPAddress) async throws {
        let shard = try startProbe([.udp], at: address)
        let peer = TestSocket.datagram(address)
        let remote = shard.listeners[0].local
        peer.send(STUNTests.plain, to: remote)
        var expected = OctetBuffer(capacity: 64)
        _ = STUN.answer(STUNTests.plain.span.bytes, from: peer.local, into: &expected)
        #expect(peer.receiveOctets() == [UInt8](expected.bytes))
        peer.send(STUNTests.joined(STUNTests.plain, [0]), to: remote)
        peer.send(ProbeNode.message("echo x"), to: remote)
        #expect(peer.receive() == "x")
        _ = try await shard.until { $0.count == 1 && $1.stunAnswered == 1 && $1.dropped(.malformedSTUN) == 1 }
        #expect(await shard.withTrace { $0.nextSequence } == 3)
        await shard.stop()
    }
}
