import LoadGenerator
import SansIO
import Testing

@Suite struct LatencyHistogramTests {
    /// Against all values sorted: within one part in 128, never below, and the maximum as it is.
    @Test(arguments: [1, 2, 3] as [UInt64])
    func percentilesAreThoseOfTheSortedValues(seed: UInt64) {
        var random = RandomSource(seed: seed)
        var histogram = LatencyHistogram()
        let values = (0..<20_000).map { _ in Int64(truncatingIfNeeded: random.next() >> (25 + random.next() % 36)) }
        for value in values { histogram.record(TimeSpan(nanoseconds: value)) }
        let sorted = values.sorted()
        for share in [0.0001, 0.01, 0.5, 0.9, 0.99, 0.999, 1] {
            let exact = sorted[max(1, Int((share * Double(sorted.count)).rounded(.up))) - 1]
            let found = histogram.percentile(share).nanoseconds
            #expect(found >= exact && found <= exact + exact / 128, "\(share): \(found) for \(exact)")
        }
        #expect(histogram.maximum.nanoseconds == sorted.last)
        #expect(histogram.percentile(1) == histogram.maximum)
        #expect(histogram.count == 20_000)
        #expect(histogram.mean.nanoseconds == values.reduce(0, +) / 20_000)
    }

    @Test func smallValuesAreExact() {
        var histogram = LatencyHistogram()
        for value in 0..<256 { histogram.record(TimeSpan(nanoseconds: Int64(value))) }
        for value in 1...256 {
            #expect(histogram.percentile(Double(value) / 256).nanoseconds == Int64(value - 1))
        }
    }

    @Test func whatIsOutOfRangeIsCounted() {
        var histogram = LatencyHistogram()
        histogram.record(TimeSpan(nanoseconds: -5))
        histogram.record(.seconds(100_000))
        #expect(histogram.count == 2)
        #expect(histogram.percentile(0.5) == .zero)
        #expect(histogram.percentile(1) > .seconds(4000) && histogram.maximum == .seconds(100_000))
    }

    @Test func nothingIsZero() {
        #expect(LatencyHistogram().percentile(0.99) == .zero)
        #expect(LatencyHistogram().mean == .zero)
    }

    @Test func twoMergedAreOne() {
        var (all, even, odd) = (LatencyHistogram(), LatencyHistogram(), LatencyHistogram())
        for value in 0..<1000 {
            let span = TimeSpan(nanoseconds: Int64(value * value))
            all.record(span)
            if value % 2 == 0 { even.record(span) } else { odd.record(span) }
        }
        even.merge(odd)
        #expect(even == all)
    }
}
