import SansIO
import Synchronization

/// The last datagrams of a listener, over all shards that send by it: they share the socket, and so the queue of reports.
final class SentDatagrams: Sendable {
    private let recent = Mutex(RecentTransmissions())

    /// Adds those of a batch that a transaction wants to hear about.
    func add(_ batch: borrowing OutboundBatch, by shard: UInt8) {
        recent.withLock { recent in
            for message in 0..<batch.messageCount {
                recent.beginMessage()
                for place in batch.places(of: message) {
                    let transmission = batch.transmission(at: place)
                    guard transmission.transaction != 0 else { continue }
                    recent.add(transmission.transaction, to: transmission.flow.remote, by: shard)
                }
            }
        }
    }

    /// The transactions of the newest message to `remote` not taken before, each with the shard that sent it.
    func take(to remote: Endpoint) -> [(transaction: UInt64, shard: UInt8)] { recent.withLock { $0.take(to: remote) } }
}

/// The last datagrams sent that a transaction wants to hear about, for when ICMP tells that one did not arrive.
///
/// ICMP names the destination, and how much of the datagram it returns is up to the routers. So a report stands for the
/// newest datagram to that destination that has none yet: a peer that is gone reports each datagram once, and what it
/// received while it lived is older. Datagrams that shared a message are reported once for all of them. Over a slow path reports of datagrams to one peer may change places.
struct RecentTransmissions: ~Copyable, @unchecked Sendable {
    private struct Entry: BitwiseCopyable {
        var high: UInt64
        var low: UInt64
        var transaction: UInt64
        var port: UInt16
        var isIPv6: Bool
        var shard: UInt8
        /// The message in which it went; a count that may wrap.
        var message: UInt32
    }

    /// A power of two.
    private static let capacity = 4096
    private let entries: UnsafeMutablePointer<Entry>
    private var next = 0
    private var message: UInt32 = 0

    init() {
        entries = .allocate(capacity: RecentTransmissions.capacity)
    }

    deinit { entries.deallocate() }

    /// What is added from now on goes in another message.
    mutating func beginMessage() { message &+= 1 }

    mutating func add(_ transaction: UInt64, to remote: Endpoint, by shard: UInt8 = 0) {
        let entry = Entry(
            high: remote.address.high, low: remote.address.low, transaction: transaction, port: remote.port,
            isIPv6: remote.address.isIPv6, shard: shard, message: message)
        (entries + (next & (RecentTransmissions.capacity - 1))).initialize(to: entry)
        next += 1
    }

    /// The transactions of the newest message to `remote` not taken before, each with the shard that sent it; none if none
    /// is remembered.
    mutating func take(to remote: Endpoint) -> [(transaction: UInt64, shard: UInt8)] {
        var taken: [(transaction: UInt64, shard: UInt8)] = []
        var message: UInt32 = 0
        for age in 1...RecentTransmissions.capacity where age <= next {
            let index = (next - age) & (RecentTransmissions.capacity - 1)
            let entry = entries[index]
            if !taken.isEmpty, entry.message != message { break }
            guard entry.transaction != 0, entry.low == remote.address.low, entry.port == remote.port,
                entry.high == remote.address.high, entry.isIPv6 == remote.address.isIPv6
            else { continue }
            entries[index].transaction = 0
            message = entry.message
            taken.append((entry.transaction, entry.shard))
        }
        return taken
    }
}
