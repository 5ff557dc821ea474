import SansIO

// STUN on the port of SIP (RFC 5626 §4.4.2): answered by the shard itself, and neither traced nor counted as a message sent.

extension ShardLoop where Node: ~Copyable {
    /// Takes a datagram that is STUN, and says whether it is. The answer waits for the end of the batch.
    mutating func takeSTUN(_ octets: RawSpan, over flow: Flow) -> Bool {
        guard STUN.isSTUN(octets) else { return false }
        let start = stunAnswers.bytes.count
        switch STUN.answer(octets, from: flow.remote, into: &stunAnswers.bytes) {
        case .answered:
            counters.stunAnswered += 1
            stunAnswers.transmit(from: start, over: flow)
        case .silent: break
        case .malformed: drop(.malformedSTUN, flow)
        }
        return true
    }

    mutating func answerSTUN(by socket: DatagramSocket) {
        if let octets = stunAnswers.bytes.start {
            for answer in stunAnswers.transmissions { socket.add(answer, in: octets) }
            socket.flush(in: octets)
        }
        stunAnswers.removeAll()
        guard socket.isWaiting || !socket.failures.isEmpty else { return }
        watch(socket)
        takeFailures(of: socket)
    }
}
