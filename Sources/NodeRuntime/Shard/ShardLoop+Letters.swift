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

    mutating func wait(_ waiter: TraceWaiter) {
        waiters.append(waiter)
        trace.isAwaited = true
    }

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
                dropLog.note(reason, flow.remote, at: systemTime)
            case .silent(let flow):
                judgeSilence(of: flow, nil)
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
        if wiring.configuration.interceptor?.isActive ?? false { return receiveIntercepted(message, over: flow) }
        if trace.isRecording {
            let (local, time) = (localEndpoint(flow), now.wall)
            trace.withRing { $0.record(message, .incoming, over: flow, local: local, at: time) }
            hasRecorded = true
        }
        node.receive(message, over: flow, at: now, into: &effects)
    }

    /// Each shard is asked in turn; the most patient one decides.
    private mutating func judgeSilence(of flow: Flow, _ others: TimeSpan?) {
        let patience = [others, node.patience(with: flow)].compactMap { $0 }.max()
        let next = wiring.hub.mailboxes.dropFirst(wiring.number + 1).first
        if let next, next.post({ $0.judgeSilence(of: flow, patience) }) { return }
        streamBatch.verdicts.append(SilenceVerdict(connection: flow.connection, patience: patience))
    }

    private mutating func end(_ flow: Flow, _ reason: StreamEnding) {
        counters.streamsOpen -= 1
        counters.count(reason)
        switch reason {
        case .peerClosed, .closedByCore, .idle, .stopped:
            logger.debug("closed stream: \(reason.rawValue) (with \(flow.remote.text))")
        default: dropLog.note(reason, flow.remote, at: systemTime)
        }
        closed(flow)
        for other in wiring.hub.mailboxes.dropFirst() { other.post { $0.closed(flow) } }
    }

    private mutating func closed(_ flow: Flow) { node.flowClosed(flow, at: now, into: &effects) }
}

// MARK: Other shards

extension ShardLoop where Node: ~Copyable {
    /// Hands to the others what the core has for them, one batch for each.
    mutating func handOver() {
        for (target, box) in wiring.hub.boxes.enumerated() where target != wiring.number {
            let (isFirst, lost) = box.post(effects.wire.handOvers, in: effects.wire.bytes, to: target)
            if isFirst { wiring.hub.mailboxes[target].wake() }
            for flow in lost { drop(ending == nil && !isQuiet ? .handOverQueueFull : .stopped, flow) }
        }
    }

    mutating func takeHandOvers() {
        var batch = HandOverBox.Batch()
        swap(&batch, &handedOver)
        wiring.hub.boxes[wiring.number].takeAll(into: &batch)
        for entry in batch.entries {
            node.handedOver(entry, batch.octets.bytes(from: entry.start, count: entry.count), at: now, into: &effects)
        }
        batch.removeAll()
        swap(&batch, &handedOver)
    }

    /// Sends on streams what another shard has for them; a failure goes back there.
    mutating func transmit(_ batch: StreamBatch) {
        if streams == nil { openStreams() }
        if let streams { return streams.transmit(batch) }
        for transmission in batch.transmissions {
            failures.append(
                TransmissionFailure(
                    transaction: transmission.transaction, flow: transmission.flow, reason: .transportNotSupported,
                    shard: transmission.shard))
        }
    }
}

// MARK: Stopping

extension ShardLoop where Node: ~Copyable {
    mutating func stop(_ continuation: CheckedContinuation<Void, Never>) {
        if ending != nil {
            ending?.continuations.append(continuation)
            return
        }
        doPutOff()
        isQuiet = true
        ending = Ending(deadline: systemTime + Self.patienceOfStop, continuations: [continuation])
        for socket in sockets { watch(socket) }
    }

    /// Reads no more datagrams; what was read before is worked on.
    mutating func fallQuiet() {
        isQuiet = true
        for socket in sockets { watch(socket) }
    }

    mutating func streamsStopped() { ending?.streamsStopped = true }

    /// Whether all is done that must be before the thread ends.
    mutating func hasEnded() -> Bool {
        guard var state = ending else { return false }
        if state.deadline <= systemTime {
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
