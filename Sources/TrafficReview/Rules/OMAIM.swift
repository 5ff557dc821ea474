// The service settings and the client status of OMA SIMPLE IM 1.0 (5.3, 5.4), and what a client of it sends.

import InstantMessaging
import SIPMessage
import SansIO

extension Rules {
    static let omaIM: [Rule] = [
        settings("settings-request-uri", .error, "OMA IM 1.0 5.3 step 2", "the Request-URI is the user's own IM Address") { subject in
            guard let target = URIValue(subject.message.requestURI) else { return nil }
            let own = [subject.message.from?.uri] + subject.message.addresses(.pPreferredIdentity).map(\.uri)
            guard !own.contains(where: { $0?.identity == target.identity }) else { return nil }
            return Fault(
                "PUBLISH: the Request-URI is \(target.identity)", "write the user's own, \(subject.message.from?.uri.identity ?? "")")
        },
        settings("settings-identity", .warning, "OMA IM 1.0 5.3 step 3", "P-Preferred-Identity names the IM Address") { subject in
            guard let target = URIValue(subject.message.requestURI) else { return nil }
            let preferred = subject.message.addresses(.pPreferredIdentity).map(\.uri.identity)
            // To whom else it may be sent is another rule's.
            guard subject.message.from?.uri.identity == target.identity, !preferred.contains(target.identity) else { return nil }
            let text = preferred.isEmpty ? "no P-Preferred-Identity" : "P-Preferred-Identity is \(preferred[0])"
            return Fault("PUBLISH: \(text)", "write P-Preferred-Identity: <\(target.identity)>")
        },
        settings("settings-accept-contact", .error, "OMA IM 1.0 5.3 step 4", "Accept-Contact asks for +g.oma.sip-im") { subject in
            let values = subject.message.values(.acceptContact)
            guard !subject.message.asksForIM else { return nil }
            let text = values.isEmpty ? "no Accept-Contact" : "Accept-Contact is `\(values.joined(separator: ", "))`"
            return Fault("PUBLISH: \(text)", "write Accept-Contact: *;+g.oma.sip-im")
        },
        Rule(
            "service-route", .error, "OMA IM 1.0 5.3 step 5; TS 24.229 5.1.2A.1.1", "an IMS UE's requests take the Service-Route",
            on: .request(["PUBLISH", "MESSAGE", "INVITE", "SUBSCRIBE"])
        ) { subject in
            let message = subject.message
            guard subject.isFromIMSUser, message.to?.tag.isEmpty == true, let state = subject.ledger.registration(of: message),
                !state.isGone, state.end.map({ message.observed.time < $0 }) ?? true, !state.serviceRoute.isEmpty
            else { return nil }
            let (routes, given) = (message.addresses(.route), state.serviceRoute.compactMap { AddressValue($0) })
            let isTaken = zip(routes.suffix(given.count), given).allSatisfy { $0.uri.isEquivalent(to: $1.uri) }
            guard routes.count < given.count || !isTaken else { return nil }
            return Fault(
                "\(subject.name): \(routes.isEmpty ? "no Route" : "Route is not the Service-Route")",
                "write Route: \(state.serviceRoute.joined(separator: ", ")), as the 200 to REGISTER has it",
                with: [state.request.observed.sequence])
        },
        settings("settings-content-type", .error, "OMA IM 1.0 5.3 step 1; RFC 4354 3", "settings are application/poc-settings+xml") {
            subject in
            let message = subject.message
            let isRight = ["application/poc-settings+xml", "multipart/mixed"].contains(message.mediaType)
            guard !message.body.isEmpty, message.has(.contentType), !isRight else { return nil }
            return Fault("PUBLISH: the body is \(message.mediaType)", "write Content-Type: application/poc-settings+xml")
        },
        settings("settings-document", .error, "OMA IM 1.0 5.3 step 1; RFC 4354 3", "the body is a settings document") { subject in
            let message = subject.message
            guard message.mediaType == "application/poc-settings+xml", !message.body.isEmpty else { return nil }
            let body = message.body
            do throws(SettingsFault) {
                _ = try SettingsDocument(body.span.bytes)
                return nil
            } catch {
                return Fault("PUBLISH: \(error.text)", "write a poc-settings document with an entity and its id")
            }
        },
        settings("settings-feature-tag", .warning, "OMA IM 1.0 5.3; RFC 3840 9", "an IM Client registers with +g.oma.sip-im") { subject in
            guard let state = subject.ledger.registration(of: subject.message), state.contact.parameters["+g.oma.sip-im"] == nil else {
                return nil
            }
            return Fault(
                "PUBLISH: the registered Contact has no +g.oma.sip-im",
                "register with Contact: <...>;+g.oma.sip-im, or messages find others",
                with: [state.request.observed.sequence])
        },
        settings("settings-product", .note, "OMA IM 1.0 release version", "User-Agent begins with IM-client/OMA1.0") { subject in
            guard let agent = subject.message.value(.userAgent), !agent.hasPrefix("IM-client/OMA1.0") else { return nil }
            return Fault("PUBLISH: User-Agent is `\(agent)`", "write User-Agent: IM-client/OMA1.0 and your product")
        },
        Rule("unregistered", .error, "OMA IM 1.0 5.3; TS 24.229 5.1.2A.1.1", "an IMS UE registers before it sends", on: .answered) {
            subject in
            let request = subject.request
            let identity = request.from?.uri.identity ?? ""
            guard ["PUBLISH", "MESSAGE"].contains(request.method), subject.message.status == 403, subject.ledger.isComplete,
                request.observed.peer == nil, request.vias.count == 1, subject.ledger.isIMS(identity),
                subject.ledger.registrations[identity]?.contains(where: { !$0.isGone }) != true
            else { return nil }
            return Fault(
                "\(request.method): \(identity) has not registered", "register first, and wait for the 200",
                with: [subject.message.observed.sequence])
        },
        Rule(
            "message-accept-contact", .warning, "OMA IM 1.0 pager mode", "an IM Client's MESSAGE asks for +g.oma.sip-im",
            on: .request(["MESSAGE"])
        ) {
            subject in
            guard subject.isFromUser, let state = subject.ledger.registration(of: subject.message),
                state.contact.parameters["+g.oma.sip-im"] != nil, subject.message.to?.tag.isEmpty == true, !subject.message.asksForIM
            else { return nil }
            return Fault("MESSAGE: Accept-Contact does not ask for +g.oma.sip-im", "write Accept-Contact: *;+g.oma.sip-im")
        },
        Rule("asserted-identity", .warning, "RFC 3325 9.1", "a user prefers an identity, it does not assert one", on: .request([])) {
            subject in
            guard subject.isFromUser, subject.ledger.registration(of: subject.message) != nil, subject.message.has(.pAssertedIdentity)
            else {
                return nil
            }
            return Fault("\(subject.name): it has a P-Asserted-Identity", "write P-Preferred-Identity; the core asserts")
        },
        Rule(
            "client-status-expires", .error, "OMA IM 1.0 5.4; TS 24.229 5.7.1.1", "the 200 to a third-party REGISTER has its Expires",
            on: .response
        ) {
            subject in
            guard subject.isThirdPartyAccepted, let asked = subject.request.number(.expires), let granted = subject.grantedInterval,
                granted != asked
            else { return nil }
            return Fault(
                "200 to REGISTER: Expires is \(granted), the request has \(asked)", "answer with the interval of the request",
                with: [subject.request.observed.sequence])
        },
        Rule(
            "client-status-expires-missing", .warning, "OMA IM 1.0 5.4", "the 200 to a third-party REGISTER tells the interval",
            on: .response
        ) { subject in
            guard subject.isThirdPartyAccepted, subject.grantedInterval == nil else { return nil }
            return Fault(
                "200 to REGISTER: no Expires", "write Expires: \(subject.request.value(.expires) ?? "as the request has it")",
                with: [subject.request.observed.sequence])
        },
        Rule("third-party-challenged", .warning, "TS 24.229 5.7.1.1", "a third-party REGISTER is not challenged", on: .response) {
            subject in
            guard subject.isThirdPartyRegister, [401, 407].contains(subject.message.status) else { return nil }
            return Fault("\(subject.name): a challenge", "believe the core by its address, and answer 200")
        },
    ]

    /// A rule about the PUBLISH of IM settings by a user.
    private static func settings(
        _ id: String, _ severity: Severity, _ clause: String, _ demand: String, _ examine: @escaping @Sendable (Subject) -> Fault?
    ) -> Rule {
        Rule(id, severity, clause, demand, on: .request(["PUBLISH"])) { subject in
            guard subject.isFromUser, subject.message.isAboutSettings else { return nil }
            return examine(subject)
        }
    }
}

extension ReadMessage {
    fileprivate var asksForIM: Bool { asks(for: "+g.oma.sip-im") }

    /// Whether it publishes IM settings; a PoC client's, which asks for its own service, are none.
    fileprivate var isAboutSettings: Bool {
        let isOfPoC = asks(for: "+g.poc.talkburst")
        return !isOfPoC && (package == "poc-settings" || asksForIM || mediaType == "application/poc-settings+xml")
    }

    private func asks(for tag: String) -> Bool {
        values(.acceptContact).contains { value in
            let octets = Array(value.utf8)
            let start = octets.firstIndex(of: 0x3B) ?? octets.count
            return Parameters(octets.span.bytes, Slice(start, octets.count))[tag] != nil
        }
    }
}

extension Subject {
    /// Whether the core has told a server of another's registration.
    fileprivate var isThirdPartyRegister: Bool {
        request.method == "REGISTER" && !request.observed.isIncoming && request.from?.uri.identity != request.to?.uri.identity
    }

    fileprivate var isThirdPartyAccepted: Bool { isThirdPartyRegister && message.isSuccess }

    /// In Expires, or in Contact as TS 24.141 has it.
    fileprivate var grantedInterval: UInt64? {
        message.number(.expires) ?? message.addresses(.contact).compactMap { $0.parameters["expires"].flatMap { UInt64($0) } }.first
    }
}
