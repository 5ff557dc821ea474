// Nothing stays behind: when everything is at rest, no transaction, no request and no stored octet is left of what was done.

import SansIO

struct RestChecker: Checker {
    private let cast: Cast
    private(set) var violations: [Violation] = []

    init(_ cast: Cast) { self.cast = cast }

    mutating func observe(_ observation: Observation, at time: Instant) {
        guard case .rested(let work) = observation else { return }
        for remaining in work {
            for (name, count) in remaining.counts where count != 0 {
                violations.append(
                    Violation(
                        checker: "rest", text: "at rest \(cast.name(remaining.station)) still has \(count) \(name)", time: time))
            }
        }
    }
}
