// The streams of a shard, on an event loop of NIO's: listening, opening, numbering, bounding and ending them. Messages
// reach the shard in batches, one for each turn of the loop; a shard that is slow to read them slows the peers down.

import CNodeIO
import Glibc
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import SansIO
import Synchronization

/// How streams are served.
struct StreamSettings: Sendable {
    var limits: StreamLimits
    /// nil: none has TLS.
    var security: StreamSecurity?
    /// nil: any.
    var webSocketOrigins: Set<String>?
    var logger: Logger
}

/// All streams of a shard. Its state is touched on its event loop only.
final class StreamDriver: @unchecked Sendable {
    private struct Peer: Hashable {
        var transport: Transport
        var remote: Endpoint
    }

    /// Octets that the shard may have unread before streams are read no further, and when they are again.
    private static let unreadLimit = 4 << 20
    private static let unreadLow = 1 << 20
    /// How long a stream that we end waits for the peer to read what was written and to close.
    static let farewell = TimeAmount.seconds(1)

    let loop: any EventLoop
    let limits: StreamLimits
    private let group: MultiThreadedEventLoopGroup
    private let listeners: [StreamListener]
    private let security: StreamSecurity?
    private let webSocketOrigins: Set<String>?
    /// Set when a listener has TLS.
    private let serverContext: NIOSSLContext?
    /// Made for the first stream with TLS that is opened: the system's certificates take a while to read.
    private var clientContext: NIOSSLContext?
    private let logger: Logger
    /// When the reason of a failed handshake may be logged again.
    private var quietUntil = NIODeadline.now()
    private let deliver: @Sendable (StreamReport) -> Void

    private var listening: [any Channel] = []
    /// By number: streams that messages can be sent on, or that are being opened.
    private var connections: [UInt32: StreamConnection] = [:]
    /// Streams that were said to have ended and are not closed yet.
    private var leaving: [UInt32: StreamConnection] = [:]
    /// The number of the stream that reaches a peer: one that we opened, one that comes from that very port, or one whose
    /// peer asked for it (`StreamAlias`). A stream has two entries at most.
    private var reaching: [Peer: UInt32] = [:]
    private var acceptedOfPeer: [IPAddress: Int] = [:]
    private var handshakes = HandshakeQueue()
    private var acceptedCount = 0
    private var openedCount = 0
    private var lastNumber: UInt32 = 0
    private var report = StreamReport()
    private var isDeliveryScheduled = false
    private var isSweepScheduled = false
    private var stopped: (@Sendable () -> Void)?
    private var isShuttingDown = false
    private var heldReads: [StreamConnection] = []
    private(set) var isCongested = false
    private let unread = Atomic<Int>(0)

    private init(
        _ listeners: [StreamListener], _ settings: StreamSettings, _ deliver: @escaping @Sendable (StreamReport) -> Void
    ) throws {
        self.listeners = listeners
        limits = settings.limits
        logger = settings.logger
        security = settings.security
        webSocketOrigins = settings.webSocketOrigins
        serverContext = listeners.contains { $0.listener.transport.isSecure } ? try settings.security?.serverContext() : nil
        self.deliver = deliver
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        loop = group.next()
    }

    /// Starts the event loop and serves the listeners on it.
    static func open(
        _ listeners: [StreamListener], _ settings: StreamSettings, report: @escaping @Sendable (StreamReport) -> Void
    ) throws -> StreamGate {
        prepareProcess(settings.limits)
        let driver = try StreamDriver(listeners, settings, report)
        for listener in listeners { driver.serve(listener) }
        return StreamGate(
            transmit: { batch in driver.loop.execute { driver.transmit(batch) } },
            acknowledge: { driver.acknowledge($0) },
            stop: { done in driver.loop.execute { driver.stop(done) } })
    }

    /// A write to a stream that the peer has closed is an error, not a signal; and each stream needs a descriptor, of which
    /// a process may have few until it asks for more.
    private static func prepareProcess(_ limits: StreamLimits) {
        signal(SIGPIPE, SIG_IGN)
        var allowed = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &allowed) == 0 else { return }
        allowed.rlim_cur = min(allowed.rlim_max, max(allowed.rlim_cur, rlim_t(limits.connections * 2 + 256)))
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &allowed)
    }

    private func serve(_ listener: StreamListener) {
        ServerBootstrap(group: loop)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            .childChannelOption(StreamDriver.silenceBeforeKeepAlive, value: 60)
            .childChannelOption(.writeBufferWaterMark, value: waterMark)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try self.accept(channel, by: listener) }
            }
            .withBoundSocket(listener.descriptor)
            .whenComplete { result in
                switch result {
                case .success(let channel):
                    // The bootstrap has shortened the queue of connections not yet accepted.
                    listen(listener.descriptor, 4096)
                    self.listening.append(channel)
                    if self.stopped != nil { channel.close(promise: nil) }
                case .failure(let error):
                    self.logger.error("cannot serve \(listener.listener.transport.name)://\(listener.listener.local.text): \(error)")
                }
            }
    }

    private var waterMark: ChannelOptions.Types.WriteBufferWaterMark {
        .init(low: limits.outboundOctets / 2, high: limits.outboundOctets)
    }

    private func takeNumber() -> UInt32 {
        repeat { lastNumber &+= 1 } while lastNumber == 0 || connections[lastNumber] != nil || leaving[lastNumber] != nil
        return lastNumber
    }
}

// MARK: Streams that peers open

extension StreamDriver {
    private func accept(_ channel: any Channel, by listener: StreamListener) throws {
        let remote = channel.remoteAddress.map { $0.withSockAddr { address, _ in SystemAddress.read(address) } } ?? .none
        let transport = listener.listener.transport
        let flow = Flow(transport: transport, listener: listener.number, connection: takeNumber(), remote: remote)
        if let refusal = refusal(of: remote) {
            tell(.refused(flow, refusal))
            channel.close(promise: nil)
            return
        }
        let connection = StreamConnection(flow, isOpenedByUs: false, driver: self)
        connection.channel = channel
        connections[flow.connection] = connection
        acceptedCount += 1
        acceptedOfPeer[remote.address, default: 0] += 1
        // Clients give the port that they come from as their contact (baresip, PJSIP), where they listen to nobody else.
        let peer = Peer(transport: transport, remote: remote)
        if reaching[peer] == nil { reaching[peer] = flow.connection }
        if transport != .tcp { handshakeBegins(connection) }
        // It may be closed before it was ever active.
        channel.closeFuture.whenComplete { _ in connection.finishClose() }
        scheduleSweep()
        try addHandlers(to: channel, connection)
    }

    private func refusal(of remote: Endpoint) -> StreamEnding? {
        if stopped != nil { return .stopped }
        if acceptedCount >= limits.connections { return .tooManyConnections }
        return acceptedOfPeer[remote.address, default: 0] >= limits.connectionsPerPeer ? .tooManyConnectionsOfPeer : nil
    }

    /// Counts a handshake that a peer has begun, and makes room for it.
    private func handshakeBegins(_ connection: StreamConnection) {
        let oldest = handshakes.begin(connection.flow.connection, limit: limits.handshakes)
        guard let oldest else { return }
        handshakes.end(oldest)
        connections[oldest]?.openingFailed(.handshakeFailed, .tooManyHandshakes)
    }

    func handshakeEnded(_ connection: StreamConnection) { handshakes.end(connection.flow.connection) }

    /// What stands between the socket and the messages: the connection itself, or what opens the stream for it.
    private func addHandlers(to channel: any Channel, _ connection: StreamConnection) throws {
        let operations = channel.pipeline.syncOperations
        let transport = connection.flow.transport
        if transport.isSecure { try operations.addHandler(try tlsHandler(for: connection)) }
        if transport.isWebSocket {
            try WebSocketOpening.add(to: channel, for: connection, driver: self)
        } else if transport == .tls {
            try operations.addHandler(TLSOpening(connection, driver: self))
        } else {
            try operations.addHandler(connection)
        }
    }
}

// MARK: TLS

extension StreamDriver {
    /// Whether a script of this origin may open a WebSocket (RFC 6455 §4.2.2). Who names none is no browser, where others'
    /// scripts run, and could name any.
    func accepts(origin: String?) -> Bool {
        guard let origin, let webSocketOrigins else { return true }
        return webSocketOrigins.contains(origin.lowercased())
    }
}

extension StreamDriver {
    private func tlsHandler(for connection: StreamConnection) throws -> any ChannelHandler {
        if connection.isOpenedByUs {
            // A name goes along for servers with several certificates (RFC 6066 §3).
            return try NIOSSLClientHandler(context: try contextOfClient(), serverHostname: names(of: connection.flow.remote).first)
        }
        guard let serverContext else { throw NIOSSLError.failedToLoadCertificate }
        return NIOSSLServerHandler(context: serverContext)
    }

    private func contextOfClient() throws -> NIOSSLContext {
        if let clientContext { return clientContext }
        guard let security else { throw NIOSSLError.failedToLoadCertificate }
        let context = try security.clientContext()
        clientContext = context
        return context
    }

    /// The names of which a server at an address has to show a certificate.
    func names(of remote: Endpoint) -> [String] { security?.names(of: remote) ?? [] }

    /// Logs why a handshake failed, once a second at most: it is counted in any case.
    func explain(_ fault: String, of connection: StreamConnection) {
        guard NIODeadline.now() >= quietUntil else { return }
        quietUntil = .now() + .seconds(1)
        let (flow, verb) = (connection.flow, connection.isOpenedByUs ? "to" : "from")
        logger.warning("a stream \(verb) \(flow.transport.name)://\(flow.remote.text) was not opened: \(fault)")
    }
}

// MARK: Sending

extension StreamDriver {
    private func transmit(_ batch: StreamBatch) {
        var touched: [StreamConnection] = []
        for transmission in batch.transmissions {
            let octets = batch.octets.span.bytes.part(transmission.start, transmission.count)
            guard let connection = connection(for: transmission) else { continue }
            connection.write(octets, of: transmission)
            if touched.last !== connection { touched.append(connection) }
        }
        for connection in touched { connection.flush() }
        for number in batch.closings { connections[number]?.end(.closedByCore) }
        for alias in batch.aliases { take(alias, batch.octets.span.bytes.part(alias.start, alias.count)) }
        for verdict in batch.verdicts { connections[verdict.connection]?.silenceJudged(patience: verdict.patience) }
    }

    /// Has a peer's address reached by its stream from now on, if it is the peer's: with TLS its certificate says so (RFC
    /// 5923 §9.1, RFC 5922 §7); without, the node has judged. The last stream that asks for an address gets it.
    private func take(_ alias: StreamAlias, _ host: RawSpan) {
        guard let connection = connections[alias.connection], !connection.isOpenedByUs, alias.port != 0 else { return }
        let flow = connection.flow
        let peer = Peer(transport: flow.transport, remote: Endpoint(address: flow.remote.address, port: alias.port))
        // Each request of the peer asks.
        guard connection.alias != peer.remote, connection.refusedAlias != peer.remote else { return }
        guard !flow.transport.isSecure || connection.isOf(String(octets: host)) else {
            connection.refusedAlias = peer.remote
            return
        }
        if let earlier = connection.alias { stopReaching(Peer(transport: flow.transport, remote: earlier), by: connection) }
        connection.alias = peer.remote
        reaching[peer] = flow.connection
    }

    private func stopReaching(_ peer: Peer, by connection: StreamConnection) {
        if reaching[peer] == connection.flow.connection { reaching[peer] = nil }
    }

    /// The stream that a message is to take, opened if need be; nil: there is none, and the core is told.
    private func connection(for transmission: Transmission) -> StreamConnection? {
        var flow = transmission.flow
        if let named = connections[flow.connection] { return named }
        if flow.returnPort != 0 {
            flow.remote.port = flow.returnPort
            flow.returnPort = 0
        }
        if let number = reaching[Peer(transport: flow.transport, remote: flow.remote)], let earlier = connections[number] {
            return earlier
        }
        if stopped != nil {
            fail(transmission, .stopped)
        } else if !canOpen(flow.transport) {
            fail(transmission, .transportNotSupported)
        } else if openedCount >= limits.connections {
            fail(transmission, .connectFailed)
        } else {
            return open(flow, for: transmission)
        }
        return nil
    }

    private func canOpen(_ transport: Transport) -> Bool { transport == .tcp || transport == .tls && security != nil }

    private func open(_ wanted: Flow, for transmission: Transmission) -> StreamConnection? {
        guard let remote = try? wanted.remote.socketAddress() else {
            fail(transmission, .connectFailed)
            return nil
        }
        var flow = wanted
        flow.connection = takeNumber()
        let connection = StreamConnection(flow, isOpenedByUs: true, driver: self)
        connections[flow.connection] = connection
        reaching[Peer(transport: flow.transport, remote: flow.remote)] = flow.connection
        openedCount += 1
        var bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(.nanoseconds(limits.connect.nanoseconds))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .channelOption(StreamDriver.silenceBeforeKeepAlive, value: 60)
            .channelOption(.writeBufferWaterMark, value: waterMark)
            .channelInitializer { channel in
                connection.channel = channel
                return channel.eventLoop.makeCompletedFuture { try self.addHandlers(to: channel, connection) }
            }
        if let source = sourceAddress(of: flow) {
            bootstrap =
                bootstrap
                .channelOption(StreamDriver.portAtConnect, value: 1)
                .bind(to: source)
        }
        bootstrap.connect(to: remote).whenFailure { _ in connection.openingFailed() }
        scheduleSweep()
        return connection
    }

    /// After how many seconds of silence the system asks whether the peer is still there.
    private static let silenceBeforeKeepAlive = ChannelOptions.Types.SocketOption(
        level: .tcp, name: NIOBSDSocket.Option(rawValue: TCP_KEEPIDLE))

    /// The port is chosen with regard to the peer, so there are as many for each.
    private static let portAtConnect = ChannelOptions.Types.SocketOption(
        level: .ip, name: NIOBSDSocket.Option(rawValue: IP_BIND_ADDRESS_NO_PORT))

    /// A stream leaves from the address of the listener in its Via, if that is one of the same kind.
    private func sourceAddress(of flow: Flow) -> NIOCore.SocketAddress? {
        guard let listener = listeners.first(where: { $0.number == flow.listener })?.listener else { return nil }
        let address = listener.local.address
        guard listener.transport == flow.transport, address.isIPv6 == flow.remote.address.isIPv6, !address.isUnspecified else {
            return nil
        }
        return try? Endpoint(address: address, port: 0).socketAddress()
    }

    func fail(_ transmission: Transmission, _ reason: DropReason) {
        tell(
            .failed(
                TransmissionFailure(
                    transaction: transmission.transaction, flow: transmission.flow, reason: reason, shard: transmission.shard)))
    }
}

// MARK: Reports to the shard

extension StreamDriver {
    func tell(_ event: StreamReport.Event) {
        report.events.append(event)
        guard !isDeliveryScheduled else { return }
        isDeliveryScheduled = true
        // Runs when all sockets that are ready in this turn were read.
        loop.execute { self.deliverReport() }
    }

    /// Copies a message for the shard, and says where.
    func keep(_ message: RawSpan) -> Int {
        let start = report.octets.count
        message.withUnsafeBytes { report.octets.append(contentsOf: $0) }
        return start
    }

    private func deliverReport() {
        isDeliveryScheduled = false
        guard !report.events.isEmpty else { return }
        let delivered = report
        report = StreamReport()
        let total = unread.add(delivered.octets.count, ordering: .relaxed).newValue
        if total > StreamDriver.unreadLimit { isCongested = true }
        deliver(delivered)
    }

    /// Called on the shard's thread.
    private func acknowledge(_ octets: Int) {
        let (before, after) = unread.subtract(octets, ordering: .relaxed)
        guard before > StreamDriver.unreadLow, after <= StreamDriver.unreadLow else { return }
        loop.execute { self.readOn() }
    }

    func holdRead(_ connection: StreamConnection) { heldReads.append(connection) }

    private func readOn() {
        isCongested = false
        let held = heldReads
        heldReads = []
        for connection in held { connection.readOn() }
    }
}

// MARK: Ends

extension StreamDriver {
    func connectionOpened(_ connection: StreamConnection) {
        tell(.opened)
        scheduleSweep()
    }

    /// No message will go over this stream any more, in or out.
    func connectionEnded(_ connection: StreamConnection, _ reason: StreamEnding) {
        forget(connection)
        leaving[connection.flow.connection] = connection
        tell(.ended(connection.flow, reason))
    }

    func connectionClosed(_ connection: StreamConnection) {
        forget(connection)
        leaving[connection.flow.connection] = nil
        if connection.isOpenedByUs {
            openedCount -= 1
        } else {
            acceptedCount -= 1
            let address = connection.flow.remote.address
            let others = acceptedOfPeer[address, default: 1] - 1
            acceptedOfPeer[address] = others > 0 ? others : nil
        }
        finishStop()
    }

    private func forget(_ connection: StreamConnection) {
        let flow = connection.flow
        connections[flow.connection] = nil
        stopReaching(Peer(transport: flow.transport, remote: flow.remote), by: connection)
        if let alias = connection.alias { stopReaching(Peer(transport: flow.transport, remote: alias), by: connection) }
        handshakes.end(flow.connection)
    }

    /// Looks for streams whose time is over, about once a second while there are any.
    private func scheduleSweep() {
        guard !isSweepScheduled, !(connections.isEmpty && leaving.isEmpty) else { return }
        isSweepScheduled = true
        let shortest = min(limits.silenceBeforeQuestion, limits.messageCompletion, limits.handshake)
        let interval = min(max(shortest / 4, .milliseconds(1)), .seconds(1))
        loop.scheduleTask(in: .nanoseconds(interval.nanoseconds)) {
            self.isSweepScheduled = false
            self.sweep()
            self.scheduleSweep()
        }
    }

    private func sweep() {
        let now = NIODeadline.now()
        for connection in Array(connections.values) { connection.endIfOverdue(at: now) }
        for connection in Array(leaving.values) { connection.endIfOverdue(at: now) }
    }

    private func stop(_ done: @escaping @Sendable () -> Void) {
        stopped = done
        for channel in listening { channel.close(promise: nil) }
        for connection in Array(connections.values) { connection.end(.stopped) }
        loop.scheduleTask(in: StreamDriver.farewell) {
            for connection in Array(self.leaving.values) { connection.close() }
            self.finishStop(isLate: true)
        }
        finishStop()
    }

    /// Ends the event loop when no stream is left, or none is waited for any longer.
    private func finishStop(isLate: Bool = false) {
        guard let done = stopped, isLate || (connections.isEmpty && leaving.isEmpty), !isShuttingDown else { return }
        isShuttingDown = true
        deliverReport()
        group.shutdownGracefully { _ in done() }
    }
}

extension Endpoint {
    /// The same for NIO.
    fileprivate func socketAddress() throws -> NIOCore.SocketAddress {
        var octets = ByteBuffer()
        if address.isIPv6 {
            octets.writeInteger(address.high)
            octets.writeInteger(address.low)
        } else {
            octets.writeInteger(UInt32(truncatingIfNeeded: address.low))
        }
        return try NIOCore.SocketAddress(packedIPAddress: octets, port: Int(port))
    }
}
