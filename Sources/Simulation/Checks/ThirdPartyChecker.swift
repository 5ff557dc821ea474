// Application servers hear of registrations as filter criteria say (TS 24.229 §5.4.1.7): of each change that was answered 200
// each server once, with the interval that was granted; of nothing else.

import SCSCF
import SIPMessage
import SansIO

struct ThirdPartyChecker: Checker {
    /// A request that is to be sent.
    private struct Expected {
        var client: Int
        var server: Int
        var identity: String
        var expires: UInt32
        var isCertain: Bool
        var call: UInt64
        /// Since when it may have been sent.
        var since: Instant
    }

    /// A request that was sent.
    private struct Told {
        var client: Int
        var server: Int
        var identity: String
        var expires: UInt32
        var time: Instant
        var message: WireMessage
    }

    private let cast: Cast
    private let isPersistent: Bool
    /// Whether the 200 to the user waits for the servers.
    private let isHeld: Bool
    private let tellsProfileChanges: Bool
    private var model: RegistrationModel
    private(set) var violations: [Violation] = []

    /// What belongs to one instant: a change and who is told of it.
    private var instant = Instant.zero
    private var expected: [Expected] = []
    private var told: [Told] = []
    /// Requests to servers by their transactions, those that no 200 has claimed yet, and since when a user has asked.
    private var requests: [UInt64: Told] = [:]
    private var unclaimed: [Told] = []
    private var askedSince: [Int: Instant] = [:]
    /// Deregistrations by the network that are not stored yet.
    private var due: [(change: UInt64, expected: [Expected])] = []
    private var lastStart = Instant(nanoseconds: -1)
    private var lastLoss = Instant(nanoseconds: -1)
    /// What each server knows of each identity: of what it has accepted the latest, by CSeq (RFC 3261 §10.2).
    private var known: [Int: [String: Told]] = [:]
    private var isLifted = false
    /// Who has had a 200 since all faults are over.
    private var renewed: Set<Int> = []

    init(_ cast: Cast, isPersistent: Bool) {
        self.cast = cast
        self.isPersistent = isPersistent
        isHeld = cast.plan.core.thirdParty.holdsAnswer
        tellsProfileChanges = cast.plan.core.thirdParty.tellsProfileChanges
        model = RegistrationModel(cast, isPersistent: isPersistent)
    }

    mutating func observe(_ observation: Observation, at time: Instant) {
        if time != instant { closeInstant() }
        instant = time
        if case .deregistered(let client, true, let change) = observation { deregistered(client, change, time) }
        model.observe(observation, at: time)
        if let acceptance = model.acceptance, case .sent(let message) = observation { accepted(acceptance, message, time) }
        switch observation {
        case .delivered(let message) where message.method == .register: delivered(message, time)
        case .sent(let message) where message.method == .register: sent(message, time)
        case .crashed(let station) where station == cast.core:
            due = []
            unclaimed = []
            askedSince = [:]
        case .started(let station) where station == cast.core: lastStart = time
        case .committed(let change, let succeeded): committed(upTo: change, succeeded, time)
        case .lifted: isLifted = true
        // What happened in between no server has heard of.
        case .changed(let client, _): renewed.remove(client)
        case .settled: checkKnowledge(time)
        default: break
        }
    }

    private mutating func violate(_ text: String, of identity: String, _ call: UInt64, _ time: Instant) {
        violations.append(Violation(checker: "third-party registration", text: text, time: time, call: call, subject: identity))
    }

    // MARK: What is to be sent

    /// - Parameter variants: how the subscriber was provisioned meanwhile: criteria are held against a request when it comes.
    private func tellings(_ client: Int, _ kinds: Set<RegistrationKind>, _ variants: Set<SubscriberVariant>) -> [Telling] {
        guard variants.contains(.planned) else { return [] }
        let user = cast.plan.clients[client].user
        // What is certain is so for each of them.
        let all = kinds.map { Set(user.tellings(of: $0)) }
        let possible = all.reduce(into: Set<Telling>()) { $0.formUnion($1) }
        return possible.map { telling in
            var telling = telling
            if variants.count > 1 || !all.allSatisfy({ $0.contains(telling) }) { telling.verdict = .unknown }
            return telling
        }.sorted { ($0.server, $0.identity) < ($1.server, $1.identity) }
    }

    private mutating func accepted(_ acceptance: RegistrationModel.Acceptance, _ message: WireMessage, _ time: Instant) {
        let client = acceptance.client
        if isLifted, model.variants[client] == .planned { renewed.insert(client) }
        // That a registration is over is told when it is stored: it may be in one commit with the next one.
        if isPersistent, acceptance.mayFollowEnd {
            for telling in tellings(client, [.deregistration], acceptance.variants) {
                expected.append(
                    Expected(
                        client: client, server: telling.server, identity: telling.identity, expires: 0, isCertain: false,
                        call: message.call, since: time))
            }
        }
        for telling in tellings(client, acceptance.kinds, acceptance.variants) {
            expected.append(
                Expected(
                    client: client, server: telling.server, identity: telling.identity, expires: acceptance.granted,
                    isCertain: telling.verdict == .holds, call: message.call,
                    since: isHeld ? askedSince[client] ?? time : time))
        }
        if !model.hasWishes(client) { askedSince[client] = nil }
    }

    /// All that were told of the user hear that it is gone: with a database when that is stored. Of one whose requests have no
    /// answer yet they may hear: the core has registered it, or has not.
    private mutating func deregistered(_ client: Int, _ change: UInt64, _ time: Instant) {
        let isOpen = model.hasWishes(client)
        guard isOpen || model.isRegistered(client, at: time) == true else { return }
        let gone = tellings(client, [.deregistration], [model.variants[client]]).map { telling in
            Expected(
                client: client, server: telling.server, identity: telling.identity, expires: 0,
                isCertain: telling.verdict == .holds && !isOpen, call: 0, since: time)
        }
        if isPersistent { due.append((change, gone)) } else { expected += gone }
    }

    private mutating func committed(upTo change: UInt64, _ succeeded: Bool, _ time: Instant) {
        if !succeeded { lastLoss = time }
        for (number, gone) in due where number <= change && succeeded {
            expected += gone.map { one in
                var one = one
                one.since = time
                return one
            }
        }
        due.removeAll { $0.change <= change }
    }

    // MARK: What is sent

    private mutating func sent(_ message: WireMessage, _ time: Instant) {
        if let server = cast.server(of: message.sender) { return answered(server, message) }
        guard message.sender == cast.core, message.isRequest, requests[message.transaction] == nil,
            let server = cast.server(of: message.receiver), let registration = message.registration
        else { return }
        guard let client = cast.client(of: registration.identity), let expires = registration.expires else {
            return violate(
                "\(cast.name(message.receiver)) is told of \(registration.identity), whom nobody knows", of: registration.identity,
                message.call, time)
        }
        let one = Told(
            client: client, server: server, identity: registration.identity, expires: expires, time: time, message: message)
        requests[message.transaction] = one
        told.append(one)
    }

    private mutating func delivered(_ message: WireMessage, _ time: Instant) {
        guard message.receiver == cast.core, message.isRequest, let identity = message.registration?.identity,
            let client = cast.client(of: identity)
        else { return }
        if askedSince[client] == nil { askedSince[client] = time }
    }

    private mutating func answered(_ server: Int, _ message: WireMessage) {
        guard (200..<300).contains(message.status), let one = requests[message.transaction] else { return }
        let before = known[server]?[one.identity]?.message
        if let before, before.call == one.message.call, before.sequence > one.message.sequence { return }
        known[server, default: [:]][one.identity] = one
    }

    // MARK: Judgement

    private mutating func closeInstant() {
        unclaimed += told
        told = []
        // What must have been told has the first claim to what was.
        for one in expected.filter(\.isCertain) + expected.filter({ !$0.isCertain }) {
            let place = unclaimed.firstIndex {
                $0.server == one.server && $0.identity == one.identity && $0.expires == one.expires && $0.time >= one.since
            }
            if let place {
                unclaimed.remove(at: place)
            } else if one.isCertain {
                let server = cast.name(cast.station(ofServer: one.server))
                let what = one.expires == 0 ? "is gone" : "is registered for \(one.expires) s"
                violate("\(server) was not told that \(one.identity) \(what)", of: one.identity, one.call, instant)
            }
        }
        expected = []
        // A held 200 may still claim what was sent before it.
        unclaimed = unclaimed.filter { one in
            if isExplained(one) { return false }
            if isHeld, model.hasWishes(one.client), askedSince[one.client].map({ $0 <= one.time }) ?? false { return true }
            let server = cast.name(cast.station(ofServer: one.server))
            let what = one.expires == 0 ? "is gone" : "is registered for \(one.expires) s"
            violate(
                "\(server) was told that \(one.identity) \(what), which nothing has led to", of: one.identity, one.message.call, instant)
            return false
        }
    }

    /// What was due when the process died; the end of a registration; a change of profile.
    private func isExplained(_ one: Told) -> Bool {
        if one.time == lastStart { return one.expires == 0 || model.isRegistered(one.client, at: one.time) != false }
        if one.expires == 0 { return model.isRegistered(one.client, at: one.time) != true }
        return tellsProfileChanges
    }

    /// Whoever was told and has answered knows what is.
    private mutating func checkKnowledge(_ time: Instant) {
        closeInstant()
        for client in 0..<cast.clientCount where renewed.contains(client) && model.variants[client] == .planned {
            guard let isRegistered = model.isRegistered(client, at: time) else { continue }
            let user = cast.plan.clients[client].user
            let told = RegistrationKind.allCases.map { Set(user.tellings(of: $0).filter { $0.verdict == .holds }) }
            for telling in told[0].intersection(told[1]).intersection(told[2]).sorted(by: { $0.server < $1.server }) {
                let expires = known[telling.server]?[telling.identity]?.expires ?? 0
                guard (expires > 0) != isRegistered else { continue }
                let server = cast.name(cast.station(ofServer: telling.server))
                violate(
                    "\(server) knows \(telling.identity) as \(expires > 0 ? "registered" : "gone"), and it is \(isRegistered ? "registered" : "gone")",
                    of: telling.identity, 0, time)
            }
        }
    }
}
