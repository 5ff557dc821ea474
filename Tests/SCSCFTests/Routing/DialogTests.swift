import SCSCF
import SansIO
import Testing

/// Dialogs through the core: Record-Route, requests within them, ACK and CANCEL (RFC 3261 §16.6, §9, §16.11).
@Suite(.overShards) struct DialogTests {
    private let toBob = "sip:bob@home1.test"

    private func within(_ rig: CoreRig, _ method: String, _ uri: String, from peer: Peer, _ headers: [(String, String)] = []) -> SIPText {
        let request = rig.request(method, uri, from: peer, headers)
        return request.with("To", "<\(toBob)>;tag=remote")
    }

    @Test func whatFormsADialogIsRecorded() {
        let rig = CoreRig().registered(.alice, .bob)
        for (method, isRecorded) in [("INVITE", true), ("SUBSCRIBE", true), ("REFER", true), ("MESSAGE", false), ("OPTIONS", false)] {
            rig.send(method, toBob, from: .alice)
            let request = rig.next(to: .bob)
            #expect(request.method == method)
            #expect(request.all("Record-Route") == (isRecorded ? ["<sip:127.0.0.1:5060;lr>"] : []))
        }
    }

    @Test func twoTransportsAreRecordedTwice() {
        let rig = CoreRig().registered(.aliceStream, .bob)
        rig.send("INVITE", toBob, from: .aliceStream)
        let request = rig.next(to: .bob)
        #expect(request.all("Record-Route") == ["<sip:127.0.0.1:5060;lr>", "<sip:127.0.0.1:5060;transport=tcp;lr>"])
        // Both are taken off again.
        let bye = within(
            rig, "BYE", "sip:bob@127.0.0.1:5072", from: .aliceStream,
            [
                ("Route", "<sip:127.0.0.1:5060;transport=tcp;lr>"), ("Route", "<sip:127.0.0.1:5060;lr>"),
            ])
        rig.receive(bye, from: .aliceStream)
        let sent = rig.next(to: .bob)
        #expect(sent.method == "BYE")
        #expect(!sent.has("Route"))
    }

    /// A peer at one listener may not reach the other one's address.
    @Test func twoListenersAreRecordedTwice() {
        let inside = Endpoint(address: IPAddress(v4: 0x7F00_0002), port: 5060)
        let rig = CoreRig { $0.listeners.append(Listener(transport: .udp, local: inside)) }
        var alice = Peer.alice
        alice.flow.listener = 2
        _ = rig.registered(alice, .bob)
        rig.send("INVITE", toBob, from: alice)
        #expect(rig.next(to: .bob).all("Record-Route") == ["<sip:127.0.0.1:5060;lr>", "<sip:127.0.0.2:5060;lr>"])
    }

    @Test func aRequestWithinADialogFollowsItsRoute() {
        let rig = CoreRig().registered(.alice, .bob)
        let bye = within(
            rig, "BYE", "sip:bob@127.0.0.1:5072", from: .alice,
            [("Route", "<sip:127.0.0.1:5060;lr>, <sip:127.0.0.1:6070;lr>"), ("Accept-Contact", "*;+g.oma.sip-im")])
        rig.receive(bye, from: .alice)
        let sent = rig.next(to: .home3)
        #expect(sent.uri == "sip:bob@127.0.0.1:5072")
        #expect(sent.all("Route") == ["<sip:127.0.0.1:6070;lr>"])
        #expect(!sent.has("P-Served-User"))
        #expect(!sent.has("Record-Route"))
        rig.receive(sent.response(200), from: .home3)
        #expect(rig.trace() == ["alice 200 BYE"])
    }

    @Test func withoutRouteItGoesToTheRemoteTarget() {
        let rig = CoreRig().registered(.alice, .bob)
        rig.receive(within(rig, "BYE", "sip:bob@127.0.0.1:5072", from: .alice), from: .alice)
        #expect(rig.trace() == ["bob BYE"])
    }

    @Test func aDialogThatNobodyKnowsDoesNotExist() {
        let rig = CoreRig().registered(.alice, .bob)
        rig.receive(within(rig, "BYE", "sip:127.0.0.1:5060", from: .alice), from: .alice)
        #expect(rig.trace() == ["alice 481 BYE"])
    }

    @Test func aStrictRouterTakesThePlaceOfTheRequestURI() {
        let rig = CoreRig().registered(.alice, .bob)
        rig.receive(
            within(
                rig, "BYE", "sip:bob@192.0.2.1", from: .alice,
                [("Route", "<sip:127.0.0.1:5060;lr>, <sip:127.0.0.1:6070>, <sip:127.0.0.1:9;lr>")]),
            from: .alice)
        let sent = rig.next(to: .home3)
        #expect(sent.uri == "sip:127.0.0.1:6070")
        #expect(sent.all("Route") == ["<sip:127.0.0.1:9;lr>", "<sip:bob@192.0.2.1>"])
    }

    @Test func whatAStrictRouterReplacedIsPutBack() {
        let rig = CoreRig().registered(.alice, .bob)
        rig.receive(
            within(rig, "BYE", "sip:127.0.0.1:5060;lr", from: .alice, [("Route", "<sip:127.0.0.1:6070;lr>, <sip:bob@127.0.0.1:5072>")]),
            from: .alice)
        let sent = rig.next(to: .home3)
        #expect(sent.uri == "sip:bob@127.0.0.1:5072")
        #expect(sent.all("Route") == ["<sip:127.0.0.1:6070;lr>"])
    }

    @Test func anAckOfASuccessIsSentOnOnce() {
        let rig = CoreRig().registered(.alice, .bob)
        rig.send("INVITE", toBob, from: .alice)
        rig.receive(rig.next(to: .bob).response(200), from: .bob)
        _ = rig.taken()
        rig.receive(within(rig, "ACK", "sip:bob@127.0.0.1:5072", from: .alice, [("Route", "<sip:127.0.0.1:5060;lr>")]), from: .alice)
        let sent = rig.next(to: .bob)
        #expect(sent.method == "ACK")
        #expect(sent.all("Via").count == 2)
        #expect(sent["Max-Forwards"] == "69")
        #expect(!sent.has("Route"))
        rig.advance(.seconds(5))
        #expect(rig.trace() == [])
    }

    @Test func anAckIsNeverAnswered() {
        let rig = CoreRig().registered(.alice, .bob)
        for uri in ["sip:127.0.0.1:5060", toBob, "sip:unknown.test", "tel:+15559999"] {
            rig.receive(within(rig, "ACK", uri, from: .alice), from: .alice)
        }
        rig.receive(within(rig, "ACK", "sip:bob@127.0.0.1:5072", from: .alice).with("Max-Forwards", "0"), from: .alice)
        rig.receive(rig.request("ACK", "sip:bob@127.0.0.1:5072", from: .stranger).with("CSeq", "x ACK"), from: .stranger)
        #expect(rig.trace() == [])
        #expect(rig.dropped(.strayAcknowledgement) + rig.dropped(.unroutableAcknowledgement) + rig.dropped(.malformed) == 6)
    }

    @Test func anAckOfAFailureIsTheCores() {
        let rig = CoreRig().registered(.alice)
        let invite = rig.send("INVITE", toBob, from: .alice)
        let answer = rig.taken().last?.message ?? invite
        #expect(answer.status == 480)
        var ack = invite.with("CSeq", invite["CSeq"]?.replacing("INVITE", with: "ACK")).with("To", answer["To"])
        ack.startLine = invite.startLine.replacing("INVITE", with: "ACK")
        rig.receive(ack, from: .alice)
        rig.advance(.seconds(10))
        #expect(rig.trace() == [])
    }

    // MARK: CANCEL

    private func cancel(_ invite: SIPText) -> SIPText {
        var cancel = invite.with("CSeq", invite["CSeq"]?.replacing("INVITE", with: "CANCEL")).with("Contact", nil)
        cancel.startLine = invite.startLine.replacing("INVITE", with: "CANCEL")
        return cancel
    }

    @Test func aCallIsCancelled() {
        let rig = CoreRig().registered(.alice, .bob)
        let invite = rig.send("INVITE", toBob, from: .alice)
        #expect(rig.next(to: .alice).status == 100)
        let atBob = rig.next(to: .bob)
        rig.receive(atBob.response(180), from: .bob)
        #expect(rig.trace() == ["alice 180 INVITE"])
        rig.receive(cancel(invite), from: .alice)
        #expect(rig.next(to: .alice).summary == "200 CANCEL")
        let sent = rig.next(to: .bob)
        #expect(sent.method == "CANCEL")
        #expect(sent.uri == atBob.uri)
        #expect(sent.all("Via") == [atBob["Via"] ?? ""])
        #expect(sent["CSeq"] == atBob["CSeq"]?.replacing("INVITE", with: "CANCEL"))
        rig.receive(sent.response(200), from: .bob)
        rig.receive(atBob.response(487), from: .bob)
        #expect(rig.trace() == ["bob ACK", "alice 487 INVITE"])
    }

    @Test func aCancelOfAnotherMethodHasNoEffect() {
        let rig = CoreRig().registered(.alice, .bob)
        let message = rig.send("MESSAGE", toBob, from: .alice)
        let atBob = rig.next(to: .bob)
        var cancel = message.with("CSeq", message["CSeq"]?.replacing("MESSAGE", with: "CANCEL"))
        cancel.startLine = message.startLine.replacing("MESSAGE", with: "CANCEL")
        rig.receive(cancel, from: .alice)
        #expect(rig.trace() == ["alice 200 CANCEL"])
        rig.receive(atBob.response(200), from: .bob)
        #expect(rig.trace() == ["alice 200 MESSAGE"])
    }

    @Test func nothingToCancel() {
        let rig = CoreRig().registered(.alice, .bob)
        rig.receive(cancel(rig.request("INVITE", toBob, from: .alice)), from: .alice)
        #expect(rig.trace() == ["alice 481 CANCEL"])
    }

    @Test func aSuccessThatCrossesTheCancelWins() {
        let rig = CoreRig().registered(.alice, .bob)
        let invite = rig.send("INVITE", toBob, from: .alice)
        let atBob = rig.next(to: .bob)
        rig.receive(atBob.response(180), from: .bob)
        rig.receive(cancel(invite), from: .alice)
        _ = rig.taken()
        rig.receive(atBob.response(200), from: .bob)
        #expect(rig.trace() == ["alice 200 INVITE"])
    }

    @Test func aCancelledCallThatNobodyAnswersEnds() {
        let rig = CoreRig().registered(.alice, .bob)
        let invite = rig.send("INVITE", toBob, from: .alice)
        rig.receive(rig.next(to: .bob).response(180), from: .bob)
        rig.receive(cancel(invite), from: .alice)
        _ = rig.taken()
        rig.advance(.seconds(33))
        #expect(rig.trace().contains("alice 487 INVITE"))
    }
}
