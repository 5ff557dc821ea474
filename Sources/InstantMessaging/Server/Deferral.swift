// Keeping messages (RFC 3428 §7): a 202 promises delivery, so it leaves when the message is durable and not before.

import SIPMessage
import SIPTransaction
import SansIO

/// A message that may have to be kept.
struct Deferral: Sendable {
    /// Final responses that tell that the recipient was not reached.
    static let statuses: Set<UInt16> = [408, 430, 480, 503]

    var message: KeptMessage
    var user: Int
    /// How many registrations the user had made when the message came.
    var registrations: UInt64
    /// The recipient may have the message although no answer came: then it is sent again as the same request, for a
    /// client that tells repeats by Call-ID, From tag and CSeq.
    var isPossiblyReceived = false
}

/// Call-ID, From tag and CSeq: what makes two requests with different branches the same (RFC 3261 §8.2.2.2).
struct DeliveryKey: Hashable, Sendable {
    var callID: [UInt8]
    var fromTag: [UInt8]
    var sequence: UInt32
}

extension KeptMessage {
    var key: DeliveryKey { DeliveryKey(callID: callID, fromTag: fromTag, sequence: sequence) }
}

/// A change that the store has not reported yet, and what follows from it.
struct Commitment: Sendable {
    enum Change: Sendable {
        case message(UInt64, PreparedAnswer)
        /// A kept message came once more before it was durable.
        case copy(PreparedAnswer)
        case registration(user: Int, previous: Registration, RegistrationAnswer)
        /// What the core told of a user's contacts.
        case report(user: Int)
        /// A kept message is gone.
        case removal(UInt64)
        /// A kept message's next attempt has another number.
        case revision(UInt64)
    }

    var ticket: UInt64
    var change: Change
}

extension IMServer {
    /// Keeps a message and answers its sender when it is durable: 202, or 480 past the recipient's quota.
    mutating func keep(_ deferral: Deferral, _ prepared: PreparedAnswer, at now: Now, into effects: inout Effects) {
        var message = deferral.message
        // Meanwhile the identity may have turned out to be another one's alias.
        let user = userNumbers[message.recipient] ?? deferral.user
        guard users[user].waiting.count < settings.messageQuota, users[user].octetsWaiting + message.size <= settings.storageQuota,
            octetsKept + message.size <= settings.totalStorageQuota, message.expiry > now.wall
        else {
            originals.forget(message.original)
            return answer(prepared, 480, at: now, into: &effects)
        }
        if deferral.isPossiblyReceived {
            message.callID = message.original.callID
            message.fromTag = message.original.fromTag
            message.sequence = message.original.sequence
        }
        let ticket = nextTicket()
        insert(message, user, ticket: ticket, isPossiblyReceived: deferral.isPossiblyReceived, at: now)
        effects.store.put(
            table: StoreTable.messages, key: KeptMessage.key(message.number).span.bytes, value: message.record.span.bytes, ticket: ticket)
        commitments.append(Commitment(ticket: ticket, change: .message(message.number, prepared)))
        // The user came back while the message was on its way to where the user had been.
        if users[user].registrations != deferral.registrations { startDelivery(to: user, at: now, into: &effects) }
    }

    /// Puts a message into its place in the order of arrival.
    mutating func insert(_ message: KeptMessage, _ user: Int, ticket: UInt64, isPossiblyReceived: Bool, at now: Now) {
        var state = StoredState(message: message, user: user, ticket: ticket, isPossiblyReceived: isPossiblyReceived)
        originals.keep(message.original, as: message.number)
        state.timer = schedule(.messageExpired(message.number), after: max(.zero, message.expiry - now.wall), now)
        kept[message.number] = state
        keptKeys[message.key] = message.number
        let place = users[user].waiting.lastIndex { $0 < message.number }.map { $0 + 1 } ?? 0
        users[user].waiting.insert(message.number, at: place)
        users[user].octetsWaiting += message.size
        octetsKept += message.size
    }

    /// Forgets a message, here and in the store; a delivery that waited for it goes on with the next.
    mutating func discard(_ number: UInt64, at now: Now, into effects: inout Effects) {
        guard let user = kept[number]?.user, let message = kept[number]?.message else { return }
        remove(number)
        rememberOriginal(of: message, at: now)
        removeRecord(number, into: &effects)
        passOver(number, user, at: now, into: &effects)
    }

    private mutating func passOver(_ number: UInt64, _ user: Int, at now: Now, into effects: inout Effects) {
        if users[user].run.state == .awaitingCommit(number) { deliverNext(to: user, at: now, into: &effects) }
    }

    mutating func remove(_ number: UInt64) {
        guard let state = kept.removeValue(forKey: number) else { return }
        wheel.cancel(state.timer)
        keptKeys[state.message.key] = nil
        originals.forget(state.message.original)
        users[state.user].waiting.removeAll { $0 == number }
        users[state.user].octetsWaiting -= state.message.size
        octetsKept -= state.message.size
    }

    /// Takes a message out of the store, but for what tells a copy of it as long as one may come.
    mutating func removeRecord(_ number: UInt64, into effects: inout Effects) {
        let ticket = nextTicket()
        let key = KeptMessage.key(number)
        if let original = originals.remembered[number] {
            effects.store.put(table: StoreTable.originals, key: key.span.bytes, value: original.record.span.bytes, ticket: ticket)
        } else {
            effects.store.remove(table: StoreTable.originals, key: key.span.bytes, ticket: ticket)
        }
        effects.store.remove(table: StoreTable.messages, key: key.span.bytes, ticket: ticket)
        commitments.append(Commitment(ticket: ticket, change: .removal(number)))
    }

    /// The next attempt is another request: the one before had its answer. Not if it is an attempt before that which has none.
    mutating func revise(_ number: UInt64, into effects: inout Effects) {
        guard var state = kept[number], !state.isPossiblyReceived else { return }
        keptKeys[state.message.key] = nil
        state.message.sequence = state.message.sequence >= 0x7FFF_FFFE ? 1 : state.message.sequence + 1
        state.ticket = nextTicket()
        kept[number] = state
        keptKeys[state.message.key] = number
        effects.store.put(
            table: StoreTable.messages, key: KeptMessage.key(number).span.bytes, value: state.message.record.span.bytes,
            ticket: state.ticket)
        commitments.append(Commitment(ticket: state.ticket, change: .revision(number)))
    }

    mutating func putRegistration(_ user: Int, into effects: inout Effects) -> UInt64 {
        let ticket = nextTicket()
        let key = users[user].identity.octets
        let record = users[user].registration.record
        effects.store.put(table: StoreTable.registrations, key: key.span.bytes, value: record.span.bytes, ticket: ticket)
        return ticket
    }

    /// The message was not delivered while it was worth it. In flight, its answer is not waited for.
    mutating func messageExpired(_ number: UInt64, at now: Now, into effects: inout Effects) {
        kept[number]?.timer = .none
        guard let state = kept[number] else { return }
        counters.discarded += 1
        effects.notices.append(Notice(.info, "message \(number) to \(state.message.recipient) expired"))
        discard(number, at: now, into: &effects)
    }

    func isDurable(_ ticket: UInt64) -> Bool { ticket <= reportedTicket }

    private mutating func nextTicket() -> UInt64 {
        lastTicket += 1
        return lastTicket
    }

    // MARK: Reports of the store

    mutating func changesReported(upTo ticket: UInt64, succeeded: Bool, at now: Now, into effects: inout Effects) {
        reportedTicket = max(reportedTicket, min(ticket, lastTicket))
        let count = commitments.firstIndex { $0.ticket > ticket } ?? commitments.count
        let reported = Array(commitments[..<count])
        commitments.removeSubrange(..<count)
        if succeeded {
            for commitment in reported { changeCommitted(commitment.change, at: now, into: &effects) }
        } else {
            // The newest first, so that what is put back is what was there before all of them.
            for commitment in reported.reversed() { changeLost(commitment.change, at: now, into: &effects) }
        }
    }

    private mutating func changeCommitted(_ change: Commitment.Change, at now: Now, into effects: inout Effects) {
        switch change {
        case .message(let number, let prepared):
            counters.deferred += 1
            answer(prepared, 202, at: now, into: &effects)
            if let original = kept[number]?.message.original { endOutgoing(original, at: now, into: &effects) }
            becameDurable(number, at: now, into: &effects)
        case .copy(let prepared):
            answer(prepared, 202, at: now, into: &effects)
        case .registration(let user, _, let registration):
            registrationCommitted(user, registration, at: now, into: &effects)
        case .revision(let number):
            becameDurable(number, at: now, into: &effects)
        case .removal, .report:
            break
        }
    }

    private mutating func becameDurable(_ number: UInt64, at now: Now, into effects: inout Effects) {
        if let user = kept[number]?.user { passOver(number, user, at: now, into: &effects) }
    }

    private mutating func changeLost(_ change: Commitment.Change, at now: Now, into effects: inout Effects) {
        switch change {
        case .message(let number, let prepared):
            effects.notices.append(Notice(.error, "message \(number) could not be stored"))
            let user = kept[number]?.user
            // Nothing of it is in the store.
            remove(number)
            answer(prepared, 500, at: now, into: &effects)
            if let user { passOver(number, user, at: now, into: &effects) }
        case .copy(let prepared):
            answer(prepared, 500, at: now, into: &effects)
        case .registration(let user, let previous, let registration):
            effects.notices.append(Notice(.error, "the registration of \(users[user].identity) could not be stored"))
            registrationLost(user, previous, registration, at: now, into: &effects)
        case .report(let user):
            // What holds is told again by the next NOTIFY, and after a start.
            effects.notices.append(Notice(.error, "what was told of \(users[user].identity) could not be stored"))
        case .removal(let number):
            effects.notices.append(Notice(.error, "message \(number) could not be removed from the store; it is tried again"))
            _ = schedule(.removalDue(number), after: .seconds(1), now)
        case .revision(let number):
            effects.notices.append(Notice(.error, "message \(number) could not be changed in the store"))
            becameDurable(number, at: now, into: &effects)
        }
    }
}
