// From recorded messages to the events of a ladder, one message after the other, as they come.

public import SIPTrace
public import SansIO

/// Reads a trace in its order. It remembers what it needs to tell retransmissions, unanswered requests and what a hop
/// changed, and forgets what is long past.
public struct LadderReader: Sendable {
    /// What a message came to.
    public struct Step: Sendable {
        /// Timers that ran out before, then the message itself.
        public var events: [LadderEvent]
        /// What the node that sent the message did to it on its way through; nil: it did not receive it before.
        public var hop: HopDifference?
    }

    /// The lane of the node that recorded the trace.
    private let node: String
    /// How many messages are remembered.
    private let memory: Int
    private var transmissions: [Transmission: (sequence: UInt64, time: WallTime)] = [:]
    private var arrivals: [Conversation: [Arrival]] = [:]
    private var conversationsInOrder: [Conversation] = []
    private var transmissionsInOrder: [Transmission] = []
    private var requests = OpenRequests()

    /// What is the same in a message and its retransmission (RFC 3261 §17.1.3, §17.2.3). A response has no branch of its own,
    /// so its octets count.
    private struct Transmission: Hashable {
        var direction: TraceDirection
        var remote: Endpoint
        var method: String
        var branch: String?
        var octets: [UInt8]?
    }

    /// What a message and what a hop makes of it have in common.
    private struct Conversation: Hashable {
        var callID: String
        var cseq: String
        var status: Int?
        var method: String?
    }

    /// A message that reached a lane.
    private struct Arrival {
        var lane: String
        var sequence: UInt64
        var parts: MessageParts
    }

    /// - Parameters:
    ///   - node: the lane of the node that recorded the trace.
    ///   - memory: how many messages are remembered to compare later ones with.
    public init(node: String = "core", memory: Int = 50_000) {
        self.node = node
        self.memory = max(memory, 2)
    }

    /// - Parameter otherEnd: the lane at the other end of the message.
    public mutating func read(_ message: TracedMessage, otherEnd: String) -> Step {
        let parts = MessageParts(message.octets)
        let (from, to) = message.direction == .incoming ? (otherEnd, node) : (node, otherEnd)
        var event = LadderEvent(
            microseconds: message.time.microseconds, from: from, to: to, label: parts.label, detail: parts.detail,
            sequence: message.sequence)
        event.method = parts.method
        event.status = parts.status
        event.callID = parts.callID
        event.mark = message.mark

        var step = Step(events: timeouts(until: message.time), hop: nil)
        if let earlier = earlierTransmission(of: message, parts) {
            event.kind = .retransmission
            let gap = "again after \(seconds(message.time.microseconds - earlier.time.microseconds)) s"
            event.detail = event.detail.isEmpty ? gap : "\(gap), \(event.detail)"
        } else {
            step.hop = hop(from, message, parts)
            step.events += requests.see(message, parts, node: node, otherEnd: otherEnd)
        }
        if !event.isLost { remember(message, parts, at: to) }
        if message.mark != .none { event.kind = .fault }
        step.events.append(event)
        return step
    }

    /// The timers that ran out up to a moment; each is told once.
    public mutating func timeouts(until time: WallTime) -> [LadderEvent] { requests.timeouts(until: time, node: node) }

    // MARK: Retransmissions

    private mutating func earlierTransmission(of message: TracedMessage, _ parts: MessageParts) -> (sequence: UInt64, time: WallTime)? {
        let isRequest = parts.status == nil
        let transmission = Transmission(
            direction: message.direction, remote: message.remote, method: parts.method ?? "", branch: isRequest ? parts.branch : nil,
            octets: isRequest && parts.branch != nil ? nil : message.octets)
        let earlier = transmissions.updateValue((message.sequence, message.time), forKey: transmission)
        if earlier == nil {
            transmissionsInOrder.append(transmission)
            if transmissionsInOrder.count > memory {
                for old in transmissionsInOrder.prefix(memory / 2) { transmissions[old] = nil }
                transmissionsInOrder.removeFirst(memory / 2)
            }
        }
        return earlier
    }

    // MARK: Hops

    private func hop(_ lane: String, _ message: TracedMessage, _ parts: MessageParts) -> HopDifference? {
        guard let key = conversation(of: parts), let received = arrivals[key]?.last(where: { $0.lane == lane }) else { return nil }
        return HopDifference(
            node: lane, received: received.sequence, difference: MessageDifference(from: received.parts, to: parts))
    }

    private mutating func remember(_ message: TracedMessage, _ parts: MessageParts, at lane: String) {
        guard let key = conversation(of: parts) else { return }
        if arrivals[key] == nil { conversationsInOrder.append(key) }
        // A conversation that goes round in circles is cut short.
        if arrivals[key, default: []].count >= 256 { arrivals[key]?.removeFirst(128) }
        arrivals[key, default: []].append(Arrival(lane: lane, sequence: message.sequence, parts: parts))
        guard conversationsInOrder.count > memory else { return }
        for old in conversationsInOrder.prefix(memory / 2) { arrivals[old] = nil }
        conversationsInOrder.removeFirst(memory / 2)
    }

    private func conversation(of parts: MessageParts) -> Conversation? {
        guard let callID = parts.callID, let cseq = parts.cseq else { return nil }
        return Conversation(callID: callID, cseq: cseq, status: parts.status, method: parts.method)
    }
}

/// Requests that the node sent and that no final answer has come to.
private struct OpenRequests: Sendable {
    private struct Key: Hashable {
        var branch: String
        var method: String
    }

    private struct Request {
        var time: WallTime
        var lane: String
        var conversation: String
        var method: String
        var hasProvisional = false
    }

    /// 64 times T1 at its usual 500 ms: Timers B and F (RFC 3261 §17.1).
    private static let patience = TimeSpan.seconds(32)
    /// Branches of a request go out together; what comes later was waited for.
    private static let pause = TimeSpan.milliseconds(400)

    private var open: [Key: Request] = [:]
    /// The branches of each request.
    private var branches: [String: [Key]] = [:]
    private var inOrder: [(key: Key, time: WallTime)] = []
    private var first = 0

    /// Takes a message that is no retransmission.
    mutating func see(_ message: TracedMessage, _ parts: MessageParts, node: String, otherEnd: String) -> [LadderEvent] {
        guard let method = parts.method, let branch = parts.branch, let cseq = parts.cseq, let callID = parts.callID else { return [] }
        let isOutgoing = message.direction == .outgoing
        let isLost = message.mark == .dropped || message.mark == .answered
        let conversation = "\(callID) \(cseq)"
        switch (parts.status, isOutgoing) {
        case (nil, true):
            guard method != "ACK" else { return [] }
            let notes = method == "CANCEL" ? [] : givenUp(conversation, at: message.time, node: node)
            let key = Key(branch: branch, method: method)
            close(key)
            open[key] = Request(time: message.time, lane: otherEnd, conversation: conversation, method: method)
            if method != "CANCEL" { branches[conversation, default: []].append(key) }
            inOrder.append((key, message.time))
            return notes
        case (let status?, false) where !isLost:
            let key = Key(branch: branch, method: method)
            if status >= 200 { close(key) } else if status > 100 { open[key]?.hasProvisional = true }
            return []
        case (408, true): return timedOut(conversation, at: message.time, node: node)
        default: return []
        }
    }

    mutating func timeouts(until time: WallTime, node: String) -> [LadderEvent] {
        var events: [LadderEvent] = []
        while first < inOrder.count, inOrder[first].time + OpenRequests.patience <= time {
            let (key, began) = inOrder[first]
            first += 1
            // An INVITE that rings may do so for long.
            guard let request = open[key], request.time == began, !(request.method == "INVITE" && request.hasProvisional) else { continue }
            close(key)
            events.append(OpenRequests.timer(request, at: began + OpenRequests.patience, node: node))
        }
        if first > 1024 {
            inOrder.removeFirst(first)
            first = 0
        }
        return events
    }

    /// The node answered 408 itself: its own timer ran out.
    private mutating func timedOut(_ conversation: String, at time: WallTime, node: String) -> [LadderEvent] {
        take(conversation).map { OpenRequests.timer($0, at: time, node: node) }
    }

    /// The node went on without an answer.
    private mutating func givenUp(_ conversation: String, at time: WallTime, node: String) -> [LadderEvent] {
        let waited = (branches[conversation] ?? []).contains { key in open[key].map { $0.time + OpenRequests.pause <= time } ?? false }
        guard waited else { return [] }
        return take(conversation).map { request in
            LadderEvent(
                .timer, microseconds: time.microseconds, from: node, to: node, label: "given up",
                detail: OpenRequests.silence(of: request, until: time))
        }
    }

    private mutating func take(_ conversation: String) -> [Request] {
        let taken = (branches[conversation] ?? []).compactMap { open[$0] }
        for key in branches[conversation] ?? [] { open[key] = nil }
        branches[conversation] = nil
        return taken
    }

    private mutating func close(_ key: Key) {
        guard let request = open.removeValue(forKey: key), request.method != "CANCEL" else { return }
        let others = (branches[request.conversation] ?? []).filter { $0 != key }
        branches[request.conversation] = others.isEmpty ? nil : others
    }

    private static func timer(_ request: Request, at time: WallTime, node: String) -> LadderEvent {
        let name = request.method != "INVITE" ? "F" : request.hasProvisional ? "C" : "B"
        return LadderEvent(
            .timer, microseconds: time.microseconds, from: node, to: node, label: "Timer \(name)", detail: silence(of: request, until: time)
        )
    }

    private static func silence(of request: Request, until time: WallTime) -> String {
        "no answer from \(request.lane) to \(request.method) for \(seconds(time.microseconds - request.time.microseconds)) s"
    }
}

/// With as many digits as tell something: `0.5`, `32`.
func seconds(_ microseconds: Int64) -> String {
    let milliseconds = microseconds.magnitude / 1000
    var digits = String(milliseconds % 1000)
    digits = String(repeating: "0", count: 3 - digits.count) + digits
    while digits.last == "0" { digits.removeLast() }
    return "\(microseconds < 0 ? "-" : "")\(milliseconds / 1000)\(digits.isEmpty ? "" : ".")\(digits)"
}
