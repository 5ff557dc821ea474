import IMSProfile
import SCSCF
import SIPRegistrar
import SansIO
import Testing

/// Towards a user of ours: whose the request is, and how a contact is reached (TS 24.229 §5.4.3.3).
@Suite(.overShards) struct TerminatingTests {
    private let toBob = "sip:bob@home1.test"

    /// RFC 3261 §16.5: behind the criteria the address is the only target.
    @Test func anAddressInTheRequestURIIsFollowed() throws {
        let rig = CoreRig { $0.profiles = [Laboratory.profile([Laboratory.criterion(0, [.sessionCase(.terminating)], 0)])] }
            .registered(.alice, .bob)
        let uri = "sip:bob@home1.test;maddr=192.0.2.9"
        rig.send("MESSAGE", uri, from: .alice)
        let served = rig.next(to: .im)
        #expect(served["P-Served-User"] == "<sip:bob@home1.test>;sescase=term;regstate=reg")
        rig.receive(served.forwarded(by: .im, branch: "i1"), from: .im)
        let sent = try #require(rig.taken().first)
        #expect(sent.destination == "udp:192.0.2.9:5060")
        #expect(sent.message.uri == uri)
        #expect(!sent.message.has("P-Called-Party-ID"))
        // A stranger does not choose paths through the core.
        rig.send("MESSAGE", "sip:carol@home1.test;maddr=192.0.2.9", from: .stranger)
        #expect(rig.next(to: .stranger).status == 403)
    }

    @Test func anUnknownUserIsNotFound() {
        let rig = CoreRig().registered(.alice)
        rig.send("MESSAGE", "sip:nobody@home1.test", from: .alice)
        rig.send("MESSAGE", "tel:+15559999", from: .alice)
        #expect(rig.trace() == ["alice 404 MESSAGE", "alice 404 MESSAGE"])
    }

    @Test func aUserWithoutContactIsUnavailable() {
        let rig = CoreRig().registered(.alice)
        rig.send("MESSAGE", toBob, from: .alice)
        #expect(rig.trace() == ["alice 480 MESSAGE"])
    }

    @Test func theContactTakesThePlaceOfTheRequestURI() {
        let rig = CoreRig().registered(.alice)
        rig.register(.bob, contact: "<sip:bob@127.0.0.1:5072;ob;transport=udp?X=1&Route=%3Csip:evil%3E>")
        _ = rig.taken()
        rig.send("MESSAGE", "sip:BOB@127.0.0.1", from: .alice)
        #expect(rig.next(to: .alice).status == 404)
        rig.send("MESSAGE", "sip:bob@HOME1.test;user=ip", from: .alice, [("P-Called-Party-ID", "<sip:forged@home1.test>")])
        let request = rig.next(to: .bob)
        #expect(request.uri == "sip:bob@127.0.0.1:5072;ob;transport=udp")
        #expect(request.all("P-Called-Party-ID") == ["<sip:bob@home1.test>"])
        #expect(!request.has("Route"))
        #expect(request["To"] == "<sip:bob@HOME1.test;user=ip>")
    }

    @Test func aContactsMethodStaysBehind() {
        let rig = CoreRig().registered(.alice)
        rig.register(.bob, contact: "<sip:bob@127.0.0.1:5072;method=INVITE;x=1>")
        _ = rig.taken()
        rig.send("MESSAGE", toBob, from: .alice)
        #expect(rig.next(to: .bob).uri == "sip:bob@127.0.0.1:5072;x=1")
    }

    @Test func thePathIsFollowed() {
        let rig = CoreRig().registered(.alice)
        rig.register(.bob, [("Path", "<sip:127.0.0.1:5090;lr>, <sip:127.0.0.1:9999;lr>"), ("Supported", "path")])
        _ = rig.taken()
        rig.send("MESSAGE", toBob, from: .alice)
        let request = rig.next(to: .second)
        #expect(request.uri == "sip:bob@127.0.0.1:5072")
        #expect(request.all("Route").joined(separator: ", ") == "<sip:127.0.0.1:5090;lr>, <sip:127.0.0.1:9999;lr>")
    }

    @Test func aNameOfTheTopologyIsAContact() {
        let rig = CoreRig { $0.hosts[Array("phone.bob.test".utf8)] = Peer.bobDesk.flow.remote }.registered(.alice)
        rig.register(.bob, contact: "<sip:bob@Phone.bob.test>")
        _ = rig.taken()
        rig.send("MESSAGE", toBob, from: .alice)
        #expect(rig.trace() == ["bobDesk MESSAGE"])
    }

    @Test func aContactThatCannotBeReachedIsReachedByItsFlow() {
        let rig = CoreRig().registered(.aliceStream, .bob)
        rig.register(.aliceStream, contact: "<sip:alice@df7jal23ls0d.invalid;transport=ws>")
        _ = rig.taken()
        rig.send("MESSAGE", "sip:alice@home1.test", from: .bob)
        let sent = rig.taken()
        #expect(sent.first?.flow == Peer.aliceStream.flow)
        #expect(sent.first?.message.uri == "sip:alice@df7jal23ls0d.invalid;transport=ws")
        #expect(sent.first?.message["Via"]?.hasPrefix("SIP/2.0/TCP") == true)
    }

    @Test func outboundUsesTheFlow() {
        let rig = CoreRig().registered(.alice)
        rig.register(
            .bob, contact: "<sip:bob@192.0.2.200:5060>;+sip.instance=\"<urn:uuid:1>\";reg-id=1", [("Supported", "outbound, path")])
        _ = rig.taken()
        rig.send("MESSAGE", toBob, from: .alice)
        #expect(rig.trace() == ["bob MESSAGE"])
    }

    @Test func aFailedFlowEndsItsBinding() {
        let rig = CoreRig().registered(.alice, .bob)
        rig.send("MESSAGE", toBob, from: .alice)
        rig.receive(rig.next(to: .bob).response(430), from: .bob)
        #expect(rig.contacts(toBob) == [])
        #expect(Set(rig.trace()) == ["im REGISTER", "alice 430 MESSAGE"])
    }

    @Test func theCallersPreferencesChoose() {
        let rig = CoreRig().registered(.alice)
        rig.register(.bob, contact: "<sip:bob@127.0.0.1:5072>;audio, <sip:bob@127.0.0.1:5073>;+g.test.tag;video")
        _ = rig.taken()
        rig.send("MESSAGE", toBob, from: .alice, [("Accept-Contact", "*;+g.test.tag;require;explicit")])
        let request = rig.next(to: .bobDesk)
        #expect(request["Accept-Contact"] == "*;+g.test.tag;require;explicit")
        #expect(rig.trace() == [])
        rig.send("MESSAGE", toBob, from: .alice, [("Accept-Contact", "*;+g.nobody.has;require;explicit")])
        #expect(rig.trace() == ["alice 480 MESSAGE"])
        rig.send("MESSAGE", toBob, from: .alice, [("Reject-Contact", "*;video")])
        #expect(rig.trace() == ["bob MESSAGE"])
    }

    @Test func anotherNetworkIsReachedByItsDomain() {
        let rig = CoreRig().registered(.alice)
        rig.send("MESSAGE", "sip:dora@home2.test", from: .alice, [("P-Access-Network-Info", "x")])
        let trusted = rig.next(to: .home2)
        #expect(trusted.uri == "sip:dora@home2.test")
        #expect(trusted["P-Access-Network-Info"] == "x")
        rig.send("MESSAGE", "sip:emil@HOME3.test", from: .alice, [("P-Access-Network-Info", "x")])
        #expect(!rig.next(to: .home3).has("P-Access-Network-Info"))
        rig.send("MESSAGE", "sip:x@unknown.test", from: .alice)
        let answer = rig.next(to: .alice)
        #expect(answer.status == 404)
        #expect(answer["Warning"]?.contains("unknown.test") == true)
        rig.send("MESSAGE", "sip:x@127.0.0.1:6070", from: .alice)
        #expect(rig.trace() == ["home3 MESSAGE"])
    }

    @Test func withoutAListenerThereIsNoWay() {
        let rig = CoreRig().registered(.alice)
        rig.send("MESSAGE", "sip:x@[2001:db8::1]", from: .alice)
        #expect(rig.trace() == ["alice 503 MESSAGE"])
    }
}
