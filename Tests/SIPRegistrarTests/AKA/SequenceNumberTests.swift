import SansIO
import Testing

@testable import SIPRegistrar

/// TS 33.102 Annex C, and that no number is given out twice.
struct SequenceNumberTests {
    @Test func bothPartsRise() {
        let number = SequenceNumber(rawValue: 0x7E0)
        #expect(number.sequence == 63 && number.index == 0)
        #expect(number.advanced(by: 1).rawValue == 0x801)
        #expect(SequenceNumber(sequence: 7, index: 31).advanced(by: 1) == SequenceNumber(sequence: 8, index: 0))
    }

    @Test func thereAreNoMoreThan48Bits() {
        #expect(SequenceNumber(rawValue: .max).rawValue == 0xFFFF_FFFF_FFFF)
        #expect(SequenceNumber(rawValue: .max).advanced(by: 1) == SequenceNumber(sequence: 0, index: 0))
    }

    @Test func numbersOfDevicesRiseFromTheirStart() {
        var numbers = SequenceNumbers()
        let start = SequenceNumber(rawValue: 0xA00)
        #expect(numbers.next(of: 1, from: start).number.sequence == start.sequence + 1)
        #expect(numbers.next(of: 1, from: start).number.sequence == start.sequence + 2)
        #expect(numbers.next(of: 2, from: SequenceNumber(rawValue: 0)).number.sequence == 1)
    }

    /// Whatever is stored when, what is given out after a restart is later than all before, if the first mark was stored.
    @Test func aRestartGoesOnAheadOfAllThatWasGivenOut() throws {
        var random = RandomSource(seed: 7)
        for _ in 0..<200 {
            var numbers = SequenceNumbers()
            let (first, mark) = numbers.next(of: 1, from: SequenceNumber(rawValue: 0))
            var stored = try #require(mark)
            var last = first
            // A mark is stored up to ten challenges late.
            var pending: (mark: SequenceNumber, in: Int)?
            for _ in 0..<Int.random(in: 0..<200, using: &random) {
                let (number, mark) = numbers.next(of: 1, from: SequenceNumber(rawValue: 0))
                #expect(number.sequence > last.sequence)
                last = number
                if let mark { pending = (mark, Int.random(in: 0..<10, using: &random)) }
                if let waiting = pending {
                    if waiting.in == 0 {
                        stored = waiting.mark
                        pending = nil
                    } else {
                        pending = (waiting.mark, waiting.in - 1)
                    }
                }
            }
            var restarted = SequenceNumbers()
            restarted.set(stored, of: 1)
            #expect(restarted.next(of: 1, from: SequenceNumber(rawValue: 0)).number.sequence > last.sequence)
        }
    }

    @Test func anotherDeviceGoesOnWhereOneHasEnded() {
        var numbers = SequenceNumbers()
        let start = SequenceNumber(rawValue: 0)
        for _ in 0..<3 { _ = numbers.next(of: 1, from: start) }
        numbers.move(1, to: 2)
        #expect(numbers.next(of: 2, from: start).number.sequence == 4)
        #expect(numbers.next(of: 2, from: start).mark == nil)
        #expect(numbers.next(of: 1, from: start).number.sequence == 1)
        numbers.move(9, to: 2)
        #expect(numbers.next(of: 2, from: start).number.sequence == 6)
    }

    @Test func aLostMarkIsStoredAgain() {
        var numbers = SequenceNumbers()
        let start = SequenceNumber(rawValue: 0)
        #expect(numbers.next(of: 1, from: start).mark != nil)
        #expect(numbers.next(of: 1, from: start).mark == nil)
        numbers.loseMarks()
        #expect(numbers.next(of: 1, from: start).mark != nil)
    }

    @Test func marksAreSeldomStored() {
        var numbers = SequenceNumbers()
        let marks = (0..<320).count { _ in numbers.next(of: 1, from: SequenceNumber(rawValue: 0)).mark != nil }
        #expect(marks <= 20)
    }
}
