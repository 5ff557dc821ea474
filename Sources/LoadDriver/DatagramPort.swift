// One UDP socket of a load or of an echo: batches in, batches out, and what ICMP says about them.

import CNodeIO
import Glibc
public import SansIO

/// A call of the system that failed.
public struct SocketFailure: Error, Hashable, CustomStringConvertible {
    /// What was tried, and the system's words.
    public let description: String
    init(_ what: String, code: Int32 = errno) { description = "\(what): \(String(cString: strerror(code)))" }
}

/// A bound socket, used on one thread.
public final class DatagramPort {
    /// The most datagrams of a batch.
    public static let batchCapacity = 64
    /// A datagram longer than this is cut off, and then is malformed.
    private static let slotSize = 16_384

    /// The address bound, with its real port.
    public let local: Endpoint
    let descriptor: Int32
    private var incoming: Batch
    private var outgoing: Batch
    private let memory: UnsafeMutableRawPointer

    /// Binds a socket. Another process that has the port is noticed.
    /// - Parameter address: port 0: any that is free.
    public init(binding address: Endpoint) throws(SocketFailure) {
        descriptor = socket(address.address.isIPv6 ? AF_INET6 : AF_INET, Int32(NODE_IO_DATAGRAM), 0)
        guard descriptor >= 0 else { throw SocketFailure("no socket") }
        DatagramPort.configure(descriptor, isIPv6: address.address.isIPv6)
        do throws(SocketFailure) {
            local = try DatagramPort.bind(descriptor, to: address)
        } catch {
            close(descriptor)
            throw error
        }
        memory = .allocate(byteCount: DatagramPort.batchCapacity * DatagramPort.slotSize, alignment: 64)
        incoming = Batch()
        outgoing = Batch()
        for i in 0..<DatagramPort.batchCapacity {
            incoming.vectors[i] = iovec(iov_base: memory + i * DatagramPort.slotSize, iov_len: DatagramPort.slotSize)
        }
    }

    deinit {
        close(descriptor)
        incoming.deallocate()
        outgoing.deallocate()
        memory.deallocate()
    }

    /// The address that the system would send from to a destination.
    public static func localAddress(towards destination: Endpoint) throws(SocketFailure) -> IPAddress {
        let probe = socket(destination.address.isIPv6 ? AF_INET6 : AF_INET, Int32(NODE_IO_DATAGRAM), 0)
        guard probe >= 0 else { throw SocketFailure("no socket") }
        defer { close(probe) }
        guard SocketName.with(destination, { connect(probe, $0, $1) }) == 0 else {
            throw SocketFailure("no way to \(destination.text)")
        }
        return try DatagramPort.name(of: probe).address
    }

    // MARK: Receiving

    /// Waits until something has come.
    /// - Parameter span: how long at most; nil: without end.
    /// - Returns: false if the time was over, or a signal came first.
    public func wait(for span: TimeSpan? = nil) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return node_io_wait(&entry, 1, span.map { max(0, $0.nanoseconds) } ?? -1) > 0
    }

    /// Receives what waits, up to a batch.
    /// - Returns: how many datagrams there are; negative: the number of an error.
    public func receive() -> Int {
        for i in 0..<DatagramPort.batchCapacity { incoming.headers[i].header.msg_namelen = SocketName.room }
        return Int(node_io_receive(descriptor, incoming.headers, UInt32(DatagramPort.batchCapacity)))
    }

    /// The octets of a datagram of the last batch.
    @_lifetime(borrow self)
    public func octets(_ index: Int) -> RawSpan {
        let count = min(Int(incoming.headers[index].count), DatagramPort.slotSize)
        let span = RawSpan(_unsafeStart: UnsafeRawPointer(memory + index * DatagramPort.slotSize), byteCount: count)
        return _overrideLifetime(span, borrowing: self)
    }

    /// Where a datagram of the last batch came from.
    public func source(_ index: Int) -> Endpoint { SocketName.read(UnsafeRawPointer(incoming.names + index)) }

    // MARK: Sending

    /// The datagrams added and not yet sent. Their octets must stay where they are until `flush`.
    public private(set) var pendingCount = 0

    /// Adds a datagram to the batch; a full batch is to be flushed first.
    public func add(_ octets: RawSpan, to destination: Endpoint) {
        precondition(pendingCount < DatagramPort.batchCapacity, "a full batch")
        let i = pendingCount
        octets.withUnsafeBytes {
            outgoing.vectors[i] = iovec(iov_base: UnsafeMutableRawPointer(mutating: $0.baseAddress), iov_len: $0.count)
        }
        outgoing.headers[i].header.msg_namelen = SocketName.write(destination, to: UnsafeMutableRawPointer(outgoing.names + i))
        pendingCount += 1
    }

    /// Sends the batch. A datagram that the system refuses is as good as lost on the way; a full socket is waited for.
    /// - Parameter reported: called with each destination that ICMP says nobody listens at.
    public func flush(reported: (Endpoint) -> Void) {
        var sent = 0
        var refusals = 0
        while sent < pendingCount {
            let result = Int(node_io_send(descriptor, outgoing.headers + sent, UInt32(pendingCount - sent)))
            if result > 0 {
                sent += result
                refusals = 0
                continue
            }
            switch Int32(-result) {
            case EINTR: continue
            case EAGAIN, ENOBUFS:
                var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = node_io_wait(&entry, 1, 100_000_000)
            default: takeReports(reported)
            }
            // An error may be an earlier datagram's; one that comes again is this one's own.
            refusals += 1
            if refusals > 3 {
                sent += 1
                refusals = 0
            }
        }
        pendingCount = 0
    }

    /// Reads what ICMP said, at most a batch.
    public func takeReports(_ reported: (Endpoint) -> Void) {
        var report = node_io_report()
        for _ in 0..<DatagramPort.batchCapacity where node_io_take_report(descriptor, &report) == 1 {
            guard report.error == ECONNREFUSED else { continue }
            reported(withUnsafeBytes(of: &report.destination) { $0.baseAddress.map(SocketName.read) } ?? .none)
        }
    }

    // MARK: Setting up

    private static func configure(_ descriptor: Int32, isIPv6: Bool) {
        func set(_ level: Int32, _ option: Int32, _ value: Int32) {
            // The buffer sizes are a wish, and the others cannot fail on a new socket of the family.
            var value = value
            _ = setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
        }
        set(SOL_SOCKET, SO_RCVBUF, 4 << 20)
        set(SOL_SOCKET, SO_SNDBUF, 4 << 20)
        if isIPv6 {
            set(Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1)
            set(Int32(IPPROTO_IPV6), IPV6_RECVERR, 1)
        } else {
            set(Int32(IPPROTO_IP), IP_RECVERR, 1)
        }
    }

    private static func bind(_ descriptor: Int32, to address: Endpoint) throws(SocketFailure) -> Endpoint {
        guard SocketName.with(address, { Glibc.bind(descriptor, $0, $1) }) == 0 else {
            throw SocketFailure("cannot bind udp://\(address.text)")
        }
        return try name(of: descriptor)
    }

    private static func name(of descriptor: Int32) throws(SocketFailure) -> Endpoint {
        var name = sockaddr_in6()
        var length = SocketName.room
        let result = withUnsafeMutableBytes(of: &name) { memory in
            memory.withMemoryRebound(to: sockaddr.self) { getsockname(descriptor, $0.baseAddress, &length) }
        }
        guard result == 0 else { throw SocketFailure("getsockname") }
        return withUnsafeBytes(of: &name) { $0.baseAddress.map(SocketName.read) } ?? .none
    }
}

/// Headers, vectors and names for a batch, each header tied to its own.
private struct Batch {
    let headers: UnsafeMutablePointer<node_io_datagram>
    let vectors: UnsafeMutablePointer<iovec>
    let names: UnsafeMutablePointer<sockaddr_in6>

    init() {
        let capacity = DatagramPort.batchCapacity
        headers = .allocate(capacity: capacity)
        vectors = .allocate(capacity: capacity)
        names = .allocate(capacity: capacity)
        headers.initialize(repeating: node_io_datagram(), count: capacity)
        vectors.initialize(repeating: iovec(), count: capacity)
        names.initialize(repeating: sockaddr_in6(), count: capacity)
        for i in 0..<capacity {
            headers[i].header.msg_name = UnsafeMutableRawPointer(names + i)
            headers[i].header.msg_iov = vectors + i
            headers[i].header.msg_iovlen = 1
        }
    }

    func deallocate() {
        headers.deallocate()
        vectors.deallocate()
        names.deallocate()
    }
}
