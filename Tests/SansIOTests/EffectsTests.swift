import SansIO
import Testing

struct EffectsTests {
    private let flow = Flow(transport: .udp, listener: 0, remote: Endpoint(address: .loopback, port: 5060))

    @Test func transmissionsNameTheirOctets() {
        var wire = Wire()
        wire.bytes.append("unsent")
        let start = wire.bytes.count
        wire.bytes.append("first")
        wire.transmit(from: start, over: flow, transaction: 9, method: 2, status: 200)
        wire.transmit(copyOf: Array("again".utf8).span.bytes, over: flow)
        wire.close(connection: 4)
        #expect(wire.transmissions.map { text(of: $0, in: wire) } == ["first", "again"])
        #expect(wire.transmissions[0].transaction == 9 && wire.transmissions[0].method == 2 && wire.transmissions[0].status == 200)
        #expect(wire.closings == [4])
        wire.removeAll()
        #expect(wire.bytes.count == 0 && wire.transmissions.isEmpty && wire.closings.isEmpty)
    }

    private func text(of transmission: Transmission, in wire: borrowing Wire) -> String {
        String(octets: wire.bytes.bytes(from: transmission.start, count: transmission.count))
    }

    @Test func changesOfTheStoreKeepTheirOrder() {
        var store = StoreLane()
        store.put(table: 1, key: Array("k".utf8).span.bytes, value: Array("value".utf8).span.bytes, ticket: 1)
        store.remove(table: 2, key: Array("gone".utf8).span.bytes, ticket: 2)
        #expect(store.changes.map(\.isRemoval) == [false, true])
        #expect(store.changes.map(\.ticket) == [1, 2])
        let put = store.changes[0]
        #expect(String(octets: store.bytes.bytes(from: put.keyStart, count: put.keyCount)) == "k")
        #expect(String(octets: store.bytes.bytes(from: put.valueStart, count: put.valueCount)) == "value")
        let removal = store.changes[1]
        #expect(String(octets: store.bytes.bytes(from: removal.keyStart, count: removal.keyCount)) == "gone")
        store.removeAll()
        #expect(store.changes.isEmpty && store.bytes.count == 0)
    }
}
