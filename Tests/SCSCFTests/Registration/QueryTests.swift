import SCSCF
import SIPTransaction
import SansIO
import Testing

/// What others may ask of the core.
@Suite(.overShards) struct QueryTests {
    @Test func aRegistrationIsTold() throws {
        let rig = CoreRig()
        rig.register(
            .alice, contact: "<sip:alice@127.0.0.1:5071>;q=0.7;+g.oma.sip-im;+sip.instance=\"<urn:uuid:1>\"",
            [
                ("Path", "<sip:127.0.0.1:5099;lr>"), ("Supported", "path"), ("P-Access-Network-Info", "cell"),
                ("P-Visited-Network-ID", "home1.test"), ("P-Charging-Vector", "icid-value=i1"),
            ])
        rig.advance(.seconds(10))
        let registered = rig.core.registeredIdentity("tel:+1-555-0100", at: rig.now.monotonic)
        let found = try #require(registered)
        #expect(found.publicIdentity == "tel:+15550100")
        #expect(found.privateIdentity == "alice@home1.test")
        #expect(found.implicitSet == ["sip:alice@home1.test", "tel:+15550100"])
        let contact = try #require(found.contacts.first)
        #expect(contact.uri == "sip:alice@127.0.0.1:5071")
        #expect(contact.expires == 3590)
        #expect(contact.q == 700)
        #expect(contact.path == "<sip:127.0.0.1:5099;lr>")
        #expect(contact.parameters.contains("+g.oma.sip-im"))
        #expect(contact.flow == Peer.alice.flow)
        #expect(contact.callID.hasSuffix("@alice"))
        #expect(contact.sequence > 1000)
        #expect([contact.accessNetworkInfo, contact.visitedNetworkID, contact.chargingID] == ["cell", "home1.test", "i1"])
    }

    @Test func allRegisteredIdentitiesAreListed() {
        let rig = CoreRig().registered(.bob, .alice)
        let identities = rig.core.registeredIdentities(at: rig.now.monotonic).map(\.publicIdentity)
        #expect(identities == ["sip:alice@home1.test", "tel:+15550100", "sip:bob@home1.test"])
        #expect(rig.core.registeredCount == 2)
        for other in ["sip:carol@home1.test", "not a uri"] {
            let found = rig.core.registeredIdentity(other, at: rig.now.monotonic)
            #expect(found == nil)
        }
    }

    @Test func aResetForgetsAndSendsNothing() {
        let rig = CoreRig { $0.isPersistent = true }.registered(.alice, .bob)
        rig.send("INVITE", "sip:bob@home1.test", from: .alice)
        rig.commits = false
        rig.receive(rig.registerRequest(.carol), from: .carol)
        _ = rig.taken()
        rig.core.reset(at: rig.now)
        rig.commit()
        rig.advance(.seconds(4000))
        #expect(rig.trace() == [])
        #expect(rig.core.registeredCount == 0)
        #expect(rig.core.transactionCount(of: .inviteServer) == 0)
        rig.commits = true
        #expect(rig.register(.alice).status == 200)
    }

    @Test func messagesAreCounted() {
        let rig = CoreRig()
        rig.send("OPTIONS", "sip:home1.test", from: .stranger)
        rig.send("OPTIONS", "sip:home1.test", from: .stranger)
        var counts: [String] = []
        rig.core.counters.forEachReceived { transport, method, status, count in counts.append("\(transport) \(method) \(status) \(count)") }
        #expect(counts == ["udp options 0 2"])
    }
}
