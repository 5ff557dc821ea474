// What is known of a watched user's contacts: the contact machine of RFC 3680 §4.7.1 for each, kept up by comparing with the
// registrar's bindings after each change. Users whom nobody watches have none of this.

import IMSProfile
import SIPMessage
import SIPRegistrar
import SansIO

/// Why registration state may have changed: by whom contacts that are gone were ended.
enum RegistrationCause: BitwiseCopyable {
    /// A REGISTER of the user's.
    case request
    /// Time is over.
    case expiry
    /// The network took contacts away (TS 24.229 §5.4.1.5), and tells the user what it is to do.
    case network(DeregistrationEvent)
    /// An application server refused the user (TS 24.229 §5.4.1.7, SESSION_TERMINATED).
    case refusal

    /// The event that ends a contact (RFC 3680 §4.7.1).
    fileprivate var end: ContactEvent {
        switch self {
        case .request: .unregistered
        case .expiry: .expired
        case .network(.deactivated): .deactivated
        case .network(.probation): .probation
        case .network(.rejected): .rejected
        case .refusal: .rejected
        }
    }

    /// For how many seconds the user is not to register again; nil: the event is another.
    fileprivate var retryAfter: UInt32? {
        guard case .network(.probation(let seconds)) = self else { return nil }
        return seconds
    }

    /// How a subscription ends with the user's last contact (RFC 6665 §4.1.3).
    ///
    /// - Parameter usual: where nothing says that the user is to stay away.
    func subscriptionEnd(usual: RegistrationEventSettings.EndReason) -> SubscriptionEnd {
        switch self {
        case .network(.probation(let seconds)): SubscriptionEnd(reason: "probation", retryAfter: seconds)
        case .network(.rejected), .refusal: SubscriptionEnd(reason: "rejected")
        case .network(.deactivated), .request, .expiry: SubscriptionEnd(reason: usual.text)
        }
    }
}

/// What a user is told when the network deregisters it (TS 24.229 §5.4.1.5), by the event of its contacts (RFC 3680 §4.7.1).
public enum DeregistrationEvent: BitwiseCopyable, Hashable, Sendable {
    /// It is to register again at once.
    case deactivated
    /// It may register again after so many seconds.
    case probation(retryAfter: UInt32)
    /// It is not to register again.
    case rejected
}

/// Why a subscription ends, as Subscription-State says it (RFC 6665 §4.1.3).
struct SubscriptionEnd: Sendable {
    var reason: StaticString
    /// In how many seconds the watcher may subscribe again; nil: nothing is said of that.
    var retryAfter: UInt32?
}

/// What brought a contact into its state (RFC 3680 §4.7.1). `created` is how a `registered` contact shows under an identity
/// that was registered implicitly.
enum ContactEvent: UInt8, BitwiseCopyable {
    case registered, created, refreshed, shortened
    case expired, deactivated, probation, unregistered, rejected

    var text: StaticString {
        switch self {
        case .registered: "registered"
        case .created: "created"
        case .refreshed: "refreshed"
        case .shortened: "shortened"
        case .expired: "expired"
        case .deactivated: "deactivated"
        case .probation: "probation"
        case .unregistered: "unregistered"
        case .rejected: "rejected"
        }
    }
}

struct WatchedContact {
    /// What makes it this contact: URI, instance, reg-id and device. It is its id in documents too, the same after a restart.
    var key: UInt64
    var binding: BindingID
    var isActive = true
    var event = ContactEvent.registered
    /// With `probation`: in how many seconds the user may register again.
    var retryAfter: UInt32?
    /// The identity in the REGISTER that bound it.
    var named: UInt16
    /// The change that last concerned it.
    var serial: UInt32
    /// When it was bound; nil: before anybody watched.
    var since: Instant?
    var expiry: Instant
    var updated: Instant
    var sequence: UInt32
    /// A hash of the contact parameters.
    var parameters: UInt64
    var uri: [UInt8]
    var callID: [UInt8]
}

/// A watched user.
struct Watch {
    var subscriptions: [SlotID] = []
    private(set) var contacts: [WatchedContact] = []
    /// The number of the last change, from 1, and of the last one that was more than a refresh.
    private(set) var serial: UInt32 = 1
    private(set) var urgent: UInt32 = 1
    /// What ended contacts last; nil: none has ended since somebody watches.
    private(set) var lastEnd: RegistrationCause?

    /// Contacts that are gone and not yet told to all; past it the one gone longest is forgotten.
    private static let endedLimit = 64

    /// Begins to watch.
    init(_ registrar: borrowing Registrar, _ subscriber: UInt32, named: UInt16) {
        registrar.forEachBinding(of: subscriber) { contacts.append(WatchedContact($0, named: named, serial: 1)) }
    }

    /// Takes in what the registrar has now.
    mutating func observe(
        _ registrar: borrowing Registrar, _ subscriber: UInt32, _ cause: RegistrationCause, named: UInt16, at now: Instant
    ) {
        let next = serial + 1
        var isPresent = [Bool](repeating: false, count: contacts.count)
        var change = Change.none
        registrar.forEachBinding(of: subscriber) { view in
            var fresh = WatchedContact(view, named: named, serial: next)
            let known = contacts.firstIndex { $0.key == fresh.key }
            fresh.since = now
            guard let i = known else {
                contacts.append(fresh)
                change = .more
                return
            }
            isPresent[i] = true
            let kind = contacts[i].take(fresh)
            if kind.rawValue > change.rawValue { change = kind }
        }
        for i in isPresent.indices where !isPresent[i] && contacts[i].isActive {
            contacts[i].isActive = false
            contacts[i].event = cause.end
            contacts[i].retryAfter = cause.retryAfter
            contacts[i].serial = next
            lastEnd = cause
            change = .more
        }
        guard change != .none else { return }
        serial = next
        if change == .more { urgent = next }
        forgetEnded(beyond: Watch.endedLimit)
    }

    private mutating func forgetEnded(beyond limit: Int) {
        var surplus = contacts.count { !$0.isActive } - limit
        guard surplus > 0 else { return }
        contacts.removeAll { contact in
            guard !contact.isActive, surplus > 0 else { return false }
            surplus -= 1
            return true
        }
    }

    /// Forgets ended contacts that every watcher was told of: they are reported once (RFC 3680 §4.7.1).
    mutating func forgetEnded(toldUpTo serial: UInt32) {
        contacts.removeAll { !$0.isActive && $0.serial <= serial }
    }

    var hasEnded: Bool { contacts.contains { !$0.isActive } }

    fileprivate enum Change: UInt8 {
        case none, refresh, more
    }
}

extension WatchedContact {
    fileprivate init(_ view: BindingView, named: UInt16, serial: UInt32) {
        key = WatchedContact.key(of: view)
        binding = view.id
        // Its first REGISTER was another one.
        if view.sequence != view.firstSequence { event = .refreshed }
        self.named = named
        self.serial = serial
        expiry = view.expiry
        updated = view.updated
        sequence = view.sequence
        parameters = WatchedContact.hash(of: view.parameters)
        uri = [UInt8](view.uri)
        callID = [UInt8](view.callID)
    }

    /// Takes in how the same contact is now.
    fileprivate mutating func take(_ fresh: WatchedContact) -> Watch.Change {
        guard isActive else {
            self = fresh
            return .more
        }
        binding = fresh.binding
        let isRefreshed = fresh.updated != updated || fresh.sequence != sequence || fresh.callID != callID
        guard isRefreshed || fresh.expiry < expiry else { return .none }
        let hasOtherParameters = fresh.parameters != parameters
        // Without a REGISTER nobody but the network can have done it.
        event = isRefreshed ? .refreshed : .shortened
        serial = fresh.serial
        (expiry, updated, sequence) = (fresh.expiry, fresh.updated, fresh.sequence)
        (parameters, callID) = (fresh.parameters, fresh.callID)
        return isRefreshed && !hasOtherParameters ? .refresh : .more
    }

    /// The same in every process: it stands in documents that outlive this one.
    private static func key(of view: BindingView) -> UInt64 {
        var hasher = KeyHasher(HashSecret(0, 0x7265_6769_6E66_6F))
        hasher.combine(view.uri)
        hasher.combine(view.instance)
        hasher.combine(UInt64(view.regID ?? 0) << 16 | UInt64(view.device))
        return hasher.finish().low
    }

    private static func hash(of parameters: RawSpan) -> UInt64 {
        var hasher = KeyHasher(HashSecret(0, 0))
        hasher.combine(parameters)
        return hasher.finish().low
    }
}

extension WaitingRegistration.Cause {
    /// As watchers are told of it.
    var inEvents: RegistrationCause {
        switch self {
        case .request, .profile: .request
        case .expiry: .expiry
        case .shortening: .network(.deactivated)
        case .network(_, let failed, let event): failed >= 0 ? .refusal : .network(event)
        }
    }
}
