import InstantMessaging
import SansIO
import Testing

/// The settings procedure of OMA IM 5.3 at the client.
@Suite struct SettingsPublishingTests {
    private func accept(_ rig: ClientRig, _ tag: String = "e1", expires: Int = 3600) {
        rig.receive(rig.one().response(200, "OK", [("SIP-ETag", tag), ("Expires", String(expires))]))
    }

    @Test func theFiveStepsOfAFirstPublication() {
        let rig = ClientRig()
        rig.register()
        rig.perform("publish settings offline-delivery=off")
        let request = rig.one()
        #expect(request.startLine == "PUBLISH sip:alice@home1.test SIP/2.0")
        #expect(request["To"] == "<sip:alice@home1.test>")
        #expect(request["P-Preferred-Identity"] == "<sip:alice@home1.test>")
        #expect(request["Accept-Contact"] == "*;+g.oma.sip-im")
        #expect(request["Route"] == "<sip:orig@127.0.0.1:5060;lr>")
        #expect(request["Event"] == "poc-settings")
        #expect(request["Expires"] == "3600")
        #expect(request["Content-Type"] == "application/poc-settings+xml")
        #expect(request["User-Agent"]?.hasPrefix("IM-client/OMA1.0 ") == true)
        #expect(request["SIP-If-Match"] == nil)
        #expect(request["Contact"] == nil)
        #expect(request.body.contains("<im:offline-delivery active=\"false\"/>"))
        #expect(request.body.contains("<incoming-session-barring active=\"false\"/>"))
        rig.receive(request.response(200, "OK", [("SIP-ETag", "e1"), ("Expires", "1800")]))
        #expect(rig.events() == [.settingsAccepted(entityTag: "e1", expires: 1800)])
        #expect(rig.outcomes() == [.succeeded])
    }

    @Test func aChangeReplacesTheWholeDocument() {
        let rig = ClientRig()
        rig.register()
        rig.perform("publish settings offline-delivery=off answer-mode=manual")
        accept(rig)
        rig.perform("publish settings incoming-session-barring=on visible=off history-session-mode=on")
        let request = rig.one()
        #expect(request["SIP-If-Match"] == "e1")
        for part in [
            "<im:offline-delivery active=\"false\"/>", "<answer-mode>manual</answer-mode>", "<incoming-session-barring active=\"true\"/>",
            "<im:vis-status active=\"false\"/>", "<im:hist-activation type=\"session-mode\" active=\"true\"/>",
        ] { #expect(request.body.contains(part)) }
        rig.receive(request.response(200, "OK", [("SIP-ETag", "e2"), ("Expires", "3600")]))
        rig.perform("publish settings")
        #expect(rig.one()["SIP-If-Match"] == "e2")
    }

    @Test func theRefreshHasNoBodyAndTakesTheNewTag() {
        let rig = ClientRig()
        rig.register()
        rig.perform("publish settings")
        accept(rig, expires: 1000)
        rig.advance(.seconds(500))
        let refresh = rig.one()
        #expect(refresh["SIP-If-Match"] == "e1")
        #expect(refresh["Content-Type"] == nil)
        #expect(refresh.body.isEmpty)
        rig.receive(refresh.response(200, "OK", [("SIP-ETag", "e2"), ("Expires", "1000")]))
        rig.advance(.seconds(500))
        #expect(rig.one()["SIP-If-Match"] == "e2")
    }

    @Test func aLostPublicationIsBegunAnew() {
        let rig = ClientRig()
        rig.register()
        rig.perform("publish settings offline-delivery=off")
        accept(rig, expires: 1000)
        _ = rig.events()
        rig.advance(.seconds(500))
        rig.receive(rig.one().response(412, "Conditional Request Failed"))
        let first = rig.one()
        #expect(first["SIP-If-Match"] == nil)
        #expect(first.body.contains("<im:offline-delivery active=\"false\"/>"))
        rig.receive(first.response(412, "Conditional Request Failed"))
        #expect(rig.taken().isEmpty)
        #expect(rig.events() == [.settingsRefused(status: 412, reason: "Conditional Request Failed")])
    }

    @Test func aLongerIntervalIsTaken() {
        let rig = ClientRig { $0.settingsExpires = 60 }
        rig.register()
        rig.perform("publish settings")
        rig.receive(rig.one().response(423, "Interval Too Brief", [("Min-Expires", "300")]))
        #expect(rig.one()["Expires"] == "300")
    }

    @Test(arguments: [400, 403, 404, 489, 500, 503])
    func refusalsAreReported(status: Int) {
        let rig = ClientRig()
        rig.register()
        rig.perform("publish settings")
        rig.receive(rig.one().response(status, "No", [("Warning", "399 im \"because\"")]))
        #expect(rig.events() == [.settingsRefused(status: UInt16(status), reason: "No; because")])
        #expect(rig.outcomes() == [.failed])
    }

    @Test func a415TellsWhatIsAccepted() {
        let rig = ClientRig()
        rig.register()
        rig.perform("publish settings")
        rig.receive(rig.one().response(415, "Unsupported Media Type", [("Accept", "application/xml")]))
        #expect(rig.events() == [.settingsRefused(status: 415, reason: "Unsupported Media Type; accepted: application/xml")])
    }

    @Test func removalHasTheTagAndNoBody() {
        let rig = ClientRig()
        rig.register()
        rig.perform("remove settings")
        #expect(rig.events() == [.error(text: "no settings are published")])
        rig.perform("publish settings")
        accept(rig)
        _ = rig.events()
        rig.perform("remove settings")
        let request = rig.one()
        #expect(request["Expires"] == "0")
        #expect(request["SIP-If-Match"] == "e1")
        #expect(request.body.isEmpty)
        rig.receive(request.response(412, "Conditional Request Failed"))
        #expect(rig.events() == [.settingsRemoved])
        rig.advance(.seconds(10_000))
        #expect(rig.taken().isEmpty)
    }

    @Test func aChallengeOfARequestIsAnswered() {
        let rig = ClientRig()
        rig.register()
        rig.perform("publish settings")
        rig.receive(
            rig.one().response(407, "Proxy Authentication Required", [("Proxy-Authenticate", "Digest realm=\"home1.test\", nonce=\"p\"")]))
        let second = rig.one()
        #expect(second["Proxy-Authorization"]?.contains("uri=\"sip:alice@home1.test\"") == true)
        #expect(second["CSeq"] == "2 PUBLISH")
        #expect(second.body.contains("<poc-settings"))
    }

    @Test func settingsAreSentAfterANewRegistration() {
        let rig = ClientRig()
        rig.register()
        rig.perform("publish settings offline-delivery=off")
        accept(rig)
        rig.perform("unregister")
        rig.receive(rig.one().response(200, "OK"))
        rig.perform("register")
        _ = rig.events()
        rig.receive(rig.one().response(200, "OK", [("Expires", "3600")]))
        let again = rig.one()
        #expect(again["SIP-If-Match"] == "e1")
        #expect(again.body.contains("<im:offline-delivery active=\"false\"/>"))
        // The user's own change replaces it: one event tells of the one that counts.
        rig.perform("publish settings offline-delivery=on")
        #expect(rig.taken().isEmpty)
        rig.receive(again.response(200, "OK", [("SIP-ETag", "e2"), ("Expires", "3600")]))
        #expect(rig.events() == [.registered(expires: 3600, publicIdentities: ["sip:alice@home1.test"])])
        let change = rig.one()
        #expect(change["SIP-If-Match"] == "e2")
        rig.receive(change.response(200, "OK", [("SIP-ETag", "e3"), ("Expires", "3600")]))
        #expect(rig.events() == [.settingsAccepted(entityTag: "e3", expires: 3600)])
    }

    @Test func anOrdinaryReregistrationSendsNoSettings() {
        let rig = ClientRig()
        rig.register(100)
        rig.perform("publish settings")
        accept(rig)
        rig.advance(.seconds(50))
        rig.receive(rig.one().response(200, "OK", [("Expires", "100")]))
        #expect(rig.taken().isEmpty)
    }

    @Test func aSilentServerIsAskedAgainLater() {
        let rig = ClientRig()
        rig.register()
        rig.perform("publish settings")
        accept(rig, expires: 1000)
        _ = rig.events()
        rig.advance(.seconds(500))
        rig.receive(rig.one().response(503, "Busy", [("Retry-After", "5")]))
        #expect(rig.events() == [.settingsRefused(status: 503, reason: "Busy")])
        rig.advance(.seconds(5))
        #expect(rig.one()["SIP-If-Match"] == "e1")
    }
}
