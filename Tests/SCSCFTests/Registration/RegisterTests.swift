import SCSCF
import SIPRegistrar
import SansIO
import Testing

/// The registrar's answers (RFC 3261 §10.3, TS 24.229 §5.4.1).
@Suite(.overShards) struct RegisterTests {
    @Test func aUserWithoutPasswordIsRegisteredAtOnce() {
        let rig = CoreRig()
        let answer = rig.register(.carol)
        #expect(answer.status == 200)
        #expect(answer["Contact"] == "<sip:carol@127.0.0.1:5075>;expires=3600")
        #expect(rig.contacts("sip:carol@home1.test") == ["sip:carol@127.0.0.1:5075"])
    }

    @Test func theAnswerNamesPathServiceRouteAndIdentities() {
        let rig = CoreRig()
        let path = "<sip:edge.home1.test;lr>"
        let answer = rig.register(.alice, [("Path", path), ("Path", "<sip:second-edge.home1.test;lr>"), ("Supported", "path")])
        #expect(answer.status == 200)
        #expect(answer.all("Path") == [path, "<sip:second-edge.home1.test;lr>"])
        #expect(answer["Service-Route"] == "<sip:orig@127.0.0.1:5060;lr>")
        #expect(answer["P-Associated-URI"] == "<sip:alice@home1.test>, <tel:+15550100>")
        #expect(answer["Content-Length"] == "0")
        #expect(answer["To"]?.contains(";tag=") == true)
    }

    @Test func onAStreamTheServiceRouteNamesTheTransport() {
        let rig = CoreRig()
        #expect(rig.register(.aliceStream)["Service-Route"] == "<sip:orig@127.0.0.1:5060;transport=tcp;lr>")
    }

    @Test func anUnknownAddressOfRecordIsNotFound() {
        let rig = CoreRig()
        let request = rig.registerRequest(.alice).with("To", "<sip:nobody@home1.test>")
        rig.receive(request, from: .alice)
        #expect(rig.trace() == ["alice 404 REGISTER"])
    }

    @Test func anAddressOfRecordOfAnotherSchemeIsNotFound() {
        let rig = CoreRig()
        rig.receive(rig.registerRequest(.carol).with("To", "<http://home1.test/carol>"), from: .carol)
        #expect(rig.trace() == ["carol 404 REGISTER"])
    }

    @Test func anotherDomainIsNotServed() {
        let rig = CoreRig()
        rig.send("REGISTER", "sip:elsewhere.test", from: .alice, [("Contact", Peer.alice.contact)])
        #expect(rig.trace() == ["alice 404 REGISTER"])
    }

    @Test func theRequestURIMayBeTheAddressOfAListener() {
        let rig = CoreRig()
        let request = rig.request(
            "REGISTER", "sip:127.0.0.1:5060", from: .carol, to: "sip:carol@home1.test", [("Contact", Peer.carol.contact)])
        rig.receive(request, from: .carol)
        #expect(rig.trace() == ["carol 200 REGISTER"])
    }

    @Test func anIntervalTooBriefIsRefusedWithTheLeast() {
        let rig = CoreRig()
        let answer = rig.register(.carol, expires: 59)
        #expect(answer.status == 423)
        #expect(answer["Min-Expires"] == "60")
        #expect(rig.contacts("sip:carol@home1.test") == [])
        #expect(rig.register(.carol, expires: 60).status == 200)
    }

    @Test func anIntervalTooLongIsShortened() {
        let rig = CoreRig()
        #expect(rig.register(.carol, expires: 999_999)["Contact"]?.hasSuffix(";expires=600000") == true)
    }

    @Test func withoutAnIntervalTheDefaultIsGranted() {
        let rig = CoreRig { $0.registrar = RegistrarSettings(defaultExpires: 1800) }
        #expect(rig.register(.carol, expires: nil)["Contact"]?.hasSuffix(";expires=1800") == true)
    }

    @Test func unknownRequirementsAreNamed() {
        let rig = CoreRig()
        let answer = rig.register(.carol, [("Require", "path, teleport, gruu, warp")])
        #expect(answer.status == 420)
        #expect(answer["Unsupported"] == "teleport, warp")
    }

    @Test func aWildcardIsValidAloneAndWithExpiresZero() {
        let rig = CoreRig().registered(.carol)
        #expect(rig.register(.carol, expires: 60, contact: "*").status == 400)
        #expect(rig.register(.carol, expires: 0, contact: "*, \(Peer.carol.contact)").status == 400)
        #expect(rig.contacts("sip:carol@home1.test").count == 1)
        #expect(rig.register(.carol, expires: 0, contact: "*").status == 200)
        #expect(rig.contacts("sip:carol@home1.test") == [])
    }

    @Test func anOlderSequenceOfTheSameCallAbortsTheRequest() {
        let rig = CoreRig()
        let first = rig.registerRequest(.carol).with("CSeq", "10 REGISTER")
        rig.receive(first, from: .carol)
        let older = rig.again(first).with("CSeq", "9 REGISTER")
        rig.receive(older, from: .carol)
        #expect(rig.trace() == ["carol 200 REGISTER", "carol 500 REGISTER"])
    }

    @Test func anUnknownContactCannotBeRemoved() {
        let ims = CoreRig().registered(.carol)
        #expect(ims.register(.carol, expires: 0, contact: "<sip:carol@127.0.0.1:1>").status == 481)
        let plain = CoreRig { $0.registrar = RegistrarSettings(profile: .rfc3261) }.registered(.carol)
        #expect(plain.register(.carol, expires: 0, contact: "<sip:carol@127.0.0.1:1>").status == 200)
        #expect(plain.contacts("sip:carol@home1.test").count == 1)
    }

    @Test func aNewContactReplacesTheOldOneOfTheSamePrivateIdentity() {
        let ims = CoreRig().registered(.carol)
        #expect(ims.register(.carol, contact: "<sip:carol@127.0.0.1:9>").status == 200)
        #expect(ims.contacts("sip:carol@home1.test") == ["sip:carol@127.0.0.1:9"])
        let plain = CoreRig { $0.registrar = RegistrarSettings(profile: .rfc3261) }.registered(.carol)
        let answer = plain.register(.carol, contact: "<sip:carol@127.0.0.1:9>")
        #expect(answer.all("Contact").joined(separator: ",").contains("127.0.0.1:9"))
        #expect(plain.contacts("sip:carol@home1.test").count == 2)
    }

    @Test func contactsOfOneRequestStayTogether() {
        let rig = CoreRig()
        rig.register(.carol, contact: "<sip:carol@127.0.0.1:1>;q=0.5, <sip:carol@127.0.0.1:2>;q=0.9")
        #expect(Set(rig.contacts("sip:carol@home1.test")) == ["sip:carol@127.0.0.1:1", "sip:carol@127.0.0.1:2"])
    }

    @Test func whatIsGoneIsListedIfThatIsWanted() {
        let rig = CoreRig { $0.registrar = RegistrarSettings(listsRemoved: true) }
        func contacts(_ contact: String, expires: Int? = nil) -> [String] {
            rig.register(.carol, expires: expires, contact: contact).all("Contact")
        }
        _ = contacts("<sip:carol@127.0.0.1:1>;q=0.5, <sip:carol@127.0.0.1:2>")
        #expect(
            contacts("<sip:carol@127.0.0.1:1>", expires: 0) == [
                "<sip:carol@127.0.0.1:2>;expires=3600", "<sip:carol@127.0.0.1:1>;q=0.5;expires=0",
            ])
        // What another takes the place of was not asked to be gone, and a fetch changes nothing.
        #expect(contacts("<sip:carol@127.0.0.1:3>") == ["<sip:carol@127.0.0.1:3>;expires=3600"])
        #expect(contacts("") == ["<sip:carol@127.0.0.1:3>;expires=3600"])
        #expect(
            contacts("<sip:carol@127.0.0.1:3>;expires=0, <sip:carol@127.0.0.1:4>") == [
                "<sip:carol@127.0.0.1:4>;expires=3600", "<sip:carol@127.0.0.1:3>;expires=0",
            ])
        #expect(contacts("*", expires: 0) == ["<sip:carol@127.0.0.1:4>;expires=0"])
        #expect(contacts("") == [])
        let plain = CoreRig().registered(.carol)
        #expect(plain.register(.carol, expires: 0).all("Contact") == [])
    }

    @Test func aFetchListsTheContactsAndChangesNothing() {
        let rig = CoreRig().registered(.alice)
        rig.advance(.seconds(600))
        let answer = rig.register(.alice, contact: "")
        #expect(answer.status == 200)
        #expect(answer["Contact"] == "<sip:alice@127.0.0.1:5071>;expires=3000")
        #expect(rig.trace() == [])
    }

    @Test func aMemberOfTheSetRegistersAllOfIt() {
        let rig = CoreRig { $0.subscribers[0].isAuthenticated = false }
        let request = rig.registerRequest(.alice).with("To", "<tel:+1-555-0100>")
        rig.receive(request, from: .alice)
        #expect(rig.next(to: .alice).status == 200)
        #expect(rig.contacts("sip:alice@home1.test") == ["sip:alice@127.0.0.1:5071"])
        #expect(rig.contacts("tel:+15550100") == ["sip:alice@127.0.0.1:5071"])
    }

    @Test func aBarredIdentityRegistersItsSetAndIsLeftOut() {
        let rig = CoreRig {
            $0.subscribers[2] = Laboratory.subscriber("carol", ["sip:carol@home1.test", "sip:caro@home1.test"], password: nil, profile: 0)
            $0.subscribers[2].isBarred = [true, false]
        }
        let answer = rig.register(.carol)
        #expect(answer["P-Associated-URI"] == "<sip:caro@home1.test>")
        let told = rig.next(to: .im)
        #expect(told["To"] == "<sip:caro@home1.test>")
        #expect(rig.contacts("sip:caro@home1.test").count == 1)
        // A barred identity is not to be reached.
        rig.send("MESSAGE", "sip:carol@home1.test", from: .home2)
        #expect(rig.next(to: .home2).status == 404)
    }

    @Test func subscribersOfARangeAreFoundByTheirNumber() {
        let rig = CoreRig { $0.subscribers.append(Laboratory.range()) }
        let peer = Peer("u", "sip:u0042@home1.test", port: 5076)
        let request = rig.registerRequest(peer)
        rig.receive(request, from: peer)
        let challenge = rig.first()
        #expect(challenge.status == 401)
        rig.receive(rig.answering(challenge, request, username: "u0042", password: "pw-u0042"), from: peer)
        #expect(rig.first()["P-Associated-URI"] == "<sip:u0042@home1.test>")
        for nobody in ["sip:u1000@home1.test", "sip:u42@home1.test", "sip:u00042@home1.test", "sip:uabcd@home1.test"] {
            rig.receive(rig.registerRequest(peer).with("To", "<\(nobody)>"), from: peer)
            #expect(rig.first().status == 404)
        }
    }

    @Test func aRetransmissionIsAbsorbed() {
        let rig = CoreRig { $0.subscribers[0].isAuthenticated = false }
        let request = rig.registerRequest(.alice)
        for _ in 0..<3 { rig.receive(request, from: .alice) }
        #expect(rig.trace() == ["alice 200 REGISTER", "im REGISTER", "alice 200 REGISTER", "alice 200 REGISTER"])
        #expect(rig.core.counters.retransmissionsAbsorbed == 2)
        #expect(rig.thirdParty(0, .sent) == 1)
    }

    @Test func aContactEndsWithItsTime() {
        let rig = CoreRig().registered(.alice)
        rig.advance(.seconds(3599))
        #expect(rig.contacts("sip:alice@home1.test").count == 1)
        #expect(rig.trace() == [])
        rig.advance(.seconds(2))
        #expect(rig.contacts("sip:alice@home1.test") == [])
        let told = rig.next(to: .im)
        #expect(told.method == "REGISTER")
        #expect(told["Expires"] == "0")
    }

    @Test func outboundIsConfirmed() {
        let rig = CoreRig()
        let contact = "<sip:carol@127.0.0.1:5075>;+sip.instance=\"<urn:uuid:1>\";reg-id=1"
        let answer = rig.register(.carol, contact: contact, [("Supported", "outbound, path")])
        #expect(answer.status == 200)
        #expect(answer["Require"] == "outbound")
        #expect(rig.register(.carol, contact: contact).has("Require") == false)
    }

    @Test func eachDeviceHasContactsOfItsOwn() {
        let rig = CoreRig {
            $0.subscribers[1].privateIdentities.append(IdentityTemplate("bob-tablet@home1.test"))
            $0.subscribers[1].passwords.append(IdentityTemplate("builder"))
        }
        #expect(rig.register(.bob).status == 200)
        rig.advance(.seconds(1))
        #expect(rig.register(.bobTablet, privateIdentity: "bob-tablet@home1.test").status == 200)
        #expect(rig.contacts("sip:bob@home1.test").count == 2)
        #expect(rig.core.registeredIdentity("sip:bob@home1.test", at: rig.now.monotonic)?.privateIdentity == "bob-tablet@home1.test")
        #expect(rig.register(.bobTablet, expires: 0, contact: "*", privateIdentity: "bob-tablet@home1.test").status == 200)
        #expect(rig.contacts("sip:bob@home1.test") == ["sip:bob@127.0.0.1:5072"])
    }

    @Test func aRequestWithoutRoomForItsContactsIsRefused() {
        let rig = CoreRig { $0.registrar = RegistrarSettings(maximumContacts: 2) }
        let contacts = (1...3).map { "<sip:carol@127.0.0.1:\($0)>" }.joined(separator: ", ")
        #expect(rig.register(.carol, contact: contacts).status == 403)
        #expect(rig.contacts("sip:carol@home1.test") == [])
    }
}
