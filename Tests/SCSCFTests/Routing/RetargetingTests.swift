import IMSProfile
import SCSCF
import SansIO
import Testing

/// 3xx responses of an application server: passed back, or followed as if it had sent the request back with another Request-URI.
@Suite(.overShards) struct RetargetingTests {
    private typealias L = Laboratory
    private let toBob = "sip:bob@home1.test"
    private let carol = "<sip:carol@home1.test>"

    /// A core whose `im` gets what alice and bob are called with.
    private func rig(
        follows: Bool = true, _ criteria: [InitialFilterCriterion] = [L.criterion(0, [.method("MESSAGE"), .sessionCase(.terminating)], 0)]
    ) -> CoreRig {
        CoreRig {
            $0.followsRedirections = follows
            $0.profiles = [L.profile(criteria)]
        }.registered(.alice, .bob, .carol)
    }

    /// Sends a MESSAGE to Bob, which his server redirects.
    private func redirect(
        _ rig: CoreRig, _ status: Int = 302, to contacts: String, _ fields: [(String, String)] = [], answer: [(String, String)] = []
    ) {
        rig.send("MESSAGE", toBob, from: .alice, fields)
        rig.receive(rig.next(to: .im).response(status, [("Contact", contacts)] + answer), from: .im)
    }

    @Test func itIsPassedBackUnlessTheCoreIsToldToFollow() {
        let rig = rig(follows: false)
        redirect(rig, to: carol)
        let answer = rig.next(to: .alice)
        #expect(answer.status == 302)
        #expect(answer["Contact"] == carol)
        #expect(rig.trace() == [])
    }

    @Test func theRequestGoesToAUserOfOurs() {
        let rig = rig()
        redirect(rig, to: carol)
        let request = rig.next(to: .carol)
        #expect(request.uri == "sip:carol@127.0.0.1:5075")
        #expect(request["P-Called-Party-ID"] == carol)
        #expect(request["To"] == "<sip:bob@home1.test>")
        #expect(request["P-Asserted-Identity"] == "<sip:alice@home1.test>, <tel:+15550100>")
        #expect(!request.has("History-Info"))
        rig.receive(request.response(200), from: .carol)
        #expect(rig.trace() == ["alice 200 MESSAGE"])
        rig.advance(.seconds(70))
        #expect(TransactionKindCount.all(rig.core) == 0)
    }

    @Test(arguments: [301, 302, 300])
    func itGoesToTheBestAddress(_ status: Int) {
        let rig = rig()
        redirect(rig, status, to: "\(carol);q=0.4, <sip:dora@home2.test>;q=0.8, <sip:emil@home3.test>;q=0.8, <tel:+15559999>")
        #expect(rig.next(to: .home2).uri == "sip:dora@home2.test")
        #expect(rig.trace() == [])
    }

    @Test func theCallerDecides() {
        let told = rig(follows: false)
        redirect(told, to: carol, [("Request-Disposition", "recurse")])
        #expect(told.trace() == ["carol MESSAGE"])
        let forbidden = rig()
        redirect(forbidden, to: carol, [("Request-Disposition", "no-recurse")])
        #expect(forbidden.trace() == ["alice 302 MESSAGE"])
    }

    @Test(arguments: [
        (305, "<sip:carol@home1.test>"), (380, "<sip:carol@home1.test>"), (302, "<sip:bob@HOME1.test>"), (302, "<mailto:a@b.test>"),
        (302, "<sip:nobody@unknown.test>"), (302, "<sip:127.0.0.1:5060>"), (302, "<sips:carol@home1.test>"), (302, "*"),
        (302, "<sip:carol@home1.test>;q=0"),
    ]) func whatIsNotFollowed(_ status: Int, _ contact: String) {
        let rig = rig()
        redirect(rig, status, to: contact)
        #expect(rig.trace() == ["alice \(status) MESSAGE"])
    }

    /// The one who diverts is served as such first (TS 24.229 §5.4.3.3).
    @Test func theCriteriaOfADiversionComeFirst() {
        let rig = rig([
            L.criterion(0, [.method("MESSAGE"), .sessionCase(.terminating)], 0),
            L.criterion(1, [.method("MESSAGE"), .sessionCase(.originatingCDIV)], 1),
        ])
        redirect(rig, to: carol)
        let request = rig.next(to: .second)
        #expect(request.uri == "sip:carol@home1.test")
        #expect(request["P-Served-User"] == "<sip:bob@home1.test>;orig-cdiv")
        rig.receive(request.forwarded(by: .second, branch: "s1"), from: .second)
        #expect(rig.next(to: .carol)["P-Called-Party-ID"] == carol)
    }

    @Test func aServerOfTheSenderMayRedirect() {
        let rig = rig([L.criterion(0, [.method("MESSAGE"), .sessionCase(.originating)], 0)])
        redirect(rig, to: carol)
        #expect(rig.next(to: .carol)["P-Called-Party-ID"] == carol)
    }

    @Test func anInviteIsAcknowledgedFirst() {
        let rig = rig([L.criterion(0, [.sessionCase(.terminating)], 0)])
        rig.send("INVITE", toBob, from: .alice)
        let invite = rig.next(to: .im)
        rig.receive(invite.response(181), from: .im)
        rig.receive(invite.response(302, [("Contact", carol)]), from: .im)
        #expect(rig.trace() == ["alice 181 INVITE", "im ACK", "carol INVITE"])
    }

    @Test func thereIsAnEndToIt() {
        let rig = rig()
        rig.send("MESSAGE", toBob, from: .carol)
        for _ in 0..<6 {
            let request = rig.next(to: .im)
            let other = request.uri == toBob ? "sip:alice@home1.test" : toBob
            rig.receive(request.response(302, [("Contact", "<\(other)>")]), from: .im)
        }
        #expect(rig.trace() == ["carol 302 MESSAGE"])
    }

    // MARK: History-Info (RFC 7044)

    private let asks = [("Supported", "histinfo")]

    @Test func historyTellsOfIt() {
        let rig = rig()
        redirect(rig, to: carol, asks)
        #expect(
            rig.next(to: .carol).all("History-Info").joined(separator: ", ")
                == "<sip:bob@home1.test?Reason=SIP%3Bcause%3D302>;index=1, <sip:carol@home1.test>;index=1.1;mp=1, "
                + "<sip:carol@127.0.0.1:5075>;index=1.1.1;rc=1.1")
    }

    @Test func anEntryThatIsThereGetsTheReason() {
        let rig = rig()
        let before = "<sip:emil@home3.test>;index=1, <sip:bob@home1.test?Privacy=none>;index=1.1;mp=1"
        redirect(rig, 301, to: "<sip:dora@home2.test>;rc=1.1", [("History-Info", before)])
        #expect(
            rig.next(to: .home2).all("History-Info") == [
                "<sip:emil@home3.test>;index=1", "<sip:bob@home1.test?Privacy=none&Reason=SIP%3Bcause%3D301>;index=1.1;mp=1",
                "<sip:dora@home2.test>;index=1.1.1;rc=1.1",
            ])
    }

    @Test func theServerMayWantItToBeKept() {
        let answer = [("Privacy", "history")]
        let trusted = rig()
        redirect(trusted, to: "<sip:dora@home2.test>", asks, answer: answer)
        #expect(
            trusted.next(to: .home2).all("History-Info")
                == ["<sip:bob@home1.test?Privacy=history&Reason=SIP%3Bcause%3D302>;index=1, <sip:dora@home2.test>;index=1.1;mp=1"])
        let contact = rig()
        redirect(contact, to: carol, asks, answer: answer)
        #expect(contact.next(to: .carol)["History-Info"] == "<sip:anonymous@anonymous.invalid>;index=1")
    }
}
