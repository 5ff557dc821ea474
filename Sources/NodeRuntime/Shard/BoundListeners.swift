// Sockets are bound before a core exists: its Via and Record-Route name the ports that were really taken.

import CNodeIO
import Glibc
public import SansIO

/// Where a node is to listen.
public struct ListenAddress: Hashable, Sendable {
    public var transport: Transport
    /// The address and port to bind; port 0 asks for any free one.
    public var endpoint: Endpoint
    /// The address that stands in Via and the like in place of the bound one.
    public var advertised: IPAddress?

    public init(transport: Transport, endpoint: Endpoint, advertised: IPAddress? = nil) {
        self.transport = transport
        self.endpoint = endpoint
        self.advertised = advertised
    }
}

/// A listener could not be bound: its port is taken, its address is not one of this machine, or the like.
public struct BindFailure: Error, Hashable, CustomStringConvertible {
    public let address: ListenAddress
    /// What the system, or this program, says about it.
    public let reason: String

    public var description: String { "cannot listen on \(address.transport.name)://\(address.endpoint.text): \(reason)" }
}

/// Sockets bound in the order of the topology, for a shard to take over; until then they belong to this value and are
/// closed with it. A peer can send and connect from the binding on; the system keeps what arrives.
public struct BoundListeners: ~Copyable, Sendable {
    /// Each with its real port.
    public private(set) var listeners: [Listener] = []
    private var descriptors: [Int32] = []

    /// Binds all of them. SO_REUSEPORT is not set, and SO_REUSEADDR only on streams, where it lets a port be bound
    /// again whose last connections linger: so a port that another process serves is noticed.
    public init(binding addresses: [ListenAddress]) throws(BindFailure) {
        for (number, address) in addresses.enumerated() {
            guard number <= UInt8.max else { throw BindFailure(address: address, reason: "more than 256 listeners") }
            let (descriptor, local) = try BoundListeners.bind(address)
            descriptors.append(descriptor)
            let advertised = Endpoint(address: address.advertised ?? local.address, port: local.port)
            listeners.append(Listener(transport: address.transport, local: local, advertised: advertised))
        }
    }

    deinit { for descriptor in descriptors { close(descriptor) } }

    /// Further descriptors of the same sockets, one for each of `listeners`; -1 for one of streams.
    borrowing func duplicates() throws(SystemFailure) -> [Int32] {
        var copies: [Int32] = []
        for (number, descriptor) in descriptors.enumerated() {
            guard listeners[number].transport == .udp else {
                copies.append(-1)
                continue
            }
            let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
            if copy < 0 {
                let code = errno
                for opened in copies where opened >= 0 { close(opened) }
                throw SystemFailure(call: "fcntl", code: code)
            }
            copies.append(copy)
        }
        return copies
    }

    /// Gives the descriptors away, one for each of `listeners`.
    consuming func release() -> [Int32] {
        let released = descriptors
        descriptors = []
        return released
    }

    private static func bind(_ address: ListenAddress) throws(BindFailure) -> (descriptor: Int32, local: Endpoint) {
        let family = address.endpoint.address.isIPv6 ? AF_INET6 : AF_INET
        let isDatagram = address.transport == .udp
        let descriptor = socket(family, Int32(isDatagram ? NODE_IO_DATAGRAM : NODE_IO_STREAM), 0)
        guard descriptor >= 0 else { throw BindFailure(address: address, reason: SystemFailure.text(errno)) }
        func set(_ level: Int32, _ option: Int32, _ value: Int32) {
            // The buffer sizes are a wish, and the others cannot fail on a new socket of the family.
            var value = value
            _ = setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
        }
        if family == AF_INET6 { set(Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
        if isDatagram {
            set(SOL_SOCKET, SO_RCVBUF, 4 << 20)
            set(SOL_SOCKET, SO_SNDBUF, 4 << 20)
            if family == AF_INET6 {
                set(Int32(IPPROTO_IPV6), IPV6_RECVERR, 1)
            } else {
                set(Int32(IPPROTO_IP), IP_RECVERR, 1)
            }
        } else {
            set(SOL_SOCKET, SO_REUSEADDR, 1)
        }
        let memory = UnsafeMutableRawPointer.allocate(byteCount: SystemAddress.room, alignment: 8)
        defer { memory.deallocate() }
        let name = memory.bindMemory(to: sockaddr.self, capacity: 1)
        var length = SystemAddress.write(address.endpoint, to: memory)
        var result = Glibc.bind(descriptor, name, length)
        if result == 0, !isDatagram { result = listen(descriptor, 4096) }
        length = socklen_t(SystemAddress.room)
        if result == 0 { result = getsockname(descriptor, name, &length) }
        guard result == 0 else {
            let code = errno
            close(descriptor)
            throw BindFailure(address: address, reason: SystemFailure.text(code))
        }
        return (descriptor, SystemAddress.read(memory))
    }
}
