// Civil times of instants of the monotonic clock, such that one instant is told as one time, however often it is asked for.

import SansIO
import Synchronization

/// The distance of the two clocks, which are read one after the other: so it seems to change from reading to reading.
final class CivilTimes: Sendable {
    /// What the clocks have to part by to be believed: the system's time was set, or the machine slept.
    private static let tolerance: Int64 = 100_000

    /// Microseconds from the monotonic clock's origin to 1970.
    private let distance = Mutex<Int64?>(nil)

    func time(of instant: Instant, at now: Now) -> WallTime {
        let current = now.wall.microseconds - now.monotonic.nanoseconds / 1000
        let distance = distance.withLock { kept in
            if let known = kept, abs(known - current) < CivilTimes.tolerance { return known }
            kept = current
            return current
        }
        return WallTime(microseconds: distance + instant.nanoseconds / 1000)
    }
}
