// Registrations and credentials.

import SansIO

extension RuleCase {
    private static let accepted = Draft.register.answer(200, ["Contact: <sip:alice@127.0.0.1:5062>;expires=3600"])
    private static func accept(_ request: Draft, expires: Int = 3600) -> Draft {
        request.answer(200, ["Contact: <sip:alice@127.0.0.1:5062>;expires=\(expires)"])
    }
    private static let named = "Digest username=\"alice\", realm=\"home1.test\", nonce=\"\", uri=\"sip:home1.test\", response=\"\""

    static let registrations: [RuleCase] = [
        RuleCase(
            "register-request-uri",
            wrong: Draft("REGISTER", "sip:alice@home1.test", ["Contact: <sip:alice@127.0.0.1:5062>", "Expires: 60"]),
            right: .register),
        RuleCase("register-from", wrong: .imRegister.with("From", "<sip:carol@home1.test>;tag=1"), right: .imRegister),
        RuleCase(
            "register-cseq",
            broken: {
                $0.exchange(Draft.register.next(5), accept(Draft.register.next(5)))
                $0.receive(Draft.register.next(4))
            },
            sound: {
                $0.exchange(Draft.register.next(4), accept(Draft.register.next(4)))
                $0.receive(Draft.register.next(5))
            }),
        RuleCase(
            "register-call-id",
            broken: {
                $0.exchange(.register, accepted)
                $0.receive(Draft.register.next(2).with("Call-ID", "r2"))
            },
            sound: {
                $0.exchange(.register, accepted)
                let gone = Draft.register.next(2).with("Expires", "0")
                $0.exchange(gone, gone.answer(200))
                $0.receive(Draft.register.next(3).with("Call-ID", "r2"))
            }),
        RuleCase(
            "register-overlapping",
            broken: {
                $0.receive(.register)
                $0.receive(Draft.register.next(2).with("Contact", "<sip:alice@127.0.0.1:5064>"))
            },
            sound: {
                $0.receive(.register)
                $0.receive(Draft.register.next(2))
                $0.wait(milliseconds: 33_000)
                $0.receive(Draft.register.next(3).with("Contact", "<sip:alice@127.0.0.1:5064>"))
            }),
        RuleCase(
            "register-late",
            broken: {
                $0.exchange(.register, accept(.register, expires: 60))
                $0.wait(milliseconds: 61_000)
                $0.receive(Draft.register.next(2))
            },
            sound: {
                $0.exchange(.register, accept(.register, expires: 60))
                $0.wait(milliseconds: 59_000)
                $0.receive(Draft.register.next(2))
            }),
        RuleCase(
            "register-asterisk", wrong: .register.with("Contact", "*"), right: .register.with("Contact", "*").with("Expires", "0")),
        RuleCase("register-path", wrong: .imRegister.without("Supported"), right: .imRegister),
        RuleCase(
            "register-authorization", broken: { $0.exchange(.imRegister, challenged(.imRegister)) },
            sound: {
                $0.exchange(.imRegister.adding("Authorization", named), challenged(.imRegister))
                // A softphone is no IMS UE.
                $0.exchange(.register.next(2).with("From", "<sip:bob@home1.test>;tag=1"), challenged(.register.next(2)))
            }),
        RuleCase(
            "security-agreement", wrong: .imRegister.adding("Security-Client", "ipsec-3gpp"),
            right: .imRegister.adding("Security-Client", "ipsec-3gpp").adding("Require", "sec-agree").adding("Proxy-Require", "sec-agree")),
        RuleCase(
            "outbound-registration", wrong: .register.with("Contact", "<sip:alice@127.0.0.1:5062>;reg-id=1"),
            right: .register.with("Contact", "<sip:alice@127.0.0.1:5062>;reg-id=1;+sip.instance=\"<urn:uuid:1>\"").adding(
                "Supported", "outbound")),
        RuleCase(
            "outbound-registration", wrong: .register.with("Contact", "<sip:alice@127.0.0.1:5062>;reg-id=1;+sip.instance=\"<urn:uuid:1>\""),
            right: .register.with("Contact", "<sip:alice@127.0.0.1:5062>;+sip.instance=\"<urn:uuid:1>\"")),
    ]

    // MARK: Digest

    private static func challenged(_ request: Draft) -> Draft {
        request.answer(401, ["WWW-Authenticate: Digest realm=\"home1.test\", nonce=\"n1\", opaque=\"o1\", algorithm=MD5, qop=\"auth\""])
    }

    private static let right: KeyValuePairs = [
        "username": "\"alice\"", "realm": "\"home1.test\"", "nonce": "\"n1\"", "uri": "\"sip:home1.test\"", "response": "\"1\"",
        "algorithm": "MD5", "opaque": "\"o1\"", "qop": "auth", "nc": "00000001", "cnonce": "\"c\"",
    ]

    /// The answer to the challenge, some parameters changed (nil: left out).
    private static func credentials(_ changes: [String: String?] = [:]) -> String {
        "Digest "
            + right.compactMap { name, value in
                guard let change = changes[name] else { return "\(name)=\(value)" }
                return change.map { "\(name)=\($0)" }
            }.joined(separator: ", ")
    }

    /// A first REGISTER, the challenge, and an answer to it.
    private static func digest(_ rule: String, also: Set<String> = [], _ changes: [String: String?]) -> RuleCase {
        func register(_ value: String) -> @Sendable (inout Trace) -> Void {
            {
                $0.exchange(.register, challenged(.register))
                $0.receive(Draft.register.next(2, ["Authorization: \(value)"]))
            }
        }
        return RuleCase(rule, also: also, broken: register(credentials(changes)), sound: register(credentials()))
    }

    static let digests: [RuleCase] = [
        digest("digest-form", ["qop": "\"auth\""]),
        digest("digest-form", ["realm": "home1.test"]),
        digest("digest-form", ["nc": "1"]),
        digest("digest-realm", ["realm": "\"other.test\""]),
        digest("digest-uri", ["uri": "\"sip:127.0.0.1\""]),
        digest("digest-qop", ["cnonce": nil]),
        digest("digest-qop", also: ["digest-qop-missing"], ["qop": nil, "nc": nil]),
        digest("digest-qop-missing", ["qop": nil, "nc": nil, "cnonce": nil]),
        digest("digest-opaque", ["opaque": nil]),
        digest("digest-algorithm", ["algorithm": "SHA-256"]),
        RuleCase(
            "digest-nonce-count",
            broken: {
                $0.exchange(.register, challenged(.register))
                let second = Draft.register.next(2, ["Authorization: \(credentials())"])
                $0.exchange(second, accept(second))
                $0.receive(Draft.register.next(3, ["Authorization: \(credentials(["response": "\"2\""]))"]))
            },
            sound: {
                $0.exchange(.register, challenged(.register))
                let second = Draft.register.next(2, ["Authorization: \(credentials())"])
                $0.exchange(second, accept(second))
                $0.receive(Draft.register.next(3, ["Authorization: \(credentials(["response": "\"2\"", "nc": "0000000a"]))"]))
            }),
        RuleCase(
            "credentials-header",
            broken: {
                $0.exchange(.message, Draft.message.answer(407, ["Proxy-Authenticate: Digest realm=\"home1.test\", nonce=\"n2\""]))
                $0.receive(Draft.message.next(2, ["Authorization: \(proxyCredentials)"]))
            },
            sound: {
                $0.exchange(.message, Draft.message.answer(407, ["Proxy-Authenticate: Digest realm=\"home1.test\", nonce=\"n2\""]))
                $0.receive(Draft.message.next(2, ["Proxy-Authorization: \(proxyCredentials)"]))
            }),
        RuleCase(
            "credentials-repeated", also: ["digest-nonce-count"],
            broken: {
                $0.exchange(.register, challenged(.register))
                let second = Draft.register.next(2, ["Authorization: \(credentials())"])
                $0.exchange(second, second.answer(403))
                $0.receive(Draft.register.next(3, ["Authorization: \(credentials())"]))
            },
            sound: {
                $0.exchange(.register, challenged(.register))
                let second = Draft.register.next(2, ["Authorization: \(credentials())"])
                $0.exchange(second, accept(second))
                $0.receive(Draft.register.next(3, ["Authorization: \(credentials(["nc": "00000002"]))"]))
            }),
    ]

    private static let proxyCredentials =
        "Digest username=\"alice\", realm=\"home1.test\", nonce=\"n2\", uri=\"sip:bob@home1.test\", response=\"1\""
}
