// Which target of an application server the requests of a user go to (TS 24.229 §5.4.0): the one that heard of the user's
// registration, or got the first request for a user who is not registered. A name may stand for several servers, and what one
// of them knows of the user the others need not know.
//
// The identities of a set share it, since they are registered together; it is held while the target answers. A server whose
// address the topology has is one target, and nothing is kept for it.

import SIPRegistrar
import SIPTransaction
import SansIO

struct ServerPins {
    private var flows: [UInt64: Flow] = [:]

    var isEmpty: Bool { flows.isEmpty }

    private static func key(_ subscriber: UInt32, _ server: Int16) -> UInt64 {
        UInt64(subscriber) << 16 | UInt64(UInt16(bitPattern: server))
    }

    subscript(subscriber: UInt32, server: Int16) -> Flow? {
        get { flows.isEmpty ? nil : flows[ServerPins.key(subscriber, server)] }
        set { flows[ServerPins.key(subscriber, server)] = newValue }
    }

    mutating func removeAll() { flows.removeAll() }
}

extension ServingCSCF {
    /// The targets of a server with the one first that a user's requests go to; that one alone where the name is not known now.
    func targets(_ course: Course, of subscriber: UInt32, _ server: Int16) -> Course {
        guard let pin = pins[subscriber, server] else { return course }
        guard case .over(let flows) = course else { return .over([pin]) }
        return .over(ArraySlice([pin] + flows.filter { $0 != pin }))
    }

    /// A user is gone: its next registration may go to others.
    mutating func forgetPins(of subscriber: UInt32) {
        guard !pins.isEmpty else { return }
        for server in 0..<configuration.applicationServers.count { pins[subscriber, Int16(server)] = nil }
    }
}
