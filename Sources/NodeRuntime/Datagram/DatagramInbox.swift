// Where datagrams are received: one run of memory for a batch, shared by all sockets of a shard.

import CNodeIO
import Glibc
import SansIO

/// A batch of received datagrams, valid until the next one.
///
/// Each slot takes the largest datagram that there is. Only the pages that datagrams reach are ever backed by memory.
/// The slots stand a little more than 64 KiB apart: at exactly 64 KiB their first lines would share one set of the
/// processor's caches.
final class DatagramInbox {
    static let capacity = 64
    private static let slotSize = 65_535
    private static let stride = 65_536 + 17 * 64
    private static let mapping = capacity * stride

    private let slots: UnsafeMutableRawPointer
    private let headers: UnsafeMutablePointer<node_io_datagram>
    private let vectors: UnsafeMutablePointer<iovec>
    private let names: UnsafeMutablePointer<sockaddr_in6>
    /// How many headers the system has written into since they were made ready.
    private var used = DatagramInbox.capacity

    init() throws(SystemFailure) {
        let memory = mmap(
            nil, DatagramInbox.mapping, PROT_READ | PROT_WRITE, MAP_PRIVATE | Int32(MAP_ANONYMOUS) | Int32(MAP_NORESERVE), -1, 0)
        guard let memory, memory != MAP_FAILED else { throw SystemFailure(call: "mmap", code: errno) }
        slots = memory
        headers = .allocate(capacity: DatagramInbox.capacity)
        vectors = .allocate(capacity: DatagramInbox.capacity)
        names = .allocate(capacity: DatagramInbox.capacity)
        headers.initialize(repeating: node_io_datagram(), count: DatagramInbox.capacity)
        names.initialize(repeating: sockaddr_in6(), count: DatagramInbox.capacity)
        for i in 0..<DatagramInbox.capacity {
            (vectors + i).initialize(to: iovec(iov_base: slots + i * DatagramInbox.stride, iov_len: DatagramInbox.slotSize))
            headers[i].header.msg_name = UnsafeMutableRawPointer(names + i)
            headers[i].header.msg_iov = vectors + i
            headers[i].header.msg_iovlen = 1
        }
    }

    deinit {
        munmap(slots, DatagramInbox.mapping)
        headers.deallocate()
        vectors.deallocate()
        names.deallocate()
    }

    /// Receives what waits, up to `capacity`: their number, or the negative number of an error.
    func receive(from descriptor: Int32) -> Int {
        for i in 0..<used {
            headers[i].header.msg_namelen = socklen_t(SystemAddress.room)
        }
        let result = Int(node_io_receive(descriptor, headers, UInt32(DatagramInbox.capacity)))
        used = max(result, 0)
        return result
    }

    /// The octets of a datagram of the batch.
    @_lifetime(borrow self)
    func octets(_ index: Int) -> RawSpan {
        precondition(index < used, "no such datagram")
        let span = RawSpan(
            _unsafeStart: UnsafeRawPointer(slots + index * DatagramInbox.stride),
            byteCount: min(Int(headers[index].count), DatagramInbox.slotSize))
        return _overrideLifetime(span, borrowing: self)
    }

    /// Where a datagram of the batch came from.
    func source(_ index: Int) -> Endpoint {
        precondition(index < used, "no such datagram")
        return SystemAddress.read(UnsafeRawPointer(names + index))
    }
}
