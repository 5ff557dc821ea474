// Which mode the next transaction has: the shares are met after every few transactions, not only in the end.

/// Modes with their shares, dealt out by smooth weighted round robin: the mode furthest behind its share is next.
public struct ModeShares: Hashable, Sendable {
    /// A mode and how many of the sum of all shares are its own.
    public struct Share: Hashable, Sendable {
        public var mode: LoadMode
        public var weight: Int
        public init(_ mode: LoadMode, _ weight: Int) {
            self.mode = mode
            self.weight = weight
        }
    }

    /// In the order given.
    public let shares: [Share]
    private let sum: Int
    private var credits: [Int]

    /// Of one mode alone.
    public init(_ mode: LoadMode) { self.init(shares: [Share(mode, 1)]) }

    /// Reads `register=50,publish=30,message=20`.
    ///
    /// - Throws: what is wrong, as one line.
    public init(_ text: String) throws(LoadPlanFault) {
        var shares: [Share] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let words = part.split(separator: "=", omittingEmptySubsequences: false)
            guard words.count == 2, let weight = Int(words[1]), (1...1_000_000).contains(weight) else {
                throw LoadPlanFault("the mix \(text): '\(part)' is no share; write register=50,publish=30,message=20")
            }
            guard let mode = LoadMode(name: words[0]) else {
                let known = LoadMode.allCases.map(\.name).joined(separator: ", ")
                throw LoadPlanFault("the mix \(text): there is no mode '\(words[0])'; there are \(known)")
            }
            guard !shares.contains(where: { $0.mode == mode }) else {
                throw LoadPlanFault("the mix \(text): \(mode.name) has two shares; add them up")
            }
            shares.append(Share(mode, weight))
        }
        self.init(shares: shares)
    }

    private init(shares: [Share]) {
        self.shares = shares
        sum = shares.reduce(0) { $0 + $1.weight }
        credits = Array(repeating: 0, count: shares.count)
    }

    /// The modes, in the order given.
    public var modes: [LoadMode] { shares.map(\.mode) }

    /// Deals out the next mode.
    mutating func next() -> LoadMode {
        guard shares.count > 1 else { return shares[0].mode }
        var best = 0
        for i in shares.indices {
            credits[i] += shares[i].weight
            if credits[i] > credits[best] { best = i }
        }
        credits[best] -= sum
        return shares[best].mode
    }

    /// Takes back the last one dealt out: it could not be begun.
    mutating func putBack(_ mode: LoadMode) {
        guard shares.count > 1 else { return }
        for i in shares.indices {
            credits[i] -= shares[i].weight
            if shares[i].mode == mode { credits[i] += sum }
        }
    }
}
