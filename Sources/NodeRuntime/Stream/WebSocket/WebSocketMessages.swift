// SIP over an open WebSocket (RFC 7118 §4.2, RFC 6455): frames become whole messages, and messages frames. Pings are
// answered, an end is said before the stream is closed, and a peer that breaks the rules is told how.

import NIOCore
import NIOWebSocket
import SansIO

/// What a WebSocket tells the connection behind it, beside messages.
enum WebSocketEvent: Sendable {
    /// The peer is alive: a ping, a pong.
    case keptAlive
    /// A message was begun; the rest of it is to come.
    case partReceived
    /// The peer broke the rules, and the stream is to end.
    case broken(StreamEnding)
}

/// Stands before a connection, and hands it one buffer for each message.
final class WebSocketMessages: ChannelDuplexHandler {
    typealias InboundIn = WebSocketFrame
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = WebSocketFrame

    /// What has come of a message in several frames.
    private var part: (form: WebSocketOpcode, octets: ByteBuffer)?
    private var hasSaidEnd = false
    /// What the peer is told when the stream is ended.
    private var farewell = WebSocketErrorCode.goingAway

    // MARK: In

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        // After our end only the peer's is waited for.
        if hasSaidEnd, frame.opcode != .connectionClose { return }
        // A client masks what it sends, and no extension was agreed on (RFC 6455 §5.1, §5.2).
        guard frame.maskKey != nil, frame.reservedBits.isEmpty else { return refuse(.protocolError, .webSocketBroken, context) }
        switch frame.opcode {
        case .text, .binary:
            guard part == nil else { return refuse(.protocolError, .webSocketBroken, context) }
            take((frame.opcode, frame.unmaskedData), isWhole: frame.fin, context)
        case .continuation:
            guard var whole = part else { return refuse(.protocolError, .webSocketBroken, context) }
            part = nil
            guard whole.octets.readableBytes + frame.data.readableBytes <= StreamFramer.messageLimit else {
                return refuse(.messageTooLarge, .messageTooLarge, context)
            }
            var more = frame.unmaskedData
            whole.octets.writeBuffer(&more)
            take(whole, isWhole: frame.fin, context)
        case .ping:
            guard context.channel.isWritable else { return refuse(.policyViolation, .outboundFull, context) }
            send(.pong, frame.unmaskedData, context)
            context.fireUserInboundEventTriggered(WebSocketEvent.keptAlive)
        case .pong: context.fireUserInboundEventTriggered(WebSocketEvent.keptAlive)
        case .connectionClose:
            farewell = .normalClosure
            sayEnd(context)
            context.close(promise: nil)
        default: refuse(.protocolError, .webSocketBroken, context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let fault = error as? NIOWebSocketError else { return context.fireErrorCaught(error) }
        let isTooLarge = fault == .invalidFrameLength
        refuse(isTooLarge ? .messageTooLarge : .protocolError, isTooLarge ? .messageTooLarge : .webSocketBroken, context)
    }

    private func take(_ message: (form: WebSocketOpcode, octets: ByteBuffer), isWhole: Bool, _ context: ChannelHandlerContext) {
        guard isWhole else {
            part = message
            return context.fireUserInboundEventTriggered(WebSocketEvent.partReceived)
        }
        guard message.form == .binary || message.octets.isUTF8 else {
            return refuse(.dataInconsistentWithMessage, .webSocketBroken, context)
        }
        context.fireChannelRead(wrapInboundOut(message.octets))
    }

    private func refuse(_ code: WebSocketErrorCode, _ ending: StreamEnding, _ context: ChannelHandlerContext) {
        farewell = code
        part = nil
        context.fireUserInboundEventTriggered(WebSocketEvent.broken(ending))
    }

    // MARK: Out

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let octets = unwrapOutboundIn(data)
        // A text has to be UTF-8; a message need not be. A peer takes both forms, whichever it sends itself (RFC 7118 §4.2), so
        // the form depends on the message alone.
        let form: WebSocketOpcode = octets.isUTF8 ? .text : .binary
        context.write(wrapOutboundOut(WebSocketFrame(fin: true, opcode: form, data: octets)), promise: promise)
    }

    /// Our side ends with a frame that says so, and the peer's answer to it closes the stream (RFC 6455 §7.1).
    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        sayEnd(context)
        guard mode == .output else { return context.close(mode: mode, promise: promise) }
        promise?.succeed(())
    }

    private func sayEnd(_ context: ChannelHandlerContext) {
        guard !hasSaidEnd, context.channel.isActive else { return }
        var octets = context.channel.allocator.buffer(capacity: 2)
        octets.write(webSocketErrorCode: farewell)
        send(.connectionClose, octets, context)
        hasSaidEnd = true
    }

    private func send(_ opcode: WebSocketOpcode, _ octets: ByteBuffer, _ context: ChannelHandlerContext) {
        guard !hasSaidEnd else { return }
        context.writeAndFlush(wrapOutboundOut(WebSocketFrame(fin: true, opcode: opcode, data: octets)), promise: nil)
    }
}

extension ByteBuffer {
    fileprivate var isUTF8: Bool { String(validating: readableBytesView, as: UTF8.self) != nil }
}
