// A way over which datagrams are lost.

/// Between a program and the core: both send to its port, and of what comes from either a part never reaches the other.
final class LossyLink: Sendable {
    let port: UInt16
    private let carrying: Task<Void, Never>

    /// - Parameters:
    ///   - percent: of the datagrams, how many are lost.
    ///   - seed: which of them.
    init(between program: UInt16, and core: UInt16, losing percent: Int, seed: UInt64) throws {
        let socket = try DatagramServer()
        port = socket.port
        carrying = Task {
            var random = SplitMix(seed: seed)
            while !Task.isCancelled {
                while let (text, sender) = socket.received() {
                    guard Int.random(in: 0..<100, using: &random) >= percent else { continue }
                    socket.send(Array(text.utf8), to: sender == core ? program : core)
                }
                try? await Task.sleep(for: .milliseconds(1))
            }
        }
    }

    deinit { carrying.cancel() }
}
