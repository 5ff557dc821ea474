import IMSProfile
import SCSCF
import SansIO
import Testing

/// What the answers of application servers to third-party REGISTER requests lead to (TS 24.229 §5.4.1.7).
@Suite(.overShards) struct ThirdPartyOutcomeTests {
    private typealias L = Laboratory

    private func rig(_ handling: DefaultHandling) -> CoreRig {
        CoreRig {
            $0.profiles = [
                L.profile([
                    L.criterion(0, [.method("REGISTER")], 0) { $0.defaultHandling = handling }, L.criterion(1, [.method("REGISTER")], 1),
                ])
            ]
            $0.subscribers[0].isAuthenticated = false
        }
    }

    /// Alice registered, and the request that waits for the answer of the first server.
    private func told(_ rig: CoreRig) -> CoreRig.Sent? {
        rig.answers["second"] = 200
        rig.register(.alice)
        return rig.taken().first { $0.destination == "im" }
    }

    private func isRegistered(_ rig: CoreRig) -> Bool { !rig.contacts("sip:alice@home1.test").isEmpty }

    @Test(arguments: [408, 500, 503, 599])
    func aFailureEndsTheRegistrationIfTheCriterionSaysSo(_ status: Int) throws {
        let rig = rig(.sessionTerminated)
        let request = try #require(told(rig))
        rig.receive(request.message.response(status), from: .im)
        #expect(!isRegistered(rig))
        let sent = rig.taken()
        #expect(sent.map(\.destination) == ["second"])
        #expect(sent.first?.message["Expires"] == "0")
        #expect(rig.thirdParty(0, .failed) == 1)
    }

    @Test(arguments: [408, 500])
    func aFailureIsOnlyNotedIfTheSessionContinues(_ status: Int) throws {
        let rig = rig(.sessionContinued)
        let request = try #require(told(rig))
        rig.receive(request.message.response(status), from: .im)
        #expect(isRegistered(rig))
        #expect(rig.trace() == [])
        #expect(rig.notices.contains { $0.text.contains("application server im") })
    }

    @Test(arguments: [302, 401, 404, 486, 603])
    func otherAnswersAreNoFailure(_ status: Int) throws {
        let rig = rig(.sessionTerminated)
        let request = try #require(told(rig))
        rig.receive(request.message.response(status), from: .im)
        #expect(isRegistered(rig))
        #expect(rig.thirdParty(0, .refused) == 1)
        #expect(rig.notices.contains { $0.text.contains("\(status)") })
    }

    @Test func silenceIsAFailure() throws {
        let rig = rig(.sessionTerminated)
        _ = try #require(told(rig))
        rig.advance(.seconds(33))
        #expect(!isRegistered(rig))
        #expect(rig.thirdParty(0, .failed) == 1)
    }

    @Test func aTransportThatFailsIsAFailure() throws {
        let rig = rig(.sessionTerminated)
        let request = try #require(told(rig))
        rig.fail(request)
        #expect(!isRegistered(rig))
        #expect(rig.trace() == ["second REGISTER"])
    }

    @Test func aFailedDeregistrationStartsNothing() throws {
        let rig = rig(.sessionTerminated)
        rig.answers["im"] = 200
        _ = told(rig)
        rig.answers["im"] = nil
        rig.register(.alice, expires: 0)
        let request = try #require(rig.taken().first { $0.destination == "im" })
        rig.register(.alice)
        _ = rig.taken()
        rig.receive(request.message.response(500), from: .im)
        #expect(isRegistered(rig))
    }

    @Test func aFailureOfAnEarlierRegistrationLeavesTheNextOneAlone() throws {
        let rig = rig(.sessionTerminated)
        let first = try #require(told(rig))
        rig.register(.alice, expires: 0)
        rig.receive(rig.next(to: .im).response(200), from: .im)
        rig.register(.alice)
        rig.receive(rig.next(to: .im).response(200), from: .im)
        rig.receive(first.message.response(503), from: .im)
        #expect(isRegistered(rig))
        #expect(rig.thirdParty(0, .failed) == 1)
    }

    @Test func aFailureIsNothingOnceALaterRequestIsAccepted() throws {
        let rig = rig(.sessionTerminated)
        let first = try #require(told(rig))
        rig.register(.alice)
        let second = rig.next(to: .im)
        rig.receive(second.response(200), from: .im)
        rig.receive(first.message.response(500), from: .im)
        #expect(isRegistered(rig))
    }

    /// While none is accepted each counts.
    @Test func aFailureOfARefreshEndsTheRegistrationToo() throws {
        let rig = rig(.sessionTerminated)
        let first = try #require(told(rig))
        rig.receive(first.message.response(200), from: .im)
        rig.register(.alice)
        rig.receive(rig.next(to: .im).response(500), from: .im)
        #expect(!isRegistered(rig))
    }

    @Test func anIntervalTooBriefIsAskedForOnceMore() throws {
        let rig = CoreRig {
            $0.profiles = [L.profile([L.criterion(0, [.method("REGISTER")], 0) { $0.serviceInfo = "info" }])]
            $0.subscribers[0].isAuthenticated = false
        }
        rig.register(.alice, [("P-Access-Network-Info", "x")])
        let first = rig.next(to: .im)
        rig.receive(first.response(423, [("Min-Expires", "7200")]), from: .im)
        let second = rig.next(to: .im)
        #expect(second["Expires"] == "7200")
        #expect(second.body == first.body)
        #expect(second["P-Access-Network-Info"] == "x")
        #expect(second["Call-ID"] == first["Call-ID"])
        rig.receive(second.response(423, [("Min-Expires", "9000")]), from: .im)
        #expect(rig.trace() == [])
        #expect(rig.contacts("sip:alice@home1.test").count == 1)
    }

    @Test func aLeastIntervalThatIsNotLongerIsNoReasonToAskAgain() throws {
        let rig = rig(.sessionContinued)
        let request = try #require(told(rig))
        rig.receive(request.message.response(423, [("Min-Expires", "60")]), from: .im)
        #expect(rig.trace() == [])
    }

    @Test func lateAnswersAreAbsorbed() throws {
        let rig = rig(.sessionContinued)
        let request = try #require(told(rig))
        rig.receive(request.message.response(200), from: .im)
        rig.receive(request.message.response(500), from: .im)
        rig.receive(request.message.response(200), from: .im)
        #expect(isRegistered(rig))
        #expect(rig.trace() == [])
        #expect(rig.thirdParty(0, .accepted) == 1)
    }
}
