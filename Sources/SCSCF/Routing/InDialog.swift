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
        let isOurs = requestURI.map { own.isOurs($0, in: request.bytes) } ?? true
        guard !routes.isEmpty || !isOurs else {
            return answer(arrival, request, 481, warning: "no such dialog here, and no Route to follow", at: now, into: &effects)
        }
        let sender = Sender(reason: .registeredFlow, isTrusted: isFromTrustedPeer(arrival))
        let id = open(arrival, request, sender, at: now, into: &effects)
        forwardOnward(id, arrival, request, routes, at: now, into: &effects)
    }

    /// The ACK to a 2xx has no transaction: it is sent on, once, or dropped and counted. It is never answered.
    mutating func forwardAcknowledgement(
        _ request: borrowing Message, _ essentials: Essentials, over flow: Flow, into effects: inout Effects
    ) {
        guard let received = essentials.requestURI, essentials.maxForwards != 0 else {
            return counters.countDropped(.unroutableAcknowledgement)
        }
        let bytes = request.bytes
        let routes = RouteSet(request, received, own: own)
        let requestURI = routes.requestURIFromLast ?? received
        if routes.isEmpty, own.isOurs(requestURI, in: bytes) || identity(of: requestURI, in: bytes) != nil {
            return counters.countDropped(.strayAcknowledgement)
        }
        guard !routes.isMalformed, let target = destination(of: routes.next?.uri ?? requestURI, in: bytes), let sending = outgoing(target)
        else { return counters.countDropped(.unroutableAcknowledgement) }
        let start = effects.wire.bytes.count
        let lineURI = routes.isStrict ? routes.next?.uri ?? requestURI : requestURI
        effects.wire.bytes.appendRequestLine(of: request, uri: bytes[lineURI.all])
        transactions.appendStatelessVia(over: sending, into: &effects.wire.bytes)
        effects.wire.bytes.appendVias(of: request, essentials.via, from: flow.remote)
        effects.wire.bytes.appendFields(of: request, .recordRoute)
        effects.wire.bytes.appendRoutes(of: request, routes, requestURI)
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
        answer(arrival, request, 200, at: now, into: &effects)
        let id = SlotID(rawValue: transactions[user: cancelled])
        guard contexts.contains(id), contexts[id.index].server == cancelled, contexts[id.index].method == .invite else { return }
        var reason = OctetBuffer(capacity: 64)
        reason.appendFields(of: request, .reason)
        cancelContext(id, reason: reason.bytes, at: now, into: &effects)
    }

    /// Cancels a request that has no final response yet: those of its branches that have none either.
    mutating func cancelContext(_ id: SlotID, reason: RawSpan, at now: Now, into effects: inout Effects) {
        guard !contexts[id.index].isSettled else { return }
        contexts[id.index].isCancelled = true
        contexts[id.index].waitingBranches = 0
        cancelPendingBranches(of: id, reason: reason, at: now, into: &effects)
    }

    /// - Parameter reason: header fields for the CANCELs.
    mutating func cancelPendingBranches(of id: SlotID, reason: RawSpan, at now: Now, into effects: inout Effects) {
        var branch = contexts[id.index].firstBranch
        while !branch.isNone {
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
