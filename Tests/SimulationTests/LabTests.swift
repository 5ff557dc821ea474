import IMSProfile
import SansIO
import Testing

@testable import Simulation

/// The parts that a run is made of.
@Suite struct LabTests {
    @Test func `events come in the order of time, and at the same time as they were planned`() {
        var queue = EventQueue<Int>()
        var random = RandomSource(seed: 1)
        var planned: [(time: Int64, number: Int)] = []
        for number in 0..<500 {
            let time = Int64.random(in: 0..<20, using: &random)
            planned.append((time, number))
            queue.add(number, at: Instant(nanoseconds: time))
        }
        var order: [Int] = []
        while let (_, number) = queue.popFirst() { order.append(number) }
        #expect(order == planned.sorted { ($0.time, $0.number) < ($1.time, $1.number) }.map(\.number))
    }

    @Test func `a store loses what was not durable, and keeps what was`() {
        var store = VirtualStore()
        store.add(table: 1, key: [1], value: [1], ticket: 1)
        store.beginCommit()
        store.becomeDurable()
        store.add(table: 1, key: [2], value: [2], ticket: 2)
        store.crash()
        #expect(store.records(of: 1).map(\.key) == [[1]])
        store.add(table: 1, key: [3], value: [3], ticket: 3)
        store.beginCommit()
        store.add(table: 1, key: [4], value: [4], ticket: 4)
        let report = store.endCommit()
        #expect(!report.succeeded)
        #expect(report.tickets.map(\.ticket) == [4])
        #expect(store.records(of: 1).map(\.key) == [[1]])
        #expect(!store.hasWaiting)
    }

    @Test func `nothing goes over a partition, and all is well when it is healed`() {
        var network = VirtualNetwork(NetworkQuality(), random: RandomSource(seed: 1))
        network.part(0, 1)
        network.part(1, 0)
        #expect(network.delays(from: 1, to: 0).isEmpty)
        #expect(network.delays(from: 0, to: 2).count == 1)
        network.join(0, 1)
        #expect(network.delays(from: 0, to: 1).isEmpty)
        network.join(0, 1)
        #expect(network.delays(from: 0, to: 1).count == 1)
    }

    @Test func `a network loses and doubles about as many as it is told to`() {
        var quality = NetworkQuality()
        quality.loss = 300
        quality.duplication = 0
        var network = VirtualNetwork(quality, random: RandomSource(seed: 1))
        let lost = (0..<2000).count { _ in network.delays(from: 0, to: 1).isEmpty }
        #expect((450...750).contains(lost))
        network.quality = NetworkQuality(duplication: 200)
        let doubled = (0..<2000).count { _ in network.delays(from: 0, to: 1).count == 2 }
        #expect((300...500).contains(doubled))
        network.heal()
        #expect((0..<2000).allSatisfy { _ in network.delays(from: 0, to: 1).count == 1 })
    }

    @Test func `a schedule is reduced to what a failure needs`() {
        let schedule = Simulation(Laboratory.plan()).schedule(of: 5)
        // Calls are beside them.
        #expect(schedule.steps.count == 48)
        func isRegister(_ step: Schedule.Step) -> Bool {
            guard case .command(_, let command) = step.action else { return false }
            return command.label.hasPrefix("register")
        }
        let least = schedule.reduced { $0.steps.count(where: isRegister) >= 2 }
        #expect(least.steps.count == 2)
        #expect(least.steps.allSatisfy(isRegister))
        #expect(least.faults.isEmpty)
        #expect(least.quality == NetworkQuality())
    }

    @Test func `criteria are evaluated in three values`() {
        typealias Term = RegistrationCriterion.Term
        func verdict(_ trigger: [[Term]]?, isConjunctive: Bool = true, on kind: RegistrationKind = .initial) -> Verdict {
            RegistrationCriterion(server: 0, trigger: trigger, isConjunctive: isConjunctive).verdict(on: kind)
        }
        #expect(verdict(nil) == .holds)
        #expect(verdict([[Term(.register([]))]]) == .holds)
        #expect(verdict([[Term(.register([.initial]))]], on: .deregistration) == .fails)
        #expect(verdict([[Term(.register([])), Term(.otherMethod)], [Term(.register([])), Term(.other)]]) == .holds)
        #expect(verdict([[Term(.register([]))], [Term(.other)]]) == .unknown)
        #expect(verdict([[Term(.otherMethod)], [Term(.other)]]) == .fails)
        #expect(verdict([[Term(.register([])), Term(.other)], [Term(.otherMethod)]], isConjunctive: false) == .unknown)
        #expect(verdict([[Term(.type([.initial]), isNegated: true)]]) == .fails)
        #expect(verdict([[Term(.type([.initial]), isNegated: true)]], on: .reregistration) == .holds)
    }

    @Test func `each profile of a set tells a server once`() {
        var user = Laboratory.plan().clients[0].user
        user.identities.append(LabPlan.Identity(uri: "tel:+15550100", criteria: [Laboratory.criterion, Laboratory.criterion]))
        user.identities.append(LabPlan.Identity(uri: "tel:+15550101", isBarred: true, criteria: [Laboratory.criterion]))
        #expect(user.tellings(of: .initial).map(\.identity) == ["sip:alice@home1.test", "tel:+15550100"])
    }
}
