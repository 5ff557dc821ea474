import SCSCF
import SansIO
import Testing

/// History-Info (RFC 7044): what the core adds when it takes a user's address for a contact.
@Suite(.overShards) struct HistoryTests {
    private let toBob = "sip:bob@home1.test"
    private static let bob = "<sip:bob@127.0.0.1:5072>"

    private func rig(_ contacts: String? = nil) -> CoreRig {
        let rig = CoreRig().registered(.alice)
        rig.register(.bob, contact: contacts ?? Self.bob)
        _ = rig.taken()
        return rig
    }

    /// History-Info as Bob gets it, the values of all lines.
    private func history(_ fields: [(String, String)]) -> String {
        let rig = rig()
        rig.send("MESSAGE", toBob, from: .alice, fields)
        return rig.next(to: .bob).all("History-Info").joined(separator: ", ")
    }

    @Test func itIsAddedForWhoUnderstandsIt() {
        let added = "<sip:bob@home1.test>;index=1, \(Self.bob);index=1.1;rc=1"
        #expect(history([("Supported", "path, histinfo")]) == added)
        #expect(history([("Supported", "path")]) == "")
        #expect(history([]) == "")
    }

    @Test(arguments: [
        // The last entry is the address that the request came for.
        ("<sip:carol@home3.test>;index=1, <sip:bob@home1.test>;index=1.1;mp=1", "\(bob);index=1.1.1;rc=1.1"),
        ("<SIP:bob@HOME1.test>;index=1", "\(bob);index=1.1;rc=1"),
        // Another has passed the request on without a word.
        ("<sip:carol@home3.test>;index=1.2", "<sip:bob@home1.test>;index=1.2.1, \(bob);index=1.2.1.1;rc=1.2.1"),
    ])
    func itGoesOnFromTheLastEntry(_ before: String, _ added: String) {
        #expect(history([("History-Info", before)]) == "\(before), \(added)")
    }

    @Test(arguments: ["<sip:carol@home3.test>", "<sip:carol@home3.test>;index=1..2", "<sip:carol@home3.test>;index=x", "carol"])
    func whatHasNoIndexIsPassedOnAsItIs(_ before: String) {
        #expect(history([("History-Info", before)]) == before)
    }

    @Test func eachForkHasANumberOfItsOwn() throws {
        let rig = rig("<sip:bob@127.0.0.1:5072>;q=0.9, <sip:bob@127.0.0.1:5073>;q=0.5")
        rig.send("MESSAGE", toBob, from: .alice, [("Supported", "histinfo")])
        let first = rig.next(to: .bob)
        #expect(first["History-Info"]?.hasSuffix(";index=1.1;rc=1") == true)
        rig.receive(first.response(480), from: .bob)
        #expect(rig.next(to: .bobDesk)["History-Info"]?.hasSuffix("<sip:bob@127.0.0.1:5073>;index=1.2;rc=1") == true)
    }

    @Test(arguments: ["history", "id;history", "header"])
    func whoWantsItToBeKeptIsNotTold(_ privacy: String) {
        #expect(history([("History-Info", "<sip:bob@home1.test>;index=1"), ("Privacy", privacy)]) == "")
        #expect(history([("Supported", "histinfo"), ("Privacy", privacy)]) == "")
    }
}
