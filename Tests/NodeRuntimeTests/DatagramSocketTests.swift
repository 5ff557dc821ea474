import CNodeIO
import Glibc
import SansIO
import Synchronization
import Testing

@testable import NodeRuntime

@Suite struct DatagramSocketTests {
    /// A system that answers each call as told, then sends all; it remembers the octets that were sent.
    private final class System: Sendable {
        let answers: Mutex<[Int32]>
        let sent = Mutex<[String]>([])

        init(_ answers: [Int32]) { self.answers = Mutex(answers) }

        func send(_ datagrams: UnsafeMutablePointer<node_io_datagram>, _ count: UInt32) -> Int32 {
            let answer = answers.withLock { $0.isEmpty ? Int32(count) : $0.removeFirst() }
            for i in 0..<Int(max(answer, 0)) {
                let part = datagrams[i].header.msg_iov.pointee
                let octets = UnsafeRawBufferPointer(start: part.iov_base, count: part.iov_len)
                sent.withLock { $0.append(String(decoding: octets, as: UTF8.self)) }
            }
            return answer
        }
    }

    private let remote = Endpoint(address: .loopback, port: 9)

    private func socket(_ system: System) -> DatagramSocket {
        DatagramSocket(
            descriptor: Glibc.socket(AF_INET, datagramType, 0), number: 0, local: Endpoint(address: .loopback, port: 1)
        ) { system.send($1, $2) }
    }

    /// Sends texts in one batch; each is the transaction of its number, from 1.
    private func send(_ texts: [String], on socket: DatagramSocket) {
        var wire = Wire()
        let flow = Flow(transport: .udp, listener: 0, remote: remote)
        for (number, text) in texts.enumerated() {
            wire.transmit(copyOf: Array(text.utf8).span.bytes, over: flow, transaction: UInt64(number + 1))
        }
        send(wire, on: socket)
    }

    private func send(_ wire: borrowing Wire, on socket: DatagramSocket) {
        guard let start = wire.bytes.start else { return }
        for transmission in wire.transmissions { socket.add(transmission, in: start) }
        socket.flush(in: start)
    }

    @Test func moreThanABatchGoesInOrder() {
        let system = System([])
        let texts = (0..<200).map(String.init)
        let socket = socket(system)
        send(texts, on: socket)
        #expect(system.sent.withLock { $0 } == texts)
        #expect(!socket.isWaiting)
    }

    @Test func whatTheSystemDoesNotTakeWaits() {
        let system = System([1, -EAGAIN])
        let socket = socket(system)
        send(["a", "b", "c"], on: socket)
        #expect(system.sent.withLock { $0 } == ["a"])
        #expect(socket.isWaiting)
        send(["d"], on: socket)
        #expect(system.sent.withLock { $0 } == ["a"], "nothing overtakes what waits")
        system.answers.withLock { $0 = [2, -EAGAIN] }
        socket.sendPending()
        #expect(system.sent.withLock { $0 } == ["a", "b", "c"])
        #expect(socket.isWaiting)
        socket.sendPending()
        #expect(system.sent.withLock { $0 } == ["a", "b", "c", "d"])
        #expect(!socket.isWaiting)
        #expect(socket.failures.isEmpty)
    }

    @Test func whatWaitsIsBounded() {
        let system = System([-EAGAIN])
        let socket = socket(system)
        let large = String(repeating: "x", count: 60_000)
        let texts = [String](repeating: large, count: 80)
        send(texts, on: socket)
        let kept = DatagramSocket.pendingLimit / 60_000
        #expect(socket.failures.map(\.transaction) == Array(UInt64(kept + 1)...80))
        #expect(socket.failures.allSatisfy { $0.reason == .datagramQueueFull })
        socket.sendPending()
        #expect(system.sent.withLock { $0.count } == kept)
    }

    @Test func aRefusedDatagramDoesNotStopTheOthers() {
        let system = System([1] + [Int32](repeating: -EINVAL, count: 4))
        let socket = socket(system)
        send(["a", "b", "c"], on: socket)
        #expect(system.sent.withLock { $0 } == ["a", "c"])
        #expect(socket.failures.map(\.transaction) == [2])
        #expect(socket.failures.map(\.reason) == [.datagramNotSent])
    }

    @Test func anErrorOfAnEarlierDatagramIsNotThisOnes() {
        let system = System([-ECONNREFUSED, -ECONNREFUSED])
        let socket = socket(system)
        send(["a"], on: socket)
        #expect(system.sent.withLock { $0 } == ["a"])
        #expect(socket.failures.isEmpty)
    }

    @Test func anotherFamilyHasNoListener() {
        let system = System([])
        let socket = socket(system)
        var wire = Wire()
        let remote = Endpoint(address: IPAddress(high: 0, low: 1), port: 9)
        wire.transmit(copyOf: RawSpan(), over: Flow(transport: .udp, listener: 0, remote: remote), transaction: 4)
        send(wire, on: socket)
        #expect(socket.failures.map(\.reason) == [.noListener])
    }

    @Test func reportsTakeTheNewestTransactionOfTheirRemote() {
        var recent = RecentTransmissions()
        let other = Endpoint(address: .loopback, port: 10)
        recent.add(1, to: remote)
        recent.add(2, to: other)
        recent.add(3, to: remote)
        let taken = [recent.take(to: remote), recent.take(to: remote), recent.take(to: remote), recent.take(to: other)]
        #expect(taken.map { $0?.transaction } == [3, 1, nil, 2])
        for transaction in 1...5000 as ClosedRange<UInt64> { recent.add(transaction, to: remote) }
        var all: [UInt64] = []
        while let sent = recent.take(to: remote) { all.append(sent.transaction) }
        #expect(all == (905...5000).reversed())
    }
}
