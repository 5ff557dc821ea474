import IMSProfile
import SCSCF
import SIPRegistrar
import SansIO
import Testing

/// Requests to one instance of a user: GRUUs (RFC 5627), and the flows of an instance (RFC 5626 §7).
@Suite(.overShards) struct InstanceRoutingTests {
    private static let desk = "urn:uuid:00000000-0000-0000-0000-000000000001"
    private static let tablet = "urn:uuid:00000000-0000-0000-0000-000000000002"

    private func rig(_ change: (inout ServingCSCFConfiguration) -> Void = { _ in }) -> CoreRig {
        CoreRig {
            $0.registrar = RegistrarSettings(profile: .rfc3261)
            $0.subscribers[1].isAuthenticated = false
            $0.subscribers[1].profiles = [nil]
            change(&$0)
        }
    }

    private func contact(_ peer: Peer, _ instance: String, regID: Int? = nil) -> String {
        "\(peer.contact);+sip.instance=\"<\(instance)>\"" + (regID.map { ";reg-id=\($0)" } ?? "")
    }

    @discardableResult
    private func register(_ rig: CoreRig, _ peer: Peer, _ instance: String, regID: Int? = nil, expires: Int = 3600) -> SIPText {
        let answer = rig.register(
            peer, expires: expires, contact: contact(peer, instance, regID: regID), [("Supported", "gruu, outbound, path")])
        rig.advance(.seconds(1))
        return answer
    }

    /// A GRUU out of the answer to the last instance that registered.
    private func gruu(_ kind: String, in answer: SIPText, _ instance: String) -> String {
        let contact = answer.all("Contact").first { $0.contains(instance) && $0.contains(kind) } ?? ""
        return SIPText("X x\nContact: \(contact)\n\n").parameter(kind, of: "Contact") ?? "sip:none@home1.test"
    }

    @Test(arguments: ["pub-gruu", "temp-gruu"])
    func aRequestToAGRUUReachesItsInstanceAlone(_ kind: String) throws {
        let rig = rig()
        register(rig, .bobDesk, Self.desk)
        let answer = register(rig, .bobTablet, Self.tablet)
        let gruu = gruu(kind, in: answer, Self.tablet)
        rig.send("MESSAGE", gruu, from: .home2, body: "hi")
        let sent = rig.taken()
        #expect(sent.map(\.destination) == ["bobTablet"])
        #expect(sent.first?.message.uri == "sip:bob@127.0.0.1:5074")
        // The one who is called hears by which of its addresses; a temporary one stands for the public one.
        #expect(sent.first?.message["P-Called-Party-ID"] == "<sip:bob@home1.test;gr=\(Self.tablet)>")
        // The identity itself means all.
        rig.send("MESSAGE", "sip:bob@home1.test", from: .home2)
        #expect(Set(rig.taken().map(\.destination)) == ["bobDesk", "bobTablet"])
    }

    /// RFC 5627 §5.1, whichever of its identities a user registers by.
    @Test(arguments: [
        ("sip:alice@home1.test", 403), ("sip:%61lice@HOME1.test", 403), ("sip:alice@home1.test;gr=urn:uuid:1", 403),
        ("sip:+15550100@home1.test;user=phone", 403), ("temp-gruu", 403), ("sip:alice@home1.test:5071", 200), ("sip:bob@home1.test", 200),
    ])
    func noContactLeadsBackToItsUser(uri: String, status: Int) {
        let rig = rig { $0.subscribers[0].isAuthenticated = false }
        let answer = rig.register(.alice, contact: contact(.alice, Self.desk), [("Supported", "gruu")])
        let target = uri == "temp-gruu" ? gruu(uri, in: answer, Self.desk) : uri
        let request = rig.registerRequest(.alice, contact: "<\(target)>;+sip.instance=\"<\(Self.tablet)>\"", [("Supported", "gruu")])
        _ = rig.taken()
        rig.receive(request.with("To", "<tel:+15550100>").with("From", "<tel:+15550100>;tag=t"), from: .alice)
        #expect(rig.next(to: .alice).status == status)
    }

    @Test func onlyWhoAsksGetsGRUUs() {
        let rig = rig()
        let contact = contact(.bobDesk, Self.desk)
        #expect(rig.register(.bobDesk, contact: contact)["Contact"]?.contains("gruu") == false)
        let answer = rig.register(.bobDesk, contact: contact, [("Supported", "gruu")])
        #expect(answer["Contact"]?.contains("pub-gruu=\"sip:bob@home1.test;gr=\(Self.desk)\"") == true)
        let found = rig.core.registeredIdentity("sip:bob@home1.test", at: rig.now.monotonic)?.contacts.first?.gruu
        #expect(found == "sip:bob@home1.test;gr=\(Self.desk)")
    }

    @Test func aGRUUIsOfTheFirstSIPIdentityWhereANumberRegisters() {
        let rig = rig { $0.subscribers[0].isAuthenticated = false }
        let request = rig.registerRequest(.alice, contact: contact(.alice, Self.desk), [("Supported", "gruu")]).with(
            "To", "<tel:+15550100>")
        rig.receive(request, from: .alice)
        #expect(rig.next(to: .alice)["Contact"]?.contains("pub-gruu=\"sip:alice@home1.test;gr=\(Self.desk)\"") == true)
    }

    @Test func anInstanceThatIsNotThereIs480AndNobodysIs404() {
        let rig = rig()
        rig.send("MESSAGE", "sip:bob@home1.test;gr=\(Self.desk)", from: .home2)
        #expect(rig.next(to: .home2).status == 480)
        let answer = register(rig, .bobDesk, Self.desk)
        rig.send("MESSAGE", "sip:bob@home1.test;gr=\(Self.tablet)", from: .home2)
        #expect(rig.next(to: .home2).status == 480)
        let old = gruu("temp-gruu", in: answer, Self.desk)
        rig.send("MESSAGE", old, from: .home2)
        #expect(rig.next(to: .bobDesk).method == "MESSAGE")
        // Another Call-ID makes it void.
        register(rig, .bobDesk, Self.desk)
        rig.send("MESSAGE", old, from: .home2)
        #expect(rig.next(to: .home2).status == 480)
        rig.send("MESSAGE", "sip:tgruu.\(String(repeating: "7", count: 40))@home1.test;gr", from: .home2)
        #expect(rig.next(to: .home2).status == 404)
    }

    @Test func aTemporaryGRUUOutlivesTheProcess() {
        let rig = rig { $0.isPersistent = true }
        let gruu = gruu("temp-gruu", in: register(rig, .bobDesk, Self.desk), Self.desk)
        let restarted = CoreRig(tables: rig.tables, at: rig.now.wall.seconds + 10) {
            $0 = rig.configuration
            // Another run draws other secrets.
            $0.seed = 99
        }
        restarted.send("MESSAGE", gruu, from: .home2)
        #expect(restarted.next(to: .bobDesk).method == "MESSAGE")
    }

    @Test func aRequestWithinADialogReachesTheInstanceToo() {
        let rig = rig()
        register(rig, .bobDesk, Self.desk)
        let gruu = gruu("pub-gruu", in: register(rig, .bobTablet, Self.tablet), Self.tablet)
        let bye = rig.request("BYE", gruu, from: .home2, to: "sip:bob@home1.test")
        rig.receive(bye.with("To", "<sip:bob@home1.test>;tag=b").adding("Route", "<sip:127.0.0.1:5060;lr>"), from: .home2)
        let sent = rig.taken()
        #expect(sent.map(\.destination) == ["bobTablet"])
        #expect(sent.first?.message.uri == "sip:bob@127.0.0.1:5074")
        #expect(sent.first?.message.has("P-Called-Party-ID") == false)
        var ack = rig.request("ACK", gruu, from: .home2, to: "sip:bob@home1.test")
        ack.set("To", "<sip:bob@home1.test>;tag=b")
        rig.receive(ack, from: .home2)
        #expect(rig.trace() == ["bobTablet ACK"])
    }

    // MARK: Flows

    @Test func ofSeveralFlowsTheNewestIsTried() {
        let rig = rig()
        register(rig, .bobDesk, Self.desk, regID: 1)
        register(rig, .bobTablet, Self.desk, regID: 2)
        #expect(rig.contacts("sip:bob@home1.test").count == 2)
        rig.send("MESSAGE", "sip:bob@home1.test", from: .home2)
        #expect(rig.trace() == ["bobTablet MESSAGE"])
        register(rig, .bobDesk, Self.desk, regID: 1)
        _ = rig.taken()
        rig.send("MESSAGE", "sip:bob@home1.test", from: .home2)
        #expect(rig.trace() == ["bobDesk MESSAGE"])
    }

    @Test func aFailedFlowIsRemovedAndTheNextOneTried() throws {
        let rig = rig()
        register(rig, .bobDesk, Self.desk, regID: 1)
        register(rig, .bobTablet, Self.desk, regID: 2)
        rig.send("MESSAGE", "sip:bob@home1.test", from: .home2)
        let first = rig.next(to: .bobTablet)
        rig.receive(first.response(430), from: .bobTablet)
        let second = try #require(rig.taken().first)
        #expect(second.destination == "bobDesk")
        #expect(rig.contacts("sip:bob@home1.test") == ["sip:bob@127.0.0.1:5073"])
        rig.receive(second.message.response(200), from: .bobDesk)
        #expect(rig.trace() == ["home2 200 MESSAGE"])
    }

    @Test func whenTheLastFlowFailsTheUserIsGone() {
        let rig = rig()
        register(rig, .bobDesk, Self.desk, regID: 1)
        rig.send("MESSAGE", "sip:bob@home1.test", from: .home2)
        rig.receive(rig.next(to: .bobDesk).response(430), from: .bobDesk)
        #expect(rig.next(to: .home2).status == 430)
        #expect(rig.contacts("sip:bob@home1.test") == [])
    }

    @Test func aTransportThatFailsIsAFlowThatFailed() throws {
        let rig = rig()
        register(rig, .bobDesk, Self.desk, regID: 1)
        register(rig, .bobTablet, Self.desk, regID: 2)
        rig.send("MESSAGE", "sip:bob@home1.test", from: .home2)
        rig.fail(try #require(rig.taken().first))
        #expect(rig.trace() == ["bobDesk MESSAGE"])
        #expect(rig.contacts("sip:bob@home1.test") == ["sip:bob@127.0.0.1:5073"])
    }

    @Test func silenceTriesTheNextFlowAndKeepsTheFirst() {
        let rig = rig()
        register(rig, .bobDesk, Self.desk, regID: 1)
        register(rig, .bobTablet, Self.desk, regID: 2)
        let request = rig.request("INVITE", "sip:bob@home1.test", from: .home2)
        rig.receive(request, from: .home2)
        rig.advance(.seconds(33))
        let invites = rig.taken().filter { $0.message.method == "INVITE" && $0.message.isRequest }.map(\.destination)
        #expect(Set(invites) == ["bobTablet", "bobDesk"])
        #expect(rig.contacts("sip:bob@home1.test").count == 2)
    }

    @Test func otherAnswersEndTheSearch() {
        let rig = rig()
        register(rig, .bobDesk, Self.desk, regID: 1)
        register(rig, .bobTablet, Self.desk, regID: 2)
        rig.send("MESSAGE", "sip:bob@home1.test", from: .home2)
        rig.receive(rig.next(to: .bobTablet).response(486), from: .bobTablet)
        #expect(rig.trace() == ["home2 486 MESSAGE"])
    }
}
