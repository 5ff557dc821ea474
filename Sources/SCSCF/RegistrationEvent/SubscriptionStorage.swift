// Subscriptions in the database: what a SUBSCRIBE changed is stored before it is answered, and found again after a restart.
//
// Versions and CSeqs must go on rising after any death. So a record sets numbers aside ahead: those below its limit are this
// process's to use, and the next process begins with the limit. NOTIFYs are not stored one by one.

import SIPMessage
import SIPRegistrar
import SIPTransaction
import SansIO

/// A change of a stored subscription whose commit is not yet reported.
struct WaitingSubscription: BitwiseCopyable {
    var ticket: UInt64
    var subscription: SlotID
    /// The numbers that it sets aside end before this one.
    var limit: UInt32
    /// The SUBSCRIBE to answer, with what its success is answered and what its failure; `.none`: only numbers were set aside.
    var server = SlotID.none
    var answer = PacketID.none
    var refusal = PacketID.none
    /// What a refresh replaced; nil: the subscription is new.
    var previous: Subscription.Dialog?
}

/// In the order of their tickets.
struct WaitingSubscriptions {
    private var queue: [WaitingSubscription] = []

    mutating func append(_ waiting: WaitingSubscription) { queue.append(waiting) }

    /// Takes out those whose ticket is not above `ticket`, in order.
    mutating func take(upTo ticket: UInt64) -> [WaitingSubscription] {
        guard let first = queue.first, first.ticket <= ticket else { return [] }
        let count = queue.firstIndex { $0.ticket > ticket } ?? queue.count
        let taken = Array(queue[..<count])
        queue.removeFirst(count)
        return taken
    }

    mutating func takeAll() -> [WaitingSubscription] {
        defer { queue = [] }
        return queue
    }
}

extension ServingCSCF {
    /// Numbers that one record sets aside, and how few may be left before more are.
    private static let numbersAhead: UInt32 = 256
    private static let numbersLow: UInt32 = 64

    // MARK: Storing

    /// Stores a subscription as it is now, with numbers ahead.
    ///
    /// - Returns: the ticket of the change, and the first number not set aside.
    mutating func persist(_ id: SlotID, at now: Now, into effects: inout Effects) -> (ticket: UInt64, limit: UInt32) {
        let subscription = subscriptions[id]
        let limit = subscriptions.lastSequence(inDialog: subscription.tag) + ServingCSCF.numbersAhead
        let ticket = waiting.nextTicket()
        var record = OctetBuffer(capacity: 1024)
        appendRecord(of: subscription, limit: limit, at: now, into: &record)
        effects.store.put(table: StoreTable.subscriptions, key: key(of: subscription).span.bytes, value: record.bytes, ticket: ticket)
        subscriptions[id].isStored = true
        return (ticket, limit)
    }

    /// Takes a subscription out of the database. When it has ended, nothing waits for that: if it is lost, the next process finds
    /// the subscription ended, tells the watcher so once more, and takes it out.
    ///
    /// - Returns: the ticket of the change.
    @discardableResult
    mutating func forgetStoredSubscription(_ id: SlotID, into effects: inout Effects) -> UInt64 {
        let ticket = waiting.nextTicket()
        effects.store.remove(table: StoreTable.subscriptions, key: key(of: subscriptions[id]).span.bytes, ticket: ticket)
        subscriptions[id].isStored = false
        return ticket
    }

    /// Whether all subscriptions of a dialog have a number for its next NOTIFY. Sets more aside before those that are run out.
    mutating func hasNumbers(inDialog tag: UInt64, at now: Now, into effects: inout Effects) -> Bool {
        let last = subscriptions.lastSequence(inDialog: tag)
        var areThere = true
        for id in subscriptions.all(inDialog: tag) {
            let subscription = subscriptions[id]
            guard subscription.isStored, subscription.pending == 0 else { continue }
            if !subscription.isReserving, last + ServingCSCF.numbersLow >= subscription.limit {
                reserveNumbers(id, at: now, into: &effects)
            }
            if last >= subscription.limit { areThere = false }
        }
        return areThere
    }

    private mutating func reserveNumbers(_ id: SlotID, at now: Now, into effects: inout Effects) {
        subscriptions[id].isReserving = true
        let (ticket, limit) = persist(id, at: now, into: &effects)
        subscriptions.waiting.append(WaitingSubscription(ticket: ticket, subscription: id, limit: limit))
    }

    // MARK: What a commit leads to

    mutating func subscriptionsCommitted(upTo ticket: UInt64, succeeded: Bool, at now: Now, into effects: inout Effects) {
        guard succeeded else {
            for waiting in subscriptions.waiting.takeAll().reversed() { subscriptionLost(waiting, at: now, into: &effects) }
            return
        }
        for waiting in subscriptions.waiting.take(upTo: ticket) { subscriptionStored(waiting, at: now, into: &effects) }
    }

    private mutating func subscriptionStored(_ waiting: WaitingSubscription, at now: Now, into effects: inout Effects) {
        let id = waiting.subscription
        if let previous = waiting.previous { pool.release(previous.octets) }
        // If not: the watcher was found to be gone meanwhile.
        let isAlive = subscriptions.contains(id)
        if isAlive {
            respond(waiting, 200, waiting.answer, at: now, into: &effects)
        } else {
            respond(waiting, 500, waiting.refusal, at: now, into: &effects)
        }
        release(waiting)
        guard isAlive else { return }
        subscriptions[id].limit = max(subscriptions[id].limit, waiting.limit)
        if waiting.server.isNone { subscriptions[id].isReserving = false } else { subscriptions[id].pending -= 1 }
        // Others of the dialog may have waited for its numbers.
        for id in subscriptions.all(inDialog: subscriptions[id].tag) { tell(id, at: now, into: &effects) }
    }

    /// Its commit failed: the subscription is again what it was, and the SUBSCRIBE is answered 500.
    private mutating func subscriptionLost(_ waiting: WaitingSubscription, at now: Now, into effects: inout Effects) {
        respond(waiting, 500, waiting.refusal, at: now, into: &effects)
        release(waiting)
        let id = waiting.subscription
        guard subscriptions.contains(id) else {
            if let previous = waiting.previous { pool.release(previous.octets) }
            return
        }
        guard !waiting.server.isNone else {
            subscriptions[id].isReserving = false
            subscriptions[id].notBefore = now.monotonic + .seconds(Int(ServingCSCF.retryAfter))
            return tell(id, at: now, into: &effects)
        }
        guard let previous = waiting.previous else { return forget(id) }
        pool.release(subscriptions[id].dialog.octets)
        subscriptions[id].dialog = previous
        subscriptions[id].isStored = true
        subscriptions[id].pending -= 1
        subscriptions.setTimer(id, at: previous.expiry)
        tell(id, at: now, into: &effects)
    }

    private mutating func respond(
        _ waiting: WaitingSubscription, _ status: UInt16, _ answer: PacketID, at now: Now, into effects: inout Effects
    ) {
        guard !waiting.server.isNone else { return }
        let start = effects.wire.bytes.count
        effects.wire.bytes.append(pool.bytes(answer))
        transactions.respond(waiting.server, status, from: start, at: now.monotonic, into: &effects.wire)
    }

    private mutating func release(_ waiting: WaitingSubscription) {
        pool.release(waiting.answer)
        pool.release(waiting.refusal)
    }

    // MARK: After a restart

    /// Takes back a stored subscription. Its watcher is told everything anew, since what it was told last is not known; what has
    /// ended meanwhile is told as ended. Records of users whom another shard serves are passed over.
    ///
    /// - Returns: false if the record is damaged or its user is not provisioned any more.
    mutating func restoreSubscription(key: RawSpan, value: RawSpan, at now: Now, into effects: inout Effects) -> Bool {
        guard let record = SubscriptionRecord(value, key: key) else { return place.number != 0 }
        guard let watched = directory.publicIdentity(record.watched) else {
            // A record of nobody is told of once, and taken out, by the first shard.
            guard place.number == 0 else { return true }
            effects.store.remove(table: StoreTable.subscriptions, key: key, ticket: waiting.nextTicket())
            return false
        }
        guard otherShard(of: watched.subscriber) == nil else { return true }
        for other in subscriptions.all(inDialog: record.tag) where subscriptions[other].usage == record.usage { return false }
        let left = min(record.expiry - now.wall, .seconds(Int(registrar.settings.maximumExpires)))
        var flow = record.flow
        if flow.listener >= configuration.listeners.count { flow.listener = 0 }
        let id = subscriptions.insert(
            Subscription(
                watched: watched, tag: record.tag, usage: record.usage, isSecure: record.isSecure, isForServer: record.isForServer,
                dialog: Subscription.Dialog(
                    expiry: now.monotonic + max(left, .zero), flow: flow, remoteSequence: record.remoteSequence, text: record.text,
                    octets: pool.store(record.octets)), version: record.limit, sequence: record.limit, limit: record.limit,
                isStored: true), registrar)
        // One after another, so that a start with many is no burst.
        let turn = now.monotonic + .milliseconds(subscriptions.count)
        subscriptions[id].notBefore = turn
        subscriptions.setTimer(id, at: turn)
        return true
    }

    /// Forgets all subscriptions; nothing is sent, nothing stored.
    mutating func forgetSubscriptions(at now: Now) {
        for waiting in subscriptions.waiting.takeAll() {
            release(waiting)
            if let previous = waiting.previous { pool.release(previous.octets) }
        }
        for index in 0..<subscriptions.slab.endIndex where subscriptions.slab.isInUse(index) { forget(subscriptions.slab.id(of: index)) }
        subscriptions = Subscriptions(start: now.monotonic)
    }
}
