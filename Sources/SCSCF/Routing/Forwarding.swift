// The life of a request context: opened with the request, its branches sent, closed with the final response.

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
import SansIO

extension ServingCSCF {
    /// Opens the context of a request that will be forwarded. An INVITE is answered 100 at once (RFC 3261 §17.2.1),
    /// unless that was done before the request came here.
    mutating func open(
        _ arrival: Arrival, _ request: borrowing Message, _ sender: Sender, isTried: Bool = false, at now: Now,
        into effects: inout Effects
    ) -> SlotID {
        let id = contexts.insert(
            RequestContext(
                server: arrival.server, source: arrival.flow, method: request.method, original: pool.store(request.bytes),
                sender: sender))
        if let uri = arrival.essentials.requestURI, uri.isSIPS { contexts[id.index].isSIPS = true }
        if sender.isTrusted { contexts[id.index].charging = storedCharging(of: request, sender) }
        transactions[user: arrival.server] = id.rawValue
        if place.hasOthers { relays.remember(id, for: arrival.server) }
        if request.method == .invite, !isTried {
            let start = effects.wire.bytes.count
            effects.wire.bytes.appendResponse(100, to: request, arrival.essentials, from: arrival.flow.remote, toTag: 0)
            effects.wire.bytes.appendEmptyBody()
            transactions.respond(arrival.server, 100, from: start, at: now.monotonic, into: &effects.wire)
        }
        return id
    }

    /// Tells the client of a request that is worked on for long that it is (RFC 4320 §4.1).
    ///
    /// - Parameter user: what the transaction belongs to: a context, or an answer that is held.
    mutating func answerDelayed(_ server: SlotID, _ user: UInt64, at now: Now, into effects: inout Effects) {
        guard let (octets, source) = delayedRequest(server, SlotID(rawValue: user)) else { return }
        var scanner = MessageScanner()
        _ = scanner.scan(octets.span.bytes)
        let request = scanner.message(octets.span.bytes)
        // It was sound when it came.
        guard let essentials = try? request.essentials() else { return }
        let start = effects.wire.bytes.count
        effects.wire.bytes.appendResponse(100, to: request, essentials, from: source, toTag: 0)
        effects.wire.bytes.appendEmptyBody()
        transactions.respond(server, 100, from: start, at: now.monotonic, into: &effects.wire)
    }

    private func delayedRequest(_ server: SlotID, _ user: SlotID) -> (octets: [UInt8], source: Endpoint)? {
        if contexts.contains(user), contexts[user.index].server == server {
            return ([UInt8](pool.bytes(contexts[user.index].original)), contexts[user.index].source.remote)
        }
        guard heldAnswers.contains(user), heldAnswers[user.index].server == server else { return nil }
        return ([UInt8](pool.bytes(heldAnswers[user.index].request)), heldAnswers[user.index].source.remote)
    }

    /// Closes a context. Its branches are forgotten: what still comes for them is absorbed by their transactions.
    mutating func close(_ id: SlotID) {
        let context = contexts[id.index]
        if place.hasOthers { relays.forget(id, for: context.server) }
        wheel.cancel(context.timer)
        pool.release(context.original)
        pool.release(context.best)
        pool.release(context.challenges)
        pool.release(context.charging)
        pool.release(context.servedName)
        var branch = context.firstBranch
        while !branch.isNone {
            let next = branches[branch.index].next
            forgetAlternatives(of: branch)
            pool.release(branches[branch.index].uri)
            branches.remove(branch.index)
            branch = next
        }
        contexts.remove(id.index)
    }

    /// Adds a branch to a context; it is not sent yet.
    mutating func addBranch(_ kind: Branch.Kind, to id: SlotID) -> SlotID {
        let branch = branches.insert(
            Branch(context: id, next: contexts[id.index].firstBranch, client: .none, kind: kind, state: .waiting))
        contexts[id.index].firstBranch = branch
        return branch
    }

    /// Sends the request to one target.
    ///
    /// - Returns: false if as many transactions as are allowed are alive; nothing was sent then.
    mutating func sendBranch(
        _ kind: Branch.Kind, _ id: SlotID, _ arrival: Arrival, _ request: borrowing Message, _ routes: RouteSet, to hop: NextHop,
        uri: RawSpan, extraRoutes: RawSpan = RawSpan(), reusing waiting: SlotID? = nil, over flow: Flow, at now: Now,
        into effects: inout Effects
    ) -> Bool {
        let branch = waiting ?? addBranch(kind, to: id)
        guard let client = transactions.reserveClient(request.method, user: Owner.branch(branch).rawValue) else {
            branches[branch.index].state = .abandoned
            return false
        }
        branches[branch.index].client = client
        branches[branch.index].state = .sent
        let isFirst = contexts[id.index].pendingBranches == 0
        contexts[id.index].pendingBranches += 1
        let start = effects.wire.bytes.count
        appendForwarded(
            request, arrival.essentials, contexts[id.index], routes, to: hop, uri: uri, extraRoutes: extraRoutes, client: client,
            over: flow,
            into: &effects.wire.bytes)
        transmit(client, from: start, over: flow, loopToken: contexts[id.index].loopToken, at: now, into: &effects)
        if isFirst {
            transactions.awaitResponse(arrival.server, at: now.monotonic)
        }
        return true
    }

    /// There is no room for what the request would need: 503, as for one that is not taken at all (RFC 3261 §21.5.4).
    mutating func refuseOverloaded(
        _ id: SlotID, _ arrival: Arrival, _ request: borrowing Message, at now: Now, into effects: inout Effects
    ) {
        counters.countDropped(overloadReason(arrival.essentials))
        close(id)
        answer(arrival, request, 503, at: now, into: &effects) { $0.appendField(.retryAfter, decimal: ServingCSCF.retryAfter) }
    }

    /// Answers a request that has a context, and closes it.
    mutating func refuse(
        _ id: SlotID, _ arrival: Arrival, _ request: borrowing Message, _ status: UInt16, warning: String? = nil, at now: Now,
        into effects: inout Effects
    ) {
        close(id)
        answer(arrival, request, status, warning: warning, at: now, into: &effects)
    }

    /// Along the Route values that are left, or to the Request-URI of another network.
    ///
    /// - Parameters:
    ///   - waiting: the branch that has waited, or failed at another target; nil: a new one.
    ///   - target: where it is to go now; nil: where its URI leads.
    mutating func forwardOnward(
        _ id: SlotID, _ arrival: Arrival, _ request: borrowing Message, _ routes: RouteSet, reusing waiting: SlotID? = nil,
        over target: Flow? = nil, at now: Now, into effects: inout Effects
    ) {
        guard let requestURI = arrival.essentials.requestURI else { return refuse(id, arrival, request, 400, at: now, into: &effects) }
        let bytes = request.bytes
        let next = routes.next?.uri ?? requestURI
        guard let way = routes.isEmpty ? way(to: requestURI, in: bytes) : ownWay(to: next, in: bytes) else {
            return refuse(
                id, arrival, request, 404,
                warning: "nothing is known of \(String(octets: bytes[next.host])); name it under networks or hosts",
                at: now, into: &effects)
        }
        var branch = waiting
        var found = target ?? outgoing(way.destination)
        if found == nil, let name = way.name {
            let located = waiting ?? addBranch(.route, to: id)
            branches[located.index].state = .answered
            branch = located
            switch course(to: name, of: located, at: now, into: &effects) {
            case .over(let flow): found = flow
            case .waiting:
                if waiting == nil { logDecision(request, at: now, into: &effects) }
                return
            case .nowhere(let status, let reason): return refuse(id, arrival, request, status, warning: reason, at: now, into: &effects)
            }
        }
        guard let flow = found else {
            return refuse(id, arrival, request, 503, warning: "no listener sends there", at: now, into: &effects)
        }
        if requestURI.isSIPS, !flow.transport.isSecure { return refuseSIPS(id, arrival, request, at: now, into: &effects) }
        guard
            sendBranch(
                .route, id, arrival, request, routes, to: .onward(isTrusted: way.isTrusted),
                uri: bytes[routes.isStrict ? next.all : requestURI.all], reusing: branch, over: flow, at: now,
                into: &effects)
        else { return refuseOverloaded(id, arrival, request, at: now, into: &effects) }
        if waiting == nil { logDecision(request, at: now, into: &effects) }
    }

    /// Where another network's requests go, or the URI's own address; nil: nothing is known of it.
    func way(to uri: SIPURI, in bytes: RawSpan) -> Way? {
        guard let network = network(of: uri, in: bytes) else { return ownWay(to: uri, in: bytes) }
        return Way(destination: network.destination, name: network.location, isTrusted: network.isTrusted)
    }

    /// The address in a URI, or the name to be located; nil: neither.
    func ownWay(to uri: SIPURI, in bytes: RawSpan) -> Way? {
        if let destination = destination(of: uri, in: bytes) { return Way(destination: destination) }
        return serverName(of: uri, in: bytes).map { Way(name: $0) }
    }

    private func network(of uri: SIPURI, in bytes: RawSpan) -> ServingCSCFConfiguration.NetworkPlan? {
        guard uri.isSIP else { return nil }
        let host = bytes[uri.host]
        return configuration.networks.first { host.equalsIgnoringCase($0.domain.span.bytes) }
    }

    /// Begins again with the request as it was received: for default handling and for targets that wait for their turn.
    mutating func withOriginal(
        of id: SlotID, _ body: (inout ServingCSCF, Arrival, borrowing Message, RouteSet) -> Void
    ) {
        let context = contexts[id.index]
        let octets = [UInt8](pool.bytes(context.original))
        var scanner = MessageScanner()
        _ = scanner.scan(octets.span.bytes)
        let request = scanner.message(octets.span.bytes)
        // It was sound when it came.
        guard var essentials = try? request.essentials(), let requestURI = essentials.requestURI else { return close(id) }
        let routes = RouteSet(request, requestURI, own: own)
        if let restored = routes.requestURIFromLast { essentials.requestURI = restored }
        body(&self, Arrival(server: context.server, flow: context.source, essentials: essentials), request, routes)
    }
}
