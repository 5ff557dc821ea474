import InstantMessaging
import SansIO
import Testing

/// How a client hears of its registration (TS 24.229 §5.1.1.3, RFC 3680, RFC 6665 §4.1).
@Suite struct RegistrationWatchTests {
    private static let contact = "sip:alice@127.0.0.1:5071"

    /// A client that is registered, and its SUBSCRIBE.
    private func registered() -> (rig: ClientRig, subscribe: SIPText) {
        let rig = ClientRig { $0.watchesRegistration = true }
        rig.perform("register")
        let request = rig.one()
        rig.receive(
            request.response(
                200, "OK", [("Contact", request["Contact"] ?? ""), ("Service-Route", "<sip:orig@127.0.0.1:5060;lr>")]))
        let subscribe = rig.one()
        _ = rig.events()
        _ = rig.outcomes()
        return (rig, subscribe)
    }

    /// The same when the core has accepted, and told that all is well.
    private func watching() -> (rig: ClientRig, subscribe: SIPText) {
        let (rig, subscribe) = registered()
        rig.receive(subscribe.response(200, "OK", [("Expires", "600000"), ("Contact", "<sip:reg@127.0.0.1:5060>")]))
        rig.receive(notify(rig, subscribe, 1, "active;expires=600000", [("active", "registered", "")]))
        #expect(rig.one().startLine == "SIP/2.0 200 OK")
        return (rig, subscribe)
    }

    private func notify(
        _ rig: ClientRig, _ subscribe: SIPText, _ sequence: Int, _ state: String, _ contacts: [(String, String, String)]
    ) -> SIPText {
        let elements = contacts.map { state, event, more in
            "<contact id=\"c\" state=\"\(state)\" event=\"\(event)\"\(more)><uri>\(Self.contact)</uri></contact>"
        }
        let other = "<contact id=\"o\" state=\"active\" event=\"registered\"><uri>sip:alice@192.0.2.9</uri></contact>"
        let body =
            "<?xml version=\"1.0\"?>\n<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"0\" state=\"full\">"
            + "<registration aor=\"sip:alice@home1.test\" id=\"a\" state=\"active\">\(other)\(elements.joined())</registration></reginfo>"
        return rig.request(
            "NOTIFY",
            [
                ("From", "<sip:alice@home1.test>;tag=peer"), ("To", subscribe["From"] ?? ""), ("Call-ID", subscribe["Call-ID"] ?? ""),
                ("CSeq", "\(sequence) NOTIFY"), ("Event", "reg"), ("Subscription-State", state), ("Contact", "<sip:reg@127.0.0.1:5060>"),
                ("Content-Type", "application/reginfo+xml"),
            ], body: body)
    }

    @Test func aRegistrationBeginsASubscription() {
        let (rig, subscribe) = registered()
        #expect(subscribe.startLine == "SUBSCRIBE sip:alice@home1.test SIP/2.0")
        #expect(subscribe["Event"] == "reg")
        #expect(subscribe["Accept"] == "application/reginfo+xml")
        #expect(subscribe["Expires"] == "600000")
        #expect(subscribe["Contact"] == "<\(Self.contact)>")
        #expect(subscribe["Route"] == "<sip:orig@127.0.0.1:5060;lr>")
        #expect(subscribe["To"] == "<sip:alice@home1.test>")
        #expect(rig.isIdle)
    }

    @Test func whoIsNotToWatchDoesNot() {
        let rig = ClientRig()
        rig.perform("register")
        rig.receive(rig.one().response(200, "OK"))
        #expect(rig.taken().isEmpty)
    }

    @Test(arguments: [
        ("deactivated", "", "deactivated by the network: it may be registered anew at once"),
        ("probation", " retry-after=\"30\"", "put on probation by the network: it may be registered anew after 30 seconds"),
        ("rejected", "", "rejected by the network: it is not to be registered again"),
        ("unregistered", "", "unregistered: another REGISTER of the user took it away"), ("expired", "", "expired"),
    ])
    func theEndByTheNetworkIsHeard(event: String, more: String, reason: String) {
        let (rig, subscribe) = watching()
        rig.receive(notify(rig, subscribe, 2, "terminated;reason=deactivated", [("terminated", event, more)]))
        #expect(rig.taken().map(\.startLine) == ["SIP/2.0 200 OK"])
        #expect(rig.events() == [.registrationLost(reason: reason)])
        #expect(!rig.isRegistered)
        // Nothing is refreshed any more.
        rig.advance(.seconds(600_000))
        #expect(rig.taken().isEmpty && rig.events().isEmpty)
    }

    @Test func theEndOfOneOfManyContactsIsHeardToo() {
        let (rig, subscribe) = watching()
        rig.receive(notify(rig, subscribe, 2, "active;expires=100", [("terminated", "deactivated", "")]))
        #expect(rig.events().count == 1)
        #expect(!rig.isRegistered)
    }

    @Test func whatLivesUnderOneIdentityLives() {
        let (rig, subscribe) = watching()
        let contacts = [("terminated", "deactivated", ""), ("active", "refreshed", "")]
        rig.receive(notify(rig, subscribe, 2, "active;expires=100", contacts))
        rig.receive(notify(rig, subscribe, 3, "active;expires=100", contacts.reversed()))
        #expect(rig.events().isEmpty)
        #expect(rig.isRegistered)
    }

    @Test func theWordMayComeBeforeTheAnswer() {
        let (rig, subscribe) = registered()
        rig.receive(notify(rig, subscribe, 1, "active;expires=600000", [("active", "registered", "")]))
        #expect(rig.one().startLine == "SIP/2.0 200 OK")
        rig.receive(subscribe.response(200, "OK", [("Expires", "600000")]))
        rig.advance(.seconds(40))
        rig.receive(notify(rig, subscribe, 2, "terminated;reason=rejected", [("terminated", "rejected", "")]))
        #expect(rig.events().count == 1)
    }

    @Test func withoutAWordThereIsNoSubscription() {
        let (rig, subscribe) = registered()
        rig.receive(subscribe.response(200, "OK", [("Expires", "600000")]))
        rig.advance(.seconds(32))
        rig.receive(notify(rig, subscribe, 1, "active;expires=100", [("terminated", "rejected", "")]))
        #expect(rig.one().startLine == "SIP/2.0 481 Call/Transaction Does Not Exist")
        #expect(rig.isRegistered)
        #expect(rig.events().isEmpty)
    }

    @Test func whatTheClientEndsItselfIsNotLost() {
        let (rig, subscribe) = watching()
        rig.perform("unregister")
        let request = rig.one()
        rig.receive(notify(rig, subscribe, 2, "terminated;reason=deactivated", [("terminated", "unregistered", "")]))
        #expect(rig.one().startLine == "SIP/2.0 200 OK")
        rig.receive(request.response(200, "OK"))
        #expect(rig.events() == [.unregistered])
    }

    @Test(arguments: [false, true]) func aClientThatQuitsHearsTheCoreOut(comes: Bool) {
        let (rig, subscribe) = watching()
        rig.perform("quit")
        rig.receive(rig.one().response(200, "OK"))
        #expect(rig.events() == [.unregistered])
        #expect(!rig.hasQuit)
        if comes {
            rig.receive(notify(rig, subscribe, 2, "terminated;reason=deactivated", [("terminated", "unregistered", "")]))
            #expect(rig.one().startLine == "SIP/2.0 200 OK")
        } else {
            rig.advance(.milliseconds(500))
        }
        #expect(rig.hasQuit)
        #expect(rig.outcomes() == [.succeeded])
    }

    /// TS 24.229 §5.4.1.6: the network wants the user to prove itself.
    @Test func aShortenedRegistrationIsRefreshedInTime() {
        let (rig, subscribe) = watching()
        rig.receive(notify(rig, subscribe, 2, "active;expires=600", [("active", "shortened", " expires=\"60\"")]))
        _ = rig.taken()
        rig.advance(.milliseconds(29_999))
        #expect(rig.taken().isEmpty)
        rig.advance(.milliseconds(1))
        #expect(rig.one().method == "REGISTER")
        #expect(rig.isRegistered)
    }

    @Test func onlyTheCoreIsHeard() {
        let (rig, subscribe) = watching()
        let ended = notify(rig, subscribe, 2, "active;expires=600", [("terminated", "rejected", "")])
        var others: [(SIPText, Int)] = []
        for (name, value, status) in [
            ("Call-ID", "another", 481), ("From", "<sip:alice@home1.test>;tag=other", 481), ("To", "<sip:alice@home1.test>", 481),
            ("Event", "presence", 489), ("CSeq", "1 NOTIFY", 500), ("Subscription-State", ";", 400),
        ] {
            var other = notify(rig, subscribe, 2, "active;expires=600", [("terminated", "rejected", "")])
            other.set(name, value)
            others.append((other, status))
        }
        for (other, status) in others {
            rig.receive(other)
            #expect(rig.one().startLine.hasPrefix("SIP/2.0 \(status) "))
        }
        #expect(rig.isRegistered)
        rig.receive(ended)
        #expect(!rig.isRegistered)
    }

    @Test(arguments: ["", "<reginfo", "<reginfo xmlns=\"urn:other\"/>", "<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\"/>"])
    func aDocumentThatTellsNothingIsNoEnd(body: String) {
        let (rig, subscribe) = watching()
        var word = notify(rig, subscribe, 2, "active;expires=600", [])
        word.body = body
        rig.receive(word)
        #expect(rig.one().startLine == "SIP/2.0 200 OK")
        #expect(rig.isRegistered)
    }

    @Test func itIsRefreshedInItsDialogAndBegunAnewWhereItIsForgotten() {
        let (rig, subscribe) = registered()
        rig.receive(subscribe.response(200, "OK", [("Expires", "100"), ("Contact", "<sip:reg@127.0.0.1:5060>")]))
        rig.receive(notify(rig, subscribe, 1, "active;expires=100", [("active", "registered", "")]))
        _ = rig.taken()
        rig.advance(.seconds(50))
        let refresh = rig.one()
        #expect(refresh.startLine == "SUBSCRIBE sip:reg@127.0.0.1:5060 SIP/2.0")
        #expect(refresh["To"] == "<sip:alice@home1.test>;tag=peer")
        #expect(refresh["From"] == subscribe["From"])
        #expect(refresh["Call-ID"] == subscribe["Call-ID"])
        #expect(refresh["CSeq"] == "2 SUBSCRIBE")
        #expect(refresh["Route"] == nil)
        rig.receive(refresh.response(481, "Call/Transaction Does Not Exist"))
        let fresh = rig.one()
        #expect(fresh.startLine == "SUBSCRIBE sip:alice@home1.test SIP/2.0")
        #expect(fresh["Call-ID"] != subscribe["Call-ID"])
        rig.receive(fresh.response(489, "Bad Event"))
        rig.advance(.seconds(500))
        #expect(rig.taken().isEmpty)
        #expect(rig.isRegistered && rig.events().isEmpty)
    }

    @Test func onlyTheEndOfTheSubscriptionBeginsAnother() {
        let (rig, subscribe) = watching()
        rig.receive(notify(rig, subscribe, 2, "terminated;reason=timeout", [("active", "registered", "")]))
        let sent = rig.taken()
        #expect(sent.map(\.method) == ["NOTIFY", "SUBSCRIBE"])
        #expect(sent.last?["Call-ID"] != subscribe["Call-ID"])
        #expect(rig.isRegistered)
    }
}
