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
        // The next one hears what became of the first (§10.2).
        let tried = "<sip:bob@127.0.0.1:5072?Reason=SIP%3Bcause%3D480>;index=1.1;rc=1"
        #expect(rig.next(to: .bobDesk)["History-Info"] == "\(aor), \(tried), <sip:bob@127.0.0.1:5073>;index=1.2;rc=1")
    }

    @Test func forksAtTheSameTimeDoNotHearOfEachOther() {
        let rig = rig("<sip:bob@127.0.0.1:5072>, <sip:bob@127.0.0.1:5073>")
        rig.send("MESSAGE", toBob, from: .alice, [("Supported", "histinfo")])
        let histories = rig.taken().compactMap { $0.message["History-Info"] }
        #expect(Set(histories.map { $0.contains("Reason") }) == [false])
        #expect(Set(histories.map { String($0.suffix(14)) }) == ["index=1.1;rc=1", "index=1.2;rc=1"])
    }

    @Test(arguments: [("", "mp=1.1"), (";rc=1.1", "rc=1.1"), (";rc=1.1;mp=1.1", "mp=1.1")])
    func whatAContactRedirectsToCountsOn(_ parameters: String, _ origin: String) {
        let rig = CoreRig { $0.followsRedirections = true }.registered(.alice, .bob)
        rig.send("MESSAGE", toBob, from: .alice, [("Supported", "histinfo")])
        rig.receive(rig.next(to: .bob).response(302, [("Contact", "<sip:bob@127.0.0.1:6070>\(parameters)")]), from: .bob)
        let tried = "<sip:bob@127.0.0.1:5072?Reason=SIP%3Bcause%3D302>;index=1.1;rc=1"
        let request = rig.next(to: .home3)
        #expect(request.all("History-Info") == ["\(aor), \(tried), <sip:bob@127.0.0.1:6070>;index=1.2;\(origin)"])
        rig.receive(request.response(301, [("Contact", "<sip:bob@127.0.0.1:6060>")]), from: .home3)
        #expect(
            rig.next(to: .home2)["History-Info"]?.hasSuffix(
                "<sip:bob@127.0.0.1:6070?Reason=SIP%3Bcause%3D301>;index=1.2;\(origin), <sip:bob@127.0.0.1:6060>;index=1.3;mp=1.2") == true)
    }

    /// Whoever redirects may want that others do not hear of it.
    @Test func aRedirectionMayBeKept() {
        let rig = CoreRig { $0.followsRedirections = true }.registered(.alice, .bob)
        rig.send("MESSAGE", toBob, from: .alice, [("Supported", "histinfo")])
        rig.receive(rig.next(to: .bob).response(302, [("Contact", "<sip:bob@127.0.0.1:6070>"), ("Privacy", "history")]), from: .bob)
        #expect(rig.next(to: .home3)["History-Info"] == "\(aor), \(unnamed);index=1.1;rc=1, <sip:bob@127.0.0.1:6070>;index=1.2;mp=1.1")
    }

    // MARK: Privacy (§10.1)

    private let unnamed = "<sip:anonymous@anonymous.invalid>"
    private let aor = "<sip:bob@home1.test>;index=1"

    /// Where the request was is not told to a contact, but that it was somewhere.
    @Test(arguments: ["history", "id;history", "header", "session"])
    func whatTheSenderWantsToBeKeptIsNotTold(_ privacy: String) {
        let hidden = "\(unnamed);index=1, \(unnamed);index=1.1;rc=1"
        #expect(history([("History-Info", "<sip:bob@home1.test>;index=1"), ("Privacy", privacy)]) == hidden)
        #expect(history([("Supported", "histinfo"), ("Privacy", privacy)]) == hidden)
    }

    @Test func anEntryMayBeKeptByItself() {
        let secret = "<sip:carol@home3.test?Reason=SIP%3Bcause%3D302&Privacy=history>;index=1"
        let other = "<sip:bob@home1.test?Privacy=none>;index=1.1;mp=1"
        #expect(
            history([("History-Info", secret), ("History-Info", other)])
                == "\(unnamed);index=1, \(other), \(Self.bob);index=1.1.1;rc=1.1")
    }

    @Test func withinTheTrustDomainNothingIsHidden() {
        let entries = "<sip:carol@home3.test?Privacy=history>;index=1"
        let rig = rig()
        for (uri, peer) in [("sip:dora@home2.test", Peer.home2), ("sip:emil@home3.test", .home3)] {
            rig.send("MESSAGE", uri, from: .alice, [("History-Info", entries)])
            #expect(rig.next(to: peer)["History-Info"] == (peer == .home2 ? entries : "\(unnamed);index=1"))
        }
    }
}
