// The clock that a node's core is shown. It is the system's, or one that stands still until it is told to move; what the
// shell does for itself (time-outs of HTTP, of streams, of its own end) goes by the system's clock in any case.

public import SansIO
import Synchronization

/// The clock of a node.
public enum NodeClock: Sendable {
    case system
    case virtual(VirtualClock)

    /// Both clocks now.
    public var now: Now {
        switch self {
        case .system: SystemClock.now
        case .virtual(let clock): clock.now
        }
    }
}

/// A clock that moves only when it is told to.
public final class VirtualClock: Sendable {
    /// Where its monotonic side begins: not at zero, which some take for never.
    private static let origin: Int64 = 1_000_000_000

    /// The civil time at which it began.
    public let start: WallTime
    private let passed: Atomic<Int64>

    public init(start: WallTime, elapsed: TimeSpan = .zero) {
        self.start = start
        passed = Atomic(elapsed.nanoseconds)
    }

    /// How much of its time has passed.
    public var elapsed: TimeSpan { TimeSpan(nanoseconds: passed.load(ordering: .acquiring)) }

    public var now: Now {
        let elapsed = elapsed
        return Now(monotonic: Instant(nanoseconds: VirtualClock.origin) + elapsed, wall: start + elapsed)
    }

    /// How much of its time will have passed at an instant of its monotonic side.
    func elapsed(at instant: Instant) -> TimeSpan { instant - Instant(nanoseconds: VirtualClock.origin) }

    /// Moves it. It never goes back.
    func move(to elapsed: TimeSpan) {
        if elapsed > self.elapsed { passed.store(elapsed.nanoseconds, ordering: .releasing) }
    }
}
