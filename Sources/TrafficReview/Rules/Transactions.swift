// How requests are sent, sent again and answered in time (RFC 3261 §8.1, §17).

import SIPMessage
import SansIO

extension Rules {
    static let transactions: [Rule] = [
        Rule("branch-reused", .error, "RFC 3261 8.1.1.7", "each transaction has a branch of its own", on: .request([])) { subject in
            guard let other = subject.branchUsedBy, let via = subject.message.via else { return nil }
            return Fault(
                "\(subject.name): the branch \(via.branch) is that of another \(other.request.method)",
                "make a new branch for each request",
                with: [other.request.observed.sequence])
        },
        Rule("cseq-reused", .error, "RFC 3261 8.1.3.5", "a request that is tried again has a new CSeq", on: .request([])) { subject in
            let message = subject.message
            guard !["ACK", "CANCEL", "REGISTER"].contains(message.method), message.vias.count == 1, message.to?.tag.isEmpty == true else {
                return nil
            }
            let earlier = subject.ledger.earlier(than: message).first {
                $0.request.method == message.method && $0.request.sequenceNumber == message.sequenceNumber
            }
            guard let earlier, let final = earlier.final, final.status != 503 else { return nil }
            return Fault(
                "\(subject.name): CSeq \(message.sequenceNumber ?? 0) again, after a \(final.status)", "count CSeq up",
                with: [earlier.request.observed.sequence])
        },
        Rule("retransmission-too-early", .warning, "RFC 3261 17.1.1.1", "a copy comes after T1, the next after twice that", on: .copy) {
            subject in
            guard let sendings = subject.exchange?.sendings, sendings.count == 3, !subject.message.isReliable else { return nil }
            // A recording may be late, by the first more than by the others.
            let elapsed = sendings[2] - sendings[0]
            guard elapsed < .milliseconds(1000) else { return nil }
            return Fault(
                "\(subject.name): sent three times within \(elapsed.nanoseconds / 1_000_000) ms", "wait for 500 ms, then for 1 s, 2 s, 4 s",
                with: [subject.request.observed.sequence])
        },
        Rule("retransmission-over-stream", .warning, "RFC 3261 17.1.1.2", "over a stream nothing is sent twice", on: .copy) { subject in
            guard subject.exchange?.sendings.count == 2, subject.message.isReliable else { return nil }
            return Fault(
                "\(subject.name): sent again over \(subject.message.observed.transport.name)", "leave that to the stream",
                with: [subject.request.observed.sequence])
        },
        Rule("answer-ignored", .warning, "RFC 3261 17.1.2.2", "what is answered is not sent again", on: .copy) { subject in
            guard let exchange = subject.exchange, exchange.copiesAfterFinal == 3, let final = exchange.final else { return nil }
            return Fault(
                "\(subject.name): sent three times more after its \(final.status)",
                "see whether answers get to where Via says, and are matched by their branch",
                with: [exchange.request.observed.sequence, final.observed.sequence])
        },
        Rule("no-answer", .error, "RFC 3261 17.2", "a request is answered", on: .silence) { subject in
            guard let exchange = subject.exchange, !exchange.isIncoming, subject.message.isRequest else { return nil }
            let isAnswered = subject.message.method == "INVITE" ? !exchange.responses.isEmpty : exchange.final != nil
            guard !isAnswered else { return nil }
            let times = exchange.sendings.count
            return Fault(
                "\(subject.name) to it: no answer\(times > 1 ? ", sent \(times) times" : "")",
                "answer every request, 501 if nothing else fits; is it still there?")
        },
    ]
}
