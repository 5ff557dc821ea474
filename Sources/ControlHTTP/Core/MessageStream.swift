// `GET /api/messages/stream`: messages as they are recorded, as server-sent events (WHATWG HTML §9.2).

import SIPMessage
import SansIO
import ServiceLifecycle

/// A question about the messages to come.
struct MessageStream: Sendable {
    static let parameters = MessageFilter.parameters + ["since", "limit"]
    static let contentType = "text/event-stream"
    /// Messages copied in one go, on the thread of the core. Each is written before the next: a caller who reads slowly is
    /// waited for, and what the trace forgets meanwhile is told as lost.
    private static let page = 64
    /// How soon a reset is noticed while nothing is recorded.
    private static let patience = TimeSpan.seconds(1)
    /// How long a connection is silent at most.
    private static let heartbeat = Duration.seconds(15)

    private let filter: MessageFilter
    /// nil: only what comes from now on.
    private let since: UInt64?
    private let limit: UInt64

    /// - Parameter lastEventID: where a caller stopped reading whose connection broke; it comes before `since`.
    init(_ query: Query, lastEventID: String?) throws(APIError) {
        filter = try MessageFilter(query)
        let given = try query.number("since", in: 0 ... .max)
        since = lastEventID.flatMap { UInt64($0) } ?? given
        limit = try query.number("limit", in: 1 ... .max) ?? .max
    }

    func answer(from backing: any CoreBacking) -> Answer {
        var answer = Answer(contentType: MessageStream.contentType)
        answer.stream = { writer in try await write(from: backing, to: &writer) }
        return answer
    }

    private func write(from backing: any CoreBacking, to writer: inout BodyWriter) async throws {
        let start = await backing.recordedMessages(after: .max, limit: 1)
        var last = since ?? start.newest
        var resets = start.resets
        var written: UInt64 = 0
        // The head leaves at once, and a caller who is cut off tries again soon.
        try await writer.write(Array("retry: 1000\n\n".utf8))
        let clock = ContinuousClock()
        var spoken = clock.now
        while written < limit, !Task.isCancelled, !Task.isShuttingDownGracefully {
            let page = await backing.recordedMessages(after: last, limit: MessageStream.page)
            if page.resets != resets || page.newest < last {
                resets = page.resets
                last = 0
                try await writer.write(MessageStream.event("reset", data: Array("{}".utf8), id: 0))
                spoken = clock.now
                continue
            }
            if let first = page.messages.first, first.sequence > last + 1 {
                try await writer.write(MessageStream.lost(from: last + 1, to: first.sequence - 1))
                spoken = clock.now
            }
            for message in page.messages where written < limit {
                last = message.sequence
                guard let json = MessageReader.json(message, matching: filter, backing) else { continue }
                try await writer.write(MessageStream.event("message", data: json, id: last))
                written += 1
                spoken = clock.now
            }
            if page.messages.isEmpty {
                let awaited = last
                await cancelWhenGracefulShutdown { await backing.waitForMessages(after: awaited, for: MessageStream.patience) }
            }
            if spoken.duration(to: clock.now) >= MessageStream.heartbeat {
                try await writer.write(Array(":\n\n".utf8))
                spoken = clock.now
            }
        }
    }

    private static func event(_ name: String, data: [UInt8], id: UInt64) -> [UInt8] {
        Array("id: \(id)\nevent: \(name)\ndata: ".utf8) + data + Array("\n\n".utf8)
    }

    private static func lost(from first: UInt64, to last: UInt64) -> [UInt8] {
        event("lost", data: Array(#"{"from":\#(first),"to":\#(last)}"#.utf8), id: last)
    }
}

extension MessageReader {
    /// A message as JSON, if it matches.
    fileprivate static func json(_ message: RecordedMessage, matching filter: MessageFilter, _ backing: any CoreBacking) -> [UInt8]? {
        var found = Found(last: message.sequence)
        var reader = MessageReader()
        reader.read(message, matching: filter, isBrief: false, backing, into: &found)
        return found.count > 0 ? found.messages : nil
    }
}
