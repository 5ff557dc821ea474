import SIPTrace
import SansIO
import Testing

@Suite struct TraceRingTests {
    private let local = Endpoint(address: .loopback, port: 5060)
    private let flow = Flow(
        transport: .tcp, listener: 1, connection: 7, remote: Endpoint(address: IPAddress(high: 1, low: 2), port: 4711))

    /// All that a ring keeps, as the test macros can take it apart.
    private struct Kept {
        var first: UInt64
        var next: UInt64
        var records: [TraceRecord] = []
        var octets: [[UInt8]] = []

        init(_ ring: borrowing TraceRing) {
            first = ring.firstSequence
            next = ring.nextSequence
            for sequence in first..<next {
                if let record = ring.record(sequence) { records.append(record) }
                octets.append([UInt8](ring.octets(of: sequence)))
            }
        }
    }

    @Test func keepsWhatWasRecorded() {
        var ring = TraceRing()
        ring.record(([1, 2, 3] as [UInt8]).span.bytes, .incoming, over: flow, local: local, at: WallTime(microseconds: 5))
        ring.record(([9] as [UInt8]).span.bytes, .outgoing, over: flow, local: local, at: WallTime(microseconds: 6))
        let kept = Kept(ring)
        #expect(kept.first == 1)
        #expect(kept.octets == [[1, 2, 3], [9]])
        #expect(kept.records.map(\.time.microseconds) == [5, 6])
        #expect(kept.records.map(\.direction) == [.incoming, .outgoing])
        #expect(kept.records.map(\.count) == [3, 1])
        #expect(kept.records.allSatisfy { $0.remote == flow.remote && $0.local == local })
        #expect(kept.records.allSatisfy { $0.connection == 7 && $0.transport == .tcp })
    }

    @Test func keepsWhatAFaultDid() {
        var ring = TraceRing()
        for mark in TraceMark.allCases {
            ring.record(([1] as [UInt8]).span.bytes, .incoming, over: flow, local: local, at: WallTime(microseconds: 5), mark: mark)
        }
        let kept = Kept(ring)
        #expect(kept.records.map(\.mark) == TraceMark.allCases)
        #expect(TraceMark.allCases.compactMap(\.word) == TraceMark.allCases.dropFirst().map { "\($0)" })
        #expect(TraceMark.allCases.compactMap { $0.word.flatMap { TraceMark(word: $0) } } == Array(TraceMark.allCases.dropFirst()))
        #expect(TraceMark(word: "none") == nil)
    }

    @Test func whatIsNotKeptIsNil() {
        var ring = TraceRing(messageLimit: 1)
        for i in 1...3 as ClosedRange<UInt8> { record([i], in: &ring) }
        let records = [0, 1, 2, 3, 4, .max].map { ring.record($0) }
        #expect(records.map { $0 != nil } == [false, false, false, true, false, false])
        let octets = [2, 4].map { ring.octets(of: $0).byteCount }
        #expect(octets == [0, 0])
    }

    @Test func aRecordIsOneCacheLine() {
        #expect(MemoryLayout<TraceRecord>.stride == 64)
    }

    @Test func theOldestGoWhenThereAreTooMany() {
        var ring = TraceRing(messageLimit: 3)
        for i in 1...5 as ClosedRange<UInt8> { record([i], in: &ring) }
        let kept = Kept(ring)
        #expect(kept.first == 3)
        #expect(kept.octets == [[3], [4], [5]])
    }

    @Test func theOldestGoWhenTheirOctetsAreTooMany() {
        var ring = TraceRing(messageLimit: 100, octetLimit: 1 << 16)
        for i in 1...10 as ClosedRange<UInt8> { record([UInt8](repeating: i, count: 20_000), in: &ring) }
        let kept = Kept(ring)
        #expect(kept.octets == (kept.first...10).map { [UInt8](repeating: UInt8($0), count: 20_000) })
        #expect(kept.first == 10, "three fill the only chunk, which is then begun anew")
    }

    @Test func asManyAreKeptAsThereMayBeIfTheirOctetsAllow() {
        var ring = TraceRing(messageLimit: 50, octetLimit: 4 << 20)
        for i in 0..<1000 { record([UInt8](repeating: UInt8(truncatingIfNeeded: i), count: i % 7 == 0 ? 60_000 : 300), in: &ring) }
        #expect(Kept(ring).octets.count == 50)
    }

    @Test func chunksThatAreFilledToTheLastOctet() {
        var ring = TraceRing(messageLimit: 1000, octetLimit: 1 << 18)
        for i in 0..<1000 {
            record([UInt8](repeating: UInt8(truncatingIfNeeded: i), count: i % 3 == 2 ? 0 : 1 << 15), in: &ring)
            let kept = Kept(ring)
            #expect(kept.octets.count >= min(i + 1, 6))
            #expect(kept.octets.last?.first == (i % 3 == 2 ? nil : UInt8(truncatingIfNeeded: i)))
        }
    }

    @Test func aMessageOverTheLimitIsCut() {
        var ring = TraceRing(messageLimit: 2, octetLimit: 1)
        record([UInt8](repeating: 1, count: 70_000), in: &ring)
        #expect(Kept(ring).octets == [[UInt8](repeating: 1, count: 1 << 16)])
    }

    @Test func withoutMessagesNothingIsRecorded() {
        var ring = TraceRing(messageLimit: 0)
        record([1], in: &ring)
        let isRecording = ring.isRecording
        #expect(!isRecording)
        #expect(Kept(ring).next == 1)
    }

    @Test func aResetStartsAtOneAgain() {
        var ring = TraceRing(messageLimit: 3)
        for i in 1...5 as ClosedRange<UInt8> { record([i], in: &ring) }
        ring.reset()
        #expect(Kept(ring).next == 1)
        record([7], in: &ring)
        #expect(Kept(ring).first == 1)
        #expect(Kept(ring).octets == [[7]])
    }

    /// Whatever the sizes: what is kept is whole, is the newest without a gap, is within the limits, and what the ring
    /// leaves unused is less than one of the largest messages in each chunk and the chunk that was freed last.
    @Test(arguments: 1...8 as ClosedRange<UInt64>) func agreesWithAList(seed: UInt64) {
        var random = RandomSource(seed: seed)
        var ring = TraceRing(messageLimit: 40, octetLimit: 1 << 18)
        var all: [[UInt8]] = []
        for i in 0..<600 {
            let largest = [0, 10, 600, 9000, 30_000].randomElement(using: &random) ?? 0
            let message = [UInt8](repeating: UInt8(truncatingIfNeeded: i), count: Int.random(in: 0...largest, using: &random))
            all.append(message)
            record(message, in: &ring)
            guard i % 5 == 0 else { continue }
            let kept = Kept(ring)
            let total = kept.octets.reduce(0) { $0 + $1.count }
            #expect(kept.next == UInt64(all.count + 1))
            let isWhole = kept.octets == Array(all[Int(kept.first - 1)...])
            #expect(isWhole)
            #expect(kept.octets.count <= 40 && total <= 1 << 18)
            if kept.first > 1, kept.octets.count < 40 { #expect(total + 3 * 30_000 + 1 << 16 > 1 << 18) }
        }
    }

    private func record(_ octets: [UInt8], in ring: inout TraceRing) {
        ring.record(octets.span.bytes, .incoming, over: flow, local: local, at: WallTime(microseconds: 0))
    }
}
