// Messages that are intercepted: they take this way in place of the short one, each by itself.

import FaultRules
import SIPTrace
import SansIO

/// A message that was held back.
struct HeldMessage {
    /// The number under which it may be released; 0: none.
    var number: UInt64
    var deadline: Instant
    var direction: TraceDirection
    var mark: TraceMark
    /// What the core does wrong with an incoming one.
    var misbehaviour: Misbehaviour?
    /// Of an outgoing one all but the place of its octets.
    var transmission: Transmission
    var octets: [UInt8]
}

extension ShardLoop where Node: ~Copyable {
    // MARK: Incoming

    /// Hands a message to the core, if it is to have it.
    mutating func receiveIntercepted(_ message: RawSpan, over flow: Flow) {
        let verdict = judge(message, .incoming, over: flow)
        if verdict.isLoss { lose(message, .incoming, over: flow, verdict.mark) }
        for consequence in verdict.consequences {
            switch consequence {
            case .pass(nil): deliver(message, over: flow, verdict.mark, verdict.misbehaviour)
            case .pass(let octets?): deliver(octets.span.bytes, over: flow, verdict.mark, verdict.misbehaviour)
            case .hold(let octets, let span, let number):
                let kept = octets ?? [UInt8](message)
                hold(
                    kept, .incoming, Transmission(count: kept.count, flow: flow), span, number, verdict.mark,
                    misbehaviour: verdict.misbehaviour)
            case .release(let number): release(number)
            case .answer(let octets): send(octets, Transmission(count: octets.count, flow: flow), .answered)
            case .close: closings.append(flow.connection)
            }
        }
    }

    private mutating func deliver(_ message: RawSpan, over flow: Flow, _ mark: TraceMark, _ misbehaviour: Misbehaviour?) {
        record(message, .incoming, over: flow, mark)
        if misbehaviour != nil { node.misbehave(misbehaviour) }
        node.receive(message, over: flow, at: now, into: &effects)
        if misbehaviour != nil { node.misbehave(nil) }
    }

    // MARK: Outgoing

    /// What is left of what the core sends in this tick; it is recorded then.
    mutating func interceptedTransmissions() -> Wire {
        var passing = Wire()
        for transmission in effects.wire.transmissions {
            let message = [UInt8](effects.wire.bytes.bytes(from: transmission.start, count: transmission.count))
            let flow = transmission.flow
            let verdict = judge(message.span.bytes, .outgoing, over: flow)
            if verdict.isLoss { lose(message.span.bytes, .outgoing, over: flow, verdict.mark) }
            for consequence in verdict.consequences {
                switch consequence {
                case .pass(let altered):
                    let octets = altered ?? message
                    record(octets.span.bytes, .outgoing, over: flow, verdict.mark)
                    let start = passing.bytes.count
                    passing.bytes.append(octets.span.bytes)
                    passing.transmit(
                        from: start, over: flow, transaction: transmission.transaction, method: transmission.method,
                        status: transmission.status, mayOvertake: transmission.mayOvertake)
                case .hold(let octets, let span, let number):
                    hold(octets ?? message, .outgoing, transmission, span, number, verdict.mark)
                case .release(let number): release(number)
                // The core is in the midst of its effects.
                case .answer(let octets): hold(octets, .incoming, transmission, .zero, 0, .answered)
                case .close: if flow.connection != 0 { closings.append(flow.connection) }
                }
            }
        }
        return passing
    }

    // MARK: Held back

    private mutating func hold(
        _ octets: [UInt8], _ direction: TraceDirection, _ transmission: Transmission, _ span: TimeSpan, _ number: UInt64, _ mark: TraceMark,
        misbehaviour: Misbehaviour? = nil
    ) {
        held.append(
            HeldMessage(
                number: number, deadline: now.monotonic + span, direction: direction, mark: mark, misbehaviour: misbehaviour,
                transmission: transmission, octets: octets))
    }

    /// What is released goes with the next turn of the loop, after what released it.
    private mutating func release(_ number: UInt64) {
        for i in held.indices where held[i].number == number { held[i].deadline = now.monotonic }
    }

    /// Lets go what was held for long enough, in the order in which it is due.
    mutating func deliverHeld() {
        let time = now.monotonic
        guard held.contains(where: { $0.deadline <= time }) else { return }
        let due = held.filter { $0.deadline <= time }
        held.removeAll { $0.deadline <= time }
        // The sort is stable: of two that are due at once the one held first goes first.
        for message in due.sorted(by: { $0.deadline < $1.deadline }) {
            switch message.direction {
            case .incoming: deliver(message.octets.span.bytes, over: message.transmission.flow, message.mark, message.misbehaviour)
            case .outgoing: send(message.octets, message.transmission, message.mark)
            }
        }
    }

    /// Sends octets that nobody intercepts any more.
    private mutating func send(_ octets: [UInt8], _ transmission: Transmission, _ mark: TraceMark) {
        record(octets.span.bytes, .outgoing, over: transmission.flow, mark)
        var wire = Wire()
        wire.transmit(
            copyOf: octets.span.bytes, over: transmission.flow, transaction: transmission.transaction, method: transmission.method,
            status: transmission.status)
        send(wire)
    }

    // MARK: What both share

    private func judge(_ message: RawSpan, _ direction: TraceDirection, over flow: Flow) -> Interception {
        wiring.configuration.interceptor?.judge(message, direction, over: flow, local: localEndpoint(flow), at: now) ?? .none
    }

    private mutating func lose(_ message: RawSpan, _ direction: TraceDirection, over flow: Flow, _ mark: TraceMark) {
        record(message, direction, over: flow, mark)
        drop(.fault, flow)
    }

    private mutating func record(_ message: RawSpan, _ direction: TraceDirection, over flow: Flow, _ mark: TraceMark) {
        guard trace.isRecording else { return }
        let (local, time) = (localEndpoint(flow), now.wall)
        trace.withRing { $0.record(message, direction, over: flow, local: local, at: time, mark: mark) }
        hasRecorded = true
    }
}

extension [UInt8] {
    fileprivate init(_ span: RawSpan) { self = span.withUnsafeBytes { Array($0) } }
}
