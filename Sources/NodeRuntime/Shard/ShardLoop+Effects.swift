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
        if hasRecorded {
            hasRecorded = false
            // The first shard is the one that others wait by.
            if wiring.number != 0, trace.isAwaited { wiring.hub.mailboxes[0].wake() }
        }
    }

    private mutating func carryOutEffects() {
        repeat {
            if !effects.wire.transmissions.isEmpty { transmit() }
            if !effects.wire.closings.isEmpty { closings.append(contentsOf: effects.wire.closings) }
            if !effects.wire.aliases.isEmpty { takeAliases() }
            if !effects.notices.isEmpty { logNotices() }
            if !effects.wire.handOvers.isEmpty { handOver() }
            if !effects.names.isEmpty { askNames() }
            effects.wire.removeAll()
            effects.notices.removeAll(keepingCapacity: true)
            // Without a store a change is committed by this, and what waited for it is sent in the next turn.
            if !effects.store.changes.isEmpty { persist() }
        } while hasEffects
        if !closings.isEmpty || !streamBatch.isEmpty { transmitOnStreams() }
    }

    var hasEffects: Bool {
        !effects.wire.transmissions.isEmpty || !effects.wire.closings.isEmpty || !effects.store.changes.isEmpty
            || !effects.notices.isEmpty || !effects.wire.handOvers.isEmpty || !effects.wire.aliases.isEmpty
            || !effects.names.isEmpty
    }

    private mutating func transmit() {
        if wiring.configuration.interceptor?.isActive ?? false { return send(interceptedTransmissions()) }
        // Nothing writes to the buffer before all of this batch is with the system or copied.
        guard let octets = effects.wire.bytes.start else { return }
        if trace.isRecording { recordOutgoing(octets) }
        if member != nil { noteDestinations(of: effects.wire.transmissions) }
        send(effects.wire.transmissions, in: octets)
    }

    /// Sends all of a wire that is not the core's.
    mutating func send(_ wire: borrowing Wire) {
        guard let octets = wire.bytes.start else { return }
        if member != nil { noteDestinations(of: wire.transmissions) }
        send(wire.transmissions, in: octets)
    }

    private mutating func send(_ transmissions: [Transmission], in octets: UnsafeRawPointer) {
        for transmission in transmissions {
            counters.countSent(transmission)
            let flow = transmission.flow
            let number = Int(flow.listener)
            if flow.transport != .udp {
                addToStreamBatch(transmission, UnsafeRawBufferPointer(start: octets + transmission.start, count: transmission.count))
            } else if number < socketOfListener.count, socketOfListener[number] >= 0 {
                sockets[socketOfListener[number]].add(transmission, in: octets)
            } else {
                failures.append(
                    TransmissionFailure(
                        transaction: transmission.transaction, flow: flow, reason: .noListener, shard: UInt8(wiring.number)))
            }
        }
        for socket in sockets {
            socket.flush(in: octets)
            guard socket.isWaiting || !socket.failures.isEmpty else { continue }
            watch(socket)
            takeFailures(of: socket)
        }
    }

    private mutating func recordOutgoing(_ octets: UnsafeRawPointer) {
        let (transmissions, listeners, time) = (effects.wire.transmissions, wiring.listeners, now.wall)
        trace.withRing { ring in
            for transmission in transmissions {
                let message = RawSpan(_unsafeStart: octets + transmission.start, byteCount: transmission.count)
                let number = Int(transmission.flow.listener)
                let local = number < listeners.count ? listeners[number].local : .none
                ring.record(message, .outgoing, over: transmission.flow, local: local, at: time)
            }
        }
        hasRecorded = true
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
        moved.shard = UInt8(wiring.number)
        streamBatch.octets.append(contentsOf: octets)
        streamBatch.transmissions.append(moved)
    }

    private mutating func takeAliases() {
        for alias in effects.wire.aliases {
            var moved = alias
            moved.start = streamBatch.octets.count
            streamBatch.octets.append(contentsOf: [UInt8](effects.wire.bytes.bytes(from: alias.start, count: alias.count)))
            streamBatch.aliases.append(moved)
        }
    }

    private mutating func transmitOnStreams() {
        streamBatch.closings = closings
        closings = []
        let batch = streamBatch
        streamBatch = StreamBatch()
        if wiring.number == 0 { return transmit(batch) }
        let isPosted = wiring.hub.mailboxes[0].post { $0.transmit(batch) }
        guard !isPosted else { return }
        for transmission in batch.transmissions { drop(.stopped, transmission.flow) }
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
            guard failure.shard == UInt8(wiring.number) else {
                // That of a shard that has ended is of no use to anybody.
                wiring.hub.mailboxes[Int(failure.shard)].post { $0.failures.append(failure) }
                continue
            }
            drop(failure.reason, failure.flow)
            guard failure.transaction != 0 else { continue }
            node.transmissionFailed(failure.transaction, over: failure.flow, at: now, into: &effects)
        }
    }

    mutating func drop(_ reason: DropReason, _ flow: Flow) {
        counters.count(reason)
        dropLog.note(reason, flow.remote, at: systemTime)
    }

    private mutating func wakeWaiters() {
        let newest = trace.withRing { $0.nextSequence - 1 }
        let systemTime = systemTime
        waiters.removeAll { waiter in
            let isMet = newest > waiter.after
            guard isMet || waiter.deadline <= systemTime else { return false }
            waiter.continuation.resume(returning: isMet)
            return true
        }
        trace.isAwaited = !waiters.isEmpty
    }
}
