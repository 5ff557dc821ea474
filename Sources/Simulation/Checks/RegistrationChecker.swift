// Who is registered is who the model says is: whenever the core is asked, and in each 200 that it sends.

import SIPMessage
import SansIO

struct RegistrationChecker: Checker {
    private let cast: Cast
    private var model: RegistrationModel
    private(set) var violations: [Violation] = []

    init(_ cast: Cast, isPersistent: Bool) {
        self.cast = cast
        model = RegistrationModel(cast, isPersistent: isPersistent)
    }

    mutating func observe(_ observation: Observation, at time: Instant) {
        if case .deregistered(let client, false, _) = observation, model.isRegistered(client, at: time) == true,
            !model.isLeaving(client)
        {
            violate("the network cannot deregister \(cast.name(client)), who is registered", of: client, time)
        }
        model.observe(observation, at: time)
        if let acceptance = model.acceptance, case .sent(let message) = observation { checkContacts(acceptance, message, time) }
        if case .registrations(let identities) = observation { compare(identities, time) }
    }

    private mutating func violate(_ text: String, of client: Int, _ time: Instant, call: UInt64 = 0) {
        violations.append(
            Violation(checker: "registrations", text: text, time: time, call: call, subject: cast.plan.clients[client].user.defaultIdentity)
        )
    }

    /// The 200 lists the contacts that there are, those that are gone aside.
    private mutating func checkContacts(_ acceptance: RegistrationModel.Acceptance, _ message: WireMessage, _ time: Instant) {
        let listed = (message.registration?.contacts ?? []).filter { $0.expires != 0 }
        let expected = acceptance.contact.map { [WireMessage.Contact(uri: $0.uri, expires: acceptance.granted)] } ?? []
        guard listed != expected else { return }
        violate(
            "the 200 to \(cast.name(acceptance.client)) lists \(RegistrationChecker.text(listed)) and not \(RegistrationChecker.text(expected))",
            of: acceptance.client, time, call: message.call)
    }

    private mutating func compare(_ identities: [RegisteredUser], _ time: Instant) {
        for client in 0..<cast.clientCount {
            let user = cast.plan.clients[client].user
            let found = identities.first { $0.identity == user.defaultIdentity }
            let contacts = found?.contacts ?? []
            let actual = contacts.first.map { (uri: $0.uri, seconds: $0.expires ?? 0) }
            guard contacts.count <= 1, model.allows(actual, of: client, at: time) else {
                let there = RegistrationChecker.text(contacts)
                let allowed = model.states(of: client, at: time).map { state in
                    state.map { "\($0.uri) for \(($0.end - time).wholeSeconds) s" } ?? "no contact"
                }
                violate(
                    "\(cast.name(client)) has \(there); by what was answered it has \(allowed.joined(separator: " or "))", of: client, time)
                continue
            }
            model.adopt(actual, of: client, at: time)
        }
    }

    private static func text(_ contacts: [WireMessage.Contact]) -> String {
        contacts.isEmpty ? "no contact" : contacts.map { "\($0.uri) for \($0.expires ?? 0) s" }.joined(separator: ", ")
    }
}
