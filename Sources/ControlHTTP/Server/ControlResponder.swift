// From a request to the route that answers it. Whatever goes wrong has a JSON body that says what would be right.

import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import ServiceLifecycle

/// A request that found its route.
struct Call: Sendable {
    /// What stands for each `*` of the path.
    let arguments: [String]
    let query: Query
    /// The last event that a caller has read of a stream.
    let lastEventID: String?
    /// The entity tags that the caller has (RFC 9110 §13.1.2).
    let knownTags: String?
    fileprivate let body: RequestBody

    /// The most octets of a body.
    private static let largestBody = 1 << 20

    /// The body as text.
    func text() async throws -> String {
        let octets: ByteBuffer
        do {
            octets = try await body.collect(upTo: Call.largestBody)
        } catch is NIOTooManyBytesError {
            throw APIError(.contentTooLarge, "the body is longer than \(Call.largestBody) octets; send a shorter one")
        }
        guard let text = String(validating: octets.readableBytesView, as: UTF8.self) else {
            throw APIError(.badRequest, "the body is no UTF-8; send JSON in that encoding")
        }
        return text
    }

    /// Runs something that may take long; it is cancelled when the caller hangs up or the server shuts down, and then
    /// its answer is not needed.
    func whileCallerWaits(_ work: @escaping @Sendable () async -> Void) async {
        do {
            try await body.consumeWithCancellationOnInboundClose { _ in
                await cancelWhenGracefulShutdown { await work() }
            }
        } catch {
            // The caller is gone: whatever is answered, nobody reads it.
        }
    }
}

/// Writes the body of an answer piece by piece.
struct BodyWriter {
    private var writer: any ResponseBodyWriter

    fileprivate init(_ writer: any ResponseBodyWriter) { self.writer = writer }

    /// Returns when the caller has room for more, so that nothing heaps up for one who reads slowly.
    mutating func write(_ octets: [UInt8]) async throws {
        if !octets.isEmpty { try await writer.write(ByteBuffer(bytes: octets)) }
    }
}

/// Answers every request of a server.
struct ControlResponder: HTTPResponder {
    let routes: [Route]
    let access: Access
    let logger: Logger

    func respond(to request: Request, context: BasicRequestContext) async throws -> Response {
        let response = ControlResponder.response(await answer(to: request))
        return request.method == .head ? response.createHeadResponse() : response
    }

    private func answer(to request: Request) async -> Answer {
        do {
            try access.check(
                hosts: [request.head.authority].compactMap { $0 } + request.headers[values: .host],
                origins: request.headers[values: .origin], authorization: request.headers[.authorization],
                isOpen: isOpen(request))
            return try await routed(request)
        } catch let error as APIError {
            return error.answer
        } catch {
            logger.error("\(request.method) \(request.uri.path) failed: \(error)")
            return APIError(.internalServerError, "\(error)").answer
        }
    }

    /// Whether the call needs no token.
    private func isOpen(_ request: Request) -> Bool {
        let path = (request.head.path ?? "/").prefix { $0 != "?" }
        let segments = path.split(separator: "/", omittingEmptySubsequences: true).map(String.init)
        return routes.contains { $0.isOpen && $0.matches(segments) }
    }

    private func routed(_ request: Request) async throws -> Answer {
        let target = request.head.path ?? "/"
        let pieces = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let segments = try pieces[0].split(separator: "/", omittingEmptySubsequences: true).map { segment throws(APIError) in
            guard let text = PercentEncoding.decoded(segment) else {
                throw APIError(.badRequest, "the path segment \(segment) is not percent-encoded UTF-8; write % as %25")
            }
            return text
        }
        let matching = routes.filter { $0.matches(segments) }
        guard !matching.isEmpty else {
            throw APIError(.notFound, "there is nothing at \(pieces[0]); there is \(paths)")
        }
        let method = request.method == .head ? Route.Method.get : Route.Method(rawValue: request.method.rawValue)
        guard let route = matching.first(where: { $0.method == method }) else {
            var allowed: [String] = []
            for method in matching.map(\.method) where !allowed.contains(method.rawValue) {
                allowed += method == .get ? ["GET", "HEAD"] : [method.rawValue]
            }
            var error = APIError(.methodNotAllowed, "\(request.method) is not for \(pieces[0]); use \(allowed.joined(separator: " or "))")
            error.allowed = allowed
            throw error
        }
        let query = try Query(pieces.count > 1 ? pieces[1] : "", known: route.parameters)
        return try await route.answer(
            Call(
                arguments: route.arguments(in: segments), query: query, lastEventID: request.headers[.lastEventID],
                knownTags: request.headers[.ifNoneMatch], body: request.body))
    }

    private static func response(_ answer: Answer) -> Response {
        // A page must not be shown what was true a while ago, nor guess at types.
        var headers: HTTPFields = [.cacheControl: "no-store", .xContentTypeOptions: "nosniff"]
        if answer.status == .unauthorized { headers[.wwwAuthenticate] = "Bearer" }
        if !answer.allowed.isEmpty { headers[.allow] = answer.allowed.joined(separator: ", ") }
        if answer.closesConnection { headers[.connection] = "close" }
        for (name, value) in answer.headers {
            if let name = HTTPField.Name(name) { headers[name] = value }
        }
        let status = HTTPResponse.Status(code: answer.status.rawValue)
        guard answer.status != .noContent, answer.status != .notModified else { return Response(status: status, headers: headers) }
        headers[.contentType] = answer.contentType
        if let stream = answer.stream {
            let body = ResponseBody { writer in
                var pieces = BodyWriter(writer)
                try await stream(&pieces)
                try await writer.finish(nil)
            }
            return Response(status: status, headers: headers, body: body)
        }
        return Response(status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: answer.body)))
    }

    private var paths: String {
        var paths: [String] = []
        for route in routes {
            let path = "/" + route.path.joined(separator: "/")
            if !paths.contains(path) { paths.append(path) }
        }
        return paths.joined(separator: ", ")
    }
}

extension HTTPField.Name {
    fileprivate static let host = Self("Host")!
    fileprivate static let lastEventID = Self("Last-Event-ID")!
    fileprivate static let origin = Self("Origin")!
    fileprivate static let xContentTypeOptions = Self("X-Content-Type-Options")!
}
