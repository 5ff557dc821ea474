// What reaches a shard from other threads, and how it stops when one of them asks.

import Logging
import SIPTrace
import SansIO

extension ShardLoop where Node: ~Copyable {
    mutating func perform<R>(_ body: (inout Node, Now, inout Effects) -> R) -> R { body(&node, now, &effects) }

    mutating func committed(upTo ticket: UInt64, succeeded: Bool) {
        lastTicketReported = succeeded ? max(lastTicketReported, ticket) : lastTicketHanded
        if !succeeded {
            storeFailuresReported += 1
            // What the core did earlier in this tick, and will undo now, is not to be stored after all.
            effects.store.removeAll()
        }
        node.committed(upTo: ticket, succeeded: succeeded, at: now, into: &effects)
    }

    mutating func wait(_ waiter: TraceWaiter) { waiters.append(waiter) }

    mutating func cancelWait(_ id: UInt64) {
        guard let index = waiters.firstIndex(where: { $0.id == id }) else { return }
        waiters.remove(at: index).continuation.resume(returning: false)
    }

    mutating func streamsReported(_ report: StreamReport) {
        for event in report.events {
            switch event {
            case .opened:
                counters.streamsOpened += 1
                counters.streamsOpen += 1
            case .received(let flow, let start, let count):
                receive(report.octets.span.bytes.part(start, count), over: flow)
            case .receivedUnframed(let flow, let start, let count):
                receive(report.octets.span.bytes.part(start, count), over: flow)
                closings.append(flow.connection)
            case .refused(let flow, let reason):
                counters.count(reason)
                dropLog.note(reason, flow.remote, at: now.monotonic)
            case .ended(let flow, let reason):
                end(flow, reason)
            case .failed(let failure):
                failures.append(failure)
            }
        }
        streams?.acknowledge(report.octets.count)
    }

    private mutating func receive(_ message: RawSpan, over flow: Flow) {
        counters.countReceived(1, octets: message.byteCount, over: flow.transport)
        if trace.isRecording {
            trace.record(message, .incoming, over: flow, local: localEndpoint(flow), at: now.wall)
        }
        node.receive(message, over: flow, at: now, into: &effects)
    }

    private mutating func end(_ flow: Flow, _ reason: StreamEnding) {
        counters.streamsOpen -= 1
        counters.count(reason)
        switch reason {
        case .peerClosed, .closedByCore, .idle, .stopped:
            logger.debug("closed stream: \(reason.rawValue) (with \(flow.remote.text))")
        default: dropLog.note(reason, flow.remote, at: now.monotonic)
        }
        node.flowClosed(flow, at: now, into: &effects)
    }
}

// MARK: Stopping

extension ShardLoop where Node: ~Copyable {
    mutating func stop(_ continuation: CheckedContinuation<Void, Never>) {
        if ending != nil {
            ending?.continuations.append(continuation)
            return
        }
        ending = Ending(deadline: now.monotonic + Self.patienceOfStop, continuations: [continuation])
        for socket in sockets { watch(socket) }
    }

    mutating func streamsStopped() { ending?.streamsStopped = true }

    /// Whether all is done that must be before the thread ends.
    mutating func hasEnded() -> Bool {
        guard var state = ending else { return false }
        if state.deadline <= now.monotonic {
            logger.warning("stopped before all was stored and sent")
            return true
        }
        guard lastTicketReported >= lastTicketHanded, !sockets.contains(where: { $0.isWaiting }) else { return false }
        guard let streams else { return true }
        if !state.streamsAsked {
            state.streamsAsked = true
            ending = state
            streams.stop(wiring.streamsStopped)
        }
        return state.streamsStopped
    }
}
