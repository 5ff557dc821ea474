// What happens at a client, as its users and programs read it: one JSON object a line.

import JSONText
public import SansIO

public struct ClientEvent: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        /// - Parameter expires: seconds granted.
        case registered(expires: UInt32, publicIdentities: [String])
        case unregistered
        case registrationLost(reason: String)
        case settingsAccepted(entityTag: String, expires: UInt32)
        case settingsRefused(status: UInt16, reason: String)
        case settingsRemoved
        /// - Parameter date: when its sender sent it, or, if nothing says so, when it came.
        case messageReceived(from: String, body: String, date: WallTime)
        case messageDelivered(to: String, status: UInt16)
        /// Taken by the network for delivery later (RFC 3428 §7).
        case messageDeferred(to: String, status: UInt16)
        case messageRefused(to: String, status: UInt16, reason: String)
        case error(text: String)
    }

    public var time: WallTime
    public var kind: Kind

    public init(_ kind: Kind, at time: WallTime) {
        self.kind = kind
        self.time = time
    }

    /// The value of `event`.
    public var name: String {
        switch kind {
        case .registered: "registered"
        case .unregistered: "unregistered"
        case .registrationLost: "registration_lost"
        case .settingsAccepted: "settings_accepted"
        case .settingsRefused: "settings_refused"
        case .settingsRemoved: "settings_removed"
        case .messageReceived: "message_received"
        case .messageDelivered: "message_delivered"
        case .messageDeferred: "message_deferred"
        case .messageRefused: "message_refused"
        case .error: "error"
        }
    }

    /// The object, without a line end.
    public var jsonLine: String {
        JSON.object([.init("event", .text(name)), .init("time", .text(time.rfc3339))] + fields).written
    }

    private var fields: [JSON.Member] {
        switch kind {
        case .registered(let expires, let identities):
            [.init("expires", .integer(Int64(expires))), .init("public_identities", .list(identities.map { .text($0) }))]
        case .unregistered, .settingsRemoved:
            []
        case .registrationLost(let reason):
            [.init("reason", .text(reason))]
        case .settingsAccepted(let entityTag, let expires):
            [.init("etag", .text(entityTag)), .init("expires", .integer(Int64(expires)))]
        case .settingsRefused(let status, let reason):
            [.init("status", .integer(Int64(status))), .init("reason", .text(reason))]
        case .messageReceived(let from, let body, let date):
            [.init("from", .text(from)), .init("body", .text(body)), .init("date", .text(date.rfc3339))]
        case .messageDelivered(let to, let status), .messageDeferred(let to, let status):
            [.init("to", .text(to)), .init("status", .integer(Int64(status)))]
        case .messageRefused(let to, let status, let reason):
            [.init("to", .text(to)), .init("status", .integer(Int64(status))), .init("reason", .text(reason))]
        case .error(let text):
            [.init("text", .text(text))]
        }
    }
}
