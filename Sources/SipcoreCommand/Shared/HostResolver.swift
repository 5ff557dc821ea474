// Host names to addresses, by what the system is set up to ask.

import Glibc
import SansIO

enum HostResolver {
    /// The first address of a host, which may be a literal one; it may have to wait for a name server.
    /// - Returns: nil if the name is not known.
    static func resolve(_ host: String, port: UInt16) -> Endpoint? {
        if let address = IPAddress(host) { return Endpoint(address: address, port: port) }
        var wanted = addrinfo()
        wanted.ai_family = AF_UNSPEC
        wanted.ai_socktype = Int32(SOCK_DGRAM.rawValue)
        var first: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, nil, &wanted, &first) == 0 else { return nil }
        defer { freeaddrinfo(first) }
        var entry = first
        while let found = entry?.pointee {
            if let address = address(found) { return Endpoint(address: address, port: port) }
            entry = found.ai_next
        }
        return nil
    }

    private static func address(_ entry: addrinfo) -> IPAddress? {
        guard let name = entry.ai_addr else { return nil }
        switch entry.ai_family {
        case AF_INET:
            return name.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                IPAddress(v4: UInt32(bigEndian: $0.pointee.sin_addr.s_addr))
            }
        case AF_INET6:
            return name.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { name in
                withUnsafeBytes(of: name.pointee.sin6_addr) { octets in
                    let high = octets.loadUnaligned(as: UInt64.self)
                    let low = octets.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
                    return IPAddress(high: UInt64(bigEndian: high), low: UInt64(bigEndian: low))
                }
            }
        default: return nil
        }
    }
}
