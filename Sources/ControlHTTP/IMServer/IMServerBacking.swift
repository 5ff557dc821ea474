// What the IM Server's interface asks of whoever runs the IM Server.

public import SansIO

/// The IM Server behind its HTTP interface. Calls come from many tasks at a time.
public protocol IMServerBacking: Sendable {
    /// Whether `reset` does something; without it the call is answered 404.
    var canReset: Bool { get }

    func health() async -> Health
    /// The off-line messages of all users, in the order in which each user's will be delivered.
    func storedMessages() async -> [StoredMessage]
    /// - Returns: whether there was such a message.
    func removeStoredMessage(_ id: String) async throws -> Bool
    /// What a user has published.
    /// - Parameter identity: a public identity in canonical form.
    func settings(of identity: String) async -> PublishedSettings?
    /// Forgets messages, settings and who is reachable.
    func reset() async throws
}

extension IMServerBacking {
    public var canReset: Bool { false }
    public func reset() async throws {}
}

/// A message that waits for its recipient.
public struct StoredMessage: Hashable, Sendable {
    /// Names it in a path.
    public var id: String
    public var from: String
    public var to: String
    /// When it was sent.
    public var time: WallTime
    /// How long it is kept from now, and until when.
    public var expires: TimeSpan
    public var expiresAt: WallTime
    public var contentType: String
    public var body: [UInt8]

    public init(
        id: String, from: String, to: String, time: WallTime, expires: TimeSpan, expiresAt: WallTime, contentType: String, body: [UInt8]
    ) {
        self.id = id
        self.from = from
        self.to = to
        self.time = time
        self.expires = expires
        self.expiresAt = expiresAt
        self.contentType = contentType
        self.body = body
    }
}

/// The service settings of a user: what holds, and the publications that it comes from, one for each device.
public struct PublishedSettings: Hashable, Sendable {
    public enum Value: Hashable, Sendable {
        case flag(Bool)
        case word(String)
    }

    public struct Setting: Hashable, Sendable {
        /// In small letters with underscores: `offline_delivery`.
        public var name: String
        public var value: Value

        public init(_ name: String, _ value: Value) {
            self.name = name
            self.value = value
        }
    }

    public struct Publication: Hashable, Sendable {
        public var etag: String
        /// How long it lasts from now, and until when.
        public var expires: TimeSpan
        public var expiresAt: WallTime
        public var settings: [Setting]

        public init(etag: String, expires: TimeSpan, expiresAt: WallTime, settings: [Setting]) {
            self.etag = etag
            self.expires = expires
            self.expiresAt = expiresAt
            self.settings = settings
        }
    }

    public var publicIdentity: String
    public var settings: [Setting]
    public var publications: [Publication]

    public init(publicIdentity: String, settings: [Setting], publications: [Publication]) {
        self.publicIdentity = publicIdentity
        self.settings = settings
        self.publications = publications
    }
}
