// What was sent in a run and what became of it, for a ladder.

import SIPLadder
import SansIO

struct WireRecord {
    struct Entry {
        var time: Instant
        var call: UInt64
        var subject = ""
        var from: Int
        var to: Int
        var label: String
        var detail: String
        /// nil: no message.
        var octets: [UInt8]?
    }

    private(set) var entries: [Entry] = []

    /// - Parameter copies: how many will arrive.
    mutating func add(_ message: WireMessage, copies: Int) {
        let fate = copies == 0 ? " (lost)" : copies > 1 ? " (comes twice)" : ""
        entries.append(
            Entry(
                time: message.time, call: message.call, subject: message.registration?.identity ?? "", from: message.sender,
                to: message.receiver, label: message.label,
                detail: message.detail + fate, octets: message.octets))
    }

    /// Something that is no message.
    mutating func note(_ text: String, at station: Int, _ time: Instant) {
        entries.append(Entry(time: time, call: 0, from: station, to: station, label: text, detail: "", octets: nil))
    }

    /// Every octet that was sent, with its time.
    var log: [UInt8] {
        var log: [UInt8] = []
        for entry in entries {
            guard let octets = entry.octets else { continue }
            log += Array("\(entry.time.nanoseconds) \(entry.from) \(entry.to)\n".utf8) + octets
        }
        return log
    }

    /// The ladder of what led to a violation: what happened to nodes, and the messages of its call, or else the last of all.
    func ladder(of violation: Violation, _ cast: Cast, atMost count: Int) -> String {
        let before = entries.filter { $0.time <= violation.time }
        let isOfAll = violation.call == 0 && violation.subject.isEmpty
        let related = before.filter { entry in
            isOfAll || entry.octets == nil || violation.call != 0 && entry.call == violation.call
                || !violation.subject.isEmpty && entry.subject == violation.subject
        }
        return Ladder.text(
            related.suffix(count).map { entry in
                LadderEvent(
                    microseconds: entry.time.nanoseconds / 1000, from: cast.name(entry.from),
                    to: cast.name(entry.to), label: entry.label, detail: entry.detail)
            }, nodes: cast.plan.nodeNames)
    }
}
