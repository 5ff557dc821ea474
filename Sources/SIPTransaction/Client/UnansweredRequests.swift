public import SansIO

extension TransactionLayer {
    /// Requests of ours without a final answer. It looks at every transaction, so it is not for the way of a message.
    public var unansweredRequests: [UnansweredRequest] {
        guard count(of: .inviteClient) + count(of: .nonInviteClient) > 0 else { return [] }
        var found: [UnansweredRequest] = []
        for index in 0..<slab.endIndex where slab.isInUse(index) {
            let transaction = slab[index]
            guard !transaction.kind.isServer, transaction.state == .trying || transaction.state == .proceeding else { continue }
            found.append(UnansweredRequest(transaction: slab.id(of: index).rawValue, remote: transaction.flow.remote))
        }
        return found
    }
}
