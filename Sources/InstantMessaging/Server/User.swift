// What the server knows of one user.

import SIPTransaction
import SansIO

/// A user by the identity that the core names.
struct User: Sendable {
    let identity: Identity
    var registration = Registration()
    /// The place of the last third-party REGISTER among those of its Call-ID; nil: none has come yet.
    var lastNotice: NoticeOrder?
    /// Rises with every third-party REGISTER that says that the user is there.
    var registrations: UInt64 = 0
    var lapseTimer = TimerID.none
    /// In the order in which they were first published.
    var publications: [Publication] = []
    /// PUBLISH requests since the beginning of the current second.
    var publicationsInWindow = 0
    var windowStart = Instant.zero
    /// Numbers of the kept messages, the oldest first.
    var waiting: [UInt64] = []
    /// Octets of the kept messages.
    var octetsWaiting = 0
    var run = DeliveryRun()
    /// What is heard of the user's contacts; nil: nothing.
    var watch: UserWatch?
    /// When the next SUBSCRIBE is due.
    var watchTimer = TimerID.none

    init(_ identity: Identity) { self.identity = identity }
}

/// Where a request stands among those that one sender sends.
struct NoticeOrder: Sendable {
    var callID: [UInt8]
    var sequence: UInt32
}

/// What the core told of a user's registration (TS 24.229 §5.7.1.1).
struct Registration: Hashable, Sendable {
    enum Reachability: UInt8, Sendable { case unknown, reachable, unreachable }

    var reachability = Reachability.unknown
    /// Seconds, as told.
    var interval: UInt32 = 0
    var expiry = WallTime(microseconds: 0)
    /// The parameters `icid-value` and `orig-ioi` of P-Charging-Vector.
    var chargingIdentifier: [UInt8] = []
    var originatingOperator: [UInt8] = []
    /// P-Charging-Function-Addresses.
    var chargingFunctions: [UInt8] = []
    /// Whether a contact has the IM feature tag; true where the core does not show the contacts.
    var hasFeatureTag = true
    /// The other identities of the implicit registration set, as far as they are known.
    var aliases: [Identity] = []
}

/// A publication of settings (RFC 3903 §6).
struct Publication: Sendable {
    /// For its timer.
    let number: UInt64
    var entityTag: [UInt8]
    var document: SettingsDocument
    var body: [UInt8]
    /// Rises with each change of the document: whose word is the last.
    var revision: UInt64
    var expiry: Instant
    var wallExpiry: WallTime
    var timer: TimerID
}

/// The delivery of a user's messages, one after another.
struct DeliveryRun: Sendable {
    enum State: Sendable, Equatable {
        case idle
        /// The delay before the first message, or before the oldest is tried once more.
        case paused
        case sending(UInt64)
        /// The oldest message is not durable yet.
        case awaitingCommit(UInt64)
    }

    var state = State.idle
    var timer = TimerID.none
    /// When the message under way was sent.
    var began = Instant.zero
    /// Whether the second try after a 480 is spent.
    var hasRetried = false
    /// The user registered again meanwhile: a run that stops begins anew.
    var isWantedAgain = false
}
