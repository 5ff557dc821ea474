// Retransmissions, patience, phases, and what latency is counted from.

import SansIO
import Testing

@testable import LoadGenerator

@Suite struct TimeTests {
    /// The milliseconds at which something is sent within a span.
    private func times(_ rig: inout Rig, within milliseconds: Int) -> [Int] {
        var times: [Int] = []
        for time in stride(from: 0, through: milliseconds, by: 100) {
            if time > 0 { rig.advance(100) }
            times += rig.sent().map { _ in time }
        }
        return times
    }

    // MARK: RFC 3261 §17.1

    @Test func timerEDoublesUpToT2() throws {
        var rig = try Rig(.options)
        #expect(times(&rig, within: 32_000) == [0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500])
        #expect(rig.generator.isFinished && rig.generator.tally.failures == [.timeout: 1] && rig.generator.tally.retransmissions == 10)
    }

    @Test func timerADoublesWithoutEnd() throws {
        var rig = try Rig(.call)
        #expect(times(&rig, within: 32_000) == [0, 500, 1500, 3500, 7500, 15_500, 31_500])
    }

    @Test func aProvisionalAnswerSlowsOneAndStopsTheOther() throws {
        var options = try Rig(.options)
        var call = try Rig(.call)
        options.deliver(try #require(options.sent().first).text.answer(100), to: .user)
        #expect(times(&options, within: 10_000) == [500, 4500, 8500])
        call.deliver(try #require(call.sent().first).text.answer(100), to: .user)
        #expect(times(&call, within: 31_900) == [])
        call.advance(100)
        #expect(call.generator.isFinished && call.generator.tally.failures == [.timeout: 1])
    }

    @Test func aRetransmissionIsTheSameRequest() throws {
        var rig = try Rig(.register)
        let first = try #require(rig.sent().first).text
        rig.advance(500)
        #expect(rig.sent().map(\.text) == [first])
        rig.deliver(first.answer(200, "Contact: <sip:x@127.0.0.1:15061>"), to: .user)
        rig.advance(10_000)
        #expect(rig.sent().isEmpty && rig.generator.tally.completed == 1)
    }

    @Test func theCalledUESendsItsAnswerUntilItIsAcknowledged() throws {
        var rig = try Rig(.call)
        let invite = try #require(rig.sent().first).text
        rig.deliver(Rig.forwarded(invite), to: .called)
        let answer = rig.sent()[1].text
        rig.deliver(Rig.returned(answer), to: .user)
        let (acknowledgement, bye) = (rig.sent().map(\.text)[0], "BYE")
        // The ACK is lost; the BYE is lost once.
        rig.advance(500)
        let again = rig.sent()
        #expect(again.contains { $0.station == .called && $0.text == answer })
        #expect(again.contains { $0.station == .user && $0.text.method == bye })
        rig.deliver(Rig.returned(answer), to: .user)
        let repeated = try #require(rig.sent().first).text
        #expect(repeated == acknowledgement)
        rig.deliver(repeated, to: .called)
        rig.advance(400)
        #expect(rig.sent().isEmpty)
    }

    // MARK: Phases

    @Test func thePhasesOfALoad() throws {
        var plan = try Rig.plan("message=1")
        plan.warmUp = 2
        plan.extent = .count(3)
        var rig = try Rig(plan)
        rig.begin(.probe)
        rig.deliver(try #require(rig.sent().first).text.answer(404), to: .user)
        rig.advance(0)
        #expect(rig.generator.isFinished && rig.generator.tally.completed == 1)
        rig.begin(.preload)
        for request in rig.sent() {
            #expect(request.text.method == "REGISTER")
            rig.deliver(request.text.answer(200, "Contact: <sip:x@127.0.0.1:15061>"), to: .user)
        }
        rig.advance(0)
        #expect(rig.generator.isFinished && rig.generator.tally.completed == 10)
        for (phase, count) in [(LoadPhase.warmUp, 2), (.measured, 3)] {
            rig.begin(phase)
            for _ in 0..<count { pass(&rig) }
            #expect(rig.generator.isFinished && rig.generator.tally.completed == count)
        }
    }

    private func pass(_ rig: inout Rig) {
        for request in rig.sent() { rig.deliver(Rig.forwarded(request.text), to: .called) }
        for answer in rig.sent() { rig.deliver(Rig.returned(answer.text), to: .user) }
        rig.advance(0)
    }

    @Test func usersWhoCannotBeRegisteredEndTheLoad() throws {
        var rig = try Rig(try Rig.plan("message=1"))
        rig.begin(.preload)
        for request in rig.sent() { rig.deliver(request.text.answer(403), to: .user) }
        rig.advance(0)
        #expect(rig.generator.isFinished && rig.generator.tally.wasCutShort && rig.generator.tally.statuses[403] == 10)
    }

    @Test func aTargetThatIsSilentIsGivenUp() throws {
        var plan = try Rig.plan("options=1")
        plan.pacing = .window(4)
        plan.extent = .count(1000)
        var rig = try Rig(plan)
        rig.begin(.measured)
        for _ in 0..<32 { rig.advance(1000) }
        #expect(rig.generator.isFinished && rig.generator.tally.wasCutShort)
        #expect(rig.generator.tally.failures == [.timeout: 4, .notStarted: 996])
    }

    @Test func aTargetThatIsNotThereIsGivenUpAtOnce() throws {
        var rig = try Rig(try Rig.plan("options=1"))
        rig.begin(.probe)
        rig.generator.refused(by: Endpoint(address: .loopback, port: 1))
        #expect(rig.generator.isFinished == false)
        rig.generator.refused(by: Rig.core)
        #expect(rig.generator.isFinished && rig.generator.tally.failures == [.unreachable: 1])
    }

    @Test func aStopIsNoFailure() throws {
        var plan = try Rig.plan("call=1")
        plan.pacing = .window(5)
        plan.extent = .count(1000)
        var rig = try Rig(plan)
        rig.begin(.measured)
        _ = rig.sent()
        rig.generator.stop()
        #expect(rig.generator.isFinished && rig.generator.tally.wasCutShort && rig.generator.tally.failed == 0)
        for _ in 0..<40 { rig.advance(1000) }
        #expect(rig.sent().isEmpty && rig.generator.nextDeadline == nil)
    }

    // MARK: Coordinated omission

    /// A server that answers nothing for a second: the transactions due in that second waited for it, and an open loop says so.
    @Test func anOpenLoopCountsTheWaitOfWhatWasDue() throws {
        let open = try stalled(.rate(perSecond: 100))
        #expect(open.completed == 200)
        #expect(open[.options].latency.percentile(0.25) == .zero)
        // 100 were due while it stalled, and waited half a second on average.
        let p75 = open[.options].latency.percentile(0.75).nanoseconds
        #expect((400_000_000...600_000_000).contains(p75))
        #expect(open[.options].latency.maximum >= .milliseconds(990))
        let closed = try stalled(.window(1))
        #expect(closed[.options].latency.percentile(0.75) == .zero)
    }

    /// 200 transactions at a server that answers at once but for its first second.
    private func stalled(_ pacing: Pacing) throws -> LoadTally {
        var plan = try Rig.plan("options=1")
        plan.pacing = pacing
        plan.extent = .count(200)
        var rig = try Rig(plan)
        rig.begin(.measured)
        var waiting: [Text] = []
        for millisecond in 0..<3000 where !rig.generator.isFinished {
            waiting += rig.sent().map(\.text)
            if millisecond >= 1000 {
                for request in waiting { rig.deliver(request.answer(200), to: .user) }
                waiting = []
            }
            rig.advance(1)
        }
        return rig.generator.tally
    }

    @Test func aSlowServerIsNotWaitedForWithoutEnd() throws {
        var plan = try Rig.plan("options=1")
        plan.pacing = .rate(perSecond: 1000)
        plan.extent = .duration(.seconds(60))
        plan.patience = .seconds(1)
        var rig = try Rig(plan)
        rig.begin(.measured)
        for _ in 0..<70 { rig.advance(100) }
        #expect(rig.generator.isFinished && rig.generator.tally.wasCutShort)
        #expect(rig.generator.tally.failures[.notStarted] ?? 0 > 50_000)
    }
}
