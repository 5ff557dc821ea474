// `GET /api/messages`: which messages are asked for, and the wait for them.

import SIPMessage
import SansIO

/// A question about the trace.
struct MessageQuery: Sendable {
    static let parameters = ["method", "status", "from", "to", "call_id", "peer", "direction", "since", "limit", "wait"]
    /// Messages in an answer unless asked otherwise.
    static let defaultLimit: UInt64 = 1000
    static let longestWait = TimeSpan.seconds(3600)
    /// Messages looked at in one go: they are copied on the thread of the core.
    private static let page = 256

    private let filter: MessageFilter
    private let since: UInt64
    private let limit: Int
    private let patience: TimeSpan

    init(_ query: Query) throws(APIError) {
        filter = try MessageFilter(query)
        since = try query.number("since", in: 0 ... .max) ?? 0
        limit = Int(clamping: try query.number("limit", in: 1 ... .max) ?? MessageQuery.defaultLimit)
        patience = try query.duration("wait", atMost: MessageQuery.longestWait) ?? .zero
    }

    /// Those that match, or none when the time to wait is over.
    func answer(from backing: any CoreBacking, for call: Call) async -> Answer {
        var found = await look(after: since, backing)
        guard found.messages.isEmpty, patience > .zero else { return found.answer }
        let search = Search(found)
        await call.whileCallerWaits { await search.wait(for: self, backing) }
        found = await search.found
        var answer = found.answer
        // To notice that the caller hangs up, the rest of its stream had to be read.
        answer.closesConnection = true
        return answer
    }

    /// Looks at the messages that are there now.
    fileprivate func look(after sequence: UInt64, _ backing: any CoreBacking) async -> Found {
        var found = Found(last: sequence)
        var reader = MessageReader()
        var newest: UInt64?
        while found.count < limit {
            let page = await backing.recordedMessages(after: found.last, limit: MessageQuery.page)
            for message in page.messages where found.count < limit {
                found.last = message.sequence
                reader.read(message, matching: filter, backing, into: &found)
            }
            // What arrives meanwhile is for the next time, or this would never end.
            if newest == nil { newest = page.newest }
            guard !page.messages.isEmpty, found.last < newest ?? 0 else { break }
        }
        return found
    }

    /// Waits on behalf of a call. It is apart so that what was found outlives a wait that is cut short.
    private actor Search {
        private(set) var found: Found

        init(_ found: Found) { self.found = found }

        func wait(for query: MessageQuery, _ backing: any CoreBacking) async {
            let clock = ContinuousClock()
            let deadline = clock.now.advanced(by: .nanoseconds(query.patience.nanoseconds))
            while found.messages.isEmpty, !Task.isCancelled {
                let left = clock.now.duration(to: deadline)
                guard left > .zero else { return }
                await backing.waitForMessages(after: found.last, for: TimeSpan(rounding: left))
                found = await query.look(after: found.last, backing)
            }
        }
    }
}

/// The messages of an answer, as JSON already.
struct Found: Sendable {
    /// The elements of the array, with commas between them.
    var messages: [UInt8] = []
    var count = 0
    /// The number of the last message that was looked at.
    var last: UInt64

    init(last: UInt64) { self.last = last }

    var answer: Answer {
        var body = Array(#"{"messages":["#.utf8)
        body.reserveCapacity(messages.count + 64)
        body += messages
        body += Array(#"],"next":\#(last)}"#.utf8)
        return Answer(body: body)
    }
}

extension TimeSpan {
    /// At least a nanosecond of a duration that is left, rounded down, and at most what fits.
    fileprivate init(rounding duration: Duration) {
        let (seconds, attoseconds) = duration.components
        let (nanoseconds, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        self.init(nanoseconds: overflow ? .max : max(nanoseconds + attoseconds / 1_000_000_000, 1))
    }
}
