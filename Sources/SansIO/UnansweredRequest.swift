/// A request of a node that waits for its final answer: where time moves only when it is told to, it waits with it for
/// processes that do not go by the same clock.
public struct UnansweredRequest: BitwiseCopyable, Hashable, Sendable {
    /// The number of its transaction.
    public var transaction: UInt64
    /// Of whom the answer is awaited.
    public var remote: Endpoint

    public init(transaction: UInt64, remote: Endpoint) {
        self.transaction = transaction
        self.remote = remote
    }
}
