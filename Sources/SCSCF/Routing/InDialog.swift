// Requests within a dialog, and the ACK to a 2xx: they follow their Route, and no criterion is asked (RFC 3261 §16.4,
// §16.11; TS 23.218 §5.2.1).

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
import SansIO

extension ServingCSCF {
    mutating func forwardInDialog(
        _ arrival: Arrival, _ request: borrowing Message, _ routes: RouteSet, at now: Now, into effects: inout Effects
    ) {
        let requestURI = arrival.essentials.requestURI
        if routes.isEmpty, let requestURI, isGRUU(requestURI, in: request.bytes), let target = target(of: requestURI, in: request.bytes) {
            let sender = Sender(reason: .registeredFlow, isTrusted: isFromTrustedPeer(arrival))
            return reachInstance(of: target, arrival, request, routes, sender, at: now, into: &effects)
        }
        let isOurs = requestURI.map { own.isOurs($0, in: request.bytes) } ?? true
        guard !routes.isEmpty || !isOurs else {
            if request.method == .subscribe { return subscriptionContinued(arrival, request, at: now, into: &effects) }
            return answer(arrival, request, 481, warning: "no such dialog here, and no Route to follow", at: now, into: &effects)
        }
        let sender = Sender(reason: .registeredFlow, isTrusted: isFromTrustedPeer(arrival))
        let id = open(arrival, request, sender, at: now, into: &effects)
        forwardOnward(id, arrival, request, routes, at: now, into: &effects)
    }

    /// The ACK to a 2xx has no transaction: it is sent on, once, or dropped and counted. It is never answered.
    mutating func forwardAcknowledgement(
        _ request: borrowing Message, _ essentials: Essentials, over flow: Flow, at now: Now, into effects: inout Effects
    ) {
        guard let received = essentials.requestURI, essentials.maxForwards != 0 else {
            return counters.countDropped(.unroutableAcknowledgement)
        }
        let bytes = request.bytes
        let routes = RouteSet(request, received, own: own)
        let requestURI = routes.requestURIFromLast ?? received
        if routes.isEmpty, isGRUU(requestURI, in: bytes), let target = target(of: requestURI, in: bytes) {
            return acknowledgeInstance(of: target, requestURI, request, essentials, over: flow, at: now, into: &effects)
        }
        if routes.isEmpty, own.isOurs(requestURI, in: bytes) || identity(of: requestURI, in: bytes) != nil {
            return counters.countDropped(.strayAcknowledgement)
        }
        guard !routes.isMalformed, let way = ownWay(to: routes.next?.uri ?? requestURI, in: bytes) else {
            return counters.countDropped(.unroutableAcknowledgement)
        }
        var found = outgoing(way.destination)
        if let name = way.name {
            found = acknowledgeByName(name, request, from: flow, at: now, into: &effects)
        } else if found == nil {
            counters.countDropped(.unroutableAcknowledgement)
        }
        guard let sending = found else { return }
        if requestURI.isSIPS, !flow.transport.isSecure || !sending.transport.isSecure {
            return counters.countDropped(.unroutableAcknowledgement)
        }
        let lineURI = routes.isStrict ? routes.next?.uri ?? requestURI : requestURI
        var path = OctetBuffer(capacity: 256)
        path.appendRoutes(of: request, routes, requestURI)
        sendAcknowledgement(request, essentials, to: bytes[lineURI.all], path.bytes, from: flow, over: sending, into: &effects)
    }

    /// An ACK to a GRUU goes to the contact of the instance, from the shard that knows it.
    private mutating func acknowledgeInstance(
        of target: IdentityReference, _ requestURI: SIPURI, _ request: borrowing Message, _ essentials: Essentials, over flow: Flow,
        at now: Now, into effects: inout Effects
    ) {
        if let shard = otherShard(of: target.subscriber) {
            let start = effects.wire.bytes.count
            effects.wire.bytes.append(request.bytes)
            return effects.wire.handOver(HandOver(.arrival, from: place.number, to: shard, flow: flow), from: start)
        }
        guard let hop = acknowledgementHop(requestURI, in: request.bytes, target) else {
            return counters.countDropped(.unroutableAcknowledgement)
        }
        var found = hop.flow
        if found == nil, let name = hop.name { found = acknowledgeByName(name, request, from: flow, at: now, into: &effects) }
        guard let sending = found else { return }
        sendAcknowledgement(
            request, essentials, to: hop.uri.span.bytes, hop.routes.span.bytes, from: flow, over: sending, into: &effects)
    }

    private mutating func sendAcknowledgement(
        _ request: borrowing Message, _ essentials: Essentials, to uri: RawSpan, _ routes: RawSpan, from flow: Flow, over sending: Flow,
        into effects: inout Effects
    ) {
        let start = effects.wire.bytes.count
        effects.wire.bytes.appendRequestLine(of: request, uri: uri)
        transactions.appendStatelessVia(over: sending, into: &effects.wire.bytes)
        effects.wire.bytes.appendVias(of: request, essentials.via, from: flow.remote)
        effects.wire.bytes.appendFields(of: request, .recordRoute)
        effects.wire.bytes.append(routes)
        effects.wire.bytes.appendMaxForwards(essentials.maxForwards)
        effects.wire.bytes.appendField(.maxBreadth, decimal: UInt64(ForwardedRequest.breadth(of: request)))
        effects.wire.bytes.appendFields(of: request, except: ForwardedRequest.rewritten)
        effects.wire.bytes.appendBody(request.body)
        effects.wire.transmit(from: start, over: sending, method: Method.ack.rawValue)
    }

    // MARK: CANCEL

    /// Answered here, hop by hop (§9.2); the branches of the INVITE are cancelled, for the reason that the CANCEL gives
    /// (RFC 3326 §3.1), and its 487 comes from them. On another method a CANCEL has no effect.
    mutating func cancelReceived(
        _ cancel: SlotID, of cancelled: SlotID?, _ request: borrowing Message, _ essentials: Essentials, over flow: Flow, at now: Now,
        into effects: inout Effects
    ) {
        let arrival = Arrival(server: cancel, flow: flow, essentials: essentials)
        guard let cancelled else { return answer(arrival, request, 481, at: now, into: &effects) }
        answerCancel(arrival, of: cancelled, request, at: now, into: &effects)
        let id = SlotID(rawValue: transactions[user: cancelled])
        guard contexts.contains(id), contexts[id.index].server == cancelled, contexts[id.index].method == .invite else { return }
        var reason = OctetBuffer(capacity: 64)
        reason.appendFields(of: request, .reason)
        cancelContext(id, reason: reason.bytes, at: now, into: &effects)
    }

    /// With the To tag that the INVITE's client has seen already, or that our own answer to the INVITE will have (§9.2).
    private mutating func answerCancel(
        _ arrival: Arrival, of cancelled: SlotID, _ request: borrowing Message, at now: Now, into effects: inout Effects
    ) {
        let start = effects.wire.bytes.count
        let tag = transactions.lastTag(of: cancelled)
        if tag.isEmpty || !arrival.essentials.to.tag.isEmpty {
            let own = ownTag(of: cancelled, request, arrival.essentials)
            effects.wire.bytes.appendResponse(200, to: request, arrival.essentials, from: arrival.flow.remote, toTag: own)
        } else {
            effects.wire.bytes.appendStatusLine(200, "OK")
            effects.wire.bytes.appendVias(of: request, arrival.essentials.via, from: arrival.flow.remote)
            effects.wire.bytes.appendFields(of: request, .from)
            effects.wire.bytes.append("To: ")
            effects.wire.bytes.append(request[arrival.essentials.to.all])
            effects.wire.bytes.append(";tag=")
            effects.wire.bytes.append(tag)
            effects.wire.bytes.append("\r\n")
            effects.wire.bytes.appendFields(of: request, .callID)
            effects.wire.bytes.appendFields(of: request, .cseq)
        }
        effects.wire.bytes.appendEmptyBody()
        transactions.respond(arrival.server, 200, from: start, at: now.monotonic, into: &effects.wire)
    }

    /// Cancels a request that has no final response yet: those of its branches that have none either.
    mutating func cancelContext(_ id: SlotID, reason: RawSpan, at now: Now, into effects: inout Effects) {
        guard !contexts[id.index].isSettled else { return }
        contexts[id.index].isCancelled = true
        contexts[id.index].waitingBranches = 0
        let pending = contexts[id.index].pendingBranches
        cancelPendingBranches(of: id, reason: reason, at: now, into: &effects)
        // Nothing has been sent yet, so nobody else will answer.
        if pending > 0, contexts[id.index].pendingBranches == 0 { passBackBest(id, at: now, into: &effects) }
    }

    /// - Parameter reason: header fields for the CANCELs.
    mutating func cancelPendingBranches(of id: SlotID, reason: RawSpan, at now: Now, into effects: inout Effects) {
        var branch = contexts[id.index].firstBranch
        while !branch.isNone {
            if branches[branch.index].state == .locating {
                branches[branch.index].state = .abandoned
                contexts[id.index].pendingBranches -= 1
            }
            if branches[branch.index].state == .sent {
                if branches[branch.index].kind == .shard {
                    cancelRelay(branch, reason: reason, into: &effects)
                } else {
                    transactions.cancel(branches[branch.index].client, reason: reason, at: now.monotonic, into: &effects.wire)
                }
            }
            branch = branches[branch.index].next
        }
    }
}
