// One HTTP call to a node of the lab (RFC 9112), on a connection of its own: all that the scenario runner needs, without
// an HTTP library to load and start.

import Dispatch
import Glibc
import JSONText
import Synchronization

/// A call to the control interface of a node.
public struct HTTPCall: Sendable {
    var method: String
    var base: String
    var target: String
    var token: String?
    var timeoutMilliseconds: Int
    /// Beside those that every call has.
    var headers: [Header]
    var body: [UInt8]
    /// Whether the end of the task ends the call; else the call is made whatever becomes of the task.
    var endsWithTask = false

    public struct Header: Sendable, Equatable {
        public var name: String
        public var value: String
    }

    public struct Answer: Sendable, Equatable {
        public var status: Int
        public var headers: [Header] = []
        public var body: [UInt8]

        /// The values of a header.
        func values(of name: String) -> [String] { headers.filter { $0.name.lowercased() == name.lowercased() }.map(\.value) }
    }

    /// That no answer came, and why.
    public struct Failure: Error, CustomStringConvertible {
        public let description: String
        /// Whether an answer came, but another than was hoped for.
        public var isRefusal = false
    }

    /// - Parameters:
    ///   - base: of the node, as its ready line has it: `http://127.0.0.1:8080`.
    ///   - target: path and query.
    ///   - body: JSON that goes along.
    public init(
        method: String = "GET", base: String, target: String, token: String? = nil, timeoutMilliseconds: Int = 5000, body: [UInt8] = []
    ) {
        self.method = method
        self.base = base
        self.target = target
        self.token = token
        self.timeoutMilliseconds = timeoutMilliseconds
        self.body = body
        headers = body.isEmpty ? [] : [Header(name: "Content-Type", value: "application/json")]
    }

    /// - Parameter url: `http://HOST[:PORT]/path?query`; nil for another.
    init?(method: String, url: String, timeoutMilliseconds: Int) {
        guard url.hasPrefix("http://") else { return nil }
        let rest = url.dropFirst("http://".count)
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let target = rest[authority.endIndex...].prefix { $0 != "#" }
        guard let address = HostAndPort(authority) ?? HostAndPort("\(authority):80"),
            !target.utf8.contains(where: { $0 <= 0x20 || $0 >= 0x7F })
        else { return nil }
        self.init(
            method: method, base: "http://\(address)", target: target.hasPrefix("/") ? String(target) : "/\(target)",
            timeoutMilliseconds: timeoutMilliseconds)
    }

    /// An answer is at most this large; a page of messages is far below.
    static let largestAnswer = 128 << 20
    private static let queue = DispatchQueue(label: "sipcore.lab.http", attributes: .concurrent)

    /// Makes the call; blocks a thread of its own, never a task.
    public func answer() async throws(Failure) -> Answer {
        let isGivenUp = Flag()
        let result: Result<Answer, Failure> = await withTaskCancellationHandler {
            await withCheckedContinuation { done in
                HTTPCall.queue.async {
                    do throws(Failure) {
                        done.resume(returning: .success(try blockingAnswer { endsWithTask && isGivenUp.isSet }))
                    } catch {
                        done.resume(returning: .failure(error))
                    }
                }
            }
        } onCancel: {
            isGivenUp.set()
        }
        return try result.get()
    }

    private final class Flag: Sendable {
        private let state = Atomic(false)
        var isSet: Bool { state.load(ordering: .relaxed) }
        func set() { state.store(true, ordering: .relaxed) }
    }

    /// A connection on which the request has been sent; whoever asks for it closes it.
    /// - Parameter timeoutMilliseconds: how long reading from it waits.
    func opened(timeoutMilliseconds: Int) throws(Failure) -> Int32 {
        guard let authority = HostAndPort(httpURL: base) else { throw Failure(description: "\(base) is not an HTTP address") }
        guard let descriptor = connectedSocket(to: authority, type: SOCK_STREAM, timeoutMilliseconds: timeoutMilliseconds) else {
            throw Failure(description: "\(base) does not answer: \(String(cString: strerror(errno)))")
        }
        guard writeAll(request(to: authority), to: descriptor) else {
            close(descriptor)
            throw Failure(description: "\(base) closed the connection")
        }
        return descriptor
    }

    private func blockingAnswer(isGivenUp: () -> Bool) throws(Failure) -> Answer {
        let descriptor = try opened(timeoutMilliseconds: timeoutMilliseconds)
        defer { close(descriptor) }
        if endsWithTask { limitReading(descriptor, milliseconds: min(timeoutMilliseconds, HTTPCall.sliceMilliseconds)) }
        var received: [UInt8] = []
        let deadline = monotonicMilliseconds() + Int64(timeoutMilliseconds)
        while received.count < HTTPCall.largestAnswer {
            let bytes = readSome(descriptor)
            if bytes == nil, isGivenUp() { throw Failure(description: "\(method) \(target) of \(base) was given up") }
            guard monotonicMilliseconds() < deadline else {
                throw Failure(description: "\(base) gave no answer to \(method) \(target) within \(timeoutMilliseconds) ms")
            }
            guard let bytes else { continue }
            received += bytes
            if bytes.isEmpty || HTTPCall.isComplete(received, to: method) { break }
        }
        guard let answer = HTTPCall.parse(received, to: method) else {
            throw Failure(description: "\(base) gave no HTTP answer to \(method) \(target)")
        }
        return answer
    }

    /// How often a call that may be given up looks whether it is.
    private static let sliceMilliseconds = 100

    private func request(to authority: HostAndPort) -> [UInt8] {
        var head = "\(method) \(target) HTTP/1.1\r\nHost: \(authority)\r\nConnection: close\r\nContent-Length: \(body.count)\r\n"
        if let token { head += "Authorization: Bearer \(token)\r\n" }
        for header in headers { head += "\(header.name): \(header.value)\r\n" }
        return Array((head + "\r\n").utf8) + body
    }

    /// Whether the body is as long as Content-Length says, so that the end of the connection need not be waited for.
    private static func isComplete(_ received: [UInt8], to method: String) -> Bool {
        guard let head = Head(received) else { return false }
        if head.hasNoBody(to: method) { return true }
        guard let length = head.contentLength else { return false }
        return received.count - head.bodyStart >= length
    }

    static func parse(_ received: [UInt8], to method: String = "GET") -> Answer? {
        guard let head = Head(received) else { return nil }
        let rest = received[head.bodyStart...]
        func answer(_ body: [UInt8]) -> Answer { Answer(status: head.status, headers: head.headers, body: body) }
        if head.hasNoBody(to: method) { return answer([]) }
        if head.isChunked { return dechunked(rest).map(answer) }
        guard let length = head.contentLength else { return answer(Array(rest)) }
        return rest.count >= length ? answer(Array(rest.prefix(length))) : nil
    }

    private static func dechunked(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        var body: [UInt8] = []
        var rest = text
        while let lineEnd = rest.firstIndex(of: 0x0a) {
            let line = String(decoding: rest[..<lineEnd], as: UTF8.self)
            let digits = line.prefix { $0.isHexDigit }
            guard let size = Int(digits, radix: 16) else { return nil }
            rest = rest[(lineEnd + 1)...]
            if size == 0 { return body }
            guard size >= 0, rest.count - 2 >= size else { return nil }
            body += rest.prefix(size)
            rest = rest.dropFirst(size + 2)
        }
        return nil
    }

    private struct Head {
        var status: Int
        var headers: [Header] = []
        var contentLength: Int?
        var isChunked = false
        var bodyStart: Int

        /// Whatever Content-Length says (RFC 9112 §6.3).
        func hasNoBody(to method: String) -> Bool { method == "HEAD" || status == 204 || status == 304 }

        init?(_ received: [UInt8]) {
            guard let end = received.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
            let lines = String(decoding: received[..<end.lowerBound], as: UTF8.self).split(separator: "\r\n")
            let words = lines.first?.split(separator: " ") ?? []
            guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else { return nil }
            self.status = status
            bodyStart = end.upperBound
            for line in lines.dropFirst() {
                let field = line.split(separator: ":", maxSplits: 1)
                guard field.count == 2 else { continue }
                headers.append(Header(name: String(field[0]), value: field[1].trimmed))
                let value = field[1].trimmed.lowercased()
                switch field[0].lowercased() {
                case "content-length": contentLength = Int(value).flatMap { $0 >= 0 ? $0 : nil }
                case "transfer-encoding": isChunked = value.contains("chunked")
                default: break
                }
            }
        }
    }
}
