// Addresses and sockets: what choosing ports, asking for readiness and calling nodes have in common.

import Glibc

/// A host and a port; an IPv6 address is without brackets here and written with them.
struct HostAndPort: Sendable, Hashable, CustomStringConvertible {
    var host: String
    var port: UInt16

    init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Reads `127.0.0.1:5060` or `[::1]:5060`.
    init?(_ text: some StringProtocol) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("[") {
            guard host.hasSuffix("]") else { return nil }
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty else { return nil }
        self.init(host: host.lowercased(), port: port)
    }

    /// Reads `http://127.0.0.1:8080` with or without a path.
    init?(httpURL: String) {
        guard httpURL.hasPrefix("http://") else { return nil }
        self.init(httpURL.dropFirst(7).prefix { $0 != "/" })
    }

    var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    var isLoopback: Bool { host == "localhost" || host == "::1" || host.hasPrefix("127.") }
    var isWildcard: Bool { host == "0.0.0.0" || host == "::" }
}

/// A socket that is connected to an address, or nil with `errno` set. Reading and writing wait no longer than the time-out.
func connectedSocket(to address: HostAndPort, type: __socket_type, timeoutMilliseconds: Int) -> Int32? {
    withSocketAddress(address, type: type, passive: false) { info in
        let descriptor = socket(info.ai_family, info.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), info.ai_protocol)
        guard descriptor >= 0 else { return nil }
        limitReading(descriptor, milliseconds: timeoutMilliseconds)
        limit(descriptor, SO_SNDTIMEO, timeoutMilliseconds)
        guard connect(descriptor, info.ai_addr, info.ai_addrlen) == 0 else {
            let code = errno
            close(descriptor)
            errno = code
            return nil
        }
        return descriptor
    }
}

/// Reading from a socket waits no longer than this.
func limitReading(_ descriptor: Int32, milliseconds: Int) { limit(descriptor, SO_RCVTIMEO, milliseconds) }

private func limit(_ descriptor: Int32, _ option: Int32, _ milliseconds: Int) {
    var limit = timeval(tv_sec: milliseconds / 1000, tv_usec: (milliseconds % 1000) * 1000)
    setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
}

/// A socket that holds a free port (0: any) without SO_REUSEADDR or SO_REUSEPORT, and the port; nil if it is taken.
func boundSocket(to address: HostAndPort, type: __socket_type) -> (descriptor: Int32, port: UInt16)? {
    withSocketAddress(address, type: type, passive: true) { info in
        let descriptor = socket(info.ai_family, info.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), info.ai_protocol)
        guard descriptor >= 0 else { return nil }
        var bound = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let isBound = withUnsafeMutablePointer(to: &bound) { storage in
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, info.ai_addr, info.ai_addrlen) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard isBound else {
            close(descriptor)
            return nil
        }
        // The port is at the same place in both families: bytes 2 and 3, in network order.
        let port = withUnsafeBytes(of: &bound) { UInt16($0[2]) << 8 | UInt16($0[3]) }
        return (descriptor, port)
    }
}

private func withSocketAddress<Result>(
    _ address: HostAndPort, type: __socket_type, passive: Bool, _ body: (addrinfo) -> Result?
) -> Result? {
    var hints = addrinfo()
    hints.ai_socktype = Int32(type.rawValue)
    hints.ai_flags = AI_NUMERICSERV | (passive ? AI_PASSIVE : 0)
    var found: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(address.host, String(address.port), &hints, &found) == 0, let first = found else {
        errno = EADDRNOTAVAIL
        return nil
    }
    defer { freeaddrinfo(found) }
    return body(first.pointee)
}
