import SIPMessage
import SansIO
import Testing

@testable import IMSProfile

@Suite("Values of feature tags")
struct FeatureValueTests {
    private func overlaps(_ one: String, _ other: String) -> Bool {
        let one = Array(one.utf8)
        let other = Array(other.utf8)
        let value = FeatureValue(one.span.bytes, Slice(0, one.count))
        return value.overlaps(FeatureValue(other.span.bytes, Slice(0, other.count)), in: one.span.bytes, other.span.bytes)
    }

    static let overlapping = [
        ("INVITE", "invite"), ("INVITE", "!BYE"), ("!INVITE", "!BYE"), ("TRUE", "true"), ("!TRUE", "FALSE"), ("!FALSE", "TRUE"),
        ("<a>", "<a>"), ("!<a>", "<A>"), ("#five", "!#six"), ("#=5", "!BYE"), ("TRUE", "!BYE"), ("#1.5", "#1.5"), ("#=1.50", "#=1.5"),
        ("#>=3", "#<=3"), ("#1:9", "#=9"), ("#-5:-1", "#<=-5"), ("#=+2", "#=2.0"), ("!#=5", "!#=5"), ("!#>=3", "#<=2.9"),
        ("!#1:2", "#0:1"), ("<=>", "<=>"), ("!#>=5", "!#>=7"),
    ]
    static let disjoint = [
        ("INVITE", "BYE"), ("INVITE", "!invite"), ("TRUE", "FALSE"), ("!TRUE", "TRUE"), ("<a>", "<A>"), ("<a>", "a"), ("!<a>", "<a>"),
        ("#>=3.1", "#<=3"), ("#1:9", "#=9.5"), ("#=5", "5"), ("#=5", "!#1:9"), ("!#>=3", "#=3"), ("!#<=5", "!#>=5"), ("!#<=5", "!#>=3"),
        ("#=1", "TRUE"), ("!TRUE", "!FALSE"),
    ]

    @Test("values with something in common", arguments: overlapping)
    func overlap(_ one: String, _ other: String) {
        #expect(overlaps(one, other))
        #expect(overlaps(other, one))
    }

    @Test("values with nothing in common", arguments: disjoint)
    func areDisjoint(_ one: String, _ other: String) {
        #expect(!overlaps(one, other))
        #expect(!overlaps(other, one))
    }

    @Test("intervals overlap exactly if some number is in both")
    func intervals() {
        var random = RandomSource(seed: 7)
        for _ in 0..<4000 {
            let one = Interval.random(&random)
            let other = Interval.random(&random)
            let expected = Interval.samples.contains { one.contains($0) && other.contains($0) }
            #expect(overlaps(one.text, other.text) == expected, "\(one.text) and \(other.text)")
        }
    }

    private struct Interval {
        var low: Double?
        var high: Double?
        var isNegated: Bool

        static let samples = stride(from: -20.0, through: 20.0, by: 0.25)

        var text: String {
            let sign = isNegated ? "!#" : "#"
            switch (low, high) {
            case (let low?, let high?): return low == high ? "\(sign)=\(low)" : "\(sign)\(low):\(high)"
            case (let low?, nil): return "\(sign)>=\(low)"
            case (nil, let high?): return "\(sign)<=\(high)"
            case (nil, nil): return "\(sign)-100:100"
            }
        }

        func contains(_ number: Double) -> Bool {
            ((low ?? -100) <= number && number <= (high ?? 100)) != isNegated
        }

        static func random(_ random: inout RandomSource) -> Interval {
            let low = Double(Int.random(in: -8...8, using: &random)) / 2
            let high = low + Double(Int.random(in: 0...6, using: &random)) / 2
            let kind = Int.random(in: 0..<4, using: &random)
            return Interval(low: kind == 1 ? nil : low, high: kind == 2 ? nil : high, isNegated: .random(using: &random))
        }
    }
}
