// Changes of registrations whose commit is not yet reported: nothing that depends on a change leaves before it is safe.

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
import SansIO

/// A change that waits for its commit.
struct WaitingRegistration: BitwiseCopyable {
    enum Cause: BitwiseCopyable {
        /// A REGISTER: it is answered, and the application servers hear of it.
        case request(WaitingRequest)
        /// Time is over, so this cannot be undone.
        case expiry
        /// The network's doing. `failed` is the application server that gave the reason, or -1: it is not told. Without one
        /// watchers are told of the event.
        case network(ChangeToken?, failed: Int16, DeregistrationEvent)
        /// The user's criteria are others now; its bindings are not touched.
        case profile
        /// Re-authentication has brought the end of the bindings nearer. It stands even if it cannot be stored.
        case shortening
    }
    var ticket: UInt64
    var subscriber: UInt32
    /// What application servers are to be told of it.
    var thirdParty: ThirdPartyList
    var cause: Cause
}

struct WaitingRequest: BitwiseCopyable {
    var server: SlotID
    var source: Flow
    var change: RegistrationChange
    var user: IdentityReference
    /// Where in the answer what it takes over from its request ends, and the tag there.
    var ownFields: UInt32
    var tag: UInt64
    /// The REGISTER and the 200 that will answer it.
    var request: PacketID
    var answer: PacketID
}

/// In the order of their tickets.
struct WaitingRegistrations {
    private var queue: [WaitingRegistration] = []
    private var head = 0
    private var lastTicket: UInt64 = 0

    mutating func nextTicket() -> UInt64 {
        lastTicket += 1
        return lastTicket
    }

    var isEmpty: Bool { head == queue.count }

    mutating func append(_ registration: WaitingRegistration) { queue.append(registration) }

    /// Whether a change of this subscriber's is among them.
    func concerns(_ subscriber: UInt32) -> Bool {
        for i in head..<queue.count where queue[i].subscriber == subscriber { return true }
        return false
    }

    /// Takes out the first, if its ticket is not above `ticket`.
    mutating func popFirst(upTo ticket: UInt64) -> WaitingRegistration? {
        guard head < queue.count, queue[head].ticket <= ticket else { return nil }
        head += 1
        let first = queue[head - 1]
        if head == queue.count {
            queue.removeAll(keepingCapacity: true)
            head = 0
        }
        return first
    }

    mutating func popLast() -> WaitingRegistration? {
        guard head < queue.count else { return nil }
        let last = queue.removeLast()
        if head == queue.count {
            queue.removeAll(keepingCapacity: true)
            head = 0
        }
        return last
    }
}

extension ServingCSCF {
    /// Stores what is registered of a subscriber now, or takes it out if nothing is.
    ///
    /// - Parameter named: the identity in the REGISTER that changed it, if one did.
    mutating func persist(
        _ subscriber: UInt32, named: UInt16? = nil, ticket: UInt64, at now: Now, into effects: inout Effects
    ) {
        scratch.removeAll()
        directory.appendPublicIdentity(IdentityReference(subscriber: subscriber, identity: 0), into: &scratch)
        guard registrar.isRegistered(subscriber) else {
            return effects.store.remove(table: StoreTable.registrations, key: scratch.bytes, ticket: ticket)
        }
        var record = OctetBuffer(capacity: 512)
        appendOwner(of: subscriber, named: named ?? subscriptions.named(subscriber), into: &record)
        registrar.encode(subscriber, at: now, into: &record)
        effects.store.put(table: StoreTable.registrations, key: scratch.bytes, value: record.bytes, ticket: ticket)
    }

    /// Tells the application servers that a user, or one of its contacts, is gone without a REGISTER: with a database, once
    /// that is stored.
    mutating func userGone(_ subscriber: UInt32, _ cause: WaitingRegistration.Cause, at now: Now, into effects: inout Effects) {
        releaseNonces(of: subscriber, at: now)
        var failed: Int16 = -1
        if case .network(_, let server, _) = cause { failed = server }
        let told = planThirdPartyDeregistration(of: subscriber, except: failed, at: now)
        let ticket = configuration.isPersistent ? waiting.nextTicket() : 0
        let waiter = WaitingRegistration(ticket: ticket, subscriber: subscriber, thirdParty: told, cause: cause)
        guard configuration.isPersistent else { return tellGone(waiter, at: now, into: &effects) }
        persist(subscriber, ticket: ticket, at: now, into: &effects)
        persist(told, ticket: ticket, into: &effects)
        waiting.append(waiter)
    }

    private mutating func tellGone(_ waiter: WaitingRegistration, at now: Now, into effects: inout Effects) {
        if case .network(let token, _, _) = waiter.cause, let token { registrar.confirm(token) }
        sendThirdParty(waiter.thirdParty, at: now, into: &effects)
        registrationStateChanged(of: waiter.subscriber, waiter.cause.inEvents, at: now, into: &effects)
    }

    /// Takes back what is registered of a subscriber. What expired meanwhile ends when all is restored; what has become somebody
    /// else's is gone.
    mutating func restoreRegistrations(key: RawSpan, value: RawSpan, at now: Now, into effects: inout Effects) -> Bool {
        guard let reference = directory.publicIdentity(key), !reference.isSpecial else {
            // A record of nobody is told of once, and taken out, by the first shard.
            guard place.number == 0 else { return true }
            effects.store.remove(table: StoreTable.registrations, key: key, ticket: waiting.nextTicket())
            return false
        }
        let subscriber = reference.subscriber
        guard otherShard(of: subscriber) == nil else { return true }
        if reference.identity != 0 {
            // Another identity was the first of the set when it was stored. What is under the first now is later.
            effects.store.remove(table: StoreTable.registrations, key: key, ticket: waiting.nextTicket())
            guard !registrar.isRegistered(subscriber) else { return true }
            restoredUnderOldKeys.append(subscriber)
        }
        guard let owner = owner(in: value, now: subscriber) else {
            // Whoever has the identity now has not registered it. Who may still believe so hears of it.
            restoredUnderOldKeys.removeAll { $0 == subscriber }
            if reference.identity == 0 { userGone(subscriber, .network(nil, failed: -1, .deactivated), at: now, into: &effects) }
            return false
        }
        let devices = directory.privateIdentityCount(of: subscriber)
        let bindings = value.part(owner.end, value.byteCount - owner.end)
        guard let restored = registrar.restore(bindings, of: subscriber, at: now, devices: { owner.has($0, of: devices) }) else {
            return false
        }
        subscriptions.note(IdentityReference(subscriber: subscriber, identity: owner.named))
        overdue += restored.overdue
        if restored.dropped > 0 || !registrar.isRegistered(subscriber) { userGone(subscriber, .expiry, at: now, into: &effects) }
        return true
    }

    /// Ends what has expired while the core was down; after all is restored, so that watchers are told of each contact.
    mutating func expireOverdue(at now: Now, into effects: inout Effects) {
        for id in overdue {
            guard let expired = registrar.expire(id, at: now.monotonic) else { continue }
            bindingExpired(expired, at: now, into: &effects)
        }
        overdue = []
    }

    /// Stores under their own keys what was found under others; after all is restored.
    mutating func storeUnderOwnKeys(at now: Now, into effects: inout Effects) {
        for subscriber in restoredUnderOldKeys { persist(subscriber, ticket: waiting.nextTicket(), at: now, into: &effects) }
        restoredUnderOldKeys = []
    }

    mutating func registrationsCommitted(upTo ticket: UInt64, succeeded: Bool, at now: Now, into effects: inout Effects) {
        guard succeeded else {
            aka.commitFailed()
            return undoAll(at: now, into: &effects)
        }
        while let waiter = waiting.popFirst(upTo: ticket) {
            switch waiter.cause {
            case .request(let request): registrationStored(request, waiter.thirdParty, at: now, into: &effects)
            case .expiry, .network, .profile, .shortening: tellGone(waiter, at: now, into: &effects)
            }
        }
    }

    private mutating func registrationStored(
        _ waiter: WaitingRequest, _ told: ThirdPartyList, at now: Now, into effects: inout Effects
    ) {
        registrar.confirm(waiter.change.token)
        if isHeld(by: told) {
            hold(
                HeldAnswer(
                    server: waiter.server, source: waiter.source, subscriber: waiter.user.subscriber,
                    isRegistration: waiter.change.isRegistered, request: waiter.request, answer: waiter.answer), until: told)
        } else {
            let start = effects.wire.bytes.count
            effects.wire.bytes.append(pool.bytes(waiter.answer))
            release(waiter)
            let response = OwnResponse(start: start, ownFields: start + Int(waiter.ownFields), tag: waiter.tag)
            transactions.respond(waiter.server, 200, response, at: now.monotonic, into: &effects.wire)
        }
        registrationMade(waiter.change, waiter.user, told, at: now, into: &effects)
    }

    /// A commit failed: every change not yet reported is undone, the latest first, and its REGISTER answered 500.
    private mutating func undoAll(at now: Now, into effects: inout Effects) {
        guard !waiting.isEmpty else { return }
        effects.notices.append(Notice(.error, "a commit of registrations failed: the changes are undone and answered 500"))
        var gone: [WaitingRegistration] = []
        while let waiter = waiting.popLast() {
            switch waiter.cause {
            case .request(let request):
                forgetThirdParty(waiter.thirdParty)
                registrationLost(request, at: now, into: &effects)
            case .expiry, .profile: tellGone(waiter, at: now, into: &effects)
            // It is told when it is stored (shorteningsCommitted).
            case .shortening: continue
            case .network where !directory.isProvisioned(waiter.subscriber):
                gone.append(waiter)
            case .network(let token, _, _):
                forgetThirdParty(waiter.thirdParty)
                if let token { registrar.undo(token) }
            }
            // An earlier change may have waited for this one.
            registrationStateChanged(of: waiter.subscriber, waiter.cause.inEvents, at: now, into: &effects)
        }
        // Of a subscriber who was removed nothing comes back: that was stored with the removal.
        for waiter in gone {
            if let token = registrar.removeAll(of: waiter.subscriber) { registrar.confirm(token) }
            tellGone(waiter, at: now, into: &effects)
        }
    }

    private mutating func registrationLost(_ waiter: WaitingRequest, at now: Now, into effects: inout Effects) {
        registrar.undo(waiter.change.token)
        answerAgain(
            waiter.server, waiter.source, waiter.request, warning: "the registration could not be stored", at: now, into: &effects)
        release(waiter)
    }

    /// Forgets all that waits; nothing is sent.
    mutating func forgetWaiting() {
        while let waiter = waiting.popLast() {
            if case .request(let request) = waiter.cause { release(request) }
        }
    }

    private mutating func release(_ waiter: WaitingRequest) {
        pool.release(waiter.request)
        pool.release(waiter.answer)
    }
}
