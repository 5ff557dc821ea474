// What a phase of a load came to: counted while it runs, read when it is over.

public import SansIO

/// Why a transaction failed.
public enum LoadFailure: String, CaseIterable, BitwiseCopyable, Hashable, Sendable {
    /// No final answer in time.
    case timeout
    /// A final answer that is not the one awaited; `statuses` has them by number.
    case unexpectedStatus = "unexpected_status"
    /// An answer that breaks the grammar, or lacks what it must have: a Contact, an entity tag, a challenge.
    case malformed
    /// The answer came, but the request was not seen at the application server.
    case missingAtServer = "missing_at_server"
    /// The answer came, but the request, its ACK or its BYE was not seen at the called UE.
    case missingAtCalled = "missing_at_called"
    /// The system told that nobody listens where it was sent.
    case unreachable
    /// It was due, and was not begun before the end: too many were outstanding, or the target answered no more.
    case notStarted = "not_started"
}

/// The figures of one mode.
public struct ModeTally: Hashable, Sendable {
    /// Transactions in which all was seen that must be.
    public internal(set) var completed = 0
    public internal(set) var failures: [LoadFailure: Int] = [:]
    /// Of those completed: from when one was begun (closed loop) or was due (open loop) to the last thing it waited for.
    public internal(set) var latency = LatencyHistogram()

    public var failed: Int { failures.values.reduce(0, +) }
}

/// The figures of one phase.
public struct LoadTally: Hashable, Sendable {
    private var byMode = LoadMode.allCases.map { _ in ModeTally() }
    /// Requests sent again (RFC 3261 §17.1.1.2 and §17.1.2.2), and 200s to an INVITE sent again (§13.3.1.4).
    public internal(set) var retransmissions = 0
    /// Requests that came to the application server or the called UE once more.
    public internal(set) var duplicates = 0
    /// Messages that belong to no transaction of now.
    public internal(set) var strays = 0
    /// Final answers that were not awaited, by status.
    public internal(set) var statuses: [UInt16: Int] = [:]
    /// From the first transaction's begin to the last one's end.
    public internal(set) var elapsed = TimeSpan.zero
    /// Whether it ended before its time: it was stopped, or the target answered no more.
    public internal(set) var wasCutShort = false

    /// The figures of a mode; of one that is not in the mix, all zero.
    public internal(set) subscript(mode: LoadMode) -> ModeTally {
        get { byMode[Int(mode.rawValue)] }
        _modify { yield &byMode[Int(mode.rawValue)] }
    }

    public init() {}

    public var completed: Int { byMode.reduce(0) { $0 + $1.completed } }
    public var failed: Int { byMode.reduce(0) { $0 + $1.failed } }

    /// Completed transactions a second.
    public var rate: Double { elapsed.nanoseconds > 0 ? Double(completed) * 1e9 / Double(elapsed.nanoseconds) : 0 }

    /// Failures of all modes by kind.
    public var failures: [LoadFailure: Int] {
        byMode.reduce(into: [:]) { sum, mode in sum.merge(mode.failures, uniquingKeysWith: +) }
    }

    /// The latencies of all modes.
    public var latency: LatencyHistogram { byMode.reduce(into: LatencyHistogram()) { $0.merge($1.latency) } }
}
