// The INVITE client machine (RFC 3261 §17.1.1 as changed by RFC 6026 §7.2), with its ACK (§17.1.1.3) and CANCEL (§9.1).
//
//   Calling ──1xx──► Proceeding ──2xx──► Accepted ──M──► (gone)
//      │                └──3xx-6xx──► Completed (ACK) ──D──► (gone)
//      └──B──► (408 to the layer above)
//
// Timer A doubles without a limit and stops at the first provisional response. In Proceeding the machine keeps the
// proxy's timer C (§16.6 step 11), which each provisional response but 100 starts anew.

import SIPMessage
public import SansIO

extension TransactionLayer {
    mutating func inviteClientReceived(
        _ id: SlotID, _ response: borrowing Message, _ essentials: Essentials, _ now: Instant, _ wire: inout Wire
    ) -> ResponseOutcome {
        let status = response.status
        let user = slab[id.index].user
        switch (slab[id.index].state, status) {
        case (.trying, ..<200), (.proceeding, ..<200):
            let isFirst = slab[id.index].state == .trying
            slab[id.index].state = .proceeding
            slab[id.index].lastStatus = status
            if isFirst, slab[id.index].isCancelled {
                let reason = waitingReasons.removeValue(forKey: id.rawValue) ?? []
                sendCancel(id, reason.span.bytes, now, &wire)
            } else if !slab[id.index].isCancelled, isFirst || status > 100 {
                setDeadline(id, now + timers.timerC)
            }
            return .matched(id, user: user)
        case (.trying, 200..<300), (.proceeding, 200..<300):
            slab[id.index].state = .accepted
            slab[id.index].lastStatus = status
            dropPacket(of: id)
            setDeadline(id, now + timers.patience)
            return .matched(id, user: user)
        case (.trying, _), (.proceeding, _):
            slab[id.index].state = .completed
            slab[id.index].lastStatus = status
            sendAcknowledgement(id, response, essentials, &wire)
            if slab[id.index].flow.transport.isReliable {
                remove(id)
            } else {
                setDeadline(id, now + timers.patience)
            }
            return .matched(id, user: user)
        case (.completed, 300...):
            sendAcknowledgement(id, response, essentials, &wire)
            return .absorbed
        case (.accepted, 200..<300):
            return .matched(id, user: user)
        case (.completed, _), (.accepted, _), (.reserved, _), (.confirmed, _):
            return .absorbed
        }
    }

    mutating func inviteClientTimerFired(_ id: SlotID, _ now: Instant, _ wire: inout Wire, _ events: inout [TransactionEvent]) {
        let transaction = slab[id.index]
        switch transaction.state {
        case .trying:
            if isDeadline(id, now) {
                events.append(.timedOut(id, user: transaction.user))
                remove(id)
                return
            }
            sendAgain(id, status: 0, &wire)
            setRetransmission(id, interval: transaction.interval * 2, deadline: transaction.deadline, now)
        case .proceeding:
            if transaction.isCancelled {
                // §9.1: nothing came in 64·T1 after the CANCEL.
                events.append(.timedOut(id, user: transaction.user))
                remove(id)
            } else {
                events.append(.timerC(id, user: transaction.user))
            }
        case .completed, .accepted:
            remove(id)
        case .reserved, .confirmed:
            break
        }
    }

    /// Cancels an INVITE: at once if a provisional response has come, else as soon as one does (§9.1). After a final
    /// response there is nothing to cancel.
    ///
    /// - Parameter reason: header fields that tell why, each with its line end (RFC 3326 §2).
    public mutating func cancel(_ id: SlotID, reason: RawSpan = RawSpan(), at now: Instant, into wire: inout Wire) {
        guard slab.contains(id), slab[id.index].kind == .inviteClient, !slab[id.index].isCancelled else { return }
        switch slab[id.index].state {
        case .trying:
            slab[id.index].isCancelled = true
            if reason.byteCount > 0 { waitingReasons[id.rawValue] = [UInt8](reason) }
        case .proceeding:
            slab[id.index].isCancelled = true
            sendCancel(id, reason, now, &wire)
        case .reserved, .completed, .confirmed, .accepted:
            break
        }
    }

    /// Same Request-URI, Call-ID, From, To, CSeq number and Route, and only our Via (§9.1); with the reason.
    private mutating func sendCancel(_ id: SlotID, _ reason: RawSpan, _ now: Instant, _ wire: inout Wire) {
        setDeadline(id, now + timers.patience)
        // Past the limit too: it makes room.
        let cancel = insertClient(.cancel, user: 0)
        slab[cancel.index].companion = id
        slab[id.index].companion = cancel
        let start = wire.bytes.count
        appendHopByHop("CANCEL", to: id, toHeader: nil, fields: reason, into: &wire.bytes)
        send(cancel, from: start, over: slab[id.index].flow, at: now, into: &wire)
    }

    /// As the INVITE, with the To of the response and only our Via (§17.1.1.3). It gets no transaction.
    private mutating func sendAcknowledgement(
        _ id: SlotID, _ response: borrowing Message, _ essentials: Essentials, _ wire: inout Wire
    ) {
        let start = wire.bytes.count
        appendHopByHop("ACK", to: id, toHeader: response[essentials.to.all], into: &wire.bytes)
        wire.transmit(from: start, over: slab[id.index].flow, method: Method.ack.rawValue)
    }

    /// A request that goes only to the next hop of the INVITE: `method` with the INVITE's own fields.
    private func appendHopByHop(
        _ method: StaticString, to id: SlotID, toHeader: RawSpan?, fields: RawSpan = RawSpan(), into bytes: inout OctetBuffer
    ) {
        let invite = pool.bytes(slab[id.index].packet)
        var scanner = MessageScanner()
        _ = scanner.scan(invite)
        let message = scanner.message(invite)
        bytes.append(method)
        bytes.append(" ")
        bytes.append(message[message.shape.requestURI])
        bytes.append(" SIP/2.0\r\n")
        if let via = message.value(.via) { bytes.appendField(.via, message[via]) }
        bytes.append("Max-Forwards: 70\r\n")
        bytes.appendFields(of: message, .route)
        bytes.appendFields(of: message, .from)
        if let toHeader {
            bytes.appendField(.to, toHeader)
        } else {
            bytes.appendFields(of: message, .to)
        }
        bytes.appendFields(of: message, .callID)
        if let sequence = message.value(.cseq) {
            var end = sequence.lower
            while end < sequence.upper, message.bytes[end].isASCIIDigit { end += 1 }
            bytes.append("CSeq: ")
            bytes.append(message[Slice(sequence.lower, end)])
            bytes.append(" ")
            bytes.append(method)
            bytes.append("\r\n")
        }
        bytes.append(fields)
        bytes.appendEmptyBody()
    }
}
