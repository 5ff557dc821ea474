import SCSCF
import SansIO
import Testing

/// Branches of an INVITE whose answers, CANCELs and time-outs cross (RFC 3261 §16.7 steps 5 to 10, §16.8, §9; RFC 3326).
@Suite(.overShards) struct ForkingRaceTests {
    /// An INVITE that rings at two contacts of Bob, or waits there for a sign.
    private struct Call {
        let rig: CoreRig
        let invite: SIPText
        let phone: SIPText
        let desk: SIPText

        init(isRinging: Bool = true) throws {
            rig = CoreRig().registered(.alice)
            rig.register(.bob, contact: "<sip:bob@127.0.0.1:5072>, <sip:bob@127.0.0.1:5073>")
            _ = rig.taken()
            invite = rig.send("INVITE", "sip:bob@home1.test", from: .alice)
            let sent = rig.taken()
            phone = try #require(sent.first { $0.destination == "bob" }).message
            desk = try #require(sent.first { $0.destination == "bobDesk" }).message
            guard isRinging else { return }
            rig.receive(phone.response(180, tag: "phone"), from: .bob)
            rig.receive(desk.response(180, tag: "desk"), from: .bobDesk)
            _ = rig.taken()
        }

        func cancel(_ reason: String? = nil) {
            var cancel = invite.with("CSeq", invite["CSeq"]?.replacing("INVITE", with: "CANCEL")).with("Contact", nil)
            cancel.startLine = invite.startLine.replacing("INVITE", with: "CANCEL")
            rig.receive(cancel.with("Reason", reason), from: .alice)
        }
    }

    @Test func aSuccessCrossesTheCancelOfALoser() throws {
        let call = try Call()
        call.rig.receive(call.phone.response(200, tag: "phone"), from: .bob)
        #expect(Set(call.rig.trace()) == ["alice 200 INVITE", "bobDesk CANCEL"])
        call.rig.receive(call.desk.response(200, tag: "desk"), from: .bobDesk)
        #expect(call.rig.trace() == ["alice 200 INVITE"])
    }

    @Test func aFailureAfterASuccessIsNobodysBusiness() throws {
        for status in [486, 487, 603] {
            let call = try Call()
            call.rig.receive(call.phone.response(200, tag: "phone"), from: .bob)
            _ = call.rig.taken()
            call.rig.receive(call.desk.response(status, tag: "desk"), from: .bobDesk)
            #expect(call.rig.trace() == ["bobDesk ACK"])
        }
    }

    @Test func aGlobalFailureIsHeldUntilTheOthersEnd() throws {
        let call = try Call()
        call.rig.receive(call.phone.response(603, tag: "phone"), from: .bob)
        #expect(Set(call.rig.trace()) == ["bob ACK", "bobDesk CANCEL"])
        call.rig.receive(call.desk.response(200, tag: "desk"), from: .bobDesk)
        #expect(call.rig.trace() == ["alice 200 INVITE"])
        call.rig.advance(.seconds(40))
        #expect(!call.rig.trace().contains("alice 603 INVITE"))
    }

    @Test func aGlobalFailureGoesBackThoughTheLoserKeepsSilent() throws {
        let call = try Call()
        call.rig.receive(call.phone.response(600, tag: "phone"), from: .bob)
        _ = call.rig.taken()
        call.rig.advance(.seconds(31))
        #expect(!call.rig.trace().contains("alice 600 INVITE"))
        call.rig.advance(.seconds(2))
        #expect(call.rig.trace().contains("alice 600 INVITE"))
    }

    @Test func aBusyAndOneThatRingsTooLong() throws {
        let call = try Call()
        call.rig.receive(call.phone.response(486, tag: "phone"), from: .bob)
        #expect(call.rig.trace() == ["bob ACK"])
        // Timer C, and then 64·T1 for an answer to the CANCEL.
        call.rig.advance(.seconds(182))
        #expect(call.rig.trace().contains("bobDesk CANCEL"))
        call.rig.advance(.seconds(33))
        #expect(call.rig.trace().contains("alice 486 INVITE"))
    }

    @Test func twoThatKeepSilentAreATimeout() throws {
        let call = try Call(isRinging: false)
        call.rig.advance(.seconds(33))
        #expect(call.rig.trace().filter { $0.hasPrefix("alice") }.first == "alice 408 INVITE")
    }

    @Test func theCallersCancelCrossesASuccess() throws {
        let call = try Call()
        call.cancel()
        #expect(Set(call.rig.trace()) == ["alice 200 CANCEL", "bob CANCEL", "bobDesk CANCEL"])
        call.rig.receive(call.phone.response(200, tag: "phone"), from: .bob)
        call.rig.receive(call.desk.response(487, tag: "desk"), from: .bobDesk)
        #expect(call.rig.trace() == ["alice 200 INVITE", "bobDesk ACK"])
    }

    // MARK: Why

    @Test func theLoserIsToldWhy() throws {
        let won = try Call()
        won.rig.receive(won.phone.response(200, tag: "phone"), from: .bob)
        #expect(won.rig.next(to: .bobDesk)["Reason"] == "SIP;cause=200;text=\"Call completed elsewhere\"")
        let declined = try Call()
        declined.rig.receive(declined.phone.response(603, tag: "phone"), from: .bob)
        #expect(declined.rig.next(to: .bobDesk)["Reason"] == "SIP;cause=603;text=\"Decline\"")
    }

    @Test func theCallersReasonIsPassedOn() throws {
        let reason = "SIP;cause=600;text=\"Busy Everywhere\", Q.850;cause=16"
        let ringing = try Call()
        ringing.cancel(reason)
        let cancels = ringing.rig.taken().filter { $0.message.method == "CANCEL" && $0.message.isRequest }
        #expect(cancels.map { $0.message["Reason"] } == [reason, reason])
        // One that gave no sign yet is told as soon as it does (RFC 3261 §9.1).
        let silent = try Call(isRinging: false)
        silent.cancel(reason)
        #expect(silent.rig.trace() == ["alice 200 CANCEL"])
        silent.rig.receive(silent.desk.response(100), from: .bobDesk)
        #expect(silent.rig.next(to: .bobDesk)["Reason"] == reason)
        let plain = try Call()
        plain.cancel()
        let plainCancels = plain.rig.taken().filter { $0.message.method == "CANCEL" && $0.message.isRequest }
        #expect(plainCancels.map { $0.message.has("Reason") } == [false, false])
    }
}
