// The names of the lanes: nodes of the topology where the trace names them, else who registered from there.

public import SIPTrace
public import SansIO

/// Who is at which address, as far as a trace tells. A server has its name from the topology; a client that is not in it is
/// known by the identity that it registered.
public struct LaneNames: Sendable {
    /// nil: several are there.
    private var identities: [Endpoint: String?] = [:]

    public init() {}

    /// A 200 to REGISTER tells who is at its other end, and where its contacts are.
    public mutating func learn(from message: TracedMessage) {
        guard message.direction == .outgoing, message.peer == nil, message.octets.starts(with: LaneNames.accepted) else { return }
        let parts = MessageParts(message.octets)
        guard parts.method == "REGISTER", let to = parts.value(of: "To") else { return }
        let identity = MessageParts.uri(inAddress: to)
        learn(identity, at: message.remote)
        for header in parts.headers where header.name == "Contact" {
            if let endpoint = LaneNames.endpoint(ofURI: MessageParts.uri(inAddress: header.value)) { learn(identity, at: endpoint) }
        }
    }

    /// That an identity is registered at an address.
    public mutating func learn(_ identity: String, at endpoint: Endpoint) {
        if let known = identities[endpoint] {
            if known != identity { identities[endpoint] = .some(nil) }
        } else {
            identities[endpoint] = identity
        }
    }

    /// The lane of the other end of a message.
    public func name(of message: TracedMessage) -> String {
        if let peer = message.peer { return peer }
        guard let identity = identities[message.remote] ?? nil else { return message.remote.text }
        return LaneNames.user(of: identity)
    }

    private static let accepted = Array("SIP/2.0 200 ".utf8)

    /// `alice` of `sip:alice@home1.test`; the number of a tel URI.
    static func user(of identity: String) -> String {
        let rest = identity.firstIndex(of: ":").map { identity[identity.index(after: $0)...] } ?? identity[...]
        let user = rest.prefix { $0 != "@" && $0 != ";" }
        return user.isEmpty ? identity : String(user)
    }

    /// The address and port in a SIP URI; nil: it has a name.
    public static func endpoint(ofURI uri: String) -> Endpoint? {
        guard let colon = uri.firstIndex(of: ":") else { return nil }
        let rest = uri[uri.index(after: colon)...].prefix { $0 != ";" && $0 != "?" }
        let hostPort = rest.lastIndex(of: "@").map { rest[rest.index(after: $0)...] } ?? rest
        return Endpoint(text: hostPort, defaultPort: 5060)
    }
}

extension Endpoint {
    /// Reads `127.0.0.1:5060`, `[::1]:5060` or an address alone.
    public init?(text: some StringProtocol, defaultPort: UInt16? = nil) {
        let closing = text.lastIndex(of: "]") ?? text.startIndex
        if let colon = text[closing...].lastIndex(of: ":"), text.hasPrefix("[") || text.firstIndex(of: ":") == colon {
            guard let address = IPAddress(String(text[..<colon])), let port = UInt16(text[text.index(after: colon)...]) else { return nil }
            self.init(address: address, port: port)
        } else {
            guard let defaultPort, let address = IPAddress(String(text)) else { return nil }
            self.init(address: address, port: defaultPort)
        }
    }
}
