import IMSProfile
import SCSCF
import SansIO
import Testing

/// SUBSCRIBE to registration state: who may, what is granted, and what is answered (TS 24.229 §5.4.2.1.1, RFC 6665 §4.2.1).
@Suite(.overShards) struct SubscribeTests {
    private typealias L = Laboratory
    private let alice = "sip:alice@home1.test"

    @Test func aUserWatchesItself() throws {
        let rig = CoreRig.watched(.alice)
        let watcher = Watcher(rig)
        #expect(watcher.answer.status == 200)
        #expect(watcher.answer["Expires"] == "600")
        #expect(watcher.answer["Contact"] == "<sip:reg-sip%3Aalice%40home1.test@127.0.0.1:5060>")
        #expect(watcher.answer["To"]?.contains(";tag=") == true)
        let notify = watcher.notified()
        #expect(notify.startLine == "NOTIFY sip:alice@127.0.0.1:5071 SIP/2.0")
        #expect(notify["From"] == watcher.answer["To"])
        #expect(notify["To"] == watcher.request["From"])
        #expect(notify["Call-ID"] == watcher.request["Call-ID"])
        #expect(notify["CSeq"] == "1 NOTIFY")
        #expect(notify["Event"] == "reg")
        #expect(notify["Subscription-State"] == "active;expires=600")
        #expect(notify["Contact"] == watcher.answer["Contact"])
        #expect(rig.core.subscriptionCount == 1)
        #expect(rig.trace() == [])
    }

    @Test func anotherIdentityOfTheUserWillDo() throws {
        let rig = CoreRig.watched(.alice)
        let watcher = Watcher(rig, "tel:+15550100")
        #expect(watcher.answer.status == 200)
        #expect(try watcher.told().registrations.map(\.aor) == [alice, "tel:+15550100"])
        #expect(watcher.subscribe(expires: 100).status == 200)
    }

    @Test func withoutAContactThereIsNothingToWatch() {
        let rig = CoreRig.watched(.bob)
        #expect(Watcher(rig).answer.status == 480)
        #expect(Watcher(rig, as: .im).answer.status == 480)
        #expect(rig.core.subscriptionCount == 0)
    }

    @Test func othersAreRefused() {
        let rig = CoreRig.watched(.alice, .bob)
        for peer in [Peer.bob, .stranger, .second, .home2] { #expect(Watcher(rig, as: peer).answer.status == 403, "\(peer.name)") }
        #expect(rig.core.subscriptionCount == 0)
    }

    @Test func fromElsewhereAUserIsChallenged() {
        let rig = CoreRig.watched(.alice)
        let elsewhere = Peer("bobDesk", alice, port: 5073)
        let challenge = Watcher(rig, as: elsewhere)
        #expect(challenge.answer.status == 407)
        rig.receive(
            rig.answering(challenge.answer, challenge.request, username: "alice@home1.test", password: "wonderland"), from: elsewhere)
        #expect(rig.trace() == ["bobDesk 200 SUBSCRIBE", "bobDesk NOTIFY"])
    }

    @Test func anApplicationServerOfTheCriteriaMay() throws {
        let rig = CoreRig.watched(.alice)
        let watcher = Watcher(rig, as: .im, headers: [("P-Asserted-Identity", "<sip:127.0.0.1:5080>")])
        #expect(watcher.answer.status == 200)
        #expect(try watcher.told().contacts == ["active registered sip:alice@127.0.0.1:5071"])
        rig.register(.alice, expires: 0)
        #expect(try watcher.told().contacts == ["terminated unregistered sip:alice@127.0.0.1:5071"])
    }

    /// The answer to an application server says in which network its request has ended.
    @Test func theAnswerToAServerNamesUs() {
        let rig = CoreRig.watched(.alice)
        let vector = [("P-Charging-Vector", "icid-value=x7;orig-ioi=\"Type 3im.test\"")]
        let answer = Watcher(rig, as: .im, headers: vector).answer
        #expect(answer.status == 200)
        #expect(answer["P-Charging-Vector"] == "icid-value=x7;orig-ioi=\"Type 3im.test\";term-ioi=\"Type 3home1.test\"")
        #expect(!Watcher(rig, headers: vector).answer.has("P-Charging-Vector"))
    }

    @Test func anApplicationServerIsToldOfCharging() {
        let rig = CoreRig.watched(.alice) {
            $0.chargingFunctions = Array("ccf=192.0.2.9".utf8)
            $0.isPersistent = true
        }
        let first = Watcher(rig, as: .im).notified()
        let identity = first.parameter("icid-value", of: "P-Charging-Vector") ?? ""
        #expect(identity.count == 32)
        #expect(first["P-Charging-Vector"] == "icid-value=\(identity);icid-generated-at=127.0.0.1;orig-ioi=\"Type 3home1.test\"")
        #expect(first["P-Charging-Function-Addresses"] == "ccf=192.0.2.9")
        // Nor is it forgotten with the process.
        let again = rig.restarted()
        again.advance(.seconds(1))
        let after = again.next(to: .im)
        #expect(after.method == "NOTIFY" && after.has("P-Charging-Vector") && after.has("P-Charging-Function-Addresses"))
        #expect(after["P-Charging-Vector"] != first["P-Charging-Vector"])
        // A UE hears nothing of it.
        let own = Watcher(again).notified()
        #expect(own.method == "NOTIFY" && !own.has("P-Charging-Vector") && !own.has("P-Charging-Function-Addresses"))
    }

    @Test func anApplicationServerMayAfterAThirdPartyRegister() throws {
        let rig = CoreRig { $0.udpSizeLimit = 0 }
        rig.register(.alice)
        let told = rig.next(to: .im)
        rig.receive(told.response(200), from: .im)
        let identity = try #require(told["To"]).dropFirst().dropLast()
        #expect(Watcher(rig, String(identity), as: .im).answer.status == 200)
    }

    @Test func theEdgeOnThePathMay() throws {
        let edge = Peer("home3", "sip:edge.home3.test", port: 6070)
        let rig = CoreRig.watched()
        rig.register(.alice, [("Path", "<sip:127.0.0.1:9999;lr>, <sip:127.0.0.1:6070;lr>")])
        rig.register(.bob)
        _ = rig.taken()
        let watcher = Watcher(rig, as: edge)
        #expect(watcher.answer.status == 200)
        #expect(try watcher.told().registrations.count == 2)
        #expect(Watcher(rig, "sip:bob@home1.test", as: edge).answer.status == 403)
    }

    @Test func theEdgeMayByTheIdentityThatATrustedPeerAsserts() {
        let rig = CoreRig.watched { $0.trusted = [(IPAddress("192.0.2.0")!, 24)] }
        rig.register(.alice, [("Path", "<sip:edge.home3.test;lr>")])
        _ = rig.taken()
        func asserted(_ uri: String) -> Int? { Watcher(rig, as: .stranger, headers: [("P-Asserted-Identity", "<\(uri)>")]).answer.status }
        #expect(asserted("sip:EDGE.home3.test:5060") == 200)
        #expect(asserted("sip:edge.home3.test:5061") == 403)
        #expect(asserted("sip:other.home3.test") == 403)
        #expect(asserted(alice) == 200)
    }

    @Test func nobodyWatchesByABarredIdentity() {
        let rig = CoreRig.watched(.alice) { $0.subscribers[0].isBarred = [false, true] }
        #expect(Watcher(rig, "tel:+15550100").answer.status == 403)
        #expect(Watcher(rig).answer.status == 200)
    }

    // MARK: What is granted

    @Test func theDurationIsTheWishOrTheDefault() {
        let rig = CoreRig.watched(.alice)
        #expect(Watcher(rig, expires: nil).answer["Expires"] == "3761")
        #expect(Watcher(rig, expires: 600_000).answer["Expires"] == "600000")
        #expect(Watcher(rig, expires: 700_000).answer["Expires"] == "600000")
        #expect(Watcher(rig, expires: nil, headers: [("Expires", "99999999999")]).answer["Expires"] == "600000")
        let brief = Watcher(rig, expires: 59).answer
        #expect(brief.status == 423 && brief["Min-Expires"] == "60")
        #expect(Watcher(rig, expires: nil, headers: [("Expires", "soon")]).answer.status == 400)
    }

    @Test func aLookIsTakenWithExpiresZero() throws {
        let rig = CoreRig.watched(.alice)
        let watcher = Watcher(rig, expires: 0)
        #expect(watcher.answer.status == 200 && watcher.answer["Expires"] == "0")
        let notify = watcher.notified()
        #expect(notify["Subscription-State"] == "terminated;reason=timeout")
        let info = try RegistrationInfo(notify)
        #expect(info.state == "full" && info.contacts == ["active registered sip:alice@127.0.0.1:5071"])
        #expect(rig.core.subscriptionCount == 0)
        rig.register(.alice)
        #expect(rig.trace() == ["im REGISTER"])
    }

    @Test(arguments: [
        ("application/reginfo+xml", 200), ("text/plain, application/reginfo+xml;q=0.5", 200), ("*/*", 200), ("application/*", 200),
        ("application/pidf+xml", 406), ("text/*", 406), ("application/reginfo+xml;q=0", 406), ("*/*, application/reginfo+xml;q=0.0", 406),
        ("application/reginfo+xml;q=0.1, */*;q=0", 200), ("*/*;q=0", 406),
    ])
    func theWatcherMustTakeTheDocument(accept: String, status: Int) {
        let rig = CoreRig.watched(.alice)
        let answer = Watcher(rig, headers: [("Accept", accept)]).answer
        #expect(answer.status == status)
        #expect((answer["Accept"] == "application/reginfo+xml") == (status == 406))
    }

    @Test func aWatcherMustBeReachable() {
        let rig = CoreRig.watched(.alice)
        let request = rig.request("SUBSCRIBE", alice, from: .alice, [("Event", "reg")])
        rig.receive(request.with("Contact", nil), from: .alice)
        #expect(rig.next(to: .alice).status == 400)
        rig.receive(rig.again(request).with("Contact", "<tel:+15550100>"), from: .alice)
        #expect(rig.next(to: .alice).status == 400)
    }

    @Test func whatIsRequiredMustBeKnown() {
        let answer = Watcher(CoreRig.watched(.alice), headers: [("Require", "eventlist")]).answer
        #expect(answer.status == 420 && answer["Unsupported"] == "eventlist")
    }

    @Test func otherPackagesAreForOthers() {
        let rig = CoreRig.watched(.alice, .bob)
        rig.send("SUBSCRIBE", "sip:bob@home1.test", from: .alice, [("Event", "presence")])
        #expect(rig.trace() == ["bob SUBSCRIBE"])
        rig.send("SUBSCRIBE", "sip:bob@home1.test", from: .alice, [("Event", "Reg")])
        #expect(rig.trace() == ["bob SUBSCRIBE"])
        for event in ["presence", "reg.winfo", "REG"] {
            rig.send("SUBSCRIBE", "sip:home1.test", from: .alice, [("Event", event)])
            let answer = rig.next(to: .alice)
            #expect(answer.status == 489 && answer["Allow-Events"] == "reg", "\(event)")
        }
        rig.send("SUBSCRIBE", "sip:home1.test", from: .alice, [("Event", "reg")])
        #expect(rig.next(to: .alice).status == 404)
        rig.send("SUBSCRIBE", "sip:home1.test", from: .alice)
        #expect(rig.next(to: .alice).status == 489)
    }

    @Test func thereIsRoomForSoManyOnly() {
        let rig = CoreRig.watched(.alice) { $0.registrationEvents.maximumPerUser = 2 }
        #expect((0..<3).map { _ in Watcher(rig).answer.status } == [200, 200, 503])
        let full = CoreRig.watched(.alice, .bob) { $0.registrationEvents.maximum = 1 }
        #expect(Watcher(full).answer.status == 200)
        let answer = Watcher(full).answer
        #expect(answer.status == 503 && answer["Retry-After"] == "5")
    }

    @Test func aDialogIsKeptUpToASize() {
        let routes = (0..<80).map { _ in ("Record-Route", "<sip:\(String(repeating: "x", count: 50)).test;lr>") }
        #expect(Watcher(CoreRig.watched(.alice), headers: routes).answer.status == 513)
    }

    @Test func aSecondCopyIsMerged() {
        let rig = CoreRig.watched(.alice)
        let watcher = Watcher(rig)
        _ = watcher.notified()
        rig.receive(watcher.request.with("Via", "SIP/2.0/UDP 127.0.0.1:5071;branch=z9hG4bKother;rport"), from: .alice)
        #expect(rig.trace() == ["alice 482 SUBSCRIBE"])
        rig.receive(watcher.request, from: .alice)
        #expect(rig.trace() == ["alice 200 SUBSCRIBE"])
    }

    // MARK: Within the dialog

    @Test func aRefreshProlongsAndTellsEverything() throws {
        let rig = CoreRig.watched(.alice)
        let watcher = Watcher(rig)
        _ = watcher.notified()
        rig.advance(.seconds(500))
        #expect(watcher.subscribe(expires: 1000)["Expires"] == "1000")
        let notify = watcher.notified()
        #expect(notify["Subscription-State"] == "active;expires=1000")
        #expect(notify["CSeq"] == "2 NOTIFY")
        let info = try RegistrationInfo(notify)
        #expect(info.version == 1 && info.state == "full" && info.registrations.count == 2)
        rig.advance(.seconds(200))
        #expect(rig.trace() == [])
        #expect(rig.core.subscriptionCount == 1)
    }

    @Test func expiresZeroEndsIt() throws {
        let rig = CoreRig.watched(.alice)
        let watcher = Watcher(rig)
        _ = watcher.notified()
        #expect(watcher.subscribe(expires: 0)["Expires"] == "0")
        let notify = watcher.notified()
        #expect(notify["Subscription-State"] == "terminated;reason=timeout")
        #expect(try RegistrationInfo(notify).contacts == ["active registered sip:alice@127.0.0.1:5071"])
        #expect(rig.core.subscriptionCount == 0)
        #expect(watcher.subscribe(expires: 600).status == 481)
        rig.register(.alice)
        #expect(rig.trace() == ["im REGISTER"])
    }

    @Test func onlyItsOwnDialogGoesOn() {
        let rig = CoreRig.watched(.alice)
        let watcher = Watcher(rig)
        _ = watcher.notified()
        #expect(watcher.subscribe(expires: 600) { $0.set("Call-ID", "other@alice") }.status == 481)
        #expect(watcher.subscribe(expires: 600) { $0.set("From", "<sip:alice@home1.test>;tag=other") }.status == 481)
        #expect(watcher.subscribe(expires: 600) { $0.set("To", "<sip:alice@home1.test>;tag=0123456789abcdef") }.status == 481)
        #expect(watcher.subscribe(expires: 600) { $0.set("To", "<sip:alice@home1.test>;tag=short") }.status == 481)
        #expect(watcher.subscribe(expires: 600) { $0.set("CSeq", "1 SUBSCRIBE") }.status == 500)
        #expect(watcher.subscribe(expires: 600) { $0.set("Event", "presence") }.status == 489)
        #expect(watcher.subscribe(expires: 0) { $0.set("Event", "reg;id=7") }.status == 481)
        #expect(watcher.subscribe(expires: 30).status == 423)
        #expect(watcher.subscribe(expires: 600).status == 200)
    }

    @Test func theIDOfTheEventIsKept() {
        let rig = CoreRig.watched(.alice)
        let request = rig.request("SUBSCRIBE", alice, from: .alice, [("Event", "reg;id=x1"), ("Expires", "600")])
        rig.receive(request, from: .alice)
        #expect(rig.next(to: .alice).status == 200)
        #expect(rig.next(to: .alice)["Event"] == "reg;id=x1")
    }

    @Test func aDialogMayHaveSeveralSubscriptions() throws {
        let rig = CoreRig.watched(.alice)
        let watcher = Watcher(rig)
        #expect(watcher.notified()["CSeq"] == "1 NOTIFY")
        func subscribe(_ event: String, expires: Int) -> SIPText { watcher.subscribe(expires: expires) { $0.set("Event", event) } }
        let answer = subscribe("reg;id=b", expires: 300)
        #expect(answer.status == 200 && answer["Expires"] == "300" && answer["To"] == watcher.answer["To"])
        let second = watcher.notified()
        #expect(second["Event"] == "reg;id=b" && second["CSeq"] == "2 NOTIFY")
        #expect(second["Subscription-State"] == "active;expires=300")
        #expect(try RegistrationInfo(second).version == 0)
        // Each change is told to both: versions are each one's own, CSeqs the dialog's.
        rig.register(.alice)
        let pair = [watcher.notified(), watcher.notified()]
        #expect(pair.compactMap { $0["CSeq"] } == ["3 NOTIFY", "4 NOTIFY"])
        #expect(Set(pair.compactMap { $0["Event"] }) == ["reg", "reg;id=b"])
        for notify in pair { #expect(try RegistrationInfo(notify).version == 1) }
        // One ends, the other goes on.
        #expect(subscribe("reg", expires: 0).status == 200)
        #expect(watcher.notified()["Subscription-State"] == "terminated;reason=timeout")
        #expect(rig.core.subscriptionCount == 1)
        #expect(subscribe("reg", expires: 0).status == 481)
        #expect(subscribe("reg;id=b", expires: 400).status == 200)
        let last = watcher.notified()
        #expect(last["Event"] == "reg;id=b" && last["CSeq"] == "6 NOTIFY")
        #expect(try RegistrationInfo(last).version == 2)
        #expect(subscribe("reg;id=b", expires: 0).status == 200)
        _ = watcher.notified()
        #expect(rig.core.subscriptionCount == 0)
        #expect(subscribe("reg;id=c", expires: 300).status == 481)
    }

    @Test func theCSeqOfAWatcherIsTheDialogs() {
        let rig = CoreRig.watched(.alice)
        let watcher = Watcher(rig)
        _ = watcher.notified()
        #expect(watcher.subscribe(expires: 300) { $0.set("Event", "reg;id=b") }.status == 200)
        _ = watcher.notified()
        #expect(watcher.subscribe(expires: 300) { $0.set("CSeq", "7001 SUBSCRIBE") }.status == 500)
    }

    @Test func aRefreshMayMoveTheTarget() {
        let rig = CoreRig.watched(.alice)
        let watcher = Watcher(rig)
        _ = watcher.notified()
        _ = watcher.subscribe(expires: 600) { $0.set("Contact", "<sip:alice@127.0.0.1:5073>") }
        #expect(rig.trace() == ["bobDesk NOTIFY"])
        #expect(watcher.subscribe(expires: 600) { $0.set("Contact", nil) }.status == 400)
        #expect(watcher.subscribe(expires: 0) { $0.set("Contact", nil) }.status == 200)
    }

    @Test func theRouteSetIsFollowed() {
        let rig = CoreRig.watched(.alice)
        let routes = [("Record-Route", "<sip:127.0.0.1:6070;lr>"), ("Record-Route", "<sip:127.0.0.1:6060;lr>")]
        let watcher = Watcher(rig, headers: routes)
        #expect(watcher.answer.all("Record-Route") == routes.map(\.1))
        let notify = rig.next(to: .home3)
        #expect(notify.uri == "sip:alice@127.0.0.1:5071")
        #expect(notify["Route"] == "<sip:127.0.0.1:6070;lr>, <sip:127.0.0.1:6060;lr>")
    }

    @Test func aStrictRouterGetsTheTargetAsTheLastRoute() {
        let rig = CoreRig.watched(.alice)
        _ = Watcher(rig, headers: [("Record-Route", "<sip:127.0.0.1:6070>"), ("Record-Route", "<sip:127.0.0.1:6060;lr>")])
        let notify = rig.next(to: .home3)
        #expect(notify.uri == "sip:127.0.0.1:6070")
        #expect(notify.all("Route") == ["<sip:127.0.0.1:6060;lr>", "<sip:alice@127.0.0.1:5071>"])
    }

    @Test func aTargetThatLeadsNowhereIsReachedByTheFlow() {
        let rig = CoreRig.watched()
        rig.register(.aliceStream)
        _ = rig.taken()
        let request = rig.request("SUBSCRIBE", alice, from: .aliceStream, [("Event", "reg")])
        rig.receive(request.with("Contact", "<sip:alice@abc.invalid;transport=ws>"), from: .aliceStream)
        let sent = rig.taken()
        #expect(sent.map(\.message.summary) == ["200 SUBSCRIBE", "NOTIFY"])
        #expect(sent.allSatisfy { $0.flow.connection == Peer.aliceStream.flow.connection })
        #expect(sent.last?.message.uri == "sip:alice@abc.invalid;transport=ws")
    }

    @Test func aLargeNotifyGoesByAStream() {
        let rig = CoreRig.watched(.alice) { $0.udpSizeLimit = 600 }
        _ = Watcher(rig)
        #expect(rig.trace() == ["tcp:127.0.0.1:5071 NOTIFY"])
    }
}
