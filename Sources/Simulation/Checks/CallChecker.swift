// Calls: what the one who is called decides is what the caller hears, and nobody hears of a call what nobody has decided.
// When nothing goes wrong each call reaches a phone that is registered, and its 200 is acknowledged.

import InstantMessaging
import SansIO

struct CallChecker: Checker {
    private struct Course {
        var caller: Int
        var called: Int?
        /// Whether it began when all faults were over.
        var isCalm: Bool
        var decision: UInt16?
        var isAcknowledged = false
        /// What the caller heard; 200: it was accepted.
        var outcome: UInt16?
    }

    private let cast: Cast
    /// Whether somebody else may answer in place of the called one.
    private let hasStandIn: Bool
    private var courses: [String: Course] = [:]
    private var order: [String] = []
    private var registered: Set<Int> = []
    private var isCalm = false
    private(set) var violations: [Violation] = []

    init(_ cast: Cast) {
        self.cast = cast
        hasStandIn = cast.plan.servers.contains { if case .standIn = $0.role { true } else { false } }
    }

    mutating func observe(_ observation: Observation, at time: Instant) {
        switch observation {
        case .call(let client, let event): happened(event, at: client, time)
        case .registrations(let identities):
            registered = Set(identities.filter { !$0.contacts.isEmpty }.compactMap { cast.client(of: $0.identity) })
        case .settled: isCalm = true
        case .called: checkCalm(time)
        default: break
        }
    }

    private mutating func happened(_ event: Phone.Event, at client: Int, _ time: Instant) {
        switch event {
        case .begun(let call, let uri):
            courses[call] = Course(caller: client, called: cast.client(of: uri), isCalm: isCalm)
            order.append(call)
        case .decided(let call, let status): courses[call]?.decision = status
        case .acknowledged(let call): courses[call]?.isAcknowledged = true
        case .accepted(let call):
            courses[call]?.outcome = 200
            if let course = courses[call], course.decision != 200 {
                violate("\(cast.name(client)) hears that its call was accepted, and nobody has accepted it", time)
            }
        case .ended(let call, let status): courses[call]?.outcome = status
        }
    }

    private mutating func checkCalm(_ time: Instant) {
        for course in order.compactMap({ courses[$0] }) where course.isCalm {
            guard let called = course.called, registered.contains(called), registered.contains(course.caller) else { continue }
            let names = "\(cast.name(course.caller)) calls \(cast.name(called))"
            guard let decision = course.decision else {
                if !hasStandIn { violate("\(names), who is registered and hears nothing of it", time) }
                continue
            }
            if course.outcome != decision {
                violate("\(names), who answers \(decision); heard is \(course.outcome.map { "\($0)" } ?? "nothing")", time)
            } else if decision == 200, !course.isAcknowledged {
                violate("\(names), whose 200 is never acknowledged", time)
            }
        }
    }

    private mutating func violate(_ text: String, _ time: Instant) {
        violations.append(Violation(checker: "calls", text: text, time: time))
    }
}
