// An application server in place of one that is not built in: it answers each request 200, an INVITE 480, and passes
// none on.

import SIPMessage
import SansIO

/// Answers without state: the same request gets the same answer (RFC 3261 §8.2.7).
struct StandIn: ~Copyable, SansIONode {
    private var scanner = MessageScanner()

    mutating func receive(_ octets: RawSpan, over flow: Flow, at now: Now, into effects: inout Effects) {
        guard case .message = scanner.scan(octets) else { return }
        let request = scanner.message(octets)
        // It has nothing to talk with.
        effects.wire.answer(request.method == .invite ? 480 : 200, to: request, over: flow)
    }

    func flowClosed(_ flow: Flow, at now: Now, into effects: inout Effects) {}
    func transmissionFailed(_ transaction: UInt64, over flow: Flow, at now: Now, into effects: inout Effects) {}
    func committed(upTo ticket: UInt64, succeeded: Bool, at now: Now, into effects: inout Effects) {}
    func advance(to now: Now, into effects: inout Effects) {}
    var nextDeadline: Instant? { nil }
}

extension Wire {
    /// Answers a request with nothing but what each response has, and the interval of a REGISTER.
    mutating func answer(_ status: UInt16, to request: Message, over flow: Flow) {
        guard request.isRequest, request.method != .ack, let essentials = try? request.essentials() else { return }
        var hasher = KeyHasher(HashSecret(0, 0))
        hasher.combine(request[essentials.via.branch])
        let start = bytes.count
        bytes.appendResponse(status, to: request, essentials, from: flow.remote, toTag: hasher.finish().low)
        if status < 300, request.has(.expires) { bytes.appendFields(of: request, .expires) }
        bytes.appendEmptyBody()
        transmit(from: start, over: flow, method: request.method.rawValue, status: status)
    }
}
