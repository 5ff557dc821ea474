import IMSProfile
import SCSCF
import SansIO
import Testing

/// P-Charging-Vector of requests that are routed (RFC 7315 §5.6, TS 24.229 §5.4.3.2).
@Suite(.overShards) struct RoutedChargingTests {
    private typealias L = Laboratory
    private let toBob = "sip:bob@home1.test"
    private let field = "P-Charging-Vector"

    private func rig() -> CoreRig {
        CoreRig {
            $0.profiles = [
                L.profile([
                    L.criterion(0, [.method("MESSAGE"), .sessionCase(.originating)], 0),
                    L.criterion(1, [.method("MESSAGE"), .sessionCase(.originating)], 1),
                ])
            ]
        }.registered(.alice, .bob)
    }

    private func identity(_ request: SIPText) -> String { request.parameter("icid-value", of: field) ?? "" }

    @Test func aServerIsToldAnIdentityThatIsMadeHere() {
        let rig = rig()
        rig.send("MESSAGE", toBob, from: .alice)
        let first = rig.next(to: .im)
        #expect(first[field] == "icid-value=\(identity(first));icid-generated-at=127.0.0.1;orig-ioi=\"Type 3home1.test\"")
        #expect(identity(first).count == 32)
        rig.send("MESSAGE", toBob, from: .alice)
        #expect(identity(rig.next(to: .im)) != identity(first))
    }

    @Test func whatAUserSaysIsNotBelieved() {
        let rig = rig()
        rig.send("MESSAGE", toBob, from: .alice, [(field, "icid-value=mine;orig-ioi=evil.test")])
        let request = rig.next(to: .im)
        #expect(request.all(field).count == 1)
        #expect(identity(request).count == 32)
        #expect(request[field]?.contains("evil") == false)
    }

    @Test func theIdentityStaysTheSameAlongTheChain() {
        let rig = rig()
        rig.send("MESSAGE", toBob, from: .alice)
        let first = rig.next(to: .im)
        rig.receive(
            first.forwarded(by: .im, branch: "i1").with(field, "icid-value=\(identity(first));orig-ioi=im;term-ioi=x;icid-generated-at=h"),
            from: .im)
        let second = rig.next(to: .second)
        #expect(second[field] == "icid-value=\(identity(first));icid-generated-at=h;orig-ioi=\"Type 3home1.test\"")
        rig.receive(second.forwarded(by: .second, branch: "s1"), from: .second)
        // A UE is not told.
        #expect(!rig.next(to: .bob).has(field))
    }

    @Test func theIdentityStaysTheSameWhenAServerFails() {
        let rig = rig()
        rig.send("MESSAGE", toBob, from: .alice)
        let first = rig.next(to: .im)
        rig.receive(first.response(500), from: .im)
        #expect(identity(rig.next(to: .second)) == identity(first))
    }

    @Test func aTrustedNetworkIsToldWhoAsks() {
        let rig = CoreRig().registered(.alice)
        rig.send("MESSAGE", "sip:dora@home2.test", from: .alice)
        let sent = rig.next(to: .home2)
        #expect(sent[field] == "icid-value=\(identity(sent));icid-generated-at=127.0.0.1;orig-ioi=\"home1.test\"")
        rig.send("MESSAGE", "sip:emil@home3.test", from: .alice)
        #expect(!rig.next(to: .home3).has(field))
    }

    // MARK: Responses

    @Test func aNetworkIsToldWhoAnswers() {
        let rig = CoreRig().registered(.bob)
        rig.send("MESSAGE", toBob, from: .home2, [(field, "icid-value=abc;orig-ioi=\"home2.test\";term-ioi=old")])
        rig.receive(rig.next(to: .bob).response(200, [(field, "icid-value=forged;term-ioi=evil")]), from: .bob)
        #expect(rig.next(to: .home2).all(field) == ["icid-value=abc;orig-ioi=\"home2.test\";term-ioi=\"home1.test\""])
        // One without an identifier is told that of the request.
        rig.send("MESSAGE", toBob, from: .home2)
        rig.receive(rig.next(to: .bob).response(200), from: .bob)
        let answer = rig.next(to: .home2)
        #expect(identity(answer).count == 32)
        #expect(answer[field] == "icid-value=\(identity(answer));term-ioi=\"home1.test\"")
    }

    @Test func aServerIsToldWhoAnswers() {
        let rig = rig()
        rig.send("MESSAGE", toBob, from: .alice)
        let first = rig.next(to: .im)
        rig.receive(first.forwarded(by: .im, branch: "i1"), from: .im)
        let second = rig.next(to: .second)
        rig.receive(second.response(200, [(field, "icid-value=x;term-ioi=second")]), from: .second)
        #expect(rig.next(to: .im)[field] == "\(first[field] ?? "");term-ioi=\"Type 3home1.test\"")
    }

    @Test func anEdgeIsToldWhoAnswers() {
        let edge = Peer("edge", "sip:dora@edge.test", port: 5062, address: "192.0.2.9")
        let rig = CoreRig { $0.trusted = [(IPAddress("192.0.2.0") ?? .loopback, 24)] }.registered(.bob)
        rig.send("INVITE", toBob, from: edge, [(field, "icid-value=abc")])
        let invite = rig.next(to: .bob)
        rig.receive(invite.response(180), from: .bob)
        let answers = rig.taken().map(\.message).filter { $0.status == 180 }
        #expect(answers.map { $0[field] } == ["icid-value=abc;term-ioi=\"Type 1home1.test\""])
    }

    /// TS 24.229 has it in 1xx and 2xx.
    @Test func aRefusalSaysNothing() {
        let rig = CoreRig().registered(.bob)
        rig.send("MESSAGE", toBob, from: .home2, [(field, "icid-value=abc")])
        rig.receive(rig.next(to: .bob).response(486), from: .bob)
        #expect(!rig.next(to: .home2).has(field))
    }

    @Test func ofTheAccessNetworkAnotherOneHearsNothing() {
        let rig = CoreRig().registered(.alice)
        rig.send(
            "MESSAGE", "sip:dora@home2.test", from: .im,
            [
                ("Route", "<sip:127.0.0.1:5060;lr;orig>"), ("P-Asserted-Identity", "<sip:alice@home1.test>"),
                (field, "icid-value=\"a;b\";access-network-charging-info=secret;orig-ioi=x"),
            ])
        #expect(rig.next(to: .home2)[field] == "icid-value=\"a;b\";orig-ioi=\"home1.test\"")
    }
}
