import Logging
import SIPTrace
import SansIO
import Synchronization
import Testing

@testable import NodeRuntime

/// A core of a parted node: `to 2 TEXT` is handed over to shard 2, and whoever has it answers with its own number and TEXT;
/// `ask TEXT` goes to the next shard, comes back, and is answered by the first; `fail ADDRESS` and `stream` send elsewhere.
private struct PartedProbe: SansIONode, ~Copyable {
    let place: ShardPlace
    var failed: [UInt64] = []
    var committed: [Bool] = []
    var closed = 0

    mutating func receive(_ octets: RawSpan, over flow: Flow, at now: Now, into effects: inout Effects) {
        let words = String(octets: octets).split(separator: "\r\n\r\n").last?.split(separator: " ").map(String.init) ?? []
        guard words.count > 1 else { return }
        if words[0] == "to", let target = UInt8(words[1]), target != place.number {
            return handOver(.arrival, octets, to: target, flow, into: &effects)
        }
        if words[0] == "ask" { return handOver(.question, octets, to: (place.number + 1) % place.count, flow, into: &effects) }
        send("\(place.number) \(words.last ?? "")", over: flow, into: &effects)
    }

    mutating func handedOver(_ handOver: HandOver, _ octets: RawSpan, at now: Now, into effects: inout Effects) {
        switch handOver.purpose {
        case .question: self.handOver(.answer, octets, to: handOver.source, handOver.flow, into: &effects)
        case .answer: send("answered \(String(octets: octets).dropFirst(4))", over: handOver.flow, into: &effects)
        default: receive(octets, over: handOver.flow, at: now, into: &effects)
        }
    }

    private func handOver(
        _ purpose: HandOver.Purpose, _ octets: RawSpan, to target: UInt8, _ flow: Flow, into effects: inout Effects
    ) {
        let start = effects.wire.bytes.count
        effects.wire.bytes.append(octets)
        effects.wire.handOver(HandOver(purpose, from: place.number, to: target, flow: flow), from: start)
    }

    func send(_ text: String, over flow: Flow, transaction: UInt64 = 0, into effects: inout Effects) {
        let start = effects.wire.bytes.count
        effects.wire.bytes.append(Array(text.utf8))
        effects.wire.transmit(from: start, over: flow, transaction: transaction, method: 3)
    }

    mutating func flowClosed(_ flow: Flow, at now: Now, into effects: inout Effects) { closed += 1 }
    mutating func transmissionFailed(_ transaction: UInt64, over flow: Flow, at now: Now, into effects: inout Effects) {
        failed.append(transaction)
    }
    mutating func committed(upTo ticket: UInt64, succeeded: Bool, at now: Now, into effects: inout Effects) {
        committed.append(succeeded)
    }
    mutating func advance(to now: Now, into effects: inout Effects) {}
    var nextDeadline: Instant? { nil }
}

/// Several shards on threads of their own behind the same sockets.
@Suite(.timeLimit(.minutes(1))) struct ShardGroupTests {
    private func start(_ count: Int, _ transports: [Transport] = [.udp], store: (Int) -> StoreSink? = { _ in nil }) throws
        -> ShardGroup<PartedProbe>
    {
        let addresses = transports.map { ListenAddress(transport: $0, endpoint: Endpoint(address: .loopback, port: 0)) }
        let group = try ShardGroup(count, on: BoundListeners(binding: addresses), .quiet) { PartedProbe(place: $0) }
        try group.start(name: "parted", store: store)
        return group
    }

    /// Asks until the answer is yes; a test's own time limit ends a wait in vain.
    private func until(_ condition: () async throws -> Bool) async throws {
        while try await !condition() { try await Task.sleep(for: .milliseconds(2)) }
    }

    @Test(arguments: [1, 2, 4]) func eachMessageIsAnsweredByItsShardOnce(count: Int) async throws {
        let group = try start(count)
        let peer = TestSocket.datagram()
        var answers: [String] = []
        for round in 0..<10 {
            for i in 0..<100 { peer.send("to \(i % count) \(round * 100 + i)", to: group.listeners[0].local) }
            for _ in 0..<100 { answers.append(try #require(peer.receive())) }
        }
        #expect(Set(answers) == Set((0..<1000).map { "\($0 % 100 % count) \($0)" }))
        let counters = await group.counters()
        #expect(counters.received(over: .udp).messages == 1000)
        #expect(counters.sentByKind.map(\.messages).reduce(0, +) == 1000)
        // All of them are in one trace, each under a number of its own.
        #expect(await group.withTrace { $0.nextSequence } == 2001)
        await group.stop()
    }

    @Test(arguments: [2, 4]) func whatComesBackFindsItsShard(count: Int) async throws {
        let group = try start(count)
        let peer = TestSocket.datagram()
        for i in 0..<200 { peer.send("ask \(i)", to: group.listeners[0].local) }
        var answers = Set<String>()
        for _ in 0..<200 { answers.insert(try #require(peer.receive())) }
        #expect(answers == Set((0..<200).map { "answered \($0)" }))
        await group.stop()
    }

    @Test func whoWaitsForTheTraceIsWokenByAnyShard() async throws {
        let group = try start(4)
        let peer = TestSocket.datagram()
        for target in 0..<4 {
            let before = await group.withTrace { $0.nextSequence - 1 }
            async let isThere = group.waitForMessages(after: before + 1, until: .distantFuture)
            peer.send("to \(target) x", to: group.listeners[0].local)
            #expect(await isThere)
            #expect(peer.receive() == "\(target) x")
        }
        await group.stop()
    }

    @Test func aReportGoesToTheShardThatSent() async throws {
        let group = try start(4)
        let nobody = TestSocket.datagram()
        let flow = Flow(transport: .udp, listener: 0, remote: nobody.local)
        nobody.close()
        group.post { node, _, effects in node.send("hello?", over: flow, transaction: UInt64(node.place.number) + 1, into: &effects) }
        try await until { await group.perform { node, _, _ in node.failed }.allSatisfy { !$0.isEmpty } }
        #expect(await group.perform { node, _, _ in node.failed } == [[1], [2], [3], [4]])
        await group.stop()
    }

    @Test func everyShardSendsOnStreams() async throws {
        let group = try start(3, [.udp, .tcp])
        let peer = try #require(TestSocket.stream(to: group.listeners[1].local))
        for target in 0..<3 {
            let body = "to \(target) \(target * 11)"
            peer.write("MESSAGE sip:h SIP/2.0\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
            let expected = "\(target) \(target * 11)"
            #expect(peer.read(expected.utf8.count) == expected)
        }
        // One that cannot be opened is told to the shard that wanted it.
        let nobody = TestSocket.listening()
        let flow = Flow(transport: .tcp, listener: 1, remote: nobody.local)
        nobody.close()
        group.post { node, _, effects in
            if node.place.number == 2 { node.send("hello?", over: flow, transaction: 7, into: &effects) }
        }
        try await until { await group.perform { node, _, _ in node.failed }[2] == [7] }
        peer.close()
        try await until { await group.perform { node, _, _ in node.closed } == [1, 1, 1] }
        await group.stop()
    }

    @Test func aFailureOfTheStoreIsEverybodys() async throws {
        let group = try start(3) { _ in { _, _, _ in } }
        group.post { node, _, effects in
            guard node.place.number != 2 else { return }
            let key: [UInt8] = [node.place.number]
            effects.store.put(table: 1, key: key.span.bytes, value: key.span.bytes, ticket: 1)
        }
        group.committed(shard: 0, upTo: 1, succeeded: true)
        group.committed(shard: 1, upTo: 1, succeeded: false)
        try await until { await group.perform { node, _, _ in node.committed.count } == [2, 1, 1] }
        #expect(await group.perform { node, _, _ in node.committed } == [[true, false], [false], [false]])
        await group.stop()
    }

    @Test func theGroupEndsInOrderUnderLoad() async throws {
        let group = try start(4)
        let peer = TestSocket.datagram()
        for i in 0..<500 { peer.send("to \(i % 4) \(i)", to: group.listeners[0].local) }
        await group.stop()
        await group.stop()
        #expect(await group.perform { node, _, _ in node.place.number } == [0, 1, 2, 3])
    }
}

@Suite struct HandOverBoxTests {
    private func handOver(_ text: String, _ purpose: HandOver.Purpose = .arrival, to target: UInt8 = 1, in wire: inout Wire) {
        let start = wire.bytes.count
        wire.bytes.append(Array(text.utf8))
        wire.handOver(HandOver(purpose, from: 0, to: target), from: start)
    }

    @Test func aBatchKeepsItsOrderAndLeavesOutOthers() {
        let box = HandOverBox()
        var wire = Wire()
        handOver("one", to: 1, in: &wire)
        handOver("other", to: 2, in: &wire)
        handOver("two", to: 1, in: &wire)
        #expect(box.post(wire.handOvers, in: wire.bytes, to: 1).isFirst)
        #expect(!box.post(wire.handOvers, in: wire.bytes, to: 1).isFirst)
        #expect(!box.post(wire.handOvers, in: wire.bytes, to: 3).isFirst)
        var batch = HandOverBox.Batch()
        box.takeAll(into: &batch)
        let texts = batch.entries.map { String(octets: batch.octets.bytes(from: $0.start, count: $0.count)) }
        #expect(texts == ["one", "two", "one", "two"])
    }

    @Test func aFullBoxRefusesOnlyWhatIsFreshFromTheNetwork() {
        let box = HandOverBox()
        var wire = Wire()
        handOver(String(repeating: "x", count: 1 << 20), in: &wire)
        var lost = 0
        for _ in 0..<20 { lost += box.post(wire.handOvers, in: wire.bytes, to: 1).lost.count }
        #expect(lost == 3)
        wire.removeAll()
        handOver("under way", .response, in: &wire)
        #expect(box.post(wire.handOvers, in: wire.bytes, to: 1).lost.isEmpty)
    }

    @Test func aClosedBoxTakesNothing() {
        let box = HandOverBox()
        var wire = Wire()
        handOver("late", .response, in: &wire)
        box.close()
        let (isFirst, lost) = box.post(wire.handOvers, in: wire.bytes, to: 1)
        #expect(!isFirst && lost.count == 1)
    }
}
