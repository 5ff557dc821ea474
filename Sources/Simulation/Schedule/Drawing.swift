// How a schedule is drawn.

import InstantMessaging
import SCSCF
import SansIO

extension Schedule {
    /// - Parameter steps: how many things are done.
    init(for plan: LabPlan, steps count: Int, from random: inout RandomSource) {
        quality = NetworkQuality.drawn(from: &random)
        isPersistent = Bool.random(using: &random) || plan.hasDatabase
        commitTime = .milliseconds([0, 1, 20, 400, 3000].randomElement(using: &random) ?? 1)
        tellsUnreachable = Bool.random(using: &random)
        steps = Schedule.steps(for: plan, count, from: &random)
        faults = []
        let length = steps.last?.time ?? .zero
        let cast = Cast(plan)
        for _ in 0..<Int.random(in: 0...max(1, count / 6), using: &random) {
            guard let kind = Schedule.fault(in: cast, from: &random) else { continue }
            let time = Instant(nanoseconds: Int64.random(in: 0...max(1, length.nanoseconds), using: &random))
            faults.append(Fault(time: time, span: .milliseconds(Int.random(in: 100...40_000, using: &random)), kind: kind))
        }
        faults.sort { $0.time < $1.time }
        steps += Schedule.calls(for: plan, count / 5, until: length, from: &random)
        steps.sort { $0.time < $1.time }
    }

    private static func steps(for plan: LabPlan, _ count: Int, from random: inout RandomSource) -> [Step] {
        guard !plan.clients.isEmpty else { return [] }
        var time = Instant.zero
        var steps: [Step] = []
        // Some runs are busy, some leave much time.
        let pause = [200, 2000, 15_000].randomElement(using: &random) ?? 2000
        for number in 0..<count {
            time = time + .milliseconds(Int.random(in: 1...pause, using: &random))
            steps.append(Step(time: time, action: action(number, plan, from: &random)))
        }
        return steps
    }

    private static func action(_ number: Int, _ plan: LabPlan, from random: inout RandomSource) -> Action {
        let client = Int.random(in: plan.clients.indices, using: &random)
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<30: return .command(client: client, .register(expires: expires(from: &random)))
        case 30..<42: return .command(client: client, .unregister)
        case 42..<78:
            let recipient = plan.clients.indices.randomElement(using: &random) ?? client
            let uri = plan.clients[recipient].user.identities.filter { !$0.isBarred }.randomElement(using: &random)?.uri
            return .command(
                client: client,
                .message(to: uri ?? plan.clients[recipient].settings.publicIdentity, text: "message \(number)"))
        case 78..<86:
            let flag = SettingsFlag.allCases.randomElement(using: &random) ?? .visible
            return .command(client: client, .publishSettings([.flag(flag, Bool.random(using: &random))]))
        case 86..<89: return .command(client: client, .removeSettings)
        case 89..<94:
            let event = [DeregistrationEvent.deactivated, .rejected, .probation(retryAfter: 5)].randomElement(using: &random)
            return .deregister(client: client, event ?? .deactivated)
        case 94..<97: return .reauthenticate(client: client)
        default:
            guard plan.clients[client].user.subscription != nil else { return .reauthenticate(client: client) }
            return .provision(client: client, SubscriberVariant.allCases.randomElement(using: &random) ?? .planned)
        }
    }

    private static func calls(for plan: LabPlan, _ count: Int, until end: Instant, from random: inout RandomSource) -> [Step] {
        guard !plan.clients.isEmpty else { return [] }
        return (0..<count).map { _ in
            let time = Instant(nanoseconds: Int64.random(in: 0...max(1, end.nanoseconds), using: &random))
            let client = Int.random(in: plan.clients.indices, using: &random)
            let recipient = Int.random(in: plan.clients.indices, using: &random)
            let patience = TimeSpan.milliseconds([500, 3000, 30_000].randomElement(using: &random) ?? 3000)
            let talk = TimeSpan.milliseconds(Int.random(in: 0...20_000, using: &random))
            let uri = plan.clients[recipient].settings.publicIdentity
            return Step(time: time, action: .call(client: client, to: uri, patience: patience, talk: talk))
        }
    }

    private static func expires(from random: inout RandomSource) -> UInt32? {
        switch Int.random(in: 0..<4, using: &random) {
        case 0: nil
        case 1: UInt32.random(in: 1...59, using: &random)
        default: UInt32.random(in: 60...600, using: &random)
        }
    }

    private static func fault(in cast: Cast, from random: inout RandomSource) -> Fault.Kind? {
        let server = cast.plan.servers.indices.randomElement(using: &random)
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<2:
            let a = Int.random(in: 0..<cast.stationCount, using: &random)
            let b = Int.random(in: 0..<cast.stationCount, using: &random)
            return a == b ? nil : .partition(min(a, b), max(a, b))
        case 2..<6: return .crash(Int.random(in: 0..<cast.stationCount, using: &random))
        case 6: return server.map { .slow(server: $0, .milliseconds(Int.random(in: 500...20_000, using: &random))) }
        case 7: return server.map { .dead(server: $0) }
        case 8: return server.map { .overloaded(server: $0) }
        default:
            let stores = [cast.core] + cast.plan.servers.indices.map { cast.station(ofServer: $0) }
            return stores.randomElement(using: &random).map { .failingStore($0) }
        }
    }
}

extension NetworkQuality {
    static func drawn(from random: inout RandomSource) -> NetworkQuality {
        var quality = NetworkQuality()
        quality.loss = [0, 0, 10, 100, 300].randomElement(using: &random) ?? 0
        quality.duplication = [0, 0, 50, 200].randomElement(using: &random) ?? 0
        quality.reordering = [0, 0, 50, 300].randomElement(using: &random) ?? 0
        quality.lateness = .milliseconds([20, 500, 3000].randomElement(using: &random) ?? 500)
        return quality
    }
}
