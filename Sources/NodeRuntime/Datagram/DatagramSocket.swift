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
    static let batchCapacity = 64
    /// Octets that may wait for the system to take them.
    static let pendingLimit = 4 << 20

    let descriptor: Int32
    /// The number of the listener.
    let number: UInt8
    let local: Endpoint
    /// Messages that failed, for the shard to report to the core.
    var failures: [TransmissionFailure] = []

    private let sendToSystem: @Sendable (Int32, UnsafeMutablePointer<node_io_datagram>, UInt32) -> Int32
    private let headers: UnsafeMutablePointer<node_io_datagram>
    private let vectors: UnsafeMutablePointer<iovec>
    private let names: UnsafeMutablePointer<sockaddr_in6>
    private let batch: UnsafeMutablePointer<Transmission>
    private var batchCount = 0
    private let shard: UInt8
    private let recent: SentDatagrams

    /// What the system did not take: octets, and transmissions that point into them.
    private var pendingOctets = OctetBuffer(capacity: 64)
    private var pending: [Transmission] = []
    private var pendingSent = 0

    /// - Parameters:
    ///   - shard: whose socket it is.
    ///   - recent: what all shards have sent by this listener lately.
    ///   - sendToSystem: `node_io_send`, or what stands for it in a test.
    init(
        descriptor: Int32, number: UInt8, local: Endpoint, shard: UInt8 = 0, recent: SentDatagrams = SentDatagrams(),
        sendToSystem: @escaping @Sendable (Int32, UnsafeMutablePointer<node_io_datagram>, UInt32) -> Int32 = {
            node_io_send($0, $1, $2)
        }
    ) {
        self.sendToSystem = sendToSystem
        self.shard = shard
        self.recent = recent
        self.descriptor = descriptor
        self.number = number
        self.local = local
        let capacity = DatagramSocket.batchCapacity
        headers = .allocate(capacity: capacity)
        vectors = .allocate(capacity: capacity)
        names = .allocate(capacity: capacity)
        batch = .allocate(capacity: capacity)
        headers.initialize(repeating: node_io_datagram(), count: capacity)
        vectors.initialize(repeating: iovec(), count: capacity)
        names.initialize(repeating: sockaddr_in6(), count: capacity)
        for i in 0..<capacity {
            headers[i].header.msg_name = UnsafeMutableRawPointer(names + i)
            headers[i].header.msg_iov = vectors + i
            headers[i].header.msg_iovlen = 1
        }
    }

    deinit {
        close(descriptor)
        headers.deallocate()
        vectors.deallocate()
        names.deallocate()
        batch.deallocate()
    }

    /// Whether datagrams wait until the socket is writable.
    var isWaiting: Bool { pendingSent < pending.count }

    /// Adds a datagram to the batch, and sends the batch when it is full. Its octets are used until the batch is sent.
    /// - Parameter octets: the start of what `transmission.start` counts from.
    func add(_ transmission: Transmission, in octets: UnsafeRawPointer) {
        guard transmission.flow.remote.address.isIPv6 == local.address.isIPv6 else { return fail(transmission, .noListener) }
        guard !isWaiting else { return keep(transmission, in: octets) }
        place(transmission, in: octets)
        if batchCount == DatagramSocket.batchCapacity { sendBatch(in: octets) }
    }

    /// Sends what was added.
    func flush(in octets: UnsafeRawPointer) {
        if batchCount > 0 { sendBatch(in: octets) }
    }

    /// Sends what waited, now that the socket is writable.
    func sendPending() {
        // Nothing is added to the buffer before it is emptied below.
        guard let octets = pendingOctets.start else { return }
        while isWaiting {
            let count = min(pending.count - pendingSent, DatagramSocket.batchCapacity)
            for transmission in pending[pendingSent..<(pendingSent + count)] { place(transmission, in: octets) }
            let sent = send()
            batchCount = 0
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
            let sent = recent.take(to: remote) ?? (transaction: 0, shard: shard)
            failures.append(TransmissionFailure(transaction: sent.transaction, flow: flow, reason: reason, shard: sent.shard))
        }
    }

    private func place(_ transmission: Transmission, in octets: UnsafeRawPointer) {
        let i = batchCount
        vectors[i].iov_base = UnsafeMutableRawPointer(mutating: octets + transmission.start)
        vectors[i].iov_len = transmission.count
        headers[i].header.msg_namelen = SystemAddress.write(transmission.flow.remote, to: UnsafeMutableRawPointer(names + i))
        (batch + i).initialize(to: transmission)
        batchCount += 1
    }

    private func sendBatch(in octets: UnsafeRawPointer) {
        let sent = send()
        for i in sent..<batchCount { keep(batch[i], in: octets) }
        batchCount = 0
    }

    /// Sends the batch until the system takes no more, and says how many are done with, sent or failed.
    private func send() -> Int {
        var done = 0
        var refusals = 0
        // Before they are sent: another shard may read the report of one before the system has told that it took it.
        recent.add(UnsafeBufferPointer(start: batch, count: batchCount), by: shard)
        while done < batchCount {
            let result = Int(sendToSystem(descriptor, headers + done, UInt32(batchCount - done)))
            if result > 0 {
                done += result
                refusals = 0
                continue
            }
            switch Int32(-result) {
            case EINTR: continue
            case EAGAIN, ENOBUFS: return done
            default:
                // A socket tells first what ICMP said about an earlier datagram, once for each report. The error is this
                // datagram's own when it comes back.
                takeReports()
                refusals += 1
                guard refusals > 3 else { continue }
                fail(batch[done], Int32(-result) == EMSGSIZE ? .datagramTooLarge : .datagramNotSent)
                done += 1
                refusals = 0
            }
        }
        return done
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
