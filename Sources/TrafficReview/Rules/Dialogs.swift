// What happens within dialogs (RFC 3261 §12.2) and subscriptions (RFC 6665).

import SIPMessage
import SansIO

extension Rules {
    static let dialogs: [Rule] = [
        Rule("cseq-not-increasing", .error, "RFC 3261 12.2.1.1", "CSeq rises within a dialog", on: .request([])) { subject in
            let message = subject.message
            guard !["ACK", "CANCEL"].contains(message.method), message.vias.count == 1, let to = message.to, !to.tag.isEmpty else {
                return nil
            }
            // The request that began the dialog counts too: its answer has the tag.
            let earlier = subject.ledger.earlier(than: message).first {
                let tag = $0.request.to?.tag ?? ""
                let isOfDialog = tag == to.tag || tag.isEmpty && $0.final?.to?.tag == to.tag
                return isOfDialog && ($0.request.sequenceNumber ?? 0) >= (message.sequenceNumber ?? 0)
            }
            guard let earlier, earlier.request.method != "CANCEL" else { return nil }
            return Fault(
                "\(subject.name): CSeq \(message.sequenceNumber ?? 0) after \(earlier.request.sequenceNumber ?? 0)",
                "count CSeq up by one with each request of the dialog", with: [earlier.request.observed.sequence])
        },
        Rule("dialog-route-missing", .error, "RFC 3261 12.2.1.1", "requests within a dialog have its route", on: .request([])) { subject in
            let message = subject.message
            guard message.method != "CANCEL", message.vias.count == 1, message.to?.tag.isEmpty == false, !message.has(.route),
                let opening = opening(of: message, subject.ledger)
            else { return nil }
            return Fault(
                "\(subject.name): no Route, where the dialog has a recorded one", "write the values of Record-Route as Route",
                with: [opening.request.observed.sequence])
        },
        Rule("event-missing", .error, "RFC 6665 8.2.1", "SUBSCRIBE and NOTIFY have an Event", on: .request(["SUBSCRIBE", "NOTIFY"])) {
            subject in
            subject.message.package.isEmpty ? Fault("\(subject.name): no Event", "name the event package, such as Event: reg") : nil
        },
        Rule("subscription-state-missing", .error, "RFC 6665 4.2.2", "NOTIFY tells the Subscription-State", on: .request(["NOTIFY"])) {
            subject in
            guard !subject.message.has(.subscriptionState) else { return nil }
            return Fault("NOTIFY: no Subscription-State", "write active;expires=N, pending or terminated;reason=...")
        },
        Rule("subscribe-expires-missing", .warning, "RFC 6665 4.1.2.1", "SUBSCRIBE has an Expires", on: .request(["SUBSCRIBE"])) {
            subject in
            subject.message.has(.expires) ? nil : Fault("SUBSCRIBE: no Expires", "write for how long, such as Expires: 600000")
        },
        Rule(
            "subscribe-answer-expires", .error, "RFC 6665 4.2.1.1", "a 2xx to SUBSCRIBE grants an Expires, never a longer one",
            on: .response
        ) {
            subject in
            guard subject.message.method == "SUBSCRIBE", subject.message.isSuccess else { return nil }
            guard let granted = subject.message.number(.expires) else {
                return Fault("\(subject.name): no Expires", "write Expires with what is granted")
            }
            guard let asked = subject.request.number(.expires), granted > asked else { return nil }
            return Fault("\(subject.name): Expires is \(granted), asked was for \(asked)", "grant as much or less")
        },
        Rule("notify-missing", .error, "RFC 6665 4.2.1.2", "an accepted SUBSCRIBE is followed by a NOTIFY", on: .silence) { subject in
            guard let exchange = subject.exchange, !exchange.isIncoming, !exchange.cameBack, subject.message.isSuccess,
                subject.message.method == "SUBSCRIBE"
            else { return nil }
            let hasNotify = subject.ledger.exchanges(callID: subject.message.callID).contains {
                $0.isIncoming && $0.request.method == "NOTIFY" && $0.request.from?.tag == subject.message.to?.tag
            }
            guard !hasNotify else { return nil }
            return Fault("\(subject.name): no NOTIFY followed", "send a NOTIFY at once", with: [exchange.request.observed.sequence])
        },
    ]

    /// What opened the dialog of a request, if a route was recorded then; nil: not seen, or none was.
    private static func opening(of message: ReadMessage, _ ledger: Ledger) -> Exchange? {
        let (own, other) = (message.from?.tag ?? "", message.to?.tag ?? "")
        return ledger.exchanges(callID: message.callID).first { exchange in
            guard ["INVITE", "SUBSCRIBE"].contains(exchange.request.method), exchange.request.to?.tag.isEmpty == true,
                let final = exchange.final, final.isSuccess
            else { return false }
            let (caller, called) = (exchange.request.from?.tag ?? "", final.to?.tag ?? "")
            if exchange.isIncoming {
                return exchange.isFirstHop && caller == own && called == other && final.has(.recordRoute)
            }
            return !exchange.cameBack && called == own && caller == other && exchange.request.has(.recordRoute)
        }
    }
}
