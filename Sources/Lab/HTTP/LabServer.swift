// Serves the lab's interface with Hummingbird.

import JSONText
import Glibc
import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// The running HTTP server of a lab.
struct LabServer: Sendable {
    /// Where it listens, with the port that was taken.
    let address: HostAndPort
    private let serving: Task<Void, any Error>

    struct Failure: Error, CustomStringConvertible { let description: String }

    private static let longestBody = 1 << 16

    /// Listens, and answers from then on.
    /// - Parameter interface: for the address that was taken.
    static func start(
        on wanted: HostAndPort, interface: @escaping @Sendable (HostAndPort) -> LabInterface
    ) async throws(Failure) -> LabServer {
        var logger = Logger(label: "sipcore.lab.http")
        // What matters is thrown; the rest is of connections that the end of the lab cuts.
        logger.logLevel = .critical
        let (listening, continuation) = AsyncStream.makeStream(of: Result<HostAndPort, Failure>.self)
        let responder = CallbackResponder<ConnectionContext> { request, context in
            await LabServer.answer(request, interface(HostAndPort(host: wanted.host, port: context.port ?? wanted.port)))
        }
        let application = Application(
            responder: responder,
            configuration: ApplicationConfiguration(address: .hostname(wanted.host, port: Int(wanted.port)), serverName: "sipcore"),
            onServerRunning: { channel in
                let port = UInt16(clamping: channel.localAddress?.port ?? Int(wanted.port))
                continuation.yield(.success(HostAndPort(host: wanted.host, port: port)))
            },
            logger: logger)
        let serving = Task {
            do {
                try await application.run()
            } catch {
                let reason = (error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(error)"
                continuation.yield(.failure(Failure(description: "lab.http: cannot listen on \(wanted): \(reason)")))
                throw error
            }
        }
        for await outcome in listening {
            return LabServer(address: try outcome.get(), serving: serving)
        }
        throw Failure(description: "lab.http: cannot listen on \(wanted)")
    }

    func stop() async {
        serving.cancel()
        _ = await serving.result
    }

    private static func answer(_ request: Request, _ interface: LabInterface) async -> Response {
        let response: LabResponse
        do {
            let body = try await request.body.collect(upTo: longestBody)
            response = await interface.respond(
                to: LabRequest(
                    method: request.method.rawValue, path: request.uri.string, host: request.head.authority,
                    origin: request.headers[.origin], authorization: request.headers[.authorization],
                    body: Array(body.readableBytesView)))
        } catch {
            response = .error(400, "the body cannot be read; send at most \(longestBody) bytes")
        }
        var headers: HTTPFields = [.contentType: "application/json"]
        if let allow = response.allow { headers[.allow] = allow }
        if response.status == 401 { headers[.wwwAuthenticate] = "Bearer" }
        return Response(
            status: .init(code: response.status), headers: headers,
            body: ResponseBody(byteBuffer: ByteBuffer(string: response.body.description + "\n")))
    }
}

/// Keeps the port that a request came in by.
private struct ConnectionContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let port: UInt16?

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        port = source.channel.localAddress?.port.map { UInt16(clamping: $0) }
    }
}
