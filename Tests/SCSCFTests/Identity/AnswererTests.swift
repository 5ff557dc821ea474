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

    /// Of the identities of a set a user may choose the one that it answers by; another's is not believed.
    @Test(arguments: [("<tel:+15550100>", "<tel:+15550100>, <sip:alice@home1.test>"), ("<sip:bob@home1.test>", nil), ("alice", nil)])
    func whoAnswersMayChooseTheIdentity(_ preferred: String, _ asserted: String?) {
        let rig = CoreRig().registered(.alice, .bob)
        rig.send("INVITE", "sip:alice@home1.test", from: .bob)
        let invite = rig.next(to: .alice)
        _ = rig.taken()
        for status in [180, 200] {
            rig.receive(invite.response(status, [("P-Preferred-Identity", preferred)]), from: .alice)
            let answer = rig.next(to: .bob)
            #expect(answer.all("P-Asserted-Identity") == [asserted ?? "<sip:alice@home1.test>, <tel:+15550100>"])
            #expect(!answer.has("P-Preferred-Identity"))
        }
    }

    /// A server that answers in a user's place: the second identity is added as to a request (TS 24.229 §5.4.3.3).
    @Test(arguments: [
        (200, ["<tel:+15550100>"], ["<tel:+15550100>", "<sip:alice@home1.test>"]), (486, ["<tel:+15550100>"], ["<tel:+15550100>"]),
        (200, ["<tel:+15550100>, <sip:x@home1.test>"], ["<tel:+15550100>, <sip:x@home1.test>"]), (200, [], []),
    ])
    func theSecondIdentityIsAddedToAServersWord(_ status: Int, _ said: [String], _ passed: [String]) {
        let rig = CoreRig().registered(.alice, .bob)
        rig.send("MESSAGE", "sip:alice@home1.test", from: .home2, [("Accept-Contact", "*;+g.oma.sip-im")])
        rig.receive(rig.next(to: .im).response(status, said.map { ("P-Asserted-Identity", $0) }), from: .im)
        #expect(rig.next(to: .home2).all("P-Asserted-Identity") == passed)
    }

    @Test func aRefusalNamesNobody() {
        let rig = CoreRig().registered(.alice, .bob)
        rig.send("MESSAGE", toBob, from: .alice)
        rig.receive(rig.next(to: .bob).response(486), from: .bob)
        #expect(!rig.next(to: .alice).has("P-Asserted-Identity"))
    }
}
