// Clients over TLS and over WebSocket: whole messages go in and come out.

import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
import Testing

/// A stream with TLS to a port of loopback.
final class TLSClient: Sendable {
    private final class Reader: ChannelInboundHandler, Sendable {
        typealias InboundIn = ByteBuffer
        let octets = Mutex<[UInt8]>([])

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let buffer = unwrapInboundIn(data)
            octets.withLock { $0 += Array(buffer.readableBytesView) }
        }
    }

    let port: UInt16
    private let channel: any Channel
    private let reader: Reader

    /// - Parameter certificate: the file of the one certificate that is believed; it has to be for 127.0.0.1.
    init(to remote: UInt16, trusting certificate: String) async throws {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.trustRoots = .file(certificate)
        let context = try NIOSSLContext(configuration: configuration)
        let reader = Reader()
        self.reader = reader
        channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(NIOSSLClientHandler(context: context, serverHostname: nil))
                    try channel.pipeline.syncOperations.addHandler(reader)
                }
            }
            .connect(host: "127.0.0.1", port: Int(remote)).get()
        port = UInt16(channel.localAddress?.port ?? 0)
    }

    deinit { channel.close(promise: nil) }

    func send(_ text: String) { channel.writeAndFlush(ByteBuffer(string: text), promise: nil) }

    /// The next message; none of those that come here has a body.
    func received() async throws -> String {
        var message: String?
        _ = await eventually {
            message = reader.octets.withLock { octets in
                guard let end = octets.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
                let message = String(decoding: octets[..<end.upperBound], as: UTF8.self)
                octets.removeFirst(end.upperBound)
                return message
            }
            return message != nil
        }
        return try #require(message, "nothing came")
    }
}

/// A WebSocket to a port of loopback, its frames by hand.
final class WebSocketClient: Sendable {
    private let stream: StreamPeer
    private let octets = Mutex<[UInt8]>([])
    var port: UInt16 { stream.port }

    init(to remote: UInt16) async throws {
        stream = try StreamPeer(to: remote)
        try await stream.sendAll(
            "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n\r\n")
        let head = try await take { octets in octets.firstRange(of: Array("\r\n\r\n".utf8)).map { (0..<$0.upperBound, $0.upperBound) } }
        guard head.hasPrefix("HTTP/1.1 101 ") else { throw Failure("no WebSocket:\n\(head)") }
    }

    /// Sends a message as one masked text.
    func send(_ text: String) async throws {
        let mask: [UInt8] = [1, 2, 3, 4]
        let content = Array(text.utf8)
        let length = content.count < 126 ? [UInt8(content.count) | 0x80] : [0xFE, UInt8(content.count >> 8), UInt8(content.count & 0xFF)]
        let frame = [0x81] + length + mask + content.enumerated().map { $1 ^ mask[$0 & 3] }
        var rest = frame[...]
        let isSent = try await eventually {
            guard let count = stream.send(rest) else { throw Failure("the peer closed the connection") }
            rest = rest.dropFirst(count)
            return rest.isEmpty
        }
        guard isSent else { throw Failure("the peer does not read") }
    }

    /// The next message, which comes as one text of less than 64 KiB.
    func received() async throws -> String {
        try await take { octets in
            guard octets.count >= 2, octets[0] == 0x81 else { return nil }
            let isShort = octets[1] < 126
            guard isShort || octets.count >= 4 else { return nil }
            let start = isShort ? 2 : 4
            let end = start + (isShort ? Int(octets[1]) : Int(octets[2]) << 8 | Int(octets[3]))
            return octets.count >= end ? (start..<end, end) : nil
        }
    }

    /// Waits until the octets hold something, takes it out and drops what stands before.
    private func take(_ find: ([UInt8]) -> (content: Range<Int>, end: Int)?) async throws -> String {
        var taken: String?
        _ = await eventually {
            let more = stream.received() ?? []
            taken = octets.withLock { octets in
                octets += more
                guard let (content, end) = find(octets) else { return nil }
                let text = String(decoding: octets[content], as: UTF8.self)
                octets.removeFirst(end)
                return text
            }
            return taken != nil
        }
        return try #require(taken, "nothing came")
    }
}
