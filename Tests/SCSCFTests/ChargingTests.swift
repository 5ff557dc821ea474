import IMSProfile
import SCSCF
import SansIO
import Testing

/// P-Charging-Vector (RFC 7315 §4.6, TS 24.229 §7.2A.5), and from whom it is believed.
@Suite(.overShards) struct ChargingTests {
    private typealias L = Laboratory
    private static let edge = Peer("edge", "sip:carol@home1.test", port: 5555, address: "192.0.2.9")
    private let tag = [("Accept-Contact", "*;+g.oma.sip-im")]

    private func identifier(_ message: SIPText) -> String { message.parameter("icid-value", of: "P-Charging-Vector") ?? "" }

    // MARK: Registrations

    /// Carol has two servers and no password.
    private func registering(_ change: (inout ServingCSCFConfiguration) -> Void = { _ in }) -> CoreRig {
        CoreRig {
            $0.profiles.append(L.profile(L.shortForm(0) + L.shortForm(1)))
            $0.subscribers[2].profiles = [1]
            change(&$0)
        }
    }

    @Test func allServersHearOfOneNewIdentifier() {
        let rig = registering()
        rig.answers = ["im": 200, "second": 200]
        var seen: Set<String> = []
        for step in 0..<3 {
            if step < 2 { rig.register(.carol) } else { #expect(rig.deregister("sip:carol@home1.test")) }
            let told = rig.taken().filter { $0.message.method == "REGISTER" && $0.message.isRequest }.map(\.message)
            #expect(told.count == 2)
            for message in told {
                #expect(
                    message["P-Charging-Vector"]
                        == "icid-value=\(identifier(message));icid-generated-at=127.0.0.1;orig-ioi=\"Type 3home1.test\"")
            }
            #expect(Set(told.map(identifier)).count == 1)
            seen.formUnion(told.map(identifier))
        }
        #expect(seen.count == 3)
        #expect(seen.allSatisfy { $0.count == 32 })
    }

    @Test func theIdentifierOutlivesTheProcess() {
        let rig = registering { $0.isPersistent = true }
        rig.register(.carol)
        let told = rig.next(to: .im)
        let again = rig.restarted().next(to: .im)
        #expect(again["P-Charging-Vector"] == told["P-Charging-Vector"])
        #expect(again.all("P-Charging-Vector").count == 1)
        #expect(again["Content-Length"] == "0")
    }

    @Test(arguments: ["orig-ioi=visited.test", "icid-value=;orig-ioi=visited.test", "icid-generated-at=192.0.2.1"])
    func aVectorWithoutIdentifierGetsOne(vector: String) {
        let rig = registering()
        rig.register(.carol, [("P-Charging-Vector", vector)])
        let told = rig.next(to: .im)
        #expect(told.all("P-Charging-Vector").count == 1)
        #expect(identifier(told).count == 32)
    }

    /// RFC 7315 §5.6: without `icid-value` there is no P-Charging-Vector.
    @Test(arguments: ["", "orig-ioi=visited.test", "icid-value=\"abc", "icid-value=\"\"", "icid-value=;orig-ioi=a", "icid-value"])
    func theAnswerHasNoVectorWithoutIdentifier(vector: String) {
        let rig = registering()
        let answer = rig.register(.carol, [("P-Charging-Vector", vector)])
        #expect(answer.status == 200)
        #expect(!answer.has("P-Charging-Vector"))
        #expect(identifier(rig.next(to: .im)).count == 32)
    }

    /// RFC 7315 §6: where an edge is known, what others write in its place is nothing.
    @Test func whatOnlyAnEdgeMaySayIsBelievedFromTheEdgeThatIsKnown() {
        let rig = registering {
            $0.trusted = [(network: Self.edge.flow.remote.address, prefixLength: 32)]
            $0.visitedNetworks = [Array("partner.test".utf8)]
            $0.chargingFunctions = Array("ccf=192.0.2.9".utf8)
        }
        let path = ("Path", "<sip:edge.home1.test;lr>")
        let forged = [
            path, ("P-Charging-Vector", "icid-value=forged"), ("P-Visited-Network-ID", "other.test"), ("P-Access-Network-Info", "cell"),
        ]
        let answer = rig.register(.carol, forged)
        #expect(answer.status == 200)
        #expect(!answer.has("P-Charging-Vector"))
        #expect(!answer.has("P-Charging-Function-Addresses"))
        let told = rig.next(to: .im)
        #expect(identifier(told).count == 32)
        #expect(!told.has("P-Visited-Network-ID"))
        // What the user's equipment says of the cell that it is in is its own to say.
        #expect(told["P-Access-Network-Info"] == "cell")
        _ = rig.taken()

        rig.receive(rig.registerRequest(Self.edge, forged), from: Self.edge)
        #expect(rig.first().status == 403)
        let sound = [path, ("P-Charging-Vector", "icid-value=e1;icid-generated-at=192.0.2.9"), ("P-Visited-Network-ID", "partner.test")]
        rig.receive(rig.registerRequest(Self.edge, sound), from: Self.edge)
        let sent = rig.taken().map(\.message)
        #expect(sent.first?.status == 200)
        #expect(sent.first?["P-Charging-Vector"] == "icid-value=e1;icid-generated-at=192.0.2.9;term-ioi=\"Type 1home1.test\"")
        #expect(sent.last?["P-Charging-Vector"] == "icid-value=e1;icid-generated-at=192.0.2.9;orig-ioi=\"Type 3home1.test\"")
        #expect(sent.last?["P-Visited-Network-ID"] == "partner.test")
    }

    /// TS 24.229 §4.4: what is marked as the network's own is an edge's to say.
    @Test func accessNetworkInformationOfTheNetworkIsTheEdgesToSay() {
        let rig = registering { $0.trusted = [(network: Self.edge.flow.remote.address, prefixLength: 32)] }
        let name = "P-Access-Network-Info"
        let mixed = "own;cell=1, theirs;cell=2;network-provided, third;np"
        rig.register(.carol, [(name, mixed)])
        #expect(rig.next(to: .im).all(name) == ["own;cell=1"])
        rig.register(.carol, [(name, "theirs;network-provided")])
        #expect(!rig.next(to: .im).has(name))
        _ = rig.taken()
        rig.receive(rig.registerRequest(Self.edge, [("Path", "<sip:edge.home1.test;lr>"), (name, mixed)]), from: Self.edge)
        #expect(rig.next(to: .im).all(name) == [mixed])
    }

    // MARK: Requests

    @Test func oneIdentifierGoesFromServerToServerAndNotToTheUser() {
        let rig = CoreRig().registered(.alice, .bob)
        rig.send("MESSAGE", "sip:bob@home1.test", from: .alice, tag + [("P-Charging-Vector", "icid-value=forged")])
        let originating = rig.next(to: .im)
        #expect(
            originating.all("P-Charging-Vector") == [
                "icid-value=\(identifier(originating));icid-generated-at=127.0.0.1;orig-ioi=\"Type 3home1.test\""
            ])
        #expect(identifier(originating).count == 32)
        rig.receive(originating.forwarded(by: .im, branch: "i1"), from: .im)
        let terminating = rig.next(to: .im)
        #expect(terminating["P-Charging-Vector"] == originating["P-Charging-Vector"])
        // A server that forgets it is told it again.
        rig.receive(terminating.forwarded(by: .im, branch: "i2").with("P-Charging-Vector", nil), from: .im)
        #expect(!rig.next(to: .bob).has("P-Charging-Vector"))
        rig.send("MESSAGE", "sip:bob@home1.test", from: .alice, tag)
        #expect(identifier(rig.next(to: .im)) != identifier(originating))
    }

    @Test func aServerThatForgetsTheIdentifierHearsItAgain() {
        let rig = CoreRig().registered(.alice, .bob)
        rig.send("MESSAGE", "sip:bob@home1.test", from: .alice, tag)
        let originating = rig.next(to: .im)
        rig.receive(originating.forwarded(by: .im, branch: "i1").with("P-Charging-Vector", nil), from: .im)
        #expect(rig.next(to: .im)["P-Charging-Vector"] == originating["P-Charging-Vector"])
    }

    @Test func networksHearWhereARequestComesFromIfTheyAreTrusted() {
        let rig = CoreRig().registered(.alice)
        rig.send("MESSAGE", "sip:dora@home2.test", from: .alice)
        let trusted = rig.next(to: .home2)
        #expect(trusted["P-Charging-Vector"] == "icid-value=\(identifier(trusted));icid-generated-at=127.0.0.1;orig-ioi=\"home1.test\"")
        rig.send("MESSAGE", "sip:emil@home3.test", from: .alice)
        #expect(!rig.next(to: .home3).has("P-Charging-Vector"))
        // What another network says of the request stays, but for the one who sends it on.
        rig.send("MESSAGE", "sip:alice@home1.test", from: .home2, tag + [("P-Charging-Vector", "icid-value=h2;orig-ioi=home2.test")])
        #expect(rig.next(to: .im)["P-Charging-Vector"] == "icid-value=h2;orig-ioi=\"Type 3home1.test\"")
    }
}
