// The wish that labs end: of a person, by a signal, or of whoever has something newer for them.

import CProcess
import Dispatch
import Glibc
import Synchronization

/// Can be fired more than once; each time all who listen hear of it.
final class Interruption: Sendable {
    private struct State {
        var count = 0
        var listeners: [@Sendable () -> Void] = []
    }
    private let state = Mutex(State())

    var isFired: Bool { state.withLock { $0.count > 0 } }

    /// Who comes late hears what has been already.
    func add(_ listener: @escaping @Sendable () -> Void) {
        let count = state.withLock { state in
            state.listeners.append(listener)
            return state.count
        }
        for _ in 0..<count { listener() }
    }

    func fire() {
        let listeners = state.withLock { state in
            state.count += 1
            return state.listeners
        }
        for listener in listeners { listener() }
    }
}

/// SIGINT and SIGTERM as calls, until stopped.
struct InterruptSignals {
    private static let numbers = [SIGINT, SIGTERM]
    private let pipe: Pipe?

    init(_ interrupted: @escaping @Sendable () -> Void) {
        pipe = Pipe()
        guard let pipe else { return }
        setNonBlocking(pipe.writing)
        let reading = pipe.reading
        DispatchQueue(label: "sipcore.lab.signals").async {
            while let numbers = readSome(reading, limit: 1), !numbers.isEmpty { interrupted() }
            close(reading)
        }
        _ = cprocess_forward_signals(InterruptSignals.numbers, Int32(InterruptSignals.numbers.count), pipe.writing)
    }

    func stop() {
        guard let pipe else { return }
        _ = cprocess_forward_signals(InterruptSignals.numbers, Int32(InterruptSignals.numbers.count), -1)
        close(pipe.writing)
    }
}
