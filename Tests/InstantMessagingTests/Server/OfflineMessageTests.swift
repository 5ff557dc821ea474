import InstantMessaging
import SansIO
import Testing

/// Keeping and delivering messages, by OMA IM 12.2.2.2 and RFC 3428 §7.
@Suite struct OfflineMessageTests {
    /// Keeps messages for bob, who is away.
    private func keep(_ bodies: [String], in rig: ServerRig) {
        for body in bodies {
            rig.receive(rig.message(to: "bob", body, registered: false))
            #expect(rig.one().status == 202)
        }
    }

    private func requests(_ messages: [SIPText]) -> [SIPText] { messages.filter { $0.isRequest && $0.method == "MESSAGE" } }

    @Test func aMessageToOneWhoIsAwayIsKeptAndAnswered202WhenItIsDurable() {
        let rig = ServerRig()
        rig.commits = false
        rig.receive(rig.message(to: "bob", "see you at nine", registered: false))
        #expect(rig.taken().isEmpty)
        rig.commit()
        let answer = rig.one()
        #expect(answer.status == 202)
        #expect(answer["To"]?.contains(";tag=") == true)
        let stored = rig.stored(to: "sip:bob@home1.test")
        #expect(stored.map(\.body) == ["see you at nine"])
        #expect(stored.first?.from == "sip:alice@home1.test")
        #expect(rig.stored(to: "sip:carol@home1.test").isEmpty)
    }

    @Test func aFailedCommitIsAnswered500AndNothingIsKept() {
        let rig = ServerRig()
        rig.commits = false
        rig.receive(rig.message(to: "bob", "hi", registered: false))
        rig.commit(succeeded: false)
        #expect(rig.one().status == 500)
        #expect(rig.stored().isEmpty)
    }

    @Test func deliveryIsBuiltFromTheOriginal() {
        let rig = ServerRig()
        let original = rig.message(
            to: "bob", "hi", registered: false,
            [
                ("Privacy", "id"), ("Conversation-ID", "c1"), ("Content-Type", "message/cpim"), ("Subject", "s"),
                ("Date", "Tue, 14 Nov 2023 10:00:00 GMT"),
            ])
        rig.receive(original)
        _ = rig.taken()
        rig.receive(rig.register("bob"))
        let sent = rig.taken()
        #expect(sent.map(\.startLine) == ["SIP/2.0 200 OK", "MESSAGE sip:bob@home1.test SIP/2.0"])
        let delivery = sent[1]
        #expect(delivery["To"] == "<sip:bob@home1.test>")
        #expect(delivery["From"]?.hasPrefix("\"A\" <sip:alice@home1.test>;tag=") == true)
        #expect(delivery["From"] != original["From"])
        #expect(delivery["Call-ID"] != original["Call-ID"])
        #expect(delivery["P-Asserted-Identity"] == "<sip:alice@home1.test>")
        #expect(delivery["Date"] == "Tue, 14 Nov 2023 10:00:00 GMT")
        #expect(delivery["Accept-Contact"] == "*;+g.oma.sip-im")
        #expect(delivery["User-Agent"] == "IM-serv/OMA1.0 sipcore")
        #expect(delivery["Route"] == "<sip:127.0.0.1:5060;lr>")
        #expect(delivery["Privacy"] == "id")
        #expect(delivery["Conversation-ID"] == "c1")
        #expect(delivery["Content-Type"] == "message/cpim")
        #expect(delivery["Subject"] == "s")
        #expect(delivery["P-Served-User"] == nil)
        #expect(delivery.body == "hi")
    }

    @Test func messagesAreDeliveredInOrderOneAtATimeAndOnce() {
        let rig = ServerRig()
        keep(["one", "two", "three"], in: rig)
        rig.receive(rig.register("bob"))
        var bodies: [String] = []
        while let delivery = requests(rig.taken()).first {
            bodies.append(delivery.body)
            rig.receive(delivery.response(200))
        }
        #expect(bodies == ["one", "two", "three"])
        #expect(rig.stored().isEmpty)
        #expect(rig.records[1]?.isEmpty == true)
        rig.receive(rig.register("bob"))
        #expect(requests(rig.taken()).isEmpty)
    }

    @Test func anAnswerToARegisterSentTwiceBeginsOneRun() {
        let rig = ServerRig()
        keep(["one"], in: rig)
        let register = rig.register("bob")
        rig.receive(register)
        rig.receive(register)
        #expect(requests(rig.taken()).count == 1)
    }

    @Test func whatComesDuringADeliveryWaitsBehindIt() {
        let rig = ServerRig()
        keep(["one"], in: rig)
        rig.receive(rig.register("bob"))
        let first = requests(rig.taken())[0]
        rig.receive(rig.message(to: "bob", "two", registered: true))
        #expect(rig.one().status == 202)
        rig.receive(first.response(200))
        #expect(requests(rig.taken()).map(\.body) == ["two"])
    }

    @Test func a480IsTriedOnceMoreAndThenTheRunStops() {
        let rig = ServerRig()
        keep(["one"], in: rig)
        rig.receive(rig.register("bob"))
        let first = requests(rig.taken())[0]
        rig.receive(first.response(480))
        #expect(requests(rig.taken()).isEmpty)
        rig.advance(.seconds(1))
        let second = requests(rig.taken())[0]
        #expect(second["Call-ID"] == first["Call-ID"])
        #expect(second["CSeq"] == "2 MESSAGE")
        rig.receive(second.response(480))
        rig.advance(.seconds(60))
        #expect(requests(rig.taken()).isEmpty)
        #expect(rig.stored().count == 1)
        rig.receive(rig.register("bob"))
        #expect(requests(rig.taken()).first?["CSeq"] == "3 MESSAGE")
    }

    @Test(arguments: [400, 403, 404, 410, 413, 414, 415, 416, 420, 600, 603])
    func hopelessRefusalsDropTheMessageAndGoOn(status: Int) {
        let rig = ServerRig()
        keep(["one", "two"], in: rig)
        rig.receive(rig.register("bob"))
        rig.receive(requests(rig.taken())[0].response(status))
        #expect(requests(rig.taken()).map(\.body) == ["two"])
        #expect(rig.stored().map(\.body) == ["two"])
    }

    @Test(arguments: [302, 401, 407, 408, 430, 482, 486, 488, 500, 503])
    func otherRefusalsKeepTheMessageAndStop(status: Int) {
        let rig = ServerRig()
        keep(["one", "two"], in: rig)
        rig.receive(rig.register("bob"))
        rig.receive(requests(rig.taken())[0].response(status))
        rig.advance(.seconds(40))
        #expect(requests(rig.taken()).isEmpty)
        #expect(rig.stored().map(\.body) == ["one", "two"])
    }

    @Test func withoutAnAnswerTheSameRequestIsSentAtTheNextRegistration() {
        let rig = ServerRig()
        keep(["one"], in: rig)
        rig.receive(rig.register("bob"))
        let first = requests(rig.taken())[0]
        rig.advance(.seconds(40))
        _ = rig.taken()
        rig.receive(rig.register("bob"))
        let second = requests(rig.taken())[0]
        for name in ["Call-ID", "From", "CSeq", "Date"] { #expect(second[name] == first[name]) }
        #expect(second["Via"] != first["Via"])
    }

    @Test func aRegistrationDuringASilentDeliveryBeginsItAnew() {
        let rig = ServerRig()
        keep(["one"], in: rig)
        rig.receive(rig.register("bob"))
        _ = rig.taken()
        rig.receive(rig.register("bob"))
        rig.advance(.seconds(33))
        let vias = Set(requests(rig.taken()).compactMap { $0["Via"] })
        #expect(vias.count == 2)
    }

    // MARK: The same message by two ways

    private func copy(of message: SIPText, _ branch: String) -> SIPText {
        var copy = message
        copy.set("Via", "SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK\(branch)")
        return copy
    }

    @Test func whatComesByAnotherWayIsKeptOnce() {
        let rig = ServerRig()
        let message = rig.message(to: "bob", "one", registered: false)
        rig.commits = false
        rig.receive(message)
        rig.receive(copy(of: message, "other"))
        rig.commit()
        #expect(rig.taken().compactMap(\.status) == [202, 202])
        rig.commits = true
        #expect(rig.stored().count == 1)
        // Also by a process that has it from the database, and when it is delivered.
        let again = rig.restarted()
        again.receive(copy(of: message, "third"))
        #expect(again.one().status == 202)
        again.receive(again.register("bob"))
        let delivery = requests(again.taken())
        #expect(delivery.count == 1)
        again.receive(delivery[0].response(200))
        again.receive(copy(of: message, "fourth"))
        #expect(again.taken().compactMap(\.status) == [202])
        // Where its sender's side is asked once more too.
        var origin = copy(of: message, "fifth")
        origin.set("P-Served-User", "<sip:alice@home1.test>;sescase=orig;regstate=reg")
        again.receive(origin)
        #expect(again.taken().compactMap(\.status) == [202])
        #expect(again.stored().isEmpty)
    }

    /// Who dies after it delivered may hear the message once more: its sender had no answer yet.
    @Test func whatWasDeliveredIsKnownToTheNextProcess() {
        let rig = ServerRig()
        let message = rig.message(to: "bob", "one", registered: false)
        rig.receive(message)
        rig.receive(rig.register("bob"))
        rig.receive(requests(rig.taken())[0].response(200))
        #expect(rig.records[1]?.isEmpty == true)
        let again = rig.restarted()
        var origin = copy(of: message, "origin")
        origin.set("P-Served-User", "<sip:alice@home1.test>;sescase=orig;regstate=reg")
        again.receive(origin)
        again.receive(copy(of: message, "other"))
        #expect(again.taken().map(\.status) == [202, 202])
        // No longer than a copy can come; numbers are not given out twice meanwhile.
        keep(["two"], in: again)
        #expect(again.stored().map(\.id) == ["2"])
        #expect(again.records[3]?.count == 1)
        again.advance(.seconds(96))
        #expect(again.records[3]?.isEmpty == true)
    }

    /// It had nothing to store: the recipient was there, and may have the message already.
    @Test func whatTheProcessBeforeMayHavePassedOnIsDeliveredAsTheSameRequest() {
        let message = ServerRig().message(to: "bob", "one", registered: false)
        for isSuccessor in [true, false] {
            let rig = ServerRig(asSuccessor: isSuccessor)
            rig.receive(message)
            rig.receive(rig.register("bob"))
            #expect((requests(rig.taken()).first?["Call-ID"] == message["Call-ID"]) == isSuccessor)
        }
    }

    @Test func whatIsOldWhenItIsDeliveredLeavesNothingBehind() {
        let rig = ServerRig()
        keep(["one"], in: rig)
        rig.advance(.seconds(97))
        rig.receive(rig.register("bob"))
        rig.receive(requests(rig.taken())[0].response(200))
        #expect(rig.records[1]?.isEmpty == true && rig.records[3]?.isEmpty ?? true)
    }

    /// The core may die between the two sides of a message. What is kept is not sent to it again, and its sender is answered once.
    @Test func whatIsKeptIsNotSentAgainFromItsSendersSide() {
        let rig = ServerRig()
        let message = rig.message(to: "bob", "one", registered: false)
        var origin = copy(of: message, "origin")
        origin.set("P-Served-User", "<sip:alice@home1.test>;sescase=orig;regstate=reg")
        origin.set("Route", "<sip:127.0.0.1:5080;lr>, <sip:odi@127.0.0.1:5060;lr;orig>")
        rig.receive(origin)
        let forwarded = requests(rig.taken())
        #expect(forwarded.count == 1)
        rig.advance(.milliseconds(600))
        #expect(requests(rig.taken()).map(\.text) == forwarded.map(\.text))
        rig.receive(message)
        #expect(rig.taken().compactMap(\.status) == [202, 202])
        rig.advance(.seconds(8))
        #expect(rig.taken().isEmpty)
        // The core answers in the end, or not: the sender has been told.
        rig.receive(forwarded[0].response(202))
        rig.advance(.seconds(40))
        #expect(rig.taken().isEmpty)
        #expect(rig.stored().count == 1)
    }

    @Test func aCopyOfWhatIsUnderWayGoesOnAndIsNotKept() {
        let rig = ServerRig()
        rig.receive(rig.register("bob"))
        _ = rig.taken()
        let message = rig.message(to: "bob", "one")
        rig.receive(message)
        rig.receive(copy(of: message, "other"))
        let forwarded = requests(rig.taken())
        #expect(forwarded.count == 2)
        for request in forwarded { rig.receive(request.response(480)) }
        #expect(Set(rig.taken().compactMap(\.status)) == [202, 480])
        #expect(rig.stored().count == 1)
    }

    @Test func aRefusalOfWhatWasSentAgainProvesNothing() {
        let rig = ServerRig()
        keep(["one"], in: rig)
        rig.receive(rig.register("bob"))
        let first = requests(rig.taken())[0]
        // The node that got it first may be another than the one that answers.
        rig.advance(.milliseconds(600))
        rig.receive(first.response(480))
        _ = rig.taken()
        rig.advance(.seconds(1))
        let second = requests(rig.taken())[0]
        for name in ["Call-ID", "From", "CSeq"] { #expect(second[name] == first[name]) }
        rig.receive(second.response(480))
        rig.receive(rig.register("bob"))
        #expect(requests(rig.taken()).first?["CSeq"] == first["CSeq"])
    }

    @Test func whatWasPassedOnAgainBeforeItWasRefusedIsDeliveredAsTheSameRequest() {
        let rig = ServerRig()
        rig.receive(rig.register("bob"))
        _ = rig.taken()
        let message = rig.message(to: "bob", "one")
        rig.receive(message)
        let forwarded = requests(rig.taken())[0]
        rig.advance(.milliseconds(600))
        rig.receive(forwarded.response(480))
        rig.receive(rig.register("bob"))
        let delivery = requests(rig.taken()).last
        for name in ["Call-ID", "CSeq"] { #expect(delivery?[name] == message[name]) }
    }

    @Test func afterARestartTheSameRequestIsSent() {
        let rig = ServerRig()
        keep(["one", "two"], in: rig)
        rig.receive(rig.register("bob"))
        let first = requests(rig.taken())[0]
        // The process dies between the answer and its commit.
        rig.commits = false
        rig.receive(first.response(200))
        let again = rig.restarted()
        #expect(again.stored().map(\.body) == ["one", "two"])
        let repeated = requests(again.taken())[0]
        for name in ["Call-ID", "From", "CSeq", "Date"] { #expect(repeated[name] == first[name]) }
        again.receive(repeated.response(200))
        #expect(requests(again.taken()).map(\.body) == ["two"])
        let third = again.restarted()
        #expect(third.stored().map(\.body) == ["two"])
    }

    @Test func numbersGoOnAfterARestart() {
        let rig = ServerRig()
        keep(["one"], in: rig)
        let again = rig.restarted()
        keep(["two"], in: again)
        #expect(again.stored().map(\.body) == ["one", "two"])
        #expect(again.records[1]?.count == 2)
    }

    @Test func aRemovalThatFailsIsTriedAgain() {
        let rig = ServerRig()
        keep(["one"], in: rig)
        rig.receive(rig.register("bob"))
        rig.commits = false
        rig.receive(requests(rig.taken())[0].response(200))
        rig.commit(succeeded: false)
        #expect(rig.records[1]?.count == 1)
        rig.commits = true
        rig.advance(.seconds(1))
        #expect(rig.records[1]?.isEmpty == true)
    }

    @Test func aRegistrationBeforeTheCommitStillDelivers() {
        let rig = ServerRig()
        rig.commits = false
        rig.receive(rig.message(to: "bob", "hi", registered: false))
        rig.receive(rig.register("bob"))
        rig.commit()
        let sent = rig.taken()
        #expect(Set(sent.compactMap(\.status)) == [200, 202])
        #expect(requests(sent).map(\.body) == ["hi"])
    }

    @Test func aRegistrationWhileTheMessageIsUnderWayDeliversIt() {
        let rig = ServerRig()
        rig.receive(rig.register("bob"))
        _ = rig.taken()
        rig.receive(rig.message(to: "bob", "hi"))
        let forwarded = requests(rig.taken())[0]
        rig.receive(rig.register("bob"))
        _ = rig.taken()
        rig.receive(forwarded.response(480))
        let sent = rig.taken()
        #expect(sent.contains { $0.status == 202 })
        #expect(requests(sent).map(\.body) == ["hi"])
    }

    @Test func messagesExpire() {
        let rig = ServerRig()
        rig.receive(rig.message(to: "bob", "brief", registered: false, [("Expires", "60")]))
        rig.receive(rig.message(to: "bob", "long", registered: false))
        rig.advance(.seconds(61))
        #expect(rig.stored().map(\.body) == ["long"])
        rig.advance(.seconds(7 * 86_400))
        #expect(rig.stored().isEmpty)
        #expect(rig.records[1]?.isEmpty == true)
        rig.receive(rig.message(to: "bob", "now", registered: false, [("Expires", "0")]))
        #expect(rig.taken().last?.status == 480)
        rig.receive(rig.message(to: "bob", "now", registered: false, [("Expires", "never")]))
        #expect(rig.one().status == 400)
    }

    @Test func quotasAreAnswered480() {
        let rig = ServerRig { $0.messageQuota = 2 }
        keep(["one", "two"], in: rig)
        rig.receive(rig.message(to: "bob", "three", registered: false))
        #expect(rig.one().status == 480)
        let small = ServerRig { $0.storageQuota = 1000 }
        small.receive(small.message(to: "bob", String(repeating: "x", count: 1000), registered: false))
        #expect(small.one().status == 480)
    }

    @Test func composingIndicationsAreNotKept() {
        let rig = ServerRig()
        rig.receive(rig.message(to: "bob", "<x/>", registered: false, [("Content-Type", "application/im-iscomposing+xml")]))
        #expect(rig.one().status == 480)
        #expect(rig.stored().isEmpty)
    }

    @Test func settingsDecideOverKeepingAndDelivery() {
        let rig = ServerRig()
        rig.receive(
            rig.publish(
                "bob", body: settingsDocument("d", "<im:deferred-settings><im:offline-delivery active=\"false\"/></im:deferred-settings>")))
        _ = rig.taken()
        keep(["one"], in: rig)
        rig.receive(rig.register("bob"))
        #expect(requests(rig.taken()).isEmpty)
        #expect(rig.stored().count == 1)
        rig.receive(rig.publish("carol", body: settingsDocument("d", "<im:deferred-settings active=\"false\"/>")))
        _ = rig.taken()
        rig.receive(rig.message(to: "carol", "x", registered: false))
        #expect(rig.one().status == 480)
    }

    @Test func storedMessagesAreRemovedByNumber() {
        let rig = ServerRig()
        keep(["one", "two"], in: rig)
        let id = rig.stored()[0].id
        #expect(rig.removeStored(id))
        #expect(!rig.removeStored(id))
        #expect(!rig.removeStored("x"))
        #expect(rig.stored().map(\.body) == ["two"])
        #expect(rig.records[1]?.count == 1)
    }

    @Test func theResetForgetsEverything() {
        let rig = ServerRig()
        keep(["one"], in: rig)
        rig.receive(rig.register("bob", expires: 0))
        rig.receive(rig.publish(body: settingsDocument("d", "")))
        _ = rig.taken()
        rig.withEffects { rig.server.reset(at: rig.now, into: &$0) }
        #expect(rig.taken().isEmpty)
        #expect(rig.stored().isEmpty)
        #expect(rig.records.values.allSatisfy { $0.isEmpty })
        rig.receive(rig.message(to: "bob", "unknown is there"))
        #expect(rig.one().method == "MESSAGE")
    }

    @Test func theDeliveryMayBeginLater() {
        let rig = ServerRig { $0.deliveryDelay = .milliseconds(300) }
        keep(["one"], in: rig)
        rig.receive(rig.register("bob"))
        rig.advance(.milliseconds(299))
        #expect(requests(rig.taken()).isEmpty)
        rig.advance(.milliseconds(1))
        #expect(requests(rig.taken()).count == 1)
    }

    @Test func aLateAnswerBeforeTheCommitLeavesNoDeliveryWaiting() {
        let rig = ServerRig()
        rig.receive(rig.message(to: "bob", "one"))
        let forwarded = rig.one()
        rig.commits = false
        rig.advance(.seconds(10))
        rig.receive(rig.register("bob"))
        rig.receive(forwarded.response(200))
        rig.commit()
        #expect(rig.stored().isEmpty)
        rig.commits = true
        _ = rig.taken()
        keep(["two"], in: rig)
        rig.receive(rig.register("bob"))
        #expect(requests(rig.taken()).map(\.body) == ["two"])
    }

    @Test func aServerThatStartsAgainGivesOutOtherNames() {
        func callID(_ seconds: Int64) -> String? {
            let rig = ServerRig(at: seconds)
            keep(["one"], in: rig)
            rig.receive(rig.register("bob"))
            return requests(rig.taken()).first?["Call-ID"]
        }
        #expect(callID(1) == callID(1))
        #expect(callID(1) != callID(2))
    }

    @Test func aLongDeliveryGoesByAStreamIfThereIsOne() {
        let rig = ServerRig { $0.listeners.append(Listener(transport: .tcp, local: ServerRig.own.local)) }
        keep([String(repeating: "x", count: 1200)], in: rig)
        rig.receive(rig.register("bob"))
        #expect(requests(rig.taken())[0]["Via"]?.hasPrefix("SIP/2.0/TCP ") == true)
        #expect(rig.transports.last == .tcp)
    }

    @Test func brokenRecordsAreLeftOut() {
        let rig = ServerRig()
        for record: [UInt8] in [[], [1], [9, 0, 0], [1, 255, 255, 255, 255, 255, 255, 255, 255]] {
            #expect(!rig.restore(table: 1, key: [0, 0, 0, 0, 0, 0, 0, 1], value: record))
            #expect(!rig.restore(table: 2, key: Array("sip:bob@home1.test".utf8), value: record))
            #expect(!rig.restore(table: 3, key: [0, 0, 0, 0, 0, 0, 0, 1], value: record))
        }
        #expect(!rig.restore(table: 3, key: [], value: []))
        #expect(!rig.restore(table: 4, key: [], value: []))
    }
}
