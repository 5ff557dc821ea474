// Client transactions: opening one, finding one for a response (RFC 3261 §17.1.3), and what both client machines share.
//
// A branch of ours is `z9hG4bK`, eight digits of the slot, with its shard's number in the upper bits, and sixteen of a
// random number that only the peer has seen, and, where the layer above wants to know its own Via again, a full stop and sixteen digits of its choice.

public import SIPMessage
public import SansIO

extension TransactionLayer {
    /// Reserves a client transaction, so that its branch can be written into the request.
    ///
    /// - Returns: nil when as many transactions as are allowed are alive.
    public mutating func reserveClient(_ method: Method, user: UInt64) -> SlotID? {
        hasRoomToSend(method) ? insertClient(method, user: user) : nil
    }

    mutating func insertClient(_ method: Method, user: UInt64) -> SlotID {
        insert(
            Transaction(
                kind: method == .invite ? .inviteClient : .nonInviteClient, state: .reserved, method: method,
                flow: Flow(transport: .udp, listener: 0, remote: .none), key: KeyHash(low: random.next(), high: 0), user: user,
                deadline: .distantFuture))
    }

    /// Writes our Via field, which must be the first header field of the request (§18.1.1).
    ///
    /// - Parameter loopToken: what the layer above will look for in its own Via values (RFC 5393 §4.2); 0: nothing.
    public func appendVia(_ id: SlotID, over flow: Flow, loopToken: UInt64 = 0, into bytes: inout OctetBuffer) {
        bytes.append(flow.transport == .udp ? "Via: SIP/2.0/UDP " : "Via: SIP/2.0/")
        if flow.transport != .udp {
            bytes.append(flow.transport.viaName)
            bytes.append(" ")
        }
        advertised.append(Int(flow.listener), into: &bytes)
        bytes.append(";branch=z9hG4bK")
        bytes.appendHex(UInt64(id.marked(with: place.number).index), digits: 8)
        bytes.appendHex(slab[id.index].key.low)
        if loopToken != 0 {
            bytes.append(byte: 0x2E)
            bytes.appendHex(loopToken)
        }
        bytes.append("\r\n")
    }

    /// The Via field of a request that gets no transaction: an ACK to a 2xx (§16.11).
    public mutating func appendStatelessVia(over flow: Flow, into bytes: inout OctetBuffer) {
        bytes.append("Via: SIP/2.0/")
        bytes.append(flow.transport.viaName)
        bytes.append(" ")
        advertised.append(Int(flow.listener), into: &bytes)
        bytes.append(";branch=z9hG4bK")
        bytes.appendHex(UInt64(UInt32.max), digits: 8)
        bytes.appendHex(random.next())
        bytes.append("\r\n")
    }

    /// Sends the request of a reserved transaction and starts its machine.
    ///
    /// - Parameters:
    ///   - start: where the request begins in `wire.bytes`; it is the last thing written there.
    ///   - fallbackListener: the datagram listener to send by instead, if no stream can be opened (§18.1.1).
    public mutating func send(
        _ id: SlotID, from start: Int, over flow: Flow, fallbackListener: UInt8? = nil, at now: Instant, into wire: inout Wire
    ) {
        guard slab.contains(id), slab[id.index].state == .reserved else { return wire.bytes.truncate(to: start) }
        slab[id.index].state = .trying
        slab[id.index].flow = flow
        slab[id.index].fallbackListener = fallbackListener ?? 255
        keep(wire.bytes.bytes(from: start, count: wire.bytes.count - start), in: id)
        wire.transmit(from: start, over: flow, transaction: id.rawValue, method: slab[id.index].method.rawValue)
        startClientTimers(id, now)
    }

    /// Timers A and B, or E and F: both begin with an interval of T1 and end after 64·T1.
    private mutating func startClientTimers(_ id: SlotID, _ now: Instant) {
        if slab[id.index].flow.transport.isReliable {
            setDeadline(id, now + timers.patience)
        } else {
            setRetransmission(id, interval: timers.t1, deadline: now + timers.patience, now)
        }
    }

    /// Finds the transaction of a response and runs its machine.
    public mutating func responseReceived(
        _ response: borrowing Message, _ essentials: Essentials, at now: Instant, into wire: inout Wire
    ) -> ResponseOutcome {
        guard let id = clientTransaction(response, essentials) else { return .stray }
        return slab[id.index].kind == .inviteClient
            ? inviteClientReceived(id, response, essentials, now, &wire) : nonInviteClientReceived(id, response.status, now)
    }

    /// By branch and CSeq method: a CANCEL shares its branch with the INVITE that it is for.
    private func clientTransaction(_ response: borrowing Message, _ essentials: Essentials) -> SlotID? {
        let branch = response[essentials.via.branch]
        guard let slot = branch.ownBranchSlot, slot.shardMark == place.number, let check = branch.ownBranchCheck,
            slab.isInUse(slot.unmarked.index)
        else { return nil }
        var id = slab.id(of: slot.unmarked.index)
        guard !slab[id.index].kind.isServer, slab[id.index].key.low == check, slab[id.index].state != .reserved else { return nil }
        if essentials.method == .cancel, slab[id.index].kind == .inviteClient {
            id = slab[id.index].companion
            guard slab.contains(id) else { return nil }
        }
        return slab[id.index].method == essentials.method ? id : nil
    }

    /// A request that could not be sent: by datagram instead, if it was only its size that asked for a stream and nobody
    /// has answered yet; else the layer above hears of it. A CANCEL is the machine's own: its INVITE ends by timer.
    mutating func clientTransmissionFailed(_ id: SlotID, _ now: Instant, _ wire: inout Wire, _ events: inout [TransactionEvent]) {
        let transaction = slab[id.index]
        guard transaction.state == .trying || transaction.state == .proceeding else { return }
        if transaction.state == .trying, transaction.fallbackListener != 255 {
            events.append(.fellBack(to: transaction.flow.remote))
            fallBack(id, now, &wire)
            return
        }
        if !isCancelOfMachine(transaction) { events.append(.transportFailed(id, user: transaction.user)) }
        remove(id)
    }

    private mutating func fallBack(_ id: SlotID, _ now: Instant, _ wire: inout Wire) {
        let flow = Flow(transport: .udp, listener: slab[id.index].fallbackListener, remote: slab[id.index].flow.remote)
        slab[id.index].flow = flow
        slab[id.index].fallbackListener = 255
        let start = wire.bytes.count
        do {
            let request = pool.bytes(slab[id.index].packet)
            // Our own Via follows the request line; only its sent-protocol and sent-by change.
            let viaStart = request.lineFeedOffset + 1
            var viaEnd = viaStart
            while request[viaEnd] != 0x3B { viaEnd += 1 }
            wire.bytes.append(request.part(0, viaStart))
            wire.bytes.append("Via: SIP/2.0/UDP ")
            advertised.append(Int(flow.listener), into: &wire.bytes)
            wire.bytes.append(request.part(viaEnd, request.byteCount - viaEnd))
        }
        keep(wire.bytes.bytes(from: start, count: wire.bytes.count - start), in: id)
        wire.transmit(from: start, over: flow, transaction: id.rawValue, method: slab[id.index].method.rawValue)
        startClientTimers(id, now)
    }
}

extension RawSpan {
    fileprivate var lineFeedOffset: Int { firstOffset(of: 0x0A) ?? byteCount - 1 }
}
