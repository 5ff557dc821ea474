// Server-sent events (WHATWG HTML §9.2) from the control interface of a node, as they come.

import Dispatch
import Glibc
import JSONText
import Synchronization

/// A call whose answer does not end by itself.
public final class EventStream: Sendable {
    /// One event.
    public struct Event: Hashable, Sendable {
        public var name = "message"
        public var data = ""
        public var id = ""
    }

    private let call: HTTPCall
    /// The connection, while it is read; -1 before, -2 when it is not wanted any more.
    private let descriptor = Mutex<Int32>(-1)

    public init(_ call: HTTPCall) { self.call = call }

    private static let queue = DispatchQueue(label: "sipcore.lab.events", attributes: .concurrent)
    /// A heartbeat comes every 15 s.
    private static let patienceMilliseconds = 60_000
    private static let longestLine = 4 << 20

    /// Hands over each event on a thread of its own, and reads on when it is done with; so what is read slowly is not heaped up.
    /// Returns when the stream ends, or after `end`.
    public func read(_ handle: @escaping @Sendable (Event) -> Void) async throws(HTTPCall.Failure) {
        let result: Result<Void, HTTPCall.Failure> = await withCheckedContinuation { done in
            EventStream.queue.async {
                do throws(HTTPCall.Failure) {
                    try self.blockingRead(handle)
                    done.resume(returning: .success(()))
                } catch {
                    done.resume(returning: .failure(error))
                }
            }
        }
        try result.get()
    }

    /// Ends the reading; from any thread.
    public func end() {
        descriptor.withLock { descriptor in
            if descriptor >= 0 { shutdown(descriptor, Int32(SHUT_RDWR)) }
            descriptor = -2
        }
    }

    private func blockingRead(_ handle: (Event) -> Void) throws(HTTPCall.Failure) {
        let socket = try call.opened(timeoutMilliseconds: EventStream.patienceMilliseconds)
        let isWanted = descriptor.withLock { descriptor in
            guard descriptor != -2 else { return false }
            descriptor = socket
            return true
        }
        defer {
            descriptor.withLock { $0 = -2 }
            close(socket)
        }
        guard isWanted else { return }
        var reader = ChunkReader(socket)
        let head = try head(&reader)
        guard head.status == 200 else { throw refusal(head.status, &reader) }
        reader.isChunked = head.isChunked
        var event = Event()
        var hasData = false
        while let line = reader.line(atMost: EventStream.longestLine) {
            guard !line.isEmpty else {
                if hasData { handle(event) }
                (event, hasData) = (Event(id: event.id), false)
                continue
            }
            let field = line.prefix { $0 != ":" }
            var value = line[field.endIndex...].dropFirst()
            if value.first == " " { value = value.dropFirst() }
            switch field {
            case "event": event.name = String(value)
            case "id": event.id = String(value)
            case "data":
                event.data += hasData ? "\n\(value)" : String(value)
                hasData = true
            // A comment, or how soon to come again.
            default: break
            }
        }
    }

    private func head(_ reader: inout ChunkReader) throws(HTTPCall.Failure) -> (status: Int, isChunked: Bool) {
        guard let first = reader.line(atMost: 4096), first.hasPrefix("HTTP/1."),
            let status = first.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
        else { throw HTTPCall.Failure(description: "\(call.base) gave no HTTP answer to \(call.method) \(call.target)") }
        var isChunked = false
        while let line = reader.line(atMost: 65_536), !line.isEmpty {
            let field = line.split(separator: ":", maxSplits: 1)
            isChunked =
                isChunked || (field.count == 2 && field[0].lowercased() == "transfer-encoding" && field[1].lowercased().contains("chunked"))
        }
        return (status, isChunked)
    }

    private func refusal(_ status: Int, _ reader: inout ChunkReader) -> HTTPCall.Failure {
        // An error is one line of JSON.
        let text = reader.line(atMost: 65_536, endsWithStream: true) ?? ""
        let reason = JSON(text.utf8)?["error"]?.text.map { ": \($0)" } ?? ""
        return HTTPCall.Failure(description: "\(call.base)\(call.target) answered \(status)\(reason)", isRefusal: true)
    }
}

/// Lines of an answer, its chunks joined (RFC 9112 §7.1).
private struct ChunkReader {
    var isChunked = false
    private let descriptor: Int32
    private var octets: ArraySlice<UInt8> = []
    /// What is left of the chunk that is read.
    private var left = 0

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    /// The next line without its end; nil: the answer is over, or the line is longer than it may be.
    mutating func line(atMost limit: Int, endsWithStream: Bool = false) -> String? {
        var line: [UInt8] = []
        while let octet = next() {
            if octet == 0x0A {
                if line.last == 0x0D { line.removeLast() }
                return String(decoding: line, as: UTF8.self)
            }
            guard line.count < limit else { return nil }
            line.append(octet)
            if endsWithStream, octet == UInt8(ascii: "}") { break }
        }
        return endsWithStream && !line.isEmpty ? String(decoding: line, as: UTF8.self) : nil
    }

    private mutating func next() -> UInt8? {
        guard isChunked else { return raw() }
        if left == 0 {
            // The line with the size, after the line end of the chunk before.
            var digits = ""
            while let octet = raw() {
                if octet == 0x0A, !digits.isEmpty { break }
                if octet != 0x0D, octet != 0x0A { digits.append(Character(Unicode.Scalar(octet))) }
            }
            guard let size = Int(digits.prefix { $0 != ";" }, radix: 16), size > 0 else { return nil }
            left = size
        }
        left -= 1
        return raw()
    }

    private mutating func raw() -> UInt8? {
        if octets.isEmpty {
            guard let some = readSome(descriptor), !some.isEmpty else { return nil }
            octets = some[...]
        }
        return octets.popFirst()
    }
}
