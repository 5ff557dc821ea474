// Between TCP, or TLS, and an open WebSocket: the request that asks for it (RFC 6455 §4, RFC 7118 §4.1). It has to offer the
// subprotocol `sip`; whatever else comes is answered and the stream closed.

import NIOCore
import NIOHTTP1
import NIOWebSocket
import SansIO

/// Waits at the end of a pipeline for the request, and answers those that ask for something else.
final class WebSocketOpening: ChannelInboundHandler, RemovableChannelHandler, @unchecked Sendable {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private static let subprotocol = "sip"

    private let connection: StreamConnection
    private let driver: StreamDriver
    private var hasAnswered = false

    private init(_ connection: StreamConnection, driver: StreamDriver) {
        self.connection = connection
        self.driver = driver
    }

    /// Adds what reads the request, at the end of a pipeline; the connection follows when the WebSocket is open.
    static func add(to channel: any Channel, for connection: StreamConnection, driver: StreamDriver) throws {
        let opening = WebSocketOpening(connection, driver: driver)
        let upgrader = NIOWebSocketServerUpgrader(
            maxFrameSize: StreamFramer.messageLimit, automaticErrorHandling: false,
            shouldUpgrade: { channel, request in
                guard driver.accepts(origin: request.headers.first(name: "Origin")) else {
                    return channel.eventLoop.makeSucceededFuture(nil)
                }
                let offers = request.headers[canonicalForm: "Sec-WebSocket-Protocol"].contains { $0 == subprotocol }
                return channel.eventLoop.makeSucceededFuture(offers ? ["Sec-WebSocket-Protocol": subprotocol] : nil)
            },
            upgradePipelineHandler: { channel, _ in opening.open(channel) })
        let operations = channel.pipeline.syncOperations
        try operations.configureHTTPServerPipeline(
            withPipeliningAssistance: false, withServerUpgrade: (upgraders: [upgrader], completionHandler: { _ in }))
        try operations.addHandler(opening)
    }

    private func open(_ channel: any Channel) -> EventLoopFuture<Void> {
        let operations = channel.pipeline.syncOperations
        return operations.removeHandler(self).flatMapThrowing { [connection] in
            try channel.pipeline.syncOperations.addHandlers([WebSocketMessages(), connection])
        }
    }

    // MARK: Other requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head(let request) = unwrapInboundIn(data), !hasAnswered else { return }
        hasAnswered = true
        let (status, text) = answer(to: request)
        let octets = ByteBuffer(string: text + "\n")
        var headers: HTTPHeaders = [
            "Content-Type": "text/plain", "Content-Length": "\(octets.readableBytes)", "Connection": "close",
        ]
        if status == .upgradeRequired { headers.add(name: "Upgrade", value: "websocket") }
        context.write(wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: status, headers: headers))), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(octets))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { [connection] _ in
            connection.openingFailed(.connectFailed, .notWebSocket)
        }
    }

    private func answer(to request: HTTPRequestHead) -> (HTTPResponseStatus, String) {
        guard !request.headers["Upgrade"].isEmpty else { return (.upgradeRequired, "This port speaks SIP over WebSocket (RFC 7118).") }
        guard driver.accepts(origin: request.headers.first(name: "Origin")) else {
            return (.forbidden, "Scripts of this origin are not served here.")
        }
        return (.badRequest, "This is SIP over WebSocket: offer the subprotocol sip, in version 13 (RFC 7118).")
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // The request follows, and is answered.
        if error is NIOWebSocketUpgradeError { return }
        driver.explain("\(error)", of: connection)
        connection.openingFailed(.handshakeFailed)
    }
}
