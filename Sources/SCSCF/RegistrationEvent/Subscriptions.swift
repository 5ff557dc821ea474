// All subscriptions to registration state that this shard has, by dialog and by watched user, and their timers.

import SIPMessage
import SIPRegistrar
import SansIO

struct Subscriptions: ~Copyable {
    var slab = Slab<Subscription>()
    var watches: [UInt32: Watch] = [:]
    var waiting = WaitingSubscriptions()
    var wheel: TimerWheel
    /// The subscriptions of each dialog by our tag, which nobody else chooses.
    private var dialogs: [UInt64: [SlotID]] = [:]
    /// Of users who registered by another identity than the first of their set: which.
    private var namedIdentities: [UInt32: UInt16] = [:]
    private var due: [UInt64] = []

    init(start: Instant) { wheel = TimerWheel(start: start) }

    var count: Int { slab.count }
    var isEmpty: Bool { slab.count == 0 }
    var bytesAllocated: Int { slab.bytesAllocated + wheel.bytesAllocated }
    var nextDeadline: Instant? { wheel.count > 0 ? wheel.nextDeadline : nil }

    /// Timers that one call of `advance` looks after at most: messages are served in between.
    private static let timersPerAdvance = 256

    func contains(_ id: SlotID) -> Bool { slab.contains(id) }

    subscript(_ id: SlotID) -> Subscription {
        _read { yield slab[id.index] }
        _modify { yield &slab[id.index] }
    }

    // MARK: Dialogs

    /// The subscriptions of the dialog that has this tag of ours, the latest first.
    func all(inDialog tag: UInt64) -> [SlotID] { dialogs[tag] ?? [] }

    /// The last CSeq of our NOTIFYs in a dialog.
    func lastSequence(inDialog tag: UInt64) -> UInt32 {
        var last: UInt32 = 0
        for id in all(inDialog: tag) { last = max(last, slab[id.index].sequence) }
        return last
    }

    /// The last CSeq of the watcher's SUBSCRIBE requests in a dialog.
    func lastRemoteSequence(inDialog tag: UInt64) -> UInt32 {
        var last: UInt32 = 0
        for id in all(inDialog: tag) { last = max(last, slab[id.index].dialog.remoteSequence) }
        return last
    }

    mutating func setSequence(_ sequence: UInt32, inDialog tag: UInt64) {
        for id in all(inDialog: tag) { slab[id.index].sequence = sequence }
    }

    // MARK: By user

    func count(of subscriber: UInt32) -> Int { watches[subscriber]?.subscriptions.count ?? 0 }

    // MARK: The identity registered by

    /// Which identity a REGISTER named. The first of the set, as nearly always, needs no note.
    @inline(__always)
    mutating func note(_ named: IdentityReference) {
        if named.identity != 0 { return noteUnusual(named) }
        if !namedIdentities.isEmpty { noteUnusual(named) }
    }

    private mutating func noteUnusual(_ named: IdentityReference) {
        namedIdentities[named.subscriber] = named.identity == 0 ? nil : named.identity
    }

    /// Which identity the user's last REGISTER named.
    func named(_ subscriber: UInt32) -> UInt16 { namedIdentities[subscriber] ?? 0 }

    // MARK: Storage

    mutating func insert(_ subscription: Subscription, _ registrar: borrowing Registrar) -> SlotID {
        let id = slab.insert(subscription)
        let subscriber = subscription.watched.subscriber
        dialogs[subscription.tag, default: []].insert(id, at: 0)
        if watches[subscriber] == nil { watches[subscriber] = Watch(registrar, subscriber, named: named(subscriber)) }
        watches[subscriber]?.subscriptions.append(id)
        // What ended before is no news to a new watcher.
        slab[id.index].told = watches[subscriber]?.serial ?? 0
        return id
    }

    /// Takes a subscription out; its octets are the caller's to release.
    mutating func remove(_ id: SlotID) {
        let subscription = slab[id.index]
        let subscriber = subscription.watched.subscriber
        wheel.cancel(subscription.timer)
        dialogs[subscription.tag]?.removeAll { $0 == id }
        if dialogs[subscription.tag]?.isEmpty ?? false { dialogs[subscription.tag] = nil }
        watches[subscriber]?.subscriptions.removeAll { $0 == id }
        if watches[subscriber]?.subscriptions.isEmpty ?? false { watches[subscriber] = nil }
        slab.remove(id.index)
    }

    /// Forgets what every watcher of a user was told of the contacts that are gone.
    mutating func forgetEnded(of subscriber: UInt32) {
        guard let watch = watches[subscriber], watch.hasEnded else { return }
        var told = UInt32.max
        for id in watch.subscriptions { told = min(told, slab[id.index].told) }
        watches[subscriber]?.forgetEnded(toldUpTo: told)
    }

    // MARK: Timers

    mutating func setTimer(_ id: SlotID, at deadline: Instant) {
        wheel.cancel(slab[id.index].timer)
        slab[id.index].timer = wheel.schedule(at: deadline, payload: id.rawValue)
    }

    /// The subscriptions whose timers are due.
    mutating func expire(upTo now: Instant) -> [SlotID] {
        guard wheel.count > 0 else { return [] }
        wheel.expire(upTo: now, into: &due, atMost: Subscriptions.timersPerAdvance)
        let ids = due.map { SlotID(rawValue: $0) }
        due.removeAll(keepingCapacity: true)
        for id in ids where slab.contains(id) { slab[id.index].timer = .none }
        return ids
    }
}
