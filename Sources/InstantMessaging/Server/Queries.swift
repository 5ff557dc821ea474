// What the server's HTTP interface shows and changes, the return from the store at start, and the reset.

import JSONText
import SIPMessage
import SIPTransaction
public import SansIO

/// A message that waits for its recipient.
public struct StoredMessage: Hashable, Sendable {
    public var id: String
    /// The recipient's identity, and the sender's as it was asserted.
    public var to: String
    public var from: String
    public var contentType: String
    public var body: String
    public var received: WallTime
    public var expires: WallTime

    /// As an object of the HTTP interface.
    public var json: String { value.written }

    var value: JSON {
        .object([
            .init("id", .text(id)), .init("to", .text(to)), .init("from", .text(from)), .init("content_type", .text(contentType)),
            .init("body", .text(body)), .init("received_at", .text(received.rfc3339)), .init("expires_at", .text(expires.rfc3339)),
        ])
    }
}

/// What a user's devices have published, and what follows from it.
public struct PublishedSettings: Hashable, Sendable {
    public struct Publication: Hashable, Sendable {
        public var entityTag: String
        /// The devices that its document speaks of.
        public var entities: [String]
        /// Seconds left.
        public var expires: Int64
        public var expiresAt: WallTime
        public var document: String
    }

    public var identity: String
    /// What holds, the defaults among it.
    public var effective: ServiceSettings
    public var publications: [Publication]

    public var json: String {
        JSON.object([
            .init("identity", .text(identity)), .init("settings", effective.value), .init("publications", .list(publications.map(\.value))),
        ]).written
    }
}

extension PublishedSettings.Publication {
    fileprivate var value: JSON {
        .object([
            .init("etag", .text(entityTag)), .init("entities", .list(entities.map { .text($0) })), .init("expires", .integer(expires)),
            .init("expires_at", .text(expiresAt.rfc3339)), .init("document", .text(document)),
        ])
    }
}

extension ServiceSettings {
    /// Every setting by its name in snake case.
    fileprivate var value: JSON {
        var fields = SettingsFlag.allCases.map { flag in
            JSON.Member(String(flag.rawValue.map { $0 == "-" ? "_" : $0 }), .boolean(self[flag]))
        }
        fields.append(.init("answer_mode", .text((answerMode ?? .automatic).rawValue)))
        let history = history.sorted { $0.key < $1.key }.map { JSON.Member($0.key, .boolean($0.value)) }
        fields.append(.init("history", .object(history)))
        return .object(fields)
    }
}

extension IMServer {
    /// The messages that wait, the oldest first: all, or those to one identity.
    public func stored(to recipient: String? = nil) -> [StoredMessage] {
        let identity = recipient.map { Identity($0) }
        return kept.values.map(\.message).filter { identity == nil || $0.recipient == identity! }
            .sorted { $0.number < $1.number }.map { StoredMessage($0) }
    }

    /// Removes a message that waits; false: there is none with this number.
    public mutating func removeStored(_ id: String, at now: Now, into effects: inout Effects) -> Bool {
        guard let number = UInt64(id), kept[number] != nil else { return false }
        discard(number, at: now, into: &effects)
        return true
    }

    /// A user's settings; nil: not an identity of this server's users. Of whom nothing is published has the defaults.
    public func settings(of identity: String, at now: Now) -> PublishedSettings? {
        guard let identity = Identity(identity), isServed(identity) else { return nil }
        guard let user = userNumbers[identity] else {
            return PublishedSettings(identity: identity.description, effective: ServiceSettings(), publications: [])
        }
        let live = users[user].publications.filter { $0.expiry > now.monotonic }
        return PublishedSettings(
            identity: identity.description, effective: effectiveSettings(of: user),
            publications: live.map { publication in
                PublishedSettings.Publication(
                    entityTag: String(octets: publication.entityTag.span.bytes), entities: publication.document.entities.map(\.id),
                    expires: (publication.expiry - now.monotonic).wholeSeconds, expiresAt: publication.wallExpiry,
                    document: String(octets: publication.body.span.bytes))
            })
    }

    // MARK: The store

    /// Takes back a record that the store held, before anything is received.
    ///
    /// - Returns: false for a record that this version does not know or that is broken; it is left out.
    public mutating func restore(table: UInt8, key: [UInt8], value: [UInt8], at now: Now) -> Bool {
        switch table {
        case StoreTable.messages:
            guard let message = KeptMessage(key: key, record: value), kept[message.number] == nil,
                let user = userNumber(of: message.recipient)
            else { return false }
            lastMessage = max(lastMessage, message.number)
            // The process before this one may have tried to deliver it.
            insert(message, user, ticket: 0, isPossiblyReceived: true, at: now)
            return true
        case StoreTable.registrations:
            guard let registration = Registration(record: value), let user = userNumber(of: Identity(octets: key)) else { return false }
            register(user, registration, at: now)
            return true
        case StoreTable.originals:
            guard let number = KeptMessage.number(key), let original = Originals.Remembered(record: value) else { return false }
            lastMessage = max(lastMessage, number)
            remember(original, as: number, at: now)
            return true
        default:
            return false
        }
    }

    /// Begins the work after the last `restore`: users who are there are watched, if so wished, and get what was kept for them.
    ///
    /// - Parameter isSuccessor: whether another process has served from the same store: what that one passed on or delivered
    ///   may come once more.
    public mutating func start(asSuccessor isSuccessor: Bool, at now: Now, into effects: inout Effects) {
        if isSuccessor { restoredUntil = now.monotonic + copyWindow }
        watchAllRegistrations(at: now)
        for user in users.indices { startDelivery(to: user, at: now, into: &effects) }
    }

    /// Forgets users, settings and messages, in the store too, and all that is under way. Nothing is sent.
    public mutating func reset(at now: Now, into effects: inout Effects) {
        for number in kept.keys.sorted() {
            remove(number)
            removeRecord(number, into: &effects)
        }
        for number in originals.remembered.keys.sorted() { originalForgotten(number, into: &effects) }
        for user in users.indices where users[user].registration != Registration() {
            lastTicket += 1
            let key = users[user].identity.octets
            effects.store.remove(table: StoreTable.registrations, key: key.span.bytes, ticket: lastTicket)
        }
        transactions.removeAll()
        wheel = TimerWheel(start: now.monotonic)
        users = []
        userNumbers = [:]
        publicationOwners = [:]
        watchers = [:]
        forwards = [:]
        originals = Originals()
        outgoing = [:]
        // Answers that waited have no transaction any more; removals that fail are still tried again.
        commitments.removeAll { if case .removal = $0.change { false } else { true } }
    }
}

extension StoredMessage {
    fileprivate init(_ message: KeptMessage) {
        let originator = message.originator.span.bytes
        var values = Slice(0, message.originator.count)
        let first = originator.nextListValue(&values)
        let sender = originator.nameAddress(first).flatMap { Identity($0.uri, in: originator) }
        self.init(
            id: String(message.number), to: message.recipient.description,
            from: sender?.description ?? String(octets: originator), contentType: String(octets: message.contentType.span.bytes),
            body: String(octets: message.body.span.bytes), received: message.received, expires: message.expiry)
    }
}
