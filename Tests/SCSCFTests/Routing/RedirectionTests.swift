import SCSCF
import SansIO
import Testing

/// 3xx responses of a contact: passed on, or followed (RFC 3261 §16.7 step 4).
@Suite(.overShards) struct RedirectionTests {
    private let toBob = "sip:bob@home1.test"
    private let elsewhere = "<sip:bob@127.0.0.1:6070>"

    private func rig(follows: Bool = true, contact: String? = nil) -> CoreRig {
        let rig = CoreRig { $0.followsRedirections = follows }.registered(.alice)
        rig.register(.bob, contact: contact)
        _ = rig.taken()
        return rig
    }

    /// Sends a MESSAGE, which Bob's phone redirects.
    private func redirect(_ rig: CoreRig, _ status: Int = 302, _ contacts: String...) {
        rig.send("MESSAGE", toBob, from: .alice)
        rig.receive(rig.next(to: .bob).response(status, contacts.map { ("Contact", $0) }), from: .bob)
    }

    @Test func itIsPassedOnUnlessTheCoreIsToldToFollow() {
        let rig = rig(follows: false)
        redirect(rig, 302, elsewhere)
        let answer = rig.next(to: .alice)
        #expect(answer.status == 302)
        #expect(answer["Contact"] == elsewhere)
    }

    @Test func itsContactIsTriedInPlaceOfTheOneThatGaveIt() {
        let rig = rig()
        redirect(rig, 302, "<sip:bob@127.0.0.1:6070;method=INVITE?Subject=x>;expires=60")
        let request = rig.next(to: .home3)
        #expect(request.uri == "sip:bob@127.0.0.1:6070")
        #expect(!request.has("P-Called-Party-ID"))
        #expect(request["Max-Forwards"] == "69")
        #expect(request.all("Via").count == 2)
        rig.receive(request.response(200), from: .home3)
        #expect(rig.trace() == ["alice 200 MESSAGE"])
    }

    @Test func itIsPassedOnIfTheCallerWantsThat() {
        let rig = rig()
        rig.send("MESSAGE", toBob, from: .alice, [("Request-Disposition", "proxy, no-recurse")])
        rig.receive(rig.next(to: .bob).response(302, [("Contact", elsewhere)]), from: .bob)
        #expect(rig.next(to: .alice).status == 302)
    }

    @Test func itIsFollowedIfTheCallerWantsThat() {
        let rig = rig(follows: false)
        rig.send("MESSAGE", toBob, from: .alice, [("Request-Disposition", "recurse")])
        rig.receive(rig.next(to: .bob).response(302, [("Contact", elsewhere)]), from: .bob)
        #expect(rig.trace() == ["home3 MESSAGE"])
    }

    // MARK: A caller that asks where somebody is

    @Test func aCallerMayAskForTheContact() {
        let rig = rig()
        rig.send("INVITE", toBob, from: .alice, [("Request-Disposition", "redirect")])
        let answer = rig.taken().last
        #expect(answer?.message.status == 302)
        #expect(answer?.message.all("Contact") == ["<sip:bob@127.0.0.1:5072>"])
    }

    @Test func ofSeveralContactsAllAreToldInTheirOrder() {
        let rig = rig(contact: "<sip:bob@127.0.0.1:5072>;q=0.25, <sip:bob@127.0.0.1:5073>, <sip:bob@127.0.0.1:5074>;video;q=0.5")
        rig.send("MESSAGE", toBob, from: .alice, [("Request-Disposition", "redirect, no-queue"), ("Reject-Contact", "*;video")])
        let answer = rig.next(to: .alice)
        #expect(answer.status == 300)
        #expect(answer.all("Contact") == ["<sip:bob@127.0.0.1:5073>", "<sip:bob@127.0.0.1:5072>;q=0.250"])
        #expect(rig.trace() == [])
    }

    @Test func whoIsAwayIsNotRedirectedTo() {
        let rig = CoreRig().registered(.alice)
        rig.send("MESSAGE", toBob, from: .alice, [("Request-Disposition", "redirect")])
        #expect(rig.next(to: .alice).status == 480)
    }

    /// The core queues nothing: who is busy says so himself.
    @Test func aRequestIsNotQueued() {
        let rig = rig()
        rig.send("INVITE", toBob, from: .alice, [("Request-Disposition", "queue")])
        rig.receive(rig.next(to: .bob).response(486), from: .bob)
        #expect(rig.next(to: .alice).status == 486)
    }

    @Test func anotherNetworkIsReachedByItsDomain() {
        let rig = rig()
        redirect(rig, 301, "<sip:bob@home2.test>")
        #expect(rig.next(to: .home2).uri == "sip:bob@home2.test")
    }

    @Test func anInviteIsAcknowledgedFirst() {
        let rig = rig()
        rig.send("INVITE", toBob, from: .alice)
        rig.receive(rig.next(to: .bob).response(302, [("Contact", elsewhere)]), from: .bob)
        #expect(rig.trace() == ["bob ACK", "home3 INVITE"])
    }

    @Test func severalAreTriedOneByOneByFallingRank() throws {
        let rig = rig()
        redirect(rig, 300, "\(elsewhere);q=0.2", "<sip:bob@127.0.0.1:6060>;q=0.81")
        let first = try #require(rig.taken().first)
        #expect(first.destination == "home2")
        rig.receive(first.message.response(404), from: .home2)
        let second = try #require(rig.taken().first)
        #expect(second.destination == "home3")
        rig.receive(second.message.response(480), from: .home3)
        #expect(rig.trace() == ["alice 404 MESSAGE"])
    }

    @Test func whatItLeadsToComesBeforeContactsThatWait() throws {
        let rig = rig(contact: "<sip:bob@127.0.0.1:5072>;q=0.9, <sip:bob@127.0.0.1:5073>;q=0.5")
        redirect(rig, 302, elsewhere)
        rig.receive(rig.next(to: .home3).response(404), from: .home3)
        rig.receive(rig.next(to: .bobDesk).response(200), from: .bobDesk)
        #expect(rig.trace() == ["alice 200 MESSAGE"])
    }

    @Test func aURIIsTriedOnce() {
        let rig = rig()
        redirect(rig, 302, elsewhere)
        // Back to the first one, and to itself.
        rig.receive(
            rig.next(to: .home3).response(302, [("Contact", "<sip:bob@127.0.0.1:5072>"), ("Contact", elsewhere)]), from: .home3)
        #expect(rig.trace() == ["alice 302 MESSAGE"])
        let waiting = self.rig(contact: "<sip:bob@127.0.0.1:5072>;q=0.9, <sip:bob@127.0.0.1:5073>;q=0.5")
        redirect(waiting, 302, "<sip:bob@127.0.0.1:5073>")
        waiting.receive(waiting.next(to: .bobDesk).response(404), from: .bobDesk)
        #expect(waiting.trace() == ["alice 302 MESSAGE"])
    }

    @Test(arguments: [
        (305, "<sip:127.0.0.1:6070>"), (380, "<sip:bob@127.0.0.1:6070>"), (302, "<sip:carol@home1.test>"), (302, "<tel:+15559999>"),
        (302, "<mailto:bob@home1.test>"), (302, "<sip:bob@unknown.test>"), (302, "<sip:127.0.0.1:5060>"), (302, "*"),
    ]) func whatIsNotFollowed(_ status: Int, _ contact: String) {
        let rig = rig()
        redirect(rig, status, contact)
        #expect(rig.trace() == ["alice \(status) MESSAGE"])
    }

    @Test func whatWasFollowedIsTakenOutOfTheAnswer() {
        let rig = rig()
        redirect(rig, 302, "<tel:+15559999>, \(elsewhere)")
        rig.receive(rig.next(to: .home3).response(486), from: .home3)
        let answer = rig.next(to: .alice)
        #expect(answer.status == 302)
        #expect(answer.all("Contact") == ["<tel:+15559999>"])
    }

    @Test func aCancelledInviteIsNotSentElsewhere() {
        let rig = rig()
        let invite = rig.send("INVITE", toBob, from: .alice)
        let atBob = rig.next(to: .bob)
        rig.receive(atBob.response(180), from: .bob)
        var cancel = invite.with("CSeq", invite["CSeq"]?.replacing("INVITE", with: "CANCEL")).with("Contact", nil)
        cancel.startLine = invite.startLine.replacing("INVITE", with: "CANCEL")
        rig.receive(cancel, from: .alice)
        _ = rig.taken()
        rig.receive(atBob.response(302, [("Contact", elsewhere)]), from: .bob)
        #expect(rig.trace() == ["bob ACK", "alice 302 INVITE"])
    }

    @Test func thereIsAnEndToIt() {
        let rig = rig()
        rig.answers["home3"] = 404
        redirect(rig, 300, (0..<30).map { "<sip:u\($0)@127.0.0.1:6070>" }.joined(separator: ", "))
        let trace = rig.trace()
        #expect(trace.filter { $0 == "home3 MESSAGE" }.count == 19)
        #expect(trace.last == "alice 300 MESSAGE")
        rig.advance(.seconds(70))
        #expect(TransactionKindCount.all(rig.core) == 0)
    }
}
