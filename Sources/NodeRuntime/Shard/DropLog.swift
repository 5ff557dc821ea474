// Drops are counted one by one and logged together: a flood of bad messages must not become a flood of lines.

import Logging
import SansIO

/// Lines about drops and endings of streams: for each reason at most one a second, which tells how many there were.
struct DropLog {
    private struct Entry {
        var count = 0
        var last = Endpoint.none
        var notBefore = Instant.zero
    }

    private static let pause = TimeSpan.seconds(1)
    private let logger: Logger
    private var entries: [String: Entry] = [:]
    /// When a line that was held back may be written; nil: none is.
    private(set) var nextDeadline: Instant?

    init(_ logger: Logger) { self.logger = logger }

    mutating func note(_ reason: DropReason, _ remote: Endpoint, at now: Instant) {
        note("dropped message: \(reason.rawValue)", remote, at: now)
    }

    mutating func note(_ ending: StreamEnding, _ remote: Endpoint, at now: Instant) {
        note("closed stream: \(ending.rawValue)", remote, at: now)
    }

    /// Writes the lines whose time has come; all of them at the end of a shard.
    mutating func flush(at now: Instant) {
        nextDeadline = nil
        for (text, entry) in entries where entry.count > 0 {
            if entry.notBefore <= now {
                write(text, entry, at: now)
            } else {
                nextDeadline = min(nextDeadline ?? .distantFuture, entry.notBefore)
            }
        }
    }

    private mutating func note(_ text: String, _ remote: Endpoint, at now: Instant) {
        var entry = entries[text] ?? Entry()
        entry.count += 1
        entry.last = remote
        entries[text] = entry
        if entry.notBefore <= now {
            write(text, entry, at: now)
        } else {
            nextDeadline = min(nextDeadline ?? .distantFuture, entry.notBefore)
        }
    }

    private mutating func write(_ text: String, _ entry: Entry, at now: Instant) {
        logger.warning("\(text) (count \(entry.count), last with \(entry.last.text))")
        entries[text] = Entry(notBefore: now + DropLog.pause)
    }
}
