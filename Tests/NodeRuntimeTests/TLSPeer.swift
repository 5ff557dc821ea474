import NIOCore
import NIOPosix
import NIOSSL
import SansIO
import Synchronization

@testable import NodeRuntime

/// Certificates of a test's own, each believed only by who is given it.
func certificate(of domain: String, names: [String] = [], addresses: [IPAddress] = []) throws -> SelfSignedCertificate {
    var generator = SystemRandomNumberGenerator()
    return try SelfSignedCertificate(domain: domain, names: names, addresses: addresses, at: SystemClock.now.wall, using: &generator)
}

extension StreamSecurity {
    /// - Parameters:
    ///   - own: our certificate.
    ///   - trusted: the one that is believed.
    init(
        own: SelfSignedCertificate?, trusted: SelfSignedCertificate? = nil, clients: ClientCertificates = .none,
        names: PeerNames = PeerNames()
    ) throws {
        try self.init(
            certificate: own.map { Array($0.certificate.utf8) }, key: own.map { Array($0.key.utf8) },
            trust: trusted.map { Array($0.certificate.utf8) }, clients: clients, names: names)
    }
}

/// One end of a stream with TLS, by NIO; the other end is the program under test.
final class TLSPeer: Sendable {
    private struct Inbox {
        var octets: [UInt8] = []
        var isClosed = false
    }

    private final class Reader: ChannelInboundHandler, Sendable {
        typealias InboundIn = ByteBuffer
        let inbox = Mutex(Inbox())

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let octets = unwrapInboundIn(data)
            inbox.withLock { $0.octets += Array(octets.readableBytesView) }
        }

        func channelInactive(context: ChannelHandlerContext) { inbox.withLock { $0.isClosed = true } }

        // The test looks at what came, not at how it ended.
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    private let channel: any Channel
    private let reader: Reader

    private init(_ channel: any Channel, _ reader: Reader) {
        self.channel = channel
        self.reader = reader
    }

    /// Connects, and believes the server's certificate only if it is the one given; whose it is, is not looked at.
    static func connect(to remote: Endpoint, trusting server: SelfSignedCertificate, as client: SelfSignedCertificate? = nil) async throws
        -> TLSPeer
    {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .noHostnameVerification
        configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(Array(server.certificate.utf8)))
        if let client {
            configuration.certificateChain = try NIOSSLCertificate.fromPEMBytes(Array(client.certificate.utf8)).map { .certificate($0) }
            configuration.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: Array(client.key.utf8), format: .pem))
        }
        let context = try NIOSSLContext(configuration: configuration)
        let reader = Reader()
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(NIOSSLClientHandler(context: context, serverHostname: nil))
                    try channel.pipeline.syncOperations.addHandler(reader)
                }
            }
            .connect(host: remote.address.isIPv6 ? "::1" : "127.0.0.1", port: Int(remote.port)).get()
        return TLSPeer(channel, reader)
    }

    func write(_ octets: [UInt8]) { channel.writeAndFlush(ByteBuffer(bytes: octets), promise: nil) }
    func write(_ text: String) { write(Array(text.utf8)) }
    func close() { channel.close(promise: nil) }

    /// What has come, when it is that much or the stream has ended.
    func readOctets(_ count: Int = .max) async throws -> [UInt8] {
        while true {
            let taken: [UInt8]? = reader.inbox.withLock { inbox in
                guard inbox.octets.count >= count || inbox.isClosed else { return nil }
                let taken = Array(inbox.octets.prefix(count))
                inbox.octets.removeFirst(taken.count)
                return taken
            }
            if let taken { return taken }
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    func read(_ count: Int = .max) async throws -> String { String(decoding: try await readOctets(count), as: UTF8.self) }

    // MARK: A server

    /// A server with one certificate, that keeps the streams it is sent.
    final class Server: Sendable {
        let local: Endpoint
        private let channel: any Channel
        private let accepted: Accepted

        private final class Accepted: Sendable {
            let peers = Mutex<[TLSPeer]>([])
        }

        init(_ own: SelfSignedCertificate, asksFor client: SelfSignedCertificate? = nil) async throws {
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: try NIOSSLCertificate.fromPEMBytes(Array(own.certificate.utf8)).map { .certificate($0) },
                privateKey: .privateKey(try NIOSSLPrivateKey(bytes: Array(own.key.utf8), format: .pem)))
            if let client {
                configuration.certificateVerification = .noHostnameVerification
                configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(Array(client.certificate.utf8)))
            }
            let context = try NIOSSLContext(configuration: configuration)
            let accepted = Accepted()
            self.accepted = accepted
            channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let reader = Reader()
                        try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
                        try channel.pipeline.syncOperations.addHandler(reader)
                        accepted.peers.withLock { $0.append(TLSPeer(channel, reader)) }
                    }
                }
                .bind(host: "127.0.0.1", port: 0).get()
            local = Endpoint(address: .loopback, port: UInt16(channel.localAddress?.port ?? 0))
        }

        /// The first stream that was opened to it.
        func peer() async throws -> TLSPeer {
            while true {
                if let peer = accepted.peers.withLock({ $0.first }) { return peer }
                try await Task.sleep(for: .milliseconds(2))
            }
        }

        deinit { channel.close(promise: nil) }
    }
}
