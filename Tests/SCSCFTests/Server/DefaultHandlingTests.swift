import IMSProfile
import SCSCF
import SansIO
import Testing

/// Application servers that fail or are silent (TS 24.229 §5.4.3.2, default handling).
@Suite(.overShards) struct DefaultHandlingTests {
    private typealias L = Laboratory
    private let toBob = "sip:bob@home1.test"

    private func rig(_ handling: DefaultHandling, within: TimeSpan = .seconds(32), _ method: String = "MESSAGE") -> CoreRig {
        CoreRig {
            $0.applicationServers[0].answerWithin = within
            $0.profiles = [
                L.profile([L.criterion(0, [.method(method), .sessionCase(.originating)], 0) { $0.defaultHandling = handling }])
            ]
        }.registered(.alice, .bob)
    }

    @Test(arguments: [408, 500, 503])
    func theSessionContinuesWithTheRequestAsItWas(_ status: Int) {
        let rig = rig(.sessionContinued)
        rig.send("MESSAGE", toBob, from: .alice, [("X-Kept", "1")], body: "hi")
        rig.receive(rig.next(to: .im).response(status), from: .im)
        let request = rig.next(to: .bob)
        #expect(request["X-Kept"] == "1")
        #expect(request.body == "hi")
        #expect(!request.has("Route"))
        #expect(request["Max-Forwards"] == "69")
        rig.receive(request.response(200), from: .bob)
        #expect(rig.trace() == ["alice 200 MESSAGE"])
    }

    @Test(arguments: [302, 403, 480, 603])
    func otherAnswersAreFinal(_ status: Int) {
        let rig = rig(.sessionContinued)
        rig.send("MESSAGE", toBob, from: .alice)
        rig.receive(rig.next(to: .im).response(status), from: .im)
        #expect(rig.trace() == ["alice \(status) MESSAGE"])
    }

    @Test func theSessionEndsWithTheAnswer() {
        let rig = rig(.sessionTerminated)
        rig.send("MESSAGE", toBob, from: .alice)
        rig.receive(rig.next(to: .im).response(500), from: .im)
        #expect(rig.trace() == ["alice 500 MESSAGE"])
    }

    @Test func a503AloneBecomesA500() {
        let rig = rig(.sessionTerminated)
        rig.send("MESSAGE", toBob, from: .alice)
        rig.receive(rig.next(to: .im).response(503, [("Retry-After", "60")]), from: .im)
        let answer = rig.next(to: .alice)
        #expect(answer.status == 500)
        #expect(!answer.has("Retry-After"))
    }

    @Test func silenceLastsAsLongAsTheServerMayTake() {
        let rig = rig(.sessionContinued, within: .seconds(2))
        rig.send("MESSAGE", toBob, from: .alice)
        let request = rig.next(to: .im)
        rig.advance(.milliseconds(1900))
        #expect(!rig.trace().contains("bob MESSAGE"))
        rig.advance(.milliseconds(200))
        #expect(rig.trace().contains("bob MESSAGE"))
        // Its late answer is absorbed.
        rig.receive(request.response(200), from: .im)
        #expect(rig.trace() == [])
    }

    /// A 100 says only that the request has come (§5.4.3.2), also where nothing else limits the wait.
    @Test func a100DoesNotProlongTheWait() {
        let rig = rig(.sessionContinued, "INVITE")
        rig.send("INVITE", toBob, from: .alice)
        rig.receive(rig.next(to: .im).response(100), from: .im)
        rig.advance(.milliseconds(31_900))
        #expect(!rig.trace().contains("bob INVITE"))
        rig.advance(.milliseconds(200))
        #expect(rig.trace().contains("bob INVITE"))
    }

    @Test func aServerThatWasGivenUpDoesNotGoOnWithTheChain() throws {
        let rig = CoreRig {
            $0.applicationServers[0].answerWithin = .seconds(2)
            $0.profiles = [
                L.profile([
                    L.criterion(0, [.method("MESSAGE"), .sessionCase(.originating)], 0),
                    L.criterion(1, [.method("MESSAGE"), .sessionCase(.originating)], 1),
                ])
            ]
        }.registered(.alice, .bob)
        rig.send("MESSAGE", toBob, from: .alice)
        let late = rig.next(to: .im)
        rig.advance(.seconds(3))
        let second = try #require(rig.taken().last { $0.destination == "second" && $0.message.isRequest }).message
        #expect(second.all("Route").last != late.all("Route").last)
        // What the first one sends now is not taken for what the second one sends back.
        rig.receive(late.forwarded(by: .im, branch: "i1"), from: .im)
        #expect(!rig.taken().contains { $0.destination == "bob" })
        rig.receive(second.forwarded(by: .second, branch: "s1"), from: .second)
        #expect(rig.trace().contains("bob MESSAGE"))
    }

    @Test func silenceEndsTheSessionIfTheCriterionSaysSo() {
        let invite = rig(.sessionTerminated, within: .seconds(4), "INVITE")
        invite.send("INVITE", toBob, from: .alice)
        invite.advance(.seconds(5))
        #expect(invite.trace().contains("alice 408 INVITE"))
        // Another method is never answered 408.
        let message = rig(.sessionTerminated, within: .seconds(4))
        message.send("MESSAGE", toBob, from: .alice)
        message.advance(.seconds(40))
        #expect(!message.trace().contains { $0.hasPrefix("alice 4") || $0.hasPrefix("bob") })
    }

    @Test func withoutALimitOfItsOwnTheTransactionsTimerDecides() {
        let rig = rig(.sessionContinued)
        rig.send("MESSAGE", toBob, from: .alice)
        rig.advance(.seconds(31))
        #expect(!rig.trace().contains("bob MESSAGE"))
        rig.advance(.seconds(2))
        #expect(rig.trace().contains("bob MESSAGE"))
    }

    @Test func aTransportThatFailsIsAFailure() throws {
        let continued = rig(.sessionContinued)
        continued.send("MESSAGE", toBob, from: .alice)
        continued.fail(try #require(continued.taken().first))
        #expect(continued.trace() == ["bob MESSAGE"])
        let terminated = rig(.sessionTerminated)
        terminated.send("MESSAGE", toBob, from: .alice)
        terminated.fail(try #require(terminated.taken().first))
        #expect(terminated.trace() == ["alice 500 MESSAGE"])
    }

    @Test func aServerThatIsAliveIsNotPassedOver() {
        let rig = rig(.sessionContinued, within: .seconds(2), "INVITE")
        rig.send("INVITE", toBob, from: .alice)
        let request = rig.next(to: .im)
        rig.receive(request.response(183), from: .im)
        #expect(rig.next(to: .alice).status == 183)
        rig.advance(.seconds(10))
        #expect(rig.trace() == [])
        rig.receive(request.response(500), from: .im)
        #expect(rig.trace() == ["im ACK", "alice 500 INVITE"])
    }

    @Test func a100IsNoSignOfLife() {
        let rig = rig(.sessionContinued, within: .seconds(2), "INVITE")
        rig.send("INVITE", toBob, from: .alice)
        rig.receive(rig.next(to: .im).response(100), from: .im)
        rig.advance(.seconds(3))
        #expect(rig.trace().contains("bob INVITE"))
    }

    @Test func aRequestThatCameBackIsASignOfLife() {
        let rig = rig(.sessionContinued, within: .seconds(2))
        rig.send("MESSAGE", toBob, from: .alice)
        let request = rig.next(to: .im)
        rig.receive(request.forwarded(by: .im, branch: "i1"), from: .im)
        let atBob = rig.next(to: .bob)
        rig.advance(.seconds(3))
        rig.receive(atBob.response(500), from: .bob)
        rig.receive(request.response(500), from: .im)
        let trace = rig.trace()
        #expect(trace.filter { $0 == "bob MESSAGE" }.count <= 4)
        #expect(trace.suffix(2) == ["im 500 MESSAGE", "alice 500 MESSAGE"])
    }

    @Test func aCallerWhoCancelledIsNotServedFurther() {
        let rig = rig(.sessionContinued, "INVITE")
        let invite = rig.send("INVITE", toBob, from: .alice)
        let request = rig.next(to: .im)
        rig.receive(request.response(100), from: .im)
        rig.receive(cancel(invite), from: .alice)
        #expect(rig.trace() == ["alice 200 CANCEL", "im CANCEL"])
        rig.receive(request.response(500), from: .im)
        #expect(rig.trace() == ["im ACK", "alice 500 INVITE"])
    }

    @Test func theNextServerHasItsTurn() {
        let rig = CoreRig {
            $0.profiles = [
                L.profile([
                    L.criterion(0, [.method("MESSAGE"), .sessionCase(.originating)], 0),
                    L.criterion(1, [.method("MESSAGE"), .sessionCase(.originating)], 1),
                ])
            ]
        }.registered(.alice, .bob)
        rig.send("MESSAGE", toBob, from: .alice)
        rig.receive(rig.next(to: .im).response(503), from: .im)
        let request = rig.next(to: .second)
        #expect(request.all("Route").first == "<sip:127.0.0.1:5090;lr>")
        rig.receive(request.response(503), from: .second)
        #expect(rig.trace() == ["bob MESSAGE"])
    }

    private func cancel(_ invite: SIPText) -> SIPText {
        var cancel = invite.with("CSeq", invite["CSeq"]?.replacing("INVITE", with: "CANCEL")).with("Contact", nil)
        cancel.startLine = invite.startLine.replacing("INVITE", with: "CANCEL")
        return cancel
    }
}
