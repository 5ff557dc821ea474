// How a shard comes to go by a virtual clock: by a connection to its conductor, in this process or in another one.

import CNodeIO
import Glibc
public import SansIO
import Synchronization

/// A shard's place among those that go by one virtual clock.
public final class ClockMembership: Sendable {
    /// What the shard's core is shown.
    public let clock: VirtualClock
    private let name: String
    private let listeners: [Endpoint]
    /// Where the conductor is found again; nil: it is in this process.
    private let path: String?
    private let connection: Mutex<Int32>

    init(clock: VirtualClock, name: String, listeners: [Endpoint], path: String?, connection: Int32) {
        self.clock = clock
        self.name = name
        self.listeners = listeners
        self.path = path
        self.connection = Mutex(connection)
    }

    deinit { connection.withLock { if $0 >= 0 { close($0) } } }

    /// Joins those that go by the clock of a conductor in another process.
    /// - Parameters:
    ///   - path: of the conductor's socket.
    ///   - name: of the node, unique among them: turns go by names.
    ///   - listeners: where the node receives.
    public static func join(_ path: String, named name: String, listeners: [Listener]) throws(SystemFailure) -> ClockMembership {
        let endpoints = listeners.map(\.local)
        let (descriptor, start, elapsed) = try connect(path, name, endpoints, elapsed: .zero)
        return ClockMembership(
            clock: VirtualClock(start: start, elapsed: elapsed), name: name, listeners: endpoints, path: path, connection: descriptor)
    }

    /// The connection, the caller's own from now on; nil: it was taken.
    func takeConnection() -> Int32? {
        connection.withLock { connection in
            defer { connection = -1 }
            return connection >= 0 ? connection : nil
        }
    }

    /// Joins again after the conductor's process has ended; nil: there is no new one yet.
    func rejoin() -> Int32? {
        guard let path, let (descriptor, _, elapsed) = try? ClockMembership.connect(path, name, listeners, elapsed: clock.elapsed)
        else { return nil }
        clock.move(to: elapsed)
        return descriptor
    }

    private static func connect(
        _ path: String, _ name: String, _ listeners: [Endpoint], elapsed: TimeSpan
    ) throws(SystemFailure) -> (Int32, WallTime, TimeSpan) {
        let descriptor = try SystemFailure.check("socket", socket(AF_UNIX, Int32(NODE_IO_PACKETS), 0))
        do throws(SystemFailure) {
            try LocalSocket.connect(descriptor, to: path)
            LocalSocket.limitWaiting(on: descriptor, seconds: ClockConductor.handshakeSeconds)
            guard ClockFrame.hello(name: name, listeners: listeners, elapsed: elapsed).send(to: descriptor),
                case .welcome(let start, let elapsed) = ClockFrame.receive(from: descriptor)
            else { throw SystemFailure(call: "the clock's welcome", code: ETIMEDOUT) }
            return (descriptor, start, elapsed)
        } catch {
            close(descriptor)
            throw error
        }
    }
}

/// Sockets within this machine, under a path.
enum LocalSocket {
    static func connect(_ descriptor: Int32, to path: String) throws(SystemFailure) {
        let code = try withAddress(path) { Glibc.connect(descriptor, $0, $1) }
        _ = try SystemFailure.check("connect", code)
    }

    static func bind(_ descriptor: Int32, to path: String) throws(SystemFailure) {
        let code = try withAddress(path) { Glibc.bind(descriptor, $0, $1) }
        _ = try SystemFailure.check("bind", code)
    }

    static func limitWaiting(on descriptor: Int32, seconds: Int) {
        var time = timeval(tv_sec: seconds, tv_usec: 0)
        _ = setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    }

    private static func withAddress(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) throws(SystemFailure) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let octets = Array(path.utf8)
        guard octets.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw SystemFailure(call: "the path of a socket", code: ENAMETOOLONG)
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: octets) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
    }
}
