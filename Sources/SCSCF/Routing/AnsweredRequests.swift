// Merged requests (RFC 3261 §8.2.2.2): a proxy before us has forked a request, and we get it twice. The second one, for which
// there is no transaction, is answered 482 by whoever answers requests itself: the registrar, and the core as a user agent. A
// proxy passes both on.
//
// Where what was answered lately is noted is decided by a hash of From tag, Call-ID and CSeq; a later request may take the
// place, so the memory is bounded, and under much load an old request is not known any more: copies come within moments.

import SIPMessage
import SIPTransaction
import SansIO

/// Requests that the core has answered itself, by what two copies of one have in common.
struct AnsweredRequests {
    struct Note: BitwiseCopyable {
        /// Never 0 where there is one.
        var mark: UInt64 = 0
        var server = SlotID.none
    }
    private static let places = 8192
    private var notes = ContiguousArray(repeating: Note(), count: AnsweredRequests.places)
    private let secret: HashSecret

    init(secret: HashSecret) { self.secret = secret }

    /// What copies of a request have in common: From tag, Call-ID and CSeq.
    func mark(_ request: borrowing Message, _ essentials: Essentials) -> UInt64 {
        var hasher = KeyHasher(secret)
        hasher.combine(request[essentials.callID])
        hasher.combine(request[essentials.from.tag])
        hasher.combine(UInt64(essentials.sequence) << 8 | UInt64(essentials.method.rawValue))
        return hasher.finish().low | 1
    }

    /// The transaction that was noted for a request.
    func server(of mark: UInt64) -> SlotID? {
        let note = notes[place(of: mark)]
        return note.mark == mark ? note.server : nil
    }

    mutating func note(_ mark: UInt64, _ server: SlotID) { notes[place(of: mark)] = Note(mark: mark, server: server) }

    private func place(of mark: UInt64) -> Int { Int(truncatingIfNeeded: mark >> 32) & (AnsweredRequests.places - 1) }
}

extension ServingCSCF {
    /// Whether a request that the core answers itself is another copy of one whose transaction is still there. One that answers
    /// our challenge to that is none, though its CSeq should be a new one (§22.2).
    mutating func isMerged(_ arrival: Arrival, _ request: borrowing Message) -> Bool {
        guard arrival.essentials.to.tag.isEmpty else { return false }
        let mark = answered.mark(request, arrival.essentials)
        if let earlier = answered.server(of: mark), let status = transactions.lastStatus(of: earlier) {
            let answersChallenge = status == 401 ? request.has(.authorization) : false
            if !answersChallenge { return true }
        }
        answered.note(mark, arrival.server)
        return false
    }
}
