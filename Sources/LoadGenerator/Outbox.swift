// Datagrams to be sent: octets in one run, as `Wire` has them, but by station, since a load has three sockets.

public import SansIO

/// A datagram in an outbox.
public struct OutgoingDatagram: BitwiseCopyable, Sendable {
    /// Where its octets begin, and how many there are.
    public var start: Int
    public var count: Int
    public var station: Station
    public var destination: Endpoint
}

/// What a load generator wants sent, until the shell has sent it.
public struct Outbox: ~Copyable {
    public var octets = OctetBuffer(capacity: 256 * 1024)
    public private(set) var datagrams: [OutgoingDatagram] = []

    public init() { datagrams.reserveCapacity(1024) }

    /// Makes a datagram of all that was written since `start`.
    mutating func finish(from start: Int, at station: Station, to destination: Endpoint) {
        datagrams.append(OutgoingDatagram(start: start, count: octets.count - start, station: station, destination: destination))
    }

    /// Adds a datagram whose octets are stored elsewhere.
    mutating func add(_ bytes: RawSpan, at station: Station, to destination: Endpoint) {
        let start = octets.count
        octets.append(bytes)
        finish(from: start, at: station, to: destination)
    }

    /// Forgets all, and keeps the memory.
    public mutating func removeAll() {
        octets.removeAll()
        datagrams.removeAll(keepingCapacity: true)
    }
}
