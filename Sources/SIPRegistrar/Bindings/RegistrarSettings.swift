// What a registrar is told: which rules it follows, and its limits.

/// The settings of a registrar.
public struct RegistrarSettings: BitwiseCopyable, Sendable {
    /// Which specification decides where the two differ.
    public enum Profile: UInt8, BitwiseCopyable, Sendable {
        /// TS 24.229 §5.4.1.2.2 and §5.4.1.4: without reg-id a new contact address of a private identity replaces its old
        /// ones, and an unknown contact cannot be deregistered (481).
        case ims
        /// RFC 3261 §10.3: all contacts are kept, and what is not there is removed with success.
        case rfc3261
    }

    public let profile: Profile
    /// The shortest interval granted, in seconds; a shorter one is answered 423 (RFC 3261 §10.3 step 7).
    public let minimumExpires: UInt32
    /// The interval of a contact that asks for none, in seconds.
    public let defaultExpires: UInt32
    /// The longest interval granted, in seconds; a longer one is shortened to it.
    public let maximumExpires: UInt32
    /// Contacts that a subscriber may have, that one REGISTER may bind, and that it may take away; past it 403 (TS 24.229
    /// §5.4.1.2.2). At most 255.
    public let maximumContacts: Int
    /// Contacts of all subscribers together; past it 503.
    public let maximumBindings: Int
    /// Octets kept of one contact: URI, parameters, Path and Call-ID together; past it 400.
    public let maximumContactSize: Int
    /// Whether the answer to a deregistration lists what it has taken away too, with `expires=0` (TS 24.229 §5.4.1.4.1), beside
    /// the contacts that are left (RFC 3261 §10.3 step 8).
    public let listsRemoved: Bool

    /// Octets kept of all contacts of one subscriber, past which one that is no short one is refused (403), and up to how
    /// many octets of a request its contacts are short ones.
    static let maximumTotalSize = 32_768
    static let shortRequest = 2048

    public init(
        profile: Profile = .ims, minimumExpires: UInt32 = 60, defaultExpires: UInt32 = 3600, maximumExpires: UInt32 = 600_000,
        maximumContacts: Int = 32, maximumBindings: Int = 8_000_000, maximumContactSize: Int = 8192,
        listsRemoved: Bool = false
    ) {
        self.profile = profile
        self.minimumExpires = minimumExpires
        self.defaultExpires = defaultExpires
        self.maximumExpires = maximumExpires
        self.maximumContacts = min(max(maximumContacts, 1), 255)
        self.maximumBindings = maximumBindings
        // The counts of a stored contact's parts are 16 bits wide.
        self.maximumContactSize = min(maximumContactSize, 65_535)
        self.listsRemoved = listsRemoved
    }
}
