// The non-INVITE server machine (RFC 3261 §17.2.2, RFC 4320 §4.1).
//
//   Trying ──1xx──► Proceeding ──final──► Completed ──J──► (gone)
//      └───────────────┴──no answer will come──┘
//
// In Trying retransmissions are dropped; later the last response is sent again. A request that is worked on for longer
// is answered 100 by the machine itself, once the client's timer E must have reached T2, and not before.

public import SIPMessage
public import SansIO

extension TransactionLayer {
    /// Tells that the final response will not come in this tick: keeps the 100 that RFC 4320 §4.1 asks for, over every
    /// transport, and sets the timer for it. Only the first time: the client's timers run since it sent the request.
    public mutating func awaitResponse(
        _ id: SlotID, to request: borrowing Message, _ essentials: Essentials, from source: Endpoint, at now: Instant
    ) {
        guard slab.contains(id), slab[id.index].kind == .nonInviteServer, slab[id.index].state == .trying,
            slab[id.index].packet.isNone
        else { return }
        scratch.removeAll()
        scratch.appendResponse(100, to: request, essentials, from: source, toTag: 0)
        scratch.appendEmptyBody()
        let packet = store(scratch, in: &pool)
        slab[id.index].packet = packet
        setDeadline(id, now + timers.delayBefore100)
    }

    /// The same for those who keep the request and write the 100 themselves: when it is time, `.answerDelayed` says so.
    /// Most requests are answered long before, and then nothing was written for nothing (8 % of a forwarded request).
    public mutating func awaitResponse(_ id: SlotID, at now: Instant) {
        guard slab.contains(id), slab[id.index].kind == .nonInviteServer, slab[id.index].state == .trying, slab[id.index].timer.isNone
        else { return }
        setDeadline(id, now + timers.delayBefore100)
    }

    /// - Parameter start: where begins what is kept of the response.
    mutating func nonInviteServerResponded(_ id: SlotID, _ status: UInt16, from start: Int, _ now: Instant, _ wire: borrowing Wire) {
        guard status >= 200 else {
            slab[id.index].state = .proceeding
            keep(wire.bytes.bytes(from: start, count: wire.bytes.count - start), in: id)
            return
        }
        slab[id.index].state = .completed
        if slab[id.index].flow.transport.isReliable {
            // Timer J is zero.
            remove(id)
        } else {
            keep(wire.bytes.bytes(from: start, count: wire.bytes.count - start), in: id)
            setDeadline(id, now + timers.patience)
        }
    }

    /// No final response will ever come, for a 408 must not be sent (RFC 4320 §4.2). What the client sends again meanwhile is
    /// still absorbed, without an answer, so that it is not worked on twice; timer J ends that.
    mutating func nonInviteServerUnanswered(_ id: SlotID, _ now: Instant) {
        guard slab.contains(id) else { return }
        switch slab[id.index].state {
        case .trying, .proceeding:
            guard !slab[id.index].flow.transport.isReliable else { return remove(id) }
            slab[id.index].state = .completed
            slab[id.index].lastStatus = 0
            dropPacket(of: id)
            setDeadline(id, now + timers.patience)
        case .completed, .confirmed, .accepted, .reserved:
            break
        }
    }

    mutating func nonInviteServerTimerFired(
        _ id: SlotID, _ now: Instant, _ wire: inout Wire, _ events: inout [TransactionEvent]
    ) {
        switch slab[id.index].state {
        case .trying where slab[id.index].packet.isNone:
            slab[id.index].deadline = .distantFuture
            events.append(.answerDelayed(id, user: slab[id.index].user))
        case .trying:
            slab[id.index].state = .proceeding
            slab[id.index].lastStatus = 100
            sendAgain(id, status: 100, &wire)
            slab[id.index].deadline = .distantFuture
        case .completed:
            remove(id)
        case .proceeding, .confirmed, .accepted, .reserved:
            break
        }
    }
}

private func store(_ octets: borrowing OctetBuffer, in pool: inout PacketPool) -> PacketID { pool.store(octets.bytes) }
