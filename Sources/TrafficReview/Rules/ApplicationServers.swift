// What a server does with a request that the core has sent it and that it sends on as a proxy (RFC 3261 §16.6; TS 24.229
// §5.7), and with those that it makes for a user.

import SIPMessage
import SansIO

extension Rules {
    static let applicationServers: [Rule] = [
        relay("relay-max-forwards", .error, "RFC 3261 16.6 step 3", "a proxy counts Max-Forwards down") { sent, message in
            guard let before = sent.number(.maxForwards), let after = message.number(.maxForwards), after >= before else { return nil }
            return Fault("\(message.name) sent on: Max-Forwards is \(after), it came with \(before)", "count it down by one")
        },
        relay("relay-route", .error, "TS 24.229 5.7.4", "a proxy sends back along the Route, without its own") { sent, message in
            guard sent.to?.tag.isEmpty == true else { return nil }
            let (given, routes) = (sent.addresses(.route).dropFirst(), message.addresses(.route))
            let lost = given.first { route in !routes.contains { $0.uri.isEquivalent(to: route.uri) } }
            if let lost {
                return Fault(
                    "\(message.name) sent on: the Route <\(lost.uri.text)> is gone", "take only your own Route out, and keep the rest")
            }
            guard let own = sent.addresses(.route).first, !given.isEmpty, routes.first?.uri.isEquivalent(to: own.uri) == true else {
                return nil
            }
            return Fault("\(message.name) sent on: your own Route is still on top", "take it out")
        },
        relay("relay-record-route", .error, "RFC 3261 16.6 step 4", "a proxy leaves the Record-Route of others") { sent, message in
            let routes = message.addresses(.recordRoute)
            let lost = sent.addresses(.recordRoute).first { route in !routes.contains { $0.uri.isEquivalent(to: route.uri) } }
            guard let lost else { return nil }
            return Fault("\(message.name) sent on: the Record-Route <\(lost.uri.text)> is gone", "put your own on top, and keep the rest")
        },
        relay("relay-record-route-lr", .error, "RFC 3261 16.6 step 4", "a Record-Route value has lr") { _, message in
            let strict = message.addresses(.recordRoute).first { $0.uri.parameters["lr"] == nil }
            guard let strict else { return nil }
            return Fault("\(message.name) sent on: Record-Route <\(strict.uri.text)> has no lr", "write ;lr into the URI")
        },
        relay("relay-body", .error, "RFC 3261 16.6", "a proxy does not touch the body") { sent, message in
            guard sent.body != message.body else { return nil }
            return Fault("\(message.name) sent on: the body is another", "send the body as it came, or begin a request of your own")
        },
        relay("relay-identity", .warning, "TS 24.229 5.7.4", "a proxy keeps P-Asserted-Identity") { sent, message in
            guard sent.has(.pAssertedIdentity), !message.has(.pAssertedIdentity) else { return nil }
            return Fault("\(message.name) sent on: P-Asserted-Identity is gone", "keep it, or nobody is known as the sender")
        },
        relay("relay-charging-vector", .warning, "RFC 7315 5.6", "a proxy keeps the icid of P-Charging-Vector") { sent, message in
            guard let given = sent.value(.pChargingVector).flatMap(icid), message.value(.pChargingVector).flatMap(icid) != given else {
                return nil
            }
            return Fault("\(message.name) sent on: the icid-value of P-Charging-Vector is not the one that came", "pass it on")
        },
        Rule("relay-via", .error, "RFC 3261 16.6 step 8", "a proxy puts its Via on top and keeps the others", on: .request([])) { subject in
            let message = subject.message
            guard message.vias.count == 1, message.observed.peer != nil else { return nil }
            let sent = subject.ledger.exchanges(callID: message.callID).first {
                !$0.isIncoming && $0.request.method == message.method && $0.request.sequenceNumber == message.sequenceNumber
                    && $0.request.from?.tag == message.from?.tag && $0.request.observed.peer == message.observed.peer
            }
            guard let sent, message.method != "ACK", message.method != "CANCEL" else { return nil }
            return Fault(
                "\(message.name) sent on: the Via values that it came with are gone", "keep them, below one of your own",
                with: [sent.request.observed.sequence])
        },
        Rule("originating-identity", .error, "TS 24.229 5.7.3", "a server says for whom it begins a request", on: .request([])) { subject in
            let message = subject.message
            guard message.observed.peer != nil, message.vias.count == 1, message.to?.tag.isEmpty == true,
                message.addresses(.route).first?.uri.parameters["orig"] != nil, !message.has(.pAssertedIdentity), !message.has(.pServedUser)
            else { return nil }
            return Fault("\(message.name): an originating request of nobody", "write P-Asserted-Identity or P-Served-User with the user")
        },
    ]

    /// A rule about what was sent to a server, and what came of it.
    private static func relay(
        _ id: String, _ severity: Severity, _ clause: String, _ demand: String,
        _ examine: @escaping @Sendable (_ sent: ReadMessage, _ message: ReadMessage) -> Fault?
    ) -> Rule {
        Rule(id, severity, clause, demand, on: .relay) { subject in
            guard let sent = subject.exchange?.origin?.request, let fault = examine(sent, subject.message) else { return nil }
            return Fault(fault.text, fault.advice, with: [sent.observed.sequence])
        }
    }

    private static func icid(_ vector: String) -> String? {
        let octets = Array(vector.utf8)
        return Parameters(octets.span.bytes, Slice(0, octets.count))["icid-value"]?.filter { $0 != "\"" }
    }
}
