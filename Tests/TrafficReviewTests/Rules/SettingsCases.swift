// Settings, publications and application servers.

import SansIO

extension RuleCase {
    /// Alice's client has registered, and sends.
    private static func client(_ rule: String, also: Set<String> = [], wrong: Draft, right: Draft) -> RuleCase {
        RuleCase(
            rule, also: also,
            broken: {
                $0.exchange(.imRegister, .registered)
                $0.receive(wrong)
            },
            sound: {
                $0.exchange(.imRegister, .registered)
                $0.receive(right)
            })
    }

    static let settings: [RuleCase] = [
        client("settings-request-uri", wrong: Draft.publish.with(start: "PUBLISH sip:im.home1.test SIP/2.0"), right: .publish),
        client("settings-identity", wrong: .publish.without("P-Preferred-Identity"), right: .publish),
        client(
            "settings-accept-contact", wrong: .publish.without("Accept-Contact"),
            right: .publish.without("Accept-Contact").adding("a", "*;+g.oma.sip-im;require;explicit")),
        client("settings-accept-contact", wrong: .publish.with("Accept-Contact", "*;+g.oma.sip-im.large-message"), right: .publish),
        client(
            "service-route", wrong: .publish.without("Route"),
            right: .publish.with("Route", "<sip:edge.home1.test;lr>, <sip:orig@127.0.0.1:5060;lr>")),
        client("settings-content-type", wrong: .publish.with("Content-Type", "text/xml"), right: .publish),
        client("settings-document", wrong: .publish.with(body: "<poc-settings/>", type: "application/poc-settings+xml"), right: .publish),
        RuleCase(
            "settings-feature-tag",
            broken: {
                let register = Draft.imRegister.with("Contact", "<sip:alice@127.0.0.1:5062>")
                $0.exchange(register, register.answer(200, ["Contact: <sip:alice@127.0.0.1:5062>;expires=3600"]))
                $0.receive(.publish)
            },
            sound: {
                $0.exchange(.imRegister, .registered)
                $0.receive(.publish)
            }),
        client("settings-product", wrong: .publish.with("User-Agent", "Example/1.0"), right: .publish.without("User-Agent")),
        RuleCase(
            "unregistered", broken: { $0.exchange(.publish, Draft.publish.answer(403)) },
            sound: {
                $0.exchange(.imRegister, .registered)
                $0.exchange(.publish, Draft.publish.answer(403))
            }),
        client(
            "message-accept-contact", wrong: .message.adding("Route", "<sip:orig@127.0.0.1:5060;lr>"),
            right: .message.adding("Route", "<sip:orig@127.0.0.1:5060;lr>").adding("Accept-Contact", "*;+g.oma.sip-im")),
        client(
            "asserted-identity", wrong: .publish.adding("P-Asserted-Identity", "<sip:alice@home1.test>"), right: .publish),
        server(
            "client-status-expires", to: .thirdParty, wrong: .thirdParty.answer(200, ["Expires: 1800"]),
            right: .thirdParty.answer(200, ["Expires: 3600"])),
        server(
            "client-status-expires-missing", to: .thirdParty, wrong: .thirdParty.answer(200),
            right: .thirdParty.answer(200, ["Contact: <sip:127.0.0.1:5060>;expires=3600"])),
        server(
            "third-party-challenged", to: .thirdParty,
            wrong: .thirdParty.answer(401, ["WWW-Authenticate: Digest realm=\"a\", nonce=\"1\""]),
            right: .thirdParty.answer(403)),
    ]

    private static let granted = ["SIP-ETag: e1", "Expires: 3600"]
    private static let settingsToServer = Draft(
        "PUBLISH", "sip:alice@home1.test", callID: "p9", ["Event: poc-settings", "Expires: 3600", "SIP-If-Match: e1"])

    static let publications: [RuleCase] = [
        client("publish-event-missing", wrong: .publish.without("Event"), right: .publish.without("Event").adding("o", "poc-settings")),
        client(
            "publish-body-missing", wrong: .publish.with(body: "", type: nil),
            right: .publish.with(body: "", type: nil).adding("SIP-If-Match", "e0")),
        client("publish-tag-form", wrong: .refresh.with("SIP-If-Match", "*"), right: .refresh),
        RuleCase(
            "publish-tag-stale",
            broken: {
                $0.exchange(.imRegister, .registered)
                $0.exchange(.publish, Draft.publish.answer(200, granted))
                $0.exchange(.refresh, Draft.refresh.answer(200, ["SIP-ETag: e2", "Expires: 3600"]))
                $0.receive(Draft.refresh.next(2))
            },
            sound: {
                $0.exchange(.imRegister, .registered)
                $0.exchange(.publish, Draft.publish.answer(200, granted))
                $0.exchange(.refresh, Draft.refresh.answer(200, ["SIP-ETag: e2", "Expires: 3600"]))
                $0.receive(Draft.refresh.next(2).with("SIP-If-Match", "e2"))
            }),
        RuleCase(
            "publish-tag-stale",
            broken: {
                $0.exchange(.imRegister, .registered)
                $0.exchange(.refresh, Draft.refresh.answer(412))
                $0.receive(Draft.refresh.next(2))
            },
            sound: {
                $0.exchange(.imRegister, .registered)
                $0.exchange(.refresh, Draft.refresh.answer(412))
                $0.receive(.publish)
            }),
        RuleCase(
            "publish-tag-missing",
            broken: {
                $0.exchange(.imRegister, .registered)
                $0.exchange(.publish, Draft.publish.answer(200, granted))
                $0.receive(Draft.publish.next(2))
            },
            sound: {
                $0.exchange(.imRegister, .registered)
                $0.exchange(.publish, Draft.publish.answer(200, granted))
                $0.receive(Draft.publish.next(2).adding("SIP-If-Match", "e1"))
            }),
        RuleCase(
            "publish-overlapping",
            broken: {
                $0.exchange(.imRegister, .registered)
                $0.receive(.refresh)
                $0.receive(Draft.refresh.next(2))
            },
            sound: {
                $0.exchange(.imRegister, .registered)
                $0.exchange(.refresh, Draft.refresh.answer(412))
                $0.receive(Draft.publish.next(2))
            }),
        server(
            "publish-answer-fields", to: settingsToServer, wrong: settingsToServer.answer(200, ["Expires: 3600"]),
            right: settingsToServer.answer(200, ["SIP-ETag: e2", "Expires: 60"])),
        server(
            "publish-answer-expires", to: settingsToServer, wrong: settingsToServer.answer(200, ["SIP-ETag: e2", "Expires: 3601"]),
            right: settingsToServer.answer(200, ["SIP-ETag: e2", "Expires: 3600"])),
        server(
            "publish-answer-tag", to: settingsToServer, wrong: settingsToServer.answer(200, granted),
            right: settingsToServer.answer(200, ["SIP-ETag: e2", "Expires: 3600"])),
    ]

    private static func server(_ rule: String, to request: Draft, wrong: Draft, right: Draft) -> RuleCase {
        RuleCase(
            rule,
            broken: {
                $0.send(toServer: request)
                $0.receive(fromServer: wrong)
            },
            sound: {
                $0.send(toServer: request)
                $0.receive(fromServer: right)
            })
    }

    /// What the server sends on, wrong; it is sound if it is `back`.
    private static func relay(_ rule: String, _ wrong: Draft) -> RuleCase { server(rule, to: .toServer, wrong: wrong, right: .back) }

    static let servers: [RuleCase] = [
        relay("relay-max-forwards", .back.with("Max-Forwards", "69")),
        relay("relay-route", .back.without("Route")),
        relay("relay-route", .toServer.relayed(route: ["<sip:127.0.0.1:5080;lr>", "<sip:odi_1@127.0.0.1:5060;lr>"])),
        relay("relay-record-route", .back.without("Record-Route").adding("Record-Route", "<sip:127.0.0.1:5080;lr>")),
        relay("relay-record-route-lr", .back.adding("Record-Route", "<sip:127.0.0.1:5080>", onTop: true)),
        relay("relay-body", .back.with(body: "other", type: "text/plain")),
        relay("relay-identity", .back.without("P-Asserted-Identity")),
        relay("relay-charging-vector", .back.with("P-Charging-Vector", "icid-value=\"new\"")),
        relay("relay-via", .back.without("Via").adding("Via", "SIP/2.0/UDP 127.0.0.1:5080;branch=z9hG4bKnew")),
        RuleCase(
            "originating-identity", broken: { $0.receive(fromServer: Draft.message.adding("Route", "<sip:127.0.0.1:5060;lr;orig>")) },
            sound: {
                let message = Draft.message.adding("Route", "<sip:127.0.0.1:5060;lr;orig>")
                $0.receive(fromServer: message.adding("P-Asserted-Identity", "<sip:alice@home1.test>"))
            }),
    ]
}

extension Draft {
    fileprivate func with(start: String) -> Draft {
        var copy = self
        copy.start = start
        return copy
    }
}
