import SIPMessage
import SIPTransaction
import SansIO
import Testing

/// RFC 3261 table 4 with RFC 6026 and RFC 4320: when exactly something is sent again, and when a machine ends.
struct TimerTests {
    @Test func timersAAndB() throws {
        var rig = Rig()
        let id = try rig.send("INVITE")
        let sent = rig.run(to: 31_999)
        #expect(timeline(sent) == [0, 500, 1500, 3500, 7500, 15_500, 31_500].map { "\($0) INVITE" })
        #expect(Set(sent.map(\.text)).count == 1)
        #expect(rig.layer.state(of: id) == .trying)
        #expect(timeline(rig.run(to: 32_000)).isEmpty)
        let events = rig.takeEvents()
        #expect(events == [.timedOut(id, user: 42)])
        #expect(rig.isEmpty == true)
    }

    @Test func timerBOnAStream() throws {
        var rig = Rig()
        let id = try rig.send("INVITE", over: Rig.tcp)
        #expect(timeline(rig.run(to: 31_999)) == ["0 INVITE"])
        #expect(rig.layer.contains(id) == true)
        #expect(rig.run(to: 32_000).isEmpty)
        let events = rig.takeEvents()
        #expect(events == [.timedOut(id, user: 42)])
        #expect(rig.isEmpty == true)
    }

    @Test func aProvisionalResponseStopsTimerA() throws {
        var rig = Rig()
        let id = try rig.send("INVITE")
        let invite = rig.run(to: 600)[0]
        _ = try rig.answer(invite, 100)
        #expect(rig.run(to: 100_000).isEmpty)
        // A further 100 does not start timer C anew; another provisional response does (§16.7 step 2).
        _ = try rig.answer(invite, 100)
        #expect(rig.run(to: 181_599).isEmpty)
        let before = rig.takeEvents()
        #expect(before == [])
        _ = rig.run(to: 181_600)
        let after = rig.takeEvents()
        #expect(after == [.timerC(id, user: 42)])
    }

    @Test func aRingingStartsTimerCAnew() throws {
        var rig = Rig()
        let id = try rig.send("INVITE")
        let invite = rig.sent()[0]
        _ = try rig.answer(invite, 180)
        _ = rig.run(to: 100_000)
        _ = try rig.answer(invite, 183)
        _ = rig.run(to: 280_999)
        let before = rig.takeEvents()
        #expect(before == [])
        _ = rig.run(to: 281_000)
        let after = rig.takeEvents()
        #expect(after == [.timerC(id, user: 42)])
    }

    @Test(arguments: [(Rig.udp, 32_000), (Rig.tcp, 0)])
    func timerD(_ flow: Flow, _ milliseconds: Int) throws {
        var rig = Rig()
        let id = try rig.send("INVITE", over: flow)
        _ = try rig.answer(rig.sent()[0], 486)
        #expect(timeline(rig.sent()) == ["0 ACK"])
        if milliseconds > 0 {
            _ = rig.run(to: milliseconds - 1)
            #expect(rig.layer.state(of: id) == .completed)
            _ = rig.run(to: milliseconds)
        }
        #expect(rig.isEmpty == true)
    }

    @Test(arguments: [Rig.udp, Rig.tcp])
    func timerM(_ flow: Flow) throws {
        var rig = Rig()
        let id = try rig.send("INVITE", over: flow)
        let invite = rig.sent()[0]
        _ = try rig.answer(invite, 200)
        _ = rig.run(to: 20_000)
        // A 2xx of another branch of the fork does not set it anew.
        let outcome = try rig.answer(invite, 200, tag: "other")
        #expect(outcome == .matched(id, user: 42))
        _ = rig.run(to: 31_999)
        #expect(rig.layer.state(of: id) == .accepted)
        _ = rig.run(to: 32_000)
        let events = rig.takeEvents()
        #expect(events == [] && rig.isEmpty)
    }

    @Test func timersEAndF() throws {
        var rig = Rig()
        let id = try rig.send("MESSAGE")
        let sent = rig.run(to: 31_999)
        #expect(timeline(sent) == [0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500].map { "\($0) MESSAGE" })
        #expect(rig.run(to: 32_000).isEmpty)
        let events = rig.takeEvents()
        #expect(events == [.timedOut(id, user: 42)])
        #expect(rig.isEmpty == true)
    }

    @Test func timerEIsT2AfterAProvisionalResponse() throws {
        var rig = Rig()
        _ = try rig.send("MESSAGE")
        let message = rig.run(to: 700)[0]
        _ = try rig.answer(message, 100)
        #expect(timeline(rig.run(to: 32_000)) == [1500, 5500, 9500, 13_500, 17_500, 21_500, 25_500, 29_500].map { "\($0) MESSAGE" })
        #expect(rig.isEmpty == true)
    }

    @Test func timerFOnAStream() throws {
        var rig = Rig()
        let id = try rig.send("MESSAGE", over: Rig.tcp)
        #expect(timeline(rig.run(to: 31_999)) == ["0 MESSAGE"])
        _ = rig.run(to: 32_000)
        let events = rig.takeEvents()
        #expect(events == [.timedOut(id, user: 42)])
        #expect(rig.isEmpty == true)
    }

    @Test(arguments: [(Rig.udp, 5000), (Rig.tcp, 0)])
    func timerK(_ flow: Flow, _ milliseconds: Int) throws {
        var rig = Rig()
        let id = try rig.send("MESSAGE", over: flow)
        _ = try rig.answer(rig.sent()[0], 200)
        #expect(rig.layer.bytesKept == 0)
        if milliseconds > 0 {
            _ = rig.run(to: milliseconds - 1)
            #expect(rig.layer.state(of: id) == .completed)
            _ = rig.run(to: milliseconds)
        }
        #expect(rig.isEmpty == true)
    }

    @Test func timersGAndH() throws {
        var rig = Rig()
        let id = try rig.open(incoming("INVITE"))
        rig.respond(id, 486)
        let sent = rig.run(to: 31_999)
        #expect(timeline(sent) == [0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500].map { "\($0) 486" })
        _ = rig.run(to: 32_000)
        let events = rig.takeEvents()
        #expect(events == [.acknowledgementMissing(id, user: 0)])
        #expect(rig.isEmpty == true)
    }

    @Test func timerHOnAStream() throws {
        var rig = Rig()
        let id = try rig.open(incoming("INVITE"), over: Rig.tcp)
        rig.respond(id, 486)
        #expect(timeline(rig.run(to: 31_999)) == ["0 486"])
        _ = rig.run(to: 32_000)
        let events = rig.takeEvents()
        #expect(events == [.acknowledgementMissing(id, user: 0)])
        #expect(rig.isEmpty == true)
    }

    @Test(arguments: [(Rig.udp, 5000), (Rig.tcp, 0)])
    func timerI(_ flow: Flow, _ milliseconds: Int) throws {
        var rig = Rig()
        let id = try rig.open(incoming("INVITE"), over: flow)
        rig.respond(id, 486)
        let outcome = try rig.receive(incoming("ACK", to: ";tag=t"), over: flow)
        #expect(outcome == .absorbed)
        _ = rig.sent()
        if milliseconds > 0 {
            #expect(rig.run(to: milliseconds - 1).isEmpty)
            #expect(rig.layer.state(of: id) == .confirmed)
            _ = rig.run(to: milliseconds)
        }
        #expect(rig.isEmpty == true)
    }

    @Test(arguments: [(Rig.udp, 32_000), (Rig.tcp, 0)])
    func timerJ(_ flow: Flow, _ milliseconds: Int) throws {
        var rig = Rig()
        let id = try rig.open(incoming("MESSAGE"), over: flow)
        rig.respond(id, 200)
        if milliseconds > 0 {
            _ = rig.run(to: milliseconds - 1)
            #expect(rig.layer.state(of: id) == .completed)
            _ = rig.run(to: milliseconds)
        }
        #expect(rig.isEmpty == true)
    }

    @Test(arguments: [Rig.udp, Rig.tcp])
    func timerL(_ flow: Flow) throws {
        var rig = Rig()
        let id = try rig.open(incoming("INVITE"), over: flow)
        rig.respond(id, 200)
        #expect(rig.layer.bytesKept == 0)
        #expect(timeline(rig.run(to: 31_999)) == ["0 200"])
        #expect(rig.layer.state(of: id) == .accepted)
        _ = rig.run(to: 32_000)
        #expect(rig.isEmpty == true)
    }

    /// RFC 4320 §4.1, over every transport: once timer E of the client must have reached T2, and not before.
    @Test(arguments: [Rig.udp, Rig.tcp])
    func a100ForAnotherMethodThanINVITE(_ flow: Flow) throws {
        var rig = Rig()
        let text = incoming("MESSAGE") + "\n"
        let id = try rig.open(text, over: flow)
        try rig.await(id, text)
        #expect(rig.run(to: 3499).isEmpty)
        let sent = rig.run(to: 3500)
        #expect(timeline(sent) == ["3500 100"])
        #expect(
            sent[0].text
                == "SIP/2.0 100 Trying\r\nVia: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKpeer1\r\nFrom: <sip:alice@home.test>;tag=f\r\n"
                + "To: <sip:bob@home.test>\r\nCall-ID: c@9\r\nCSeq: 3 MESSAGE\r\nContent-Length: 0\r\n\r\n")
        #expect(rig.run(to: 100_000).isEmpty)
        rig.respond(id, 200)
        #expect(timeline(rig.run(to: 132_000)) == ["100000 200"])
        #expect(rig.isEmpty == true)
    }

    @Test func aResponseInTimeNeedsNo100() throws {
        var rig = Rig()
        let id = try rig.open(incoming("MESSAGE"))
        try rig.await(id, incoming("MESSAGE"))
        _ = rig.run(to: 3000)
        rig.respond(id, 404)
        #expect(timeline(rig.run(to: 40_000)) == ["3000 404"])
        #expect(rig.isEmpty == true)
    }

    @Test func allTimersFollowFromT1T2AndT4() throws {
        let timers = TimerSettings(t1: .milliseconds(2000), t2: .seconds(16), t4: .seconds(17), timerC: .seconds(200))
        #expect(timers.patience == .seconds(128) && timers.delayBefore100 == .seconds(14))
        #expect(TimerSettings(t1: .milliseconds(0), t2: .seconds(0)).delayBefore100 == .zero)
        var rig = Rig(timers: timers)
        _ = try rig.send("MESSAGE")
        #expect(timeline(rig.run(to: 50_000)) == [0, 2000, 6000, 14_000, 30_000, 46_000].map { "\($0) MESSAGE" })
    }
}
