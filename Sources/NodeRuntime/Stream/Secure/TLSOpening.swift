// Between TCP and messages on a stream with TLS: the handshake. Its end puts the connection into the pipeline, so nothing
// of SIP is read or written before.

import NIOCore
import NIOSSL
import NIOTLS
import SansIO

/// Waits at the end of a pipeline for the handshake of TLS.
final class TLSOpening: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let connection: StreamConnection
    private let driver: StreamDriver

    init(_ connection: StreamConnection, driver: StreamDriver) {
        self.connection = connection
        self.driver = driver
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        context.fireUserInboundEventTriggered(event)
        guard case .handshakeCompleted? = event as? TLSUserEvent else { return }
        if connection.isOpenedByUs, let fault = identityFault(context) {
            driver.explain(fault, of: connection)
            return connection.openingFailed(.handshakeFailed)
        }
        do {
            try context.pipeline.syncOperations.addHandler(connection)
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        } catch {
            errorCaught(context: context, error: error)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        connection.openingFailed(.handshakeFailed)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        driver.explain("\(error)", of: connection)
        connection.openingFailed(.handshakeFailed)
    }

    /// What is wrong with the server's certificate, whose chain has been verified; nil if nothing is (RFC 5922 §7.3).
    private func identityFault(_ context: ChannelHandlerContext) -> String? {
        let remote = connection.flow.remote
        guard let certificate = try? context.pipeline.syncOperations.nioSSL_peerCertificate() else { return "it showed no certificate" }
        let identity = PeerIdentity(certificate)
        let names = driver.names(of: remote)
        if identity.isOf(names, at: remote.address) { return nil }
        return "its certificate is for \(identity.description), not for \((names + [remote.address.text]).joined(separator: " or "))"
    }
}
