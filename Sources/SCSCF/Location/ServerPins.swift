// Which target of an application server the requests of a user go to (TS 24.229 §5.4.0): the one that heard of the user's
// registration, or got the first request for a user who is not registered. A name may stand for several servers, and what one
// of them knows of the user the others need not know.
//
// It is kept for each ServerName, its parameters included, since two names may stand for different services. The identities of
// a set share it, since they are registered together. It is held while the target answers: when that is dead, the target which
// takes its place is kept from then on, and when all are, none; then the next request, or registration, chooses anew, as it does
// after a restart. A server whose address the topology has is one target, and nothing is kept for it.

import SIPRegistrar
import SIPTransaction
import SansIO

struct ServerPins {
    private struct Pin {
        var name: Int32
        var flow: Flow
    }
    private var pins: [UInt32: [Pin]] = [:]

    var isEmpty: Bool { pins.isEmpty }

    /// Where the requests of a subscriber to a server of this name go (`ServerNames`); nil: to any of its targets.
    subscript(subscriber: UInt32, name: Int32) -> Flow? {
        get { pins.isEmpty ? nil : pins[subscriber]?.first { $0.name == name }?.flow }
        set {
            var others = (pins[subscriber] ?? []).filter { $0.name != name }
            if let newValue { others.append(Pin(name: name, flow: newValue)) }
            pins[subscriber] = others.isEmpty ? nil : others
        }
    }

    /// A user is gone: its next registration may go to others.
    mutating func removeAll(of subscriber: UInt32) { pins[subscriber] = nil }

    mutating func removeAll() { pins.removeAll() }
}

extension ServingCSCF {
    /// The targets of a server with the one first that a user's requests go to; that one alone where the name is not known now.
    func targets(_ course: Course, of subscriber: UInt32, _ name: Int32) -> Course {
        guard let pin = pins[subscriber, name] else { return course }
        guard case .over(let flows) = course else { return .over([pin]) }
        return .over(ArraySlice([pin] + flows.filter { $0 != pin }))
    }
}
