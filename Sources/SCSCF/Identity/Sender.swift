// Whom the core believes: who sends a request that is to be routed, and on whose behalf (TS 24.229 §5.4.3.1, RFC 3325).
//
// In this order: a chain of ours that goes on (Routing/Chain.swift); a trusted peer; a user on the flow of a
// registration; a user who answers a challenge; somebody of another network.

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
public import SansIO

/// Why a sender was believed.
enum BeliefReason: UInt8, BitwiseCopyable {
    case dialogIdentifier, trustedPeer, registeredFlow, credentials, noAuthentication, foreignNetwork, vouchedFor
}

/// Who sends a request.
struct Sender: BitwiseCopyable {
    var reason: BeliefReason
    /// Whether its identity header fields are believed and kept.
    var isTrusted = false
    /// Originating: the user on whose behalf; its identity is asserted if the sender is not trusted to have done so.
    var originator = IdentityReference.none
    var isOriginating = false
    /// The number of the application server that it is, or -1.
    var server: Int16 = -1
    /// Whether it is another network.
    var isNetwork = false
    /// Originating: whether the user has diverted what it was called with (RFC 8498).
    var isAfterDiversion = false
}

/// What the question who sends a request comes to.
enum Belief {
    case sender(Sender)
    case refused(UInt16, String)
    case challenge(isStale: Bool)
    /// Another shard serves the user whom the request names, and is to be asked.
    case elsewhere(UInt8)
    /// It depends on who is registered on this flow in the other shards.
    case undecided
}

extension ServingCSCF {
    /// - Parameter use: who is registered on the flow, if the other shards have been asked already.
    mutating func believe(
        _ arrival: Arrival, _ request: borrowing Message, _ routes: RouteSet, _ use: FlowUse? = nil, at now: Now
    ) -> Belief {
        if vouches, let user = vouchedFor[arrival.flow.remote] { return believeVouched(user, arrival, request) }
        if let peer = trustedPeer(arrival) { return believeTrusted(peer, arrival, request, routes) }
        let preferred = identity(ofFirst: .pPreferredIdentity, in: request)
        let from = identity(of: arrival.essentials.from.uri, in: request.bytes)
        let named = preferred ?? from
        if let named, let other = otherShard(of: named.subscriber) { return .elsewhere(other) }
        if let named, registrar.hasBinding(of: named.subscriber, on: arrival.flow) {
            return originating(named.subscriber, preferred, from, .registeredFlow)
        }
        let sole: UInt32?
        if place.hasOthers {
            guard let use = use ?? knownUse(of: arrival.flow) else { return .undecided }
            sole = use.soleSubscriber
        } else {
            sole = registrar.soleSubscriber(on: arrival.flow)
        }
        if let subscriber = sole {
            return originating(subscriber, preferred, nil, .registeredFlow)
        }
        guard let named else { return believeForeign(arrival, request) }
        guard registrar.isRegistered(named.subscriber) else {
            return .refused(403, "the sender is not registered")
        }
        guard directory.isAuthenticated(named.subscriber) else {
            return directory.admits(named.subscriber, from: arrival.flow.remote.address)
                ? originating(named.subscriber, preferred, from, .noAuthentication) : .refused(403, "the user's address is another")
        }
        // A vector of AKA is for a registration.
        if directory.isAKAOnly(named.subscriber) { return .refused(403, "the sender has a SIM; register on this flow first") }
        switch checkCredentials(.proxyAuthorization, of: named.subscriber, arrival, request, at: now) {
        case .accepted: return originating(named.subscriber, preferred, from, .credentials)
        case .challenge(let isStale, _): return .challenge(isStale: isStale)
        case .refused(let status, let reason): return .refused(status, reason)
        }
    }

    // MARK: Trusted peers

    func isFromTrustedPeer(_ arrival: Arrival) -> Bool { trustedPeer(arrival) != nil }

    private struct TrustedPeer {
        var server: Int16 = -1
        var isNetwork = false
    }

    /// An application server or a trusted network by the address and port of its URI (on a stream by its address and the
    /// sent-by of its Via), or an address of a trusted block.
    private func trustedPeer(_ arrival: Arrival) -> TrustedPeer? {
        let remote = arrival.flow.remote
        let port: UInt16
        if arrival.flow.transport.isReliable {
            let via = arrival.essentials.via
            port = via.port == 0 ? arrival.flow.transport.defaultPort : via.port
        } else {
            port = remote.port
        }
        for i in 0..<configuration.applicationServers.count {
            let endpoint = configuration.applicationServers[i].destination.endpoint
            if endpoint.port == port, endpoint.address == remote.address { return TrustedPeer(server: Int16(i)) }
        }
        for i in 0..<configuration.networks.count where configuration.networks[i].isTrusted {
            let endpoint = configuration.networks[i].destination.endpoint
            if endpoint.port == port, endpoint.address == remote.address { return TrustedPeer(isNetwork: true) }
        }
        if locations.hasPeers, let server = locations.peer(at: Endpoint(address: remote.address, port: port)) {
            return TrustedPeer(server: server, isNetwork: server < 0)
        }
        for block in configuration.trusted where remote.address.isIn(block.network, prefixLength: block.prefixLength) {
            return TrustedPeer()
        }
        return nil
    }

    /// `orig` in the top Route, or P-Served-User with `sescase=orig` or `orig-cdiv`, makes a trusted peer's request originating; the
    /// served user is P-Served-User's, else the first identity asserted that is ours (TS 24.229 §5.4.3.2). Of one that asserts
    /// nothing, as simple servers of a lab do, it is the one in From.
    private mutating func believeTrusted(
        _ peer: TrustedPeer, _ arrival: Arrival, _ request: borrowing Message, _ routes: RouteSet
    ) -> Belief {
        var sender = Sender(reason: .trustedPeer, isTrusted: true)
        sender.server = peer.server
        sender.isNetwork = peer.isNetwork
        guard !peer.isNetwork else { return .sender(sender) }
        let bytes = request.bytes
        let served = request.firstValue(.pServedUser).flatMap { bytes.nameAddress($0) }
        var isOriginating = routes.own.map { isOriginatingMark($0, in: bytes) } ?? false
        if let served, let sessionCase = bytes.parameter("sescase", in: served.parameters), bytes[sessionCase].equalsIgnoringCase("orig") {
            isOriginating = true
        }
        if let served, bytes.parameter("orig-cdiv", in: served.parameters) != nil {
            isOriginating = true
            sender.isAfterDiversion = true
        }
        guard isOriginating else { return .sender(sender) }
        sender.isOriginating = true
        if let served {
            guard let reference = identity(of: served.uri, in: bytes) else {
                return .refused(403, "the served user in P-Served-User is not one of ours")
            }
            sender.originator = reference
        } else if request.has(.pAssertedIdentity) {
            guard let reference = firstAssertedOfOurs(request) else {
                return .refused(403, "no asserted identity is one of ours")
            }
            sender.originator = reference
        } else {
            guard let reference = identity(of: arrival.essentials.from.uri, in: bytes) else {
                return .refused(403, "neither P-Served-User nor P-Asserted-Identity names the served user, nor does From")
            }
            sender.originator = reference
        }
        return directory.isBarred(sender.originator) ? .refused(403, "the served user is barred") : .sender(sender)
    }

    mutating func firstAssertedOfOurs(_ request: borrowing Message) -> IdentityReference? {
        let bytes = request.bytes
        var uris: [SIPURI] = []
        request.forEachValue(.pAssertedIdentity) { value in
            if let address = bytes.nameAddress(value) { uris.append(address.uri) }
            return uris.count < 2
        }
        for uri in uris {
            if let reference = identity(of: uri, in: bytes) { return reference }
        }
        return nil
    }

    /// The mark of our Service-Route: the user part `orig`, or the parameter (TS 24.229 §5.4.3.1).
    func isOriginatingMark(_ uri: SIPURI, in bytes: RawSpan) -> Bool {
        bytes[uri.user].equals("orig") || bytes.parameter("orig", in: uri.parameters) != nil
    }

    // MARK: Whoever runs the core

    /// Has requests from an address believed to be of a user, without a registration and without a challenge.
    ///
    /// - Parameter identity: one of the user's public identities, in any spelling.
    /// - Returns: false if nobody has it.
    public mutating func vouch(for identity: String, at remote: Endpoint) -> Bool {
        guard let user = reference(to: identity) else { return false }
        vouchedFor[remote] = user
        vouches = true
        return true
    }

    public mutating func endVouching(at remote: Endpoint) {
        vouchedFor[remote] = nil
        vouches = !vouchedFor.isEmpty
    }

    private mutating func believeVouched(_ user: IdentityReference, _ arrival: Arrival, _ request: borrowing Message) -> Belief {
        let preferred = identity(ofFirst: .pPreferredIdentity, in: request)
        let from = identity(of: arrival.essentials.from.uri, in: request.bytes)
        let isNamed = preferred?.subscriber == user.subscriber || from?.subscriber == user.subscriber
        return originating(user.subscriber, isNamed ? preferred : user, from, .vouchedFor)
    }

    // MARK: Users and strangers

    /// The identity to assert is the one that P-Preferred-Identity names, else the one of From, if it belongs to the user
    /// and may be used; a hint that fits nothing is ignored (RFC 3325 §9.3, TS 24.229 §5.2.6.3).
    private func originating(
        _ subscriber: UInt32, _ preferred: IdentityReference?, _ from: IdentityReference?, _ reason: BeliefReason
    ) -> Belief {
        var sender = Sender(reason: reason, isOriginating: true)
        sender.originator = IdentityReference(subscriber: subscriber, identity: directory.defaultIdentity(of: subscriber))
        if let preferred, preferred.subscriber == subscriber, directory.isUsable(preferred) {
            sender.originator = preferred
        } else if let from, from.subscriber == subscriber, directory.isUsable(from) {
            sender.originator = from
        }
        return directory.isBarred(sender.originator) ? .refused(403, "all identities of the user are barred") : .sender(sender)
    }

    /// Somebody of another network may reach our users and identities, nothing else.
    private mutating func believeForeign(_ arrival: Arrival, _ request: borrowing Message) -> Belief {
        guard let requestURI = arrival.essentials.requestURI else { return .refused(400, "no Request-URI") }
        if own.isDomain(requestURI, in: request.bytes) { return .sender(Sender(reason: .foreignNetwork)) }
        if target(of: requestURI, in: request.bytes) != nil { return .sender(Sender(reason: .foreignNetwork)) }
        return .refused(403, "neither the sender nor the recipient is one of ours")
    }

    // MARK: Identities

    /// Whose public identity a URI is.
    mutating func identity(of uri: SIPURI, in bytes: RawSpan) -> IdentityReference? {
        guard uri.scheme != .other else { return nil }
        scratch.removeAll()
        scratch.appendIdentity(uri, in: bytes)
        return directory.publicIdentity(scratch.bytes)
    }

    mutating func identity(ofFirst name: HeaderName, in request: borrowing Message) -> IdentityReference? {
        guard let value = request.firstValue(name), let address = request.bytes.nameAddress(value) else { return nil }
        return identity(of: address.uri, in: request.bytes)
    }
}
