import IMSProfile
import SCSCF
import SansIO
import Testing

/// Whom the core believes, in the order in which it asks.
@Suite(.overShards) struct BeliefTests {
    private typealias L = Laboratory
    private let message = "MESSAGE"
    private let toBob = "sip:bob@home1.test"

    // MARK: Trusted peers

    @Test func aTrustedPeersIdentitiesAreKept() {
        let rig = CoreRig().registered(.bob)
        rig.send(message, toBob, from: .im, [("P-Asserted-Identity", "<sip:dora@home2.test>")])
        #expect(rig.next(to: .bob)["P-Asserted-Identity"] == "<sip:dora@home2.test>")
    }

    @Test func aServerIsKnownByItsAddressAndPort() {
        let rig = CoreRig().registered(.bob)
        let neighbour = Peer("neighbour", "sip:x@elsewhere.test", port: 5081)
        rig.send(message, toBob, from: neighbour, [("P-Asserted-Identity", "<sip:dora@home2.test>")])
        #expect(!rig.next(to: .bob).has("P-Asserted-Identity"))
    }

    @Test func onAStreamTheSentByTells() {
        let rig = CoreRig().registered(.bob)
        let connection = Peer("im", "sip:im.home1.test", port: 40_080, transport: .tcp, connection: 3)
        let asserted = [("P-Asserted-Identity", "<sip:dora@home2.test>")]
        let request = rig.request(message, toBob, from: connection, asserted)
        rig.receive(request.with("Via", "SIP/2.0/TCP 127.0.0.1:5080;branch=z9hG4bKs1"), from: connection)
        #expect(rig.next(to: .bob).has("P-Asserted-Identity"))
        rig.send(message, toBob, from: connection, asserted)
        #expect(!rig.next(to: .bob).has("P-Asserted-Identity"))
    }

    @Test func aBlockOfAddressesMayBeTrusted() {
        let rig = CoreRig { $0.trusted = [(IPAddress("192.0.2.0")!, 24)] }.registered(.bob)
        rig.send(message, toBob, from: .stranger, [("P-Asserted-Identity", "<sip:dora@home2.test>")])
        #expect(rig.next(to: .bob)["P-Asserted-Identity"] == "<sip:dora@home2.test>")
    }

    @Test func onlyATrustedNetworkIsBelieved() {
        let rig = CoreRig().registered(.bob)
        rig.send(message, toBob, from: .home2, [("P-Asserted-Identity", "<sip:dora@home2.test>")])
        #expect(rig.next(to: .bob)["P-Asserted-Identity"] == "<sip:dora@home2.test>")
        rig.send(message, toBob, from: .home3, [("P-Asserted-Identity", "<sip:emil@home3.test>")])
        #expect(!rig.next(to: .bob).has("P-Asserted-Identity"))
    }

    @Test func aNetworkNeverOriginates() {
        let rig = CoreRig { $0.profiles = [L.profile([L.criterion(0, [.sessionCase(.originating)], 0)])] }.registered(.alice, .bob)
        rig.send(
            message, toBob, from: .home2,
            [("Route", "<sip:127.0.0.1:5060;lr;orig>"), ("P-Served-User", "<sip:alice@home1.test>;sescase=orig;regstate=reg")])
        #expect(rig.trace() == ["bob MESSAGE"])
    }

    @Test func origInTheTopRouteMakesItOriginating() {
        let rig = CoreRig { $0.profiles = [L.profile([L.criterion(0, [.method("MESSAGE"), .sessionCase(.originating)], 1)])] }
            .registered(.alice, .bob)
        rig.send(
            message, toBob, from: .im, [("Route", "<sip:127.0.0.1:5060;lr;orig>"), ("P-Asserted-Identity", "<sip:alice@home1.test>")])
        #expect(rig.next(to: .second)["P-Served-User"] == "<sip:alice@home1.test>;sescase=orig;regstate=reg")
    }

    @Test func theServedUserMayBeNamed() {
        let rig = CoreRig { $0.profiles = [L.profile([L.criterion(0, [.method("MESSAGE"), .sessionCase(.originatingUnregistered)], 1)])] }
            .registered(.bob)
        rig.send(
            message, toBob, from: .im,
            [("P-Served-User", "<sip:alice@home1.test>;sescase=orig;regstate=reg"), ("P-Asserted-Identity", "<sip:other@home2.test>")])
        #expect(rig.next(to: .second)["P-Served-User"] == "<sip:alice@home1.test>;sescase=orig;regstate=unreg")
    }

    @Test func aServerMayAssertAnIdentityOfOursInAnySpelling() {
        let rig = CoreRig { $0.profiles = [L.profile([L.criterion(0, [.method("MESSAGE"), .sessionCase(.originating)], 1)])] }
            .registered(.alice, .bob)
        rig.send(
            message, toBob, from: .im,
            [
                ("Route", "<sip:orig@127.0.0.1:5060;lr>"),
                ("P-Asserted-Identity", "<sip:dora@home2.test>, \"Alice\" <tel:+1-555-0100>"),
            ])
        #expect(rig.next(to: .second)["P-Served-User"] == "<tel:+15550100>;sescase=orig;regstate=reg")
    }

    @Test func originatingNeedsAUserOfOurs() {
        let rig = CoreRig().registered(.bob)
        let orig = ("Route", "<sip:127.0.0.1:5060;lr;orig>")
        rig.send(message, toBob, from: .im, [orig, ("P-Served-User", "<sip:dora@home2.test>;sescase=orig")])
        rig.send(message, toBob, from: .im, [orig, ("P-Asserted-Identity", "<sip:dora@home2.test>")])
        rig.send(message, toBob, from: .im, [orig])
        #expect(rig.trace() == ["im 403 MESSAGE", "im 403 MESSAGE", "im 403 MESSAGE"])
    }

    @Test func aServerThatAssertsNothingIsTakenAtItsFrom() {
        let rig = CoreRig { $0.profiles = [L.profile([L.criterion(0, [.method("MESSAGE"), .sessionCase(.originating)], 1)])] }
            .registered(.alice, .bob)
        let orig = ("Route", "<sip:127.0.0.1:5060;lr;orig>")
        rig.receive(rig.request(message, toBob, from: .im, [orig]).with("From", "<sip:alice@home1.test>;tag=1"), from: .im)
        #expect(rig.next(to: .second)["P-Served-User"] == "<sip:alice@home1.test>;sescase=orig;regstate=reg")
        // One that asserts somebody else means that one.
        let asserted = ("P-Asserted-Identity", "<sip:dora@home2.test>")
        rig.receive(rig.request(message, toBob, from: .im, [orig, asserted]).with("From", "<sip:alice@home1.test>;tag=2"), from: .im)
        #expect(rig.trace() == ["im 403 MESSAGE"])
    }

    @Test(arguments: [
        ("<sip:alice@home1.test>", ["<sip:alice@home1.test>", "<tel:+15550100>"]),
        ("\"Alice\" <tel:+1-555-0100>", ["\"Alice\" <tel:+1-555-0100>", "<sip:alice@home1.test>"]),
        // Two are told already, or another user.
        ("<sip:alice@home1.test>, <tel:+15550199>", ["<sip:alice@home1.test>, <tel:+15550199>"]),
        ("<sip:bob@home1.test>", ["<sip:bob@home1.test>"]),
    ])
    func theOtherIdentityIsAddedToWhatAServerAsserts(_ asserted: String, _ told: [String]) {
        let rig = CoreRig().registered(.bob)
        rig.send(
            message, toBob, from: .im,
            [
                ("Route", "<sip:127.0.0.1:5060;lr;orig>"), ("P-Served-User", "<sip:alice@home1.test>;sescase=orig;regstate=unreg"),
                ("P-Asserted-Identity", asserted),
            ])
        #expect(rig.next(to: .bob).all("P-Asserted-Identity").sorted() == told.sorted())
    }

    // MARK: The flow of a registration

    @Test func aUserOnItsFlowIsAsserted() {
        let rig = CoreRig().registered(.alice, .bob)
        rig.send(message, toBob, from: .alice)
        #expect(rig.next(to: .bob)["P-Asserted-Identity"] == "<sip:alice@home1.test>, <tel:+15550100>")
    }

    @Test func anIdentityOfTheSetMayBePreferred() {
        let rig = CoreRig().registered(.alice, .bob)
        rig.send(message, toBob, from: .alice, [("P-Preferred-Identity", "<tel:+1-555-0100>")])
        let request = rig.next(to: .bob)
        #expect(request["P-Asserted-Identity"] == "<tel:+15550100>, <sip:alice@home1.test>")
        #expect(!request.has("P-Preferred-Identity"))
    }

    @Test func onAFlowOfOneUserFromIsForDisplayOnly() {
        let rig = CoreRig().registered(.alice, .bob)
        rig.receive(
            rig.request(message, toBob, from: .alice).with("From", "\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=1"), from: .alice)
        let request = rig.next(to: .bob)
        #expect(request["P-Asserted-Identity"] == "<sip:alice@home1.test>, <tel:+15550100>")
        #expect(request["From"]?.contains("anonymous@anonymous.invalid") == true)
    }

    @Test func onAFlowOfManyUsersTheyAreNamed() {
        let rig = CoreRig { for i in 0..<2 { $0.subscribers[i].isAuthenticated = false } }
        let edge = Peer("edge", Peer.alice.identity, port: 5077)
        let other = Peer("edge", Peer.bob.identity, port: 5077)
        rig.receive(rig.registerRequest(edge, contact: Peer.alice.contact), from: edge)
        rig.receive(rig.registerRequest(other, contact: Peer.bob.contact), from: other)
        _ = rig.taken()
        rig.send(message, toBob, from: edge)
        #expect(rig.next(to: .bob)["P-Asserted-Identity"]?.hasPrefix("<sip:alice@home1.test>") == true)
        rig.send(message, "sip:alice@home1.test", from: edge, [("P-Preferred-Identity", "<sip:bob@home1.test>")])
        #expect(rig.next(to: .alice)["P-Asserted-Identity"] == "<sip:bob@home1.test>")
        // None of them is named: as from anywhere.
        rig.receive(rig.request(message, toBob, from: edge).with("From", "<sip:eve@elsewhere.test>;tag=1"), from: edge)
        #expect(!rig.next(to: .bob).has("P-Asserted-Identity"))
    }

    @Test func aConnectionIsAFlow() {
        let rig = CoreRig().registered(.aliceStream, .bob)
        rig.send(message, toBob, from: .aliceStream)
        #expect(rig.next(to: .bob).has("P-Asserted-Identity"))
        let later = Peer("aliceStream", Peer.alice.identity, port: 40_001, transport: .tcp, connection: 8)
        rig.send(message, toBob, from: later)
        #expect(rig.taken().map(\.message.summary) == ["407 MESSAGE"])
    }

    // MARK: Anywhere else

    @Test func whoIsNotRegisteredIsForbidden() {
        let rig = CoreRig().registered(.bob)
        rig.send(message, toBob, from: .alice)
        #expect(rig.trace() == ["alice 403 MESSAGE"])
    }

    @Test func withoutAuthenticationANameIsEnough() {
        let rig = CoreRig().registered(.carol, .bob)
        let elsewhere = Peer("elsewhere", Peer.carol.identity, port: 6666)
        rig.send(message, toBob, from: elsewhere)
        #expect(rig.next(to: .bob)["P-Asserted-Identity"] == "<sip:carol@home1.test>")
    }

    @Test func strangersReachOurUsersOnly() {
        let rig = CoreRig().registered(.bob)
        rig.send(message, toBob, from: .stranger)
        let request = rig.next(to: .bob)
        #expect(request.method == "MESSAGE")
        #expect(!request.has("P-Asserted-Identity"))
        for uri in ["sip:dora@home2.test", "tel:+15559999", "sip:x@192.0.2.1"] {
            rig.send(message, uri, from: .stranger)
            #expect(rig.next(to: .stranger).status == 403)
        }
        rig.send(message, "sip:nobody@home1.test", from: .stranger)
        #expect(rig.next(to: .stranger).status == 404)
    }

    @Test func strangersChooseNoPath() {
        let rig = CoreRig().registered(.bob)
        rig.send(message, toBob, from: .stranger, [("Route", "<sip:127.0.0.1:5060;lr>, <sip:192.0.2.1;lr>")])
        #expect(rig.trace() == ["stranger 403 MESSAGE"])
    }

    @Test func strangersDoNotOriginate() {
        let rig = CoreRig { $0.profiles = [L.profile([L.criterion(0, [.sessionCase(.originating)], 0)])] }.registered(.alice, .bob)
        rig.send(
            message, toBob, from: .stranger,
            [("Route", "<sip:orig@127.0.0.1:5060;lr;orig>"), ("P-Served-User", "<sip:alice@home1.test>;sescase=orig")])
        let request = rig.next(to: .bob)
        #expect(!request.has("P-Served-User"))
    }

    @Test(arguments: ["P-Asserted-Identity", "P-Served-User", "P-Charging-Vector", "P-Called-Party-ID", "P-Profile-Key"])
    func identityHeadersOfOthersAreRemoved(_ name: String) {
        let rig = CoreRig().registered(.alice)
        let forged = "<sip:forged@home1.test>"
        rig.send(message, "sip:dora@home2.test", from: .alice, [(name, forged)])
        #expect(!rig.next(to: .home2).all(name).contains(forged))
    }

    @Test func aBarredIdentityDoesNotOriginate() {
        let rig = CoreRig {
            $0.subscribers[2].isBarred = [true]
            $0.subscribers[0].isAuthenticated = false
        }
        rig.receive(rig.registerRequest(.carol), from: .carol)
        _ = rig.taken()
        rig.send(message, "sip:dora@home2.test", from: .carol)
        #expect(rig.trace() == ["carol 403 MESSAGE"])
    }

    // MARK: Privacy

    @Test func anIdentityThatIsToBeHiddenStaysInsideTheTrustDomain() {
        let rig = CoreRig().registered(.alice, .bob)
        let privacy = [("Privacy", "header;id")]
        rig.send(message, toBob, from: .alice, privacy)
        let toContact = rig.next(to: .bob)
        #expect(!toContact.has("P-Asserted-Identity"))
        #expect(toContact["Privacy"] == "header;id")
        rig.send(message, "sip:dora@home2.test", from: .alice, privacy)
        #expect(rig.next(to: .home2).has("P-Asserted-Identity"))
        rig.send(message, "sip:emil@home3.test", from: .alice, privacy)
        #expect(!rig.next(to: .home3).has("P-Asserted-Identity"))
        rig.send(message, toBob, from: .alice, privacy + [("Accept-Contact", "*;+g.oma.sip-im")])
        #expect(rig.next(to: .im).has("P-Asserted-Identity"))
        rig.send(message, toBob, from: .im, privacy + [("P-Asserted-Identity", "<sip:dora@home2.test>")])
        #expect(!rig.next(to: .bob).has("P-Asserted-Identity"))
    }
}
