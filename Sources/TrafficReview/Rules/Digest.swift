// Credentials (RFC 3261 §22; RFC 2617 §3.2.2; RFC 8760). A nonce that was given before the trace began is not known, and of
// it nothing is said.

import SIPMessage
import SansIO

extension Rules {
    static let digest: [Rule] = [
        each("digest-form", "RFC 3261 25.1", "qop, nc and algorithm are written without quotes, the others with them") {
            subject, credentials in
            for name in ["qop", "nc", "algorithm"] where credentials.isQuoted(name) {
                return Fault("\(subject.name): \(name) is in quotes", "write \(name)=\(credentials[name] ?? "") without quotes")
            }
            for name in ["username", "realm", "nonce", "uri", "response", "cnonce", "opaque"] {
                guard let value = credentials.raw(name), !credentials.isQuoted(name) else { continue }
                return Fault("\(subject.name): \(name) is not in quotes", "write \(name)=\"\(value)\"")
            }
            if let count = credentials["nc"], count.utf8.count != 8 || UInt32(count, radix: 16) == nil {
                return Fault("\(subject.name): nc is `\(count)`", "write eight hexadecimal digits, nc=00000001")
            }
            return nil
        },
        each("digest-realm", "RFC 2617 3.2.2", "the realm is that of the challenge") { subject, credentials in
            guard let challenge = challenge(subject, credentials), let offer = challenge.offers.first,
                credentials["realm"] != offer["realm"]
            else { return nil }
            return Fault("\(subject.name): the realm is `\(credentials["realm"] ?? "")`", "write realm=\"\(offer["realm"] ?? "")\"")
        },
        each("digest-uri", "RFC 3261 22.4", "the uri is the Request-URI") { subject, credentials in
            guard let text = credentials["uri"], text != subject.message.requestURI else { return nil }
            if let uri = URIValue(text), let target = URIValue(subject.message.requestURI), uri.isEquivalent(to: target) { return nil }
            return Fault("\(subject.name): the uri of the credentials is `\(text)`", "write uri=\"\(subject.message.requestURI)\"")
        },
        each("digest-nonce-count", "RFC 2617 3.2.2", "nc counts the requests with a nonce") { subject, credentials in
            guard let challenge = challenge(subject, credentials), let count = credentials["nc"].flatMap({ UInt32($0, radix: 16) }),
                let before = challenge.counts[credentials["username"] ?? ""], count <= before
            else { return nil }
            return Fault("\(subject.name): nc \(count) again, it was \(before)", "count nc up with each request that has this nonce")
        },
        each("digest-qop", "RFC 2617 3.2.2", "qop goes with nc and cnonce, and they with it") { subject, credentials in
            let companions = ["nc", "cnonce"].filter { credentials[$0] != nil }
            let isSession = credentials["algorithm"]?.lowercased().hasSuffix("-sess") ?? false
            if credentials["qop"] != nil, companions.count < 2 {
                return Fault("\(subject.name): qop without \(credentials["nc"] == nil ? "nc" : "cnonce")", "write nc and cnonce beside qop")
            }
            guard credentials["qop"] == nil, !companions.isEmpty, !isSession else { return nil }
            return Fault("\(subject.name): \(companions[0]) without qop", "write qop beside it, or leave it out")
        },
        each("digest-qop-missing", "RFC 3261 22.4", "a challenge with qop is answered with qop") { subject, credentials in
            guard credentials["qop"] == nil, credentials["auts"] == nil, let offered = offer(subject, credentials)?["qop"] else {
                return nil
            }
            return Fault("\(subject.name): no qop, where the challenge has `\(offered)`", "write qop=auth, with nc and cnonce")
        },
        each("digest-opaque", "RFC 2617 3.2.2", "opaque comes back as it was given") { subject, credentials in
            guard let opaque = offer(subject, credentials)?["opaque"], credentials["opaque"] != opaque else { return nil }
            return Fault("\(subject.name): opaque is not the challenge's", "write opaque=\"\(opaque)\"")
        },
        each("digest-algorithm", "RFC 8760 2.4", "the algorithm is one that was offered") { subject, credentials in
            guard let challenge = challenge(subject, credentials) else { return nil }
            let used = credentials["algorithm"] ?? "MD5"
            let offered = challenge.offers.map { $0["algorithm"] ?? "MD5" }
            guard !offered.contains(where: { $0.lowercased() == used.lowercased() }) else { return nil }
            return Fault("\(subject.name): the algorithm is \(used)", "take one that was offered: \(offered.joined(separator: ", "))")
        },
        Rule(
            "credentials-header", .error, "RFC 3261 22.3", "a 401 is answered in Authorization, a 407 in Proxy-Authorization",
            on: .request([])
        ) {
            subject in
            guard subject.message.vias.count == 1 else { return nil }
            for kind in [HeaderKind.www, .proxy] {
                guard let nonce = subject.message.credentials(kind)?["nonce"], let challenge = subject.ledger.challenges[nonce],
                    challenge.kind != kind
                else { continue }
                return Fault(
                    "\(subject.name): the answer to \(challenge.kind.challenge.text) is in \(kind.credentials.text)",
                    "write it in \(challenge.kind.credentials.text)")
            }
            return nil
        },
        Rule("credentials-repeated", .error, "RFC 3261 22.1", "what was refused is not tried again", on: .request([])) { subject in
            let message = subject.message
            guard message.vias.count == 1, !["ACK", "CANCEL"].contains(message.method) else { return nil }
            for kind in [HeaderKind.www, .proxy] {
                guard let value = message.value(kind.credentials), DigestValue(value)?["nonce"]?.isEmpty == false else { continue }
                let refused = subject.ledger.exchanges(callID: message.callID).first {
                    $0.isIncoming && $0.request.observed.sequence < message.observed.sequence && $0.request.value(kind.credentials) == value
                        && [401, 403, 407].contains($0.final?.status ?? 0)
                }
                guard let refused else { continue }
                return Fault(
                    "\(subject.name): credentials that got a \(refused.final?.status ?? 0)", "answer the new challenge, or ask the user",
                    with: [refused.request.observed.sequence])
            }
            return nil
        },
    ]

    /// A rule about each value of Digest credentials that a request's maker has written; the first REGISTER of an IMS UE has
    /// some that prove nothing yet (TS 24.229 §5.1.1.2.2).
    private static func each(
        _ id: String, _ clause: String, _ demand: String, _ examine: @escaping @Sendable (Subject, DigestValue) -> Fault?
    ) -> Rule {
        Rule(id, .error, clause, demand, on: .request([])) { subject in
            guard subject.message.vias.count == 1, !["ACK", "CANCEL"].contains(subject.message.method) else { return nil }
            for kind in [HeaderKind.www, .proxy] {
                guard let credentials = subject.message.credentials(kind), credentials["nonce"]?.isEmpty == false else { continue }
                if let fault = examine(subject, credentials) { return fault }
            }
            return nil
        }
    }

    private static func challenge(_ subject: Subject, _ credentials: DigestValue) -> Challenge? {
        credentials["nonce"].flatMap { subject.ledger.challenges[$0] }
    }

    private static func offer(_ subject: Subject, _ credentials: DigestValue) -> DigestValue? {
        challenge(subject, credentials)?.offer(for: credentials)
    }
}
