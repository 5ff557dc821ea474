// When the next transaction of a phase is due.

import SansIO

/// The part of a load that is under way.
public enum LoadPhase: UInt8, CaseIterable, BitwiseCopyable, Hashable, Sendable {
    /// One OPTIONS: is the target there? Any final answer will do.
    case probe
    /// The users that must be registered are.
    case preload
    /// As `measured`, and not counted.
    case warmUp
    case measured
}

/// Hands out the times at which transactions are due.
struct PhaseSchedule {
    private let start: Instant
    private let pacing: Pacing
    /// How many transactions there are at most.
    private let quota: Int
    /// From when on none is begun.
    private let end: Instant
    private let outstandingLimit: Int
    /// How many were begun.
    private(set) var started = 0
    private var isClosed = false

    init(_ phase: LoadPhase, of plan: LoadPlan, at start: Instant) {
        switch phase {
        case .probe: self.init(pacing: .window(1), .count(1), plan.patience, at: start)
        case .preload: self.init(pacing: .window(64), .count(plan.registeredUsers.count), plan.patience, at: start)
        case .warmUp: self.init(pacing: plan.pacing, .count(plan.warmUp), plan.patience, at: start)
        case .measured: self.init(pacing: plan.pacing, plan.extent, plan.patience, at: start)
        }
    }

    /// - Parameter patience: in an open loop a server that is too slow is given so much longer; what then is left is not begun.
    private init(pacing: Pacing, _ extent: Extent, _ patience: TimeSpan, at start: Instant) {
        self.start = start
        self.pacing = pacing
        switch (pacing, extent) {
        case (.window(let window), .count(let count)): (quota, end, outstandingLimit) = (count, .distantFuture, window)
        case (.window(let window), .duration(let span)): (quota, end, outstandingLimit) = (.max, start + span, window)
        case (.rate(let rate), .count(let count)):
            (quota, end, outstandingLimit) = (count, start + PhaseSchedule.span(count, rate) + patience, LoadPlan.outstandingLimit)
        case (.rate(let rate), .duration(let span)):
            let count = Int((rate * Double(span.nanoseconds) / 1e9).rounded(.up))
            (quota, end, outstandingLimit) = (count, start + span + patience, LoadPlan.outstandingLimit)
        }
    }

    /// When the next transaction is, or was, due, if it may begin now.
    func due(at now: Instant, outstanding: Int) -> Instant? {
        guard !isOver(at: now), outstanding < outstandingLimit else { return nil }
        switch pacing {
        case .window: return now
        case .rate(let rate):
            let due = start + PhaseSchedule.span(started, rate)
            return due <= now ? due : nil
        }
    }

    /// When the next transaction will be due: for the shell's wake-up. Nil: it waits for an answer, not for the clock.
    func nextDue(outstanding: Int) -> Instant? {
        guard case .rate(let rate) = pacing, !isClosed, started < quota, outstanding < outstandingLimit else { return nil }
        return start + PhaseSchedule.span(started, rate)
    }

    mutating func begin() { started += 1 }

    /// Begins none from now on.
    mutating func close() { isClosed = true }

    func isOver(at now: Instant) -> Bool { isClosed || started >= quota || now >= end }

    /// Those that were due by a rate, or by a count, and were not begun.
    var notStarted: Int { quota == .max ? 0 : quota - started }

    private static func span(_ number: Int, _ rate: Double) -> TimeSpan {
        TimeSpan(nanoseconds: Int64(Double(number) * 1e9 / rate))
    }
}
