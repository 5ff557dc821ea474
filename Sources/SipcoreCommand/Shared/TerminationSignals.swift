// SIGINT and SIGTERM as something to wait for.

import CProcess
import Dispatch
import Glibc

/// The signals that ask a role to end. From the making of this value on they no longer end the process, and none is lost.
///
/// There is one at most in a process; it lives as long.
struct TerminationSignals: Sendable {
    private let arrivals: AsyncStream<Void>

    /// - Parameter arrived: is called too, on a thread of its own, for each signal.
    init(arrived: @escaping @Sendable () -> Void = {}) throws(CommandFailure) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else {
            throw CommandFailure(status: 3, text: "cannot watch for signals: \(String(cString: strerror(errno)))")
        }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        // A handler must not wait.
        _ = fcntl(ends[1], F_SETFL, O_NONBLOCK)
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        arrivals = stream
        let reading = ends[0]
        DispatchQueue(label: "sipcore.signals").async {
            while let number = try? Descriptor.some(from: reading, limit: 1), !number.isEmpty {
                continuation.yield()
                arrived()
            }
        }
        let failure = cprocess_forward_signals([SIGINT, SIGTERM], 2, ends[1])
        guard failure == 0 else {
            throw CommandFailure(status: 3, text: "cannot watch for signals: \(String(cString: strerror(-failure)))")
        }
    }

    /// Waits for the first of them, or returns at once if it has arrived already.
    func wait() async {
        for await _ in arrivals { return }
    }
}
