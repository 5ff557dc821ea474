import SansIO
import Testing

struct CivilDateTests {
    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00.000000Z", "Thu, 01 Jan 1970 00:00:00 GMT"),
            (-1, "1969-12-31T23:59:59.000000Z", "Wed, 31 Dec 1969 23:59:59 GMT"),
            (951_782_399, "2000-02-28T23:59:59.000000Z", "Mon, 28 Feb 2000 23:59:59 GMT"),
            (951_782_400, "2000-02-29T00:00:00.000000Z", "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_800, "2000-03-01T00:00:00.000000Z", "Wed, 01 Mar 2000 00:00:00 GMT"),
            (1_709_164_800, "2024-02-29T00:00:00.000000Z", "Thu, 29 Feb 2024 00:00:00 GMT"),
            (1_795_334_700, "2026-11-22T08:05:00.000000Z", "Sun, 22 Nov 2026 08:05:00 GMT"),
            (2_147_483_648, "2038-01-19T03:14:08.000000Z", "Tue, 19 Jan 2038 03:14:08 GMT"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z", "Mon, 01 Mar 2100 00:00:00 GMT"),
            (4_107_542_399, "2100-02-28T23:59:59.000000Z", "Sun, 28 Feb 2100 23:59:59 GMT"),
            (-2_203_891_200, "1900-03-01T00:00:00.000000Z", "Thu, 01 Mar 1900 00:00:00 GMT"),
            (-11_644_473_600, "1601-01-01T00:00:00.000000Z", "Mon, 01 Jan 1601 00:00:00 GMT"),
        ] as [(Int64, String, String)])
    func knownDates(_ seconds: Int64, _ rfc3339: String, _ sipDate: String) {
        var buffer = OctetBuffer()
        buffer.appendRFC3339(WallTime(seconds: seconds))
        #expect(String(octets: buffer.bytes) == rfc3339)
        buffer.removeAll()
        buffer.appendSIPDate(WallTime(seconds: seconds))
        #expect(String(octets: buffer.bytes) == sipDate)
    }

    @Test func microsecondsCountUpBefore1970Too() {
        #expect(CivilDate(WallTime(microseconds: -1)).microsecond == 999_999)
        #expect(CivilDate(WallTime(microseconds: -1)).second == 59)
        #expect(CivilDate(WallTime(microseconds: 123)).microsecond == 123)
    }

    /// Day by day over 800 years, with a calendar that only counts.
    @Test func agreesWithACountedCalendar() {
        var (year, month, day) = (1600, 1, 1)
        var weekday = 6
        for days in Int64(-135_140)..<157_056 {
            let date = CivilDate(WallTime(seconds: days * 86_400))
            #expect(date.year == year && date.month == month && date.day == day && date.weekday == weekday)
            weekday = (weekday + 1) % 7
            let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
            day += 1
            if day > lengths[month - 1] { (day, month) = (1, month + 1) }
            if month > 12 { (month, year) = (1, year + 1) }
        }
    }

    @Test func theEndsOfTimeAreDatesToo() {
        #expect(CivilDate(WallTime(microseconds: .max)).year == 294_247)
        #expect(CivilDate(WallTime(microseconds: .min)).year == -290_308)
        var buffer = OctetBuffer()
        buffer.appendRFC3339(WallTime(microseconds: .min))
        buffer.appendSIPDate(WallTime(microseconds: .max))
        #expect(buffer.count > 40)
    }
}

struct InstantTests {
    @Test func sumsStopAtTheEndOfTime() {
        #expect(Instant(nanoseconds: .max) + .seconds(1) == .distantFuture)
        #expect(TimeSpan.seconds(.max).nanoseconds == .max)
        #expect(TimeSpan.milliseconds(.max).nanoseconds == .max)
        #expect((TimeSpan.seconds(1_000_000_000) * 1_000_000).nanoseconds == .max)
        #expect((WallTime(microseconds: .max) + .seconds(1)).microseconds == .max)
        #expect((WallTime(microseconds: .max) - WallTime(microseconds: 0)).nanoseconds == .max)
    }

    @Test(arguments: [(-5, 0), (0, 0), (1, 1), (999_999_999, 1), (1_000_000_000, 1), (1_000_000_001, 2)] as [(Int64, Int64)])
    func wholeSecondsAreRoundedUp(_ nanoseconds: Int64, _ seconds: Int64) {
        #expect(TimeSpan(nanoseconds: nanoseconds).wholeSeconds == seconds)
    }

    @Test func arithmetic() {
        let start = Instant(nanoseconds: 5)
        #expect(start + .milliseconds(2) - start == .milliseconds(2))
        #expect(TimeSpan.seconds(4) / 8 == .milliseconds(500))
        #expect(TimeSpan.milliseconds(500) * 64 == .seconds(32))
    }
}
