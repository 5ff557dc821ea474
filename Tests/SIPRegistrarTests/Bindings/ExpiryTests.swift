import SIPRegistrar
import SansIO
import Testing

@Suite struct ExpiryTests {
    @Test func `reports each binding whose time is over, and the last one as such`() {
        let rig = RegistrarRig()
        rig.register(["Contact: <sip:a@h.test>;expires=100, <sip:b@h.test>;expires=200"], device: 4)
        #expect(rig.advance().isEmpty)
        rig.pass(100)
        #expect(rig.advance() == [ExpiredBinding(subscriber: 7, device: 4, isLast: false)])
        #expect(rig.contacts() == ["<sip:b@h.test>;expires=100"])
        rig.pass(100)
        #expect(rig.advance() == [ExpiredBinding(subscriber: 7, device: 4, isLast: true)])
        #expect(!rig.isRegistered(7))
        #expect(rig.soleSubscriber(on: .udp(1)) == nil)
        #expect(rig.nextDeadline == nil)
        #expect(rig.bytesKept == 0)
    }

    @Test func `waits for a refreshed binding, and not too long for a shortened one`() throws {
        let rig = RegistrarRig()
        rig.register(["Contact: <sip:a@h.test>;expires=100"])
        rig.pass(50)
        rig.register(["Contact: <sip:a@h.test>;expires=300"], cseq: 2)
        rig.pass(299)
        #expect(rig.advance().isEmpty)
        #expect(try #require(rig.nextDeadline) <= rig.now.monotonic + .seconds(1))
        rig.register(["Contact: <sip:a@h.test>;expires=5000"], cseq: 3)
        rig.register(["Contact: <sip:a@h.test>;expires=60"], cseq: 4)
        rig.pass(59)
        #expect(rig.advance().isEmpty)
        rig.pass(1)
        #expect(rig.advance().count == 1)
    }

    @Test func `takes a binding whose time is over for gone, reported or not`() throws {
        let rig = RegistrarRig()
        rig.register(["Contact: <sip:a@h.test>;expires=100"], cseq: 9)
        rig.pass(100)
        #expect(rig.contacts().isEmpty)
        #expect(rig.register(["Contact: <sip:a@h.test>;expires=0"], cseq: 10).refusal?.status == 481)
        let change = try #require(rig.register(["Contact: <sip:a@h.test>"], cseq: 1).change)
        #expect(change.kind == .initial)
        #expect(change.added == 1)
        #expect(rig.advance().isEmpty)
        #expect(rig.contacts().count == 1)
    }

    @Test func `removes a binding by its number once`() throws {
        let rig = RegistrarRig()
        rig.register(["Contact: <sip:a@h.test>, <sip:b@h.test>"])
        let ids = rig.bindings().map(\.id)
        #expect(rig.remove(ids[0]) != nil)
        #expect(rig.remove(ids[0]) == nil)
        #expect(!rig.contains(ids[0]))
        #expect(rig.binding(ids[0]) == nil)
        #expect(rig.binding(ids[1])?.uri == "sip:b@h.test")
        #expect(rig.removeAll(of: 7) != nil)
        #expect(rig.removeAll(of: 7) == nil)
        #expect(rig.nextDeadline == nil)
    }

    @Test func `forgets everything`() {
        let rig = RegistrarRig(keepsUndo: true)
        rig.register(["Contact: <sip:a@h.test>"])
        rig.registrar.reset(at: rig.now.monotonic)
        #expect(!rig.isRegistered(7))
        #expect(rig.bindingCount == 0)
        #expect(rig.unconfirmedCount == 0)
        #expect(rig.nextDeadline == nil)
        #expect(rig.register(["Contact: <sip:a@h.test>"]).change?.kind == .initial)
        #expect(rig.soleSubscriber(on: .udp(1)) == 7)
    }
}
