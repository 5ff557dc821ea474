// Input that is wrong, from real sockets: each piece is answered or counted, and the core goes on.

import Glibc
import Testing

@Suite struct BadInputTests {
    @Test(arguments: ["Call-ID", "CSeq", "From", "To"])
    func `a request without a mandatory header gets 400 that names it`(header: String) async throws {
        let folder = try TemporaryFolder()
        let core = try await RunningCore(in: folder)
        let peer = try DatagramPeer(to: core.udp)
        var request = SIPRequest.options(from: peer.port)
        request.without = header
        peer.send(Array(request.text.utf8))
        var answer: SIPAnswer?
        #expect(
            await eventually {
                answer = peer.received().map { SIPAnswer($0) }
                return answer != nil
            })
        #expect(answer?.status == 400)
        #expect(answer?.reason.contains(header) == true, "\(answer?.reason ?? "no answer")")
        #expect(try await metric("sipcore_messages_dropped_total{reason=\"malformed\"}", port: core.http) == 1)
        #expect(try await core.isAnswering())
        try await core.stop()
    }

    /// Header fields that are too much, and what the core calls that.
    struct Excess: CustomTestStringConvertible {
        let field: String
        let count: Int
        let testDescription: String

        static let all = [
            Excess(field: "Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKv", count: 200, testDescription: "too many values"),
            Excess(field: "X-Many: 1", count: 3000, testDescription: "too many header fields"),
            Excess(field: "X-Long: " + String(repeating: "x", count: 40_000), count: 1, testDescription: "header field too long"),
        ]
    }

    @Test(arguments: Excess.all)
    func `a request beyond a limit gets 400 and is counted`(excess: Excess) async throws {
        let folder = try TemporaryFolder()
        let core = try await RunningCore(in: folder)
        let peer = try DatagramPeer(to: core.udp)
        let text = SIPRequest.options(from: peer.port).text
        let fields = String(repeating: excess.field + "\r\n", count: excess.count)
        peer.send(Array(text.replacing("Max-Forwards", with: fields + "Max-Forwards", maxReplacements: 1).utf8))
        var answer: SIPAnswer?
        let isAnswered = await eventually {
            answer = peer.received().map { SIPAnswer($0) }
            return answer != nil || core.process.exitStatus != nil
        }
        #expect(isAnswered)
        #expect(core.process.exitStatus == nil)
        #expect(answer?.status == 400)
        #expect(try await metric("sipcore_malformed_total{fault=\"\(excess.testDescription)\"}", port: core.http) == 1)
        #expect(try await core.isAnswering())
        try await core.stop()
    }

    @Test func `what is no message, or cannot be answered, is counted`() async throws {
        let folder = try TemporaryFolder()
        let core = try await RunningCore(in: folder)
        let peer = try DatagramPeer(to: core.udp)
        var withoutVia = SIPRequest.options(from: peer.port)
        withoutVia.without = "Via"
        let malformed = ["\u{0}\u{1}\u{2}", "GET / HTTP/1.1\r\n\r\n", "OPTIONS", withoutVia.text]
        for text in malformed { peer.send(Array(text.utf8)) }
        peer.send(Array("\r\n\r\n".utf8))
        peer.send(
            Array("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n".utf8)
                + Array("Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n".utf8))
        // Datagrams of one socket are worked on in order.
        #expect(try await peer.answer(to: .options(from: peer.port)).status == 200)
        #expect(
            try await metric("sipcore_messages_dropped_total{reason=\"malformed\"}", port: core.http) == Double(malformed.count))
        #expect(try await metric("sipcore_messages_dropped_total{reason=\"keep_alive\"}", port: core.http) == 1)
        #expect(try await metric("sipcore_messages_dropped_total{reason=\"stray_response\"}", port: core.http) == 1)
        try await core.stop()
    }

    @Test func `an endless header ends the connection`() async throws {
        let folder = try TemporaryFolder()
        let core = try await RunningCore(in: folder)
        let connection = try StreamPeer(to: core.tcp)
        try await connection.sendAll("OPTIONS sip:home1.test SIP/2.0\r\nX-Endless: ")
        let chunk = [UInt8](repeating: UInt8(ascii: "x"), count: 4096)
        let isClosed = await eventually {
            for _ in 0..<64 { if connection.send(chunk[...]) == nil { return true } }
            return connection.received() == nil
        }
        #expect(isClosed)
        #expect(try await metric("sipcore_streams_ended_total{reason=\"header_too_large\"}", port: core.http) == 1)
        #expect(try await core.isAnswering())
        try await core.stop()
    }

    @Test(arguments: [
        ("Content-Length: 4000000000", "message_too_large"), ("Content-Length: 99999999999999999999999", "message_too_large"),
        ("Content-Length: -1", "content_length_invalid"), ("X-None: 1", "content_length_missing"),
        ("Content-Length: 1\r\nContent-Length: 2", "content_length_conflict"),
    ])
    func `a message without a usable length ends the connection`(header: String, reason: String) async throws {
        let folder = try TemporaryFolder()
        let core = try await RunningCore(in: folder)
        let connection = try StreamPeer(to: core.tcp)
        var request = SIPRequest.options(from: connection.port)
        request.via = "SIP/2.0/TCP"
        try await connection.sendAll(request.text.replacing("Content-Length: 0", with: header))
        _ = try await connection.receivedUntilClosed()
        #expect(try await metric("sipcore_streams_ended_total{reason=\"\(reason)\"}", port: core.http) == 1)
        #expect(try await core.isAnswering())
        try await core.stop()
    }

    @Test func `two thousand datagrams of garbage leave the core answering`() async throws {
        let folder = try TemporaryFolder()
        let core = try await RunningCore(in: folder)
        let peer = try DatagramPeer(to: core.udp)
        var random = SplitMix(seed: 20_260_101)
        let seed = Array(SIPRequest.options(from: peer.port).text.utf8)
        for round in 0..<2000 {
            var bytes: [UInt8]
            if round.isMultiple(of: 2) {
                bytes = (0..<Int.random(in: 1...1400, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
            } else {
                // Close to a message: a few octets of one are others, and its end may be missing.
                bytes = Array(seed.prefix(Int.random(in: 1...seed.count, using: &random)))
                for _ in 0..<4 { bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random) }
            }
            peer.send(bytes)
            // No more at once than a socket holds.
            if round.isMultiple(of: 50) { #expect(try await core.isAnswering()) }
        }
        #expect(try await core.isAnswering())
        #expect(core.process.exitStatus == nil)
        #expect(try await metric("sipcore_messages_dropped_total{reason=\"malformed\"}", port: core.http) ?? 0 >= 1000)
        try await core.stop()
    }
}
