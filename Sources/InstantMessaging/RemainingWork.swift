// What server and client have under way: asked by simulations and tests, since nothing may stay behind.

import SIPTransaction
import SansIO

extension IMServer {
    /// What is under way, by name: each is zero when all that was begun has ended. Messages that wait for their recipients are
    /// not among it.
    public var remainingWork: [(name: String, count: Int)] {
        [
            ("transactions", transactions.liveCount), ("octets kept for retransmission", transactions.bytesKept),
            ("requests passed on", forwards.count), ("changes that wait for the database", commitments.count),
            ("deliveries", users.count { $0.run.state != .idle }),
            ("SUBSCRIBE requests", users.count { $0.watch?.isAwaited == true }),
        ]
    }
}

extension IMClient {
    /// The same; a client that is registered is to refresh its registration, which is not among it.
    public var remainingWork: [(name: String, count: Int)] {
        [
            ("transactions", transactions.liveCount), ("octets kept for retransmission", transactions.bytesKept),
            ("requests", exchanges.count { $0 != nil }), ("commands", isIdle ? 0 : 1),
        ]
    }
}

extension TransactionLayer {
    fileprivate var liveCount: Int {
        var count = 0
        for kind in TransactionKind.allCases { count += self.count(of: kind) }
        return count
    }
}
