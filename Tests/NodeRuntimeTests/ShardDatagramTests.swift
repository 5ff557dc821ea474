import Dispatch
import Glibc
import SIPTrace
import SansIO
import Synchronization
import Testing

@testable import NodeRuntime

@Suite(.timeLimit(.minutes(1))) struct ShardDatagramTests {
    @Test(arguments: [IPAddress.loopback, IPAddress(high: 0, low: 1)]) func answersOverTheFlowOfARequest(address: IPAddress) async throws {
        let shard = try startProbe(at: address)
        let listener = shard.listeners[0]
        #expect(listener.local.port != 0)
        let peer = TestSocket.datagram(address)
        peer.send("echo hello", to: listener.local)
        #expect(peer.receive() == "hello")
        let flow = Flow(transport: .udp, listener: 0, remote: peer.local)
        #expect(await shard.events() == [.received("echo hello", flow)])
        await shard.stop()
    }

    @Test func manyDatagramsAreAllAnswered() async throws {
        let shard = try startProbe()
        let peer = TestSocket.datagram()
        var answers = Set<String>()
        for round in 0..<10 {
            for i in 0..<150 { peer.send("echo \(round * 150 + i)", to: shard.listeners[0].local) }
            for _ in 0..<150 { answers.insert(try #require(peer.receive())) }
        }
        #expect(answers == Set((0..<1500).map(String.init)))
        let counters = await shard.counters()
        #expect(counters.received(over: .udp).messages == 1500)
        #expect(counters.sent(over: .udp).messages == 1500)
        #expect(counters.sentByKind.map(\.messages) == [1500])
        #expect(counters.sentByKind.map(\.method) == [3])
        await shard.stop()
    }

    @Test func theLargestDatagram() async throws {
        let shard = try startProbe()
        let peer = TestSocket.datagram()
        let text = String(repeating: "x", count: 65_507 - 5)
        peer.send("echo " + text, to: shard.listeners[0].local)
        #expect(peer.receive() == text)
        await shard.stop()
    }

    @Test func anEmptyDatagramIsCounted() async throws {
        let shard = try startProbe()
        TestSocket.datagram().send("", to: shard.listeners[0].local)
        let events = try await shard.until { $1.dropped(.emptyDatagram) == 1 }
        #expect(events == [])
        await shard.stop()
    }

    @Test func aPortInUseIsNoticed() throws {
        let peer = TestSocket.datagram()
        let taken = ListenAddress(transport: .udp, endpoint: peer.local)
        let failure = #expect(throws: BindFailure.self) { _ = try BoundListeners(binding: [taken]) }
        #expect(failure?.address == taken)
        #expect(failure?.description == "cannot listen on udp://\(peer.local.text): Address already in use")
    }

    @Test func aStreamPortInUseIsNoticed() throws {
        let peer = TestSocket.listening()
        #expect(throws: BindFailure.self) {
            _ = try BoundListeners(binding: [ListenAddress(transport: .tcp, endpoint: peer.local)])
        }
    }

    @Test func anAdvertisedAddressHasTheRealPort() throws {
        let advertised = IPAddress(v4: 0xC000_0207)
        let address = ListenAddress(transport: .udp, endpoint: Endpoint(address: .loopback, port: 0), advertised: advertised)
        let bound = try BoundListeners(binding: [address])
        let listener = bound.listeners[0]
        #expect(listener.advertised == Endpoint(address: advertised, port: listener.local.port))
        #expect(listener.local.address == .loopback)
    }

    @Test func aClosedPortFailsItsTransactions() async throws {
        let shard = try startProbe()
        let gone = TestSocket.datagram()
        let flow = Flow(transport: .udp, listener: 0, remote: gone.local)
        gone.close()
        for transaction in [7, 8] as [UInt64] { shard.send("x", over: flow, transaction: transaction) }
        shard.send("y", over: flow)
        let events = try await shard.until { $0.count >= 2 && $1.dropped(.datagramRefused) >= 2 }
        #expect(Set(events) == [.failed(7, flow), .failed(8, flow)])
        await shard.stop()
    }

    @Test func aDatagramTooLargeFails() async throws {
        let shard = try startProbe()
        let flow = Flow(transport: .udp, listener: 0, remote: Endpoint(address: .loopback, port: 9))
        shard.send(String(repeating: "x", count: 65_508), over: flow, transaction: 5)
        let events = try await shard.until { !$0.isEmpty && $1.dropped(.datagramTooLarge) >= 1 }
        #expect(events == [.failed(5, flow)])
        await shard.stop()
    }

    @Test func aFlowWithoutListenerFails() async throws {
        let shard = try startProbe()
        let flow = Flow(transport: .udp, listener: 3, remote: Endpoint(address: .loopback, port: 9))
        shard.send("x", over: flow, transaction: 5)
        _ = try await shard.until { events, counters in events == [.failed(5, flow)] && counters.dropped(.noListener) == 1 }
        await shard.stop()
    }

    @Test func timersFireWithoutTraffic() async throws {
        let shard = try startProbe()
        shard.post { node, now, _ in node.deadline = now.monotonic + .milliseconds(20) }
        #expect(try await shard.until { events, _ in !events.isEmpty } == [.advanced])
        await shard.stop()
    }

    @Test func theTraceHasBothDirections() async throws {
        let shard = try startProbe()
        let peer = TestSocket.datagram()
        async let isThere = shard.waitForMessages(after: 1, until: SystemClock.now.monotonic + .seconds(20))
        peer.send("echo hello", to: shard.listeners[0].local)
        #expect(await isThere)
        let texts = await shard.withTrace { trace in [1, 2].map { String(octets: trace.octets(of: $0)) } }
        #expect(texts == ["echo hello", "hello"])
        let records = await shard.withTrace { trace in [1, 2].compactMap { trace.record($0) } }
        #expect(records.map(\.direction) == [.incoming, .outgoing])
        #expect(records.map(\.remote) == [peer.local, peer.local])
        #expect(records.map(\.local) == [shard.listeners[0].local, shard.listeners[0].local])
        await shard.stop()
    }

    @Test func aWaitInVainEnds() async throws {
        let shard = try startProbe()
        #expect(await !shard.waitForMessages(after: 0, until: SystemClock.now.monotonic + .milliseconds(5)))
        let cancelled = Task { await shard.waitForMessages(after: 0, until: .distantFuture) }
        cancelled.cancel()
        #expect(await !cancelled.value)
        let stopped = Task { await shard.waitForMessages(after: 0, until: .distantFuture) }
        try await Task.sleep(for: .milliseconds(5))
        await shard.stop()
        #expect(await !stopped.value)
    }

    @Test func withoutStoreAChangeIsCommittedAtOnce() async throws {
        let shard = try startProbe()
        shard.post { _, _, effects in
            effects.store.remove(table: 1, key: RawSpan(), ticket: 3)
            effects.store.remove(table: 1, key: RawSpan(), ticket: 4)
        }
        #expect(try await shard.until { events, _ in !events.isEmpty } == [.committed(4, true)])
        await shard.stop()
    }

    @Test func theStoreIsAwaitedAtTheEnd() async throws {
        let handed = Mutex<(changes: [StoreChange], octets: [UInt8])>(([], []))
        let shard = try startProbe(store: { changes, octets, _ in handed.withLock { $0 = (changes, octets) } })
        shard.post { _, _, effects in
            effects.store.put(
                table: 2, key: ([1, 2] as [UInt8]).span.bytes, value: ([3] as [UInt8]).span.bytes, ticket: 9)
        }
        _ = await shard.events()
        async let stopped: Void = shard.stop()
        try await Task.sleep(for: .milliseconds(20))
        #expect(await shard.events() == [])
        shard.committed(upTo: 9, succeeded: false)
        await stopped
        #expect(await shard.events() == [.committed(9, false)])
        let (changes, octets) = handed.withLock { $0 }
        #expect(changes.map(\.ticket) == [9])
        #expect(octets == [1, 2, 3])
    }

    @Test func changesMadeInIgnoranceOfALossAreNotStored() async throws {
        let handed = Mutex<[[UInt64]]>([])
        let shard = try startProbe(store: { changes, _, failures in handed.withLock { $0.append([failures] + changes.map(\.ticket)) } })
        @Sendable func change(_ effects: inout Effects, _ ticket: UInt64) { effects.store.remove(table: 1, key: RawSpan(), ticket: ticket) }
        shard.post { _, _, effects in change(&effects, 1) }
        _ = await shard.events()
        // The shard is held until these letters all wait for it, so that it reads them in one tick.
        let hold = DispatchSemaphore(value: 0)
        shard.post { _, _, _ in hold.wait() }
        shard.post { _, _, effects in change(&effects, 2) }
        shard.committed(upTo: 1, succeeded: false)
        shard.post { _, _, effects in change(&effects, 3) }
        hold.signal()
        _ = await shard.events()
        shard.committed(upTo: 3, succeeded: true)
        await shard.stop()
        #expect(handed.withLock { $0 } == [[0, 1], [1, 3]])
    }

    @Test func afterItsEndACoreCanStillBeAsked() async throws {
        let shard = try startProbe()
        shard.post { node, _, _ in node.events.append(.advanced) }
        await shard.stop()
        await shard.stop()
        #expect(await shard.events() == [.advanced])
        #expect(await !shard.waitForMessages(after: 0, until: .distantFuture))
        #expect(TestSocket.datagram().local.port != 0)
    }
}
