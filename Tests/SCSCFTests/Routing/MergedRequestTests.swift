import SCSCF
import SansIO
import Testing

/// A request that a proxy before us has forked, and that we get twice (RFC 3261 §8.2.2.2).
@Suite(.overShards) struct MergedRequestTests {
    /// The same request on another way.
    private func copy(_ request: SIPText, _ number: Int = 1) -> SIPText {
        request.with("Via", request["Via"]?.replacing(";branch=z9hG4bK", with: ";branch=z9hG4bKcopy\(number)"))
    }

    @Test func optionsAreAnsweredOnce() {
        let rig = CoreRig()
        let options = rig.send("OPTIONS", "sip:home1.test", from: .stranger)
        #expect(rig.trace() == ["stranger 200 OPTIONS"])
        rig.receive(copy(options), from: .stranger)
        let merged = rig.next(to: .stranger)
        #expect(merged.status == 482)
        #expect(merged["Warning"]?.contains("another way") == true)
        // One sent again is none, nor is the next one.
        rig.receive(options, from: .stranger)
        #expect(rig.trace() == ["stranger 200 OPTIONS"])
        rig.receive(copy(options.with("CSeq", "4711 OPTIONS"), 2), from: .stranger)
        #expect(rig.trace() == ["stranger 200 OPTIONS"])
        rig.receive(copy(options.with("Call-ID", "another@stranger"), 3), from: .stranger)
        #expect(rig.trace() == ["stranger 200 OPTIONS"])
        rig.receive(copy(options.with("From", "<sip:eve@elsewhere.test>;tag=another"), 4), from: .stranger)
        #expect(rig.trace() == ["stranger 200 OPTIONS"])
    }

    @Test func whenTheFirstIsForgottenTheSecondIsNew() {
        let rig = CoreRig()
        let options = rig.send("OPTIONS", "sip:home1.test", from: .stranger)
        _ = rig.taken()
        rig.advance(.seconds(33))
        rig.receive(copy(options), from: .stranger)
        #expect(rig.trace() == ["stranger 200 OPTIONS"])
        // And known in its turn.
        rig.receive(copy(options, 2), from: .stranger)
        #expect(rig.trace() == ["stranger 482 OPTIONS"])
    }

    @Test func aRegistrationIsChangedOnce() {
        let rig = CoreRig()
        let register = rig.registerRequest(.carol)
        rig.receive(register, from: .carol)
        #expect(rig.trace() == ["carol 200 REGISTER"])
        rig.receive(copy(register.with("Expires", "0")), from: .carol)
        #expect(rig.trace() == ["carol 482 REGISTER"])
        #expect(rig.contacts("sip:carol@home1.test").count == 1)
    }

    @Test func anAnswerToAChallengeIsNoCopy() {
        let rig = CoreRig()
        rig.answers["im"] = 200
        let register = rig.registerRequest(.alice)
        rig.receive(register, from: .alice)
        let challenge = rig.next(to: .alice)
        #expect(challenge.status == 401)
        rig.receive(copy(register), from: .alice)
        #expect(rig.trace() == ["alice 482 REGISTER"])
        // Its CSeq should be another one; of a client that does not count, the credentials show that it is no copy.
        let answer = rig.answering(challenge, register, username: "alice@home1.test", password: "wonderland")
        rig.receive(answer.with("CSeq", register["CSeq"]), from: .alice)
        #expect(rig.next(to: .alice).status == 200)
    }

    /// What a proxy only forwards it forwards (§16: the check is a user agent's).
    @Test func aProxyPassesBothOn() {
        let rig = CoreRig().registered(.alice, .bob)
        let message = rig.send("MESSAGE", "sip:bob@home1.test", from: .alice)
        rig.receive(copy(message), from: .alice)
        #expect(rig.trace() == ["bob MESSAGE", "bob MESSAGE"])
    }
}
