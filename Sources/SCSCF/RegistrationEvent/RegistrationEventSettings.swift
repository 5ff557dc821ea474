// What the notifier of the registration event package is told at start: `core.reg_event` of the topology.

public import SansIO

/// How subscriptions to registration state are served (RFC 3680, RFC 6665).
public struct RegistrationEventSettings: BitwiseCopyable, Sendable {
    /// The reason in Subscription-State when the last contact of a user is gone (RFC 6665 §4.1.3).
    public enum EndReason: UInt8, BitwiseCopyable, Sendable {
        /// The watcher should subscribe anew at once: what S-CSCFs say.
        case deactivated
        /// There is nothing to watch any more.
        case noresource

        var text: StaticString {
            switch self {
            case .deactivated: "deactivated"
            case .noresource: "noresource"
            }
        }
    }

    /// Whether a NOTIFY between two SUBSCRIBE requests tells only what changed (RFC 3680 §5.1, `state="partial"`).
    public var tellsChangesOnly = false
    /// The least time between two NOTIFYs of a subscription if contacts were only refreshed (RFC 3680 §4.10); all else is told
    /// at once.
    public var refreshInterval = TimeSpan.zero
    public var endReason = EndReason.deactivated
    /// Subscriptions to one user, and to all of them; past it 503 with Retry-After.
    public var maximumPerUser = 32
    public var maximum = 1_000_000

    public init() {}

    /// Seconds granted to a SUBSCRIBE without Expires (RFC 3680 §4.4).
    static let defaultExpires: UInt32 = 3761
}
