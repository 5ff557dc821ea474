// `GET /api/trace.pcapng`: what was recorded as a capture file, and `GET /api/messages/{sequence}`: one message of it.

import SIPMessage
public import SIPTrace
import SansIO

/// A question for a capture file.
struct TraceExport: Sendable {
    static let parameters = MessageFilter.parameters + ["since", "limit"]
    static let contentType = "application/x-pcapng"
    private static let page = 256

    private let filter: MessageFilter
    private let since: UInt64
    private let limit: UInt64

    init(_ query: Query) throws(APIError) {
        filter = try MessageFilter(query)
        since = try query.number("since", in: 0 ... .max) ?? 0
        limit = try query.number("limit", in: 1 ... .max) ?? .max
    }

    func answer(from backing: any CoreBacking) -> Answer {
        var answer = Answer(contentType: TraceExport.contentType)
        answer.headers = [("Content-Disposition", "attachment; filename=\"sipcore.pcapng\"")]
        answer.stream = { writer in try await write(from: backing, to: &writer) }
        return answer
    }

    /// Page by page, up to the message that is the newest when it begins.
    private func write(from backing: any CoreBacking, to writer: inout BodyWriter) async throws {
        var file = PcapngWriter()
        var left = limit
        var last = since
        let newest = await backing.recordedMessages(after: .max, limit: 1).newest
        try await writer.write(file.take())
        while left > 0, last < newest {
            let page = await backing.recordedMessages(after: last, limit: TraceExport.page)
            guard !page.messages.isEmpty else { return }
            for message in page.messages where left > 0 && message.sequence <= newest {
                guard let captured = filter.captured(message, backing) else { continue }
                file.append(captured)
                left -= 1
            }
            last = page.messages.last?.sequence ?? newest
            try await writer.write(file.take())
        }
    }

    /// The message of a number, as `GET /api/messages` shows it.
    static func message(_ text: String, from backing: any CoreBacking) async throws(APIError) -> Answer {
        guard let sequence = UInt64(text) else {
            throw APIError(.badRequest, "\(text) is no sequence number; write one of a message", field: "sequence")
        }
        let page = sequence > 0 ? await backing.recordedMessages(after: sequence - 1, limit: 1).messages : []
        guard let message = page.first, message.sequence == sequence else {
            throw APIError(.notFound, "no message \(sequence) is recorded (any more); see /api/messages for those that are")
        }
        var found = Found(last: sequence)
        var reader = MessageReader()
        reader.read(message, matching: try MessageFilter(Query("", known: [])), isBrief: false, backing, into: &found)
        return Answer(body: found.messages)
    }
}

extension MessageFilter {
    /// The message with the name of its peer; nil: it does not match.
    fileprivate func captured(_ recorded: RecordedMessage, _ backing: any CoreBacking) -> TracedMessage? {
        guard admits(recorded) else { return nil }
        let peer = backing.nodeName(of: recorded)
        guard admits(peer: peer, at: recorded.remote) else { return nil }
        var scanner = MessageScanner()
        let octets = recorded.octets.span.bytes
        _ = scanner.scan(octets)
        return admits(scanner.message(octets)) ? TracedMessage(recorded, peer: peer) : nil
    }
}

extension TracedMessage {
    /// A recorded message, and the name of the node at its other end.
    public init(_ recorded: RecordedMessage, peer: String?) {
        self.init(
            sequence: recorded.sequence, time: recorded.time, direction: recorded.direction, transport: recorded.transport, peer: peer,
            local: recorded.local, remote: recorded.remote, mark: recorded.mark, octets: recorded.octets)
    }
}
