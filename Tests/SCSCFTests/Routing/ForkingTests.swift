import SCSCF
import SansIO
import Testing

/// Several contacts of one user (RFC 3261 §16.7, RFC 5393).
@Suite(.overShards) struct ForkingTests {
    private let toBob = "sip:bob@home1.test"

    private func rig(_ q1: String = "", _ q2: String = "", _ q3: String? = nil) -> CoreRig {
        let rig = CoreRig().registered(.alice)
        var contacts = "<sip:bob@127.0.0.1:5072>\(q1), <sip:bob@127.0.0.1:5073>\(q2)"
        if let q3 { contacts += ", <sip:bob@127.0.0.1:5074>\(q3)" }
        rig.register(.bob, contact: contacts)
        _ = rig.taken()
        return rig
    }

    /// The requests that went to Bob's contacts, by their names.
    private func forked(_ rig: CoreRig) -> [String: SIPText] {
        Dictionary(rig.taken().filter { $0.message.isRequest }.map { ($0.destination, $0.message) }) { first, _ in first }
    }

    private func cancel(_ invite: SIPText) -> SIPText {
        var cancel = invite.with("CSeq", invite["CSeq"]?.replacing("INVITE", with: "CANCEL")).with("Contact", nil)
        cancel.startLine = invite.startLine.replacing("INVITE", with: "CANCEL")
        return cancel
    }

    @Test func contactsOfOneRankAreTriedAtOnce() {
        let rig = rig()
        rig.send("MESSAGE", toBob, from: .alice)
        #expect(Set(forked(rig).keys) == ["bob", "bobDesk"])
    }

    @Test func contactsOfFallingRankAreTriedInTurn() throws {
        let rig = rig(";q=0.5", ";q=0.9", ";q=0.5")
        rig.send("MESSAGE", toBob, from: .alice)
        let first = forked(rig)
        #expect(Set(first.keys) == ["bobDesk"])
        rig.receive(try #require(first["bobDesk"]).response(480), from: .bobDesk)
        let second = forked(rig)
        #expect(Set(second.keys) == ["bob", "bobTablet"])
        rig.receive(try #require(second["bob"]).response(404), from: .bob)
        #expect(rig.trace() == [])
        rig.receive(try #require(second["bobTablet"]).response(486), from: .bobTablet)
        #expect(rig.trace() == ["alice 404 MESSAGE"])
    }

    @Test(arguments: [("no-fork", 1), ("parallel", 2), ("sequential", 1)])
    func theCallerMayChooseHow(_ directive: String, _ count: Int) {
        let rig = rig(";q=0.9", ";q=0.5")
        rig.send("MESSAGE", toBob, from: .alice, [("Request-Disposition", directive)])
        #expect(forked(rig).count == count)
    }

    @Test func theFirstSuccessEndsTheOthers() throws {
        let rig = rig()
        rig.send("INVITE", toBob, from: .alice)
        let sent = forked(rig)
        let (one, other) = (try #require(sent["bob"]), try #require(sent["bobDesk"]))
        rig.receive(other.response(180), from: .bobDesk)
        rig.receive(one.response(200, tag: "one"), from: .bob)
        #expect(Set(rig.trace()) == ["alice 180 INVITE", "alice 200 INVITE", "bobDesk CANCEL"])
        rig.receive(other.response(487), from: .bobDesk)
        #expect(rig.trace() == ["bobDesk ACK"])
    }

    @Test func theOthersAreLeftToWhoAsksForThat() throws {
        let rig = rig()
        rig.send("INVITE", toBob, from: .alice, [("Request-Disposition", "no-cancel")])
        let sent = forked(rig)
        let (one, other) = (try #require(sent["bob"]), try #require(sent["bobDesk"]))
        rig.receive(other.response(180), from: .bobDesk)
        rig.receive(one.response(200, tag: "one"), from: .bob)
        #expect(rig.trace() == ["alice 180 INVITE", "alice 200 INVITE"])
        rig.advance(.seconds(5))
        _ = rig.taken()
        rig.receive(other.response(200, tag: "two"), from: .bobDesk)
        #expect(rig.trace() == ["alice 200 INVITE"])
    }

    @Test func eachSuccessOfAnInviteIsPassedOn() throws {
        let rig = rig()
        rig.send("INVITE", toBob, from: .alice)
        let sent = forked(rig)
        rig.receive(try #require(sent["bob"]).response(200, tag: "one"), from: .bob)
        rig.receive(try #require(sent["bobDesk"]).response(200, tag: "two"), from: .bobDesk)
        rig.receive(try #require(sent["bob"]).response(200, tag: "one"), from: .bob)
        let tags = rig.taken().compactMap { $0.message.status == 200 ? $0.message.parameter("tag", of: "To") : nil }
        #expect(tags == ["one", "two", "one"])
    }

    @Test func onlyOneSuccessOfAnotherMethodIs() throws {
        let rig = rig()
        rig.send("MESSAGE", toBob, from: .alice)
        let sent = forked(rig)
        rig.receive(try #require(sent["bob"]).response(200), from: .bob)
        rig.receive(try #require(sent["bobDesk"]).response(200), from: .bobDesk)
        #expect(rig.trace() == ["alice 200 MESSAGE"])
    }

    @Test(arguments: [(486, 603, 603), (404, 503, 404), (500, 404, 404), (486, 401, 401), (503, 503, 500), (302, 404, 302)])
    func theBestAnswerGoesBack(_ first: Int, _ second: Int, _ best: Int) throws {
        for isSwapped in [false, true] {
            let rig = rig()
            rig.send("MESSAGE", toBob, from: .alice)
            let sent = forked(rig)
            rig.receive(try #require(sent["bob"]).response(isSwapped ? second : first), from: .bob)
            #expect(rig.trace() == [])
            rig.receive(try #require(sent["bobDesk"]).response(isSwapped ? first : second), from: .bobDesk)
            #expect(rig.trace() == ["alice \(best) MESSAGE"])
        }
    }

    @Test func aGlobalFailureEndsTheSearch() throws {
        let rig = rig("", "", ";q=0.1")
        rig.send("INVITE", toBob, from: .alice)
        let sent = forked(rig)
        rig.receive(try #require(sent["bobDesk"]).response(180), from: .bobDesk)
        rig.receive(try #require(sent["bob"]).response(600), from: .bob)
        #expect(rig.trace() == ["alice 180 INVITE", "bob ACK", "bobDesk CANCEL"])
        rig.receive(try #require(sent["bobDesk"]).response(487), from: .bobDesk)
        #expect(rig.trace() == ["bobDesk ACK", "alice 600 INVITE"])
    }

    @Test func aSuccessAfterAGlobalFailureStillCounts() throws {
        let rig = rig()
        rig.send("INVITE", toBob, from: .alice)
        let sent = forked(rig)
        rig.receive(try #require(sent["bob"]).response(603), from: .bob)
        rig.receive(try #require(sent["bobDesk"]).response(200), from: .bobDesk)
        #expect(rig.trace() == ["bob ACK", "alice 200 INVITE"])
    }

    @Test func anAnswerIsBetterThanSilence() throws {
        let rig = rig()
        rig.send("INVITE", toBob, from: .alice)
        rig.receive(try #require(forked(rig)["bob"]).response(486), from: .bob)
        _ = rig.taken()
        rig.advance(.seconds(33))
        #expect(rig.trace().filter { $0.hasPrefix("alice") }.first == "alice 486 INVITE")
    }

    @Test func challengesOfAllBranchesAreCollected() throws {
        let rig = rig()
        rig.send("MESSAGE", toBob, from: .alice)
        let sent = forked(rig)
        rig.receive(try #require(sent["bob"]).response(401, [("WWW-Authenticate", "Digest realm=\"a\"")]), from: .bob)
        rig.receive(try #require(sent["bobDesk"]).response(407, [("Proxy-Authenticate", "Digest realm=\"b\"")]), from: .bobDesk)
        let answer = rig.next(to: .alice)
        #expect(answer.status == 401)
        #expect(answer["WWW-Authenticate"] == "Digest realm=\"a\"")
        #expect(answer["Proxy-Authenticate"] == "Digest realm=\"b\"")
    }

    @Test func cancellingEndsAllBranches() throws {
        let rig = rig("", "", ";q=0.1")
        let invite = rig.send("INVITE", toBob, from: .alice)
        let sent = forked(rig)
        rig.receive(try #require(sent["bob"]).response(180), from: .bob)
        _ = rig.taken()
        rig.receive(cancel(invite), from: .alice)
        // The desk gave no sign yet: its CANCEL waits for one (RFC 3261 §9.1).
        #expect(rig.trace() == ["alice 200 CANCEL", "bob CANCEL"])
        rig.receive(try #require(sent["bobDesk"]).response(180), from: .bobDesk)
        #expect(rig.trace().contains("bobDesk CANCEL"))
        rig.receive(try #require(sent["bob"]).response(487), from: .bob)
        rig.receive(try #require(sent["bobDesk"]).response(487), from: .bobDesk)
        #expect(rig.trace() == ["bob ACK", "bobDesk ACK", "alice 487 INVITE"])
    }

    // MARK: Loops

    /// RFC 5393 §4.2.1: with another identity in the Request-URI it is a spiral, until that one comes back in turn.
    @Test func aSpiralIsNoLoop() throws {
        let rig = CoreRig {
            $0.subscribers[1] = Laboratory.subscriber(
                "bob", ["sip:bob@home1.test", "sip:robert@home1.test"], password: "builder", profile: 0)
        }.registered(.alice)
        rig.register(.bob, contact: "<sip:bob@127.0.0.1:5072>, <sip:bob@127.0.0.1:5073>")
        _ = rig.taken()
        rig.send("MESSAGE", toBob, from: .alice)
        for turn in 1...2 {
            let sent = rig.taken().filter(\.message.isRequest)
            #expect(sent.map(\.destination).sorted() == ["bob", "bobDesk"])
            var back = try #require(sent.first { $0.destination == "bob" }).message
            back.headers.insert(("Via", "SIP/2.0/UDP 127.0.0.1:5072;branch=z9hG4bKback\(turn)"), at: 0)
            back.startLine = "MESSAGE sip:robert@home1.test SIP/2.0"
            rig.receive(back, from: .bob)
        }
        #expect(rig.trace() == ["bob 482 MESSAGE"])
    }

    /// RFC 5393 §3: two users, each with a contact for both of them. Without a check one request would become 2^70.
    @Test func forksThatLeadBackDoNotMultiply() {
        let core = Peer("core", "sip:home1.test", port: 5060)
        let dave = Peer("dave", "sip:dave@home1.test", port: 5076)
        let rig = CoreRig {
            $0.subscribers.append(Laboratory.subscriber("dave", ["sip:dave@home1.test"], password: nil, profile: nil))
            $0.hosts[Array("home1.test".utf8)] = core.flow.remote
        }
        for user in [Peer.carol, dave] { rig.register(user, contact: "<sip:carol@home1.test>, <sip:dave@home1.test>") }
        _ = rig.taken()
        rig.send("MESSAGE", "sip:dave@home1.test", from: .carol)
        var copies = 0
        for _ in 0..<100 {
            let sent = rig.taken()
            guard !sent.isEmpty else { break }
            for one in sent where one.flow.remote == core.flow.remote {
                if one.message.isRequest { copies += 1 }
                rig.receive(one.octets, from: core)
            }
            if let answer = sent.first(where: { $0.destination == "carol" }) { #expect(answer.message.status == 482) }
        }
        #expect(copies == 4)
    }

    @Test func aContactThatLeadsBackIsALoop() throws {
        let rig = CoreRig().registered(.alice)
        rig.register(.bob, contact: "<sip:bob@127.0.0.1:5072>, <sip:bob@127.0.0.1:5073>")
        _ = rig.taken()
        rig.send("MESSAGE", toBob, from: .alice)
        let sent = forked(rig)
        let first = try #require(sent["bob"])
        #expect(first["Max-Breadth"] == "30")
        // Bob's phone forwards to Bob.
        var back = first
        back.headers.insert(("Via", "SIP/2.0/UDP 127.0.0.1:5072;branch=z9hG4bKback"), at: 0)
        back.startLine = "MESSAGE \(toBob) SIP/2.0"
        rig.receive(back, from: .bob)
        #expect(rig.trace() == ["bob 482 MESSAGE"])
    }

    @Test func forksShareTheBreadth() {
        let rig = rig("", "", "")
        rig.send("MESSAGE", toBob, from: .alice, [("Max-Breadth", "7")])
        #expect(forked(rig).values.map { $0["Max-Breadth"] } == ["2", "2", "2"])
        rig.send("MESSAGE", toBob, from: .alice, [("Max-Breadth", "2")])
        #expect(rig.trace() == ["alice 440 MESSAGE"])
        let sequential = self.rig(";q=0.3", ";q=0.2", ";q=0.1")
        sequential.send("MESSAGE", toBob, from: .alice, [("Max-Breadth", "1")])
        #expect(forked(sequential).values.map { $0["Max-Breadth"] } == ["1"])
    }
}
