// Who is registered, in the plainest way: a dictionary, fed with what was asked and what was answered. An answered 200 is a
// fact. Before its answer a REGISTER may have had its effect or not, and what the network does counts when it is stored.

import SCSCF
import SIPMessage
import SIPRegistrar
import SIPTransaction
import SansIO

struct RegistrationModel {
    struct Contact: Hashable {
        var uri: String
        var end: Instant
    }

    /// A REGISTER that has come to the core and has no final answer.
    private struct Wish {
        var order: Int
        var transaction: UInt64
        /// What the registration may be by it; nil: there is none.
        var outcomes: [Contact?]
        var granted: UInt32
        /// How the subscriber was provisioned since then.
        var variants: Set<SubscriberVariant>
    }

    /// A deregistration by the network.
    private struct Removal {
        var order: Int
        var change: UInt64
        var isStored: Bool
    }

    /// A third-party REGISTER whose failure ends the registration.
    private struct Ending {
        var transaction: UInt64
        var sent: Instant
        var hasFailed = false
    }

    /// Re-authentication by the network. Until it is stored a process that dies leaves what was before.
    private struct Shortening {
        var order: Int
        var change: UInt64
        /// Whether its commit has failed: it is stored some time later then.
        var isLost = false
    }

    private struct User {
        /// What the registration may be, but for wishes.
        var possible: [Contact?] = [nil]
        var wishes: [Wish] = []
        var removal: Removal?
        /// What has shortened it by re-authentication, until that is stored.
        var shortening: Shortening?
        /// Whether the subscriber is to be gone when that is stored.
        var isLeaving = false
        var endings: [Ending] = []
        /// Transactions that had their final answer.
        var answered: [UInt64: Instant] = [:]
    }

    /// A REGISTER that was answered 200.
    struct Acceptance {
        var client: Int
        /// What it may have been.
        var kinds: Set<RegistrationKind>
        var contact: Contact?
        var granted: UInt32
        /// How the subscriber was provisioned between the request and the answer.
        var variants: Set<SubscriberVariant>
        /// Whether the time of the registration before it may have been up.
        var mayFollowEnd: Bool
    }

    private let cast: Cast
    private let isPersistent: Bool
    private let limits: RegistrarSettings
    private let patience: TimeSpan
    private var users: [User]
    private var order = 0
    private(set) var variants: [SubscriberVariant]
    /// What the last observation has accepted.
    private(set) var acceptance: Acceptance?

    /// How exact times are: the core reckons with whole seconds.
    private static let tolerance = TimeSpan.seconds(2)

    init(_ cast: Cast, isPersistent: Bool) {
        self.cast = cast
        self.isPersistent = isPersistent
        limits = cast.plan.core.registrar
        patience = cast.plan.core.timers.patience
        users = Array(repeating: User(), count: cast.clientCount)
        variants = Array(repeating: .planned, count: cast.clientCount)
    }

    mutating func observe(_ observation: Observation, at time: Instant) {
        acceptance = nil
        order += 1
        switch observation {
        case .delivered(let message) where message.method == .register:
            if message.receiver == cast.core { delivered(message, time) }
        case .sent(let message) where message.method == .register && message.sender == cast.core:
            if message.isRequest { told(message, time) } else { answered(message, time) }
        case .unreachable(let message) where message.method == .register && message.isRequest && message.sender == cast.core:
            endingFailed(message.transaction)
        case .crashed(let station) where station == cast.core: for i in users.indices { crash(i) }
        case .deregistered(let client, true, let change): deregister(client, change)
        case .reauthenticated(let client, let change): reauthenticate(client, change, time)
        case .changing(let client, let variant): users[client].isLeaving = variant == .gone
        case .changeFailed(let client): users[client].isLeaving = false
        case .committed(let change, let succeeded): committed(upTo: change, succeeded)
        case .changed(let client, let variant): changed(client, variant)
        default: break
        }
    }

    // MARK: Questions

    /// What a user's registration may be now; nil: there is none.
    func states(of client: Int, at time: Instant) -> [Contact?] {
        let user = users[client]
        var states = user.possible + user.wishes.flatMap(\.outcomes)
        let isUncertain = user.removal.map { !$0.isStored } ?? false || !user.endings.isEmpty
        let ends = states.contains { $0.map { $0.end < time + RegistrationModel.tolerance } ?? false }
        if isUncertain || ends { states.append(nil) }
        return states.filter { $0.map { time < $0.end + RegistrationModel.tolerance } ?? true }
    }

    /// Whether a user is registered; nil: it may be so or so.
    func isRegistered(_ client: Int, at time: Instant) -> Bool? {
        let states = states(of: client, at: time)
        let count = states.count { $0 != nil }
        return count == 0 ? false : count == states.count ? true : nil
    }

    /// Whether nobody finds the subscriber, whose removal is not stored yet.
    func isLeaving(_ client: Int) -> Bool { users[client].isLeaving }

    func hasWishes(_ client: Int) -> Bool { !users[client].wishes.isEmpty }

    /// Whether what the core says of a user may be: its contact and the seconds left, if it has one.
    func allows(_ actual: (uri: String, seconds: UInt32)?, of client: Int, at time: Instant) -> Bool {
        states(of: client, at: time).contains { state in
            guard let actual, let state else { return actual == nil && state == nil }
            let left = (state.end - time).nanoseconds / 1_000_000_000
            return actual.uri == state.uri && abs(left - Int64(actual.seconds)) <= 2
        }
    }

    /// From what may be, that is it: the core has said so, and nothing is under way.
    mutating func adopt(_ actual: (uri: String, seconds: UInt32)?, of client: Int, at time: Instant) {
        let user = users[client]
        guard user.wishes.isEmpty, user.endings.isEmpty, user.removal?.isStored ?? true, user.shortening == nil else { return }
        users[client].possible = [actual.map { Contact(uri: $0.uri, end: time + .seconds(Int($0.seconds))) }]
    }

    // MARK: Requests

    private mutating func delivered(_ message: WireMessage, _ time: Instant) {
        guard let registration = message.registration, let client = cast.client(of: registration.identity) else { return }
        if !message.isRequest { return serverAnswered(client, message, time) }
        let transaction = message.transaction
        if let before = users[client].answered[transaction], time - before < patience { return }
        guard !users[client].wishes.contains(where: { $0.transaction == transaction }), let contact = registration.contacts.first
        else { return }
        let asked = contact.expires ?? registration.expires ?? limits.defaultExpires
        let granted = asked == 0 ? 0 : min(max(asked, limits.minimumExpires), limits.maximumExpires)
        let outcome = granted == 0 ? nil : Contact(uri: contact.uri, end: time + .seconds(Int(granted)))
        users[client].wishes.append(
            Wish(order: order, transaction: transaction, outcomes: [outcome], granted: granted, variants: [variants[client]]))
    }

    private mutating func answered(_ message: WireMessage, _ time: Instant) {
        guard message.status >= 200, let identity = message.registration?.identity, let client = cast.client(of: identity),
            let place = users[client].wishes.firstIndex(where: { $0.transaction == message.transaction })
        else { return }
        users[client].answered[message.transaction] = time
        let kinds = kindsOfRegistration(client, time)
        let mayFollowEnd = users[client].possible.contains { $0.map { $0.end < time + RegistrationModel.tolerance } ?? false }
        let wish = users[client].wishes.remove(at: place)
        guard message.status < 300 else { return }
        users[client].endings.removeAll { $0.hasFailed || time - $0.sent > patience }
        users[client].possible = wish.outcomes
        if let shortening = users[client].shortening, shortening.order < wish.order { users[client].shortening = nil }
        if let removal = users[client].removal, removal.order > wish.order {
            users[client].possible = removal.isStored ? [nil] : wish.outcomes + [nil]
        }
        acceptance = Acceptance(
            client: client, kinds: wish.granted == 0 ? [.deregistration] : kinds, contact: wish.outcomes[0], granted: wish.granted,
            variants: wish.variants, mayFollowEnd: mayFollowEnd)
    }

    private func kindsOfRegistration(_ client: Int, _ time: Instant) -> Set<RegistrationKind> {
        let user = users[client]
        // Of two requests under way the earlier may have made the user registered.
        guard user.wishes.count == 1 else { return [.initial, .reregistration] }
        var states = user.possible.filter { $0.map { time < $0.end + RegistrationModel.tolerance } ?? true }
        if states.contains(where: { $0.map { $0.end < time + RegistrationModel.tolerance } ?? false }) { states.append(nil) }
        if states.isEmpty || user.removal != nil || !user.endings.isEmpty { states.append(nil) }
        return Set(states.map { $0 == nil ? .initial : .reregistration })
    }

    // MARK: The network

    private mutating func deregister(_ client: Int, _ change: UInt64) {
        users[client].removal = Removal(order: order, change: change, isStored: !isPersistent)
        if !isPersistent { users[client].possible = [nil] }
    }

    private mutating func reauthenticate(_ client: Int, _ change: UInt64, _ time: Instant) {
        if isPersistent { users[client].shortening = Shortening(order: order, change: change) }
        let soon = time + .seconds(60)
        func shortened(_ contact: Contact?) -> [Contact?] {
            guard var short = contact, short.end > soon else { return [contact] }
            short.end = soon
            return isPersistent ? [contact, short] : [short]
        }
        users[client].possible = users[client].possible.flatMap(shortened)
        for i in users[client].wishes.indices { users[client].wishes[i].outcomes = users[client].wishes[i].outcomes.flatMap(shortened) }
    }

    private mutating func committed(upTo change: UInt64, _ succeeded: Bool) {
        for i in users.indices {
            if let shortening = users[i].shortening, shortening.change <= change, !shortening.isLost {
                if succeeded { users[i].shortening = nil } else { users[i].shortening?.isLost = true }
            }
            guard let removal = users[i].removal, !removal.isStored, removal.change <= change else { continue }
            users[i].removal?.isStored = true
            if succeeded { users[i].possible = [nil] } else { users[i].removal = nil }
        }
    }

    private mutating func changed(_ client: Int, _ variant: SubscriberVariant) {
        users[client].isLeaving = false
        if variant == .gone, variants[client] != .gone {
            users[client].possible = [nil]
            users[client].wishes = []
            users[client].removal = nil
        }
        variants[client] = variant
        for i in users[client].wishes.indices { users[client].wishes[i].variants.insert(variant) }
    }

    // MARK: Application servers

    /// A server hears of a registration; if it fails, the registration may end.
    private mutating func told(_ message: WireMessage, _ time: Instant) {
        guard let registration = message.registration, registration.expires != 0, let client = cast.client(of: registration.identity),
            cast.plan.clients[client].user.mayBeEnded,
            !users[client].endings.contains(where: { $0.transaction == message.transaction })
        else { return }
        users[client].endings.append(Ending(transaction: message.transaction, sent: time))
    }

    private mutating func serverAnswered(_ client: Int, _ message: WireMessage, _ time: Instant) {
        guard message.status >= 200,
            let place = users[client].endings.firstIndex(where: { $0.transaction == message.transaction })
        else { return }
        // What has failed, or was given up, no answer mends.
        let ending = users[client].endings[place]
        if message.status < 300, !ending.hasFailed, time - ending.sent < patience {
            users[client].endings.remove(at: place)
        } else {
            users[client].endings[place].hasFailed = true
        }
    }

    private mutating func endingFailed(_ transaction: UInt64) {
        for i in users.indices {
            guard let place = users[i].endings.firstIndex(where: { $0.transaction == transaction }) else { continue }
            users[i].endings[place].hasFailed = true
        }
    }

    // MARK: Death

    /// What is stored is there again: of what was under way it may be all or nothing.
    private mutating func crash(_ client: Int) {
        var possible = users[client].possible + users[client].wishes.flatMap(\.outcomes)
        if users[client].removal.map({ !$0.isStored }) ?? false || !users[client].endings.isEmpty { possible.append(nil) }
        users[client] = User()
        users[client].possible = isPersistent ? possible : [nil]
    }
}
