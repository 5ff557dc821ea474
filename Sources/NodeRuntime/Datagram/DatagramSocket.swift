// One bound UDP socket: sends in batches straight from the core's buffer, and keeps what the system does not take yet.

import CNodeIO
import Glibc
import SansIO

/// A message that could not be sent.
struct TransmissionFailure: BitwiseCopyable {
    /// 0: no transaction asks.
    var transaction: UInt64
    var flow: Flow
    var reason: DropReason
    /// The shard whose transaction it is.
    var shard: UInt8 = 0
}

/// A datagram socket of a shard, used on its thread only.
final class DatagramSocket {
    /// Octets that may wait for the system to take them.
    static let pendingLimit = 4 << 20
    /// Datagrams share messages only under load that lasts: somebody who watches a lab with a packet sniffer on the
    /// loopback interface, where nothing is cut before the receiver, sees one datagram for each SIP message.
    static let busyBatch = 4
    /// Over how many batches their mean size is taken.
    static let batchMemory = 32

    let descriptor: Int32
    /// The number of the listener.
    let number: UInt8
    let local: Endpoint
    /// Messages that failed, for the shard to report to the core.
    var failures: [TransmissionFailure] = []

    private let sendToSystem: @Sendable (Int32, UnsafeMutablePointer<node_io_datagram>, UInt32) -> Int32
    private var batch = OutboundBatch()
    /// The mean size of the last batches, times `batchMemory`. A single small one says nothing: where messages are shared,
    /// batches get smaller, because they are done with sooner.
    private var load = 0
    private var mayShare: Bool
    private let shard: UInt8
    private let recent: SentDatagrams

    /// What the system did not take: octets, and transmissions that point into them.
    private var pendingOctets = OctetBuffer(capacity: 64)
    private var pending: [Transmission] = []
    private var pendingSent = 0

    /// - Parameters:
    ///   - shard: whose socket it is.
    ///   - maySegment: whether datagrams may share a message that the system cuts.
    ///   - recent: what all shards have sent by this listener lately.
    ///   - sendToSystem: `node_io_send`, or what stands for it in a test.
    init(
        descriptor: Int32, number: UInt8, local: Endpoint, shard: UInt8 = 0, maySegment: Bool = true,
        recent: SentDatagrams = SentDatagrams(),
        sendToSystem: @escaping @Sendable (Int32, UnsafeMutablePointer<node_io_datagram>, UInt32) -> Int32 = {
            node_io_send($0, $1, $2)
        }
    ) {
        self.sendToSystem = sendToSystem
        self.shard = shard
        mayShare = maySegment
        self.recent = recent
        self.descriptor = descriptor
        self.number = number
        self.local = local
    }

    deinit { close(descriptor) }

    /// Whether datagrams wait until the socket is writable.
    var isWaiting: Bool { pendingSent < pending.count }

    /// Adds a datagram to the batch, and sends the batch when it is full. Its octets are used until the batch is sent.
    /// - Parameter octets: the start of what `transmission.start` counts from.
    func add(_ transmission: Transmission, in octets: UnsafeRawPointer) {
        guard transmission.flow.remote.address.isIPv6 == local.address.isIPv6 else { return fail(transmission, .noListener) }
        guard !isWaiting else { return keep(transmission, in: octets) }
        batch.add(transmission, in: octets)
        if batch.count == OutboundBatch.capacity { sendBatch(in: octets) }
    }

    /// Sends what was added.
    func flush(in octets: UnsafeRawPointer) {
        if batch.count > 0 { sendBatch(in: octets) }
    }

    /// Sends what waited, now that the socket is writable.
    func sendPending() {
        // Nothing is added to the buffer before it is emptied below.
        guard let octets = pendingOctets.start else { return }
        while isWaiting {
            let count = min(pending.count - pendingSent, OutboundBatch.capacity)
            for transmission in pending[pendingSent..<(pendingSent + count)] { batch.add(transmission, in: octets) }
            // One by one: what is left then is what was added last.
            batch.arrangeSingly()
            let sent = count - send()
            batch.removeAll()
            pendingSent += sent
            if sent < count { return }
        }
        pending = []
        pendingSent = 0
        pendingOctets = OctetBuffer(capacity: 64)
    }

    /// Reads the reports of ICMP that wait. At most 256 at once: the socket stays ready while there are more.
    func takeReports() {
        var report = node_io_report()
        for _ in 0..<256 where node_io_take_report(descriptor, &report) == 1 {
            let remote = withUnsafeBytes(of: &report.destination) { $0.baseAddress.map(SystemAddress.read) } ?? .none
            let flow = Flow(transport: .udp, listener: number, remote: remote)
            let reason: DropReason = report.error == EMSGSIZE ? .datagramTooLarge : .datagramRefused
            var sent = recent.take(to: remote)
            if sent.isEmpty { sent = [(transaction: 0, shard: shard)] }
            for (transaction, shard) in sent {
                failures.append(TransmissionFailure(transaction: transaction, flow: flow, reason: reason, shard: shard))
            }
        }
    }

    private func sendBatch(in octets: UnsafeRawPointer) {
        let isBusy = load >= DatagramSocket.busyBatch * DatagramSocket.batchMemory
        load += batch.count - load / DatagramSocket.batchMemory
        if mayShare, isBusy {
            batch.arrangeInRuns()
        } else {
            batch.arrangeSingly()
        }
        let left = send()
        for place in (batch.count - left)..<batch.count { keep(batch.transmission(at: place), in: octets) }
        batch.removeAll()
    }

    /// Sends the batch until the system takes no more, and says how many datagrams at its end are left; the others are
    /// done with, sent or failed.
    private func send() -> Int {
        var done = 0
        var refusals = 0
        // Before they are sent: another shard may read the report of one before the system has told that it took it.
        recent.add(batch, by: shard)
        while done < batch.messageCount {
            let result = Int(sendToSystem(descriptor, batch.messages(from: done), UInt32(batch.messageCount - done)))
            if result > 0 {
                done += result
                refusals = 0
                continue
            }
            switch Int32(-result) {
            case EINTR: continue
            case EAGAIN, ENOBUFS: return batch.count - batch.place(of: done)
            default:
                // A socket tells first what ICMP said about an earlier datagram, once for each report. The error is this
                // message's own when it comes back.
                takeReports()
                refusals += 1
                guard refusals > 3 else { continue }
                refusals = 0
                let places = batch.places(of: done)
                if places.count > 1 {
                    // The path cannot cut messages.
                    mayShare = false
                    batch.arrangeSingly(from: places.lowerBound)
                    done = 0
                    continue
                }
                fail(batch.transmission(at: places.lowerBound), Int32(-result) == EMSGSIZE ? .datagramTooLarge : .datagramNotSent)
                done += 1
            }
        }
        return 0
    }

    private func keep(_ transmission: Transmission, in octets: UnsafeRawPointer) {
        guard pendingOctets.count + transmission.count <= DatagramSocket.pendingLimit else {
            return fail(transmission, .datagramQueueFull)
        }
        var kept = transmission
        kept.start = pendingOctets.count
        pendingOctets.append(RawSpan(_unsafeStart: octets + transmission.start, byteCount: transmission.count))
        pending.append(kept)
    }

    private func fail(_ transmission: Transmission, _ reason: DropReason) {
        failures.append(TransmissionFailure(transaction: transmission.transaction, flow: transmission.flow, reason: reason, shard: shard))
    }
}

extension OctetBuffer {
    /// Where the octets begin, valid until the buffer is next written to.
    var start: UnsafeRawPointer? {
        borrowing get { bytes.withUnsafeBytes { $0.baseAddress } }
    }
}
