// Between an `Endpoint` and the system's socket addresses. Both families fit into the room of a sockaddr_in6.

import CNodeIO
import Glibc
import SansIO

enum SocketName {
    static let room = socklen_t(MemoryLayout<sockaddr_in6>.size)

    /// Writes an endpoint as the system has it, and says how long that is.
    static func write(_ endpoint: Endpoint, to memory: UnsafeMutableRawPointer) -> socklen_t {
        guard endpoint.address.isIPv6 else {
            var name = sockaddr_in()
            name.sin_family = sa_family_t(AF_INET)
            name.sin_port = endpoint.port.bigEndian
            name.sin_addr.s_addr = UInt32(truncatingIfNeeded: endpoint.address.low).bigEndian
            memory.storeBytes(of: name, as: sockaddr_in.self)
            return socklen_t(MemoryLayout<sockaddr_in>.size)
        }
        var name = sockaddr_in6()
        name.sin6_family = sa_family_t(AF_INET6)
        name.sin6_port = endpoint.port.bigEndian
        withUnsafeMutableBytes(of: &name.sin6_addr) {
            $0.storeBytes(of: endpoint.address.high.bigEndian, as: UInt64.self)
            $0.storeBytes(of: endpoint.address.low.bigEndian, toByteOffset: 8, as: UInt64.self)
        }
        memory.storeBytes(of: name, as: sockaddr_in6.self)
        return room
    }

    /// Reads what the system wrote.
    static func read(_ memory: UnsafeRawPointer) -> Endpoint {
        guard memory.load(as: sa_family_t.self) == sa_family_t(AF_INET6) else {
            let name = memory.loadUnaligned(as: sockaddr_in.self)
            return Endpoint(address: IPAddress(v4: UInt32(bigEndian: name.sin_addr.s_addr)), port: UInt16(bigEndian: name.sin_port))
        }
        let name = memory.loadUnaligned(as: sockaddr_in6.self)
        let (high, low) = withUnsafeBytes(of: name.sin6_addr) {
            ($0.loadUnaligned(as: UInt64.self), $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        }
        return Endpoint(
            address: IPAddress(high: UInt64(bigEndian: high), low: UInt64(bigEndian: low)), port: UInt16(bigEndian: name.sin6_port))
    }

    /// Calls `body` with an endpoint as the system has it.
    static func with(_ endpoint: Endpoint, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var name = sockaddr_in6()
        return withUnsafeMutableBytes(of: &name) { memory in
            guard let base = memory.baseAddress else { return -1 }
            let length = write(endpoint, to: base)
            return body(UnsafePointer(base.assumingMemoryBound(to: sockaddr.self)), length)
        }
    }
}
