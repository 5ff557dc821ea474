import IMSProfile
import SCSCF
import SansIO
import Testing

/// Requests through application servers (TS 24.229 §5.4.3.2, §5.4.3.3).
@Suite(.overShards) struct ApplicationServerTests {
    private typealias L = Laboratory
    private let toBob = "sip:bob@home1.test"
    private let tag = [("Accept-Contact", "*;+g.oma.sip-im;require;explicit")]

    private func rig(_ criteria: [InitialFilterCriterion], _ change: (inout ServingCSCFConfiguration) -> Void = { _ in }) -> CoreRig {
        CoreRig {
            $0.profiles = [L.profile(criteria)]
            change(&$0)
        }
    }

    @Test func theServerGetsItsRouteAndADialogIdentifier() {
        let rig = CoreRig().registered(.alice)
        rig.send("PUBLISH", "sip:alice@home1.test", from: .alice, tag + [("Event", "presence")], body: "x")
        let request = rig.next(to: .im)
        let routes = request.all("Route")
        #expect(request.uri == "sip:alice@home1.test")
        #expect(routes.count == 2)
        #expect(routes.first == "<sip:127.0.0.1:5080;lr>")
        let mark = routes.last ?? ""
        #expect(mark.hasPrefix("<sip:odi_") && mark.hasSuffix("@127.0.0.1:5060;lr;orig>"))
        #expect(request["P-Served-User"] == "<sip:alice@home1.test>;sescase=orig;regstate=reg")
        #expect(request["P-Asserted-Identity"] == "<sip:alice@home1.test>, <tel:+15550100>")
        #expect(request["Max-Forwards"] == "69")
        #expect(request["Accept-Contact"] == tag[0].1)
        #expect(request.all("Via").count == 2)
        #expect(request.body == "x")
        #expect(!request.has("Record-Route"))
    }

    @Test func theServerMayAnswerItself() {
        let rig = CoreRig().registered(.alice)
        let sent = rig.send("PUBLISH", "sip:alice@home1.test", from: .alice, tag)
        let request = rig.next(to: .im)
        rig.receive(request.response(200, [("SIP-ETag", "e1")]), from: .im)
        let answer = rig.next(to: .alice)
        #expect(answer.status == 200)
        #expect(answer["SIP-ETag"] == "e1")
        #expect(answer.all("Via").count == 1)
        #expect(answer["Via"]?.hasPrefix(sent["Via"]?.replacing(";rport", with: "") ?? "?") == true)
    }

    @Test func anotherTagThatOnlyBeginsAlikeIsNotServed() {
        let rig = CoreRig().registered(.alice)
        rig.send("PUBLISH", "sip:alice@home1.test", from: .alice, [("Accept-Contact", "*;+g.oma.sip-im.large-message")])
        let answer = rig.next(to: .alice)
        #expect(answer.status == 404)
        #expect(answer["Warning"]?.contains("PUBLISH") == true)
    }

    @Test func aPublishThatNoCriterionTakesNeverGoesToItsOwnContacts() {
        let rig = CoreRig().registered(.alice, .bob)
        rig.send("PUBLISH", "sip:alice@home1.test", from: .alice)
        rig.send("PUBLISH", toBob, from: .alice)
        #expect(rig.trace() == ["alice 404 PUBLISH", "alice 404 PUBLISH"])
    }

    @Test func theChainGoesOnBehindTheServer() {
        let rig = rig([
            L.criterion(0, [.method("MESSAGE"), .sessionCase(.originating)], 0),
            L.criterion(1, [.method("MESSAGE"), .sessionCase(.originating)], 1),
        ])
        .registered(.alice, .bob)
        rig.send("MESSAGE", toBob, from: .alice)
        let first = rig.next(to: .im)
        rig.receive(first.forwarded(by: .im, branch: "i1"), from: .im)
        let second = rig.next(to: .second)
        #expect(second.all("Route").count == 2)
        #expect(second.all("Route").last != first.all("Route").last)
        rig.receive(second.forwarded(by: .second, branch: "s1"), from: .second)
        let last = rig.next(to: .bob)
        #expect(last.all("Via").count == 6)
        #expect(!last.has("Route"))
        #expect(!last.has("P-Served-User"))
        #expect(last["P-Asserted-Identity"] == "<sip:alice@home1.test>, <tel:+15550100>")
        #expect(last["P-Called-Party-ID"] == "<sip:bob@home1.test>")
        rig.receive(last.response(200), from: .bob)
        let atSecond = rig.next(to: .second)
        #expect(atSecond.all("Via").count == 5)
    }

    @Test func bothSidesAreServed() {
        let rig = rig([
            L.criterion(0, [.method("MESSAGE"), .sessionCase(.originating)], 0),
            L.criterion(1, [.method("MESSAGE"), .sessionCase(.terminating)], 1),
        ])
        .registered(.alice, .bob)
        rig.send("MESSAGE", toBob, from: .alice)
        let first = rig.next(to: .im)
        rig.receive(first.forwarded(by: .im, branch: "i1"), from: .im)
        let second = rig.next(to: .second)
        #expect(second["P-Served-User"] == "<sip:bob@home1.test>;sescase=term;regstate=reg")
        #expect(second.all("Route").last?.hasSuffix(";lr>") == true)
        #expect(second.all("Route").last?.contains("orig") == false)
        rig.receive(second.forwarded(by: .second, branch: "s1"), from: .second)
        #expect(rig.trace() == ["bob MESSAGE"])
    }

    @Test func theSecondCriterionSeesWhatTheFirstServerChanged() {
        let rig = rig([
            L.criterion(0, [.method("MESSAGE"), .sessionCase(.originating)], 0),
            L.criterion(1, [.header("X-Mark", content: "set"), .sessionCase(.originating)], 1),
        ]).registered(.alice, .bob)
        rig.send("MESSAGE", toBob, from: .alice)
        rig.receive(rig.next(to: .im).forwarded(by: .im, branch: "i1").adding("X-Mark", "set"), from: .im)
        #expect(rig.trace() == ["second MESSAGE"])
    }

    @Test func anUnregisteredUserIsServedToo() {
        let rig = rig([L.criterion(0, [.sessionCase(.terminatingUnregistered)], 0)])
        rig.send("MESSAGE", toBob, from: .home2)
        let request = rig.next(to: .im)
        #expect(request["P-Served-User"] == "<sip:bob@home1.test>;sescase=term;regstate=unreg")
        rig.receive(request.response(202), from: .im)
        #expect(rig.next(to: .home2).status == 202)
    }

    @Test func aDialogIdentifierThatIsNotOursBeginsAnew() {
        let rig = CoreRig().registered(.alice, .bob)
        rig.send("MESSAGE", toBob, from: .alice, tag)
        let request = rig.next(to: .im)
        let mark = request.all("Route").last ?? ""
        let digits = mark.dropFirst("<sip:odi_".count).prefix(32)
        let forged = mark.replacing(digits, with: String(digits.prefix(16)) + String(repeating: "0", count: 16))
        var copy = request.forwarded(by: .stranger, branch: "x").with("From", "<sip:eve@elsewhere.test>;tag=1")
        copy.set("Route", forged)
        rig.receive(copy, from: .stranger)
        // Not a continuation: as a stranger's request it is terminating, and bob's criterion takes it.
        #expect(rig.next(to: .im)["P-Served-User"] == "<sip:bob@home1.test>;sescase=term;regstate=reg")
    }

    @Test func aServerOnAStreamIsReachedByIt() {
        let rig = rig([L.criterion(0, [.method("MESSAGE"), .sessionCase(.originating)], 2)]).registered(.alice, .bob)
        rig.send("MESSAGE", toBob, from: .alice)
        let request = rig.next(to: .stream)
        #expect(request["Via"]?.hasPrefix("SIP/2.0/TCP 127.0.0.1:5060;") == true)
        #expect(request.all("Route").first == "<sip:127.0.0.1:5095;transport=tcp;lr>")
        #expect(request.all("Route").last?.contains("@127.0.0.1:5060;transport=tcp;lr;orig>") == true)
    }

    // MARK: The server's name

    @Test(arguments: [
        ("sip:mmtel@127.0.0.1:5080;x=1", "<sip:mmtel@127.0.0.1:5080;x=1;lr>"), ("sip:127.0.0.1:5080;LR", "<sip:127.0.0.1:5080;LR>"),
        ("sip:im.home1.test:5080;lr;orig=a", "<sip:im.home1.test:5080;lr;orig=a>"),
    ])
    func theRouteIsTheServerNameAsItIsWritten(_ name: String, _ route: String) {
        let rig = rig([L.criterion(0, [.method("MESSAGE")], 0) { $0.uri = name }]).registered(.alice, .bob)
        rig.send("MESSAGE", toBob, from: .alice)
        #expect(rig.next(to: .im).all("Route").first == route)
    }

    @Test func oneServerMayHaveSeveralNames() {
        let rig = rig([
            L.criterion(0, [.sessionCase(.originating)], 0) { $0.uri = "sip:first@127.0.0.1:5080" },
            L.criterion(1, [.sessionCase(.originating)], 0) { $0.uri = "sip:second@127.0.0.1:5080" },
        ]).registered(.bob)
        rig.register(.alice)
        let told = rig.taken().filter { $0.message.method == "REGISTER" && $0.destination == "im" }.map(\.message)
        #expect(told.map(\.uri) == ["sip:first@127.0.0.1:5080", "sip:second@127.0.0.1:5080"])
        // Two registrations, of which none takes the other's place (RFC 3261 §10.2).
        #expect(Set(told.compactMap { $0["Call-ID"] }).count == 2)
        rig.register(.alice)
        let again = rig.taken().filter { $0.message.method == "REGISTER" && $0.destination == "im" }.map(\.message)
        #expect(again.map { $0["Call-ID"] } == told.map { $0["Call-ID"] })
        rig.send("MESSAGE", toBob, from: .alice)
        let first = rig.next(to: .im)
        rig.receive(first.forwarded(by: .im, branch: "i1"), from: .im)
        #expect(first.all("Route").first == "<sip:first@127.0.0.1:5080;lr>")
        #expect(rig.next(to: .im).all("Route").first == "<sip:second@127.0.0.1:5080;lr>")
    }

    // MARK: After the answer

    private var chainOfTwo: [InitialFilterCriterion] {
        [
            L.criterion(0, [.method("MESSAGE"), .sessionCase(.originating)], 0),
            L.criterion(1, [.method("MESSAGE"), .sessionCase(.originating)], 1),
        ]
    }

    @Test(arguments: ["MESSAGE", "INVITE"])
    func aServerMayAnswerFirstAndSendOnLater(_ method: String) {
        let rig = rig([
            L.criterion(0, [.sessionCase(.originating), .method(method)], 0),
            L.criterion(1, [.sessionCase(.originating), .method(method)], 1),
        ])
        .registered(.alice, .bob)
        rig.send(method, toBob, from: .alice)
        let request = rig.next(to: .im)
        rig.receive(request.response(200), from: .im)
        #expect(rig.next(to: .alice).status == 200)
        rig.advance(.seconds(5))
        _ = rig.taken()
        let later = request.forwarded(by: .im, branch: "late").with("Call-ID", "another").with(
            "Via", "SIP/2.0/UDP 127.0.0.1:5080;branch=z9hG4bKl")
        rig.receive(later, from: .im)
        let second = rig.next(to: .second)
        #expect(second.method == method)
        #expect(second["P-Served-User"] == "<sip:alice@home1.test>;sescase=orig;regstate=reg")
        // And again, as a server that forks may.
        rig.receive(later.with("Via", "SIP/2.0/UDP 127.0.0.1:5080;branch=z9hG4bKm"), from: .im)
        #expect(rig.next(to: .second).method == method)
    }

    @Test func theGraceIsShort() {
        let rig = rig(chainOfTwo).registered(.alice, .bob)
        rig.send("MESSAGE", toBob, from: .alice)
        let request = rig.next(to: .im)
        rig.receive(request.response(202), from: .im)
        rig.advance(.seconds(33))
        _ = rig.taken()
        rig.receive(request.forwarded(by: .im, branch: "late"), from: .im)
        // A request of the server's own on behalf of alice, whom nobody asserts: it begins anew.
        #expect(rig.next(to: .im)["P-Served-User"] == "<sip:alice@home1.test>;sescase=orig;regstate=reg")
    }

    @Test func aChainThatDefaultHandlingEndedIsOver() {
        let rig = rig([
            L.criterion(0, [.method("INVITE"), .sessionCase(.originating)], 0) { $0.defaultHandling = .sessionTerminated },
            L.criterion(1, [.method("INVITE"), .sessionCase(.originating)], 1),
        ]) { $0.applicationServers[0].answerWithin = .seconds(2) }
        .registered(.alice, .bob)
        rig.send("INVITE", toBob, from: .alice)
        let request = rig.next(to: .im)
        rig.advance(.seconds(3))
        #expect(rig.next(to: .alice).status == 408)
        rig.receive(request.forwarded(by: .im, branch: "late"), from: .im)
        #expect(!rig.taken().contains { $0.destination == "second" })
    }

    /// Many more than are remembered: nothing is mistaken for another.
    @Test func whatIsRememberedIsBounded() {
        let rig = CoreRig { $0.profiles = [L.profile(chainOfTwo)] }.registered(.alice, .bob)
        var marks: Set<String> = []
        for _ in 0..<5000 {
            rig.send("MESSAGE", toBob, from: .alice)
            let request = rig.next(to: .im)
            marks.insert(request.all("Route").last ?? "")
            rig.receive(request.response(200), from: .im)
        }
        #expect(marks.count == 5000)
        _ = rig.taken()
        rig.send("MESSAGE", toBob, from: .alice)
        let request = rig.next(to: .im)
        rig.receive(request.response(200), from: .im)
        _ = rig.taken()
        rig.receive(request.forwarded(by: .im, branch: "late"), from: .im)
        #expect(rig.trace() == ["second MESSAGE"])
    }

    // MARK: What belongs to a dialog

    @Test(arguments: ["BYE", "PRACK", "UPDATE", "INFO"])
    func noCriterionIsAskedForWhatBelongsToADialog(_ method: String) {
        let rig = rig([L.criterion(0, [], 0)]).registered(.alice, .bob)
        rig.send(method, toBob, from: .alice)
        let sent = rig.taken()
        #expect(sent.map { "\($0.destination) \($0.message.summary)" } == ["alice 481 \(method)"])
        #expect(sent.first?.message["Warning"]?.contains("belongs to a dialog") == true)
    }

    // MARK: Retargeting

    @Test func aDivertedRequestIsOriginatingForTheOneWhoDiverts() {
        let rig = rig([
            L.criterion(0, [.method("MESSAGE"), .sessionCase(.terminating)], 0),
            L.criterion(1, [.method("MESSAGE"), .sessionCase(.originatingCDIV)], 1),
        ]).registered(.alice, .bob)
        rig.send("MESSAGE", toBob, from: .home2)
        var diverted = rig.next(to: .im).forwarded(by: .im, branch: "i1")
        diverted.startLine = "MESSAGE sip:carol@home1.test SIP/2.0"
        rig.receive(diverted, from: .im)
        let second = rig.next(to: .second)
        #expect(second["P-Served-User"] == "<sip:bob@home1.test>;orig-cdiv")
        #expect(second.uri == "sip:carol@home1.test")
        _ = rig.registered(.carol)
        rig.receive(second.forwarded(by: .second, branch: "s1"), from: .second)
        #expect(rig.trace() == ["carol MESSAGE"])
    }

    /// A back-to-back user agent that diverts begins a request of its own, and says so (RFC 8498 §4).
    @Test(arguments: ["<sip:bob@home1.test>;orig-cdiv", "<sip:bob@home1.test>;sescase=orig;regstate=reg;orig-cdiv"])
    func aServerMayDivertByItself(_ servedUser: String) {
        let rig = rig([
            L.criterion(0, [.method("MESSAGE"), .sessionCase(.originating)], 2),
            L.criterion(1, [.method("MESSAGE"), .sessionCase(.originatingCDIV)], 1),
        ]).registered(.alice, .bob, .carol)
        rig.send("MESSAGE", "sip:carol@home1.test", from: .im, [("P-Served-User", servedUser)])
        let second = rig.next(to: .second)
        #expect(second["P-Served-User"] == "<sip:bob@home1.test>;orig-cdiv")
        #expect(second.all("Route").last?.hasSuffix(";lr;orig>") == true)
        rig.receive(second.forwarded(by: .second, branch: "s1"), from: .second)
        #expect(rig.trace() == ["carol MESSAGE"])
    }

    @Test func anAliasIsNoDiversion() {
        let rig = rig([
            L.criterion(0, [.method("MESSAGE"), .sessionCase(.terminating)], 0), L.criterion(1, [.sessionCase(.originatingCDIV)], 1),
        ]).registered(.alice, .bob)
        rig.send("MESSAGE", "sip:alice@home1.test", from: .home2)
        var same = rig.next(to: .im).forwarded(by: .im, branch: "i1")
        same.startLine = "MESSAGE tel:+15550100 SIP/2.0"
        rig.receive(same, from: .im)
        let reached = rig.next(to: .alice)
        #expect(reached.method == "MESSAGE")
        #expect(reached["P-Called-Party-ID"] == "<tel:+15550100>")
    }

    @Test func aServerMayChooseThePathItself() {
        let rig = rig([
            L.criterion(0, [.method("MESSAGE"), .sessionCase(.terminating)], 0),
            L.criterion(1, [.method("MESSAGE"), .sessionCase(.terminating)], 1),
        ])
        .registered(.bob)
        rig.send("MESSAGE", toBob, from: .home2)
        let onward = rig.next(to: .im).forwarded(by: .im, branch: "i1").adding("Route", "<sip:127.0.0.1:6070;lr>")
        rig.receive(onward, from: .im)
        let sent = rig.next(to: .home3)
        #expect(sent.uri == toBob)
        #expect(sent.all("Route") == ["<sip:127.0.0.1:6070;lr>"])
    }

    // MARK: Self-loops

    @Test func theShortFormNeverSendsBackToWhereItCameFrom() {
        let rig = CoreRig().registered(.bob)
        rig.send("MESSAGE", toBob, from: .im, tag)
        #expect(rig.trace() == ["bob MESSAGE"])
    }

    @Test func theLongFormSendsBackOnce() {
        let rig = rig([L.criterion(3, [.method("MESSAGE"), .sessionCase(.terminating)], 0)]).registered(.bob)
        let request = rig.send("MESSAGE", toBob, from: .im)
        let back = rig.next(to: .im)
        #expect(back.method == "MESSAGE")
        var again = request
        again.set("Via", "SIP/2.0/UDP 127.0.0.1:5080;branch=z9hG4bKanother")
        rig.receive(again, from: .im)
        let answer = rig.next(to: .im)
        #expect(answer.status == 482)
        #expect(answer["Warning"]?.contains("priority 3") == true)
        #expect(answer["Warning"]?.contains("im") == true)
        // With its identifier it goes on.
        rig.receive(back.forwarded(by: .im, branch: "i9"), from: .im)
        #expect(rig.trace() == ["bob MESSAGE"])
    }

    /// A B2BUA that makes a new request of what comes to it, with all 70 hops again.
    @Test func aLoopOfNewRequestsIsFoundToo() {
        let rig = rig([L.criterion(3, [.method("MESSAGE"), .sessionCase(.terminating)], 0)]).registered(.bob)
        var rounds = 0
        var last = SIPText("NOTHING\n\n")
        var from = "<sip:dora@home2.test>;tag=1"
        while rounds < 100 {
            rounds += 1
            let request = rig.request("MESSAGE", toBob, from: .im, body: "hi").with("From", from)
            rig.receive(request, from: .im)
            last = rig.next(to: .im)
            guard last.method == "MESSAGE", last.isRequest else { break }
            from = "<sip:dora@home2.test>;tag=\(rounds)"
        }
        #expect(rounds == 33)
        #expect(last.status == 482)
        #expect(last["Warning"]?.contains("priority 3 sends the request back to im, which sent 32 like it here lately") == true)
        // Something else is no part of it, and it is forgiven after a while.
        rig.receive(rig.request("MESSAGE", toBob, from: .im, body: "ho").with("From", from), from: .im)
        #expect(rig.next(to: .im).isRequest)
        rig.advance(.seconds(40))
        _ = rig.taken()
        rig.receive(rig.request("MESSAGE", toBob, from: .im, body: "hi").with("From", from), from: .im)
        #expect(rig.next(to: .im).isRequest)
    }

    @Test func twoNamesOfOneServerAreOneSender() {
        let rig = CoreRig {
            $0.applicationServers.append(L.server("sip:im@127.0.0.1:5080", .im, "sip:im@127.0.0.1:5080"))
            $0.profiles = [L.profile([L.criterion(3, [.method("MESSAGE"), .sessionCase(.terminating)], 0) { $0.index = 3 }])]
        }.registered(.bob)
        let request = rig.send("MESSAGE", toBob, from: .im)
        #expect(rig.next(to: .im).isRequest)
        rig.receive(request.with("Via", "SIP/2.0/UDP 127.0.0.1:5080;branch=z9hG4bKanother"), from: .im)
        #expect(rig.next(to: .im).status == 482)
    }
}
