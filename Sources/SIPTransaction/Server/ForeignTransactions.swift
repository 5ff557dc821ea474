// Server transactions of other shards: a request that this shard works on for another one has its server transaction
// there, and what is sent here as its response is handed over to the one who gave the request on.

public import SIPMessage
public import SansIO

extension TransactionLayer {
    /// Hands a response over; where there is no such transaction any more, it is taken back.
    mutating func respondForeign(_ id: SlotID, _ status: UInt16, from start: Int, into wire: inout Wire) {
        guard let shard = id.foreignShard else { return wire.bytes.truncate(to: start) }
        wire.handOver(
            HandOver(.response, from: place.number, to: shard, token: id.unmarked.rawValue, note: UInt64(status)), from: start)
    }

    /// Leaves a request other than INVITE without a final response, in whichever shard its transaction is (RFC 4320 §4.2).
    public mutating func leaveUnanswered(_ id: SlotID, at now: Instant, into wire: inout Wire) {
        guard let shard = id.foreignShard else { return nonInviteServerUnanswered(id, now) }
        wire.handOver(HandOver(.silence, from: place.number, to: shard, token: id.unmarked.rawValue), from: wire.bytes.count)
    }

    /// The shard whose client transaction a response is for, by the branch in its topmost Via; nil: none of ours.
    public static func shard(of response: borrowing Message, _ essentials: Essentials) -> UInt8? {
        response[essentials.via.branch].ownBranchSlot?.shardMark
    }
}

extension RawSpan {
    /// The slot in a branch of ours, with the mark of its shard and without generation.
    @inline(__always)
    var ownBranchSlot: SlotID? {
        guard byteCount >= 31, part(0, 7).equalsIgnoringCase("z9hg4bk"), let index = hexadecimalWord(at: 7) else { return nil }
        return SlotID(index: index, generation: 0)
    }

    /// The random number behind it.
    var ownBranchCheck: UInt64? {
        guard let high = hexadecimalWord(at: 15), let low = hexadecimalWord(at: 23) else { return nil }
        return UInt64(high) << 32 | UInt64(low)
    }
}
