import InstantMessaging
import SansIO
import Testing

/// PUBLISH at the server, by RFC 3903 §6 and RFC 4354.
@Suite struct SettingsPublicationTests {
    let barred = settingsDocument("d", "<isb-settings><incoming-session-barring active=\"true\"/></isb-settings>")

    private func publishFirst(_ rig: ServerRig, _ user: String = "alice") -> String {
        rig.receive(rig.publish(user, body: barred))
        return rig.one()["SIP-ETag"] ?? "none"
    }

    @Test func aFirstPublicationIsGrantedWithAnEntityTag() {
        let rig = ServerRig()
        rig.receive(rig.publish(body: barred))
        let answer = rig.one()
        #expect(answer.status == 200)
        #expect(answer["SIP-ETag"]?.count == 32)
        #expect(answer["Expires"] == "3600")
        #expect(answer["Server"] == "IM-serv/OMA1.0 sipcore")
        #expect(rig.settings(of: "sip:alice@home1.test")?.effective[.incomingSessionBarring] == true)
    }

    @Test func refreshAndModificationGiveANewTagAndVoidTheOld() {
        let rig = ServerRig()
        let first = publishFirst(rig)
        rig.receive(rig.publish("alice", [("SIP-If-Match", first), ("Expires", "600")]))
        let refreshed = rig.one()
        #expect(refreshed.status == 200)
        #expect(refreshed["Expires"] == "600")
        let second = refreshed["SIP-ETag"] ?? ""
        #expect(second != first)
        rig.receive(rig.publish("alice", [("SIP-If-Match", first)]))
        #expect(rig.one().status == 412)
        rig.receive(rig.publish("alice", [("SIP-If-Match", second)], body: settingsDocument("d", "")))
        #expect(rig.one().status == 200)
        let settings = rig.settings(of: "sip:alice@home1.test")
        #expect(settings?.effective[.incomingSessionBarring] == false)
        #expect(settings?.publications.count == 1)
    }

    @Test func removalHappensOnce() {
        let rig = ServerRig()
        let tag = publishFirst(rig)
        rig.receive(rig.publish("alice", [("SIP-If-Match", tag), ("Expires", "0")]))
        let removed = rig.one()
        #expect(removed.status == 200)
        #expect(removed["Expires"] == "0")
        rig.receive(rig.publish("alice", [("SIP-If-Match", tag), ("Expires", "0")]))
        #expect(rig.one().status == 412)
        #expect(rig.settings(of: "sip:alice@home1.test")?.publications.isEmpty == true)
    }

    @Test func afterA412AFirstPublicationIsTakenAtOnce() {
        let rig = ServerRig()
        rig.receive(rig.publish("alice", [("SIP-If-Match", "stale")], body: barred))
        #expect(rig.one().status == 412)
        rig.receive(rig.publish(body: barred))
        #expect(rig.one().status == 200)
    }

    @Test(arguments: ["a, b", "*", "a b", "\"a\""])
    func whatIsNotOneEntityTagIs400(tag: String) {
        let rig = ServerRig()
        rig.receive(rig.publish("alice", [("SIP-If-Match", tag)], body: barred))
        #expect(rig.one().status == 400)
    }

    @Test func twoHeadersOfEntityTagsAre400() {
        let rig = ServerRig()
        var request = rig.publish(body: barred)
        request.headers += [("SIP-If-Match", "a"), ("SIP-If-Match", "b")]
        rig.receive(request)
        #expect(rig.one().status == 400)
    }

    @Test func intervalsAreLimited() {
        let rig = ServerRig()
        rig.receive(rig.publish("alice", [("Expires", "59")], body: barred))
        let brief = rig.one()
        #expect(brief.status == 423)
        #expect(brief["Min-Expires"] == "60")
        rig.receive(rig.publish("alice", [("Expires", "4000000000")], body: barred))
        #expect(rig.one()["Expires"] == "600000")
        rig.receive(rig.publish("alice", [("Expires", "soon")], body: barred))
        #expect(rig.one().status == 400)
        rig.receive(rig.publish("alice", [("Expires", "0")], body: barred))
        #expect(rig.one()["Expires"] == "0")
        #expect(rig.settings(of: "sip:alice@home1.test")?.publications.count == 1)
    }

    @Test(arguments: ["presence", nil, "poc-settings2"])
    func otherEventsAre489(event: String?) {
        let rig = ServerRig()
        var request = rig.publish(body: barred)
        request.set("Event", event)
        rig.receive(request)
        let answer = rig.one()
        #expect(answer.status == 489)
        #expect(answer["Allow-Events"] == "poc-settings")
    }

    @Test func eventParametersDoNotCount() {
        let rig = ServerRig()
        rig.receive(rig.publish("alice", [("Event", "poc-settings;id=7")], body: barred))
        #expect(rig.one().status == 200)
    }

    @Test func otherTypesAre415() {
        let rig = ServerRig()
        rig.receive(rig.publish("alice", [("Content-Type", "text/plain")], body: "x"))
        let answer = rig.one()
        #expect(answer.status == 415)
        #expect(answer["Accept"] == "application/poc-settings+xml")
    }

    @Test func oneSettingsPartOfAMultipartIsTaken() {
        let rig = ServerRig()
        let body =
            "--b1\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b1\r\nContent-Type: application/poc-settings+xml\r\n\r\n"
            + "\(barred)\r\n--b1--\r\n"
        rig.receive(rig.publish("alice", [("Content-Type", "multipart/mixed;boundary=b1")], body: body))
        #expect(rig.one().status == 200)
        #expect(rig.settings(of: "sip:alice@home1.test")?.effective[.incomingSessionBarring] == true)
    }

    @Test(arguments: [
        "<poc-settings", "<other xmlns=\"urn:oma:params:xml:ns:poc:poc-settings\"/>",
        "<poc-settings xmlns=\"urn:oma:params:xml:ns:poc:poc-settings\"/>", "<poc-settings><entity id=\"x\"/></poc-settings>",
        settingsDocument("d", "<isb-settings><incoming-session-barring active=\"perhaps\"/></isb-settings>"),
    ])
    func brokenDocumentsAre400WithAWarning(body: String) {
        let rig = ServerRig()
        rig.receive(rig.publish(body: body))
        let answer = rig.one()
        #expect(answer.status == 400)
        #expect(answer["Warning"]?.hasPrefix("399 127.0.0.1:5080 \"") == true)
        #expect(rig.settings(of: "sip:alice@home1.test")?.publications.isEmpty == true)
    }

    @Test func aFirstPublicationWithoutABodyIs400() {
        let rig = ServerRig()
        rig.receive(rig.publish())
        #expect(rig.one().status == 400)
    }

    @Test func onlyTheUserPublishes() {
        let rig = ServerRig()
        rig.receive(rig.publish("alice", [("P-Asserted-Identity", "<sip:mallory@home1.test>")], body: barred))
        #expect(rig.one().status == 403)
        var anonymous = rig.publish(body: barred)
        anonymous.set("P-Asserted-Identity", nil)
        rig.receive(anonymous)
        #expect(rig.one().status == 403)
        rig.receive(rig.publish(body: barred).text, from: Endpoint(address: .loopback, port: 5999))
        #expect(rig.one().status == 403)
        rig.receive(
            rig.request(
                "PUBLISH", "sip:alice@elsewhere.test", [("Event", "poc-settings"), ("P-Asserted-Identity", "<sip:alice@elsewhere.test>")]))
        #expect(rig.one().status == 404)
    }

    @Test func anotherSpellingOfTheIdentityIsTheSameUser() {
        let rig = ServerRig()
        rig.receive(
            rig.publish("alice", [("P-Asserted-Identity", "\"Alice\" <sip:alice@HOME1.test:5060>, <tel:+1-555-0100>")], body: barred))
        #expect(rig.one().status == 200)
        // Two asserted identities are one user's.
        #expect(rig.settings(of: "tel:+15550100")?.publications.count == 1)
    }

    @Test func publicationsExpireByTheClock() {
        let rig = ServerRig()
        rig.receive(rig.publish("alice", [("Expires", "60")], body: barred))
        let tag = rig.one()["SIP-ETag"] ?? ""
        rig.advance(.seconds(59))
        #expect(rig.settings(of: "sip:alice@home1.test")?.publications.first?.expires == 1)
        rig.advance(.seconds(2))
        #expect(rig.settings(of: "sip:alice@home1.test")?.effective[.incomingSessionBarring] == false)
        rig.receive(rig.publish("alice", [("SIP-If-Match", tag)]))
        #expect(rig.one().status == 412)
    }

    @Test func aRetransmissionGetsTheSameAnswer() {
        let rig = ServerRig()
        let request = rig.publish(body: barred)
        rig.receive(request)
        rig.receive(request)
        let answers = rig.taken()
        #expect(answers.count == 2)
        #expect(answers[0].text == answers[1].text)
        #expect(rig.settings(of: "sip:alice@home1.test")?.publications.count == 1)
    }

    @Test func quotas() {
        let rig = ServerRig()
        for i in 0..<16 {
            rig.receive(rig.publish(body: settingsDocument("d\(i)", "")))
            #expect(rig.one().status == 200)
            rig.advance(.seconds(1))
        }
        rig.receive(rig.publish(body: settingsDocument("d16", "")))
        let full = rig.one()
        #expect(full.status == 503)
        #expect(full["Retry-After"] != nil)
        rig.receive(rig.publish("bob", body: String(repeating: "x", count: 16_385)))
        #expect(rig.one().status == 413)
        for _ in 0..<10 { rig.receive(rig.publish("carol", body: barred)) }
        #expect(rig.taken().allSatisfy { $0.status == 200 })
        rig.receive(rig.publish("carol", body: barred))
        let hasty = rig.one()
        #expect(hasty.status == 503)
        #expect(hasty["Retry-After"] == "1")
        rig.advance(.seconds(1))
        #expect(rig.settings(of: "sip:carol@home1.test")?.publications.count == 10)
    }

    @Test func ofSeveralDevicesTheMostRestrictiveHolds() {
        for (composition, delivery) in [(SettingsComposition.mostRestrictive, false), (.lastWriterWins, true)] {
            let rig = ServerRig { $0.composition = composition }
            for (device, value) in [("phone", false), ("tablet", true)] {
                let content = "<im:deferred-settings><im:offline-delivery>\(value ? 1 : 0)</im:offline-delivery></im:deferred-settings>"
                rig.receive(rig.publish(body: settingsDocument(device, content)))
            }
            #expect(rig.settings(of: "sip:alice@home1.test")?.effective[.offlineDelivery] == delivery)
        }
    }

    @Test func ofOneDeviceTheLastDocumentCounts() {
        let rig = ServerRig()
        rig.receive(rig.publish(body: barred))
        rig.receive(rig.publish(body: settingsDocument("d", "<isb-settings><incoming-session-barring active=\"0\"/></isb-settings>")))
        let settings = rig.settings(of: "sip:alice@home1.test")
        #expect(settings?.publications.count == 2)
        #expect(settings?.effective[.incomingSessionBarring] == false)
    }

    @Test func theDocumentIsKeptAsItCame() {
        let rig = ServerRig()
        let body = settingsDocument("d", "<ext-app xmlns=\"urn:x\"><parallel-streams active=\"true\"/></ext-app>")
        rig.receive(rig.publish(body: body))
        #expect(rig.one().status == 200)
        #expect(rig.settings(of: "sip:alice@home1.test")?.publications.first?.document == body)
    }
}
