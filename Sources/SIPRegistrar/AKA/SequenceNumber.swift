// Sequence numbers of AKA (TS 33.102 §6.3 and Annex C): that a challenge is fresh shows in a number which only rises.
//
// The profile is that of Annex C.3.2: SQN is SEQ followed by an index IND of five bits, and both go up by one for each
// challenge, so the number goes up by some 32.

import SansIO

/// SQN: 48 bits.
public struct SequenceNumber: BitwiseCopyable, Hashable, Sendable {
    public let rawValue: UInt64

    static let indexBits: UInt64 = 5
    static let indexCount = 1 << indexBits
    /// The farthest that SEQ may rise at once (Δ, Annex C.2.1 and C.3.2), so that nobody can use the numbers up.
    static let farthestRise: UInt64 = 1 << 28
    private static let sequenceMask: UInt64 = 1 << 43 - 1

    /// - Parameter rawValue: its low 48 bits count.
    public init(rawValue: UInt64) { self.rawValue = rawValue & (1 << 48 - 1) }

    init(sequence: UInt64, index: Int) {
        self.init(
            rawValue: (sequence & SequenceNumber.sequenceMask) << SequenceNumber.indexBits | UInt64(index % SequenceNumber.indexCount))
    }

    /// SEQ.
    var sequence: UInt64 { rawValue >> SequenceNumber.indexBits }
    /// IND.
    var index: Int { Int(rawValue & (1 << SequenceNumber.indexBits - 1)) }

    /// The number of so many challenges later.
    func advanced(by steps: Int) -> SequenceNumber {
        SequenceNumber(sequence: sequence &+ UInt64(steps), index: index + steps)
    }
}

/// The sequence numbers of the home network, by device.
///
/// A restart must not give out a number again. So what is stored is not the last number but a mark ahead of it, which is
/// renewed when half of the way is gone, long before it is reached; after a restart the numbers go on from the mark. Only where
/// no mark was ever stored, a crash between a first challenge and its commit can lead to the same number twice: the SIM takes
/// it for old and asks for a resynchronisation.
struct SequenceNumbers: ~Copyable {
    struct Entry: BitwiseCopyable {
        var last: SequenceNumber
        /// What is stored; nil: nothing that can be relied on.
        var mark: SequenceNumber?
    }

    /// Challenges between a number and the mark ahead of it.
    private static let stride = 32

    private var keys = KeyTable()
    private var entries = Slab<Entry>()

    init() {}

    /// The next number of a device.
    ///
    /// - Parameter start: where a device begins of which nothing is known.
    /// - Returns: the number, and the mark that is to be stored for the device; nil: the stored one will do.
    mutating func next(of device: UInt64, from start: SequenceNumber) -> (number: SequenceNumber, mark: SequenceNumber?) {
        let slot = slot(of: device, from: start)
        let number = entries[slot].last.advanced(by: 1)
        entries[slot].last = number
        if let mark = entries[slot].mark, mark.sequence >= number.sequence + UInt64(SequenceNumbers.stride / 2) { return (number, nil) }
        let mark = number.advanced(by: SequenceNumbers.stride)
        entries[slot].mark = mark
        return (number, mark)
    }

    /// The numbers of a device go on from this one, which its SIM named or which was stored as the mark.
    mutating func set(_ number: SequenceNumber, of device: UInt64) {
        let slot = slot(of: device, from: number)
        entries[slot] = Entry(last: number, mark: nil)
    }

    /// Whether a SIM with this highest number would take the next one of its device for fresh (TS 33.102 Annex C.2.2).
    func isFresh(of device: UInt64, after highest: SequenceNumber) -> Bool {
        guard let slot = keys[KeyHash(number: device)] else { return false }
        let next = entries[slot].last.advanced(by: 1)
        return next.sequence > highest.sequence && next.sequence - highest.sequence <= SequenceNumber.farthestRise
    }

    /// What is known of a device holds for another one from now on.
    mutating func move(_ device: UInt64, to other: UInt64) {
        guard device != other, let old = keys[KeyHash(number: device)] else { return }
        let entry = entries[old]
        let new = slot(of: other, from: entry.last)
        entries[new] = entry
        remove(of: device)
    }

    /// Nothing is known of a device any more.
    mutating func remove(of device: UInt64) {
        let key = KeyHash(number: device)
        guard let slot = keys[key] else { return }
        entries.remove(slot)
        keys.remove(key)
    }

    /// A commit failed: no mark can be relied on any more.
    mutating func loseMarks() {
        for slot in 0..<entries.endIndex where entries.isInUse(slot) { entries[slot].mark = nil }
    }

    private mutating func slot(of device: UInt64, from start: SequenceNumber) -> UInt32 {
        let key = KeyHash(number: device)
        if let slot = keys[key] { return slot }
        let slot = entries.insert(Entry(last: start, mark: nil)).index
        keys.set(key, to: slot)
        return slot
    }
}
