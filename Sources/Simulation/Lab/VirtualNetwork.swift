// The network: what becomes of each datagram, by a seed.

import SansIO

struct VirtualNetwork {
    var quality: NetworkQuality
    private var random: RandomSource
    private var partitions: [Pair: Int] = [:]

    private struct Pair: Hashable {
        var a: Int
        var b: Int
        init(_ one: Int, _ other: Int) {
            a = min(one, other)
            b = max(one, other)
        }
    }

    init(_ quality: NetworkQuality, random: RandomSource) {
        self.quality = quality
        self.random = random
    }

    /// When each copy of a datagram arrives; none: it is lost.
    mutating func delays(from sender: Int, to receiver: Int) -> [TimeSpan] {
        guard partitions[Pair(sender, receiver)] == nil else { return [] }
        var delays: [TimeSpan] = []
        for _ in 0..<(happens(quality.duplication) ? 2 : 1) where !happens(quality.loss) {
            let usual = Int64.random(in: 100_000...2_000_000, using: &random)
            let extra = happens(quality.reordering) ? Int64.random(in: 0...quality.lateness.nanoseconds, using: &random) : 0
            delays.append(TimeSpan(nanoseconds: usual + extra))
        }
        return delays
    }

    private mutating func happens(_ perMille: Int) -> Bool { perMille > 0 && Int.random(in: 0..<1000, using: &random) < perMille }

    mutating func part(_ a: Int, _ b: Int) { partitions[Pair(a, b), default: 0] += 1 }

    mutating func join(_ a: Int, _ b: Int) {
        let count = (partitions[Pair(a, b)] ?? 1) - 1
        partitions[Pair(a, b)] = count > 0 ? count : nil
    }

    /// From now on everything arrives, once and in time.
    mutating func heal() {
        quality = NetworkQuality()
        partitions = [:]
    }
}
