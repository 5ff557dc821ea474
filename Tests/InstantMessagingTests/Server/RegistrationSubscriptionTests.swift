import InstantMessaging
import SIPTransaction
import SansIO
import Testing

/// The server watches its users' registrations (TS 24.229 §5.7.1.1, RFC 3680, RFC 6665 §4.1).
@Suite struct RegistrationSubscriptionTests {
    private static let tag = "+g.oma.sip-im"

    private func watchingServer(_ change: (inout IMServerSettings) -> Void = { _ in }) -> ServerRig {
        ServerRig {
            $0.watchesRegistrations = true
            change(&$0)
        }
    }

    /// Has the core tell that bob is there.
    ///
    /// - Returns: the SUBSCRIBE that follows.
    private func registered(_ rig: ServerRig, _ sequence: Int = 1, call: String = "core-1", expires: Int = 3600) -> SIPText? {
        rig.receive(rig.register("bob", expires: expires, [("Call-ID", call), ("CSeq", "\(sequence) REGISTER")]))
        return rig.taken().first { $0.method == "SUBSCRIBE" }
    }

    private struct Contact {
        var id = "c1"
        var state = "active"
        var parameters = [tag]
    }

    private func notify(
        _ rig: ServerRig, _ subscribe: SIPText, _ number: Int, _ contacts: [Contact], state: String = "active;expires=600000",
        full: Bool = true
    ) -> SIPText {
        let elements = contacts.map { contact in
            let parameters = contact.parameters.map { "<unknown-param name=\"\($0)\"/>" }.joined()
            return "<contact id=\"\(contact.id)\" state=\"\(contact.state)\" event=\"registered\" expires=\"3600\">"
                + "<uri>sip:bob@192.0.2.1</uri>\(parameters)</contact>"
        }
        let body =
            "<?xml version=\"1.0\"?>\n<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"\(number)\" "
            + "state=\"\(full ? "full" : "partial")\"><registration aor=\"sip:bob@home1.test\" id=\"r0\" state=\"active\">"
            + "\(elements.joined())</registration>"
            + "<registration aor=\"tel:+15550199\" id=\"r1\" state=\"active\"/></reginfo>"
        return rig.request(
            "NOTIFY", "sip:127.0.0.1:5080",
            [
                ("From", "<sip:bob@home1.test>;tag=peer"), ("To", subscribe["From"] ?? ""), ("Call-ID", subscribe["Call-ID"] ?? ""),
                ("CSeq", "\(number + 1) NOTIFY"), ("Event", "reg"), ("Subscription-State", state), ("Contact", "<sip:reg@127.0.0.1:5060>"),
                ("Content-Type", "application/reginfo+xml"),
            ], body: body)
    }

    private func accepted(_ subscribe: SIPText, expires: Int = 600_000) -> SIPText {
        subscribe.response(200, "OK", [("Expires", String(expires)), ("Contact", "<sip:reg@127.0.0.1:5060>")])
    }

    /// A server that has subscribed, and was told of these contacts.
    private func watching(_ contacts: [Contact] = [Contact()], _ change: (inout IMServerSettings) -> Void = { _ in }) throws -> (
        ServerRig, SIPText
    ) {
        let rig = watchingServer(change)
        let subscribe = try #require(registered(rig))
        rig.receive(accepted(subscribe))
        rig.receive(notify(rig, subscribe, 0, contacts))
        #expect(rig.one().status == 200)
        return (rig, subscribe)
    }

    private func isKept(_ rig: ServerRig) -> Bool {
        rig.receive(rig.message(to: "bob", "hi"))
        return rig.one().status == 202
    }

    // MARK: SUBSCRIBE

    @Test func aRegistrationIsFollowedByASubscription() throws {
        let rig = watchingServer()
        rig.receive(rig.register("bob"))
        let messages = rig.taken()
        #expect(messages.map(\.method) == ["REGISTER", "SUBSCRIBE"])
        let subscribe = try #require(messages.last)
        #expect(subscribe.startLine == "SUBSCRIBE sip:bob@home1.test SIP/2.0")
        #expect(subscribe["To"] == "<sip:bob@home1.test>")
        #expect(subscribe["From"]?.hasPrefix("<sip:127.0.0.1:5080>;tag=") == true)
        #expect(subscribe["P-Asserted-Identity"] == "<sip:127.0.0.1:5080>")
        #expect(subscribe["Contact"] == "<sip:127.0.0.1:5080>")
        #expect(subscribe["Route"] == "<sip:127.0.0.1:5060;lr>")
        #expect(subscribe["Event"] == "reg")
        #expect(subscribe["Accept"] == "application/reginfo+xml")
        #expect(subscribe["Expires"] == "600000")
    }

    @Test func withoutTheOptionAndForTheAbsentThereIsNone() {
        #expect(registered(ServerRig()) == nil)
        #expect(registered(watchingServer(), expires: 0) == nil)
    }

    @Test func oneSubscriptionServesAllRefreshesOfARegistration() throws {
        let (rig, _) = try watching()
        #expect(registered(rig, 2) == nil)
        // A core with another Call-ID has begun anew: it is asked, in the dialog that it may have forgotten.
        let again = try #require(registered(rig, 1, call: "core-2"))
        #expect(again["To"] == "<sip:bob@home1.test>;tag=peer")
        #expect(again.startLine == "SUBSCRIBE sip:reg@127.0.0.1:5060 SIP/2.0")
        rig.receive(again.response(481))
        let anew = rig.one()
        #expect(anew.startLine == "SUBSCRIBE sip:bob@home1.test SIP/2.0")
        #expect(anew["To"] == "<sip:bob@home1.test>")
        #expect(anew["Call-ID"] != again["Call-ID"])
    }

    @Test func itIsRefreshedInTime() throws {
        let (rig, _) = try watching()
        rig.receive(rig.register("bob", expires: 600_000, [("Call-ID", "core-1"), ("CSeq", "2 REGISTER")]))
        _ = rig.taken()
        rig.advance(.seconds(599_399))
        #expect(rig.taken().isEmpty)
        rig.advance(.seconds(1))
        let refresh = rig.one()
        #expect(refresh["CSeq"] == "2 SUBSCRIBE")
        #expect(refresh["Route"] == nil)
    }

    @Test func anIntervalTooBriefIsLengthened() throws {
        let rig = watchingServer()
        let subscribe = try #require(registered(rig))
        rig.receive(subscribe.response(423, "Interval Too Brief", [("Min-Expires", "700000")]))
        #expect(rig.one()["Expires"] == "700000")
    }

    @Test func whomTheCoreDoesNotKnowIsNotThere() throws {
        let rig = watchingServer()
        let subscribe = try #require(registered(rig))
        rig.receive(subscribe.response(480))
        #expect(isKept(rig))
    }

    @Test func aRegistrationMeanwhileCountsForMore() throws {
        let rig = watchingServer()
        let subscribe = try #require(registered(rig))
        #expect(registered(rig, 2) == nil)
        rig.receive(subscribe.response(480))
        #expect(!isKept(rig))
    }

    @Test func aCoreThatDoesNotAnswerIsAskedLater() throws {
        for answers in [false, true] {
            let rig = watchingServer()
            let subscribe = try #require(registered(rig))
            if answers { rig.receive(subscribe.response(503)) }
            rig.advance(.seconds(answers ? 29 : 61))
            #expect(!rig.taken().contains { $0["Call-ID"] != subscribe["Call-ID"] })
            rig.advance(.seconds(1))
            #expect(rig.taken().contains { $0.method == "SUBSCRIBE" && $0["Call-ID"] != subscribe["Call-ID"] })
        }
    }

    @Test func aCoreThatRefusesIsNotAskedAgain() throws {
        let rig = watchingServer()
        let subscribe = try #require(registered(rig))
        rig.receive(subscribe.response(403))
        rig.advance(.seconds(3000))
        #expect(rig.taken().isEmpty)
        #expect(rig.notices.contains { $0.text.contains("cannot be watched: the core answered 403") })
    }

    @Test func withoutAWordThereIsNoSubscription() throws {
        let rig = watchingServer()
        let subscribe = try #require(registered(rig))
        rig.receive(accepted(subscribe))
        rig.advance(.seconds(32))
        rig.receive(notify(rig, subscribe, 0, [Contact()]))
        #expect(rig.one().status == 481)
    }

    // MARK: NOTIFY

    @Test func theTagOfTheContactDecidesIfAsked() throws {
        for (parameters, delivered) in [([Self.tag], 1), (["+G.OMA.SIP-IM"], 1), (["\(Self.tag).large-message"], 0)] {
            let rig = watchingServer { $0.requiresFeatureTagForDelivery = true }
            rig.receive(rig.message(to: "bob", "hi", registered: false))
            #expect(rig.one().status == 202)
            let subscribe = try #require(registered(rig))
            #expect(rig.taken().isEmpty)
            rig.receive(notify(rig, subscribe, 0, [Contact(parameters: parameters)]))
            #expect(rig.taken().filter { $0.isRequest && $0.method == "MESSAGE" }.count == delivered)
        }
    }

    @Test func whatCannotBeWatchedIsNotWaitedFor() throws {
        let rig = watchingServer { $0.requiresFeatureTagForDelivery = true }
        rig.receive(rig.message(to: "bob", "hi", registered: false))
        _ = rig.taken()
        let subscribe = try #require(registered(rig))
        rig.receive(subscribe.response(403))
        #expect(rig.one().startLine == "MESSAGE sip:bob@home1.test SIP/2.0")
    }

    @Test func theTagMayComeLater() throws {
        let (rig, subscribe) = try watching([Contact(parameters: [])]) { $0.requiresFeatureTagForDelivery = true }
        rig.receive(rig.message(to: "bob", "hi", registered: false))
        #expect(rig.one().status == 202)
        rig.receive(notify(rig, subscribe, 1, [Contact()]))
        #expect(rig.taken().map(\.method) == ["NOTIFY", "MESSAGE"])
    }

    @Test func theEndOfTheLastContactIsTheEnd() throws {
        let (rig, subscribe) = try watching([Contact(), Contact(id: "c2")])
        rig.receive(notify(rig, subscribe, 1, [Contact(state: "terminated"), Contact(id: "c2")]))
        _ = rig.taken()
        #expect(!isKept(rig))
        rig.advance(.seconds(100))
        _ = rig.taken()
        rig.receive(notify(rig, subscribe, 2, [Contact(id: "c2", state: "terminated")], state: "terminated;reason=deactivated"))
        #expect(rig.one().status == 200)
        #expect(isKept(rig))
        // Who is gone is not watched again before the next registration.
        rig.advance(.seconds(100))
        #expect(rig.taken().isEmpty)
        #expect(registered(rig, 2) != nil)
    }

    @Test func theEndOfOneOfManyContactsIsNotTheEnd() throws {
        let (rig, subscribe) = try watching([Contact(), Contact(id: "c2")])
        // As TS 24.229 §5.7.1.1 has it, Expires 0 may be about one of several.
        #expect(registered(rig, 2, expires: 0) == nil)
        #expect(isKept(rig))
        rig.advance(.seconds(2))
        let question = rig.taken().first { $0.method == "SUBSCRIBE" }
        #expect(question?["To"] == "<sip:bob@home1.test>;tag=peer")
        rig.receive(notify(rig, subscribe, 1, [Contact()]))
        // What was kept meanwhile goes out.
        #expect(rig.taken().map(\.method) == ["NOTIFY", "MESSAGE"])
    }

    @Test func partialDocumentsAreAddedUp() throws {
        let (rig, subscribe) = try watching([Contact(), Contact(id: "c2")])
        rig.receive(notify(rig, subscribe, 1, [Contact(state: "terminated")], full: false))
        _ = rig.taken()
        #expect(!isKept(rig))
        _ = rig.taken()
        // After a gap everything is asked for.
        rig.receive(notify(rig, subscribe, 3, [], full: false))
        #expect(rig.taken().map(\.startLine) == ["SIP/2.0 200 OK", "SUBSCRIBE sip:reg@127.0.0.1:5060 SIP/2.0"])
    }

    @Test func theIdentitiesOfTheSetAreTheUsers() throws {
        let (rig, _) = try watching()
        rig.receive(rig.register("bob", expires: 0, [("Call-ID", "core-1"), ("CSeq", "2 REGISTER")]))
        _ = rig.taken()
        rig.receive(
            rig.request(
                "MESSAGE", "tel:+15550199",
                [("Route", "<sip:127.0.0.1:5080;lr>, <sip:odi@127.0.0.1:5060;lr>"), ("P-Asserted-Identity", "<sip:alice@home1.test>")],
                body: "hi"))
        #expect(rig.one().status == 202)
    }

    @Test(
        arguments: [
            ("terminated;reason=deactivated", 1), ("terminated;reason=timeout", 1), ("terminated;reason=probation;retry-after=300", 300),
            ("terminated;reason=rejected", nil), ("terminated;reason=noresource", nil),
        ] as [(String, Int?)])
    func whetherASubscriptionBeginsAnewIsUpToTheCore(state: String, seconds: Int?) throws {
        let (rig, subscribe) = try watching()
        rig.receive(notify(rig, subscribe, 1, [Contact()], state: state))
        #expect(rig.one().status == 200)
        if let seconds {
            rig.advance(.seconds(seconds - 1))
            #expect(rig.taken().isEmpty)
            rig.advance(.seconds(1))
            #expect(rig.taken().first?.startLine == "SUBSCRIBE sip:bob@home1.test SIP/2.0")
        } else {
            rig.advance(.seconds(1000))
            #expect(rig.taken().isEmpty)
        }
    }

    @Test func whatDoesNotBelongToTheSubscriptionIsRefused() throws {
        let (rig, subscribe) = try watching()
        func status(_ changes: [(String, String?)]) -> Int? {
            var request = notify(rig, subscribe, 1, [])
            for (name, value) in changes { request.set(name, value) }
            rig.receive(request)
            return rig.one().status
        }
        #expect(status([("Call-ID", "another")]) == 481)
        #expect(status([("To", "<sip:127.0.0.1:5080>;tag=another")]) == 481)
        #expect(status([("From", "<sip:bob@home1.test>;tag=another")]) == 481)
        #expect(status([("Event", "presence")]) == 489)
        #expect(status([("Subscription-State", nil)]) == 400)
        #expect(status([("CSeq", "1 NOTIFY")]) == 500)
        #expect(!isKept(rig))
    }

    @Test func aDocumentThatCannotBeReadChangesNothing() throws {
        let (rig, subscribe) = try watching()
        var request = notify(rig, subscribe, 1, [])
        request.body = "<reginfo"
        rig.receive(request)
        #expect(rig.one().status == 200)
        #expect(rig.notices.contains { $0.text.contains("a NOTIFY tells nothing that could be read") })
        #expect(!isKept(rig))
    }

    // MARK: Restarts

    @Test func whoWasThereIsWatchedAfterARestart() throws {
        let (rig, subscribe) = try watching()
        let again = rig.restarted()
        again.advance(.milliseconds(1))
        let anew = again.one()
        #expect(anew.startLine == "SUBSCRIBE sip:bob@home1.test SIP/2.0")
        again.receive(notify(again, subscribe, 1, []))
        #expect(again.one().status == 481)
    }

    @Test func whatWasToldOutlivesTheProcess() throws {
        let (rig, subscribe) = try watching()
        rig.receive(notify(rig, subscribe, 1, [Contact(state: "terminated")], state: "terminated;reason=deactivated"))
        let again = rig.restarted()
        again.advance(.seconds(1))
        #expect(again.taken().isEmpty)
        #expect(isKept(again))
    }

    @Test func aResetForgetsAllSubscriptions() throws {
        let (rig, subscribe) = try watching()
        rig.withEffects { rig.server.reset(at: rig.now, into: &$0) }
        rig.receive(notify(rig, subscribe, 1, [Contact()]))
        #expect(rig.one().status == 481)
    }
}
