// The nearest known name to one that is not known.

/// Finds what was meant by a name that is not known.
public enum Suggestion {
    /// The candidate that was most likely meant; nil if none is near.
    public static func nearest(to name: String, among candidates: some Sequence<String>) -> String? {
        let wanted = folded(name)
        let limit = wanted.count <= 3 ? 1 : wanted.count <= 6 ? 2 : 3
        var best: (name: String, distance: Int)?
        for candidate in candidates {
            let letters = folded(candidate)
            guard abs(letters.count - wanted.count) <= limit else { continue }
            let distance = distance(wanted, letters)
            if distance <= limit, distance < letters.count, distance < best?.distance ?? .max { best = (candidate, distance) }
        }
        return best?.name
    }

    /// What to write instead: the nearest name, or all of them if they are few, or else `otherwise`.
    static func advice(for name: String, among candidates: [String], otherwise: String) -> String {
        if let nearest = nearest(to: name, among: candidates) { return "write '\(nearest)'" }
        if candidates.count == 1 { return "write '\(candidates[0])'" }
        if 2...24 ~= candidates.count { return "write one of \(candidates.joined(separator: ", "))" }
        return otherwise
    }

    /// Case and the choice between `-` and `_` are no difference.
    private static func folded(_ name: String) -> [Character] { name.lowercased().map { $0 == "-" ? "_" : $0 } }

    /// Insertions, deletions, replacements and exchanges of neighbours that lead from one to the other.
    private static func distance(_ a: [Character], _ b: [Character]) -> Int {
        var before: [Int] = []
        var last = Array(0...b.count)
        for i in a.indices {
            var row = [i + 1]
            for j in b.indices {
                var cost = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, before[j - 1] + 1) }
                row.append(cost)
            }
            before = last
            last = row
        }
        return last[b.count]
    }
}
