// Towards a user of ours (TS 24.229 §5.4.3.3): whose the Request-URI is, the terminating criteria, and how each of the
// contacts is reached (RFC 3261 §16.5, §16.6).

import IMSProfile
import SIPMessage
import SIPProxy
import SIPRegistrar
import SIPTransaction
import SansIO

extension ServingCSCF {
    /// Serves the user whom the Request-URI names, or sends the request on to another network.
    mutating func beginTerminating(
        _ id: SlotID, _ arrival: Arrival, _ request: borrowing Message, _ routes: RouteSet, at now: Now, into effects: inout Effects
    ) {
        guard let requestURI = arrival.essentials.requestURI else { return refuse(id, arrival, request, 400, at: now, into: &effects) }
        if !routes.isEmpty {
            // Strangers reach our users; they do not choose paths through us.
            guard contexts[id.index].sender.reason != .foreignNetwork else {
                return refuse(id, arrival, request, 403, warning: "a Route of another network leads past us", at: now, into: &effects)
            }
            return forwardOnward(id, arrival, request, routes, at: now, into: &effects)
        }
        guard let target = keyedTarget(id, request) ?? target(of: requestURI, in: request.bytes) else {
            let isOurs = requestURI.scheme == .tel || own.isOurs(requestURI, in: request.bytes) || isInDomain(requestURI, request.bytes)
            guard isOurs || contexts[id.index].sender.reason == .foreignNetwork else {
                return forwardOnward(id, arrival, request, routes, at: now, into: &effects)
            }
            return refuse(id, arrival, request, 404, warning: "the recipient is not provisioned", at: now, into: &effects)
        }
        guard !directory.isBarred(target) else {
            noteBarred(target, id, arrival, request, at: now)
            return refuse(id, arrival, request, 404, warning: "the recipient is barred", at: now, into: &effects)
        }
        if let shard = otherShard(of: target.subscriber) {
            return relay(id, .terminating, contexts[id.index].sender, arrival, request, to: shard, at: now, into: &effects)
        }
        let isRegistered = isRegistered(target)
        serve(target, id, arrival.essentials, request)
        contexts[id.index].isRegistered = isRegistered
        contexts[id.index].sessionCase = isRegistered ? .terminating : .terminatingUnregistered
        evaluate(id, arrival, request, routes, from: 0, at: now, into: &effects)
    }

    /// The wildcard that a trusted peer has found the Request-URI to match, and names in P-Profile-Key (RFC 5002 §5): of several
    /// that would take it, it is that one. A distinct identity has none.
    private mutating func keyedTarget(_ id: SlotID, _ request: borrowing Message) -> IdentityReference? {
        guard request.has(.pProfileKey), contexts[id.index].sender.isTrusted, let value = request.firstValue(.pProfileKey),
            let key = request.bytes.nameAddress(value)
        else { return nil }
        return wildcard(named: key.uri, taking: request.shape.requestURI, in: request.bytes)
    }

    private func isInDomain(_ uri: SIPURI, _ bytes: RawSpan) -> Bool {
        uri.isSIP && bytes[uri.host].equalsIgnoringCase(configuration.domain.span.bytes)
    }

    /// No criterion is left: the request goes to the user's contacts.
    mutating func reachUser(
        _ id: SlotID, _ arrival: Arrival, _ request: borrowing Message, _ routes: RouteSet, at now: Now, into effects: inout Effects
    ) {
        if let uri = arrival.essentials.requestURI, !uri.parameters.isEmpty,
            request.bytes.parameter("maddr", in: uri.parameters) != nil
        {
            return followAddress(id, arrival, request, routes, at: now, into: &effects)
        }
        if request.method == .publish {
            let reason =
                contexts[id.index].hasLostServer
                ? "the application server that takes this PUBLISH failed or was not reached, and default handling went on without it"
                : "no filter criterion of the user takes this PUBLISH to an application server"
            return refuse(id, arrival, request, 404, warning: reason, at: now, into: &effects)
        }
        guard contexts[id.index].isRegistered else {
            return refuse(id, arrival, request, 480, warning: "the recipient is not registered", at: now, into: &effects)
        }
        let disposition = request.requestDisposition
        contexts[id.index].disposition = disposition
        noteContacts(id, arrival, request, at: now)
        var instance: [UInt8] = []
        if let uri = arrival.essentials.requestURI, isGRUU(uri, in: request.bytes) {
            guard let named = self.instance(of: uri, in: request.bytes, contexts[id.index].served.subscriber) else {
                return refuse(
                    id, arrival, request, 480, warning: "no contact of the recipient is of the instance that the GRUU names", at: now,
                    into: &effects)
            }
            instance = named
        }
        var targets = targets(of: contexts[id.index].served.subscriber, instance, for: request, disposition)
        if contexts[id.index].isSIPS {
            keepSecure(&targets)
            if targets.isEmpty { return refuseSIPS(id, arrival, request, at: now, into: &effects) }
        }
        guard !targets.isEmpty else {
            return refuse(
                id, arrival, request, 480, warning: "no contact of the recipient fits the caller's preferences", at: now, into: &effects)
        }
        if disposition.contains(.redirect), !disposition.contains(.proxy) {
            return redirectCaller(id, arrival, request, to: targets, at: now, into: &effects)
        }
        if targets.count > 1, let refusal = prepareFork(of: id, into: targets, arrival.essentials, request) {
            return refuse(id, arrival, request, refusal.status, warning: refusal.reason, at: now, into: &effects)
        }
        // Branches are linked at the front: the last target is added first.
        for target in targets.reversed() {
            let branch = addBranch(.contact, to: id)
            branches[branch.index].binding = target.binding
            branches[branch.index].group = target.group
        }
        contexts[id.index].waitingBranches = Int16(targets.count)
        logDecision(request, at: now, into: &effects)
        sendWaitingBranches(id, arrival, request, routes, at: now, into: &effects)
    }

    /// The Request-URI says itself where its user is: that is the only target (RFC 3261 §16.5). Strangers do not choose paths
    /// through us.
    private mutating func followAddress(
        _ id: SlotID, _ arrival: Arrival, _ request: borrowing Message, _ routes: RouteSet, at now: Now, into effects: inout Effects
    ) {
        guard contexts[id.index].sender.reason != .foreignNetwork else {
            return refuse(id, arrival, request, 403, warning: "a maddr of another network leads past us", at: now, into: &effects)
        }
        forwardOnward(id, arrival, request, routes, at: now, into: &effects)
    }

    /// Sends the next group of contacts, all of them at once; if none can be sent, the one after it.
    mutating func sendWaitingBranches(
        _ id: SlotID, _ arrival: Arrival, _ request: borrowing Message, _ routes: RouteSet, at now: Now, into effects: inout Effects
    ) {
        while contexts[id.index].waitingBranches > 0, contexts[id.index].pendingBranches == 0 {
            var group: UInt16?
            var branch = contexts[id.index].firstBranch
            while !branch.isNone {
                let next = branches[branch.index].next
                if branches[branch.index].state == .waiting, group == nil || branches[branch.index].group == group {
                    group = branches[branch.index].group
                    contexts[id.index].waitingBranches -= 1
                    sendToContact(branch, id, arrival, request, routes, at: now, into: &effects)
                }
                branch = next
            }
        }
        guard contexts[id.index].pendingBranches == 0 else { return }
        if contexts[id.index].bestStatus > 0 { return passBackBest(id, at: now, into: &effects) }
        guard transactions.hasRoomToSend(request.method) else { return refuseOverloaded(id, arrival, request, at: now, into: &effects) }
        refuse(id, arrival, request, 480, warning: "no contact of the recipient can be reached", at: now, into: &effects)
    }

    /// - Parameter target: the one of its targets to send to; nil: the way is still to be found.
    mutating func sendToContact(
        _ branch: SlotID, _ id: SlotID, _ arrival: Arrival, _ request: borrowing Message, _ routes: RouteSet, over target: Flow? = nil,
        at now: Now, into effects: inout Effects
    ) {
        branches[branch.index].state = .answered
        if branches[branch.index].kind == .redirection {
            return sendToRedirection(branch, id, arrival, request, routes, over: target, at: now, into: &effects)
        }
        guard let hop = contactHop(branches[branch.index].binding, isSIPS: contexts[id.index].isSIPS) else { return }
        var found = target ?? hop.flow
        if target == nil, let name = hop.name {
            switch course(to: name, of: branch, at: now, into: &effects) {
            case .over(let flow): found = isUnreachableStream(flow, hop.flow) ? hop.flow : flow
            case .waiting: return
            case .nowhere: break
            }
        }
        guard let flow = found else { return }
        number(branch, of: id)
        _ = sendBranch(
            .contact, id, arrival, request, routes, to: .contact(branch), uri: hop.uri.span.bytes, extraRoutes: hop.routes.span.bytes,
            reusing: branch, over: flow, at: now, into: &effects)
    }

    /// Says of a branch which of the contacts and redirections it is that have been sent the request.
    mutating func number(_ branch: SlotID, of id: SlotID) {
        guard branches[branch.index].number == 0 else { return }
        var last: UInt8 = 0
        var other = contexts[id.index].firstBranch
        while !other.isNone {
            last = max(last, branches[other.index].number)
            other = branches[other.index].next
        }
        branches[branch.index].number = last + 1
    }

    struct ContactHop {
        var uri: [UInt8]
        var routes: [UInt8]
        /// Nil: it can be reached by its name alone.
        var flow: Flow?
        /// A server to be located, whose targets come before the flow.
        var name: ServerName?
    }

    /// The first Path value if there is one, else the Contact URI; the flow itself with outbound (RFC 5626 §5.3), or where
    /// the Contact cannot be reached. Whoever registered by a SIPS URI is reached over TLS, by a SIP URI if the request has
    /// one (RFC 5630 §5.3).
    func contactHop(_ binding: BindingID, isSIPS: Bool) -> ContactHop? {
        var hop: ContactHop?
        if let view = registrar.binding(binding) {
            let contact = view.uri
            guard let uri = contact.uri(Slice(0, contact.byteCount)) else { return nil }
            var routes: [UInt8] = []
            var first = uri
            var firstBytes = contact
            let path = view.path
            if path.byteCount > 0 {
                routes = Array("Route: ".utf8) + [UInt8](path) + [13, 10]
                var rest = Slice(0, path.byteCount)
                let value = path.nextListValue(&rest)
                if let address = path.nameAddress(value) {
                    first = address.uri
                    firstBytes = path
                }
            }
            var plain = contact.target(uri)
            if uri.isSIPS, !isSIPS { plain = plain.span.bytes.withoutSecurity }
            if view.regID != nil, path.byteCount == 0 { hop = ContactHop(uri: plain, routes: routes, flow: view.flow) }
            if hop == nil, let destination = destination(of: first, in: firstBytes), let flow = outgoing(destination),
                !isUnreachableStream(destination, view.flow)
            {
                hop = ContactHop(uri: plain, routes: routes, flow: flow)
            }
            if hop == nil {
                let name = destination(of: first, in: firstBytes) == nil ? serverName(of: first, in: firstBytes) : nil
                let flow = path.byteCount == 0 ? view.flow : nil
                if name != nil || flow != nil { hop = ContactHop(uri: plain, routes: routes, flow: flow, name: name) }
            }
            if uri.isSIPS, let flow = hop?.flow, !flow.transport.isSecure {
                hop?.flow = nil
                if hop?.name == nil { hop = nil }
            }
        }
        return hop
    }

    /// A Contact on a stream whose address is that of the flow has no listener of its own to be expected: the flow is used.
    func isUnreachableStream(_ destination: Destination, _ flow: Flow) -> Bool {
        destination.transport.isReliable && flow.connection != 0 && flow.transport == destination.transport
            && destination.endpoint.address == flow.remote.address
    }

    private func isUnreachableStream(_ located: Flow, _ flow: Flow?) -> Bool {
        guard let flow else { return false }
        return isUnreachableStream(Destination(endpoint: located.remote, transport: located.transport), flow)
    }

    /// A contact's edge lost the way to it (430): the binding is gone (RFC 5626 §5.3).
    mutating func flowFailed(_ binding: BindingID, of id: SlotID, at now: Now, into effects: inout Effects) {
        let subscriber = contexts[id.index].served.subscriber
        guard let token = registrar.remove(binding) else { return }
        userGone(subscriber, .network(token, failed: -1, .deactivated), at: now, into: &effects)
    }
}

extension RawSpan {
    /// A URI of these octets as it stands in a request line. Nearly all stand there as they are.
    func target(_ uri: SIPURI) -> [UInt8] {
        if uri.headers.isEmpty, uri.parameters.isEmpty { return [UInt8](self[uri.all]) }
        var buffer = OctetBuffer(capacity: byteCount)
        buffer.appendTarget(uri, in: self)
        return [UInt8](buffer.bytes)
    }
}
