// Plain sockets on loopback, whose peer is the program under test.

import Glibc
import Testing

// The C library names these by an enumeration or by plain numbers.
private func number(_ constant: some RawRepresentable<UInt32>) -> Int32 { Int32(constant.rawValue) }
private func number(_ constant: some BinaryInteger) -> Int32 { Int32(constant) }
private let (datagram, stream) = (number(SOCK_DGRAM), number(SOCK_STREAM))
private let (closeOnExec, nonBlocking, withoutSignal) = (number(SOCK_CLOEXEC), number(SOCK_NONBLOCK), number(MSG_NOSIGNAL))

private func withLoopback<Result>(_ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
}

private func localPort(_ descriptor: Int32) -> UInt16 {
    var address = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    _ = withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
    }
    return UInt16(bigEndian: address.sin_port)
}

/// A port of loopback that is taken, for UDP and TCP, as long as this lives.
final class TakenPort: Sendable {
    let port: UInt16
    private let descriptors: [Int32]

    /// - Parameter range: below the one from which the system takes ports for others' port 0.
    init(among range: ClosedRange<UInt16> = 12000...32000) throws {
        for _ in 0..<200 {
            let port = UInt16.random(in: range)
            let descriptors = [datagram, stream].map { socket(AF_INET, $0 | closeOnExec, 0) }
            if descriptors.allSatisfy({ descriptor in withLoopback(port) { bind(descriptor, $0, $1) } == 0 }),
                listen(descriptors[1], 1) == 0
            {
                self.port = port
                self.descriptors = descriptors
                return
            }
            descriptors.forEach { _ = close($0) }
        }
        throw Failure("no free port")
    }

    deinit { descriptors.forEach { _ = close($0) } }
}

/// Ports that were free a moment ago, each another.
func freePorts(_ count: Int, among range: ClosedRange<UInt16> = 12000...32000) throws -> [UInt16] {
    let taken = try (0..<count).map { _ in try TakenPort(among: range) }
    return withExtendedLifetime(taken) { taken.map(\.port) }
}

/// Whether somebody has bound the UDP port on this host.
func isBound(_ port: UInt16) -> Bool {
    let probe = socket(AF_INET, datagram | closeOnExec, 0)
    defer { close(probe) }
    return withLoopback(port) { bind(probe, $0, $1) } != 0 && errno == EADDRINUSE
}

/// A UDP socket on any port of loopback, whose reads do not wait.
func boundDatagramSocket() throws -> (descriptor: Int32, port: UInt16) {
    let descriptor = socket(AF_INET, datagram | closeOnExec | nonBlocking, 0)
    guard withLoopback(0, { bind(descriptor, $0, $1) }) == 0 else { throw Failure("no UDP socket: \(String(cString: strerror(errno)))") }
    return (descriptor, localPort(descriptor))
}

/// A UDP socket, connected to a port of loopback.
final class DatagramPeer: Sendable {
    let port: UInt16
    private let descriptor: Int32

    /// - Parameter port: its own; 0: any.
    init(to remote: UInt16, from port: UInt16 = 0) throws {
        let descriptor = socket(AF_INET, datagram | closeOnExec | nonBlocking, 0)
        self.descriptor = descriptor
        let isBound = withLoopback(port) { bind(descriptor, $0, $1) } == 0
        let isConnected = withLoopback(remote) { connect(descriptor, $0, $1) } == 0
        self.port = localPort(descriptor)
        guard isBound, isConnected else { throw Failure("no UDP socket: \(String(cString: strerror(errno)))") }
    }

    deinit { close(descriptor) }

    func send(_ bytes: [UInt8]) { _ = Glibc.send(descriptor, bytes, bytes.count, withoutSignal) }

    /// The next datagram that is there now.
    func received() -> String? {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &bytes, bytes.count, 0)
        return count >= 0 ? String(decoding: bytes.prefix(count), as: UTF8.self) : nil
    }

    /// Sends a request, again and again as over UDP one does, until its answer comes.
    func answer(to request: SIPRequest) async throws -> SIPAnswer {
        for _ in 0..<60 {
            send(Array(request.text.utf8))
            for _ in 0..<50 {
                while let text = received() {
                    let answer = SIPAnswer(text)
                    if answer.status >= 200, answer["Call-ID"] == request.callID { return answer }
                }
                try await Task.sleep(for: .milliseconds(10))
            }
        }
        throw Failure("no answer to:\n\(request.text)")
    }
}

/// A UDP socket of loopback that anybody may send to.
final class DatagramServer: Sendable {
    let port: UInt16
    private let descriptor: Int32

    init() throws {
        descriptor = socket(AF_INET, datagram | closeOnExec | nonBlocking, 0)
        guard withLoopback(0, { [descriptor] in bind(descriptor, $0, $1) }) == 0 else {
            throw Failure("no UDP socket: \(String(cString: strerror(errno)))")
        }
        port = localPort(descriptor)
    }

    deinit { close(descriptor) }

    /// The next datagram that is there now, and the port that it came from.
    func received() -> (text: String, sender: UInt16)? {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let count = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { recvfrom(descriptor, &bytes, bytes.count, 0, $0, &length) }
        }
        return count >= 0 ? (String(decoding: bytes.prefix(count), as: UTF8.self), UInt16(bigEndian: address.sin_port)) : nil
    }

    func receivedOctets() -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &bytes, bytes.count, 0)
        return count >= 0 ? Array(bytes.prefix(count)) : nil
    }

    func send(_ bytes: [UInt8], to port: UInt16) {
        _ = withLoopback(port) { sendto(descriptor, bytes, bytes.count, withoutSignal, $0, $1) }
    }
}

/// A TCP connection to a port of loopback.
final class StreamPeer: Sendable {
    let port: UInt16
    private let descriptor: Int32

    init(to remote: UInt16) throws {
        let descriptor = socket(AF_INET, stream | closeOnExec, 0)
        self.descriptor = descriptor
        let isConnected = withLoopback(remote) { connect(descriptor, $0, $1) } == 0
        self.port = localPort(descriptor)
        guard isConnected else { throw Failure("no connection to port \(remote): \(String(cString: strerror(errno)))") }
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
    }

    deinit { close(descriptor) }

    /// - Returns: how many octets were taken, 0 if none can be now; nil if the peer has closed.
    func send(_ bytes: ArraySlice<UInt8>) -> Int? {
        let count = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, withoutSignal) }
        return count >= 0 ? count : errno == EAGAIN ? 0 : nil
    }

    func sendAll(_ text: String) async throws {
        var rest = Array(text.utf8)[...]
        let isSent = try await eventually {
            guard let count = send(rest) else { throw Failure("the peer closed the connection") }
            rest = rest.dropFirst(count)
            return rest.isEmpty
        }
        guard isSent else { throw Failure("the peer does not read") }
    }

    /// What has come; nil: the peer closed, or reset, the connection.
    func received() -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &bytes, bytes.count, 0)
        if count > 0 { return Array(bytes.prefix(count)) }
        return count < 0 && errno == EAGAIN ? [] : nil
    }

    /// All that comes before the peer closes.
    func receivedUntilClosed() async throws -> [UInt8] {
        var all: [UInt8] = []
        let isClosed = await eventually {
            while let bytes = received() {
                if bytes.isEmpty { return false }
                all += bytes
            }
            return true
        }
        guard isClosed else { throw Failure("the peer did not close the connection") }
        return all
    }
}
