import IMSProfile
import SCSCF
import SansIO
import Testing

/// The option that the 200 to a user waits for the application servers.
@Suite(.overShards) struct HeldAnswerTests {
    private typealias L = Laboratory

    private func rig(_ handling: DefaultHandling = .sessionContinued, isPersistent: Bool = false) -> CoreRig {
        CoreRig {
            $0.profiles = [
                L.profile([
                    L.criterion(0, [.method("REGISTER")], 0) {
                        $0.defaultHandling = handling
                        $0.includesRegisterResponse = true
                    }, L.criterion(1, [.method("REGISTER")], 1),
                ])
            ]
            $0.subscribers[0].isAuthenticated = false
            $0.thirdParty.holdsAnswer = true
            $0.udpSizeLimit = 0
            $0.isPersistent = isPersistent
        }
    }

    @Test(arguments: [false, true])
    func theAnswerWaitsForAllServers(_ isPersistent: Bool) throws {
        let rig = rig(isPersistent: isPersistent)
        let request = rig.registerRequest(.alice)
        rig.receive(request, from: .alice)
        rig.receive(request, from: .alice)
        let told = rig.taken()
        #expect(told.map(\.destination) == ["im", "second"])
        rig.receive(told[1].message.response(200), from: .second)
        #expect(rig.trace() == [])
        rig.receive(told[0].message.response(404), from: .im)
        let answer = try #require(rig.taken().first)
        #expect(answer.destination == "alice")
        #expect(answer.message.status == 200)
        // What the server was shown is what the user gets.
        #expect(String(decoding: told[0].octets, as: UTF8.self).hasSuffix(String(decoding: answer.octets, as: UTF8.self)))
    }

    @Test func withoutServersItDoesNotWait() {
        let rig = rig()
        rig.receive(rig.registerRequest(.carol), from: .carol)
        #expect(rig.trace() == ["carol 200 REGISTER"])
    }

    @Test func silenceEndsTheWait() {
        let rig = rig()
        rig.answers["second"] = 200
        rig.receive(rig.registerRequest(.alice), from: .alice)
        rig.advance(.seconds(33))
        #expect(rig.trace().contains("alice 200 REGISTER"))
        #expect(rig.contacts("sip:alice@home1.test").count == 1)
    }

    /// The client is told that its request is worked on (RFC 4320 §4.1), and hears the answer well before its timer F.
    @Test(arguments: [false, true])
    func theWaitEndsBeforeTheClientGivesUp(_ isPersistent: Bool) throws {
        let rig = rig(isPersistent: isPersistent)
        rig.answers["second"] = 200
        rig.receive(rig.registerRequest(.alice), from: .alice)
        let told = rig.next(to: .im)
        rig.advance(.seconds(3))
        #expect(rig.taken().filter { $0.destination == "alice" }.isEmpty)
        rig.advance(.seconds(1))
        #expect(rig.taken().filter { $0.destination == "alice" }.compactMap(\.message.status) == [100])
        rig.advance(.seconds(19))
        #expect(rig.taken().filter { $0.destination == "alice" }.isEmpty)
        rig.advance(.seconds(2))
        #expect(rig.taken().filter { $0.destination == "alice" }.compactMap(\.message.status) == [200])
        // The server may still answer.
        rig.receive(told.response(200), from: .im)
        #expect(rig.thirdParty(0, .accepted) == 1)
        #expect(rig.trace() == [])
    }

    @Test func whatHasEndedTheRegistrationIsSaid() throws {
        let rig = rig()
        rig.answers["second"] = 200
        rig.receive(rig.registerRequest(.alice), from: .alice)
        let told = rig.next(to: .im)
        #expect(rig.deregister("sip:alice@home1.test"))
        _ = rig.taken()
        rig.receive(told.response(200), from: .im)
        let answer = rig.next(to: .alice)
        #expect(answer.status == 500)
        #expect(answer["Warning"]?.contains("ended meanwhile") == true)
        let failing = self.rig(.sessionTerminated)
        failing.answers["second"] = 200
        failing.receive(failing.registerRequest(.alice), from: .alice)
        failing.receive(failing.next(to: .im).response(503), from: .im)
        #expect(failing.next(to: .alice)["Warning"]?.contains("an application server failed") == true)
    }

    @Test(arguments: [false, true])
    func aRegistrationThatEndsMeanwhileIsAnswered500(_ isPersistent: Bool) throws {
        let rig = rig(.sessionTerminated, isPersistent: isPersistent)
        rig.answers["second"] = 200
        rig.receive(rig.registerRequest(.alice), from: .alice)
        let told = try #require(rig.taken().first { $0.destination == "im" })
        rig.receive(told.message.response(503), from: .im)
        #expect(rig.trace().contains("alice 500 REGISTER"))
        #expect(rig.contacts("sip:alice@home1.test") == [])
    }

    @Test func aDeregistrationIsAnswered200() throws {
        let rig = rig()
        rig.answers = ["im": 200, "second": 200]
        rig.register(.alice)
        #expect(rig.register(.alice, expires: 0).status == 200)
        #expect(rig.contacts("sip:alice@home1.test") == [])
    }

    @Test func aLongerIntervalIsWaitedForToo() throws {
        let rig = rig()
        rig.answers["second"] = 200
        rig.receive(rig.registerRequest(.alice), from: .alice)
        let told = rig.next(to: .im)
        rig.receive(told.response(423, [("Min-Expires", "7200")]), from: .im)
        let again = rig.taken()
        #expect(again.filter { $0.destination == "alice" }.isEmpty)
        let longer = try #require(again.first { $0.destination == "im" })
        rig.receive(longer.message.response(200), from: .im)
        #expect(rig.trace() == ["alice 200 REGISTER"])
    }

    @Test func aResetForgetsIt() {
        let rig = rig()
        rig.receive(rig.registerRequest(.alice), from: .alice)
        _ = rig.taken()
        rig.core.reset(at: rig.now)
        rig.advance(.seconds(60))
        #expect(rig.trace() == [])
    }
}
