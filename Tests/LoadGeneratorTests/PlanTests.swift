import SansIO
import Testing

@testable import LoadGenerator

@Suite struct PlanTests {
    // MARK: Shares

    @Test func sharesAreMetOverEachRoundAndNearlyAtEachStep() throws {
        var shares = try ModeShares("register=50,publish=30,message=20")
        var counts: [LoadMode: Int] = [:]
        for number in 1...1000 {
            counts[shares.next(), default: 0] += 1
            for share in shares.shares {
                let wanted = Double(number * share.weight) / 100
                #expect(abs(Double(counts[share.mode] ?? 0) - wanted) < 1.5)
            }
        }
        #expect(counts == [.register: 500, .publish: 300, .message: 200])
    }

    @Test func aModePutBackIsDealtOutAgain() throws {
        var shares = try ModeShares("register=2,publish=1,call=3")
        var plain = shares
        var dealt: [LoadMode] = []
        for number in 0..<60 {
            if number % 4 == 1 {
                let mode = shares.next()
                shares.putBack(mode)
            }
            dealt.append(shares.next())
        }
        #expect(dealt == (0..<60).map { _ in plain.next() })
    }

    @Test(arguments: [
        "", "register", "register=0", "register=-1", "register=x", "lub=1", "register=1,,publish=1", "register=1,register=2",
        "register=1000001",
    ])
    func whatIsNoMix(text: String) {
        #expect(throws: LoadPlanFault.self) { try ModeShares(text) }
    }

    // MARK: Users

    @Test func usersAreNamedAndFound() throws {
        let users = try UserTemplate("u{0010..0999}x")
        #expect(users.count == 990)
        var octets = OctetBuffer()
        octets.append(7, of: users)
        #expect(String(octets: octets.bytes) == "u0017x")
        for (name, user) in [
            ("u0010x", 0), ("u0999x", 989), ("u0009x", nil), ("u1000x", nil), ("u017x", nil), ("v0017x", nil), ("u0017", nil),
        ] as [(String, Int?)] {
            let text = Array(name.utf8)
            #expect(users.user(named: text.span.bytes) == user, "\(name)")
        }
    }

    @Test(arguments: ["u", "u{}", "u{1}", "u{1..}", "u{5..4}", "u{0..10000000}", "{0..9}", "u{0..9}{0..9}", "u @{0..9}", "u{a..b}"])
    func whatIsNoTemplate(text: String) { #expect(throws: LoadPlanFault.self) { try UserTemplate(text) } }

    @Test func aMixOfBothSharesTheUsersOut() throws {
        var plan = try Rig.plan("register=1,publish=1")
        plan.userCount = 10
        #expect(plan.registeredUsers == 0..<5 && plan.newUsers == 5..<10)
        plan.mix = ModeShares(.reregister)
        #expect(plan.registeredUsers == 0..<10 && plan.newUsers.isEmpty)
        plan.mix = ModeShares(.register)
        #expect(plan.registeredUsers.isEmpty && plan.newUsers == 0..<10)
    }

    // MARK: Pacing

    @Test func anOpenLoopIsDueByTheClockAlone() throws {
        var plan = try Rig.plan("options=1")
        plan.pacing = .rate(perSecond: 1000)
        plan.extent = .count(5)
        let start = Instant(nanoseconds: 5_000_000_000)
        var schedule = PhaseSchedule(.measured, of: plan, at: start)
        let late = start + .seconds(1)
        for number in 0..<5 {
            #expect(schedule.nextDue(outstanding: 0) == start + .milliseconds(number))
            #expect(schedule.due(at: late, outstanding: number) == start + .milliseconds(number))
            schedule.begin()
        }
        #expect(schedule.due(at: late, outstanding: 0) == nil && schedule.isOver(at: late) && schedule.notStarted == 0)
    }

    @Test func aClosedLoopWaitsForTheWindow() throws {
        var plan = try Rig.plan("options=1")
        plan.pacing = .window(2)
        plan.extent = .duration(.seconds(1))
        let start = Instant.zero
        let schedule = PhaseSchedule(.measured, of: plan, at: start)
        let now = start + .milliseconds(10)
        #expect(schedule.due(at: now, outstanding: 1) == now)
        #expect(schedule.due(at: now, outstanding: 2) == nil)
        #expect(!schedule.isOver(at: now) && schedule.isOver(at: start + .seconds(1)))
    }

    @Test func aPlanThatCannotBeRunIsRefused() throws {
        let changes: [(inout LoadPlan) -> Void] = [
            { $0.domain = "" }, { $0.domain = "a b" }, { $0.pacing = .window(0) }, { $0.pacing = .rate(perSecond: 0) },
            { $0.pacing = .rate(perSecond: .nan) }, { $0.extent = .count(0) }, { $0.extent = .duration(.zero) }, { $0.warmUp = -1 },
            { $0.userCount = 0 }, { $0.userCount = 11 }, { $0.patience = .zero }, { $0.target.port = 0 },
        ]
        for change in changes {
            var plan = try Rig.plan("register=1")
            try plan.validate()
            change(&plan)
            #expect(throws: LoadPlanFault.self) { try plan.validate() }
        }
    }
}
