// One stream, at the end of its channel's pipeline: octets become messages, keep-alives are answered, and whoever ends
// it, its end is told once and has a name.

import NIOCore
import NIOSSL
import SansIO

/// A stream to a peer, open or being opened. It lives on the driver's event loop, and enters the pipeline when messages can
/// go over the stream: with TCP at once, else after the handshakes of TLS and of WebSocket.
final class StreamConnection: ChannelDuplexHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let flow: Flow
    let isOpenedByUs: Bool
    /// Set before the stream is open, so that it can be closed.
    var channel: (any Channel)?
    /// Where requests to the peer may be sent by this stream, and where they may not because the peer is somebody else.
    var alias: Endpoint?
    var refusedAlias: Endpoint?
    private let driver: StreamDriver
    private var context: ChannelHandlerContext?
    private var framer = StreamFramer()
    /// What waits for the stream to be opened.
    private var waiting: [(octets: ByteBuffer, transmission: Transmission)] = []
    private var waitingOctets = 0
    /// Whether the channel is active; only then its end is told.
    private(set) var isOpen = false
    /// The fault for which the stream is to be closed once the core has answered; nothing is read after it.
    private var fault: StreamEnding?
    /// Set when its end was told.
    private var ending: StreamEnding?
    private var isClosed = false
    /// Whether the end of a stream that was never open was told.
    private var isRefused = false
    private let begin = NIODeadline.now()
    private var closeDeadline = NIODeadline.distantFuture
    private var lastActivity = NIODeadline.now()
    /// Whether the node is being asked how long the stream may be silent, and when it was asked last.
    private var isJudged = false
    private var lastQuestion = NIODeadline.now()
    private var partSince: NIODeadline?

    init(_ flow: Flow, isOpenedByUs: Bool, driver: StreamDriver) {
        self.flow = flow
        self.isOpenedByUs = isOpenedByUs
        self.driver = driver
    }

    // MARK: The channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { open() }
    }

    func channelActive(context: ChannelHandlerContext) {
        open()
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        tellEnd(fault ?? .peerClosed)
        finishClose()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Messages have their lengths: an end of TCP without one of TLS cuts none off unnoticed.
        if error as? NIOSSLError == .uncleanShutdown { return }
        // What was written fails by its own promise.
        tellEnd(fault ?? .connectionFailed)
        context.close(promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        lastActivity = .now()
        guard ending == nil, fault == nil else { return }
        let octets = unwrapInboundIn(data)
        if flow.transport.isWebSocket { return takeWhole(octets) }
        framer.append(octets.readableBytesSpan)
        while fault == nil, let frame = framer.next() { take(frame) }
        partSince = framer.holdsPart ? partSince ?? lastActivity : nil
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event as? WebSocketEvent {
        case .keptAlive: lastActivity = .now()
        case .partReceived:
            lastActivity = .now()
            partSince = partSince ?? lastActivity
        case .broken(let reason): end(reason)
        case nil: context.fireUserInboundEventTriggered(event)
        }
    }

    func read(context: ChannelHandlerContext) {
        if driver.isCongested, ending == nil {
            driver.holdRead(self)
        } else {
            context.read()
        }
    }

    func readOn() { context?.read() }

    private func open() {
        guard !isOpen else { return }
        guard ending == nil else { return openingFailed() }
        isOpen = true
        driver.handshakeEnded(self)
        driver.connectionOpened(self)
        let queue = waiting
        waiting = []
        for (octets, transmission) in queue { write(octets, of: transmission) }
        flush()
    }

    // MARK: Messages in

    private func take(_ frame: StreamFramer.Frame) {
        switch frame {
        case .message(let start, let count):
            partSince = nil
            let kept = driver.keep(framer.octets(from: start, count: count))
            driver.tell(.received(flow, start: kept, count: count))
        case .pings(let count):
            answer(pings: count)
        case .broken(let reason, let start, let count):
            fault = reason
            guard count > 0 else { return end(reason) }
            let kept = driver.keep(framer.octets(from: start, count: count))
            driver.tell(.receivedUnframed(flow, start: kept, count: count))
        }
    }

    /// A message of a WebSocket is one of SIP, whatever its Content-Length (RFC 7118 §4.2), or a keep-alive (§6).
    private func takeWhole(_ octets: ByteBuffer) {
        partSince = nil
        let message = octets.readableBytesView
        if message.allSatisfy({ $0 == 0x0D || $0 == 0x0A }) {
            if message.count >= 4 { answer(pings: 1) }
            return
        }
        let kept = driver.keep(octets.readableBytesSpan)
        driver.tell(.received(flow, start: kept, count: octets.readableBytes))
    }

    /// Each keep-alive is answered with an empty line (RFC 5626 §3.5.1).
    private func answer(pings: Int) {
        guard let context else { return }
        guard context.channel.isWritable else { return end(.outboundFull) }
        var octets = context.channel.allocator.buffer(capacity: pings * 2)
        for _ in 0..<pings { octets.writeStaticString("\r\n") }
        context.writeAndFlush(wrapOutboundOut(octets), promise: nil)
    }

    // MARK: Messages out

    /// Writes a message, or keeps it until the stream is open; `flush` is to follow.
    func write(_ message: RawSpan, of transmission: Transmission) {
        var octets = ByteBufferAllocator().buffer(capacity: message.byteCount)
        octets.writeBytes(message)
        if isOpen { return write(octets, of: transmission) }
        guard waitingOctets + transmission.count <= driver.limits.outboundOctets else {
            return driver.fail(transmission, .connectQueueFull)
        }
        waitingOctets += transmission.count
        waiting.append((octets, transmission))
    }

    func flush() { if isOpen { context?.flush() } }

    private func write(_ octets: ByteBuffer, of transmission: Transmission) {
        guard let context, ending == nil else { return driver.fail(transmission, .streamLost) }
        if !context.channel.isWritable { context.flush() }
        guard context.channel.isWritable else {
            driver.fail(transmission, .streamLost)
            return end(.outboundFull)
        }
        lastActivity = .now()
        let promise = context.eventLoop.makePromise(of: Void.self)
        promise.futureResult.whenFailure { [driver] _ in driver.fail(transmission, .streamLost) }
        context.write(wrapOutboundOut(octets), promise: promise)
    }

    /// The stream could not be opened, not in time, or not before the shard was to end.
    /// - Parameters:
    ///   - reason: why messages that wait for it are lost.
    ///   - refusal: the same for a stream that the peer opened.
    func openingFailed(_ reason: DropReason = .connectFailed, _ refusal: StreamEnding = .handshakeFailed) {
        let queue = waiting
        waiting = []
        for (_, transmission) in queue { driver.fail(transmission, ending == .stopped ? .stopped : reason) }
        tellRefusal(refusal)
        close()
        if isOpenedByUs { finishClose() }
    }

    private func tellRefusal(_ reason: StreamEnding) {
        guard !isOpen, !isOpenedByUs, !isRefused, ending == nil else { return }
        isRefused = true
        driver.tell(.refused(flow, reason))
    }

    // MARK: The end

    /// Ends the stream. Unless the peer is at fault for it, what was written reaches it first: our side is closed, and
    /// what still comes is read and thrown away, for a close with unread octets would make the system forget the rest.
    func end(_ reason: StreamEnding) {
        let reason = fault ?? reason
        tellEnd(reason)
        guard isOpen else { return close() }
        switch reason {
        case .idle, .messageTimeout, .outboundFull, .headerTooLarge, .connectionFailed: close()
        default:
            closeDeadline = .now() + StreamDriver.farewell
            context?.flush()
            context?.close(mode: .output, promise: nil)
        }
    }

    /// Ends the stream if it was silent, or busy with one message, for too long.
    func endIfOverdue(at now: NIODeadline) {
        if now >= closeDeadline { return close() }
        guard ending == nil else { return }
        guard isOpen else {
            let isOverdue = now - begin >= .nanoseconds(driver.limits.handshake.nanoseconds)
            return isOverdue ? openingFailed(.handshakeFailed, .handshakeTimeout) : ()
        }
        if let partSince, now - partSince >= .nanoseconds(driver.limits.messageCompletion.nanoseconds) {
            end(.messageTimeout)
        } else if !isJudged, now - max(lastActivity, lastQuestion) >= .nanoseconds(driver.limits.silenceBeforeQuestion.nanoseconds) {
            isJudged = true
            lastQuestion = now
            driver.tell(.silent(flow))
        }
    }

    /// The node has said how long the stream may be silent; nil: it is of no use.
    func silenceJudged(patience: TimeSpan?) {
        isJudged = false
        let patience = patience ?? driver.limits.idle
        if ending == nil, NIODeadline.now() - lastActivity >= .nanoseconds(patience.nanoseconds) { end(.idle) }
    }

    /// Whether the peer showed a certificate of this host, a name or an address. That it is believed TLS has seen to.
    func isOf(_ host: String) -> Bool {
        guard let certificate = try? context?.pipeline.syncOperations.nioSSL_peerCertificate() else { return false }
        return PeerIdentity(certificate).isOf(host)
    }

    func close() { (context?.channel ?? channel)?.close(promise: nil) }

    private func tellEnd(_ reason: StreamEnding) {
        guard ending == nil else { return }
        ending = reason
        guard isOpen else { return }
        if framer.holdsPart || flow.transport.isWebSocket && partSince != nil {
            driver.tell(.failed(TransmissionFailure(transaction: 0, flow: flow, reason: .streamIncomplete)))
        }
        driver.connectionEnded(self, reason)
    }

    /// The channel is gone.
    func finishClose() {
        guard !isClosed else { return }
        isClosed = true
        if flow.transport != .tcp { tellRefusal(.handshakeFailed) }
        driver.connectionClosed(self)
    }
}
