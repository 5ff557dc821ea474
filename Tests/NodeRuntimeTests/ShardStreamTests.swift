import Glibc
import SansIO
import Testing

@testable import NodeRuntime

@Suite(.timeLimit(.minutes(1))) struct ShardStreamTests {
    private func configuration(_ change: (inout StreamLimits) -> Void) -> ShardConfiguration {
        var configuration = ShardConfiguration.quiet
        change(&configuration.streamLimits)
        return configuration
    }

    private func request(_ body: String) -> String { ProbeNode.message(body) }

    private func flow(to remote: Endpoint, connection: UInt32 = 0) -> Flow {
        Flow(transport: .tcp, listener: 0, connection: connection, remote: remote)
    }

    @Test func answersOnTheStreamOfARequest() async throws {
        let shard = try startProbe([.tcp, .udp])
        let peer = try #require(TestSocket.stream(to: shard.listeners[0].local))
        peer.write(request("echo one") + "\r\n" + request("echo two"))
        #expect(peer.read(6) == "onetwo")
        peer.write("MESSAGE sip:h SIP/2.0\r\nContent-")
        peer.write("Length: 10\r\n\r\necho three")
        #expect(peer.read(5) == "three")
        let local = peer.local
        peer.close()
        let events = try await shard.until { $0.count == 4 && $1.streamsOpen == 0 }
        let flow = flow(to: local, connection: 1)
        #expect(events.last == .closed(flow))
        #expect(events.first == .received(request("echo one"), flow))
        let counters = await shard.counters()
        #expect(counters.received(over: .tcp).messages == 3)
        #expect(counters.sent(over: .tcp).messages == 3)
        #expect(counters.streamsOpened == 1)
        #expect(counters.ended(.peerClosed) == 1)
        await shard.stop()
    }

    @Test func keepAlivesAreAnswered() async throws {
        let shard = try startProbe([.tcp])
        let peer = try #require(TestSocket.stream(to: shard.listeners[0].local))
        peer.write("\r\n\r\n" + request("echo x"))
        #expect(peer.read(3) == "\r\nx")
        await shard.stop()
    }

    @Test func aMessageThatCannotBeFramedIsAnsweredAndTheStreamClosed() async throws {
        let shard = try startProbe([.tcp])
        let peer = try #require(TestSocket.stream(to: shard.listeners[0].local))
        let header = "MESSAGE sip:h SIP/2.0\r\nRefuse: please\r\nContent-Length: -1\r\n\r\n"
        peer.write(header + request("echo x"))
        #expect(peer.read() == request("refused"))
        peer.close()
        let events = try await shard.until { $0.count == 2 && $1.ended(.contentLengthInvalid) == 1 }
        #expect(events.first == .received(header, flow(to: events.remote, connection: 1)))
        await shard.stop()
    }

    @Test func aHeaderWithoutEndClosesTheStream() async throws {
        let shard = try startProbe([.tcp])
        let peer = try #require(TestSocket.stream(to: shard.listeners[0].local))
        while peer.write(String(repeating: "x", count: 10_000)) {}
        _ = try await shard.until { $1.ended(.headerTooLarge) == 1 && $1.dropped(.streamIncomplete) == 0 && $0.count == 1 }
        await shard.stop()
    }

    @Test func aMessageThatStaysIncompleteClosesTheStream() async throws {
        let shard = try startProbe([.tcp], configuration { $0.messageCompletion = .milliseconds(50) })
        let peer = try #require(TestSocket.stream(to: shard.listeners[0].local))
        peer.write("MESSAGE sip:h SIP/2.0\r\n")
        #expect(peer.read() == "")
        _ = try await shard.until { $1.ended(.messageTimeout) == 1 && $1.dropped(.streamIncomplete) == 1 }
        await shard.stop()
    }

    @Test func aSilentStreamIsClosed() async throws {
        let shard = try startProbe([.tcp], configuration { $0.idle = .milliseconds(50) })
        let peer = try #require(TestSocket.stream(to: shard.listeners[0].local))
        #expect(peer.read() == "")
        _ = try await shard.until { $1.ended(.idle) == 1 && $1.streamsOpen == 0 }
        await shard.stop()
    }

    @Test func aSilentStreamThatTheNodeNeedsStays() async throws {
        let shard = try startProbe([.tcp], configuration { $0.idle = .milliseconds(100) })
        let needed = try #require(TestSocket.stream(to: shard.listeners[0].local))
        needed.write(request("stay"))
        _ = try await shard.until { events, _ in events.count == 1 }
        // Each of those that follow is ended for a silence that the first has kept for longer.
        for count in 1...2 as ClosedRange<UInt64> {
            let other = try #require(TestSocket.stream(to: shard.listeners[0].local))
            #expect(other.read() == "")
            _ = try await shard.until { $1.ended(.idle) == count && $1.streamsOpen == 1 }
        }
        needed.write(request("echo x"))
        #expect(needed.read(1) == "x")
        await shard.stop()
    }

    /// The node's patience with a stream may be over later, or sooner, than that with one that is of no use.
    @Test(arguments: [20, 100_000])
    func aSilentStreamStaysAsLongAsTheNodeHasPatience(idle: Int) async throws {
        let shard = try startProbe(
            [.tcp],
            configuration {
                $0.idle = .milliseconds(idle)
                $0.question = .milliseconds(50)
            })
        let limited = try #require(TestSocket.stream(to: shard.listeners[0].local))
        limited.write(request("stay a while"))
        // What keeps a stream alive is worth as much as a message: all in all this takes longer than the patience lasts.
        for _ in 0..<4 {
            try await Task.sleep(for: .milliseconds(300))
            limited.write("\r\n\r\n")
            #expect(limited.read(2) == "\r\n")
        }
        #expect(limited.read() == "")
        _ = try await shard.until { $1.ended(.idle) == 1 && $1.streamsOpen == 0 }
        await shard.stop()
    }

    @Test func thereAreOnlySoManyStreams() async throws {
        let shard = try startProbe([.tcp], configuration { $0.connections = 2 })
        let first = try #require(TestSocket.stream(to: shard.listeners[0].local))
        let second = try #require(TestSocket.stream(to: shard.listeners[0].local))
        _ = try await shard.until { $1.streamsOpen == 2 }
        let third = try #require(TestSocket.stream(to: shard.listeners[0].local))
        #expect(third.read() == "")
        _ = try await shard.until { $1.ended(.tooManyConnections) == 1 }
        first.close()
        _ = try await shard.until { $1.streamsOpen == 1 }
        let fourth = try #require(TestSocket.stream(to: shard.listeners[0].local))
        fourth.write(request("echo x"))
        #expect(fourth.read(1) == "x")
        second.close()
        await shard.stop()
    }

    @Test func thereAreOnlySoManyStreamsOfAPeer() async throws {
        let shard = try startProbe([.tcp], configuration { $0.connectionsPerPeer = 1 })
        let first = try #require(TestSocket.stream(to: shard.listeners[0].local))
        first.write(request("echo x"))
        #expect(first.read(1) == "x")
        let second = try #require(TestSocket.stream(to: shard.listeners[0].local))
        #expect(second.read() == "")
        _ = try await shard.until { $1.ended(.tooManyConnectionsOfPeer) == 1 }
        await shard.stop()
    }

    @Test func aStreamIsOpenedAndUsedAgain() async throws {
        let shard = try startProbe([.udp])
        let server = TestSocket.listening()
        for i in 1...3 { shard.send(request("\(i)"), over: flow(to: server.local)) }
        let stream = try #require(server.accept())
        let all = (1...3).map { request("\($0)") }.joined()
        #expect(stream.read(all.utf8.count) == all)
        shard.send(request("4"), over: flow(to: server.local))
        #expect(stream.read(request("4").utf8.count) == request("4"))
        stream.write(request("answer"))
        let opened = flow(to: server.local, connection: 1)
        #expect(try await shard.until { events, _ in !events.isEmpty } == [.received(request("answer"), opened)])
        await shard.stop()
        #expect(stream.read() == "")
    }

    @Test func aStreamThatIsGoneIsOpenedAnew() async throws {
        let shard = try startProbe([.tcp])
        let server = TestSocket.listening()
        shard.send(request("1"), over: flow(to: server.local))
        try #require(server.accept()).close()
        _ = try await shard.until { $1.streamsOpened == 1 && $1.streamsOpen == 0 }
        shard.send(request("2"), over: flow(to: server.local, connection: 1))
        let stream = try #require(server.accept())
        #expect(stream.read(request("2").utf8.count) == request("2"))
        await shard.stop()
    }

    @Test func aStreamThatCannotBeOpenedFailsWhatWaits() async throws {
        let shard = try startProbe([.udp])
        let server = TestSocket.listening()
        let flow = flow(to: server.local)
        server.close()
        for transaction in 1...3 as ClosedRange<UInt64> { shard.send(request("x"), over: flow, transaction: transaction) }
        let events = try await shard.until { $0.count == 3 && $1.dropped(.connectFailed) == 3 }
        #expect(Set(events) == [.failed(1, flow), .failed(2, flow), .failed(3, flow)])
        await shard.stop()
    }

    @Test func aTransportNotSpokenFails() async throws {
        let shard = try startProbe([.udp])
        let flow = Flow(transport: .tls, listener: 0, remote: Endpoint(address: .loopback, port: 9))
        shard.send("x", over: flow, transaction: 1)
        _ = try await shard.until { $0 == [.failed(1, flow)] && $1.dropped(.transportNotSupported) == 1 }
        await shard.stop()
    }

    @Test func theCoreClosesAStreamAfterWhatItSent() async throws {
        let shard = try startProbe([.tcp])
        let peer = try #require(TestSocket.stream(to: shard.listeners[0].local))
        let large = String(repeating: "x", count: 60_000)
        peer.write(request("echo " + large) + request("close"))
        #expect(peer.read() == large)
        peer.close()
        _ = try await shard.until { $1.ended(.closedByCore) == 1 && $0.count == 3 }
        await shard.stop()
    }

    @Test func aPeerThatDoesNotReadIsGivenUp() async throws {
        let shard = try startProbe([.tcp], configuration { $0.outboundOctets = 100_000 })
        let peer = try #require(TestSocket.stream(to: shard.listeners[0].local))
        peer.write(request("x"))
        let events = try await shard.until { events, _ in !events.isEmpty }
        let flow = flow(to: events.remote, connection: 1)
        let large = String(repeating: "x", count: 60_000)
        var counters = await shard.counters()
        while counters.ended(.outboundFull) == 0 {
            for _ in 0..<10 { shard.send(large, over: flow, transaction: 6) }
            counters = await shard.counters()
        }
        _ = try await shard.until { events, _ in events.contains(.closed(flow)) && events.contains(.failed(6, flow)) }
        #expect(await shard.counters().dropped(.streamLost) > 0)
        await shard.stop()
    }

    @Test func aSlowShardLosesNothing() async throws {
        let shard = try startProbe([.tcp])
        let peer = try #require(TestSocket.stream(to: shard.listeners[0].local))
        shard.post { _, _, _ in usleep(200_000) }
        let body = String(repeating: "x", count: 60_000)
        for _ in 0..<300 { #expect(peer.write(request(body))) }
        _ = try await shard.until { $1.received(over: .tcp).messages == 300 && $1.streamsOpen == 1 }
        peer.write(request("echo end"))
        #expect(peer.read(3) == "end")
        await shard.stop()
    }

    @Test func theEndWritesWhatWaits() async throws {
        let shard = try startProbe([.tcp])
        let server = TestSocket.listening()
        for i in 0..<50 { shard.send(request("\(i)"), over: flow(to: server.local)) }
        let stream = try #require(server.accept())
        _ = try await shard.until { $1.streamsOpen == 1 }
        async let stopped: Void = shard.stop()
        #expect(stream.read() == (0..<50).map { request("\($0)") }.joined())
        stream.close()
        await stopped
        #expect(await shard.counters().ended(.stopped) == 1)
    }
}

extension [ProbeNode.Event] {
    /// Where the first message came from.
    fileprivate var remote: Endpoint {
        for case .received(_, let flow) in self { return flow.remote }
        return .none
    }
}
