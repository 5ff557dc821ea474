// What the core's state takes: asked by benchmarks and tests, since "a million" is a promise about memory too.

import SIPRegistrar
import SIPTransaction
import SansIO

/// Octets of memory that a core holds for its state, at work or kept for it.
public struct MemoryUse: BitwiseCopyable, Hashable, Sendable {
    /// Bindings, their text, timers and indices.
    public var registrations: Int
    /// Transactions of all kinds, what they keep for retransmission, timers and keys.
    public var transactions: Int
    /// Request contexts and branches, third-party registrations, subscriptions, and the requests that these keep.
    public var contexts: Int
}

extension ServingCSCF {
    /// Transactions of all kinds that are alive.
    public var transactionCount: Int {
        var count = 0
        for kind in TransactionKind.allCases { count += transactions.count(of: kind) }
        return count
    }

    public var memoryUse: MemoryUse {
        MemoryUse(
            registrations: registrar.bytesAllocated, transactions: transactions.bytesAllocated,
            contexts: contexts.bytesAllocated + branches.bytesAllocated + thirdParty.bytesAllocated + heldAnswers.bytesAllocated
                + thirdPartyKeys.bytesAllocated + pool.bytesAllocated
                + wheel.bytesAllocated + subscriptions.bytesAllocated)
    }
}

extension ServingCSCF {
    /// What is under way, by name: each is zero when all that was begun has ended, and nobody is registered.
    public var remainingWork: [(name: String, count: Int)] {
        [
            ("transactions", transactionCount), ("octets kept for retransmission", transactions.bytesKept),
            ("requests under way", contexts.count), ("branches", branches.count), ("third-party registrations", thirdParty.count),
            ("held answers", heldAnswers.count), ("held acknowledgements", heldAcknowledgements.count),
            ("targets not tried", alternatives.count), ("changes that wait for the database", waiting.isEmpty ? 0 : 1),
            ("stored octets", pool.bytesInUse), ("registrations", registeredCount), ("subscriptions", subscriptionCount),
        ]
    }
}
