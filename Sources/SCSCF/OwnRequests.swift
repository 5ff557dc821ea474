// Requests of whoever runs the core, to one node and on nobody's behalf: each is a client transaction of its own, and what
// comes back is kept until it is asked for.
//
//   way → [the request is written] → send → answered … → collect → forget

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
public import SansIO

/// Where a request is to go.
public enum OwnRequestTarget: Sendable, Hashable {
    /// An application server by its name, or a network by its domain.
    case node(String)
    /// The contact of a user that was registered last, by one of the user's public identities.
    case contact(String)
    /// Wherever a SIP URI leads, without a look at the Domain Name System.
    case uri(String)
}

/// The way to a target.
public struct OwnRequestWay: Sendable, Hashable {
    public var flow: Flow
    /// Where the target is, as a Request-URI.
    public var uri: [UInt8]
    /// Route header fields on the way, each with its line end.
    public var routes: [UInt8]
}

/// Why there is no way.
public enum OwnRequestFailure: Error, Sendable, Hashable {
    /// No server, no network and no user is called so; or another shard knows.
    case unknown
    case notRegistered
    /// No listener sends there, or its name has no address yet.
    case unreachable
}

/// What has come back for a request.
public struct OwnRequestOutcome: Sendable, Hashable {
    /// In the order in which they came.
    public var responses: [[UInt8]]
    /// Whether nothing more is to come: there was a final response, or the transaction has ended without one.
    public var isOver: Bool

    public init(responses: [[UInt8]] = [], isOver: Bool = false) {
        self.responses = responses
        self.isOver = isOver
    }
}

/// A request that was sent.
struct OwnRequest {
    var client: SlotID
    var outcome = OwnRequestOutcome()
    /// Octets kept of responses.
    var kept = 0
    /// A peer that answers without end fills no more than this.
    static let limit = 1 << 20
}

extension ServingCSCF {
    /// The way to a target. One that is nobody's own, as a server, is told by the first shard alone.
    public mutating func way(to target: OwnRequestTarget, at now: Now) throws(OwnRequestFailure) -> OwnRequestWay {
        switch target {
        case .node(let name):
            guard isFirst else { throw .unknown }
            return try way(toNode: name, at: now)
        case .uri(let text):
            guard isFirst else { throw .unknown }
            let octets = Array(text.utf8)
            guard let uri = octets.span.bytes.uri(Slice(0, octets.count)), let destination = destination(of: uri, in: octets.span.bytes),
                let flow = outgoing(destination)
            else { throw .unreachable }
            return OwnRequestWay(flow: flow, uri: octets, routes: [])
        case .contact(let identity):
            return try way(toContactOf: identity)
        }
    }

    private mutating func way(toNode name: String, at now: Now) throws(OwnRequestFailure) -> OwnRequestWay {
        let destination: Destination
        let location: ServerName?
        let uri: [UInt8]
        if let server = configuration.applicationServers.first(where: { $0.name == name }) {
            (destination, location, uri) = (server.destination, server.location, server.uri)
        } else if let network = configuration.networks.first(where: { $0.domain == Array(name.lowercased().utf8) }) {
            (destination, location, uri) = (network.destination, network.location, Array("sip:".utf8) + network.domain)
        } else {
            throw .unknown
        }
        if let flow = outgoing(destination) { return OwnRequestWay(flow: flow, uri: uri, routes: []) }
        guard let location, case .over(let flows) = course(to: location, at: now.monotonic), let flow = flows.first else {
            throw .unreachable
        }
        return OwnRequestWay(flow: flow, uri: uri, routes: [])
    }

    private func way(toContactOf identity: String) throws(OwnRequestFailure) -> OwnRequestWay {
        guard let user = reference(to: identity), otherShard(of: user.subscriber) == nil else { throw .unknown }
        var latest: (binding: BindingID, updated: Instant)?
        registrar.forEachBinding(of: user.subscriber) { view in
            if view.updated >= latest?.updated ?? view.updated { latest = (view.id, view.updated) }
        }
        guard let latest else { throw .notRegistered }
        guard let hop = contactHop(latest.binding, isSIPS: false), let flow = hop.flow else { throw .unreachable }
        return OwnRequestWay(flow: flow, uri: hop.uri, routes: hop.routes)
    }

    /// Whether this shard is the one that speaks for all.
    public var isFirst: Bool { place.number == 0 }

    /// The address of ours that a peer on this flow is told.
    public func ownAddress(on flow: Flow) -> Endpoint { configuration.listeners[Int(flow.listener)].advertised }

    /// Sends a request.
    ///
    /// - Parameters:
    ///   - number: names it from now on; no other that is not forgotten may have it.
    ///   - line: the request line with its line end. Our Via follows it.
    ///   - rest: all else, from the first header field on.
    /// - Returns: false if there is no room for one more transaction.
    public mutating func sendOwnRequest(
        _ number: UInt32, _ method: [UInt8], line: [UInt8], rest: [UInt8], over flow: Flow, at now: Now, into effects: inout Effects
    ) -> Bool {
        let method = Method(method.span.bytes)
        guard method != .ack else {
            sendOwnAcknowledgement(line, rest, over: flow, into: &effects)
            return true
        }
        guard let client = transactions.reserveClient(method, user: Owner.ownRequest(number).rawValue) else { return false }
        let start = effects.wire.bytes.count
        effects.wire.bytes.append(line)
        transactions.appendVia(client, over: flow, into: &effects.wire.bytes)
        effects.wire.bytes.append(rest)
        ownRequests[number] = OwnRequest(client: client)
        transmit(client, from: start, over: flow, at: now, into: &effects)
        return true
    }

    /// The ACK to a 2xx is nobody's transaction (RFC 3261 §13.2.2.4).
    private mutating func sendOwnAcknowledgement(_ line: [UInt8], _ rest: [UInt8], over flow: Flow, into effects: inout Effects) {
        let start = effects.wire.bytes.count
        effects.wire.bytes.append(line)
        transactions.appendStatelessVia(over: flow, into: &effects.wire.bytes)
        effects.wire.bytes.append(rest)
        effects.wire.transmit(from: start, over: flow, method: Method.ack.rawValue)
    }

    /// What has come back so far; nil: this shard has not sent it.
    public func ownRequestOutcome(_ number: UInt32) -> OwnRequestOutcome? { ownRequests[number]?.outcome }

    /// Forgets a request. An INVITE without a final response is cancelled (RFC 3261 §9.1).
    public mutating func forgetOwnRequest(_ number: UInt32, at now: Now, into effects: inout Effects) {
        guard let request = ownRequests.removeValue(forKey: number), !request.outcome.isOver else { return }
        transactions.cancel(request.client, at: now.monotonic, into: &effects.wire)
    }

    mutating func ownRequestAnswered(_ number: UInt32, _ response: borrowing Message) {
        guard var request = ownRequests.removeValue(forKey: number) else { return }
        if request.kept + response.bytes.byteCount <= OwnRequest.limit {
            request.outcome.responses.append([UInt8](response.bytes))
            request.kept += response.bytes.byteCount
        }
        if response.status >= 200 { request.outcome.isOver = true }
        ownRequests[number] = request
    }

    mutating func ownRequestUnanswered(_ number: UInt32) { ownRequests[number]?.outcome.isOver = true }
}
