import NIOSSL
import SansIO
import Testing

@testable import NodeRuntime

@Suite(.timeLimit(.minutes(1))) struct TLSTests {
    private func configuration(_ security: StreamSecurity, _ change: (inout StreamLimits) -> Void = { _ in }) -> ShardConfiguration {
        var configuration = ShardConfiguration.quiet
        configuration.security = security
        change(&configuration.streamLimits)
        return configuration
    }

    private func request(_ body: String) -> String { ProbeNode.message(body) }

    private func flow(to remote: Endpoint) -> Flow { Flow(transport: .tls, listener: 0, remote: remote) }

    // MARK: Streams that peers open

    @Test(arguments: [IPAddress.loopback, IPAddress(high: 0, low: 1)])
    func answersOnTheStreamOfARequest(address: IPAddress) async throws {
        let own = try certificate(of: "home1.test", addresses: [address])
        let shard = try startProbe([.tls], at: address, configuration(try StreamSecurity(own: own)))
        let peer = try await TLSPeer.connect(to: shard.listeners[0].local, trusting: own)
        peer.write("\r\n\r\n" + request("echo one") + request("echo two"))
        #expect(try await peer.read(8) == "\r\nonetwo")
        peer.close()
        let events = try await shard.until { $0.count == 3 && $1.ended(.peerClosed) == 1 }
        #expect(events.first?.flow?.transport == .tls)
        #expect(await shard.counters().received(over: .tls).messages == 2)
        await shard.stop()
    }

    @Test func theCoreClosesAStreamAfterWhatItSent() async throws {
        let own = try certificate(of: "home1.test")
        let shard = try startProbe([.tls], configuration(try StreamSecurity(own: own)))
        let peer = try await TLSPeer.connect(to: shard.listeners[0].local, trusting: own)
        let large = String(repeating: "x", count: 60_000)
        peer.write(request("echo " + large) + request("close"))
        #expect(try await peer.read() == large)
        _ = try await shard.until { $1.ended(.closedByCore) == 1 && $1.streamsOpen == 0 }
        await shard.stop()
    }

    @Test func aClientShowsItsCertificateWhereOneIsRequired() async throws {
        let (own, client, other) = (try certificate(of: "home1.test"), try certificate(of: "ue.test"), try certificate(of: "else.test"))
        let security = try StreamSecurity(own: own, trusted: client, clients: .require)
        let shard = try startProbe([.tls], configuration(security))
        let remote = shard.listeners[0].local
        let known = try await TLSPeer.connect(to: remote, trusting: own, as: client)
        known.write(request("echo x"))
        #expect(try await known.read(1) == "x")
        for certificate in [nil, other] {
            let peer = try await TLSPeer.connect(to: remote, trusting: own, as: certificate)
            peer.write(request("echo x"))
            #expect(try await peer.read() == "")
        }
        _ = try await shard.until { $1.ended(.handshakeFailed) == 2 && $0.count == 1 && $1.streamsOpened == 1 }
        await shard.stop()
    }

    @Test func aCertificateThatIsOnlyRequestedMayBeLeftOut() async throws {
        let (own, client, other) = (try certificate(of: "home1.test"), try certificate(of: "ue.test"), try certificate(of: "else.test"))
        let shard = try startProbe([.tls], configuration(try StreamSecurity(own: own, trusted: client, clients: .request)))
        let remote = shard.listeners[0].local
        for certificate in [nil, client] {
            let peer = try await TLSPeer.connect(to: remote, trusting: own, as: certificate)
            peer.write(request("echo x"))
            #expect(try await peer.read(1) == "x")
        }
        let peer = try await TLSPeer.connect(to: remote, trusting: own, as: other)
        #expect(try await peer.read() == "")
        _ = try await shard.until { $1.ended(.handshakeFailed) == 1 && $0.count == 2 }
        await shard.stop()
    }

    @Test func whatIsNoTLSIsRefused() async throws {
        let shard = try startProbe([.tls], configuration(try StreamSecurity(own: certificate(of: "home1.test"))))
        let peer = try #require(TestSocket.stream(to: shard.listeners[0].local))
        peer.write(request("echo x"))
        _ = peer.read()
        _ = try await shard.until { $0.isEmpty && $1.ended(.handshakeFailed) == 1 && $1.streamsOpened == 0 }
        await shard.stop()
    }

    /// Such a stream takes a place until its time is over.
    @Test func aHandshakeThatDoesNotEndIsGivenUp() async throws {
        let own = try certificate(of: "home1.test")
        let settings = configuration(try StreamSecurity(own: own)) {
            $0.connections = 1
            $0.handshake = .milliseconds(300)
        }
        let shard = try startProbe([.tls], settings)
        let silent = try #require(TestSocket.stream(to: shard.listeners[0].local))
        let second = try #require(TestSocket.stream(to: shard.listeners[0].local))
        #expect(second.read() == "")
        _ = silent.read()
        _ = try await shard.until { $1.ended(.handshakeTimeout) == 1 && $1.ended(.tooManyConnections) == 1 }
        silent.close()
        var peer = try await TLSPeer.connect(to: shard.listeners[0].local, trusting: own)
        peer.write(request("echo x"))
        // The place may be taken for a moment more.
        while try await peer.read(1) != "x" {
            peer = try await TLSPeer.connect(to: shard.listeners[0].local, trusting: own)
            peer.write(request("echo x"))
        }
        await shard.stop()
    }

    /// The oldest makes room for the newest, so nobody who means it is kept out; streams that are open are left alone.
    @Test func handshakesThatDoNotEndKeepNobodyOut() async throws {
        let own = try certificate(of: "home1.test")
        let shard = try startProbe([.tls, .tcp], configuration(try StreamSecurity(own: own)) { $0.handshakes = 3 })
        let remote = shard.listeners[0].local
        let first = try await TLSPeer.connect(to: remote, trusting: own)
        first.write(request("echo x"))
        #expect(try await first.read(1) == "x")
        let silent = try (0..<20).map { _ in try #require(TestSocket.stream(to: remote)) }
        for peer in silent.prefix(17) { _ = peer.read() }
        let peer = try await TLSPeer.connect(to: remote, trusting: own)
        for peer in [first, peer] {
            peer.write(request("echo y"))
            #expect(try await peer.read(1) == "y")
        }
        let plain = try #require(TestSocket.stream(to: shard.listeners[1].local))
        plain.write(request("echo z"))
        #expect(plain.read(1) == "z")
        _ = try await shard.until { $1.ended(.tooManyHandshakes) == 18 && $1.streamsOpen == 3 }
        withExtendedLifetime((silent, plain)) {}
        await shard.stop()
    }

    // MARK: Streams that we open

    @Test func aStreamIsOpenedToAServerThatIsBelieved() async throws {
        let (own, other) = (try certificate(of: "home1.test"), try certificate(of: "im.test", addresses: [.loopback]))
        let server = try await TLSPeer.Server(other, asksFor: own)
        let shard = try startProbe([.udp], configuration(try StreamSecurity(own: own, trusted: other)))
        for i in 1...3 { shard.send(request("\(i)"), over: flow(to: server.local)) }
        let all = (1...3).map { request("\($0)") }.joined()
        let peer = try await server.peer()
        #expect(try await peer.read(all.utf8.count) == all)
        peer.write(request("answer"))
        _ = try await shard.until { events, _ in events.count == 1 }
        await shard.stop()
        #expect(try await peer.read() == "")
    }

    @Test(arguments: [("im.test", true), ("IM.test", true), ("other.test", false)])
    func aServerShowsACertificateOfTheNameThatLedThere(name: String, isRight: Bool) async throws {
        let other = try certificate(of: "im.test")
        let server = try await TLSPeer.Server(other)
        var names = PeerNames()
        names.add(name, at: server.local)
        let shard = try startProbe([.udp], configuration(try StreamSecurity(own: nil, trusted: other, names: names)))
        let flow = flow(to: server.local)
        shard.send(request("x"), over: flow, transaction: 1)
        if isRight {
            #expect(try await server.peer().read(request("x").utf8.count) == request("x"))
        } else {
            _ = try await shard.until { $0 == [.failed(1, flow)] && $1.dropped(.handshakeFailed) == 1 }
            #expect(try await server.peer().read() == "")
        }
        await shard.stop()
    }

    @Test func aServerThatIsNotBelievedGetsNothing() async throws {
        let server = try await TLSPeer.Server(try certificate(of: "im.test", addresses: [.loopback]))
        let shard = try startProbe([.udp], configuration(try StreamSecurity(own: nil, trusted: certificate(of: "im.test"))))
        let flow = flow(to: server.local)
        for transaction in 1...2 as ClosedRange<UInt64> { shard.send(request("x"), over: flow, transaction: transaction) }
        _ = try await shard.until { $0.count == 2 && $1.dropped(.handshakeFailed) == 2 && $1.streamsOpened == 0 }
        #expect(try await server.peer().read() == "")
        await shard.stop()
    }

    @Test func aServerThatDoesNotAnswerTheHandshakeIsGivenUp() async throws {
        let server = TestSocket.listening()
        let settings = configuration(try StreamSecurity(own: nil)) { $0.handshake = .milliseconds(50) }
        let shard = try startProbe([.udp], settings)
        let flow = flow(to: server.local)
        shard.send(request("x"), over: flow, transaction: 1)
        _ = try await shard.until { $0 == [.failed(1, flow)] && $1.dropped(.handshakeFailed) == 1 }
        await shard.stop()
    }
}

@Suite struct StreamSecurityTests {
    @Test func aKeyOfAnotherCertificateIsAFault() throws {
        let (own, other) = (try certificate(of: "a.test"), try certificate(of: "a.test"))
        let fault = try #require(throws: SecurityFault.self) {
            _ = try StreamSecurity(certificate: Array(own.certificate.utf8), key: Array(other.key.utf8), trust: nil)
        }
        #expect(fault.part == .key)
        #expect(fault.reason.contains("does not belong to the certificate"))
    }

    @Test(arguments: ["", "nothing", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
    func whatIsNoCertificateIsAFault(text: String) throws {
        let own = try certificate(of: "a.test")
        let (right, wrong) = (Array(own.certificate.utf8), Array(text.utf8))
        let key = Array(own.key.utf8)
        #expect(
            try #require(throws: SecurityFault.self) { _ = try StreamSecurity(certificate: wrong, key: key, trust: nil) }.part
                == .certificate)
        #expect(
            try #require(throws: SecurityFault.self) { _ = try StreamSecurity(certificate: right, key: wrong, trust: nil) }.part == .key)
        #expect(
            try #require(throws: SecurityFault.self) { _ = try StreamSecurity(certificate: right, key: key, trust: wrong) }.part == .trust)
    }

    @Test func anIdentityIsComparedWhole() throws {
        let address = try #require(IPAddress("192.0.2.7"))
        let made = try certificate(of: "home1.test", names: ["*.home1.test"], addresses: [address, IPAddress(high: 0, low: 1)])
        let identity = PeerIdentity(try #require(NIOSSLCertificate.fromPEMBytes(Array(made.certificate.utf8)).first))
        #expect(identity.domains == ["home1.test", "*.home1.test"])
        #expect(identity.isOf(["other.test", "HOME1.test"], at: .loopback))
        #expect(!identity.isOf(["im.home1.test"], at: .loopback))
        #expect(identity.isOf([], at: address))
        #expect(identity.isOf([], at: IPAddress(high: 0, low: 1)))
        #expect(!identity.isOf([], at: .loopback))
    }

    @Test func namesAreKnownByPortAndElseByAddress() {
        var names = PeerNames()
        names.add("im.test", at: Endpoint(address: .loopback, port: 5081))
        names.add("any.test", at: Endpoint(address: .loopback, port: 0))
        #expect(names[Endpoint(address: .loopback, port: 5081)] == ["im.test"])
        #expect(names[Endpoint(address: .loopback, port: 5082)] == ["im.test", "any.test"])
        #expect(names[Endpoint(address: IPAddress(high: 0, low: 1), port: 5081)].isEmpty)
    }
}

extension ProbeNode.Event {
    fileprivate var flow: Flow? { if case .received(_, let flow) = self { flow } else { nil } }
}
