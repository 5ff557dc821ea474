import SIPRegistrar
import SansIO
import Testing

@Suite struct FlowTests {
    @Test func `knows who alone is on a flow`() {
        let rig = RegistrarRig()
        #expect(rig.soleSubscriber(on: .udp(1)) == nil)
        rig.register(["Contact: <sip:a@h.test>, <sip:b@h.test>"], subscriber: 5)
        #expect(rig.soleSubscriber(on: .udp(1)) == 5)
        #expect(rig.soleSubscriber(on: .udp(2)) == nil)
        rig.register(["Contact: <sip:a@h.test>"], subscriber: 900_000)
        #expect(rig.soleSubscriber(on: .udp(1)) == nil)
        #expect(rig.subscriberCount(on: .udp(1)) == 2)
        rig.register(["Contact: *", "Expires: 0"], cseq: 2, subscriber: 5)
        #expect(rig.soleSubscriber(on: .udp(1)) == 900_000)
        #expect(rig.hasBinding(of: 900_000, on: .udp(1)))
        #expect(!rig.hasBinding(of: 5, on: .udp(1)))
    }

    @Test func `follows a contact that moves to another flow`() {
        let rig = RegistrarRig()
        rig.register(["Contact: <sip:a@h.test>"], over: .tcp(1))
        rig.register(["Contact: <sip:a@h.test>"], cseq: 2, over: .tcp(2))
        #expect(rig.subscriberCount(on: .tcp(1)) == 0)
        #expect(rig.soleSubscriber(on: .tcp(2)) == 7)
    }

    @Test func `knows which flows their users keep alive`() {
        let contact = "Contact: <sip:a@h.test>;+sip.instance=\"<urn:1>\";reg-id=1"
        let rig = RegistrarRig()
        #expect(!rig.isKeptAliveByUser(.tcp(1)))
        rig.register([contact, "Supported: outbound"], over: .tcp(1))
        #expect(rig.isKeptAliveByUser(.tcp(1)))
        rig.register([contact, "Supported: outbound"], subscriber: 8, over: .tcp(1))
        #expect(!rig.isKeptAliveByUser(.tcp(1)))
        // Not one that a proxy keeps, and not one on which a contact knows nothing of flows.
        rig.register([contact, "Supported: outbound, path", "Path: <sip:edge.test;lr;ob>"], subscriber: 9, over: .tcp(2))
        rig.register(["Contact: <sip:a@h.test>"], subscriber: 10, over: .tcp(3))
        #expect(!rig.isKeptAliveByUser(.tcp(2)) && !rig.isKeptAliveByUser(.tcp(3)))
        rig.register([contact, "Supported: outbound"], cseq: 2, subscriber: 10, over: .tcp(4))
        #expect(rig.isKeptAliveByUser(.tcp(4)) && !rig.isKeptAliveByUser(.tcp(3)))
    }

    @Test func `does not take two streams yet to be opened for the same`() {
        let rig = RegistrarRig()
        rig.register(["Contact: <sip:a@h.test>"], over: .tcp(0))
        #expect(rig.subscriberCount(on: .tcp(0)) == 0)
        #expect(rig.isRegistered(7))
    }

    @Test func `counts many subscribers behind one address`() {
        let rig = RegistrarRig(maximumBindings: 20_000)
        for subscriber in 0..<10_000 { rig.register(["Contact: <sip:a@h.test>"], subscriber: UInt32(subscriber)) }
        #expect(rig.subscriberCount(on: .udp(1)) == 10_000)
        for subscriber in 0..<9_999 {
            rig.register(["Contact: <sip:a@h.test>;expires=0"], cseq: 2, subscriber: UInt32(subscriber))
        }
        #expect(rig.soleSubscriber(on: .udp(1)) == 9_999)
    }
}
