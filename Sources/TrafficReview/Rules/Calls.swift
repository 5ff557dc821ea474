// INVITE, ACK and CANCEL (RFC 3261 §9, §13, §17.1.1).

import SIPMessage

extension Rules {
    static let calls: [Rule] = [
        Rule("ack-missing", .error, "RFC 3261 13.2.2.4", "the final answer to an INVITE is acknowledged", on: .silence) { subject in
            guard let exchange = subject.exchange, exchange.isIncoming, exchange.request.method == "INVITE", !exchange.isAcknowledged,
                subject.message.isFinal
            else { return nil }
            return Fault(
                "INVITE: no ACK for its \(subject.message.status)", "send an ACK for each final answer",
                with: [subject.message.observed.sequence])
        },
        Rule("ack-branch", .error, "RFC 3261 17.1.1.3", "an ACK has the INVITE's branch, but for a 2xx a new one", on: .request(["ACK"])) {
            subject in
            guard let invite = subject.exchange, let final = invite.final, let via = subject.message.via else { return nil }
            let isSame = via.branch == invite.request.via?.branch
            let others = [invite.request.observed.sequence]
            if final.isSuccess, isSame {
                return Fault("ACK for a \(final.status): the branch of the INVITE", "make a new branch", with: others)
            }
            if !final.isSuccess, !isSame {
                return Fault("ACK for a \(final.status): another branch than the INVITE's", "take the INVITE's branch", with: others)
            }
            return nil
        },
        Rule("ack-cseq", .error, "RFC 3261 13.2.2.4", "an ACK has the CSeq number of its INVITE", on: .request(["ACK"])) { subject in
            guard subject.exchange == nil, subject.ledger.isComplete else { return nil }
            let invite = subject.ledger.earlier(than: subject.message).first { $0.request.method == "INVITE" }
            guard let invite else { return nil }
            return Fault(
                "ACK: CSeq \(subject.message.sequenceNumber ?? 0), the INVITE has \(invite.request.sequenceNumber ?? 0)",
                "take the number of the INVITE", with: [invite.request.observed.sequence])
        },
        Rule("cancel-mismatch", .error, "RFC 3261 9.1", "a CANCEL is like its INVITE", on: .request(["CANCEL"])) { subject in
            let cancel = subject.message
            guard let invite = subject.ledger.exchange(of: cancel, method: "INVITE") else {
                guard let meant = subject.ledger.invite(of: cancel) else { return nil }
                return Fault("CANCEL: its branch is that of no INVITE", "take the INVITE's branch", with: [meant.request.observed.sequence])
            }
            let request = invite.request
            var changed: [String] = []
            if cancel.requestURI != request.requestURI { changed.append("Request-URI") }
            if cancel.callID != request.callID { changed.append("Call-ID") }
            if cancel.sequenceNumber != request.sequenceNumber { changed.append("CSeq number") }
            if cancel.from?.tag != request.from?.tag { changed.append("From") }
            if cancel.to?.tag != request.to?.tag { changed.append("To") }
            guard !changed.isEmpty else { return nil }
            return Fault(
                "CANCEL: \(changed.joined(separator: ", ")) is not the INVITE's", "copy it from the INVITE",
                with: [request.observed.sequence])
        },
        Rule("cancel-too-early", .error, "RFC 3261 9.1", "a CANCEL waits for a provisional answer", on: .request(["CANCEL"])) { subject in
            guard let invite = subject.ledger.exchange(of: subject.message, method: "INVITE"), invite.responses.isEmpty else { return nil }
            return Fault("CANCEL: before any answer to the INVITE", "wait for the first 1xx", with: [invite.request.observed.sequence])
        },
        Rule("cancel-require", .error, "RFC 3261 9.1", "a CANCEL has neither Require nor Proxy-Require", on: .request(["CANCEL"])) {
            subject in
            guard subject.message.has(.require) || subject.message.has(.proxyRequire) else { return nil }
            return Fault("CANCEL: it has \(subject.message.has(.require) ? "Require" : "Proxy-Require")", "leave it out")
        },
    ]
}
