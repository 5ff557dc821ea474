// Chains that a final answer of an application server has ended, for the servers that answer first and send the request on
// afterwards: store and forward, or a B2BUA that takes its time. The original dialog identifier holds until the answer has been
// dealt with and a little longer, so such a request goes on behind the server's criterion and is not taken for a new one.
//
// Where a chain is noted is decided by its number; a later one may take the place, so the memory is bounded.

import IMSProfile
import SIPTransaction
import SansIO

/// Where a chain is: for whom, and at which criterion of which profile.
struct ChainPlace: BitwiseCopyable {
    var served: IdentityReference
    /// What the served user is called, if its identity is a wildcard.
    var servedName: PacketID
    var profile: Int32
    var criterion: Int16
    var sessionCase: SessionCase
    var isRegistered: Bool

    init(_ context: RequestContext) {
        served = context.served
        servedName = context.servedName
        profile = context.profile
        criterion = context.criterion
        sessionCase = context.sessionCase
        isRegistered = context.isRegistered
    }
}

struct EndedChains {
    private struct Note: BitwiseCopyable {
        var context: SlotID
        var until: Instant
        var place: ChainPlace?
    }
    private static let placesInBits = 12
    /// Empty until the first chain ends.
    private var notes: ContiguousArray<Note> = []

    /// Notes a chain.
    ///
    /// - Returns: the name that the chain had whose place is taken, and which is to be released.
    mutating func note(_ context: SlotID, _ place: ChainPlace, until: Instant) -> PacketID {
        if notes.isEmpty {
            notes = ContiguousArray(repeating: Note(context: .none, until: .zero), count: 1 << EndedChains.placesInBits)
        }
        let number = number(of: context)
        let earlier = notes[number].place?.servedName ?? .none
        notes[number] = Note(context: context, until: until, place: place)
        return earlier
    }

    /// Where the chain of a context was when it ended, while that is remembered.
    func place(of context: SlotID, at now: Instant) -> ChainPlace? {
        guard !notes.isEmpty else { return nil }
        let note = notes[number(of: context)]
        return note.context == context && note.until > now ? note.place : nil
    }

    private func number(of context: SlotID) -> Int {
        // Slots are used again at once, and their generations rise by steps: the product spreads both (Knuth's method).
        Int(truncatingIfNeeded: (context.rawValue &* 0x9E37_79B9_7F4A_7C15) >> UInt64(64 - EndedChains.placesInBits))
    }
}

extension ServingCSCF {
    /// Closes a context whose final response has gone back. If an application server gave it, where the chain was is remembered
    /// for as long as a transaction lingers.
    mutating func end(_ id: SlotID, at now: Now) {
        let place = ChainPlace(contexts[id.index])
        if place.criterion >= 0, !contexts[id.index].isCancelled {
            contexts[id.index].servedName = .none
            pool.release(endedChains.note(id, place, until: now.monotonic + configuration.timers.patience))
        }
        close(id)
    }
}
