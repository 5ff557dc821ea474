import IMSProfile
import SCSCF
import SIPRegistrar
import SansIO
import Testing

/// Requests to servers that are known by name: they wait, go on, and go to the next target (RFC 3263 §4, §4.3).
@Suite(.overShards) struct LocatingTests {
    private typealias L = Laboratory
    private let toDora = "sip:dora@away.test"
    /// `away.test` has two servers; that of home2 is the better one.
    private let zone = Zone(
        """
        away.test NAPTR 10 10 s SIP+D2U _sip._udp.away.test
        _sip._udp.away.test SRV 1 0 6060 a.away.test
        _sip._udp.away.test SRV 2 0 6070 a.away.test
        a.away.test A 127.0.0.1
        """)

    private func rig(_ zone: Zone?, _ change: (inout ServingCSCFConfiguration) -> Void = { _ in }) -> CoreRig {
        let rig = CoreRig {
            $0.asksNames = true
            change(&$0)
        }
        rig.zone = zone
        return rig.registered(.alice, .bob)
    }

    private func cancel(_ invite: SIPText) -> SIPText {
        var cancel = invite.with("CSeq", invite["CSeq"]?.replacing("INVITE", with: "CANCEL")).with("Contact", nil)
        cancel.startLine = invite.startLine.replacing("INVITE", with: "CANCEL")
        return cancel
    }

    // MARK: Waiting

    @Test func aRequestWaitsForItsServer() {
        let rig = rig(nil)
        rig.send("MESSAGE", toDora, from: .alice, [("X-Kept", "1")], body: "hi")
        #expect(rig.trace() == [])
        #expect(rig.questions.map(\.question.query) == [NameQuery(Array("away.test".utf8), .naptr)])
        rig.answerQuestions(from: zone)
        let request = rig.next(to: .home2)
        #expect(request.uri == toDora)
        #expect(request["X-Kept"] == "1")
        #expect(request.body == "hi")
        rig.receive(request.response(200), from: .home2)
        #expect(rig.trace() == ["alice 200 MESSAGE"])
    }

    @Test func aClientWhoWaitsIsTold() {
        let rig = rig(nil)
        rig.send("INVITE", toDora, from: .alice)
        #expect(rig.trace() == ["alice 100 INVITE"])
        rig.answerQuestions(from: zone)
        #expect(rig.trace() == ["home2 INVITE"])
        let other = self.rig(nil)
        other.send("MESSAGE", toDora, from: .alice)
        other.advance(.seconds(4))
        #expect(other.trace() == ["alice 100 MESSAGE"])
    }

    @Test func theSecondRequestGoesAtOnce() {
        let rig = rig(zone)
        for _ in 0..<3 {
            rig.send("MESSAGE", toDora, from: .alice)
            rig.receive(rig.next(to: .home2).response(200), from: .home2)
            #expect(rig.trace() == ["alice 200 MESSAGE"])
            rig.zone = nil
        }
        #expect(rig.questions.isEmpty)
    }

    @Test func severalWaitForOneQuestion() {
        let rig = rig(nil)
        for _ in 0..<3 { rig.send("MESSAGE", toDora, from: .alice) }
        // Each shard asks for itself; all three requests belong to Alice's.
        #expect(rig.questions.count == 1)
        rig.answerQuestions(from: zone)
        #expect(rig.trace() == Array(repeating: "home2 MESSAGE", count: 3))
    }

    @Test func whatWasLearnedRunsOut() {
        let rig = rig(Zone("away.test A 127.0.0.1", lifetime: .seconds(7)))
        rig.send("MESSAGE", toDora, from: .alice)
        #expect(rig.trace() == ["udp:127.0.0.1:5060 MESSAGE"])
        rig.advance(.milliseconds(6_900))
        _ = rig.taken()
        rig.zone = nil
        rig.send("MESSAGE", toDora, from: .alice)
        #expect(rig.trace() == ["udp:127.0.0.1:5060 MESSAGE"])
        rig.advance(.milliseconds(200))
        _ = rig.taken()
        rig.send("MESSAGE", toDora, from: .alice)
        #expect(rig.trace() == [])
        #expect(rig.questions.count == 1)
    }

    @Test func aNameThatNobodyKnowsIsNotFound() {
        let rig = rig(Zone(""))
        rig.send("MESSAGE", toDora, from: .alice)
        let answer = rig.first()
        #expect(answer.status == 404)
        #expect(answer["Warning"]?.contains("away.test has no address") == true)
        rig.zone = nil
        rig.send("MESSAGE", toDora, from: .alice)
        #expect(rig.trace() == ["alice 404 MESSAGE"])
    }

    @Test func withoutAnAnswerTheServiceIsUnavailable() {
        let rig = rig(Zone("away.test A silent"))
        rig.send("MESSAGE", toDora, from: .alice)
        let answer = rig.first()
        #expect(answer.status == 503)
        #expect(answer["Warning"]?.contains("no name server answers for away.test") == true)
    }

    @Test func thePatienceHasAnEnd() {
        let rig = rig(nil)
        rig.send("INVITE", toDora, from: .alice)
        rig.advance(.milliseconds(9_900))
        #expect(rig.trace() == ["alice 100 INVITE"])
        rig.advance(.milliseconds(200))
        #expect(rig.trace() == ["alice 503 INVITE"])
        // What comes now is for nobody.
        rig.answerQuestions(from: zone)
        #expect(rig.trace() == [])
    }

    @Test func namesAskedForAtOnceHaveABound() {
        let rig = rig(nil)
        for number in 0..<600 { rig.send("MESSAGE", "sip:dora@n\(number).test", from: .alice) }
        #expect(rig.questions.count == 512)
        #expect(rig.trace() == Array(repeating: "alice 503 MESSAGE", count: 88))
        rig.answerQuestions(from: Zone(""))
        #expect(rig.trace() == Array(repeating: "alice 404 MESSAGE", count: 512))
    }

    @Test func literalAddressesAndHostsAreNotAskedFor() {
        let rig = rig(nil) { $0.hosts = [Array("known.test".utf8): Endpoint(address: .loopback, port: 6060)] }
        rig.send("MESSAGE", "sip:dora@known.test", from: .alice)
        rig.send("MESSAGE", "sip:dora@127.0.0.1:6070", from: .alice)
        #expect(rig.trace() == ["home2 MESSAGE", "home3 MESSAGE"])
        #expect(rig.questions.isEmpty)
    }

    @Test func withoutANameServerNobodyIsAsked() {
        let rig = rig(nil) { $0.asksNames = false }
        rig.send("MESSAGE", toDora, from: .alice)
        #expect(rig.trace() == ["alice 404 MESSAGE"])
        #expect(rig.questions.isEmpty)
    }

    // MARK: Cancelled meanwhile

    @Test func aCancelEndsTheWait() {
        let rig = rig(nil)
        let invite = rig.send("INVITE", toDora, from: .alice)
        _ = rig.taken()
        rig.receive(cancel(invite), from: .alice)
        #expect(rig.trace() == ["alice 200 CANCEL", "alice 487 INVITE"])
        rig.answerQuestions(from: zone)
        #expect(rig.trace() == [])
    }

    @Test func aCancelFollowsTheInvite() {
        let rig = rig(zone)
        let invite = rig.send("INVITE", toDora, from: .alice)
        let sent = rig.next(to: .home2)
        rig.receive(sent.response(180), from: .home2)
        rig.receive(cancel(invite), from: .alice)
        let sentCancel = rig.next(to: .home2)
        #expect(sentCancel.method == "CANCEL")
        #expect(sentCancel["Via"] == sent["Via"])
    }

    // MARK: The next target

    @Test func aRefusalLeadsToTheNextTarget() throws {
        let rig = rig(zone)
        rig.send("INVITE", toDora, from: .alice)
        let first = rig.next(to: .home2)
        rig.receive(first.response(503, [("Retry-After", "10")]), from: .home2)
        let sent = rig.taken()
        #expect(sent.map { "\($0.destination) \($0.message.summary)" } == ["home2 ACK", "home3 INVITE"])
        // The ACK belongs to the transaction that failed; the next target has a branch of its own.
        #expect(sent[0].message["Via"] == first["Via"])
        let second = sent[1].message
        #expect(second["Via"] != first["Via"])
        #expect(second.uri == first.uri)
        rig.receive(second.response(200), from: .home3)
        #expect(rig.trace() == ["alice 200 INVITE"])
    }

    @Test func aTransportThatFailsLeadsToTheNextTarget() throws {
        let rig = rig(zone)
        rig.send("MESSAGE", toDora, from: .alice)
        rig.fail(try #require(rig.taken().first))
        #expect(rig.trace() == ["home3 MESSAGE"])
    }

    @Test func silenceLeadsToTheNextTarget() {
        let rig = rig(zone)
        rig.send("INVITE", toDora, from: .alice)
        rig.advance(.seconds(31))
        #expect(!rig.trace().contains { $0.hasPrefix("home3") })
        rig.advance(.seconds(2))
        #expect(rig.trace().contains("home3 INVITE"))
    }

    @Test func whenTheLastFailsItIsOver() throws {
        let rig = rig(zone)
        rig.send("MESSAGE", toDora, from: .alice)
        rig.receive(rig.next(to: .home2).response(503), from: .home2)
        rig.receive(rig.next(to: .home3).response(503), from: .home3)
        #expect(rig.trace() == ["alice 500 MESSAGE"])
    }

    @Test(arguments: [404, 486, 500, 600])
    func otherAnswersAreFinal(_ status: Int) {
        let rig = rig(zone)
        rig.send("MESSAGE", toDora, from: .alice)
        rig.receive(rig.next(to: .home2).response(status), from: .home2)
        #expect(rig.trace() == ["alice \(status) MESSAGE"])
    }

    @Test func aCancelledRequestTriesNoFurtherTarget() {
        let rig = rig(zone)
        let invite = rig.send("INVITE", toDora, from: .alice)
        let sent = rig.next(to: .home2)
        rig.receive(sent.response(180), from: .home2)
        rig.receive(cancel(invite), from: .alice)
        _ = rig.taken()
        rig.receive(sent.response(503), from: .home2)
        #expect(!rig.trace().contains { $0.hasPrefix("home3") })
    }

    // MARK: Whatever has a name

    @Test func aNetworkByName() {
        let rig = rig(zone) {
            $0.networks[0] = ServingCSCFConfiguration.NetworkPlan(
                domain: Array("home2.test".utf8), destination: Destination(endpoint: .none, transport: .udp), isTrusted: true,
                location: ServerName(host: Array("away.test".utf8)))
        }
        rig.locatePeers()
        rig.send("MESSAGE", "sip:dora@home2.test", from: .alice)
        let request = rig.next(to: .home2)
        #expect(request.uri == "sip:dora@home2.test")
        // It is believed by the addresses that it was found at: its asserted identity is kept.
        rig.send("MESSAGE", "sip:bob@home1.test", from: .home3, [("P-Asserted-Identity", "<sip:dora@home2.test>")])
        #expect(rig.next(to: .bob)["P-Asserted-Identity"] == "<sip:dora@home2.test>")
    }

    @Test func aStrangerAtAnAddressThatWasAskedForIsNotBelieved() {
        let rig = rig(zone) { $0.networks = [] }
        rig.send("MESSAGE", toDora, from: .alice)
        #expect(rig.trace() == ["home2 MESSAGE"])
        rig.send("MESSAGE", "sip:bob@home1.test", from: .home2, [("P-Asserted-Identity", "<sip:dora@away.test>")])
        #expect(rig.next(to: .bob)["P-Asserted-Identity"] == nil)
    }

    /// Whoever owns another name decides where it leads, so it says nothing about certificates.
    @Test func onlyNamesOfTheTopologyMayStandInCertificates() {
        let zone = Zone("secure.test A 127.0.0.1\naway.test A 127.0.0.1")
        let rig = rig(zone) {
            $0.networks[0] = ServingCSCFConfiguration.NetworkPlan(
                domain: Array("home2.test".utf8), destination: Destination(endpoint: .none, transport: .tls), isTrusted: false,
                location: ServerName(host: Array("secure.test".utf8), isSecure: true))
        }
        rig.send("MESSAGE", "sip:dora@home2.test", from: .alice)
        rig.send("MESSAGE", "sip:dora@away.test;transport=tls", from: .alice)
        #expect(rig.trace() == ["tls:127.0.0.1:5061 MESSAGE", "tls:127.0.0.1:5061 MESSAGE"])
        #expect(
            Set(rig.findings) == [NameFinding(name: Array("secure.test".utf8), endpoint: Endpoint(address: .loopback, port: 5061))])
    }

    private func namedServer(_ zone: Zone?) -> CoreRig {
        rig(zone) {
            $0.applicationServers[0] = ServingCSCFConfiguration.ServerPlan(
                name: "im", uri: Array("sip:im.away.test".utf8), destination: Destination(endpoint: .none, transport: .udp),
                answerWithin: .seconds(32), location: ServerName(host: Array("im.away.test".utf8)))
            $0.profiles = [
                Laboratory.profile(
                    Laboratory.shortForm(0).map {
                        var criterion = $0
                        criterion.applicationServer.uri = "sip:im.away.test"
                        return criterion
                    })
            ]
        }
    }
    private let serverZone = Zone(
        """
        _sip._udp.im.away.test SRV 1 0 5080 a.away.test
        _sip._udp.im.away.test SRV 2 0 5090 a.away.test
        a.away.test A 127.0.0.1
        """)
    private let asksForIM = [("Accept-Contact", "*;+g.oma.sip-im")]

    @Test func anApplicationServerByName() {
        let rig = namedServer(serverZone)
        rig.send("MESSAGE", "sip:bob@home1.test", from: .alice, asksForIM)
        let first = rig.next(to: .im)
        #expect(first.all("Route").first == "<sip:im.away.test;lr>")
        rig.receive(first.response(503), from: .im)
        let second = rig.next(to: .second)
        rig.receive(second.response(202), from: .second)
        #expect(rig.trace() == ["alice 202 MESSAGE"])
    }

    @Test func anApplicationServerThatIsNowhereIsHandledByDefault() {
        let rig = namedServer(Zone(""))
        rig.send("MESSAGE", "sip:bob@home1.test", from: .alice, asksForIM)
        #expect(rig.trace() == ["bob MESSAGE"])
    }

    @Test func aThirdPartyRegisterWaitsAndGoesOn() {
        let rig = namedServer(nil)
        _ = rig.taken()
        rig.answerQuestions(from: serverZone)
        // Those of alice and bob have waited.
        let waited = rig.taken()
        #expect(waited.map { "\($0.destination) \($0.message.summary)" } == ["im REGISTER", "im REGISTER"])
        #expect(Set(waited.compactMap { $0.message["To"] }) == ["<sip:alice@home1.test>", "<sip:bob@home1.test>"])
        rig.receive(waited[0].message.response(503), from: .im)
        let second = rig.next(to: .second)
        #expect(second["To"] == waited[0].message["To"])
        #expect(second["Expires"] == waited[0].message["Expires"])
        #expect(second["Call-ID"] == waited[0].message["Call-ID"])
        rig.receive(second.response(200), from: .second)
        #expect(rig.thirdParty(0, .accepted) == 1)
        #expect(rig.thirdParty(0, .failed) == 0)
    }

    /// What a target says that was given up is nothing to the request, which is another's by then.
    @Test func aLateAnswerOfATargetThatWasGivenUpDoesNotCount() {
        let rig = CoreRig {
            $0.asksNames = true
            $0.applicationServers[0] = ServingCSCFConfiguration.ServerPlan(
                name: "im", uri: Array("sip:im.away.test".utf8), destination: Destination(endpoint: .none, transport: .udp),
                answerWithin: .seconds(2), location: ServerName(host: Array("im.away.test".utf8)))
            $0.profiles = [
                L.profile([
                    L.criterion(0, [.method("REGISTER")], 0) {
                        $0.uri = "sip:im.away.test"
                        $0.defaultHandling = .sessionTerminated
                    }
                ])
            ]
            $0.subscribers[0].isAuthenticated = false
        }
        rig.zone = serverZone
        rig.register(.alice)
        let first = rig.next(to: .im)
        rig.advance(.milliseconds(2100))
        let second = rig.next(to: .second)
        #expect(second.method == "REGISTER")
        rig.receive(first.response(503), from: .im)
        #expect(rig.contacts("sip:alice@home1.test").count == 1)
        rig.receive(second.response(200), from: .second)
        #expect(rig.thirdParty(0, .accepted) == 1)
        rig.advance(.seconds(40))
        #expect(rig.thirdParty(0, .failed) == 0)
        #expect(rig.contacts("sip:alice@home1.test").count == 1)
    }

    // MARK: The server that knows the user

    private static func servers(_ first: Int, _ second: Int) -> Zone {
        Zone(
            """
            _sip._udp.im.away.test SRV 1 0 \(first) a.away.test
            _sip._udp.im.away.test SRV 2 0 \(second) a.away.test
            a.away.test A 127.0.0.1
            """)
    }

    /// TS 24.229 §5.4.0: it was told of the registration, so it gets what follows, whatever the name stands for by then.
    @Test func requestsGoToTheServerThatHeardOfTheRegistration() {
        let rig = namedServer(Self.servers(5080, 5090))
        _ = rig.taken()
        rig.zone = Self.servers(5090, 5080)
        rig.advance(.seconds(61))
        rig.send("MESSAGE", "sip:bob@home1.test", from: .alice, asksForIM)
        let request = rig.next(to: .im)
        #expect(request.method == "MESSAGE")
        rig.receive(request.response(202), from: .im)
        _ = rig.taken()
        rig.answers = ["im": 200, "second": 200]
        rig.register(.alice)
        #expect(rig.trace() == ["im REGISTER"])
        rig.register(.alice, expires: 0)
        #expect(rig.trace() == ["im REGISTER"])
        // The next registration is another.
        rig.register(.alice)
        #expect(rig.trace() == ["second REGISTER"])
        rig.register(.alice)
        #expect(rig.trace() == ["second REGISTER"])
    }

    @Test func aServerThatFailsIsLeftForTheOthers() {
        let rig = namedServer(Self.servers(5080, 5090))
        _ = rig.taken()
        rig.zone = Self.servers(5090, 5080)
        rig.advance(.seconds(61))
        rig.send("MESSAGE", "sip:bob@home1.test", from: .alice, asksForIM)
        rig.receive(rig.next(to: .im).response(500), from: .im)
        _ = rig.taken()
        rig.send("MESSAGE", "sip:bob@home1.test", from: .alice, asksForIM)
        #expect(rig.trace() == ["second MESSAGE"])
    }

    /// The target that takes the place of one that is dead is kept from then on.
    @Test func theServerThatTookOverIsKept() {
        let rig = namedServer(Self.servers(5080, 5090))
        _ = rig.taken()
        rig.send("MESSAGE", "sip:bob@home1.test", from: .alice, asksForIM)
        rig.receive(rig.next(to: .im).response(503), from: .im)
        rig.receive(rig.next(to: .second).response(202), from: .second)
        _ = rig.taken()
        rig.answers = ["im": 200, "second": 200]
        rig.send("MESSAGE", "sip:bob@home1.test", from: .alice, asksForIM)
        #expect(rig.trace() == ["second MESSAGE", "alice 200 MESSAGE"])
        rig.register(.alice)
        #expect(rig.trace() == ["second REGISTER"])
    }

    @Test func aReregistrationMovesToTheServerThatTakesOver() {
        let rig = namedServer(Self.servers(5080, 5090))
        _ = rig.taken()
        rig.register(.alice)
        rig.receive(rig.next(to: .im).response(503), from: .im)
        rig.receive(rig.next(to: .second).response(200), from: .second)
        rig.answers = ["im": 200, "second": 200]
        rig.send("MESSAGE", "sip:bob@home1.test", from: .alice, asksForIM)
        #expect(rig.trace() == ["second MESSAGE", "alice 200 MESSAGE"])
    }

    /// Another ServerName of the same server may be another service: what one has heard does not bind the other.
    @Test func eachNameKeepsItsOwn() {
        let names = ["sip:im.away.test;service=a", "sip:im.away.test;service=b"]
        let rig = rig(Self.servers(5080, 5090)) {
            $0.applicationServers[0] = ServingCSCFConfiguration.ServerPlan(
                name: "im", uri: Array("sip:im.away.test".utf8), destination: Destination(endpoint: .none, transport: .udp),
                answerWithin: .seconds(32), location: ServerName(host: Array("im.away.test".utf8)))
            $0.profiles = [
                L.profile([
                    L.criterion(0, [.method("REGISTER")], 0) { $0.uri = names[0] },
                    L.criterion(1, [.method("MESSAGE"), .sessionCase(.originating)], 0) { $0.uri = names[0] },
                    L.criterion(2, [.method("OPTIONS"), .sessionCase(.originating)], 0) { $0.uri = names[1] },
                ])
            ]
        }
        _ = rig.taken()
        rig.zone = Self.servers(5090, 5080)
        rig.advance(.seconds(61))
        rig.answers = ["im": 200, "second": 200]
        rig.send("MESSAGE", "sip:bob@home1.test", from: .alice)
        #expect(rig.trace() == ["im MESSAGE", "alice 200 MESSAGE"])
        rig.send("OPTIONS", "sip:bob@home1.test", from: .alice)
        #expect(rig.trace() == ["second OPTIONS", "alice 200 OPTIONS"])
    }

    @Test func whoIsNotRegisteredKeepsTheFirstServerToo() {
        let rig = namedServer(Self.servers(5080, 5090))
        rig.answers = ["im": 200, "second": 200]
        rig.register(.bob, expires: 0)
        _ = rig.taken()
        let terminating = asksForIM
        rig.send("MESSAGE", "sip:bob@home1.test", from: .home2, terminating)
        #expect(rig.trace() == ["im MESSAGE", "home2 200 MESSAGE"])
        rig.zone = Self.servers(5090, 5080)
        rig.advance(.seconds(61))
        rig.send("MESSAGE", "sip:bob@home1.test", from: .home2, terminating)
        #expect(rig.trace() == ["im MESSAGE", "home2 200 MESSAGE"])
    }

    @Test func aContactByName() {
        let rig = rig(zone)
        rig.register(.bob, contact: "<sip:bob@away.test>")
        _ = rig.taken()
        rig.send("MESSAGE", "sip:bob@home1.test", from: .alice)
        #expect(rig.trace() == ["home2 MESSAGE"])
    }

    @Test(arguments: ["sip:bob@nowhere.test", "sip:bob@df7.invalid"])
    func aContactThatIsNowhereIsReachedByItsFlow(contact: String) {
        let rig = rig(zone)
        rig.register(.bob, contact: "<\(contact)>")
        _ = rig.taken()
        rig.send("MESSAGE", "sip:bob@home1.test", from: .alice)
        let request = rig.next(to: .bob)
        #expect(request.uri == contact)
    }

    @Test func theAcknowledgementOfASuccessIsLocatedOnItsOwn() {
        let rig = rig(nil)
        var acknowledgement = rig.request("ACK", toDora, from: .alice)
        acknowledgement.set("To", "<sip:dora@away.test>;tag=dora")
        rig.receive(acknowledgement, from: .alice)
        #expect(rig.trace() == [])
        rig.answerQuestions(from: zone)
        #expect(rig.trace() == ["home2 ACK"])
        rig.receive(acknowledgement, from: .alice)
        #expect(rig.trace() == ["home2 ACK"])
    }

    @Test func anAcknowledgementToNowhereIsCounted() {
        let rig = rig(Zone(""))
        var acknowledgement = rig.request("ACK", toDora, from: .alice)
        acknowledgement.set("To", "<sip:dora@away.test>;tag=dora")
        rig.receive(acknowledgement, from: .alice)
        #expect(rig.trace() == [])
        #expect(rig.dropped(.unroutableAcknowledgement) == 1)
    }

    @Test func aResetForgetsWhoWaits() {
        let rig = rig(nil)
        rig.send("MESSAGE", toDora, from: .alice)
        rig.core.reset(at: rig.now)
        rig.answerQuestions(from: zone)
        #expect(rig.trace() == [])
    }
}
