import InstantMessaging
import SansIO
import Testing

/// Registration by the client, by TS 24.229 §5.1.1 and RFC 3261 §10.2, §22.
@Suite struct ClientRegistrationTests {
    private let challenge = "Digest realm=\"home1.test\", nonce=\"n1\", algorithm=MD5, qop=\"auth\""

    @Test func theFirstRegisterSaysWhoIsThere() {
        let rig = ClientRig()
        rig.perform("register")
        let request = rig.one()
        #expect(request.startLine == "REGISTER sip:home1.test SIP/2.0")
        #expect(request["From"]?.hasPrefix("<sip:alice@home1.test>;tag=") == true)
        #expect(request["To"] == "<sip:alice@home1.test>")
        let contact = request["Contact"] ?? ""
        #expect(contact.hasPrefix("<sip:alice@127.0.0.1:5071>;+g.oma.sip-im;+sip.instance=\"<urn:uuid:"))
        #expect(contact.hasSuffix(">\";expires=600000"))
        #expect(request["Expires"] == "600000")
        #expect(request["Supported"] == "path")
        #expect(request["User-Agent"]?.hasPrefix("IM-client/OMA1.0 ") == true)
        #expect(request["Via"]?.hasSuffix(";rport") == true)
        #expect(request["Route"] == nil)
        #expect(
            request["Authorization"]
                == "Digest username=\"alice@home1.test\", realm=\"home1.test\", nonce=\"\", uri=\"sip:home1.test\", response=\"\"")
        #expect(rig.events().isEmpty)
        #expect(!rig.isIdle)
    }

    @Test func aChallengeIsAnsweredAndTheGrantTaken() {
        let rig = ClientRig()
        rig.perform("register expires=100")
        let first = rig.one()
        #expect(first["Expires"] == "100")
        rig.receive(first.response(401, "Unauthorized", [("WWW-Authenticate", "Basic realm=\"x\""), ("WWW-Authenticate", challenge)]))
        let second = rig.one()
        let credentials = second["Authorization"] ?? ""
        #expect(
            credentials.hasPrefix(
                "Digest username=\"alice@home1.test\", realm=\"home1.test\", nonce=\"n1\", uri=\"sip:home1.test\", response=\""))
        #expect(credentials.contains("nc=00000001"))
        #expect(second["CSeq"] == "2 REGISTER")
        #expect(second["Call-ID"] == first["Call-ID"])
        rig.receive(
            second.response(
                200, "OK",
                [("Contact", "<sip:alice@127.0.0.1:5071>;expires=90"), ("P-Associated-URI", "<sip:alice@home1.test>, <tel:+15550100>")]))
        #expect(rig.events() == [.registered(expires: 90, publicIdentities: ["sip:alice@home1.test", "tel:+15550100"])])
        #expect(rig.outcomes() == [.succeeded])
        #expect(rig.isIdle)
        // At half time, with the nonce used again.
        rig.advance(.milliseconds(44_999))
        #expect(rig.taken().isEmpty)
        rig.advance(.milliseconds(2))
        let refresh = rig.one()
        #expect(refresh["CSeq"] == "3 REGISTER")
        #expect(refresh["Authorization"]?.contains("nc=00000002") == true)
    }

    @Test func aWrongPasswordEndsAfterOneTry() {
        let rig = ClientRig()
        rig.perform("register")
        rig.receive(rig.one().response(401, "Unauthorized", [("WWW-Authenticate", challenge)]))
        rig.receive(rig.one().response(401, "Unauthorized", [("WWW-Authenticate", challenge.replacing("n1", with: "n2"))]))
        #expect(rig.taken().isEmpty)
        #expect(rig.events() == [.error(text: "registration refused: 401 Unauthorized: is the password right?")])
        #expect(rig.outcomes() == [.failed])
        #expect(!rig.isRegistered)
    }

    @Test func aStaleNonceIsReplaced() {
        let rig = ClientRig()
        rig.perform("register")
        rig.receive(rig.one().response(401, "Unauthorized", [("WWW-Authenticate", challenge)]))
        rig.receive(rig.one().response(401, "Unauthorized", [("WWW-Authenticate", challenge.replacing("n1", with: "n2") + ", stale=true")]))
        #expect(rig.one()["Authorization"]?.contains("nonce=\"n2\"") == true)
    }

    @Test(arguments: ["Digest realm=\"home1.test\", nonce=\"n\", algorithm=AKAv1-MD5, qop=\"auth\"", "Basic realm=\"x\"", "Digest"])
    func aChallengeOfAnotherKindIsReported(value: String) {
        let rig = ClientRig()
        rig.perform("register")
        rig.receive(rig.one().response(401, "Unauthorized", [("WWW-Authenticate", value)]))
        #expect(rig.events() == [.error(text: "registration refused: 401 the challenge cannot be answered")])
    }

    @Test func aLongerIntervalIsTakenOnce() {
        let rig = ClientRig()
        rig.perform("register expires=30")
        rig.receive(rig.one().response(423, "Interval Too Brief", [("Min-Expires", "60")]))
        let second = rig.one()
        #expect(second["Expires"] == "60")
        #expect(second["Contact"]?.hasSuffix("expires=60") == true)
        rig.receive(second.response(423, "Interval Too Brief", [("Min-Expires", "90")]))
        #expect(rig.events() == [.error(text: "registration refused: 423 Interval Too Brief")])
    }

    @Test func refreshComes600SecondsBeforeTheEndOfALongRegistration() {
        let rig = ClientRig()
        rig.register(3600)
        rig.advance(.seconds(2999))
        #expect(rig.taken().isEmpty)
        rig.advance(.seconds(1))
        #expect(rig.one().method == "REGISTER")
    }

    @Test func aRefusedRefreshEndsTheRegistration() {
        let rig = ClientRig()
        rig.register(100)
        rig.advance(.seconds(50))
        rig.receive(rig.one().response(403, "Forbidden"))
        #expect(rig.events() == [.registrationLost(reason: "403 Forbidden")])
        #expect(!rig.isRegistered)
        rig.advance(.seconds(200))
        #expect(rig.taken().isEmpty)
    }

    @Test func aSilentCoreIsAskedAgainUntilTheRegistrationEnds() {
        let rig = ClientRig()
        rig.register(200)
        rig.advance(.seconds(100))
        let first = rig.one()
        rig.receive(first.response(503, "Service Unavailable", [("Retry-After", "7")]))
        rig.advance(.seconds(7))
        #expect(rig.one()["CSeq"] != first["CSeq"])
        rig.advance(.seconds(200))
        #expect(rig.events() == [.registrationLost(reason: "the registration ran out")])
    }

    @Test func silenceEndsTheCommand() {
        let rig = ClientRig()
        rig.perform("register")
        rig.advance(.seconds(33))
        #expect(rig.taken().count == 11)
        #expect(rig.events() == [.error(text: "registration refused: 408 no answer from 127.0.0.1:5060")])
        #expect(rig.outcomes() == [.failed])
    }

    @Test func unregisteringNamesTheContactWithZero() {
        let rig = ClientRig()
        rig.register()
        rig.perform("unregister")
        let request = rig.one()
        #expect(request["Expires"] == "0")
        #expect(request["Contact"]?.hasSuffix(";expires=0") == true)
        rig.receive(request.response(200, "OK"))
        #expect(rig.events() == [.unregistered])
        #expect(rig.outcomes() == [.succeeded])
    }

    /// An earlier run may have left a contact; where there is none, the wish is fulfilled all the same.
    @Test func unregisteringWithoutARegistrationAsksTheRegistrar() {
        let rig = ClientRig()
        rig.perform("unregister")
        rig.receive(rig.one().response(481, "Call/Transaction Does Not Exist"))
        #expect(rig.events() == [.unregistered])
        #expect(rig.outcomes() == [.succeeded])
    }

    @Test func quitUnregistersAndEnds() {
        let rig = ClientRig()
        rig.register()
        rig.perform("quit")
        rig.perform("message bob \"late\"")
        let request = rig.one()
        #expect(request["Expires"] == "0")
        rig.receive(request.response(200, "OK"))
        #expect(rig.hasQuit)
        #expect(rig.isIdle)
        #expect(rig.taken().isEmpty)
        let idle = ClientRig()
        idle.perform("quit")
        #expect(idle.hasQuit)
        #expect(idle.taken().isEmpty)
    }

    @Test func commandsRunOneAfterTheOther() {
        let rig = ClientRig()
        rig.perform("register")
        rig.perform("wait 2.5")
        rig.perform("message sip:bob@home1.test \"hi\"")
        rig.receive(rig.one().response(200, "OK", [("Expires", "3600")]))
        #expect(rig.taken().isEmpty)
        rig.advance(.milliseconds(2499))
        #expect(rig.taken().isEmpty)
        rig.advance(.milliseconds(2))
        #expect(rig.one().method == "MESSAGE")
        #expect(rig.outcomes() == [.succeeded, .succeeded])
    }

    @Test func theInstanceBelongsToThePrivateIdentity() {
        func instance(_ identity: String) -> String? {
            let rig = ClientRig {
                $0.privateIdentity = identity; $0.seed = UInt64(identity.count)
            }
            rig.perform("register")
            return rig.one()["Contact"]
        }
        #expect(instance("alice@home1.test") == instance("alice@home1.test"))
        #expect(instance("alice@home1.test") != instance("alice-tablet@home1.test"))
    }

    @Test func aStreamStandsInContact() {
        let rig = ClientRig {
            $0.coreTransport = .tcp
            $0.listeners = [Listener(transport: .tcp, local: Endpoint(address: .loopback, port: 5071))]
        }
        rig.perform("register")
        let request = rig.one()
        #expect(request["Contact"]?.hasPrefix("<sip:alice@127.0.0.1:5071;transport=tcp>") == true)
        #expect(request["Via"]?.hasPrefix("SIP/2.0/TCP 127.0.0.1:5071;") == true)
    }
}
