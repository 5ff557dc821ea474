import IMSProfile
import SCSCF
import SIPRegistrar
import SansIO
import Testing
import XMLTree

/// What watchers are told, and when (RFC 3680 §4.7, §5; RFC 6665 §4.2.2; TS 24.229 §5.4.2.1.2).
@Suite(.overShards) struct NotifyTests {
    private typealias L = Laboratory
    private let contact = "sip:alice@127.0.0.1:5071"

    /// Alice, watched, who has seen the first NOTIFY.
    private func watched(_ change: (inout ServingCSCFConfiguration) -> Void = { _ in }) -> (CoreRig, Watcher) {
        let rig = CoreRig.watched(.alice, change: change)
        let watcher = Watcher(rig)
        _ = watcher.notified()
        return (rig, watcher)
    }

    // MARK: The document

    @Test func theDocumentHasWhatIsRegistered() throws {
        let rig = CoreRig.watched()
        let instance = "\"<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>\""
        rig.register(
            .alice,
            contact: "<sip:alice@127.0.0.1:5071;a=1&b>;q=0.5;+sip.instance=\(instance);+g.oma.sip-im;audio=\"<&\u{E9}>\";expires=900")
        _ = rig.taken()
        let watcher = Watcher(rig)
        rig.advance(.milliseconds(100))
        let notify = watcher.notified()
        #expect(
            notify.body.contains(
                "<unknown-param name=\"+sip.instance\">&quot;&lt;urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF&gt;&quot;</unknown-param>"))
        #expect(notify.body.contains("<unknown-param name=\"+g.oma.sip-im\"/>"))
        let info = try RegistrationInfo(notify)
        #expect(info.version == 0 && info.state == "full")
        #expect(info.registrations.map(\.aor) == ["sip:alice@home1.test", "tel:+15550100"])
        #expect(info.registrations.map(\.state) == ["active", "active"])
        let found = try #require(info.registrations[0].contacts.first)
        #expect(found.uri == "sip:alice@127.0.0.1:5071;a=1&b")
        #expect(found.attributes["expires"] == "900" && found.attributes["q"] == "0.5")
        #expect(found.attributes["callid"]?.hasSuffix("@alice") == true && found.attributes["cseq"] != nil)
        #expect(found.parameters == [["+sip.instance", instance], ["+g.oma.sip-im", ""], ["audio", "\"<&\u{E9}>\""]])
    }

    /// RFC 5628 §5: the public GRUU, and the temporary one of the last answer with the REGISTER since which such ones hold.
    @Test func theDocumentHasTheGRUUs() throws {
        let rig = CoreRig.watched()
        let contact = "<sip:alice@127.0.0.1:5071>;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-aabbccddeeff>\""
        let answer = rig.register(.alice, contact: contact, [("Supported", "gruu")])
        let temporary = try #require(answer.parameter("temp-gruu", of: "Contact"))
        _ = rig.taken()
        let notify = Watcher(rig).notified()
        let found = try #require(try RegistrationInfo(notify).registrations.first?.contacts.first)
        let sequence = try #require(found.attributes["cseq"])
        #expect(notify.body.contains("<gr:pub-gruu uri=\"sip:alice@home1.test;gr=urn:uuid:00000000-0000-1000-8000-aabbccddeeff\"/>"))
        #expect(notify.body.contains("<gr:temp-gruu uri=\"\(temporary)\" first-cseq=\"\(sequence)\"/>"))
        rig.send("MESSAGE", temporary, from: .home2)
        #expect(rig.trace() == ["alice MESSAGE"])
    }

    /// TS 24.229 §5.4.2.1.2: a wildcard is registered with its set, and stands there as it is provisioned.
    @Test func wildcardsOfTheSetAreToldOf() throws {
        let wildcard = try SpecialIdentity(wildcard: Array("sip:alice+![0-9]+<x!@home1.test".utf8), isService: false, profile: nil)
        let service = try SpecialIdentity(wildcard: Array("sip:chat!.*!@home1.test".utf8), isService: true, profile: nil)
        let rig = CoreRig.watched { $0.subscribers[0].specialIdentities = [service, wildcard] }
        rig.register(.alice, contact: "<sip:alice@127.0.0.1:5071>;+sip.instance=\"<urn:uuid:1>\"")
        _ = rig.taken()
        let watcher = Watcher(rig)
        let notify = watcher.notified()
        let info = try RegistrationInfo(notify)
        #expect(info.registrations.map(\.aor) == ["sip:alice@home1.test", "tel:+15550100", "sip:wildcardimpu@wildcard"])
        #expect(info.contacts(2) == ["active created sip:alice@127.0.0.1:5071"])
        let root = try XMLTree.parse(Array(notify.body.utf8))
        let last = try #require(root.elements("registration", namespace: RegistrationInfo.namespace).last)
        #expect(
            last.element("wildcardedIdentity", namespace: "urn:3gpp:ns:extRegExp:1.0")?.text == "sip:alice+![0-9]+<x!@home1.test")
        #expect(rig.deregister("sip:alice@home1.test"))
        #expect(try watcher.told().registrations.map(\.state) == ["terminated", "terminated", "terminated"])
    }

    @Test func theIdentityRegisteredByIsRegisteredTheOthersAreCreated() throws {
        let rig = CoreRig.watched(.alice)
        var info = try Watcher(rig).told()
        #expect(info.registrations.map { $0.contacts[0].event } == ["registered", "created"])
        rig.register(.alice, expires: 0)
        _ = rig.taken()
        let tel = Peer("alice", "tel:+15550100", port: 5071)
        let request = rig.registerRequest(tel, contact: "<\(contact)>")
        rig.receive(request, from: .alice)
        rig.receive(
            rig.answering(rig.next(to: .alice), request, username: "alice@home1.test", password: "wonderland"), from: .alice)
        _ = rig.taken()
        info = try Watcher(rig).told()
        #expect(info.registrations.map { $0.contacts[0].event } == ["created", "registered"])
    }

    @Test func barredIdentitiesAreAbsent() throws {
        let rig = CoreRig.watched(.alice) { $0.subscribers[0].isBarred = [false, true] }
        let notify = Watcher(rig).notified()
        #expect(try RegistrationInfo(notify).registrations.map(\.aor) == ["sip:alice@home1.test"])
        #expect(!notify.text.contains("15550100"))
    }

    @Test func octetsThatXMLCannotCarryAreReplaced() throws {
        let rig = CoreRig.watched()
        var octets: [UInt8] = []
        let request = rig.registerRequest(.carol, contact: "<sip:carol@127.0.0.1:5075>;note=\"@@\"")
        for octet in Array(request.text.utf8) { octets.append(octet) }
        let marks = octets.indices.filter { octets[$0] == 0x40 && $0 + 1 < octets.count && octets[$0 + 1] == 0x40 }
        let place = try #require(marks.first)
        octets[place] = 0xFF
        octets[place + 1] = 0xC3
        rig.receive(octets, from: .carol)
        #expect(rig.next(to: .carol).status == 200)
        let info = try Watcher(rig, "sip:carol@home1.test", as: .carol).told()
        #expect(info.registrations[0].contacts[0].parameters == [["note", "\"\u{FFFD}\u{FFFD}\""]])
    }

    @Test func whatDoesNotFitIsLeftOut() throws {
        let rig = CoreRig.watched { $0.registrar = .init(profile: .rfc3261) }
        // Each octet becomes four.
        let long = "\"\(String(repeating: "<", count: 3000))\""
        for i in 0..<3 { rig.register(.alice, contact: "<sip:alice@127.0.0.1:\(7000 + i)>;note=\(long)") }
        _ = rig.taken()
        let notify = Watcher(rig).notified()
        let info = try RegistrationInfo(notify)
        #expect(notify.text.utf8.count < 65_000)
        #expect(info.registrations.reduce(0) { $0 + $1.contacts.count } == 4)
        #expect(rig.notices.contains { $0.text.contains("did not fit") })
    }

    // MARK: Events

    @Test func eventsComeInOrder() throws {
        let (rig, watcher) = watched()
        rig.register(.alice, expires: 100)
        let refreshed = try watcher.told()
        #expect(refreshed.version == 1 && refreshed.state == "full")
        #expect(refreshed.contacts == ["active refreshed \(contact)"] && refreshed.contacts(1) == refreshed.contacts)
        rig.advance(.seconds(100))
        let last = watcher.notified()
        #expect(last["Subscription-State"] == "terminated;reason=deactivated")
        #expect(last["CSeq"] == "3 NOTIFY")
        let info = try RegistrationInfo(last)
        #expect(info.version == 2 && info.registrations.map(\.state) == ["terminated", "terminated"])
        #expect(info.contacts == ["terminated expired \(contact)"])
        #expect(rig.core.subscriptionCount == 0)
    }

    @Test func deregistrationByTheUser() throws {
        let (rig, watcher) = watched()
        rig.register(.alice, expires: 0)
        let notify = watcher.notified()
        #expect(notify["Subscription-State"] == "terminated;reason=deactivated")
        #expect(try RegistrationInfo(notify).contacts == ["terminated unregistered \(contact)"])
    }

    @Test func deregistrationByTheNetwork() throws {
        let (rig, watcher) = watched { $0.registrationEvents.endReason = .noresource }
        #expect(rig.deregister("sip:alice@home1.test"))
        let notify = watcher.notified()
        #expect(notify["Subscription-State"] == "terminated;reason=noresource")
        #expect(try RegistrationInfo(notify).contacts == ["terminated deactivated \(contact)"])
    }

    @Test func theNetworkMayTellTheUserToStayAway() throws {
        let (rig, watcher) = watched()
        #expect(rig.deregister("sip:alice@home1.test", .rejected))
        let notify = watcher.notified()
        #expect(notify["Subscription-State"] == "terminated;reason=rejected")
        let info = try RegistrationInfo(notify)
        #expect(info.contacts == ["terminated rejected \(contact)"] && info.contacts(1) == info.contacts)
        #expect(info.registrations[0].contacts[0].attributes["retry-after"] == nil)
        #expect(rig.core.subscriptionCount == 0)
    }

    @Test func theNetworkMayTellTheUserToWait() throws {
        let (rig, watcher) = watched { $0.isPersistent = true }
        #expect(rig.deregister("tel:+15550100", .probation(retryAfter: 300)))
        let notify = watcher.notified()
        #expect(notify["Subscription-State"] == "terminated;reason=probation;retry-after=300")
        let info = try RegistrationInfo(notify)
        #expect(info.contacts == ["terminated probation \(contact)"])
        #expect(info.registrations.map { $0.contacts[0].attributes["retry-after"] } == ["300", "300"])
        // It is no order: who registers all the same is registered, and told nothing of it.
        #expect(rig.register(.alice).status == 200)
        let again = try Watcher(rig).told()
        #expect(again.contacts == ["active registered \(contact)"] && again.registrations[0].contacts[0].attributes["retry-after"] == nil)
    }

    @Test func howItEndedLastCounts() throws {
        let (rig, watcher) = watched { $0.registrar = .init(profile: .rfc3261) }
        rig.register(.alice, contact: "<sip:other@127.0.0.1:5071>")
        #expect(try watcher.told().contacts.count == 2)
        rig.register(.alice, expires: 0)
        #expect(watcher.notified()["Subscription-State"]?.hasPrefix("active") == true)
        #expect(rig.deregister("sip:alice@home1.test", .rejected))
        #expect(watcher.notified()["Subscription-State"] == "terminated;reason=rejected")
    }

    @Test func otherIdentitiesAreANewRegistration() throws {
        let (rig, watcher) = watched()
        let identities = ["sip:alice@home1.test", "sip:alicia@home1.test"]
        rig.change(.replace(0, L.subscriber("alice", identities, password: "wonderland", profile: 0)))
        let notify = watcher.notified()
        #expect(notify["Subscription-State"] == "terminated;reason=deactivated")
        let ended = try RegistrationInfo(notify)
        #expect(ended.registrations.map(\.aor) == ["sip:alice@home1.test", "tel:+15550100"])
        #expect(ended.registrations.map(\.state) == ["terminated", "terminated"])
        #expect(ended.contacts == ["terminated deactivated \(contact)"])
        // The user does what it was told, and hears of the new set.
        rig.register(.alice)
        let info = try Watcher(rig).told()
        #expect(info.registrations.map(\.aor) == identities)
        #expect(info.registrations.map { $0.contacts[0].event } == ["registered", "created"])
    }

    @Test func whoIsNoSubscriberAnyMoreIsRejected() throws {
        let (rig, watcher) = watched()
        rig.change(.remove(0))
        let notify = watcher.notified()
        #expect(notify["Subscription-State"] == "terminated;reason=rejected")
        #expect(try RegistrationInfo(notify).contacts == ["terminated rejected \(contact)"])
    }

    @Test func anApplicationServerThatRefuses() throws {
        let (rig, watcher) = watched {
            $0.profiles = [L.profile([L.criterion(0, [.method("REGISTER")], 0) { $0.defaultHandling = .sessionTerminated }])]
        }
        rig.answers["im"] = 500
        rig.register(.alice)
        #expect(try watcher.told().contacts == ["active refreshed \(contact)"])
        #expect(try watcher.told().contacts == ["terminated rejected \(contact)"])
    }

    @Test func aContactThatIsReplacedIsUnregistered() throws {
        let (rig, watcher) = watched()
        rig.register(.alice, contact: "<sip:alice@127.0.0.1:9>")
        #expect(try watcher.told().contacts == ["terminated unregistered \(contact)", "active registered sip:alice@127.0.0.1:9"])
        rig.register(.alice, contact: "<sip:alice@127.0.0.1:9>")
        #expect(try watcher.told().contacts == ["active refreshed sip:alice@127.0.0.1:9"])
    }

    @Test func oneOfSeveralContactsExpires() throws {
        let (rig, watcher) = watched { $0.registrar = .init(profile: .rfc3261) }
        rig.register(.alice, expires: 100, contact: "<sip:alice@127.0.0.1:9>")
        #expect(try watcher.told().contacts == ["active registered \(contact)", "active registered sip:alice@127.0.0.1:9"])
        rig.advance(.seconds(101))
        let notify = watcher.notified()
        #expect(notify["Subscription-State"] == "active;expires=500")
        let info = try RegistrationInfo(notify)
        #expect(info.contacts == ["active registered \(contact)", "terminated expired sip:alice@127.0.0.1:9"])
        #expect(info.registrations[0].state == "active")
    }

    @Test func aContactWhoseFlowFailedIsDeactivated() throws {
        let (rig, watcher) = watched { $0.registrar = .init(profile: .rfc3261) }
        rig.register(.alice, contact: "<sip:alice@127.0.0.1:5073>")
        _ = watcher.notified()
        rig.register(.bob)
        _ = rig.taken()
        rig.send("MESSAGE", "sip:alice@home1.test", from: .bob)
        let toDesk = try #require(rig.taken().first { $0.destination == "bobDesk" })
        rig.receive(toDesk.message.response(430), from: .bobDesk)
        #expect(try watcher.told().contacts == ["active registered \(contact)", "terminated deactivated sip:alice@127.0.0.1:5073"])
    }

    @Test func whenAContactWasBoundIsToldIfItWasSeen() throws {
        let (rig, watcher) = watched { $0.registrar = .init(profile: .rfc3261) }
        rig.register(.alice, contact: "<sip:alice@127.0.0.1:9>")
        _ = watcher.notified()
        rig.advance(.seconds(50))
        rig.register(.alice, contact: "<sip:alice@127.0.0.1:9>")
        let contacts = try watcher.told().registrations[0].contacts
        #expect(contacts.map { $0.attributes["duration-registered"] } == [nil, "50"])
        #expect(contacts.map { $0.attributes["expires"] } == ["3550", "3600"])
    }

    @Test func ofOneUserAnotherHearsNothing() {
        let (rig, _) = watched()
        rig.register(.bob)
        #expect(rig.trace() == ["im REGISTER"])
    }

    // MARK: Partial state

    @Test func onlyWhatChangedIsToldIfThatIsWanted() throws {
        let (rig, watcher) = watched {
            $0.registrar = .init(profile: .rfc3261)
            $0.registrationEvents.tellsChangesOnly = true
        }
        rig.register(.alice, contact: "<sip:alice@127.0.0.1:9>")
        let info = try watcher.told()
        #expect(info.state == "partial" && info.version == 1)
        #expect(info.contacts == ["active registered sip:alice@127.0.0.1:9"])
        watcher.subscribe(expires: 600)
        let full = try watcher.told()
        #expect(full.state == "full" && full.version == 2 && full.registrations[0].contacts.count == 2)
        rig.register(.alice, expires: 0, contact: "<sip:alice@127.0.0.1:9>")
        let gone = try watcher.told()
        #expect(gone.state == "partial" && gone.contacts == ["terminated unregistered sip:alice@127.0.0.1:9"])
        // The ids are those of before.
        #expect(gone.registrations[0].contacts[0].id == info.registrations[0].contacts[0].id)
        rig.register(.alice, expires: 0, contact: "*")
        #expect(try watcher.told().state == "full")
    }

    // MARK: Several watchers, and slow ones

    @Test func twoWatchersAreToldEach() throws {
        let rig = CoreRig.watched(.alice)
        let (own, server) = (Watcher(rig), Watcher(rig, as: .im))
        #expect(own.answer.status == 200 && server.answer.status == 200)
        for _ in 0..<3 { rig.register(.alice) }
        let notifies = rig.taken().filter { $0.message.method == "NOTIFY" }
        #expect(notifies.map(\.destination) == ["im"], "each is told at once, and then waits")
        #expect(rig.core.subscriptionCount == 2)
    }

    @Test func oneNotifyIsUnderWayAtATime() throws {
        let rig = CoreRig.watched(.alice) { $0.registrar = .init(profile: .rfc3261) }
        let watcher = Watcher(rig)
        let first = rig.next(to: .alice)
        for port in 10..<20 { rig.register(.alice, contact: "<sip:alice@127.0.0.1:\(port)>") }
        rig.register(.alice, expires: 0, contact: "<sip:alice@127.0.0.1:10>")
        #expect(!rig.taken().contains { $0.message.method == "NOTIFY" })
        rig.receive(first.response(200), from: .alice)
        let info = try watcher.told()
        #expect(info.version == 1)
        #expect(info.contacts.count == 11)
        #expect(info.contacts.contains("terminated unregistered sip:alice@127.0.0.1:10"))
        #expect(rig.trace() == [])
    }

    @Test func whatHasEndedIsToldOnceToEach() throws {
        let rig = CoreRig.watched(.alice) { $0.registrar = .init(profile: .rfc3261) }
        rig.register(.alice, contact: "<sip:alice@127.0.0.1:9>")
        _ = rig.taken()
        let own = Watcher(rig)
        let slow = rig.next(to: .alice)
        let server = Watcher(rig, as: .im)
        _ = server.notified()
        rig.register(.alice, expires: 0, contact: "<sip:alice@127.0.0.1:9>")
        let both = ["active registered \(contact)", "terminated unregistered sip:alice@127.0.0.1:9"]
        #expect(try server.told().contacts == both)
        rig.register(.alice)
        #expect(try server.told().contacts == ["active refreshed \(contact)"])
        // A new watcher has not missed anything, the slow one has.
        #expect(try Watcher(rig, as: .im).told().contacts == ["active refreshed \(contact)"])
        rig.receive(slow.response(200), from: .alice)
        #expect(try own.told().contacts == ["active refreshed \(contact)", "terminated unregistered sip:alice@127.0.0.1:9"])
    }

    // MARK: The end of a subscription

    @Test func aSubscriptionExpires() throws {
        let (rig, watcher) = watched()
        rig.advance(.milliseconds(599_999))
        #expect(rig.trace() == [])
        rig.advance(.milliseconds(1))
        let notify = watcher.notified()
        #expect(notify["Subscription-State"] == "terminated;reason=timeout")
        #expect(try RegistrationInfo(notify).contacts == ["active registered \(contact)"])
        #expect(rig.core.subscriptionCount == 0)
        rig.register(.alice)
        #expect(!rig.taken().contains { $0.message.method == "NOTIFY" })
    }

    @Test(arguments: [300, 404, 481, 489, 500, 503, 603]) func aRefusedNotifyEndsIt(status: Int) {
        let rig = CoreRig.watched(.alice)
        let watcher = Watcher(rig)
        _ = watcher.notified(status)
        #expect(rig.core.subscriptionCount == 0)
        #expect(watcher.subscribe(expires: 600).status == 481)
        #expect(rig.notifies(.sent) == 1 && rig.notifies(.refused) == 1)
    }

    @Test func silenceEndsIt() {
        let rig = CoreRig.watched(.alice)
        _ = Watcher(rig)
        _ = rig.taken()
        rig.advance(.seconds(31))
        #expect(rig.core.subscriptionCount == 1)
        rig.advance(.seconds(2))
        #expect(rig.core.subscriptionCount == 0)
        #expect(rig.notifies(.failed) == 1)
        #expect(!rig.taken().contains { $0.message.text.contains("terminated") })
    }

    @Test func aTransportThatFailsEndsIt() throws {
        let rig = CoreRig.watched(.alice)
        _ = Watcher(rig)
        rig.fail(try #require(rig.taken().first { $0.message.method == "NOTIFY" }))
        #expect(rig.core.subscriptionCount == 0)
    }

    @Test func aBusyWatcherIsTriedAgain() throws {
        let rig = CoreRig.watched(.alice) { $0.registrationEvents.tellsChangesOnly = true }
        let watcher = Watcher(rig)
        _ = watcher.notified(503, [("Retry-After", "20 (busy);duration=60")])
        rig.register(.alice)
        #expect(!rig.taken().contains { $0.message.method == "NOTIFY" })
        rig.advance(.milliseconds(19_999))
        #expect(rig.trace() == [])
        rig.advance(.milliseconds(1))
        let notify = watcher.notified()
        #expect(notify["CSeq"] == "2 NOTIFY")
        let info = try RegistrationInfo(notify)
        #expect(info.state == "full" && info.contacts == ["active refreshed \(contact)"])
        #expect(rig.core.subscriptionCount == 1)
    }

    @Test func withoutRoomForATransactionItIsToldLater() throws {
        let rig = CoreRig(Division()) {
            $0.udpSizeLimit = 0
            $0.transactionLimit = 16
            $0.subscribers[0].isAuthenticated = false
        }
        rig.answers["im"] = 200
        rig.register(.alice)
        _ = rig.taken()
        let watcher = Watcher(rig)
        _ = watcher.notified()
        // Their transactions linger until none is left.
        for _ in 0..<20 { watcher.subscribe(expires: 30) }
        _ = rig.taken()
        #expect(rig.deregister("sip:alice@home1.test"))
        #expect(!rig.taken().contains { $0.message.method == "NOTIFY" })
        #expect(rig.notifies(.failed) >= 1)
        rig.advance(.seconds(100))
        #expect(rig.taken().contains { $0.message["Subscription-State"] == "terminated;reason=deactivated" })
        #expect(rig.core.subscriptionCount == 0)
    }

    @Test func resetForgetsThemSilently() {
        let (rig, watcher) = watched()
        rig.core.reset(at: rig.now)
        #expect(rig.core.subscriptionCount == 0)
        rig.advance(.seconds(700))
        #expect(rig.trace() == [])
        #expect(watcher.subscribe(expires: 600).status == 481)
    }
}

/// How often a watcher is told.
@Suite struct NotifyIntervalTests {
    private let contact = "sip:alice@127.0.0.1:5071"

    @Test func refreshesWaitForTheInterval() throws {
        let rig = CoreRig.watched(.alice) { $0.registrationEvents.refreshInterval = .seconds(5) }
        let watcher = Watcher(rig)
        _ = watcher.notified()
        rig.advance(.seconds(1))
        rig.register(.alice)
        rig.register(.alice)
        #expect(!rig.taken().contains { $0.message.method == "NOTIFY" })
        rig.advance(.milliseconds(3900))
        #expect(rig.trace() == [])
        // What shards hand over to one another takes its time.
        rig.advance(.milliseconds(500))
        #expect(try watcher.told().contacts == ["active refreshed \(contact)"])
        // Other parameters, and the end, do not.
        rig.register(.alice, contact: "<\(contact)>;q=0.1")
        rig.advance(.milliseconds(100))
        #expect(try watcher.told().contacts == ["active refreshed \(contact)"])
        rig.register(.alice)
        #expect(try watcher.told().contacts == ["active refreshed \(contact)"])
        rig.register(.alice, expires: 0)
        rig.advance(.milliseconds(100))
        #expect(try watcher.told().contacts == ["terminated unregistered \(contact)"])
        rig.advance(.seconds(20))
        #expect(!rig.taken().contains { $0.message.method == "NOTIFY" })
    }
}
