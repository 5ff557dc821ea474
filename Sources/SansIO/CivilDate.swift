// The proleptic Gregorian calendar in UTC, without a library: for the Date header (RFC 3261 §20.17, the format of
// RFC 1123) and for RFC 3339 in traces and on the HTTP interface.

/// A date and a time of day in UTC.
public struct CivilDate: BitwiseCopyable, Hashable, Sendable {
    public var year: Int
    public var month: Int
    public var day: Int
    public var hour: Int
    public var minute: Int
    public var second: Int
    public var microsecond: Int
    /// 0 is Sunday.
    public var weekday: Int

    public init(_ time: WallTime) {
        let seconds = time.microseconds.flooredQuotient(by: 1_000_000)
        microsecond = Int(time.microseconds &- seconds &* 1_000_000)
        let days = seconds.flooredQuotient(by: 86_400)
        let rest = Int(seconds - days * 86_400)
        hour = rest / 3600
        minute = rest % 3600 / 60
        second = rest % 60
        weekday = Int((days + 4) - (days + 4).flooredQuotient(by: 7) * 7)
        // Counted from 1 March of the year 0, in eras of 400 years, so that the leap day is the last of its year.
        let shifted = days + 719_468
        let era = shifted.flooredQuotient(by: 146_097)
        let dayOfEra = Int(shifted - era * 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        year = yearOfEra + Int(era) * 400 + (month <= 2 ? 1 : 0)
    }

    public static let weekdayNames: [StaticString] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    public static let monthNames: [StaticString] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]
}

extension OctetBuffer {
    /// `Sun, 22 Nov 2026 08:05:00 GMT` (RFC 3261 §20.17).
    public mutating func appendSIPDate(_ time: WallTime) {
        let date = CivilDate(time)
        append(CivilDate.weekdayNames[date.weekday])
        append(", ")
        appendDecimal(UInt64(date.day), digits: 2)
        append(" ")
        append(CivilDate.monthNames[date.month - 1])
        append(" ")
        appendDecimal(UInt64(clamping: date.year), digits: 4)
        append(" ")
        appendDecimal(UInt64(date.hour), digits: 2)
        append(":")
        appendDecimal(UInt64(date.minute), digits: 2)
        append(":")
        appendDecimal(UInt64(date.second), digits: 2)
        append(" GMT")
    }

    /// `2026-11-22T08:05:00.000123Z` (RFC 3339).
    public mutating func appendRFC3339(_ time: WallTime) {
        let date = CivilDate(time)
        appendDecimal(UInt64(clamping: date.year), digits: 4)
        append("-")
        appendDecimal(UInt64(date.month), digits: 2)
        append("-")
        appendDecimal(UInt64(date.day), digits: 2)
        append("T")
        appendDecimal(UInt64(date.hour), digits: 2)
        append(":")
        appendDecimal(UInt64(date.minute), digits: 2)
        append(":")
        appendDecimal(UInt64(date.second), digits: 2)
        append(".")
        appendDecimal(UInt64(date.microsecond), digits: 6)
        append("Z")
    }
}

extension Int64 {
    fileprivate func flooredQuotient(by divisor: Int64) -> Int64 {
        let quotient = self / divisor
        return self % divisor < 0 ? quotient - 1 : quotient
    }
}
