// Less of a schedule: what a failure does not need is left out, so that its ladder shows what it does need.

import SansIO

extension Schedule {
    /// How often a smaller schedule is tried.
    private static let attempts = 400

    /// The schedule without what can be left out, half of it at first, then less and less.
    ///
    /// - Parameter fails: whether a schedule still fails as the whole one does.
    func reduced(while fails: (Schedule) -> Bool) -> Schedule {
        var least = self
        var left = Schedule.attempts
        func attempt(_ change: (inout Schedule) -> Void) -> Bool {
            guard left > 0 else { return false }
            left -= 1
            var candidate = least
            change(&candidate)
            guard fails(candidate) else { return false }
            least = candidate
            return true
        }
        _ = attempt { $0.quality = NetworkQuality() }
        Schedule.reduce({ least.faults.count }) { range in attempt { $0.faults.removeSubrange(range) } }
        Schedule.reduce({ least.steps.count }) { range in attempt { $0.steps.removeSubrange(range) } }
        Schedule.reduce({ least.faults.count }) { range in attempt { $0.faults.removeSubrange(range) } }
        return least
    }

    private static func reduce(_ count: () -> Int, _ remove: (Range<Int>) -> Bool) {
        var size = max(1, count() / 2)
        while true {
            var start = 0
            while start < count() { if !remove(start..<min(start + size, count())) { start += size } }
            if size == 1 { return }
            size /= 2
        }
    }

    /// What the schedule does, a line each, in the order of time.
    func lines(_ cast: Cast) -> [String] {
        var lines: [(time: Instant, text: String)] = steps.map { ($0.time, $0.action.text(cast)) }
        lines += faults.map { ($0.time, $0.kind.text(cast) + " for \($0.span.text)") }
        let sorted = lines.enumerated().sorted { ($0.element.time, $0.offset) < ($1.element.time, $1.offset) }
        let head =
            "network: \(quality.loss) of 1000 datagrams lost, \(quality.duplication) twice, \(quality.reordering) late by up to \(quality.lateness.text); "
            + (isPersistent ? "the core has a database, commits take up to \(commitTime.text)" : "the core has no database")
        return [head] + sorted.map { "\((($0.element.time) - .zero).text)  \($0.element.text)" }
    }
}

extension TimeSpan {
    /// `12.345 s`.
    fileprivate var text: String {
        let milliseconds = nanoseconds / 1_000_000
        let rest = String(milliseconds % 1000)
        return "\(milliseconds / 1000).\(String(repeating: "0", count: 3 - rest.count))\(rest) s"
    }
}

extension Schedule.Action {
    fileprivate func text(_ cast: Cast) -> String {
        switch self {
        case .command(let client, let command): "\(cast.name(client)): \(command.label)"
        case .call(let client, let recipient, let patience, let talk):
            "\(cast.name(client)): call \(recipient), give up after \(patience.text), hang up after \(talk.text)"
        case .deregister(let client, let event): "the network deregisters \(cast.name(client)) (\(event))"
        case .reauthenticate(let client): "the network has \(cast.name(client)) authenticate anew"
        case .provision(let client, let variant): "the subscriber \(cast.name(client)) is \(variant)"
        }
    }
}

extension Schedule.Fault.Kind {
    fileprivate func text(_ cast: Cast) -> String {
        switch self {
        case .partition(let a, let b): "nothing goes between \(cast.name(a)) and \(cast.name(b))"
        case .crash(let station): "\(cast.name(station)) dies"
        case .slow(let server, let delay): "answers of \(cast.name(cast.station(ofServer: server))) come \(delay.text) late"
        case .dead(let server): "\(cast.name(cast.station(ofServer: server))) is dead"
        case .overloaded(let server): "\(cast.name(cast.station(ofServer: server))) answers 503"
        case .failingStore(let station): "commits of \(cast.name(station)) fail"
        }
    }
}
