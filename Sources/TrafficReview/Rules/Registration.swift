// REGISTER (RFC 3261 §10.2; RFC 5626; RFC 3329; TS 24.229 §5.1.1). What only an IMS UE has to do is asked of those clients
// alone that have shown that they are one: by a feature tag of OMA or 3GPP, or by a P-header that a UE writes.

import SIPMessage
import SansIO

extension Rules {
    static let registration: [Rule] = [
        Rule("register-request-uri", .error, "RFC 3261 10.2", "the Request-URI of REGISTER names the domain alone", on: register) {
            subject in
            guard let uri = URIValue(subject.message.requestURI), !uri.user.isEmpty, uri.scheme != .tel else { return nil }
            return Fault("REGISTER: the Request-URI is `\(uri.text)`", "write sip:\(uri.host)")
        },
        Rule("register-from", .warning, "TS 24.229 5.1.1.2.1", "From and To of REGISTER are one identity", on: register) { subject in
            guard subject.isFromIMSUser, let from = subject.message.from?.uri.identity, let to = subject.message.to?.uri.identity,
                from != to
            else { return nil }
            return Fault("REGISTER: From is \(from), To is \(to)", "write the identity that registers in both")
        },
        Rule("register-cseq", .error, "RFC 3261 10.2", "CSeq rises from REGISTER to REGISTER of one Call-ID", on: register) { subject in
            let message = subject.message
            let earlier = registers(before: subject).first { ($0.request.sequenceNumber ?? 0) >= (message.sequenceNumber ?? 0) }
            guard let earlier, let final = earlier.final, final.status != 503 else { return nil }
            return Fault(
                "REGISTER: CSeq \(message.sequenceNumber ?? 0) after \(earlier.request.sequenceNumber ?? 0)", "count CSeq up with each",
                with: [earlier.request.observed.sequence])
        },
        Rule("register-call-id", .note, "RFC 3261 10.2", "a client registers with one Call-ID until it is started anew", on: register) {
            subject in
            let message = subject.message
            guard let identity = message.to?.uri.identity, subject.isFromUser else { return nil }
            let contacts = message.addresses(.contact)
            let earlier = subject.ledger.registrations[identity]?.last { state in
                !state.isGone && (state.end.map { message.observed.time < $0 } ?? false)
                    && contacts.contains { $0.uri.isEquivalent(to: state.contact.uri) }
            }
            guard let earlier, earlier.request.callID != message.callID else { return nil }
            return Fault(
                "REGISTER: another Call-ID for the same contact", "keep the Call-ID, unless the client was started anew",
                with: [earlier.request.observed.sequence])
        },
        Rule("register-overlapping", .error, "RFC 3261 10.2", "other contacts wait for the answer to the REGISTER before", on: register) {
            subject in
            let message = subject.message
            let pending = registers(before: subject).first {
                $0.final == nil && message.observed.time - $0.request.observed.time < .seconds(32)
                    && $0.request.values(.contact) != message.values(.contact)
            }
            guard let pending else { return nil }
            return Fault(
                "REGISTER: sent while another is without an answer", "wait for the final answer, or for 32 s",
                with: [pending.request.observed.sequence])
        },
        Rule("register-late", .warning, "RFC 3261 10.2.4", "a contact is refreshed before it expires", on: register) { subject in
            let message = subject.message
            guard let identity = message.to?.uri.identity, subject.isFromUser, !isDeregistration(message) else { return nil }
            let contacts = message.addresses(.contact)
            let earlier = subject.ledger.registrations[identity]?.last { state in
                state.request.callID == message.callID && contacts.contains { $0.uri.isEquivalent(to: state.contact.uri) }
            }
            guard let earlier, !earlier.isGone, let end = earlier.end, end < message.observed.time else { return nil }
            let seconds = (message.observed.time - end).nanoseconds / 1_000_000_000
            return Fault(
                "REGISTER: \(seconds) s after the contact expired", "refresh it in time, 600 s before the end or at half of it",
                with: [earlier.request.observed.sequence])
        },
        Rule("register-asterisk", .error, "RFC 3261 10.2.2", "`Contact: *` stands alone and with Expires: 0", on: register) { subject in
            let contacts = subject.message.values(.contact)
            guard contacts.contains("*"), contacts.count > 1 || subject.message.number(.expires) != 0 else { return nil }
            return Fault(
                "REGISTER: `Contact: *` with \(contacts.count > 1 ? "others" : "no Expires: 0")", "write it alone, with Expires: 0")
        },
        Rule("register-path", .error, "TS 24.229 5.1.1.2.1", "an IMS UE registers with Supported: path", on: register) { subject in
            guard subject.isFromIMSUser, !subject.message.lists("path", in: .supported) else { return nil }
            return Fault("REGISTER: Supported does not list path", "write Supported: path")
        },
        Rule(
            "register-authorization", .error, "TS 24.229 5.1.1.2", "an IMS UE names its private identity in the first REGISTER",
            on: .answered
        ) {
            subject in
            let request = subject.request
            guard request.method == "REGISTER", subject.message.status == 401, !request.has(.authorization), request.observed.peer == nil,
                request.vias.count == 1, subject.ledger.isIMS(request.from?.uri.identity ?? "")
            else { return nil }
            return Fault(
                "REGISTER: no Authorization", "write Authorization: Digest username=\"...\", realm, uri, nonce=\"\", response=\"\"")
        },
        Rule(
            "security-agreement", .error, "RFC 3329 2.3.1", "Security-Client goes with Require and Proxy-Require: sec-agree",
            on: .request([])
        ) {
            subject in
            let message = subject.message
            guard message.has(.securityClient), !(message.lists("sec-agree", in: .require) && message.lists("sec-agree", in: .proxyRequire))
            else { return nil }
            return Fault("\(subject.name): Security-Client without sec-agree", "write Require: sec-agree and Proxy-Require: sec-agree")
        },
        Rule("outbound-registration", .error, "RFC 5626 4.2.1", "reg-id goes with +sip.instance and Supported: outbound", on: register) {
            subject in
            let flows = subject.message.addresses(.contact).filter { $0.parameters["reg-id"] != nil }
            guard !flows.isEmpty else { return nil }
            if flows.contains(where: { $0.parameters["+sip.instance"] == nil }) {
                return Fault("REGISTER: reg-id without +sip.instance", "write +sip.instance=\"<urn:uuid:...>\"")
            }
            guard !subject.message.lists("outbound", in: .supported) else { return nil }
            return Fault("REGISTER: reg-id without Supported: outbound", "write Supported: path, outbound")
        },
    ]

    private static let register = Rule.Occasion.request(["REGISTER"])

    /// The client's earlier REGISTERs of the same Call-ID, the latest first.
    private static func registers(before subject: Subject) -> [Exchange] {
        let message = subject.message
        return subject.ledger.exchanges(callID: message.callID).filter {
            $0.isIncoming && $0.isFirstHop && $0.request.method == "REGISTER" && $0.request.to?.uri.identity == message.to?.uri.identity
                && $0.request.observed.sequence < message.observed.sequence
        }
    }

    private static func isDeregistration(_ message: ReadMessage) -> Bool {
        let contacts = message.addresses(.contact)
        return contacts.allSatisfy { ($0.parameters["expires"] ?? message.value(.expires)) == "0" }
    }
}
