// Between an `Endpoint` and the system's socket addresses. Both families fit into the room of a sockaddr_in6.

import CNodeIO
import Glibc
import SansIO

enum SystemAddress {
    /// The room that an address of either family needs.
    static let room = MemoryLayout<sockaddr_in6>.size

    /// Writes an endpoint as the system has it, and says how long that is.
    static func write(_ endpoint: Endpoint, to memory: UnsafeMutableRawPointer) -> socklen_t {
        if endpoint.address.isIPv6 {
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = endpoint.port.bigEndian
            memory.storeBytes(of: address, as: sockaddr_in6.self)
            memory.storeBytes(of: endpoint.address.high.bigEndian, toByteOffset: 8, as: UInt64.self)
            memory.storeBytes(of: endpoint.address.low.bigEndian, toByteOffset: 16, as: UInt64.self)
            return socklen_t(MemoryLayout<sockaddr_in6>.size)
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = endpoint.port.bigEndian
        address.sin_addr.s_addr = UInt32(truncatingIfNeeded: endpoint.address.low).bigEndian
        memory.storeBytes(of: address, as: sockaddr_in.self)
        return socklen_t(MemoryLayout<sockaddr_in>.size)
    }

    /// Reads what the system wrote into `room` octets.
    static func read(_ memory: UnsafeRawPointer) -> Endpoint {
        let port = UInt16(bigEndian: memory.load(fromByteOffset: 2, as: UInt16.self))
        if memory.load(as: sa_family_t.self) == sa_family_t(AF_INET6) {
            let high = UInt64(bigEndian: memory.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            let low = UInt64(bigEndian: memory.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
            return Endpoint(address: IPAddress(high: high, low: low), port: port)
        }
        return Endpoint(address: IPAddress(v4: UInt32(bigEndian: memory.load(fromByteOffset: 4, as: UInt32.self))), port: port)
    }
}
