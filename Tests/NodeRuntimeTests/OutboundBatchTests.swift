import CNodeIO
import Glibc
import SansIO
import Testing

@testable import NodeRuntime

@Suite struct OutboundBatchTests {
    /// A datagram by its peer, its size and whether it may overtake; its transaction tells which one it is.
    private struct Item: Hashable {
        var port: UInt16
        var size: Int
        var mayOvertake = false
    }

    /// The datagrams of each message, by their position in `items`.
    private func arrange(_ items: [Item], inRuns: Bool = true) -> [[Int]] {
        var wire = Wire()
        for (number, item) in items.enumerated() {
            let start = wire.bytes.count
            wire.bytes.append([UInt8](repeating: UInt8(number), count: item.size))
            let remote = Endpoint(address: .loopback, port: item.port)
            wire.transmit(
                from: start, over: Flow(transport: .udp, listener: 0, remote: remote), transaction: UInt64(number),
                mayOvertake: item.mayOvertake)
        }
        var batch = OutboundBatch()
        guard let octets = wire.bytes.start else { return [] }
        for transmission in wire.transmissions { batch.add(transmission, in: octets) }
        if inRuns { batch.arrangeInRuns() } else { batch.arrangeSingly() }
        var messages: [[Int]] = []
        for message in 0..<batch.messageCount {
            let places = batch.places(of: message)
            let header = batch.messages(from: message).pointee.header
            #expect(header.msg_iovlen == places.count && (header.msg_control != nil) == (places.count > 1))
            messages.append(
                places.map { place in
                    let number = Int(batch.transmission(at: place).transaction)
                    let part = header.msg_iov[place - places.lowerBound]
                    #expect(part.iov_len == items[number].size)
                    #expect(part.iov_len == 0 || part.iov_base.load(as: UInt8.self) == UInt8(number))
                    return number
                })
        }
        return messages
    }

    @Test func singlyInTheirOrder() {
        #expect(arrange([Item(port: 1, size: 5), Item(port: 2, size: 5), Item(port: 1, size: 5)], inRuns: false) == [[0], [1], [2]])
    }

    @Test func oneSizeToOnePeerShares() {
        #expect(
            arrange([Item(port: 1, size: 5), Item(port: 2, size: 5), Item(port: 1, size: 5), Item(port: 2, size: 5)]) == [[0, 2], [1, 3]])
    }

    @Test func aShorterOneEndsItsRun() {
        #expect(arrange([5, 5, 4, 5, 4, 4].map { Item(port: 1, size: $0) }) == [[0, 1, 2], [3, 4], [5]])
    }

    @Test func aLongerOneBeginsARun() {
        #expect(arrange([5, 6, 6].map { Item(port: 1, size: $0) }) == [[0], [1, 2]])
    }

    @Test func whatThePathWouldCutGoesAlone() {
        #expect(arrange([1452, 1452, 1453, 1453].map { Item(port: 1, size: $0) }) == [[0, 1], [2], [3]])
    }

    @Test func anEmptyOneGoesAlone() {
        #expect(arrange([5, 0, 0, 5].map { Item(port: 1, size: $0) }) == [[0], [1], [2], [3]])
    }

    @Test func aMessageStaysBelowWhatUDPCanSay() {
        #expect(arrange((0..<64).map { _ in Item(port: 1, size: 1400) }).map(\.count) == [45, 19])
    }

    @Test func theOnlyResponsesOfTransactionsMayOvertake() {
        let items = [5, 7, 5, 7, 6].map { Item(port: 1, size: $0, mayOvertake: true) }
        #expect(arrange(items) == [[0, 2], [1, 3], [4]])
    }

    @Test(arguments: 0..<200) func whateverComesGoesOnceAndInOrder(seed: Int) {
        var random = RandomSource(seed: UInt64(seed) &+ 1)
        let items = (0..<Int(random.next() % 65)).map { _ in
            Item(
                port: UInt16(random.next() % 12 + 1), size: [0, 3, 4, 300, 1452, 1500][Int(random.next() % 6)],
                mayOvertake: random.next() % 3 == 0)
        }
        let messages = arrange(items)
        #expect(messages.joined().sorted() == Array(items.indices))
        for message in messages {
            let sizes = message.map { items[$0].size }
            #expect(Set(message.map { items[$0].port }).count == 1)
            #expect(sizes.dropLast().allSatisfy { $0 == sizes[0] } && sizes[sizes.count - 1] <= sizes[0])
        }
        for port in 1...12 as ClosedRange<UInt16> {
            let ordered = messages.joined().filter { items[$0].port == port && !items[$0].mayOvertake }
            #expect(ordered == ordered.sorted(), "datagrams to one peer changed places")
        }
    }
}
