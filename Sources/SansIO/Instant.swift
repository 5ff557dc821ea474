// Time as the cores see it: two clocks, read once per tick by the shell and handed in. No core reads a clock.

/// A point on the monotonic clock, in nanoseconds. Its origin is the shell's business.
public struct Instant: BitwiseCopyable, Hashable, Comparable, Sendable {
    public var nanoseconds: Int64

    @inlinable public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    public static let zero = Instant(nanoseconds: 0)
    /// Later than any instant that occurs.
    public static let distantFuture = Instant(nanoseconds: .max)

    @inlinable public static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }

    @inlinable public static func + (instant: Instant, span: TimeSpan) -> Instant {
        let (sum, overflow) = instant.nanoseconds.addingReportingOverflow(span.nanoseconds)
        return overflow ? .distantFuture : Instant(nanoseconds: sum)
    }

    @inlinable public static func - (a: Instant, b: Instant) -> TimeSpan {
        TimeSpan(nanoseconds: a.nanoseconds.subtractingReportingOverflow(b.nanoseconds).partialValue)
    }
}

/// A length of time, in nanoseconds.
public struct TimeSpan: BitwiseCopyable, Hashable, Comparable, Sendable {
    public var nanoseconds: Int64

    @inlinable public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    public static let zero = TimeSpan(nanoseconds: 0)
    /// Longer than anything takes.
    public static let forever = TimeSpan(nanoseconds: .max)
    @inlinable public static func milliseconds(_ n: Int) -> TimeSpan {
        let (product, overflow) = Int64(n).multipliedReportingOverflow(by: 1_000_000)
        return TimeSpan(nanoseconds: overflow ? .max : product)
    }
    @inlinable public static func seconds(_ n: Int) -> TimeSpan {
        let (product, overflow) = Int64(n).multipliedReportingOverflow(by: 1_000_000_000)
        return TimeSpan(nanoseconds: overflow ? .max : product)
    }
    /// Whole seconds, rounded up: what is left of an `expires` as a header tells it.
    @inlinable public var wholeSeconds: Int64 {
        nanoseconds <= 0 ? 0 : 1 + (nanoseconds - 1) / 1_000_000_000
    }

    @inlinable public static func < (a: TimeSpan, b: TimeSpan) -> Bool { a.nanoseconds < b.nanoseconds }
    @inlinable public static func * (span: TimeSpan, factor: Int) -> TimeSpan {
        let (product, overflow) = span.nanoseconds.multipliedReportingOverflow(by: Int64(factor))
        return TimeSpan(nanoseconds: overflow ? .max : product)
    }
    @inlinable public static func / (span: TimeSpan, divisor: Int) -> TimeSpan {
        TimeSpan(nanoseconds: span.nanoseconds / Int64(divisor))
    }
}

/// A point of civil time in UTC, in microseconds since 1970: for Date headers, stored expiries and traces.
public struct WallTime: BitwiseCopyable, Hashable, Comparable, Sendable {
    public var microseconds: Int64

    @inlinable public init(microseconds: Int64) { self.microseconds = microseconds }
    @inlinable public init(seconds: Int64) { microseconds = seconds &* 1_000_000 }

    @inlinable public var seconds: Int64 { microseconds / 1_000_000 }
    @inlinable public static func < (a: WallTime, b: WallTime) -> Bool { a.microseconds < b.microseconds }
    @inlinable public static func + (time: WallTime, span: TimeSpan) -> WallTime {
        let (sum, overflow) = time.microseconds.addingReportingOverflow(span.nanoseconds / 1000)
        return WallTime(microseconds: overflow ? .max : sum)
    }
    @inlinable public static func - (a: WallTime, b: WallTime) -> TimeSpan {
        let (product, overflow) = a.microseconds.subtractingReportingOverflow(b.microseconds).partialValue
            .multipliedReportingOverflow(by: 1000)
        return TimeSpan(nanoseconds: overflow ? .max : product)
    }
}

/// Both clocks at the start of a tick.
public struct Now: BitwiseCopyable, Hashable, Sendable {
    public var monotonic: Instant
    public var wall: WallTime

    @inlinable public init(monotonic: Instant, wall: WallTime) {
        self.monotonic = monotonic
        self.wall = wall
    }
}
