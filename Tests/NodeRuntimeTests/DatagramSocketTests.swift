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
        let messages = Mutex(0)

        init(_ answers: [Int32]) { self.answers = Mutex(answers) }

        func send(_ datagrams: UnsafeMutablePointer<node_io_datagram>, _ count: UInt32) -> Int32 {
            let answer = answers.withLock { $0.isEmpty ? Int32(count) : $0.removeFirst() }
            for i in 0..<Int(max(answer, 0)) {
                messages.withLock { $0 += 1 }
                for part in UnsafeBufferPointer(start: datagrams[i].header.msg_iov, count: Int(datagrams[i].header.msg_iovlen)) {
                    let octets = UnsafeRawBufferPointer(start: part.iov_base, count: part.iov_len)
                    sent.withLock { $0.append(String(decoding: octets, as: UTF8.self)) }
                }
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
        for (number, remote) in [(1, remote), (2, other), (3, remote)] {
            recent.beginMessage()
            recent.add(UInt64(number), to: remote)
        }
        let taken = [recent.take(to: remote), recent.take(to: remote), recent.take(to: remote), recent.take(to: other)]
        #expect(taken.map { $0.map(\.transaction) } == [[3], [1], [], [2]])
        for transaction in 1...5000 as ClosedRange<UInt64> {
            recent.beginMessage()
            recent.add(transaction, to: remote)
        }
        var all: [UInt64] = []
        while let sent = recent.take(to: remote).first { all.append(sent.transaction) }
        #expect(all == (905...5000).reversed())
    }

    @Test func aReportStandsForAllThatSharedItsMessage() {
        var recent = RecentTransmissions()
        let other = Endpoint(address: .loopback, port: 10)
        for (number, remote) in [(1, remote), (2, remote), (3, other)] {
            recent.beginMessage()
            recent.add(UInt64(number), to: remote)
            recent.add(UInt64(number) * 10, to: remote)
        }
        let taken = [recent.take(to: remote), recent.take(to: remote), recent.take(to: remote), recent.take(to: other)]
        #expect(taken.map { $0.map(\.transaction) } == [[20, 2], [10, 1], [], [30, 3]])
    }

    // MARK: Messages that the system cuts

    /// Enough small batches that the next may be cut.
    private func keepBusy(_ socket: DatagramSocket) {
        for _ in 0..<DatagramSocket.batchMemory { send((0..<8).map { "busy \($0)" }, on: socket) }
    }

    @Test func aBurstIsSentOneByOne() {
        let system = System([])
        let socket = socket(system)
        send((0..<64).map { _ in "a" }, on: socket)
        send((0..<64).map { _ in "b" }, on: socket)
        #expect(system.messages.withLock { $0 } == 128)
    }

    @Test func smallBatchesAreSentOneByOneForEver() {
        let system = System([])
        let socket = socket(system)
        for _ in 0..<1000 { send(["a", "b", "c"], on: socket) }
        #expect(system.messages.withLock { $0 } == 3000)
    }

    @Test func loadThatLastsSharesMessages() {
        let system = System([])
        let socket = socket(system)
        keepBusy(socket)
        system.messages.withLock { $0 = 0 }
        system.sent.withLock { $0 = [] }
        send(["a", "b", "c", "longer", "d", "e"], on: socket)
        #expect(system.messages.withLock { $0 } == 3, "the longer one takes a shorter one along")
        #expect(system.sent.withLock { $0 } == ["a", "b", "c", "longer", "d", "e"])
    }

    @Test func aSystemThatCannotCutGetsThemOneByOne() {
        let system = System([])
        let socket = socket(system)
        keepBusy(socket)
        system.messages.withLock { $0 = 0 }
        system.sent.withLock { $0 = [] }
        system.answers.withLock { $0 = Array(repeating: -EIO, count: 4) }
        send(["a", "b", "c", "d"], on: socket)
        #expect(system.messages.withLock { $0 } == 4)
        send(["e", "f", "g", "h"], on: socket)
        #expect(system.messages.withLock { $0 } == 8)
        #expect(system.sent.withLock { $0 } == ["a", "b", "c", "d", "e", "f", "g", "h"])
        #expect(socket.failures.isEmpty)
    }

    @Test func whatIsNotTakenOfACutBatchWaits() {
        let system = System([])
        let socket = socket(system)
        keepBusy(socket)
        system.sent.withLock { $0 = [] }
        system.answers.withLock { $0 = [1, -EAGAIN] }
        send(["a", "b", "longer", "d", "e"], on: socket)
        #expect(system.sent.withLock { $0 } == ["a", "b"])
        socket.sendPending()
        #expect(system.sent.withLock { $0 } == ["a", "b", "longer", "d", "e"])
    }

    @Test func theSystemCutsThemApart() throws {
        let peer = TestSocket.datagram()
        let sender = TestSocket.datagram()
        let socket = DatagramSocket(descriptor: dup(sender.descriptor), number: 0, local: sender.local)
        let flow = Flow(transport: .udp, listener: 0, remote: peer.local)
        for round in 0..<40 {
            var wire = Wire()
            let texts = (0..<20).map { "\(round) \(String(repeating: "x", count: $0 < 12 ? 300 : 200)) \($0 % 10)" }
            for text in texts { wire.transmit(copyOf: Array(text.utf8).span.bytes, over: flow) }
            send(wire, on: socket)
            for text in texts { #expect(try #require(peer.receive()) == text) }
        }
        #expect(socket.failures.isEmpty)
    }

    @Test func allOfACutMessageAreReportedUnreachable() throws {
        let gone = TestSocket.datagram()
        let remote = gone.local
        gone.close()
        let sender = TestSocket.datagram()
        var yes: Int32 = 1
        setsockopt(sender.descriptor, Int32(IPPROTO_IP), IP_RECVERR, &yes, socklen_t(MemoryLayout<Int32>.size))
        let socket = DatagramSocket(descriptor: dup(sender.descriptor), number: 0, local: sender.local)
        let peer = TestSocket.datagram()
        for _ in 0..<DatagramSocket.batchMemory {
            var wire = Wire()
            for _ in 0..<8 {
                wire.transmit(copyOf: Array("busy".utf8).span.bytes, over: Flow(transport: .udp, listener: 0, remote: peer.local))
            }
            send(wire, on: socket)
        }
        var wire = Wire()
        for number in 1...6 as ClosedRange<UInt64> {
            wire.transmit(
                copyOf: Array("lost".utf8).span.bytes, over: Flow(transport: .udp, listener: 0, remote: remote), transaction: number)
        }
        send(wire, on: socket)
        socket.takeReports()
        #expect(Set(socket.failures.map(\.transaction)) == [1, 2, 3, 4, 5, 6])
        #expect(socket.failures.allSatisfy { $0.reason == .datagramRefused })
    }
}
