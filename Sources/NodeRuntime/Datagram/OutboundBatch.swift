// The datagrams of one system call, and how they are put to the system.
//
// Most of what a busy UDP server costs is the way of each datagram through the kernel: the route, a buffer, the receiver's
// wake-up. Datagrams of one size to one peer can share that way: they go as one message, which the system cuts at the end
// of it (UDP_SEGMENT). OPTIONS under load cost the whole process 9.2 us before and 6.5 us since.

import CNodeIO
import Glibc
import SansIO

/// Up to 64 datagrams, in memory that is made once.
struct OutboundBatch: ~Copyable {
    static let capacity = 64
    /// The largest datagram that shares a message: what Ethernet carries, less the headers of IPv6 and UDP. The system
    /// refuses to cut into pieces that the path would have to cut again.
    private static let largestSegment = 1452
    /// Octets of a message, below what UDP's length can say.
    private static let largestMessage = 64_000
    /// How many peers back the run of a datagram is looked for.
    private static let reach = 8

    /// Datagrams of one size to one peer, in order; the last may be shorter.
    private struct Run: BitwiseCopyable {
        var first: UInt8
        var last: UInt8
        var count: UInt8 = 1
        var isOpen: Bool
        var size: Int
        var octets: Int
    }

    private let headers: UnsafeMutablePointer<node_io_datagram>
    private let names: UnsafeMutablePointer<sockaddr_in6>
    private let controls: UnsafeMutableRawPointer
    private let items: UnsafeMutablePointer<Transmission>
    /// Of each datagram, where its octets are; as they were added.
    private let parts: UnsafeMutablePointer<iovec>
    /// The same as the messages have them.
    private let placed: UnsafeMutablePointer<iovec>
    /// The datagram at each place.
    private let order: UnsafeMutablePointer<UInt8>
    /// The first place of each message, and one more.
    private let starts: UnsafeMutablePointer<UInt8>
    /// The next datagram of the same run.
    private let nextOfRun: UnsafeMutablePointer<UInt8>
    private let runs: UnsafeMutablePointer<Run>
    private(set) var count = 0
    private(set) var messageCount = 0

    init() {
        let capacity = OutboundBatch.capacity
        headers = .allocate(capacity: capacity)
        names = .allocate(capacity: capacity)
        controls = .allocate(byteCount: capacity * NODE_IO_SEGMENT_ROOM, alignment: 16)
        items = .allocate(capacity: capacity)
        parts = .allocate(capacity: capacity)
        placed = .allocate(capacity: capacity)
        order = .allocate(capacity: capacity)
        starts = .allocate(capacity: capacity + 1)
        nextOfRun = .allocate(capacity: capacity)
        runs = .allocate(capacity: capacity)
        headers.initialize(repeating: node_io_datagram(), count: capacity)
        names.initialize(repeating: sockaddr_in6(), count: capacity)
        controls.initializeMemory(as: UInt8.self, repeating: 0, count: capacity * NODE_IO_SEGMENT_ROOM)
    }

    deinit {
        headers.deallocate()
        names.deallocate()
        controls.deallocate()
        items.deallocate()
        parts.deallocate()
        placed.deallocate()
        order.deallocate()
        starts.deallocate()
        nextOfRun.deallocate()
        runs.deallocate()
    }

    /// Adds a datagram; there must be room for it.
    mutating func add(_ transmission: Transmission, in octets: UnsafeRawPointer) {
        precondition(count < OutboundBatch.capacity, "the batch is full")
        parts[count] = iovec(iov_base: UnsafeMutableRawPointer(mutating: octets + transmission.start), iov_len: transmission.count)
        (items + count).initialize(to: transmission)
        count += 1
    }

    mutating func removeAll() {
        count = 0
        messageCount = 0
    }

    /// The datagram at a place of the messages.
    func transmission(at place: Int) -> Transmission {
        precondition(place < count, "no such datagram")
        return items[Int(order[place])]
    }

    /// The places whose datagrams a message carries.
    func places(of message: Int) -> Range<Int> {
        precondition(message < messageCount, "no such message")
        return Int(starts[message])..<Int(starts[message + 1])
    }

    /// The place of the first datagram of a message; after the last message, one past the last datagram.
    func place(of message: Int) -> Int { message < messageCount ? Int(starts[message]) : count }

    /// The messages from one on, for the system.
    func messages(from message: Int) -> UnsafeMutablePointer<node_io_datagram> { headers + message }

    /// Makes a message of each datagram, in the order in which they were added.
    mutating func arrangeSingly() {
        messageCount = 0
        for item in 0..<count {
            order[item] = UInt8(item)
            placed[item] = parts[item]
            beginMessage(at: item, with: item)
        }
        starts[messageCount] = UInt8(count)
    }

    /// Makes a message of each run. Datagrams to one peer keep their order, but for those that may overtake others.
    mutating func arrangeInRuns() {
        var runCount = 0
        for item in 0..<count {
            if join(item, among: runCount) { continue }
            let size = items[item].count
            runs[runCount] = Run(
                first: UInt8(item), last: UInt8(item), isOpen: size > 0 && size <= OutboundBatch.largestSegment, size: size, octets: size)
            runCount += 1
        }
        messageCount = 0
        var place = 0
        for run in 0..<runCount {
            var item = runs[run].first
            beginMessage(at: place, with: Int(item))
            for _ in 0..<runs[run].count {
                order[place] = item
                placed[place] = parts[Int(item)]
                place += 1
                item = nextOfRun[Int(item)]
            }
            if runs[run].count > 1 { cut(messageCount - 1, into: runs[run]) }
        }
        starts[messageCount] = UInt8(count)
    }

    /// Makes messages of single datagrams of those at `place` and after it; the ones before are forgotten.
    mutating func arrangeSingly(from place: Int) {
        let rest = (place..<count).map { (items[Int(order[$0])], parts[Int(order[$0])]) }
        for (i, (item, part)) in rest.enumerated() {
            items[i] = item
            parts[i] = part
        }
        count = rest.count
        arrangeSingly()
    }

    /// Adds a datagram to the newest run to its peer, if it fits there. One that may overtake others goes to any run of its
    /// size; registering with digest needs it, where answers of two sizes alternate.
    private func join(_ item: Int, among runCount: Int) -> Bool {
        let size = items[item].count
        for run in (max(0, runCount - OutboundBatch.reach)..<runCount).reversed()
        where items[Int(runs[run].first)].flow.remote == items[item].flow.remote {
            let mayOvertake = items[item].mayOvertake
            let fits = runs[run].isOpen && (size == runs[run].size || !mayOvertake && size < runs[run].size)
            guard size > 0, fits, runs[run].octets + size <= OutboundBatch.largestMessage else {
                if mayOvertake { continue }
                return false
            }
            nextOfRun[Int(runs[run].last)] = UInt8(item)
            runs[run].last = UInt8(item)
            runs[run].count += 1
            runs[run].octets += size
            runs[run].isOpen = size == runs[run].size
            return true
        }
        return false
    }

    private mutating func beginMessage(at place: Int, with item: Int) {
        let name = UnsafeMutableRawPointer(names + messageCount)
        headers[messageCount].header.msg_name = name
        headers[messageCount].header.msg_namelen = SystemAddress.write(items[item].flow.remote, to: name)
        headers[messageCount].header.msg_iov = placed + place
        headers[messageCount].header.msg_iovlen = 1
        headers[messageCount].header.msg_control = nil
        headers[messageCount].header.msg_controllen = 0
        starts[messageCount] = UInt8(place)
        messageCount += 1
    }

    private func cut(_ message: Int, into run: Run) {
        headers[message].header.msg_iovlen = Int(run.count)
        let control = controls + message * NODE_IO_SEGMENT_ROOM
        node_io_segment(&headers[message].header, control, UInt16(run.size))
    }
}
