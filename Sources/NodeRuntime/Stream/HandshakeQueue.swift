// Handshakes that peers have begun and not ended, in their order: past a limit the oldest is given up for the newest.

/// Numbers of streams, the oldest first.
struct HandshakeQueue {
    /// Those that have ended are left in it until they are at its head, where they do not stay for longer than a handshake
    /// may take.
    private var order: [UInt32] = []
    private var head = 0
    private var underWay: Set<UInt32> = []

    /// Adds a handshake.
    /// - Returns: the one that is to be given up for it, if there are more than may be.
    mutating func begin(_ number: UInt32, limit: Int) -> UInt32? {
        order.append(number)
        underWay.insert(number)
        while head < order.count, !underWay.contains(order[head]) { head += 1 }
        if head > 1024, head * 2 > order.count {
            order.removeFirst(head)
            head = 0
        }
        return underWay.count > limit ? order[head] : nil
    }

    mutating func end(_ number: UInt32) { underWay.remove(number) }
}
