// Each decision comes out explained in one sentence.

import IMSProfile
import SCSCF
import SansIO
import Testing

private typealias L = Laboratory

@Suite(.overShards) struct WhyTests {
    private let toBob = "sip:bob@home1.test"
    private let tag = [("Accept-Contact", "*;+g.oma.sip-im")]

    private func rig(
        _ criteria: [InitialFilterCriterion]? = nil, _ change: (inout ServingCSCFConfiguration) -> Void = { _ in }
    ) -> CoreRig {
        CoreRig {
            if let criteria { $0.profiles = [L.profile(criteria)] }
            $0.decisionsKept = 1000
            change(&$0)
        }
    }

    // MARK: What went nowhere

    @Test func aWrongTag() throws {
        let rig = rig().registered(.alice)
        rig.send("PUBLISH", "sip:alice@home1.test", from: .alice, [("Accept-Contact", "*;+g.oma.sip-im.large-message")])
        let why = try rig.why("PUBLISH")
        #expect(
            why.nearestMiss
                == "criterion 0 for `im` needs Accept-Contact to ask for `+g.oma.sip-im`; the message has `*;+g.oma.sip-im.large-message`")
        #expect(
            why.sentence == "PUBLISH of sip:alice@home1.test: "
                + "no criterion of sip:alice@home1.test (originating, registered) took it; "
                + "no criterion of sip:alice@home1.test (terminating, registered) took it; "
                + "the core answered 404: no filter criterion of the user takes this PUBLISH to an application server; "
                + "nearest miss: \(why.nearestMiss ?? "")")
        let served = try #require(why.served)
        #expect(served.servedUser == "sip:alice@home1.test")
        #expect(served.sessionCase == .originating)
        #expect(served.isRegistered)
        #expect(served.criteria.map(\.use) == [.notMatched, .notMatched])
        #expect(why.others.map(\.sessionCase) == [.terminating])
        #expect(why.believedBecause == "it comes on the flow of a registration")
        #expect(why.nextHop == nil)
    }

    @Test func aServerThatWasNotReached() throws {
        let rig = rig().registered(.alice)
        rig.send("PUBLISH", "sip:alice@home1.test", from: .alice, tag)
        // Of her criteria as the one who sends, and as the one who is sent to.
        for _ in 0..<2 { rig.receive(rig.next(to: .im).response(500), from: .im) }
        let why = try rig.why("PUBLISH")
        #expect(why.sentence.contains("the core answered 404: the application server that takes this PUBLISH failed"), "\(why.sentence)")
    }

    @Test func aWrongMethod() throws {
        let rig = rig([
            L.criterion(5, [.method("REGISTER")], 0),
            L.criterion(10, [.method("PUBLISH"), .featureTag("+g.oma.sip-im"), .sessionCase(.originating)], 0),
        ]).registered(.alice, .bob)
        rig.send("MESSAGE", toBob, from: .alice, tag)
        let why = try rig.why("MESSAGE", from: .alice)
        #expect(why.nearestMiss == "criterion 10 for `im` needs the method PUBLISH; the method is MESSAGE")
        #expect(why.sentence.hasSuffix("it went to the contact sip:bob@127.0.0.1:5072; nearest miss: \(why.nearestMiss ?? "")"))
        // What went out has the same story.
        #expect(try rig.why("MESSAGE", to: .bob).sentence == why.sentence)
    }

    @Test func aWrongSessionCase() throws {
        let rig = rig([L.criterion(3, [.method("MESSAGE"), .sessionCase(.terminatingUnregistered)], 0)]).registered(.alice, .bob)
        rig.send("MESSAGE", toBob, from: .alice)
        let why = try rig.why("MESSAGE", from: .alice)
        #expect(
            why.nearestMiss == "criterion 3 for `im` needs the session case terminating_unregistered; the session case is originating")
        #expect(why.served?.servedUser == toBob)
        #expect(why.served?.sessionCase == .terminating)
    }

    @Test func anUnregisteredUser() throws {
        let rig = rig([L.criterion(0, [.method("MESSAGE"), .sessionCase(.terminating)], 0)]).registered(.alice)
        rig.send("MESSAGE", toBob, from: .alice)
        let why = try rig.why("MESSAGE")
        #expect(why.served?.isRegistered == false)
        #expect(
            why.sentence.contains(
                "no criterion of sip:bob@home1.test (terminating_unregistered, not registered) took it; "
                    + "the core answered 480: the recipient is not registered; "))
        #expect(why.sentence.contains("needs the session case terminating; "))
    }

    @Test func aSenderWhoIsNotRegistered() throws {
        let rig = rig()
        rig.send("MESSAGE", toBob, from: .alice)
        let why = try rig.why("MESSAGE")
        #expect(why.sentence == "MESSAGE: the core answered 403: the sender is not registered")
        #expect(why.believedBecause == nil)
        #expect(why.served == nil)
    }

    @Test func aBarredIdentity() throws {
        let rig = rig { $0.subscribers[1].isBarred = [true] }.registered(.alice)
        rig.send("MESSAGE", toBob, from: .alice, tag.map { ($0.0, "*;+g.other") })
        let why = try rig.why("MESSAGE")
        #expect(
            why.sentence.contains(
                "sip:bob@home1.test is barred, so its criteria are not asked; the core answered 404: the recipient is barred"))
        #expect(why.served?.servedUser == toBob)
    }

    @Test func aBarredServedUser() throws {
        let rig = rig { $0.subscribers[1].isBarred = [true] }
        rig.send(
            "MESSAGE", "sip:carol@home1.test", from: .im, [("P-Served-User", "<\(toBob)>;sescase=orig;regstate=reg")])
        #expect(try rig.why("MESSAGE").sentence == "MESSAGE: the core answered 403: the served user is barred")
    }

    // MARK: Application servers

    @Test func aServerThatAnswersEndsTheChain() throws {
        let rig = rig().registered(.alice, .bob)
        rig.send("MESSAGE", toBob, from: .alice, tag)
        let request = rig.next(to: .im)
        rig.receive(request.response(403), from: .im)
        let why = try rig.why("MESSAGE", from: .alice)
        #expect(
            why.sentence == "MESSAGE of sip:alice@home1.test: criterion 0 of sip:alice@home1.test (originating, registered) "
                + "took it to `im`, which ended the chain with 403")
        #expect(why.nearestMiss == nil)
        #expect(why.served?.criteria.map(\.use) == [.notMatched, .matched])
        #expect(why.nextHop == "im (\(toBob))")
    }

    @Test func aServerThatSendsTheRequestBack() throws {
        let rig = rig().registered(.alice, .bob)
        rig.send("MESSAGE", toBob, from: .alice, tag)
        rig.receive(rig.next(to: .im).forwarded(by: .im, branch: "i1"), from: .im)
        #expect(try rig.why("MESSAGE", from: .alice).sentence.hasSuffix("took it to `im`, which sent it back, and the chain went on"))
        // What came back is another request, with a story of its own.
        let why = try rig.why("MESSAGE", from: .im)
        #expect(why.believedBecause == "its Route has the original dialog identifier that the core gave out: the chain goes on")
        #expect(why.others.first?.criteria.map(\.use) == [.triedBefore, .triedBefore])
    }

    @Test func aSilentServerThatIsPassedOver() throws {
        let rig = rig { $0.applicationServers[0] = L.server("im", .im, "sip:127.0.0.1:5080", answerWithin: .seconds(2)) }
            .registered(.alice, .bob)
        rig.send("MESSAGE", toBob, from: .alice, tag)
        rig.advance(.seconds(3))
        #expect(
            try rig.why("MESSAGE", from: .alice).sentence.contains(
                "took it to `im`, which gave no answer within 2 s, and default handling (session_continued) went on without it"))
    }

    @Test func aServerThatCannotBeReached() throws {
        let rig = rig().registered(.alice, .bob)
        rig.send("MESSAGE", toBob, from: .alice, tag)
        let sent = try #require(rig.taken().first { $0.destination == "im" })
        rig.fail(sent)
        #expect(
            try rig.why("MESSAGE", from: .alice).sentence.contains(
                "took it to `im`, which could not be reached, and default handling (session_continued) went on without it; "))
    }

    @Test func aSilentServerThatEndsTheSession() throws {
        let rig = rig([L.criterion(4, [.method("INVITE")], 0) { $0.defaultHandling = .sessionTerminated }]) {
            $0.applicationServers[0] = L.server("im", .im, "sip:127.0.0.1:5080", answerWithin: .seconds(2))
        }
        .registered(.alice, .bob)
        rig.send("INVITE", toBob, from: .alice)
        rig.advance(.seconds(3))
        #expect(
            try rig.why("INVITE", from: .alice).sentence.hasSuffix(
                "took it to `im`, which gave no answer within 2 s, and default handling (session_terminated) ended it with 408"))
    }

    @Test func aServerThatFails() throws {
        let rig = rig([L.criterion(0, [.method("MESSAGE")], 0), L.criterion(1, [.method("MESSAGE")], 1)]).registered(.alice, .bob)
        rig.send("MESSAGE", toBob, from: .alice)
        rig.receive(rig.next(to: .im).response(500), from: .im)
        rig.receive(rig.next(to: .second).response(200), from: .second)
        let sentence = try rig.why("MESSAGE", from: .alice).sentence
        #expect(sentence.contains("took it to `im`, which failed with 500, and default handling (session_continued) went on without it; "))
        #expect(sentence.hasSuffix("took it to `second`, which answered 200: the chain ended there"))
    }

    @Test func aServersOwnRequestIsNotSentBackToIt() throws {
        let rig = rig().registered(.bob)
        rig.send("MESSAGE", toBob, from: .im, tag)
        let why = try rig.why("MESSAGE", from: .im)
        #expect(why.believedBecause == "it comes from the application server im")
        #expect(why.sentence.contains("criterion 0 for `im` holds, but the request came from there"))
        #expect(why.served?.criteria.map(\.use) == [.notMatched, .skipped])
    }

    // MARK: Registrations

    @Test func aRegistrationOfWhichTheServerIsTold() throws {
        let rig = rig()
        rig.answers["im"] = 200
        rig.register(.alice)
        let why = try rig.why("REGISTER", from: .alice)
        #expect(
            why.sentence == "REGISTER of sip:alice@home1.test: it was accepted (200, initial); "
                + "criterion 0 told `im`, which answered 200")
        #expect(why.served?.isRegistered == false)
        #expect(why.nextHop == "im (sip:127.0.0.1:5080)")
        #expect(try rig.why("REGISTER", to: .im).sentence == why.sentence)
        rig.register(.alice, expires: 0)
        #expect(try rig.why("REGISTER", from: .alice).sentence.contains("(200, deregistration)"))
    }

    @Test func aRegistrationOfWhichNobodyIsTold() throws {
        let rig = rig([L.criterion(7, [.method("REGISTER", registrationTypes: [.deregistration])], 0)])
        rig.register(.alice)
        let why = try rig.why("REGISTER", from: .alice)
        #expect(
            why.sentence == "REGISTER of sip:alice@home1.test: it was accepted (200, initial); "
                + "no criterion asks for it, so no application server hears of it; "
                + "nearest miss: criterion 7 for `im` needs a REGISTER of the type deregistration; it is of the type initial")
    }

    @Test func aRegistrationThatIsChallenged() throws {
        let rig = rig()
        rig.receive(rig.registerRequest(.alice), from: .alice)
        #expect(
            try rig.why("REGISTER").sentence == "REGISTER: the core challenged the user (401); criteria are asked once it is accepted")
    }

    // MARK: Contacts

    @Test func contactsAreShownAsTheyThenWere() throws {
        let rig = rig([]).registered(.alice)
        rig.register(.bob, contact: "<sip:bob@127.0.0.1:5072>;+g.oma.sip-im;q=0.7, <sip:bob@127.0.0.1:5073>;video")
        _ = rig.taken()
        rig.send("MESSAGE", toBob, from: .alice, [("Accept-Contact", "*;+g.oma.sip-im;require;explicit")])
        rig.register(.bob, expires: 0)
        let why = try rig.why("MESSAGE", from: .alice)
        #expect(why.contacts.map(\.use) == [.tried, .discarded])
        #expect(why.contacts.map(\.q) == [700, 1000])
        #expect(why.contacts.first?.score == 1)
        #expect(why.sentence.hasSuffix("it went to the contact sip:bob@127.0.0.1:5072"))
    }

    @Test func preferencesMayRuleOutAllContacts() throws {
        let rig = rig([]).registered(.alice)
        rig.register(.bob, contact: "<sip:bob@127.0.0.1:5072>;video")
        rig.send("MESSAGE", toBob, from: .alice, [("Reject-Contact", "*;video")])
        #expect(
            try rig.why("MESSAGE", from: .alice).sentence.hasSuffix(
                "the caller's preferences rule out each contact; the core answered 480: "
                    + "no contact of the recipient fits the caller's preferences"))
    }

    // MARK: As it then was

    @Test func theProfileIsThatOfItsTime() throws {
        let rig = rig().registered(.alice)
        rig.send("PUBLISH", "sip:alice@home1.test", from: .alice)
        let before = try rig.why("PUBLISH", from: .alice).sentence
        let profile = L.profile([L.criterion(9, [.method("PUBLISH")], 1)])
        _ = rig.onEachShard { core, now, effects in
            core.change(
                .replace(0, L.subscriber("alice", ["sip:alice@home1.test", "tel:+15550100"], password: "wonderland", profile: 1)),
                profiles: [profile], at: now, into: &effects)
        }
        rig.send("PUBLISH", "sip:alice@home1.test", from: .alice)
        #expect(try rig.why("PUBLISH", from: .alice).sentence.contains("criterion 9 of sip:alice@home1.test"))
        let first = try #require(rig.traced.first { $0.octets.starts(with: "PUBLISH ".utf8) })
        #expect(try rig.why(Int(first.sequence)).sentence == before)
    }

    @Test func theRegistrationIsThatOfItsTime() throws {
        let rig = rig().registered(.alice)
        rig.send("MESSAGE", toBob, from: .alice)
        rig.register(.bob)
        #expect(try rig.why("MESSAGE", from: .alice).served?.isRegistered == false)
    }

    /// A trace that is read bit by bit tells the same as one that is read at once.
    @Test func whatIsRecordedMeanwhileIsAdded() throws {
        let rig = rig()
        rig.answers["im"] = 200
        _ = rig.registered(.alice, .bob)
        var digest = TraceDigest(rig.traced)
        rig.send("MESSAGE", toBob, from: .alice, tag)
        let request = rig.next(to: .im)
        digest.append(Array(rig.traced.dropFirst(digest.count)))
        rig.receive(request.forwarded(by: .im, branch: "i1").with("Call-ID", "another"), from: .im)
        rig.register(.bob, expires: 0)
        digest.append(Array(rig.traced.dropFirst(digest.count)))
        #expect(digest.newest == UInt64(rig.traced.count))
        for message in rig.traced {
            guard let told = try? RequestStory(of: message.sequence, in: digest) else { continue }
            let accounts = rig.onEachShard { core, _, _ in core.account(of: told) }
            #expect(Explanation(told, accounts).sentence == (try rig.why(Int(message.sequence)).sentence))
        }
    }

    /// A B2BUA sends the request back with a Call-ID of its own: the identifier tells.
    @Test func aServerThatBeginsANewCallSendsItBackToo() throws {
        let rig = rig().registered(.alice, .bob)
        rig.send("MESSAGE", toBob, from: .alice, tag)
        rig.receive(rig.next(to: .im).forwarded(by: .im, branch: "i1").with("Call-ID", "another"), from: .im)
        #expect(try rig.why("MESSAGE", from: .alice).sentence.hasSuffix("took it to `im`, which sent it back, and the chain went on"))
    }

    // MARK: What has no why

    @Test func responsesHaveNone() throws {
        let rig = rig().registered(.alice)
        let last = try #require(rig.traced.last)
        #expect(throws: RequestStory.Failure.isResponse) { try rig.why(Int(last.sequence)) }
        #expect(throws: RequestStory.Failure.notKept) { try rig.why(Int(last.sequence) + 1) }
    }

    @Test func aRequestWithinADialogFollowsItsRoute() throws {
        let rig = rig().registered(.alice, .bob)
        var request = rig.request("BYE", "sip:bob@127.0.0.1:5072", from: .alice)
        request.set("To", "<\(toBob)>;tag=there")
        rig.receive(request, from: .alice)
        #expect(try rig.why("BYE", from: .alice).sentence.hasPrefix("BYE: it is within a dialog and follows its Route; "))
    }

    @Test func aMalformedRequestIsSaidToBe() throws {
        let rig = rig()
        rig.receive(rig.request("MESSAGE", toBob, from: .alice).with("CSeq", "x MESSAGE"), from: .alice)
        #expect(try rig.why("MESSAGE").sentence.contains("it is malformed ("))
    }

    @Test func aNotifyOfTheCoresOwnSaysSo() throws {
        let rig = rig().registered(.alice)
        rig.send("SUBSCRIBE", "sip:alice@home1.test", from: .alice, [("Event", "reg"), ("Expires", "600")])
        #expect(try rig.why("NOTIFY", to: .alice).sentence == "NOTIFY: the core made it by itself, no request that came in is behind it")
    }

    // MARK: The log and the memory

    @Test func oneLineARequestIsLogged() {
        let rig = rig { $0.logsDecisions = true }.registered(.alice, .bob)
        let before = rig.notices.count
        rig.send("MESSAGE", toBob, from: .alice, tag)
        rig.send("PUBLISH", "sip:alice@home1.test", from: .alice)
        rig.send("MESSAGE", toBob, from: .stranger)
        rig.send("MESSAGE", "sip:nobody@home1.test", from: .alice)
        let lines = rig.notices.dropFirst(before)
        #expect(lines.allSatisfy { $0.level == .debug })
        #expect(lines.count == 4)
        #expect(lines.first?.text.hasSuffix("took it to `im`") == true)
        #expect(lines.dropFirst().first?.text.contains("the core answered 404: no filter criterion") == true)
    }

    /// What the core answers itself and what it sends on without a criterion has a line too, a REGISTER among them.
    @Test func whateverComesIsLogged() {
        let rig = rig {
            $0.logsDecisions = true
            $0.applicationServers[0] = L.server("im", .im, "sip:127.0.0.1:5080", answerWithin: .seconds(2))
        }
        func lines(_ send: () -> Void) -> [String] {
            let before = rig.notices.count
            send()
            return rig.notices.dropFirst(before).filter { $0.level == .debug }.map(\.text)
        }
        rig.answers["im"] = 200
        #expect(
            lines { rig.register(.alice) } == [
                "REGISTER: the core challenged the user (401); criteria are asked once it is accepted",
                "REGISTER of sip:alice@home1.test: it was accepted (200, initial); criterion 0 told `im`",
            ])
        rig.answers = [:]
        #expect(lines { rig.send("OPTIONS", "sip:home1.test", from: .alice) } == ["OPTIONS: the core answered 200"])
        #expect(lines { rig.send("MESSAGE", "http://x", from: .alice) } == ["MESSAGE: the core answered 416"])
        let onward = lines { rig.send("MESSAGE", "sip:dora@home2.test", from: .alice) }
        #expect(onward.count == 1)
        #expect(onward.first?.hasPrefix("MESSAGE of sip:alice@home1.test: no criterion of sip:alice@home1.test (originating") == true)
        let silent = lines {
            rig.send("MESSAGE", "sip:alice@home1.test", from: .alice, tag)
            rig.advance(.seconds(3))
        }
        #expect(silent.count == 2)
        #expect(
            silent.last?.contains("took it to `im`, which gave no answer within 2 s, and default handling (session_continued)") == true)
    }

    @Test func aServerThatEndsTheSessionIsLogged() {
        let rig = rig([L.criterion(4, [.method("INVITE")], 0) { $0.defaultHandling = .sessionTerminated }]) {
            $0.logsDecisions = true
            $0.applicationServers[0] = L.server("im", .im, "sip:127.0.0.1:5080", answerWithin: .seconds(2))
        }.registered(.alice, .bob)
        rig.send("INVITE", toBob, from: .alice)
        rig.advance(.seconds(3))
        #expect(
            rig.notices.last { $0.level == .debug }?.text.hasSuffix(
                "took it to `im`, which failed or gave no answer, and default handling (session_terminated) ended it with 408") == true)
    }

    @Test func aServerThatRedirects() throws {
        let rig = rig([L.criterion(0, [.method("MESSAGE"), .sessionCase(.terminating)], 0)]) { $0.followsRedirections = true }
            .registered(.alice, .bob, .carol)
        rig.send("MESSAGE", toBob, from: .alice)
        rig.receive(rig.next(to: .im).response(302, [("Contact", "<sip:carol@home1.test>")]), from: .im)
        rig.receive(rig.next(to: .carol).response(200), from: .carol)
        let why = try rig.why("MESSAGE", from: .alice)
        #expect(why.sentence.contains("took it to `im`, which redirected it (302), and the core followed; "))
        #expect(why.sentence.hasSuffix("it went to the contact sip:carol@127.0.0.1:5075; the answer was 200"))
    }

    @Test func nothingIsKeptUnlessAskedFor() throws {
        let rig = rig { $0.decisionsKept = 0 }.registered(.alice)
        #expect(rig.traced.isEmpty)
        #expect(rig.notices.allSatisfy { $0.level != .debug })
    }

    @Test func theOldestDecisionsAreForgotten() throws {
        let rig = rig { $0.decisionsKept = 4 }.registered(.alice)
        for _ in 0..<20 { rig.send("PUBLISH", "sip:alice@home1.test", from: .alice, tag) }
        let requests = rig.traced.filter { $0.isIncoming && $0.octets.starts(with: "PUBLISH ".utf8) }
        #expect(try rig.why(Int(requests[0].sequence)).served == nil)
        #expect(try rig.why(Int(requests[19].sequence)).served != nil)
    }
}
