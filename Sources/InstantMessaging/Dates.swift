// Points of civil time as text.

import SIPMessage
import SansIO

extension WallTime {
    /// `2026-11-22T08:05:00.000123Z` (RFC 3339).
    var rfc3339: String {
        var buffer = OctetBuffer(capacity: 64)
        buffer.appendRFC3339(self)
        return String(octets: buffer.bytes)
    }

    /// Reads a Date header's value, `Sun, 22 Nov 2026 08:05:00 GMT` (RFC 3261 §20.17); nil for anything else.
    init?(sipDate text: RawSpan) {
        var words: [Slice] = []
        var i = 0
        while i < text.byteCount {
            while i < text.byteCount, text[i] == 0x20 || text[i] == 0x2C || text[i] == 0x3A { i += 1 }
            let start = i
            while i < text.byteCount, text[i] != 0x20, text[i] != 0x2C, text[i] != 0x3A { i += 1 }
            if i > start { words.append(Slice(start, i)) }
        }
        // Weekday, day, month, year, hour, minute, second, GMT.
        guard words.count == 8, text[words[7]].equalsIgnoringCase("gmt"), let day = text.decimal(words[1], maximum: 31), day > 0,
            let month = CivilDate.monthNames.firstIndex(where: { text[words[2]].equals($0) }),
            let year = text.decimal(words[3], maximum: 9999), let hour = text.decimal(words[4], maximum: 23),
            let minute = text.decimal(words[5], maximum: 59), let second = text.decimal(words[6], maximum: 60)
        else { return nil }
        let days = WallTime.days(year: Int64(year), month: Int64(month + 1), day: Int64(day))
        self.init(seconds: days * 86_400 + Int64(hour) * 3600 + Int64(minute) * 60 + Int64(second))
    }

    /// Days since 1970 in the Gregorian calendar, counted in years that begin in March.
    private static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = (shiftedYear >= 0 ? shiftedYear : shiftedYear - 399) / 400
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}
