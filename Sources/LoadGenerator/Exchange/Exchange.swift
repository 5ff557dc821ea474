// One transaction of a load as its two or three ends see it, and how a message says which one it belongs to.

import SIPMessage
import SansIO

/// What a UE has sent last. Its number is the last digit of the branch, so each step is a transaction of its own.
enum Step: UInt8, BitwiseCopyable, Sendable {
    case request, authorized, acknowledgement, bye
}

/// A transaction: the UE's part, and of a call what the called UE must send again.
struct Exchange: BitwiseCopyable {
    var mode: LoadMode
    /// Whether it is of the probe or the preload, which any final answer, or any accepted REGISTER, ends.
    var phase: LoadPhase
    var step = Step.request
    /// Counted from 0. The callee is the same user where nobody is called.
    var user: UInt32
    var callee: UInt32
    /// CSeq of the request outstanding.
    var sequence: UInt32 = 1
    var seen: Milestones = []
    /// When it was begun or, in an open loop, was due.
    var due: Instant
    var deadline: Instant

    /// The request, for retransmissions, until its final answer has come.
    var request = PacketID.none
    /// Where the request went: a BYE follows its route set.
    var destination: Endpoint
    var interval: TimeSpan
    var hasProvisional = false
    var timer = TimerID.none

    /// The called UE's 200 to the INVITE, until the ACK has come (RFC 3261 §13.3.1.4).
    var answer = PacketID.none
    var answerDestination = Endpoint.none
    var answerInterval = TimeSpan.zero
    var answerTimer = TimerID.none
}

/// Where a message says which exchange it is of: in the branch and, since a proxy lets that pass, in the Call-ID.
///
/// The number is turned into one that looks drawn, and back: a server's hash may treat Call-IDs that differ in a few digits
/// badly, and those of real UEs do not.
enum ExchangeToken {
    /// The digits of a slot and its generation.
    private static let digits = 16

    /// Odd, so that a multiplication can be undone by one with its inverse modulo 2^64.
    private static let factor: UInt64 = 0x9E37_79B9_7F4A_7C15
    private static let inverse: UInt64 = 0xF1DE_83E1_9937_733D

    static func append(_ id: SlotID, to octets: inout OctetBuffer) {
        octets.appendHex(turned(id.rawValue, by: factor), digits: digits)
    }

    private static func turned(_ value: UInt64, by factor: UInt64) -> UInt64 {
        let product = (value ^ value >> 32) &* factor
        return product ^ product >> 32
    }

    /// The exchange that stands behind a prefix, and what stands behind it; nil: the text is none of ours.
    static func read(_ text: RawSpan, behind prefix: [UInt8]) -> (id: SlotID, rest: Slice)? {
        let end = prefix.count + digits
        guard text.byteCount >= end, text.part(0, prefix.count).equals(prefix) else { return nil }
        var value: UInt64 = 0
        for i in prefix.count..<end {
            guard let digit = text[i].hexDigitValue else { return nil }
            value = value << 4 | UInt64(digit)
        }
        return (SlotID(rawValue: turned(value, by: inverse)), Slice(end, text.byteCount))
    }
}

/// What a timer is for, beside which exchange it is of: a timer ends with its exchange, so the slot's number will do.
enum TimerPurpose: UInt64 {
    /// A retransmission of the UE, or the end of its patience.
    case request
    /// The called UE's 200 is due again.
    case answer

    static func payload(_ purpose: TimerPurpose, _ index: UInt32) -> UInt64 { UInt64(index) << 1 | purpose.rawValue }
    static func read(_ payload: UInt64) -> (purpose: TimerPurpose, index: UInt32) {
        (payload & 1 == 0 ? .request : .answer, UInt32(truncatingIfNeeded: payload >> 1))
    }
}
