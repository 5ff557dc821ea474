import SCSCF
import SansIO
import Testing

/// Requests of whoever runs the core: on a user's behalf, and to a node.
@Suite(.overShards) struct OwnRequestTests {
    private let hand = Peer("hand", "sip:alice@home1.test", port: 5990)

    // MARK: On a user's behalf

    private func vouch(_ rig: CoreRig, for identity: String) -> Bool {
        rig.onEachShard { core, _, _ in core.vouch(for: identity, at: hand.flow.remote) }.allSatisfy { $0 }
    }

    @Test func aUserIsBelievedWithoutRegistrationAndChallenge() {
        let rig = CoreRig().registered(.bob)
        #expect(vouch(rig, for: "sip:ALICE%61@home1.test") == false)
        #expect(vouch(rig, for: "tel:+1-555-0100"))
        rig.send("MESSAGE", "sip:bob@home1.test", from: hand)
        #expect(rig.next(to: .bob)["P-Asserted-Identity"]?.hasPrefix("<sip:alice@home1.test>") == true)
        // From may name somebody else: then the identity is the one that was vouched for.
        rig.receive(rig.request("MESSAGE", "sip:bob@home1.test", from: hand).with("From", "<sip:bob@home1.test>;tag=x"), from: hand)
        #expect(rig.next(to: .bob)["P-Asserted-Identity"]?.hasPrefix("<tel:+15550100>") == true)
        _ = rig.onEachShard { core, _, _ in core.endVouching(at: hand.flow.remote) }
        let request = rig.send("MESSAGE", "sip:bob@home1.test", from: hand)
        #expect(rig.taken().map(\.message.status) == [403], "\(request.startLine)")
    }

    @Test func aRegisterNeedsNoCredentials() {
        let rig = CoreRig()
        rig.answers["im"] = 200
        #expect(vouch(rig, for: "sip:alice@home1.test"))
        rig.receive(rig.registerRequest(hand), from: hand)
        #expect(rig.taken().contains { $0.message.status == 200 })
        #expect(rig.contacts("sip:alice@home1.test") == ["sip:alice@127.0.0.1:5990"])
        // It is that user who is believed, no other.
        var other = hand
        other.identity = "sip:bob@home1.test"
        rig.receive(rig.registerRequest(other), from: hand)
        #expect(rig.taken().map(\.message.status) == [401])
    }

    // MARK: To a node

    private let text = (
        line: Array("OPTIONS sip:im.home1.test SIP/2.0\r\n".utf8),
        rest: Array(
            "Max-Forwards: 70\r\nFrom: <sip:x@h>;tag=1\r\nTo: <sip:y@h>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n".utf8)
    )

    /// Sends a request to a target; nil: no shard can.
    private func send(_ rig: CoreRig, to target: OwnRequestTarget, method: String = "OPTIONS") -> OwnRequestWay? {
        let (line, rest) = (
            String(decoding: text.line, as: UTF8.self).replacing("OPTIONS", with: method),
            String(decoding: text.rest, as: UTF8.self).replacing("OPTIONS", with: method)
        )
        return rig.onEachShard { core, now, effects -> OwnRequestWay? in
            guard let way = try? core.way(to: target, at: now) else { return nil }
            let isSent = core.sendOwnRequest(
                7, Array(method.utf8), line: Array(line.utf8), rest: Array(rest.utf8), over: way.flow, at: now, into: &effects)
            return isSent ? way : nil
        }.compactMap { $0 }.first
    }

    private func outcome(_ rig: CoreRig) -> OwnRequestOutcome? {
        rig.onEachShard { core, _, _ in core.ownRequestOutcome(7) }.compactMap { $0 }.first
    }

    private func forget(_ rig: CoreRig) { _ = rig.onEachShard { $0.forgetOwnRequest(7, at: $1, into: &$2) } }

    @Test func aServersResponsesAreKept() {
        let rig = CoreRig()
        #expect(send(rig, to: .node("im"))?.uri == Array("sip:127.0.0.1:5080".utf8))
        let request = rig.next(to: .im)
        #expect(request.method == "OPTIONS" && request.all("Via").count == 1)
        #expect(outcome(rig) == OwnRequestOutcome())
        rig.receive(request.response(100), from: .im)
        rig.receive(request.response(503), from: .im)
        let found = outcome(rig)
        #expect(found?.isOver == true)
        #expect(found?.responses.map { SIPText(String(decoding: $0, as: UTF8.self)).status } == [100, 503])
        forget(rig)
        #expect(outcome(rig) == nil)
        rig.receive(request.response(200), from: .im)
        #expect(rig.taken().isEmpty)
    }

    @Test func aNetworkAndAContactAreReached() {
        let rig = CoreRig().registered(.bob)
        #expect(send(rig, to: .node("HOME3.test")) != nil)
        #expect(rig.next(to: .home3).method == "OPTIONS")
        forget(rig)
        #expect(send(rig, to: .contact("sip:bob@home1.test"))?.uri == Array("sip:bob@127.0.0.1:5072".utf8))
        #expect(rig.next(to: .bob).method == "OPTIONS")
    }

    @Test(arguments: [
        (OwnRequestTarget.node("nobody"), OwnRequestFailure.unknown), (.contact("sip:nobody@home1.test"), .unknown),
        (.contact("sip:alice@home1.test"), .notRegistered), (.uri("sip:nowhere.test"), .unreachable),
    ])
    func whereThereIsNoWay(target: OwnRequestTarget, failure: OwnRequestFailure) {
        let rig = CoreRig()
        let failures = rig.onEachShard { core, now, _ -> OwnRequestFailure? in
            do throws(OwnRequestFailure) {
                _ = try core.way(to: target, at: now)
                return nil
            } catch { return error }
        }
        #expect(failures.contains(failure) && !failures.contains(nil))
    }

    @Test func silenceEndsIt() {
        let rig = CoreRig()
        #expect(send(rig, to: .node("im")) != nil)
        rig.advance(.seconds(31))
        #expect(outcome(rig)?.isOver == false)
        #expect(rig.trace().count > 5)
        rig.advance(.seconds(2))
        #expect(outcome(rig) == OwnRequestOutcome(isOver: true))
    }

    @Test func aTransportThatFailsEndsIt() throws {
        let rig = CoreRig()
        #expect(send(rig, to: .node("im")) != nil)
        rig.fail(try #require(rig.taken().first))
        #expect(outcome(rig) == OwnRequestOutcome(isOver: true))
    }

    @Test func anInviteThatIsForgottenIsCancelled() {
        let rig = CoreRig()
        #expect(send(rig, to: .node("im"), method: "INVITE") != nil)
        let invite = rig.next(to: .im)
        rig.receive(invite.response(180), from: .im)
        forget(rig)
        #expect(rig.trace() == ["im CANCEL"])
        // What still comes is acknowledged, and kept by nobody.
        rig.receive(invite.response(487), from: .im)
        #expect(rig.trace() == ["im ACK"])
        #expect(outcome(rig) == nil)
    }

    @Test func aResetForgetsThem() {
        let rig = CoreRig()
        #expect(send(rig, to: .node("im")) != nil)
        rig.reset()
        #expect(outcome(rig) == nil)
        rig.advance(.seconds(40))
        #expect(rig.trace() == [])
    }
}
