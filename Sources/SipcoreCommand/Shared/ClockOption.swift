// The virtual clock of a lab, as its built-in nodes come to go by it.

import ArgumentParser
import NodeRuntime
import SansIO

struct ClockOption: ParsableArguments {
    @Option(name: .customLong("clock"), help: .hidden)
    var socket: String?

    @Option(name: .customLong("clock-name"), help: .hidden)
    var name: String?

    /// A place at the clock; nil: the node goes by the system's.
    func join(named fallback: String, listeners: [Listener]) throws(CommandFailure) -> ClockMembership? {
        guard let socket else { return nil }
        do throws(SystemFailure) {
            return try ClockMembership.join(socket, named: name ?? fallback, listeners: listeners)
        } catch {
            throw CommandFailure(status: 3, text: "--clock \(socket): \(error)")
        }
    }
}

extension NodeClock {
    init(_ membership: ClockMembership?) { self = membership.map { .virtual($0.clock) } ?? .system }
}

extension ShardConfiguration {
    mutating func go(by membership: ClockMembership?) {
        guard let membership else { return }
        clock = .virtual(membership.clock)
        memberships = [membership]
    }
}
