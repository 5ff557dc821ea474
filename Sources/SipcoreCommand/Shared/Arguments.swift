// Values as they are written on the command line.

import ArgumentParser
import SansIO

/// A length of time: `700ms`, `2s`, `5m`, `1h`, `7d`.
struct DurationArgument: ExpressibleByArgument, Equatable {
    var span: TimeSpan
    /// As written.
    var defaultValueDescription: String

    private static let units: [(suffix: String, milliseconds: Int)] = [
        ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
    ]

    init?(argument: String) {
        let digits = argument.prefix { ("0"..."9").contains($0) }
        guard let number = Int(digits), let unit = DurationArgument.units.first(where: { $0.suffix == argument.dropFirst(digits.count) })
        else { return nil }
        let (milliseconds, overflow) = number.multipliedReportingOverflow(by: unit.milliseconds)
        guard !overflow, milliseconds <= 3_650 * 86_400_000 else { return nil }
        span = .milliseconds(milliseconds)
        defaultValueDescription = argument
    }

    init(_ span: TimeSpan) {
        self.span = span
        let milliseconds = span.nanoseconds / 1_000_000
        let unit = DurationArgument.units.last { milliseconds > 0 && milliseconds % Int64($0.milliseconds) == 0 }
        defaultValueDescription = unit.map { "\(milliseconds / Int64($0.milliseconds))\($0.suffix)" } ?? "\(milliseconds)ms"
    }
}
