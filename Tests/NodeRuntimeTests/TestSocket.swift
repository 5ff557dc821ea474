import CNodeIO
import Glibc
import SansIO

@testable import NodeRuntime

/// The types without the flags that make a socket one that does not wait.
let datagramType = Int32(NODE_IO_DATAGRAM) & 0xF
let streamType = Int32(NODE_IO_STREAM) & 0xF

/// A plain blocking socket on loopback, whose reads give up after ten seconds.
final class TestSocket {
    let descriptor: Int32

    private init(descriptor: Int32) {
        self.descriptor = descriptor
        var patience = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close() }

    private var isClosed = false
    func close() {
        if !isClosed { Glibc.close(descriptor) }
        isClosed = true
    }

    static func datagram(_ address: IPAddress = .loopback) -> TestSocket {
        let socket = TestSocket(descriptor: Glibc.socket(address.isIPv6 ? AF_INET6 : AF_INET, datagramType, 0))
        _ = socket.withName(Endpoint(address: address, port: 0)) { bind(socket.descriptor, $0, $1) }
        return socket
    }

    /// A stream connected to `remote`; nil if it was refused.
    static func stream(to remote: Endpoint) -> TestSocket? {
        let socket = TestSocket(descriptor: Glibc.socket(remote.address.isIPv6 ? AF_INET6 : AF_INET, streamType, 0))
        return socket.withName(remote) { connect(socket.descriptor, $0, $1) } == 0 ? socket : nil
    }

    static func listening() -> TestSocket {
        let socket = TestSocket(descriptor: Glibc.socket(AF_INET, streamType, 0))
        _ = socket.withName(Endpoint(address: .loopback, port: 0)) { bind(socket.descriptor, $0, $1) }
        listen(socket.descriptor, 16)
        return socket
    }

    /// A listening stream on an address of one's choice; nil: it is taken.
    static func listening(on local: Endpoint) -> TestSocket? {
        let socket = TestSocket(descriptor: Glibc.socket(AF_INET, streamType, 0))
        guard socket.withName(local, { bind(socket.descriptor, $0, $1) }) == 0 else { return nil }
        return listen(socket.descriptor, 16) == 0 ? socket : nil
    }

    /// A datagram that is not empty, and where it came from.
    func receiveFrom() -> (octets: [UInt8], source: Endpoint)? {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: SystemAddress.room, alignment: 8)
        defer { memory.deallocate() }
        var length = socklen_t(SystemAddress.room)
        var octets = [UInt8](repeating: 0, count: 65_536)
        let count = recvfrom(descriptor, &octets, octets.count, 0, memory.bindMemory(to: sockaddr.self, capacity: 1), &length)
        return count > 0 ? (Array(octets.prefix(count)), SystemAddress.read(memory)) : nil
    }

    var local: Endpoint {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: SystemAddress.room, alignment: 8)
        defer { memory.deallocate() }
        var length = socklen_t(SystemAddress.room)
        getsockname(descriptor, memory.bindMemory(to: sockaddr.self, capacity: 1), &length)
        return SystemAddress.read(memory)
    }

    func accept() -> TestSocket? {
        let accepted = Glibc.accept(descriptor, nil, nil)
        return accepted < 0 ? nil : TestSocket(descriptor: accepted)
    }

    func send(_ text: String, to remote: Endpoint) { send(Array(text.utf8), to: remote) }

    func send(_ octets: [UInt8], to remote: Endpoint) {
        _ = withName(remote) { sendto(descriptor, octets, octets.count, 0, $0, $1) }
    }

    /// Writes all of it; false if the peer has closed.
    @discardableResult
    func write(_ text: String) -> Bool { write(Array(text.utf8)) }

    @discardableResult
    func write(_ octets: [UInt8]) -> Bool {
        var done = 0
        while done < octets.count {
            let written = octets.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress.map { $0 + done }, octets.count - done, Int32(MSG_NOSIGNAL))
            }
            guard written > 0 else { return false }
            done += written
        }
        return true
    }

    /// A datagram, or what a stream has; empty at a stream's end, nil after an error or in vain.
    func receive(_ limit: Int = 65_536) -> String? { receiveOctets(limit).map { String(decoding: $0, as: UTF8.self) } }

    func receiveOctets(_ limit: Int = 65_536) -> [UInt8]? {
        var octets = [UInt8](repeating: 0, count: limit)
        let count = recv(descriptor, &octets, limit, 0)
        return count < 0 ? nil : Array(octets.prefix(count))
    }

    /// Reads from a stream until it ends, or has given so much.
    func readOctets(_ count: Int = .max) -> [UInt8] {
        var octets: [UInt8] = []
        while octets.count < count, let more = receiveOctets(min(65_536, count - octets.count)), !more.isEmpty { octets += more }
        return octets
    }

    /// Reads from a stream until it ends, or has given so much.
    func read(_ count: Int = .max) -> String {
        var text = ""
        while text.utf8.count < count, let more = receive(min(65_536, count - text.utf8.count)), !more.isEmpty { text += more }
        return text
    }

    private func withName(_ endpoint: Endpoint, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int) -> Int {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: SystemAddress.room, alignment: 8)
        defer { memory.deallocate() }
        let length = SystemAddress.write(endpoint, to: memory)
        return body(memory.bindMemory(to: sockaddr.self, capacity: 1), length)
    }

    private func withName(_ endpoint: Endpoint, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int {
        withName(endpoint) { Int(body($0, $1)) }
    }
}
