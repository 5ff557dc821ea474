// Server transactions: finding one for a request (RFC 3261 §17.2.3), and what both server machines share.

public import SIPMessage
public import SansIO

extension TransactionLayer {
    /// Finds or opens the transaction of a request.
    ///
    /// - Parameter flow: where the request came from: responses go back the way §18.2.2 says.
    public mutating func requestReceived(
        _ request: borrowing Message, _ essentials: Essentials, over flow: Flow, at now: Instant, into wire: inout Wire
    ) -> RequestOutcome {
        let key = serverKey(request, essentials, as: request.method == .ack ? .invite : request.method)
        if let index = serverKeys[key] {
            let id = slab.id(of: index)
            return request.method == .ack ? acknowledgementReceived(id, now) : retransmissionReceived(id, request, essentials, flow, &wire)
        }
        if request.method == .ack { return .acknowledgement }
        let cancelled = request.method == .cancel ? cancelledTransaction(request, essentials) : nil
        if !hasRoomForNewWork, cancelled == nil, !hasRoom(for: request.method, isWithinDialog: !essentials.to.tag.isEmpty) {
            return .overloaded
        }
        let isInvite = request.method == .invite
        let id = insert(
            Transaction(
                kind: isInvite ? .inviteServer : .nonInviteServer, state: isInvite ? .proceeding : .trying, method: request.method,
                flow: responseFlow(request, essentials.via, flow), key: key, deadline: .distantFuture))
        serverKeys.set(key, to: id.index)
        return request.method == .cancel ? .cancel(id, of: cancelled) : .new(id)
    }

    /// The transaction that a CANCEL is for: the one of any other method with its branch and sent-by (§9.2). Of methods that
    /// are not known by name none is looked for.
    private func cancelledTransaction(_ request: borrowing Message, _ essentials: Essentials) -> SlotID? {
        if let index = serverKeys[serverKey(request, essentials, as: .invite)] { return slab.id(of: index) }
        for method in Method.allCases {
            switch method {
            case .invite, .ack, .cancel, .other: continue
            default: if let index = serverKeys[serverKey(request, essentials, as: method)] { return slab.id(of: index) }
            }
        }
        return nil
    }

    /// Sends a response, and keeps it as the transaction's last.
    ///
    /// - Parameter start: where the response begins in `wire.bytes`; it is the last thing written there.
    public mutating func respond(_ id: SlotID, _ status: UInt16, from start: Int, at now: Instant, into wire: inout Wire) {
        respond(id, status, from: start, keeping: start, at: now, into: &wire)
    }

    /// The same for a response of ours, which begins with what it takes over from its request. To a request other than INVITE
    /// only what follows is kept: the rest is written anew when the request comes again, for it has it with it. A transaction
    /// that lingers holds 433 octets so in place of 689, and a REGISTER of a new user costs 7 % less: memory is dear when it is
    /// touched for the first time.
    ///
    /// - Parameter response: as it stands in `wire.bytes`; it is the last thing written there.
    public mutating func respond(_ id: SlotID, _ status: UInt16, _ response: OwnResponse, at now: Instant, into wire: inout Wire) {
        // Of a tag of another making nobody would know any more what it was.
        let isShort = slab.contains(id) && slab[id.index].kind == .nonInviteServer && response.tag == tag(of: id) && status >= 200
        respond(id, status, from: response.start, keeping: isShort ? response.ownFields : response.start, at: now, into: &wire)
    }

    private mutating func respond(
        _ id: SlotID, _ status: UInt16, from start: Int, keeping keptStart: Int, at now: Instant, into wire: inout Wire
    ) {
        guard slab.contains(id) else { return respondForeign(id, status, from: start, into: &wire) }
        let transaction = slab[id.index]
        guard acceptsResponse(transaction, status) else { return wire.bytes.truncate(to: start) }
        slab[id.index].lastStatus = status
        wire.transmit(
            from: start, over: transaction.flow, transaction: id.rawValue, method: transaction.method.rawValue, status: status,
            mayOvertake: transaction.kind == .nonInviteServer)
        if transaction.kind == .inviteServer {
            inviteServerResponded(id, status, from: start, now, wire)
        } else {
            slab[id.index].keepsOwnFields = keptStart > start
            nonInviteServerResponded(id, status, from: keptStart, now, wire)
        }
    }

    /// A tag for To that nobody can foresee, the same for all responses of a server transaction (§8.2.6.2). Nil: it is another
    /// shard's, or gone.
    public func tag(of id: SlotID) -> UInt64? {
        guard slab.contains(id) else { return nil }
        return slab[id.index].key.low &+ id.rawValue &* 0x9E37_79B9_7F4A_7C15
    }

    /// The To tag of the last response that a server transaction has sent and keeps; empty: there is none.
    public func lastTag(of id: SlotID) -> [UInt8] {
        guard slab.contains(id), slab[id.index].lastStatus > 100, !slab[id.index].packet.isNone else { return [] }
        if slab[id.index].keepsOwnFields, let tag = tag(of: id) {
            var text = OctetBuffer(capacity: 16)
            text.appendHex(tag)
            return [UInt8](text.bytes)
        }
        let octets = pool.bytes(slab[id.index].packet)
        var scanner = MessageScanner()
        guard case .message = scanner.scan(octets) else { return [] }
        let response = scanner.message(octets)
        guard let to = response.value(.to), let address = octets.nameAddress(to) else { return [] }
        return [UInt8](octets[address.tag])
    }

    /// A response outside of any transaction: for what is refused before one is opened.
    public func respondStatelessly(
        to request: borrowing Message, _ via: Via, over flow: Flow, _ status: UInt16, from start: Int, into wire: inout Wire
    ) {
        wire.transmit(
            from: start, over: responseFlow(request, via, flow), method: request.method.rawValue, status: status,
            mayOvertake: request.method != .invite)
    }

    /// Where responses go (§18.2.2, RFC 3581 §4): on a stream back on the connection, and if that is gone to the port
    /// of sent-by; else to `maddr`, or to the source at `rport` or the port of sent-by.
    func responseFlow(_ request: borrowing Message, _ via: Via, _ flow: Flow) -> Flow {
        var result = flow
        let sentByPort = via.port == 0 ? (via.transport ?? flow.transport).defaultPort : via.port
        if flow.transport.isReliable {
            result.returnPort = sentByPort
        } else if !via.maddr.isEmpty, let address = IPAddress(request[via.maddr]) {
            result.remote = Endpoint(address: address, port: sentByPort)
        } else if via.rport == nil {
            result.remote.port = sentByPort
        }
        return result
    }

    /// With the cookie of RFC 3261: branch, sent-by and method (§17.2.3). Without: the fields that RFC 2543 compares;
    /// the To tag is not among them, since the ACK to a response of ours has one that the INVITE had not.
    private func serverKey(_ request: borrowing Message, _ essentials: Essentials, as method: Method) -> KeyHash {
        var hasher = KeyHasher(secret)
        let via = essentials.via
        if via.hasUniqueBranch, request.bytes[Slice(via.branch.lower, via.branch.lower + 7)].equalsIgnoringCase("z9hg4bk") {
            // A branch is a token: without case (§7.3.1).
            hasher.combineIgnoringCase(request[via.branch])
        } else {
            hasher.combine(request[via.all])
            hasher.combine(request[request.shape.requestURI])
            hasher.combine(request[essentials.from.tag])
            hasher.combine(request[essentials.callID])
            hasher.combine(UInt64(essentials.sequence))
        }
        hasher.combineIgnoringCase(request[via.host])
        hasher.combine(UInt64(via.port) << 8 | UInt64(method.rawValue))
        if method == .other { hasher.combine(request[request.shape.methodName]) }
        return hasher.finish()
    }

    private mutating func retransmissionReceived(
        _ id: SlotID, _ request: borrowing Message, _ essentials: Essentials, _ flow: Flow, _ wire: inout Wire
    ) -> RequestOutcome {
        let transaction = slab[id.index]
        switch (transaction.kind, transaction.state) {
        case (_, .proceeding), (_, .completed):
            // Before a first response there is nothing to send again.
            guard transaction.lastStatus != 0 else { break }
            guard transaction.keepsOwnFields, let tag = tag(of: id) else {
                sendAgain(id, status: transaction.lastStatus, &wire)
                break
            }
            let start = wire.bytes.count
            wire.bytes.appendResponse(transaction.lastStatus, to: request, essentials, from: flow.remote, toTag: tag)
            wire.bytes.append(pool.bytes(transaction.packet))
            wire.transmit(
                from: start, over: transaction.flow, transaction: id.rawValue, method: transaction.method.rawValue,
                status: transaction.lastStatus, mayOvertake: true)
        case (_, .trying), (_, .confirmed), (_, .accepted), (_, .reserved):
            break
        }
        return .absorbed
    }

    private func acceptsResponse(_ transaction: Transaction, _ status: UInt16) -> Bool {
        switch transaction.state {
        case .trying, .proceeding: true
        // Further 2xx of a forked INVITE pass (RFC 6026 §7.1).
        case .accepted: status >= 200 && status < 300
        case .completed, .confirmed, .reserved: false
        }
    }
}
