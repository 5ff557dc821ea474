import SIPMessage
import SIPTransaction
import SansIO
import Testing

struct ClientTests {
    // MARK: Matching (RFC 3261 §17.1.3)

    @Test func aResponseIsMatchedByBranchAndMethod() throws {
        var rig = Rig()
        let id = try rig.send("MESSAGE", user: 77)
        let message = rig.sent()[0]
        for (old, new) in [
            ("branch=z9hG4bK0", "branch=z9hG4bK1"), ("branch=z9hG4bK", "branch=x"), ("9 MESSAGE", "9 OPTIONS"), (";branch=", ";b="),
        ] {
            let outcome = try rig.answer(message, 200, change: { $0.replacing(old, with: new) })
            #expect(outcome == .stray)
        }
        let via = try #require(message.field("Via"))
        let last = try #require(via.last)
        let wrong = try rig.answer(message, 200, change: { $0.replacing(via, with: via.dropLast() + (last == "0" ? "1" : "0")) })
        #expect(wrong == .stray)
        let capitals = try rig.answer(message, 200, change: { $0.replacing(via, with: via.uppercased()) })
        #expect(capitals == .matched(id, user: 77))
    }

    @Test func aLateResponseIsStray() throws {
        var rig = Rig()
        _ = try rig.send("MESSAGE")
        let message = rig.sent()[0]
        _ = rig.run(to: 32_000)
        let late = try rig.answer(message, 200)
        #expect(late == .stray)
        // The slot has a new tenant: its number is right, the random half is not.
        _ = try rig.send("MESSAGE")
        let stale = try rig.answer(message, 200)
        #expect(stale == .stray)
    }

    @Test func aReservedTransactionHasSentNothing() throws {
        var rig = Rig()
        let reserved = rig.layer.reserveClient(.message, user: 1)
        let id = try #require(reserved)
        #expect(rig.layer.state(of: id) == .reserved && rig.layer.nextDeadline == nil)
        var via = OctetBuffer()
        rig.layer.appendVia(id, over: Rig.tcp, loopToken: 0xFF, into: &via)
        let text = String(octets: via.bytes)
        #expect(text.hasPrefix("Via: SIP/2.0/TCP 192.0.2.2:5062;branch=z9hG4bK00000000") && text.hasSuffix(".00000000000000ff\r\n"))
        rig.layer.abandon(id)
        #expect(rig.isEmpty == true)
    }

    @Test func branchesDiffer() throws {
        var rig = Rig()
        var branches: Set<String> = []
        for _ in 0..<50 {
            let id = try rig.send("MESSAGE")
            branches.insert(try #require(rig.sent()[0].field("Via")))
            rig.layer.abandon(id)
        }
        for _ in 0..<50 {
            var via = OctetBuffer()
            rig.layer.appendStatelessVia(over: Rig.udp, into: &via)
            branches.insert(String(octets: via.bytes))
        }
        #expect(branches.count == 100)
    }

    // MARK: ACK (§17.1.1.3) and CANCEL (§9.1)

    @Test func theACKToARefusal() throws {
        var rig = Rig()
        _ = try rig.send(
            "INVITE",
            fields: "Max-Forwards: 8\nRoute: <sip:p1.test;lr>, <sip:p2.test;lr>\nRoute: <sip:p3.test;lr>\nRequire: x\nContact: <sip:a@h>\n")
        let invite = rig.sent()[0]
        _ = try rig.answer(invite, 486, tag: "refused")
        let acknowledgement = rig.sent()[0]
        let via = try #require(invite.field("Via"))
        #expect(
            acknowledgement.text
                == "ACK sip:bob@visited.test SIP/2.0\r\nVia: \(via)\r\nMax-Forwards: 70\r\nRoute: <sip:p1.test;lr>, <sip:p2.test;lr>\r\n"
                + "Route: <sip:p3.test;lr>\r\nFrom: <sip:alice@home.test>;tag=f\r\nTo: <sip:bob@visited.test>;tag=refused\r\n"
                + "Call-ID: c@1\r\nCSeq: 9 ACK\r\nContent-Length: 0\r\n\r\n")
        #expect(acknowledgement.flow == invite.flow)
        // Each time the refusal comes.
        let again = try rig.answer(invite, 486, tag: "refused")
        #expect(again == .absorbed)
        #expect(rig.sent() == [acknowledgement])
        #expect(rig.run(to: 31_999).isEmpty)
    }

    @Test func theCANCELAfterAProvisionalResponse() throws {
        var rig = Rig()
        let id = try rig.send("INVITE", fields: "Route: <sip:p1.test;lr>\nRequire: x\nProxy-Require: y\n")
        let invite = rig.sent()[0]
        _ = try rig.answer(invite, 180)
        rig.cancel(id)
        rig.cancel(id)
        let sent = rig.sent()
        let via = try #require(invite.field("Via"))
        #expect(
            sent.map(\.text) == [
                "CANCEL sip:bob@visited.test SIP/2.0\r\nVia: \(via)\r\nMax-Forwards: 70\r\nRoute: <sip:p1.test;lr>\r\n"
                    + "From: <sip:alice@home.test>;tag=f\r\nTo: <sip:bob@visited.test>\r\nCall-ID: c@1\r\nCSeq: 9 CANCEL\r\nContent-Length: 0\r\n\r\n"
            ])
        // Its response is found although the branch is the INVITE's, and is nobody's business above.
        #expect(rig.layer.count(of: .nonInviteClient) == 1)
        let answered = try rig.answer(sent[0], 200)
        #expect(answered == .absorbed)
        #expect(rig.run(to: 5000).isEmpty)
        #expect(rig.layer.count(of: .nonInviteClient) == 0)
        let final = try rig.answer(invite, 487)
        #expect(final == .matched(id, user: 42))
        #expect(rig.sent().map(\.label) == ["ACK"])
        _ = rig.run(to: 40_000)
        let events = rig.takeEvents()
        #expect(events == [] && rig.isEmpty)
    }

    @Test func theCANCELWaitsForAProvisionalResponse() throws {
        var rig = Rig()
        let id = try rig.send("INVITE")
        let invite = rig.sent()[0]
        rig.cancel(id)
        #expect(timeline(rig.run(to: 600)) == ["500 INVITE"])
        _ = try rig.answer(invite, 100)
        #expect(timeline(rig.sent()) == ["600 CANCEL"])
        // Once, and as every non-INVITE request it is sent again.
        _ = try rig.answer(invite, 180)
        #expect(timeline(rig.run(to: 2200)) == ["1100 CANCEL", "2100 CANCEL"])
    }

    /// RFC 3326 §2; of several reasons the first counts, for a CANCEL is sent once.
    @Test(arguments: [true, false]) func theCANCELTellsWhy(_ isRinging: Bool) throws {
        var rig = Rig()
        let id = try rig.send("INVITE")
        let invite = rig.sent()[0]
        if isRinging { _ = try rig.answer(invite, 180) }
        rig.cancel(id, reason: "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n")
        rig.cancel(id, reason: "Reason: SIP;cause=600\r\n")
        if !isRinging { _ = try rig.answer(invite, 180) }
        let cancel = try #require(rig.sent().first)
        #expect(cancel.label == "CANCEL")
        #expect(cancel.field("Reason") == "SIP;cause=200;text=\"Call completed elsewhere\"")
        #expect(cancel.text.hasSuffix("\r\nContent-Length: 0\r\n\r\n"))
    }

    @Test func aReasonThatIsNeverToldIsForgotten() throws {
        var rig = Rig()
        let id = try rig.send("INVITE")
        rig.cancel(id, reason: "Reason: SIP;cause=200\r\n")
        _ = rig.run(to: 32_000)
        #expect(rig.isEmpty == true)
        // The slot's next tenant has nothing of it.
        let next = try rig.send("INVITE")
        let invite = rig.sent()[0]
        rig.cancel(next)
        _ = try rig.answer(invite, 180)
        #expect(rig.sent().map { $0.field("Reason") } == [nil])
    }

    @Test func aFinalResponseComesBeforeTheCANCEL() throws {
        var rig = Rig()
        let id = try rig.send("INVITE")
        let invite = rig.sent()[0]
        rig.cancel(id)
        let outcome = try rig.answer(invite, 200)
        #expect(outcome == .matched(id, user: 42))
        #expect(rig.run(to: 32_000).isEmpty)
        #expect(rig.isEmpty == true)
    }

    /// §9.1: no final response in 64·T1 after the CANCEL; the CANCEL itself times out at the same instant, unheard.
    @Test(arguments: [Rig.udp, Rig.tcp])
    func aCANCELThatNobodyAnswers(_ flow: Flow) throws {
        var rig = Rig()
        let id = try rig.send("INVITE", over: flow)
        let invite = rig.sent()[0]
        _ = try rig.answer(invite, 180)
        _ = rig.run(to: 1000)
        rig.cancel(id)
        _ = rig.run(to: 32_999)
        #expect(rig.layer.contains(id) == true)
        _ = rig.run(to: 33_000)
        let events = rig.takeEvents()
        #expect(events == [.timedOut(id, user: 42)])
        #expect(rig.isEmpty == true)
    }

    /// On a stream the refused INVITE is gone before the 200 to the CANCEL comes.
    @Test func theCANCELEndsWithItsINVITE() throws {
        var rig = Rig()
        let id = try rig.send("INVITE", over: Rig.tcp)
        let invite = rig.sent()[0]
        _ = try rig.answer(invite, 180)
        rig.cancel(id)
        let cancel = rig.sent()[0]
        _ = try rig.answer(invite, 487)
        #expect(rig.isEmpty == true)
        let late = try rig.answer(cancel, 200)
        #expect(late == .stray)
    }

    @Test func theCANCELPassesTheLimit() throws {
        var rig = Rig(limit: 1)
        let id = try rig.send("INVITE")
        _ = try rig.answer(rig.sent()[0], 180)
        rig.cancel(id)
        #expect(rig.sent().map(\.label) == ["CANCEL"])
    }

    // MARK: Failing transports (§17.1.4, §18.1.1)

    @Test func aLargeRequestFallsBackToADatagram() throws {
        var rig = Rig()
        let id = try rig.send(
            "INVITE", over: Flow(transport: .tcp, listener: 1, remote: Rig.peer), fallback: 0, fields: "X: Via: SIP/2.0/TCP;y\n")
        let first = rig.sent()[0]
        rig.fail(id)
        let events = rig.takeEvents()
        #expect(events == [.fellBack(to: Rig.peer)])
        let second = rig.run(to: 500)
        #expect(timeline(second) == ["0 INVITE", "500 INVITE"])
        #expect(second[0].flow == Rig.udp)
        #expect(second[0].text == first.text.replacing("Via: SIP/2.0/TCP 192.0.2.2:5062", with: "Via: SIP/2.0/UDP 192.0.2.1:5060"))
        #expect(second[1].text == second[0].text)
        let outcome = try rig.answer(second[0], 486)
        #expect(outcome == .matched(id, user: 42))
        let acknowledgement = rig.sent()[0]
        #expect(acknowledgement.flow == Rig.udp && acknowledgement.field("Via") == second[0].field("Via"))
        _ = rig.run(to: 60_000)
        #expect(rig.isEmpty == true)
    }

    @Test func fallingBackHappensOnce() throws {
        var rig = Rig()
        let id = try rig.send("MESSAGE", over: Rig.tcp, fallback: 0)
        rig.fail(id)
        rig.fail(id)
        let events = rig.takeEvents()
        #expect(events == [.fellBack(to: Rig.peer), .transportFailed(id, user: 42)])
        #expect(rig.isEmpty == true)
    }

    @Test func whoHasAnsweredIsNotAskedByDatagram() throws {
        var rig = Rig()
        let id = try rig.send("INVITE", over: Rig.tcp, fallback: 0)
        let invite = rig.sent()[0]
        _ = try rig.answer(invite, 180)
        rig.fail(id)
        let events = rig.takeEvents()
        #expect(events == [.transportFailed(id, user: 42)])
        #expect(rig.sent().isEmpty)
        #expect(rig.isEmpty == true)
    }
}
