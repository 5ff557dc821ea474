import SCSCF
import SansIO
import Testing

/// Identities in responses (RFC 3325 §5, TS 24.229 §5.4.3.3).
@Suite(.overShards) struct AnswererTests {
    private let toBob = "sip:bob@home1.test"

    @Test func whoAnswersIsAsserted() {
        let rig = CoreRig().registered(.alice, .bob)
        rig.send("MESSAGE", toBob, from: .alice)
        rig.receive(rig.next(to: .bob).response(200, [("P-Asserted-Identity", "<sip:forged@home1.test>")]), from: .bob)
        #expect(rig.next(to: .alice).all("P-Asserted-Identity") == ["<sip:bob@home1.test>"])
    }

    @Test func whoAnswersMayHideFromTheSender() {
        let rig = CoreRig().registered(.alice, .bob)
        rig.send("MESSAGE", toBob, from: .alice)
        rig.receive(rig.next(to: .bob).response(200, [("Privacy", "id")]), from: .bob)
        #expect(!rig.next(to: .alice).has("P-Asserted-Identity"))
        rig.send("MESSAGE", toBob, from: .im)
        rig.receive(rig.next(to: .bob).response(200, [("Privacy", "id")]), from: .bob)
        #expect(rig.next(to: .im)["P-Asserted-Identity"] == "<sip:bob@home1.test>")
    }

    @Test func aServersWordIsKept() {
        let rig = CoreRig().registered(.alice)
        rig.send("PUBLISH", "sip:alice@home1.test", from: .alice, [("Accept-Contact", "*;+g.oma.sip-im")])
        rig.receive(
            rig.next(to: .im).response(200, [("P-Asserted-Identity", "<sip:im.home1.test>"), ("P-Charging-Vector", "icid-value=1")]),
            from: .im)
        let answer = rig.next(to: .alice)
        #expect(answer["P-Asserted-Identity"] == "<sip:im.home1.test>")
        #expect(!answer.has("P-Charging-Vector"))
    }

    @Test func aRefusalNamesNobody() {
        let rig = CoreRig().registered(.alice, .bob)
        rig.send("MESSAGE", toBob, from: .alice)
        rig.receive(rig.next(to: .bob).response(486), from: .bob)
        #expect(!rig.next(to: .alice).has("P-Asserted-Identity"))
    }
}
