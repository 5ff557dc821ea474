// The way between shards: what one has for another is copied, one batch a tick, behind what waits there already, in memory
// that changes hands by a swap. Nothing is allocated for a message once the buffers have grown.

import SansIO
import Synchronization

/// What the other shards have handed over to one and it has not taken yet.
final class HandOverBox: Sendable {
    struct Batch: ~Copyable, Sendable {
        var octets = OctetBuffer(capacity: 4096)
        /// Their starts count in `octets`.
        var entries: [HandOver] = []

        mutating func removeAll() {
            octets.removeAll()
            entries.removeAll(keepingCapacity: true)
        }
    }

    private struct Contents: ~Copyable, Sendable {
        var batch = Batch()
        var isClosed = false
    }

    /// Octets past which messages fresh from the network are refused; what is under way never is.
    private static let limit = 16 << 20

    private let contents = Mutex(Contents())

    /// Puts in those of a tick's hand-overs that are for `target`.
    /// - Returns: whether the box was empty, so that its owner must be woken; and where what was refused came from.
    func post(_ handOvers: [HandOver], in octets: borrowing OctetBuffer, to target: Int) -> (isFirst: Bool, lost: [Flow]) {
        guard handOvers.contains(where: { Int($0.target) == target }) else { return (false, []) }
        var lost: [Flow] = []
        var isFirst = false
        contents.withLock { contents in
            isFirst = contents.batch.entries.isEmpty
            for handOver in handOvers where Int(handOver.target) == target {
                let isFull = handOver.purpose == .arrival && contents.batch.octets.count > HandOverBox.limit
                guard !contents.isClosed, !isFull else {
                    lost.append(handOver.flow)
                    continue
                }
                var moved = handOver
                moved.start = contents.batch.octets.count
                contents.batch.octets.append(octets.bytes(from: handOver.start, count: handOver.count))
                contents.batch.entries.append(moved)
            }
            isFirst = isFirst && !contents.batch.entries.isEmpty
        }
        return (isFirst, lost)
    }

    /// Takes all that waits, into a batch that is empty: the two change places.
    func takeAll(into batch: inout Batch) {
        contents.withLock { swap(&$0.batch, &batch) }
    }

    /// Accepts nothing any more, and forgets what waits: its owner has ended.
    func close() {
        contents.withLock { contents in
            contents.isClosed = true
            contents.batch.removeAll()
        }
    }
}
