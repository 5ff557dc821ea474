// The INVITE server machine (RFC 3261 §17.2.1 as changed by RFC 6026 §7.1).
//
//   Proceeding ──2xx──► Accepted ──L──► (gone)
//       └──3xx-6xx──► Completed ──ACK──► Confirmed ──I──► (gone)
//                        └──H──► (gone; the ACK never came)
//
// A 2xx is sent again by the one who made it, end to end; everything else is sent again here, on timer G, until the ACK.

import SIPMessage
import SansIO

extension TransactionLayer {
    mutating func inviteServerResponded(_ id: SlotID, _ status: UInt16, from start: Int, _ now: Instant, _ wire: borrowing Wire) {
        let isReliable = slab[id.index].flow.transport.isReliable
        switch status {
        case ..<200:
            keep(wire.bytes.bytes(from: start, count: wire.bytes.count - start), in: id)
        case 200..<300:
            if slab[id.index].state != .accepted {
                slab[id.index].state = .accepted
                dropPacket(of: id)
                setDeadline(id, now + timers.patience)
            }
        default:
            slab[id.index].state = .completed
            keep(wire.bytes.bytes(from: start, count: wire.bytes.count - start), in: id)
            if isReliable {
                setDeadline(id, now + timers.patience)
            } else {
                setRetransmission(id, interval: timers.t1, deadline: now + timers.patience, now)
            }
        }
    }

    mutating func acknowledgementReceived(_ id: SlotID, _ now: Instant) -> RequestOutcome {
        switch slab[id.index].state {
        case .completed:
            slab[id.index].state = .confirmed
            dropPacket(of: id)
            if slab[id.index].flow.transport.isReliable {
                remove(id)
            } else {
                setDeadline(id, now + timers.t4)
            }
            return .absorbed
        case .accepted:
            // An ACK to the 2xx with the INVITE's branch: it still goes to the one who sent the 2xx.
            return .acknowledgement
        case .trying, .proceeding, .confirmed, .reserved:
            return .absorbed
        }
    }

    mutating func inviteServerTimerFired(_ id: SlotID, _ now: Instant, _ wire: inout Wire, _ events: inout [TransactionEvent]) {
        switch slab[id.index].state {
        case .completed:
            if isDeadline(id, now) {
                events.append(.acknowledgementMissing(id, user: slab[id.index].user))
                remove(id)
            } else {
                sendAgain(id, status: slab[id.index].lastStatus, &wire)
                let doubled = min(slab[id.index].interval * 2, timers.t2)
                setRetransmission(id, interval: doubled, deadline: slab[id.index].deadline, now)
            }
        case .confirmed, .accepted:
            remove(id)
        case .trying, .proceeding, .reserved:
            break
        }
    }
}
