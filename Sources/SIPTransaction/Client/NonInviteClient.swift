// The non-INVITE client machine (RFC 3261 §17.1.2).
//
//   Trying ──1xx──► Proceeding ──final──► Completed ──K──► (gone)
//      └────────────F───────┘ (408 to the layer above)
//
// Timer E doubles from T1 to T2, and is T2 in Proceeding; on a stream nothing is sent again.

import SIPMessage
import SansIO

extension TransactionLayer {
    mutating func nonInviteClientReceived(_ id: SlotID, _ status: UInt16, _ now: Instant) -> ResponseOutcome {
        let transaction = slab[id.index]
        // Nobody above knows of a CANCEL that the INVITE machine sent.
        let outcome = isCancelOfMachine(transaction) ? ResponseOutcome.absorbed : .matched(id, user: transaction.user)
        switch transaction.state {
        case .trying, .proceeding:
            slab[id.index].lastStatus = status
            if status < 200 {
                slab[id.index].state = .proceeding
                return outcome
            }
            slab[id.index].state = .completed
            // The request is not needed any more: in Completed only responses are absorbed.
            dropPacket(of: id)
            if transaction.flow.transport.isReliable {
                remove(id)
            } else {
                setDeadline(id, now + timers.t4)
            }
            return outcome
        case .completed:
            return .absorbed
        case .reserved, .confirmed, .accepted:
            return .stray
        }
    }

    /// Whether this is the CANCEL of an INVITE client machine, its companion.
    func isCancelOfMachine(_ transaction: Transaction) -> Bool {
        transaction.kind == .nonInviteClient && !transaction.companion.isNone
    }

    mutating func nonInviteClientTimerFired(_ id: SlotID, _ now: Instant, _ wire: inout Wire, _ events: inout [TransactionEvent]) {
        let transaction = slab[id.index]
        switch transaction.state {
        case .trying, .proceeding:
            if isDeadline(id, now) {
                if !isCancelOfMachine(transaction) { events.append(.timedOut(id, user: transaction.user)) }
                remove(id)
                return
            }
            sendAgain(id, status: 0, &wire)
            let next = transaction.state == .proceeding ? timers.t2 : min(transaction.interval * 2, timers.t2)
            setRetransmission(id, interval: next, deadline: transaction.deadline, now)
        case .completed:
            remove(id)
        case .reserved, .confirmed, .accepted:
            break
        }
    }
}
