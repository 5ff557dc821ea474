// What a shard does with the effects of its core: messages to the sockets and streams, changes to the store, notices to
// the log, and what could not be sent back to the core.

import Logging
import SIPTrace
import SansIO

extension ShardLoop where Node: ~Copyable {
    /// Acts on all effects, and wakes those who wait for the trace.
    mutating func finishTick() {
        for _ in 0..<Self.roundsPerTick {
            carryOutEffects()
            guard !failures.isEmpty else { break }
            reportFailures()
        }
        if !waiters.isEmpty { wakeWaiters() }
    }

    private mutating func carryOutEffects() {
        repeat {
            if !effects.wire.transmissions.isEmpty { transmit() }
            if !effects.wire.closings.isEmpty { closings.append(contentsOf: effects.wire.closings) }
            if !effects.notices.isEmpty { logNotices() }
            effects.wire.removeAll()
            effects.notices.removeAll(keepingCapacity: true)
            // Without a store a change is committed by this, and what waited for it is sent in the next turn.
            if !effects.store.changes.isEmpty { persist() }
        } while hasEffects
        if !closings.isEmpty || !streamBatch.isEmpty { transmitOnStreams() }
    }

    var hasEffects: Bool {
        !effects.wire.transmissions.isEmpty || !effects.wire.closings.isEmpty || !effects.store.changes.isEmpty
            || !effects.notices.isEmpty
    }

    private mutating func transmit() {
        // Nothing writes to the buffer before all of this batch is with the system or copied.
        guard let octets = effects.wire.bytes.start else { return }
        for transmission in effects.wire.transmissions {
            counters.countSent(transmission)
            let flow = transmission.flow
            let number = Int(flow.listener)
            if trace.isRecording {
                let message = RawSpan(_unsafeStart: octets + transmission.start, byteCount: transmission.count)
                trace.record(message, .outgoing, over: flow, local: localEndpoint(flow), at: now.wall)
            }
            if flow.transport != .udp {
                addToStreamBatch(transmission, UnsafeRawBufferPointer(start: octets + transmission.start, count: transmission.count))
            } else if number < socketOfListener.count, socketOfListener[number] >= 0 {
                sockets[socketOfListener[number]].add(transmission, in: octets)
            } else {
                failures.append(TransmissionFailure(transaction: transmission.transaction, flow: flow, reason: .noListener))
            }
        }
        for socket in sockets {
            socket.flush(in: octets)
            guard socket.isWaiting || !socket.failures.isEmpty else { continue }
            watch(socket)
            takeFailures(of: socket)
        }
    }

    func localEndpoint(_ flow: Flow) -> Endpoint {
        let number = Int(flow.listener)
        return number < wiring.listeners.count ? wiring.listeners[number].local : .none
    }

    mutating func takeFailures(of socket: DatagramSocket) {
        failures.append(contentsOf: socket.failures)
        socket.failures.removeAll(keepingCapacity: true)
    }

    private mutating func addToStreamBatch(_ transmission: Transmission, _ octets: UnsafeRawBufferPointer) {
        var moved = transmission
        moved.start = streamBatch.octets.count
        streamBatch.octets.append(contentsOf: octets)
        streamBatch.transmissions.append(moved)
    }

    private mutating func transmitOnStreams() {
        if streams == nil { openStreams() }
        streamBatch.closings = closings
        closings = []
        let batch = streamBatch
        streamBatch = StreamBatch()
        if let streams { return streams.transmit(batch) }
        for transmission in batch.transmissions {
            failures.append(
                TransmissionFailure(transaction: transmission.transaction, flow: transmission.flow, reason: .transportNotSupported))
        }
    }

    mutating func openStreams() {
        do {
            streams = try wiring.openStreams(streamListeners)
        } catch {
            logger.error("streams cannot be used: \(error)")
        }
    }

    private mutating func persist() {
        let changes = effects.store.changes
        guard let last = changes.last else { return }
        if let store {
            lastTicketHanded = last.ticket
            let octets = [UInt8](effects.store.bytes.bytes)
            effects.store.removeAll()
            store(changes, octets, storeFailuresReported)
        } else {
            effects.store.removeAll()
            node.committed(upTo: last.ticket, succeeded: true, at: now, into: &effects)
        }
    }

    private func logNotices() {
        for notice in effects.notices {
            switch notice.level {
            case .debug: logger.debug("\(notice.text)")
            case .info: logger.info("\(notice.text)")
            case .warning: logger.warning("\(notice.text)")
            case .error: logger.error("\(notice.text)")
            }
        }
    }

    private mutating func reportFailures() {
        let reported = failures
        failures.removeAll(keepingCapacity: true)
        for failure in reported {
            drop(failure.reason, failure.flow)
            guard failure.transaction != 0 else { continue }
            node.transmissionFailed(failure.transaction, over: failure.flow, at: now, into: &effects)
        }
    }

    mutating func drop(_ reason: DropReason, _ flow: Flow) {
        counters.count(reason)
        dropLog.note(reason, flow.remote, at: now.monotonic)
    }

    private mutating func wakeWaiters() {
        waiters.removeAll { waiter in
            let isMet = trace.nextSequence > 1 && trace.nextSequence - 1 > waiter.after
            guard isMet || waiter.deadline <= now.monotonic else { return false }
            waiter.continuation.resume(returning: isMet)
            return true
        }
    }
}
