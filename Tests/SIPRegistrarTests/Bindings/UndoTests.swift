import SIPRegistrar
import SansIO
import Testing

@Suite struct UndoTests {
    @Test func `takes a change back`() throws {
        let rig = RegistrarRig(keepsUndo: true)
        let first = try #require(rig.register(["Contact: <sip:a@h.test>, <sip:b@h.test>"]).change)
        rig.registrar.confirm(first.token)
        let second = try #require(rig.register(["Contact: <sip:c@h.test>"], cseq: 2, over: .udp(2)).change)
        #expect(rig.contacts().count == 1)
        rig.registrar.undo(second.token)
        #expect(rig.contacts() == ["<sip:a@h.test>;expires=3600", "<sip:b@h.test>;expires=3600"])
        #expect(rig.soleSubscriber(on: .udp(1)) == 7)
        #expect(rig.subscriberCount(on: .udp(2)) == 0)
        #expect(rig.unconfirmedCount == 0)
        // What was undone never was: the same request is no older than the binding.
        #expect(rig.register(["Contact: <sip:c@h.test>"], cseq: 2).change != nil)
    }

    @Test(arguments: [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]])
    func `takes changes back in any order`(order: [Int]) throws {
        let rig = RegistrarRig(keepsUndo: true)
        rig.registrar.confirm(try #require(rig.register(["Contact: <sip:a@h.test>;expires=100"]).change).token)
        var tokens: [ChangeToken] = []
        for i in 0..<3 {
            let change = try #require(rig.register(["Contact: <sip:a@h.test>;expires=\(200 + i);n=\(i)"], cseq: 2 + i).change)
            tokens.append(change.token)
        }
        for i in order { rig.registrar.undo(tokens[i]) }
        #expect(rig.contacts() == ["<sip:a@h.test>;expires=100"])
        #expect(rig.unconfirmedCount == 0)
        rig.register(["Contact: *", "Expires: 0"], cseq: 9).change.map { rig.registrar.confirm($0.token) }
        #expect(rig.bytesKept == 0)
    }

    @Test func `lets a later change stand while it is not confirmed`() throws {
        let rig = RegistrarRig(keepsUndo: true)
        let first = try #require(rig.register(["Contact: <sip:a@h.test>"]).change)
        let second = try #require(rig.register(["Contact: <sip:b@h.test>"], cseq: 2).change)
        rig.registrar.undo(first.token)
        #expect(rig.contacts() == ["<sip:b@h.test>;expires=3600"])
        rig.registrar.undo(second.token)
        #expect(!rig.isRegistered(7))
        #expect(rig.bytesKept == 0)
    }

    @Test func `brings back what the network removed`() throws {
        let rig = RegistrarRig(keepsUndo: true)
        rig.registrar.confirm(try #require(rig.register(["Contact: <sip:a@h.test>"]).change).token)
        let token = try #require(rig.removeAll(of: 7))
        #expect(!rig.isRegistered(7))
        rig.registrar.undo(token)
        #expect(rig.contacts().count == 1)
        rig.registrar.undo(token)
        #expect(rig.contacts().count == 1)
    }

    @Test func `reports a binding that expired while its change was open`() throws {
        let rig = RegistrarRig(keepsUndo: true)
        rig.registrar.confirm(try #require(rig.register(["Contact: <sip:a@h.test>;expires=60"]).change).token)
        let change = try #require(rig.register(["Contact: <sip:a@h.test>;expires=600"], cseq: 2).change)
        rig.pass(60)
        #expect(rig.advance().isEmpty)
        rig.registrar.undo(change.token)
        rig.pass(1)
        #expect(rig.advance() == [ExpiredBinding(subscriber: 7, device: 0, isLast: true)])
    }

    @Test func `keeps nothing unless asked`() throws {
        let rig = RegistrarRig()
        let change = try #require(rig.register(["Contact: <sip:a@h.test>"]).change)
        #expect(change.token.isNone)
        rig.registrar.undo(change.token)
        #expect(rig.isRegistered(7))
    }
}
