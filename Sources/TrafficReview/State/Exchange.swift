// A transaction as the trace shows it: a request, its copies and its answers.

import SansIO

/// One transaction between the core and a node.
final class Exchange {
    let request: ReadMessage
    /// Of an incoming request that a server sends on: the outgoing one that it was made of.
    let origin: Exchange?
    /// The times of the request and of its copies.
    private(set) var sendings: [WallTime]
    /// All responses in order, copies left out.
    private(set) var responses: [ReadMessage] = []
    /// Copies of the request that came after its final response.
    private(set) var copiesAfterFinal = 0
    /// Whether what was sent out came back from there (TS 24.229 §5.7.4): its answers are then another's.
    var cameBack = false
    /// Of an INVITE: whether an ACK came for it.
    var isAcknowledged = false
    /// Of an INVITE: whether it was cancelled.
    var isCancelled = false

    init(_ request: ReadMessage, madeOf origin: Exchange?) {
        self.request = request
        self.origin = origin
        sendings = [request.observed.time]
    }

    var isIncoming: Bool { request.observed.isIncoming }
    var final: ReadMessage? { responses.first { $0.isFinal } }
    /// Whether the request comes from the one who made it, as far as one sees: nobody but its sender stands in Via.
    var isFirstHop: Bool { request.vias.count == 1 }

    func repeated(at time: WallTime) {
        sendings.append(time)
        if final != nil { copiesAfterFinal += 1 }
    }

    /// - Returns: whether this response is none of those that were seen.
    func answered(by response: ReadMessage) -> Bool {
        guard !responses.contains(where: { $0.observed.octets == response.observed.octets }) else { return false }
        responses.append(response)
        return true
    }

    /// Whether a request is a copy of this one: what has its branch and another Call-ID or CSeq is not.
    func isCopy(_ other: ReadMessage) -> Bool {
        other.callID == request.callID && other.sequenceNumber == request.sequenceNumber && other.requestURI == request.requestURI
    }
}
