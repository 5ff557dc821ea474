import SCSCF
import SansIO
import Testing

/// The To tag of the 200 to a CANCEL is that of the INVITE's responses (RFC 3261 §9.2).
@Suite(.overShards) struct CancelTagTests {
    private let toBob = "sip:bob@home1.test"

    private func cancel(_ invite: SIPText) -> SIPText {
        var cancel = invite.with("CSeq", invite["CSeq"]?.replacing("INVITE", with: "CANCEL")).with("Contact", nil)
        cancel.startLine = invite.startLine.replacing("INVITE", with: "CANCEL")
        return cancel
    }

    @Test func itIsThatOfTheProvisionalResponse() {
        let rig = CoreRig().registered(.alice, .bob)
        let invite = rig.send("INVITE", toBob, from: .alice)
        rig.receive(rig.next(to: .bob).response(180, tag: "ringing"), from: .bob)
        #expect(rig.next(to: .alice).parameter("tag", of: "To") == "ringing")
        rig.receive(cancel(invite), from: .alice)
        let answer = rig.next(to: .alice)
        #expect(answer.summary == "200 CANCEL")
        #expect(answer.parameter("tag", of: "To") == "ringing")
        #expect(answer["To"] == "<\(toBob)>;tag=ringing")
    }

    @Test func itIsThatOfOurOwnFinalResponse() throws {
        let rig = CoreRig().registered(.alice, .bob)
        let invite = rig.send("INVITE", toBob, from: .alice)
        rig.receive(cancel(invite), from: .alice)
        let answer = try #require(rig.taken().map(\.message).last { $0.summary == "200 CANCEL" })
        let tag = try #require(answer.parameter("tag", of: "To"))
        #expect(!tag.isEmpty)
        // Bob never gives a sign.
        rig.advance(.seconds(40))
        let final = try #require(rig.taken().map(\.message).first { ($0.status ?? 0) >= 300 && $0.method == "INVITE" })
        #expect(final.parameter("tag", of: "To") == tag)
    }

    @Test func anotherRequestHasAnother() {
        let rig = CoreRig()
        var tags: Set<String> = []
        for _ in 0..<20 {
            rig.send("OPTIONS", "sip:home1.test", from: .alice)
            tags.insert(rig.next(to: .alice).parameter("tag", of: "To") ?? "")
        }
        #expect(tags.count == 20 && !tags.contains(""))
    }
}
