import SansIO
import Testing

@testable import NodeRuntime

/// Requests to an address over the stream that its owner opened (RFC 5923).
@Suite(.timeLimit(.minutes(1))) struct ConnectionReuseTests {
    private func request(_ body: String) -> String { ProbeNode.message(body) }

    /// An address at which nobody listens.
    private func elsewhere() -> Endpoint {
        let socket = TestSocket.listening()
        defer { socket.close() }
        return socket.local
    }

    private func secured(_ client: SelfSignedCertificate, own: SelfSignedCertificate) throws -> Shard<ProbeNode> {
        var configuration = ShardConfiguration.quiet
        configuration.security = try StreamSecurity(own: own, trusted: client, clients: .request)
        return try startProbe([.tls], configuration)
    }

    @Test(arguments: ["proxy.test", "PROXY.test", "127.0.0.1"])
    func withTLSTheOneOfTheCertificateIsReached(host: String) async throws {
        let (own, client) = (try certificate(of: "home1.test"), try certificate(of: "proxy.test", addresses: [.loopback]))
        let shard = try secured(client, own: own)
        let peer = try await TLSPeer.connect(to: shard.listeners[0].local, trusting: own, as: client)
        let address = elsewhere()
        peer.write(request("alias \(address.port) \(host)") + request("echo x"))
        #expect(try await peer.read(1) == "x")
        shard.send(request("back"), over: Flow(transport: .tls, listener: 0, remote: address))
        #expect(try await peer.read(request("back").utf8.count) == request("back"))
        #expect(await shard.counters().streamsOpened == 1)
        await shard.stop()
    }

    @Test(arguments: [("other.test", true), ("192.0.2.1", true), ("proxy.test", false)])
    func withTLSNobodyElseIs(host: String, showsCertificate: Bool) async throws {
        let (own, client) = (try certificate(of: "home1.test"), try certificate(of: "proxy.test"))
        let shard = try secured(client, own: own)
        let peer = try await TLSPeer.connect(to: shard.listeners[0].local, trusting: own, as: showsCertificate ? client : nil)
        let flow = Flow(transport: .tls, listener: 0, remote: elsewhere())
        peer.write(request("alias \(flow.remote.port) \(host)") + request("echo x"))
        #expect(try await peer.read(1) == "x")
        shard.send(request("back"), over: flow, transaction: 1)
        _ = try await shard.until { $0.contains(.failed(1, flow)) && $1.dropped(.connectFailed) == 1 }
        await shard.stop()
    }

    @Test func theLastStreamThatAsksIsTaken() async throws {
        let shard = try startProbe([.tcp])
        let flow = Flow(transport: .tcp, listener: 0, remote: elsewhere())
        let peers = try (0..<2).map { _ in try #require(TestSocket.stream(to: shard.listeners[0].local)) }
        for peer in peers {
            peer.write(request("alias \(flow.remote.port) any") + request("echo x"))
            #expect(peer.read(1) == "x")
        }
        shard.send(request("back"), over: flow)
        #expect(peers[1].read(request("back").utf8.count) == request("back"))
        // With it the alias is gone.
        peers[1].close()
        _ = try await shard.until { $1.streamsOpen == 1 }
        shard.send(request("back"), over: flow, transaction: 1)
        _ = try await shard.until { events, _ in events.contains(.failed(1, flow)) }
        // It closes when nobody holds it.
        withExtendedLifetime(peers) {}
        await shard.stop()
    }

    @Test func aStreamHasOneAliasAtATime() async throws {
        let shard = try startProbe([.tcp])
        let flows = (0..<2).map { _ in Flow(transport: .tcp, listener: 0, remote: elsewhere()) }
        let peer = try #require(TestSocket.stream(to: shard.listeners[0].local))
        for flow in flows { peer.write(request("alias \(flow.remote.port) any")) }
        peer.write(request("echo x"))
        #expect(peer.read(1) == "x")
        shard.send(request("back"), over: flows[1])
        #expect(peer.read(request("back").utf8.count) == request("back"))
        shard.send(request("back"), over: flows[0], transaction: 1)
        _ = try await shard.until { events, _ in events.contains(.failed(1, flows[0])) }
        await shard.stop()
    }

    /// What a response needs whose connection is gone (RFC 3261 §18.2.2).
    @Test func aResponseGoesToThePortOfSentByIfItsStreamIsGone() async throws {
        let shard = try startProbe([.tcp])
        let peer = try #require(TestSocket.stream(to: shard.listeners[0].local))
        peer.write(request("x"))
        let events = try await shard.until { events, _ in !events.isEmpty }
        guard case .received(_, var flow)? = events.first else { return #expect(Bool(false), "\(events)") }
        let server = TestSocket.listening()
        flow.returnPort = server.local.port
        shard.send(request("1"), over: flow)
        #expect(peer.read(request("1").utf8.count) == request("1"))
        peer.close()
        _ = try await shard.until { $1.streamsOpen == 0 }
        shard.send(request("2"), over: flow)
        let stream = try #require(server.accept())
        #expect(stream.read(request("2").utf8.count) == request("2"))
        await shard.stop()
    }
}
