// Changes of registrations whose commit is not yet reported: nothing that depends on a change leaves before it is safe.

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
public import SansIO

/// A change that waits for its commit.
struct WaitingRegistration: BitwiseCopyable {
    enum Cause: BitwiseCopyable {
        /// A REGISTER: it is answered, and the application servers hear of it.
        case request(WaitingRequest)
        /// Time is over, so this cannot be undone.
        case expiry
        /// The network's doing. `failed` is the application server that gave the reason, or -1: it is not told.
        case network(ChangeToken?, failed: Int16)
    }
    var ticket: UInt64
    var subscriber: UInt32
    var cause: Cause
}

struct WaitingRequest: BitwiseCopyable {
    var server: SlotID
    var source: Flow
    var change: RegistrationChange
    var user: IdentityReference
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

/// Tables of the core's store.
public enum StoreTable {
    /// Key: the private name of the subscriber; value: its bindings.
    public static let registrations: UInt8 = 1
}

extension ServingCSCF {
    /// Stores what is registered of a subscriber now, or takes it out if nothing is.
    mutating func persist(_ subscriber: UInt32, ticket: UInt64, at now: Now, into effects: inout Effects) {
        scratch.removeAll()
        directory.appendPublicIdentity(IdentityReference(subscriber: subscriber, identity: 0), into: &scratch)
        guard registrar.isRegistered(subscriber) else {
            return effects.store.remove(table: StoreTable.registrations, key: scratch.bytes, ticket: ticket)
        }
        var record = OctetBuffer(capacity: 512)
        registrar.encode(subscriber, at: now, into: &record)
        effects.store.put(table: StoreTable.registrations, key: scratch.bytes, value: record.bytes, ticket: ticket)
    }

    /// Tells the application servers that a user is gone: with a database, once that is stored.
    mutating func userGone(_ subscriber: UInt32, _ cause: WaitingRegistration.Cause, at now: Now, into effects: inout Effects) {
        guard configuration.isPersistent else { return tellGone(subscriber, cause, at: now, into: &effects) }
        let ticket = waiting.nextTicket()
        persist(subscriber, ticket: ticket, at: now, into: &effects)
        waiting.append(WaitingRegistration(ticket: ticket, subscriber: subscriber, cause: cause))
    }

    private mutating func tellGone(
        _ subscriber: UInt32, _ cause: WaitingRegistration.Cause, at now: Now, into effects: inout Effects
    ) {
        var failed: Int16 = -1
        if case .network(let token, let server) = cause {
            if let token { registrar.confirm(token) }
            failed = server
        }
        sendThirdPartyDeregistration(of: subscriber, except: failed, at: now, into: &effects)
    }

    /// Takes back what was stored, at start. What expired meanwhile is told to the application servers. Records of users
    /// whom another shard serves are passed over.
    ///
    /// - Returns: false if the record is damaged or its subscriber is not provisioned any more.
    public mutating func restore(key: RawSpan, value: RawSpan, at now: Now, into effects: inout Effects) -> Bool {
        // A record of nobody is told of once, by the first shard.
        guard let reference = directory.publicIdentity(key) else { return place.number != 0 }
        guard otherShard(of: reference.subscriber) == nil else { return true }
        guard registrar.restore(value, of: reference.subscriber, at: now) else { return false }
        if !registrar.isRegistered(reference.subscriber) { userGone(reference.subscriber, .expiry, at: now, into: &effects) }
        return true
    }

    mutating func registrationsCommitted(upTo ticket: UInt64, succeeded: Bool, at now: Now, into effects: inout Effects) {
        guard succeeded else { return undoAll(at: now, into: &effects) }
        while let waiter = waiting.popFirst(upTo: ticket) {
            switch waiter.cause {
            case .request(let request): registrationStored(request, at: now, into: &effects)
            case .expiry, .network: tellGone(waiter.subscriber, waiter.cause, at: now, into: &effects)
            }
        }
    }

    private mutating func registrationStored(_ waiter: WaitingRequest, at now: Now, into effects: inout Effects) {
        registrar.confirm(waiter.change.token)
        let octets = [UInt8](pool.bytes(waiter.request))
        let start = effects.wire.bytes.count
        effects.wire.bytes.append(pool.bytes(waiter.answer))
        let end = effects.wire.bytes.count
        release(waiter)
        transactions.respond(waiter.server, 200, from: start, at: now.monotonic, into: &effects.wire)
        var scanner = MessageScanner()
        _ = scanner.scan(octets.span.bytes)
        sendThirdParty(
            waiter.change, waiter.user, scanner.message(octets.span.bytes), answer: Slice(start, end), at: now, into: &effects)
    }

    /// A commit failed: every change not yet reported is undone, the latest first, and its REGISTER answered 500.
    private mutating func undoAll(at now: Now, into effects: inout Effects) {
        guard !waiting.isEmpty else { return }
        effects.notices.append(Notice(.error, "a commit of registrations failed: the changes are undone and answered 500"))
        while let waiter = waiting.popLast() {
            switch waiter.cause {
            case .request(let request): registrationLost(request, at: now, into: &effects)
            case .expiry: tellGone(waiter.subscriber, waiter.cause, at: now, into: &effects)
            case .network(let token, _): if let token { registrar.undo(token) }
            }
        }
    }

    private mutating func registrationLost(_ waiter: WaitingRequest, at now: Now, into effects: inout Effects) {
        registrar.undo(waiter.change.token)
        let octets = [UInt8](pool.bytes(waiter.request))
        release(waiter)
        var scanner = MessageScanner()
        _ = scanner.scan(octets.span.bytes)
        let request = scanner.message(octets.span.bytes)
        guard let essentials = try? request.essentials() else { return }
        answer(
            Arrival(server: waiter.server, flow: waiter.source, essentials: essentials), request, 500,
            warning: "the registration could not be stored", at: now, into: &effects)
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
