import SansIO
import Testing

@testable import NodeRuntime

/// Frames of RFC 6455 by hand, so that the program's own library is not its judge.
private enum Frame {
    static let (continuation, text, binary, close, ping, pong): (UInt8, UInt8, UInt8, UInt8, UInt8, UInt8) = (0, 1, 2, 8, 9, 10)

    /// As a client sends it, masked.
    static func masked(_ opcode: UInt8, _ content: [UInt8], isLast: Bool = true) -> [UInt8] {
        let mask: [UInt8] = [0x12, 0x34, 0x56, 0x78]
        let masked = content.enumerated().map { $1 ^ mask[$0 & 3] }
        return [opcode | (isLast ? 0x80 : 0)] + length(content.count, 0x80) + mask + masked
    }

    static func masked(_ opcode: UInt8, _ content: String, isLast: Bool = true) -> [UInt8] {
        masked(opcode, Array(content.utf8), isLast: isLast)
    }

    /// With a bit set that only an extension gives a meaning.
    static func reserved(_ opcode: UInt8, _ content: String) -> [UInt8] { masked(opcode | 0x40, content) }

    /// As a server sends it.
    static func plain(_ opcode: UInt8, _ content: [UInt8]) -> [UInt8] { [opcode | 0x80] + length(content.count, 0) + content }
    static func plain(_ opcode: UInt8, _ content: String) -> [UInt8] { plain(opcode, Array(content.utf8)) }

    static func closing(_ code: Int) -> [UInt8] { plain(close, [UInt8(code >> 8), UInt8(code & 0xFF)]) }

    private static func length(_ count: Int, _ bit: UInt8) -> [UInt8] {
        if count < 126 { return [UInt8(count) | bit] }
        if count < 65_536 { return [126 | bit, UInt8(count >> 8), UInt8(count & 0xFF)] }
        return [127 | bit, 0, 0, 0, 0] + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: count >> $0) }
    }
}

@Suite(.timeLimit(.minutes(1))) struct WebSocketTests {
    /// The key of RFC 6455 §1.3, and its answer.
    private func opening(offering protocols: String? = "sip", from origin: String? = nil) -> String {
        "GET /any HTTP/1.1\r\nHost: home1.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            + (protocols.map { "Sec-WebSocket-Protocol: \($0)\r\n" } ?? "") + (origin.map { "Origin: \($0)\r\n" } ?? "") + "\r\n"
    }

    private func configuration(_ change: (inout StreamLimits) -> Void) -> ShardConfiguration {
        var configuration = ShardConfiguration.quiet
        change(&configuration.streamLimits)
        return configuration
    }

    /// Reads the head of an answer.
    private func head(_ peer: TestSocket) -> String {
        var text = ""
        while !text.hasSuffix("\r\n\r\n"), let more = peer.receive(1), !more.isEmpty { text += more }
        return text
    }

    private func open(_ shard: Shard<ProbeNode>) throws -> TestSocket {
        let peer = try #require(TestSocket.stream(to: shard.listeners[0].local))
        peer.write(opening())
        #expect(head(peer).hasPrefix("HTTP/1.1 101 "))
        return peer
    }

    /// Without Content-Length: the frame says how long it is.
    private func message(_ body: String) -> String { "MESSAGE sip:h SIP/2.0\r\n\r\n\(body)" }

    // MARK: Messages

    @Test(arguments: [IPAddress.loopback, IPAddress(high: 0, low: 1)])
    func aMessageIsAnsweredAsTextInWhateverFormItCame(address: IPAddress) async throws {
        let shard = try startProbe([.ws], at: address)
        let peer = try #require(TestSocket.stream(to: shard.listeners[0].local))
        peer.write(opening(offering: "xmpp, sip"))
        let lines = head(peer).lowercased().split(separator: "\r\n")
        #expect(lines.first == "http/1.1 101 switching protocols")
        #expect(lines.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="))
        #expect(lines.contains("sec-websocket-protocol: sip"))
        for (form, text) in [(Frame.text, "one"), (Frame.binary, "two")] {
            peer.write(Frame.masked(form, message("echo \(text)")))
            let expected = Frame.plain(Frame.text, text)
            #expect(peer.readOctets(expected.count) == expected)
        }
        let events = try await shard.until { $0.count == 2 && $1.streamsOpen == 1 }
        guard case .received(message("echo one"), let flow)? = events.first else { return #expect(Bool(false), "\(events)") }
        #expect(flow.transport == .ws)
        #expect(flow.remote == peer.local)
        await shard.stop()
    }

    @Test func aMessageMayComeInPartsWithPingsBetween() async throws {
        let shard = try startProbe([.ws])
        let peer = try open(shard)
        let parts = ["MESSAGE sip:h SIP/2.0\r\n", "\r\nec", "ho all"]
        peer.write(Frame.masked(Frame.text, parts[0], isLast: false) + Frame.masked(Frame.ping, "there?"))
        let pong = Frame.plain(Frame.pong, "there?")
        #expect(peer.readOctets(pong.count) == pong)
        peer.write(Frame.masked(Frame.continuation, parts[1], isLast: false) + Frame.masked(Frame.continuation, parts[2]))
        #expect(peer.readOctets(5) == Frame.plain(Frame.text, "all"))
        await shard.stop()
    }

    @Test func keepAlivesOfSIPAreAnswered() async throws {
        let shard = try startProbe([.ws])
        let peer = try open(shard)
        peer.write(Frame.masked(Frame.text, "\r\n\r\n") + Frame.masked(Frame.text, "\r\n") + Frame.masked(Frame.text, message("echo x")))
        let expected = Frame.plain(Frame.text, "\r\n") + Frame.plain(Frame.text, "x")
        #expect(peer.readOctets(expected.count) == expected)
        #expect(await shard.events().count == 1)
        await shard.stop()
    }

    @Test func whatIsNoTextIsSentAsOctets() async throws {
        let shard = try startProbe([.ws])
        let peer = try open(shard)
        peer.write(Frame.masked(Frame.text, message("x")))
        let events = try await shard.until { events, _ in !events.isEmpty }
        guard case .received(_, let flow)? = events.first else { return #expect(Bool(false)) }
        shard.post { _, _, effects in
            let start = effects.wire.bytes.count
            effects.wire.bytes.append([0x61, 0xFF])
            effects.wire.transmit(from: start, over: flow)
        }
        #expect(peer.readOctets(4) == Frame.plain(Frame.binary, [0x61, 0xFF]))
        await shard.stop()
    }

    @Test func overTLS() async throws {
        let own = try certificate(of: "home1.test")
        var configuration = ShardConfiguration.quiet
        configuration.security = try StreamSecurity(own: own)
        let shard = try startProbe([.wss], configuration)
        let peer = try await TLSPeer.connect(to: shard.listeners[0].local, trusting: own)
        peer.write(opening())
        var head = ""
        while !head.hasSuffix("\r\n\r\n") { head += try await peer.read(1) }
        #expect(head.hasPrefix("HTTP/1.1 101 "))
        peer.write(Frame.masked(Frame.text, message("echo x")))
        #expect(try await peer.readOctets(3) == Frame.plain(Frame.text, "x"))
        #expect(await shard.counters().received(over: .wss).messages == 1)
        await shard.stop()
    }

    // MARK: Ends

    @Test func aPeerThatEndsIsAnsweredAndTheStreamClosed() async throws {
        let shard = try startProbe([.ws])
        let peer = try open(shard)
        peer.write(Frame.masked(Frame.close, [0x03, 0xE8]))
        #expect(peer.readOctets() == Frame.closing(1000))
        _ = try await shard.until { $1.ended(.peerClosed) == 1 && $1.streamsOpen == 0 }
        await shard.stop()
    }

    @Test func theCoreEndsAStreamAfterWhatItSent() async throws {
        let shard = try startProbe([.ws])
        let peer = try open(shard)
        peer.write(Frame.masked(Frame.text, message("echo x")) + Frame.masked(Frame.text, message("close")))
        let expected = Frame.plain(Frame.text, "x") + Frame.closing(1001)
        #expect(peer.readOctets(expected.count) == expected)
        peer.write(Frame.masked(Frame.close, [0x03, 0xE9]))
        #expect(peer.readOctets() == [])
        _ = try await shard.until { $1.ended(.closedByCore) == 1 && $1.streamsOpen == 0 }
        await shard.stop()
    }

    @Test(
        arguments: [
            // Not masked, a bit of an extension, a rest without a start, an unknown opcode; too large at once and in parts.
            (Frame.plain(Frame.text, "x"), 1002, StreamEnding.webSocketBroken),
            (Frame.reserved(Frame.text, "x"), 1002, .webSocketBroken),
            (Frame.masked(Frame.continuation, "x"), 1002, .webSocketBroken), (Frame.masked(3, "x"), 1002, .webSocketBroken),
            (Frame.masked(Frame.text, [0x61, 0xFF]), 1007, .webSocketBroken),
            (Frame.masked(Frame.text, [UInt8](repeating: 0x61, count: 65_536)), 1009, .messageTooLarge),
            (
                Frame.masked(Frame.text, [UInt8](repeating: 0x61, count: 65_535), isLast: false) + Frame.masked(Frame.continuation, "x"),
                1009,
                .messageTooLarge
            ),
        ] as [([UInt8], Int, StreamEnding)]) func aPeerThatBreaksTheRulesIsTold(frames: [UInt8], code: Int, ending: StreamEnding)
        async throws
    {
        let shard = try startProbe([.ws])
        let peer = try open(shard)
        peer.write(frames)
        #expect(peer.readOctets() == Frame.closing(code))
        _ = try await shard.until { $0.allSatisfy { if case .closed = $0 { true } else { false } } && $1.ended(ending) == 1 }
        await shard.stop()
    }

    /// A flood of pings to a peer that does not read must not fill the memory with answers.
    @Test func aPeerThatDoesNotReadItsPongsIsGivenUp() async throws {
        let shard = try startProbe([.ws], configuration { $0.outboundOctets = 10_000 })
        let peer = try open(shard)
        let pings = (0..<1000).flatMap { _ in Frame.masked(Frame.ping, [UInt8](repeating: 0x61, count: 125)) }
        while peer.write(pings) {}
        _ = try await shard.until { $1.ended(.outboundFull) == 1 && $1.streamsOpen == 0 }
        await shard.stop()
    }

    @Test func aMessageThatStaysIncompleteEndsTheStream() async throws {
        let shard = try startProbe([.ws], configuration { $0.messageCompletion = .milliseconds(50) })
        let peer = try open(shard)
        peer.write(Frame.masked(Frame.text, "MESSAGE", isLast: false))
        #expect(peer.readOctets() == Frame.closing(1001))
        _ = try await shard.until { $1.ended(.messageTimeout) == 1 && $1.dropped(.streamIncomplete) == 1 }
        await shard.stop()
    }

    @Test func aSilentStreamIsClosed() async throws {
        let shard = try startProbe([.ws], configuration { $0.idle = .milliseconds(50) })
        let peer = try open(shard)
        #expect(peer.readOctets() == Frame.closing(1001))
        _ = try await shard.until { $1.ended(.idle) == 1 && $1.streamsOpen == 0 }
        await shard.stop()
    }

    // MARK: The opening

    @Test func theSubprotocolIsAskedFor() async throws {
        let shard = try startProbe([.ws])
        for offer in [nil, "xmpp", "sipx"] {
            let peer = try #require(TestSocket.stream(to: shard.listeners[0].local))
            peer.write(opening(offering: offer))
            let answer = peer.read()
            #expect(answer.hasPrefix("HTTP/1.1 400 "))
            #expect(answer.contains("subprotocol sip"))
        }
        _ = try await shard.until { $0.isEmpty && $1.ended(.notWebSocket) == 3 && $1.streamsOpened == 0 }
        await shard.stop()
    }

    @Test func scriptsOfOtherOriginsAreRefused() async throws {
        var configuration = ShardConfiguration.quiet
        configuration.webSocketOrigins = ["https://phone.home1.test", "http://Lab.test:8000"]
        let shard = try startProbe([.ws], configuration)
        for (origin, status) in [
            ("https://phone.home1.test", 101), ("http://lab.test:8000", 101), (nil, 101), ("https://phone.home1.test.evil.test", 403),
            ("http://phone.home1.test", 403), ("null", 403),
        ] as [(String?, Int)] {
            let peer = try #require(TestSocket.stream(to: shard.listeners[0].local))
            peer.write(opening(from: origin))
            #expect(head(peer).hasPrefix("HTTP/1.1 \(status) "), "\(origin ?? "none")")
        }
        _ = try await shard.until { $1.ended(.notWebSocket) == 3 && $1.streamsOpened == 3 }
        await shard.stop()
    }

    @Test func otherRequestsAreAnsweredAndRefused() async throws {
        let shard = try startProbe([.ws])
        let peer = try #require(TestSocket.stream(to: shard.listeners[0].local))
        peer.write("GET / HTTP/1.1\r\nHost: home1.test\r\n\r\nGET / HTTP/1.1\r\nHost: home1.test\r\n\r\n")
        let answer = peer.read()
        #expect(answer.hasPrefix("HTTP/1.1 426 "))
        #expect(answer.lowercased().contains("\r\nupgrade: websocket\r\n"))
        #expect(answer.ranges(of: "HTTP/1.1").count == 1)
        let other = try #require(TestSocket.stream(to: shard.listeners[0].local))
        other.write(ProbeNode.message("echo x"))
        _ = other.read()
        _ = try await shard.until { $0.isEmpty && $1.ended(.notWebSocket) == 1 && $1.ended(.handshakeFailed) == 1 }
        await shard.stop()
    }

    /// The oldest makes room for the newest, so nobody who means it is kept out.
    @Test func openingsThatDoNotEndKeepNobodyOut() async throws {
        let shard = try startProbe([.ws], configuration { $0.handshakes = 3 })
        let silent = try (0..<20).map { _ in
            let peer = try #require(TestSocket.stream(to: shard.listeners[0].local))
            peer.write("GET / HTTP/1.1\r\n")
            return peer
        }
        for peer in silent.prefix(17) { #expect(peer.read() == "") }
        let peer = try open(shard)
        peer.write(Frame.masked(Frame.text, message("echo x")))
        #expect(peer.readOctets(3) == Frame.plain(Frame.text, "x"))
        _ = try await shard.until { $1.ended(.tooManyHandshakes) == 18 && $1.streamsOpen == 1 }
        withExtendedLifetime((silent, peer)) {}
        await shard.stop()
    }

    @Test func anOpeningThatDoesNotEndIsGivenUp() async throws {
        let shard = try startProbe([.ws], configuration { $0.handshake = .milliseconds(50) })
        let peer = try #require(TestSocket.stream(to: shard.listeners[0].local))
        peer.write("GET / HTTP/1.1\r\n")
        #expect(peer.read() == "")
        _ = try await shard.until { $1.ended(.handshakeTimeout) == 1 && $1.streamsOpened == 0 }
        await shard.stop()
    }

    @Test func noWebSocketIsOpened() async throws {
        let shard = try startProbe([.ws])
        let flow = Flow(transport: .ws, listener: 0, remote: Endpoint(address: .loopback, port: 9))
        shard.send("x", over: flow, transaction: 1)
        _ = try await shard.until { $0 == [.failed(1, flow)] && $1.dropped(.transportNotSupported) == 1 }
        await shard.stop()
    }
}
