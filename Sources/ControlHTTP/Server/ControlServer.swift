// The HTTP interface of a node: an address, who may call, and what is served there. It is off the path of SIP: it asks a
// backing for plain values and writes them as JSON.

import Hummingbird
import HummingbirdCore
public import Logging
import NIOCore
import NIOPosix
public import SansIO
import ServiceLifecycle

/// What is served.
public enum ControlInterface: Sendable {
    case core(any CoreBacking)
    case imServer(any IMServerBacking)

    var routes: [Route] {
        switch self {
        case .core(let backing): CoreInterface(backing: backing).routes
        case .imServer(let backing): IMServerInterface(backing: backing).routes
        }
    }
}

/// Why the interface cannot be served.
public enum ControlFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// Off loopback everyone could call, so a token is needed.
    case tokenMissing(Endpoint)
    case addressInUse(Endpoint)
    /// The address is none of this machine's.
    case addressNotAvailable(Endpoint)
    case notPermitted(Endpoint)
    case system(Endpoint, String)

    public var description: String {
        switch self {
        case .tokenMissing(let address):
            "the HTTP address \(address.text) is not loopback and no token is asked for; set core.http_token or use 127.0.0.1"
        case .addressInUse(let address): "the HTTP address \(address.text) is in use; end what listens there or choose another port"
        case .addressNotAvailable(let address):
            "the HTTP address \(address.text) is not one of this machine; choose 127.0.0.1 or one that is"
        case .notPermitted(let address): "the HTTP address \(address.text) may not be used; choose a port above 1023"
        case .system(let address, let text): "the HTTP address \(address.text) cannot be served: \(text)"
        }
    }
}

/// Serves an interface on one address.
public struct ControlServer: Sendable {
    private let interface: ControlInterface
    private let address: Endpoint
    private let token: String?
    private let hostNames: [String]
    private let logger: Logger

    /// - Parameters:
    ///   - address: where to listen; port 0: any that is free.
    ///   - token: what callers must send as a bearer token; nil: nothing, which is for loopback only.
    ///   - hostNames: names of this machine, beside its addresses, that callers may use in Host.
    public init(_ interface: ControlInterface, at address: Endpoint, token: String? = nil, hostNames: [String] = [], logger: Logger) {
        self.interface = interface
        self.address = address
        self.token = token
        self.hostNames = hostNames
        // What the library says at the levels below is about itself.
        var logger = logger
        logger.logLevel = max(logger.logLevel, .warning)
        self.logger = logger
    }

    /// Serves until the task is cancelled, or the service group that it runs in shuts down; then calls that wait are
    /// answered, and the others finished, before it returns.
    /// - Parameter onRunning: called once, when the address is bound; with the real port.
    public func run(onRunning: @escaping @Sendable (Endpoint) async -> Void = { _ in }) async throws(ControlFailure) {
        guard address.address.isLoopback || token != nil else { throw .tokenMissing(address) }
        let outcome = await serve(application(on: ControlServer.loops, onRunning))
        if case .failure(let error) = outcome { throw ControlFailure(binding: address, error) }
    }

    /// One thread for HTTP, for the life of the process: the server's own tasks may still use it when it has returned.
    private static let loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    private func application(
        on loops: MultiThreadedEventLoopGroup, _ onRunning: @escaping @Sendable (Endpoint) async -> Void
    ) -> Application<ControlResponder> {
        let access = Access(address: address, token: token, hostNames: hostNames)
        return Application(
            responder: ControlResponder(routes: interface.routes, access: access, logger: logger),
            server: .http1(configuration: .init(idleTimeout: .seconds(120))),
            configuration: ApplicationConfiguration(
                address: .hostname(address.hostText, port: Int(address.port)),
                availableConnectionsDelegate: MaximumAvailableConnections(1024)),
            onServerRunning: { channel in
                let port = channel.localAddress?.port.map { UInt16(truncatingIfNeeded: $0) } ?? 0
                access.bound(to: port)
                await onRunning(Endpoint(address: address.address, port: port))
            },
            eventLoopGroupProvider: .shared(loops), logger: logger)
    }

    /// Runs the application in a task of its own, which ends in order where a cancelled one would break off.
    private func serve(_ application: Application<ControlResponder>) async -> Result<Void, any Error> {
        var configuration = ServiceGroupConfiguration(services: [application], logger: logger)
        configuration.maximumGracefulShutdownDuration = .seconds(3)
        let group = ServiceGroup(configuration: configuration)
        let serving = Task { try await group.run() }
        return await withTaskCancellationHandler {
            await withGracefulShutdownHandler {
                await serving.result
            } onGracefulShutdown: {
                Task { await group.triggerGracefulShutdown() }
            }
        } onCancel: {
            Task { await group.triggerGracefulShutdown() }
        }
    }
}

extension ControlFailure {
    fileprivate init(binding address: Endpoint, _ error: any Error) {
        let code = (error as? IOError)?.errnoCode
        self =
            switch code {
            case EADDRINUSE: .addressInUse(address)
            case EADDRNOTAVAIL: .addressNotAvailable(address)
            case EACCES, EPERM: .notPermitted(address)
            default: .system(address, "\(error)")
            }
    }
}

extension Endpoint {
    /// The address as the socket library reads it: without brackets.
    fileprivate var hostText: String {
        let text = address.text
        return text.hasPrefix("[") ? String(text.dropFirst().dropLast()) : text
    }
}
