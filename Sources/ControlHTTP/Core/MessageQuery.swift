// `GET /api/messages`: which messages are asked for, and the wait for them.

import SIPMessage
import SansIO

/// A question about the trace.
struct MessageQuery: Sendable {
    static let parameters = MessageFilter.parameters + ["since", "limit", "wait", "near", "brief"]
    /// Messages in an answer unless asked otherwise.
    static let defaultLimit: UInt64 = 1000
    static let longestWait = TimeSpan.seconds(3600)
    /// Messages looked at in one go: they are copied on the thread of the core.
    private static let page = 256

    private let filter: MessageFilter
    private let since: UInt64
    private let limit: Int
    private let patience: TimeSpan
    /// Whether an answer without messages tells of the one that comes nearest.
    private let wantsNearest: Bool
    /// Whether messages are told in short, for whoever shows many of them.
    private let isBrief: Bool

    init(_ query: Query) throws(APIError) {
        filter = try MessageFilter(query)
        since = try query.number("since", in: 0 ... .max) ?? 0
        limit = Int(clamping: try query.number("limit", in: 1 ... .max) ?? MessageQuery.defaultLimit)
        patience = try query.duration("wait", atMost: MessageQuery.longestWait) ?? .zero
        wantsNearest = try query.flag("near")
        isBrief = try query.flag("brief")
    }

    /// Those that match, or none when the time to wait is over.
    func answer(from backing: any CoreBacking, for call: Call) async -> Answer {
        var found = await look(after: since, backing)
        guard found.messages.isEmpty, patience > .zero else { return await told(found, backing) }
        let search = Search(found)
        await call.whileCallerWaits { await search.wait(for: self, backing) }
        found = await search.found
        var answer = await told(found, backing)
        // To notice that the caller hangs up, the rest of its stream had to be read.
        answer.closesConnection = true
        return answer
    }

    /// What was found or, if that is nothing, what comes nearest to it.
    private func told(_ found: Found, _ backing: any CoreBacking) async -> Answer {
        guard wantsNearest, found.messages.isEmpty else { return found.answer }
        var nearest: NearestMessage?
        var reader = MessageReader()
        var last = since
        while last < found.last {
            let page = await backing.recordedMessages(after: last, limit: MessageQuery.page)
            // What has come since was not looked at, and may be what was asked for.
            for message in page.messages where message.sequence <= found.last {
                reader.compare(message, with: filter, backing, in: &nearest)
            }
            guard let newest = page.messages.last else { break }
            last = newest.sequence
        }
        return found.answer(nearest: nearest)
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
                reader.read(message, matching: filter, isBrief: isBrief, backing, into: &found)
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

    /// - Parameter nearest: the one that comes nearest to what was asked for; nil: there is none at all.
    func answer(nearest: NearestMessage?) -> Answer {
        var answer = answer
        answer.body.removeLast()
        answer.body += Array(#","nearest":"#.utf8) + (nearest?.text ?? Array("null".utf8)) + [0x7D]
        return answer
    }
}

/// The message that meets the most of a filter, the newest of these.
struct NearestMessage: Sendable {
    /// As JSON.
    var message: [UInt8]
    var differences: [MessageDifference]

    fileprivate var text: [UInt8] {
        var json = JSONWriter()
        json.array { json in
            for difference in differences {
                json.object { json in
                    json.member("field", difference.field)
                    json.member("wanted", difference.wanted)
                    json.member("found", difference.found)
                }
            }
        }
        return Array(#"{"message":"#.utf8) + message + Array(#","differences":"#.utf8) + json.octets + [0x7D]
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
