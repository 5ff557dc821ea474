// The clocks that a shard reads, once per tick.

import Glibc
public import SansIO

/// The system's clocks in the units of the cores. `Instant`s count from the origin of CLOCK_MONOTONIC.
public enum SystemClock {
    /// Both clocks now.
    public static var now: Now {
        Now(monotonic: Instant(nanoseconds: read(CLOCK_MONOTONIC)), wall: WallTime(microseconds: read(CLOCK_REALTIME) / 1000))
    }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
