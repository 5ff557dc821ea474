import SansIO
import Testing

struct TimerWheelTests {
    @Test func firesAtTheMillisecondOfTheDeadlineRoundedUp() {
        var wheel = TimerWheel(start: .zero)
        _ = wheel.schedule(at: Instant(nanoseconds: 5_000_001), payload: 1)
        #expect(wheel.nextDeadline == Instant(nanoseconds: 6_000_000))
        #expect(expired(&wheel, at: 5_999_999) == [])
        #expect(expired(&wheel, at: 6_000_000) == [1])
        #expect(wheel.count == 0)
        #expect(wheel.nextDeadline == nil)
    }

    @Test func aDeadlineInThePastFiresNext() {
        var wheel = TimerWheel(start: Instant(nanoseconds: 10_000_000))
        _ = wheel.schedule(at: .zero, payload: 7)
        #expect(expired(&wheel, at: 10_999_999) == [])
        #expect(expired(&wheel, at: 11_000_000) == [7])
    }

    @Test(arguments: [3, 63, 64, 65, 4095, 4096, 4097, 300_000, 20_000_000])
    func timersOfOneMillisecondFireInTheOrderInWhichTheyWereSet(_ tick: Int64) {
        var wheel = TimerWheel(start: .zero)
        let deadline = Instant(nanoseconds: tick * 1_000_000)
        for payload in 0..<5 { _ = wheel.schedule(at: deadline, payload: UInt64(payload)) }
        // Nearer, and so on another level of the wheel.
        _ = expired(&wheel, at: max(0, tick - 2) * 1_000_000)
        for payload in 5..<8 { _ = wheel.schedule(at: deadline, payload: UInt64(payload)) }
        #expect(expired(&wheel, at: tick * 1_000_000) == [0, 1, 2, 3, 4, 5, 6, 7])
    }

    @Test func aTimerBeyondTheWheelWaits() {
        var wheel = TimerWheel(start: .zero)
        let tick: Int64 = (1 << 36) * 3 + 17
        let far = Instant(nanoseconds: tick * 1_000_000)
        _ = wheel.schedule(at: far, payload: 1)
        _ = wheel.schedule(at: .distantFuture, payload: 2)
        #expect(expired(&wheel, at: (tick - 1) * 1_000_000) == [])
        #expect(expired(&wheel, at: tick * 1_000_000) == [1])
        #expect(wheel.count == 1)
        #expect(wheel.nextDeadline.map { $0 <= .distantFuture } == true)
    }

    @Test func stoppingNoTimerIsLetPass() {
        var wheel = TimerWheel(start: .zero)
        wheel.cancel(.none)
        #expect(wheel.count == 0)
    }

    /// Against a list that is searched from end to end.
    @Test(arguments: UInt64(1)...12)
    func agreesWithAPlainList(_ seed: UInt64) {
        var random = RandomSource(seed: seed)
        var now: Int64 = Int64.random(in: 0...(1 << 40), using: &random)
        var wheel = TimerWheel(start: Instant(nanoseconds: now))
        var reached = now / 1_000_000
        var pending: [(tick: Int64, payload: UInt64, id: TimerID)] = []
        for step in 0..<3000 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<5:
                let magnitude = Int64.random(in: 0...46, using: &random)
                let deadline = now + Int64.random(in: -5...(1 << magnitude), using: &random)
                let id = wheel.schedule(at: Instant(nanoseconds: deadline), payload: UInt64(step))
                pending.append((max(reached + 1, (deadline + 999_999) / 1_000_000), UInt64(step), id))
            case 5..<7:
                guard let victim = pending.indices.randomElement(using: &random) else { continue }
                wheel.cancel(pending.remove(at: victim).id)
            default:
                now += Int64.random(in: 0...(1 << Int64.random(in: 10...44, using: &random)), using: &random)
                reached = max(reached, now / 1_000_000)
                let due = pending.filter { $0.tick <= reached }.sorted { ($0.tick, $0.payload) < ($1.tick, $1.payload) }
                pending.removeAll { $0.tick <= reached }
                #expect(expired(&wheel, at: now) == due.map(\.payload))
            }
            #expect(wheel.count == pending.count)
            let earliest = pending.map(\.tick).min()
            let next = wheel.nextDeadline.map { $0.nanoseconds / 1_000_000 }
            #expect((next == nil) == (earliest == nil))
            if let earliest, let next { #expect(next <= earliest && next > reached) }
        }
    }

    /// Against a list that is sorted anew for each call: a call takes out no more than it is told to, and all calls together
    /// what one would.
    @Test(arguments: UInt64(1)...12)
    func agreesWithASortedListWithinABudget(_ seed: UInt64) {
        var random = RandomSource(seed: seed)
        var now: Int64 = 0
        var wheel = TimerWheel(start: .zero)
        var reached: Int64 = 0
        var pending: [(tick: Int64, payload: UInt64, id: TimerID)] = []
        for step in 0..<600 {
            for number in 0..<Int.random(in: 0...8, using: &random) {
                // Few deadlines, so that many timers share one, some of them set long before and on another level.
                let deadline = (now / 1_000_000 / 50 + Int64.random(in: 0...200, using: &random)) * 50 * 1_000_000
                let payload = UInt64(step * 100 + number)
                let id = wheel.schedule(at: Instant(nanoseconds: deadline), payload: payload)
                pending.append((max(reached + 1, deadline / 1_000_000), payload, id))
            }
            if let victim = pending.indices.randomElement(using: &random), Bool.random(using: &random) {
                wheel.cancel(pending.remove(at: victim).id)
            }
            now += Int64.random(in: 0...400, using: &random) * 1_000_000
            var calls = 0
            repeat {
                let limit = Int.random(in: 1...5, using: &random)
                var payloads: [UInt64] = []
                wheel.expire(upTo: Instant(nanoseconds: now), into: &payloads, atMost: limit)
                #expect(payloads.count <= limit)
                let due = pending.filter { $0.tick <= now / 1_000_000 }.sorted { ($0.tick, $0.payload) < ($1.tick, $1.payload) }
                #expect(payloads == due.prefix(payloads.count).map(\.payload))
                reached = max(reached, due.dropFirst(max(payloads.count - 1, 0)).first?.tick ?? reached)
                let taken = Set(payloads)
                pending.removeAll { taken.contains($0.payload) }
                calls += 1
                // Between two calls others have their turn: here they stop a timer that may be in the middle of its slot.
                if let victim = pending.indices.randomElement(using: &random), Int.random(in: 0..<8, using: &random) == 0 {
                    wheel.cancel(pending.remove(at: victim).id)
                }
            } while calls < 1000 && wheel.nextDeadline.map { $0.nanoseconds <= now } == true
            #expect(calls < 1000)
            reached = now / 1_000_000
            #expect(pending.allSatisfy { $0.tick > reached })
            #expect(wheel.count == pending.count)
        }
    }

    @Test func whatABudgetLeavesIsForTheNextCall() {
        var wheel = TimerWheel(start: .zero)
        let deadline = Instant(nanoseconds: 5_000 * 1_000_000)
        for payload in 0..<3000 { _ = wheel.schedule(at: deadline, payload: UInt64(payload)) }
        var payloads: [UInt64] = []
        var calls = 0
        repeat {
            let before = payloads.count
            wheel.expire(upTo: deadline, into: &payloads, atMost: 1000)
            #expect(payloads.count - before <= 1000)
            calls += 1
        } while wheel.nextDeadline.map { $0 <= deadline } == true && calls < 100
        #expect(payloads == (0..<3000).map { UInt64($0) })
        // Each timer comes down twice before it fires.
        #expect(calls <= 10)
        #expect(wheel.nextDeadline == nil)
    }

    private func expired(_ wheel: inout TimerWheel, at nanoseconds: Int64) -> [UInt64] {
        var payloads: [UInt64] = []
        wheel.expire(upTo: Instant(nanoseconds: nanoseconds), into: &payloads)
        return payloads
    }
}
