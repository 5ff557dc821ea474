// Latencies by the million in constant memory: counts in buckets that grow with the value, so that every percentile is
// right to within one part in 128 (the idea of HdrHistogram, G. Tene).

public import SansIO

/// Counts of spans of time in log-linear buckets: 128 of equal width for each doubling. Below 256 ns each bucket is one
/// nanosecond; a span above the range is counted in the last bucket, the maximum is kept as it was.
public struct LatencyHistogram: Hashable, Sendable {
    private static let subBucketBits = 7
    private static let subBuckets = 1 << subBucketBits
    /// 2^42 ns, some 73 minutes.
    private static let topBit = 42

    private var counts = ContiguousArray<UInt64>(repeating: 0, count: (topBit - subBucketBits + 1) * subBuckets)
    /// How many spans were counted.
    public private(set) var count: UInt64 = 0
    /// The longest span.
    public private(set) var maximum = TimeSpan.zero
    /// The sum of all, for the mean.
    private var sum: UInt64 = 0

    public init() {}

    /// Counts a span; one below zero counts as zero.
    public mutating func record(_ span: TimeSpan) {
        let value = UInt64(max(span.nanoseconds, 0))
        counts[LatencyHistogram.bucket(of: value)] += 1
        count += 1
        sum &+= value
        if span > maximum { maximum = span }
    }

    /// Adds the counts of another one.
    public mutating func merge(_ other: LatencyHistogram) {
        for i in counts.indices { counts[i] += other.counts[i] }
        count += other.count
        sum &+= other.sum
        maximum = max(maximum, other.maximum)
    }

    /// The span that this share of all does not exceed, from 0 to 1: the highest value of the bucket that holds the span of
    /// this rank, and never above the maximum. Zero if nothing was counted.
    public func percentile(_ share: Double) -> TimeSpan {
        guard count > 0 else { return .zero }
        let rank = max(1, UInt64((share * Double(count)).rounded(.up)))
        var seen: UInt64 = 0
        for (bucket, inBucket) in counts.enumerated() where inBucket > 0 {
            seen += inBucket
            if seen >= rank { return min(LatencyHistogram.highest(in: bucket), maximum) }
        }
        return maximum
    }

    /// The mean; zero if nothing was counted.
    public var mean: TimeSpan { count == 0 ? .zero : TimeSpan(nanoseconds: Int64(sum / count)) }

    private static func bucket(of value: UInt64) -> Int {
        let value = min(value, (1 << UInt64(topBit)) - 1)
        let exponent = max(0, 63 - value.leadingZeroBitCount - subBucketBits)
        guard exponent > 0 else { return Int(value) }
        // The leading bit of the shifted value is the first of the upper half of 2 * subBuckets.
        return exponent * subBuckets + Int(value >> UInt64(exponent))
    }

    private static func highest(in bucket: Int) -> TimeSpan {
        guard bucket >= 2 * subBuckets else { return TimeSpan(nanoseconds: Int64(bucket)) }
        let exponent = bucket / subBuckets - 1
        let lowest = UInt64(bucket - exponent * subBuckets) << UInt64(exponent)
        return TimeSpan(nanoseconds: Int64(lowest + (1 << UInt64(exponent)) - 1))
    }
}
