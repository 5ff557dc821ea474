// What is said between the conductor of a virtual clock and the shards that go by it: a few kinds of packets over a socket
// that keeps their bounds, within one machine, both sides of one build.

import CNodeIO
import Glibc
import SansIO

/// A packet between the conductor and a member.
enum ClockFrame: Equatable {
    /// Member: who it is, where it listens, and how much time had passed where it comes from.
    case hello(name: String, listeners: [Endpoint], elapsed: TimeSpan)
    /// Conductor: the time as it stands.
    case welcome(start: WallTime, elapsed: TimeSpan)
    /// Member: there is something to read, or something has changed.
    case wish
    /// Conductor: it is so late now; act on all that is due and all that has come; at rest on what was put off, too.
    case turn(elapsed: TimeSpan, atRest: Bool)
    /// Member: all done.
    case done(TurnReport)
    /// Conductor: what is not answered yet?
    case question
    /// Member: the requests that it waits for the answers to, and of whom.
    case unanswered([UnansweredRequest])
}

/// What came of a turn.
struct TurnReport: Equatable {
    /// How much time will have passed when the next timer is due; nil: none is set.
    var deadline: TimeSpan?
    /// Where datagrams went since the last report.
    var destinations: [Endpoint] = []
    /// Whether something went over streams since then, which takes its own time to arrive.
    var usedStreams = false
}

extension ClockFrame {
    /// More destinations or requests than this are not told: a turn is over before so many are reached.
    static let listLimit = 2048
    /// The most octets of a packet.
    static let sizeLimit = 1 << 16

    func send(to descriptor: Int32) -> Bool {
        let octets = encoded
        while true {
            let sent = octets.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(NODE_IO_NO_SIGNAL)) }
            if sent == octets.count { return true }
            guard sent < 0, errno == EINTR else { return false }
        }
    }

    /// The next packet, waited for.
    /// - Returns: nil when the other side is gone, or said nothing within the time-out of the socket.
    static func receive(from descriptor: Int32, waiting: Bool = true) -> ClockFrame? {
        withUnsafeTemporaryAllocation(byteCount: sizeLimit, alignment: 16) { room in
            while true {
                let count = recv(descriptor, room.baseAddress, room.count, waiting ? 0 : Int32(NODE_IO_NO_WAIT))
                if count > 0 { return ClockFrame(decoding: Array(room[..<count])[...]) }
                guard count < 0, errno == EINTR else { return nil }
            }
        }
    }

    private var encoded: [UInt8] {
        var writer = FrameWriter()
        switch self {
        case .hello(let name, let listeners, let elapsed):
            writer.write(UInt8(ascii: "h"))
            writer.write(elapsed.nanoseconds)
            writer.write(listeners)
            writer.octets += name.utf8.prefix(256)
        case .welcome(let start, let elapsed):
            writer.write(UInt8(ascii: "c"))
            writer.write(start.microseconds)
            writer.write(elapsed.nanoseconds)
        case .wish: writer.write(UInt8(ascii: "w"))
        case .turn(let elapsed, let atRest):
            writer.write(UInt8(ascii: "t"))
            writer.write(elapsed.nanoseconds)
            writer.write(UInt8(atRest ? 1 : 0))
        case .done(let report):
            writer.write(UInt8(ascii: "d"))
            writer.write(report.deadline?.nanoseconds ?? .max)
            writer.write(UInt8(report.usedStreams ? 1 : 0))
            writer.write(report.destinations)
        case .question: writer.write(UInt8(ascii: "q"))
        case .unanswered(let requests):
            writer.write(UInt8(ascii: "u"))
            writer.write(requests.prefix(ClockFrame.listLimit).map(\.remote))
            for request in requests.prefix(ClockFrame.listLimit) { writer.write(request.transaction) }
        }
        return writer.octets
    }

    private init?(decoding octets: ArraySlice<UInt8>) {
        var reader = FrameReader(octets: octets)
        switch reader.integer(UInt8.self) {
        case UInt8(ascii: "h"):
            guard let elapsed = reader.integer(Int64.self), let listeners = reader.endpoints() else { return nil }
            self = .hello(
                name: String(decoding: reader.octets, as: UTF8.self), listeners: listeners, elapsed: TimeSpan(nanoseconds: elapsed))
        case UInt8(ascii: "c"):
            guard let start = reader.integer(Int64.self), let elapsed = reader.integer(Int64.self) else { return nil }
            self = .welcome(start: WallTime(microseconds: start), elapsed: TimeSpan(nanoseconds: elapsed))
        case UInt8(ascii: "w"): self = .wish
        case UInt8(ascii: "t"):
            guard let elapsed = reader.integer(Int64.self), let atRest = reader.integer(UInt8.self) else { return nil }
            self = .turn(elapsed: TimeSpan(nanoseconds: elapsed), atRest: atRest != 0)
        case UInt8(ascii: "d"):
            guard let deadline = reader.integer(Int64.self), let streams = reader.integer(UInt8.self),
                let destinations = reader.endpoints()
            else { return nil }
            self = .done(
                TurnReport(
                    deadline: deadline == .max ? nil : TimeSpan(nanoseconds: deadline), destinations: destinations,
                    usedStreams: streams != 0))
        case UInt8(ascii: "q"): self = .question
        case UInt8(ascii: "u"):
            guard let remotes = reader.endpoints() else { return nil }
            var requests: [UnansweredRequest] = []
            for remote in remotes {
                guard let transaction = reader.integer(UInt64.self) else { return nil }
                requests.append(UnansweredRequest(transaction: transaction, remote: remote))
            }
            self = .unanswered(requests)
        default: return nil
        }
    }
}

private struct FrameWriter {
    var octets: [UInt8] = []

    mutating func write(_ number: some FixedWidthInteger) {
        withUnsafeBytes(of: number.littleEndian) { octets += $0 }
    }

    mutating func write(_ endpoints: [Endpoint]) {
        write(UInt32(endpoints.count))
        for endpoint in endpoints {
            write(endpoint.address.high)
            write(endpoint.address.low)
            write(UInt8(endpoint.address.isIPv6 ? 1 : 0))
            write(endpoint.port)
        }
    }
}

private struct FrameReader {
    var octets: ArraySlice<UInt8>

    mutating func integer<Number: FixedWidthInteger>(_: Number.Type) -> Number? {
        let size = Number.bitWidth / 8
        guard octets.count >= size else { return nil }
        defer { octets = octets.dropFirst(size) }
        return octets.prefix(size).reversed().reduce(0) { $0 << 8 | Number(truncatingIfNeeded: $1) }
    }

    mutating func endpoints() -> [Endpoint]? {
        guard let count = integer(UInt32.self), count <= ClockFrame.listLimit else { return nil }
        var endpoints: [Endpoint] = []
        for _ in 0..<count {
            guard let high = integer(UInt64.self), let low = integer(UInt64.self), let isIPv6 = integer(UInt8.self),
                let port = integer(UInt16.self)
            else { return nil }
            let address = isIPv6 != 0 ? IPAddress(high: high, low: low) : IPAddress(v4: UInt32(truncatingIfNeeded: low))
            endpoints.append(Endpoint(address: address, port: port))
        }
        return endpoints
    }
}
