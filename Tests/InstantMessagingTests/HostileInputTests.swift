import InstantMessaging
import SansIO
import Testing

/// Mutated messages end neither node; what the server knows stays in order.
@Suite struct HostileInputTests {
    private func mutated(_ text: String, _ random: inout RandomSource) -> [UInt8] {
        var octets = Array(text.utf8)
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let place = Int.random(in: 0..<octets.count, using: &random)
            switch Int.random(in: 0..<5, using: &random) {
            case 0: octets[place] = UInt8.random(in: 0...255, using: &random)
            case 1: octets.remove(at: place)
            case 2: octets.insert(contentsOf: [":;,<>\"\r\n =@".utf8.randomElement(using: &random) ?? 0], at: place)
            case 3: octets.removeSubrange(place..<min(octets.count, place + Int.random(in: 1...40, using: &random)))
            default: octets.insert(contentsOf: octets[place..<min(octets.count, place + 20)], at: place)
            }
            if octets.isEmpty { return [0] }
        }
        return octets
    }

    @Test(arguments: [1, 2, 3])
    func theServerStands(seed: UInt64) {
        var random = RandomSource(seed: seed)
        let rig = ServerRig()
        let multipart = "--b\r\nContent-Type: message/sip\r\n\r\nREGISTER sip:x SIP/2.0\r\nContact: <sip:a@b>\r\n\r\n\r\n--b--\r\n"
        for i in 0..<600 {
            let bases = [
                rig.publish(body: settingsDocument("d", "<isb-settings><incoming-session-barring active=\"true\"/></isb-settings>")),
                rig.register(
                    "bob", [("Content-Type", "multipart/mixed;boundary=b"), ("P-Charging-Vector", "icid-value=x;orig-ioi=y")],
                    body: multipart),
                rig.message(to: "bob", "hi", registered: i % 2 == 0),
                rig.message(to: "bob", "hi").response(200),
                rig.request("INVITE", "sip:bob@home1.test", [("Route", "<sip:127.0.0.1:5080;lr>, <sip:odi@127.0.0.1:5060;lr>")]),
            ]
            let octets = mutated(bases[i % bases.count].text, &random)
            rig.withEffects {
                rig.server.receive(
                    octets.span.bytes, over: Flow(transport: .udp, listener: 0, remote: ServerRig.core), at: rig.now, into: &$0)
            }
            if i % 50 == 0 { rig.advance(.seconds(3)) }
        }
        _ = rig.taken()
        rig.advance(.seconds(100))
        rig.receive(rig.publish("zoe", body: settingsDocument("d", "")))
        #expect(rig.taken().contains { $0.status == 200 })
    }

    @Test(arguments: [1, 2, 3])
    func theClientStands(seed: UInt64) {
        var random = RandomSource(seed: seed)
        let rig = ClientRig()
        rig.register(600)
        for i in 0..<600 {
            if rig.isIdle { rig.perform(["message bob hi", "publish settings", "register"][i % 3]) }
            let answer = rig.taken().last.map {
                $0.response(
                    [200, 401, 407, 423, 412][i % 5], "x",
                    [
                        ("WWW-Authenticate", "Digest realm=\"r\", nonce=\"n\", qop=\"auth\", stale=true"), ("Min-Expires", "5"),
                        ("SIP-ETag", "e"),
                        ("Contact", "<sip:alice@127.0.0.1:5071>;expires=90"), ("Service-Route", "<sip:x;lr>"),
                    ])
            }
            let cpim = "From: <sip:b@c>\r\n\r\nContent-Type: text/plain\r\n\r\nhello"
            let base =
                answer ?? rig.request("MESSAGE", [("Content-Type", "message/cpim"), ("Date", "Sun, 22 Nov 2026 08:05:00 GMT")], body: cpim)
            let octets = mutated(base.text, &random)
            rig.withEffects {
                rig.client.receive(
                    octets.span.bytes, over: Flow(transport: .udp, listener: 0, remote: ClientRig.core), at: rig.now, into: &$0)
            }
            if i % 10 == 0 { rig.advance(.seconds(7)) }
        }
        rig.advance(.seconds(4000))
        _ = rig.taken()
        rig.receive(rig.request("OPTIONS"))
        #expect(rig.taken().contains { $0.status == 200 })
    }
}
