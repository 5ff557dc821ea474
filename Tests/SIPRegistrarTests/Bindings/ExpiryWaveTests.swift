import SIPRegistrar
import SansIO
import Testing

@Suite struct ExpiryWaveTests {
    @Test func `many bindings that end at once are taken out in several calls`() throws {
        let rig = RegistrarRig(maximumBindings: 10_000)
        for user in 0..<3000 as Range<UInt32> {
            rig.register(["Contact: <sip:u\(user)@h.test>;expires=100"], callID: "c\(user)", subscriber: user, over: .udp(user))
        }
        rig.pass(200)
        var expired: [ExpiredBinding] = []
        var calls = 0
        while let deadline = rig.nextDeadline, deadline <= rig.now.monotonic, calls < 100 {
            let some = rig.advance()
            #expect(some.count <= 1024)
            expired += some
            calls += 1
            // Others are served in between.
            rig.register(["Contact: <sip:late@h.test>"], callID: "late", cseq: calls, subscriber: 5000)
        }
        #expect(expired.map(\.subscriber) == Array(0..<3000))
        #expect(calls > 2)
        #expect(rig.bindingCount == 1)
        #expect(try #require(rig.nextDeadline) > rig.now.monotonic)
    }

    @Test func `a registration takes little memory`() {
        let rig = RegistrarRig(maximumBindings: 10_000)
        let empty = rig.bytesAllocated
        for user in 0..<8000 as Range<UInt32> {
            let instance = "<urn:uuid:00000000-0000-1000-8000-00000000\(1000 + user)>"
            rig.register(
                ["Contact: <sip:u\(user)@192.0.2.1:5060>;+g.oma.sip-im;+sip.instance=\"\(instance)\""], callID: "\(user)@192.0.2.1",
                subscriber: user, over: .udp(user))
        }
        // With an address of its own for each, which costs some 60 octets.
        #expect((rig.bytesAllocated - empty) / 8000 < 450)
    }
}
