import SIPRegistrar
import SansIO
import Testing

@Suite struct BindingRecordTests {
    private func registered() -> RegistrarRig {
        let rig = RegistrarRig(.rfc3261)
        rig.register(
            [
                "Contact: <sip:a@h.test>;expires=100;q=0.5;+sip.instance=\"<urn:1>\", <sip:b@[2001:db8::1]>;expires=1000",
                "Path: <sip:p.test;lr>", "P-Visited-Network-ID: v",
            ], cseq: 3, device: 2)
        rig.register(["Contact: <sip:c@h.test>;expires=500"], callID: "two", over: .tcp(9))
        return rig
    }

    @Test func `is read back by another registrar`() {
        let rig = registered()
        let record = rig.record()
        let other = RegistrarRig(.rfc3261)
        other.now = Now(monotonic: Instant(nanoseconds: 77), wall: rig.now.wall + .seconds(30))
        #expect(other.restore(record, of: 12))
        #expect(
            other.contacts(of: 12) == [
                "<sip:a@h.test>;q=0.5;+sip.instance=\"<urn:1>\";expires=70", "<sip:b@[2001:db8::1]>;expires=970",
                "<sip:c@h.test>;expires=470",
            ])
        #expect(other.soleSubscriber(on: .udp(1)) == 12)
        #expect(!other.hasBinding(of: 12, on: .tcp(9)))
        for binding in other.bindings(of: 12) where binding.device == 2 {
            #expect(binding.path == "<sip:p.test;lr>")
            #expect(binding.visitedNetworkID == "v")
            #expect(binding.sequence == 3)
        }
        // The order of requests is still known.
        #expect(other.register(["Contact: <sip:c@h.test>"], callID: "two", cseq: 1, subscriber: 12).refusal?.status == 500)
    }

    @Test func `leaves out what a private identity registered that is not there any more`() {
        let other = RegistrarRig(.rfc3261)
        #expect(other.restore(registered().record(), devices: 2))
        #expect(other.contacts() == ["<sip:c@h.test>;expires=500"])
    }

    @Test func `of nobody's bindings ends what is there`() {
        let rig = registered()
        #expect(rig.restore(Registrar.emptyRecord()))
        #expect(!rig.isRegistered() && rig.record() == Registrar.emptyRecord())
    }

    @Test func `knows what expired in between`() throws {
        let record = registered().record()
        let other = RegistrarRig()
        other.now.wall = other.now.wall + .seconds(500)
        let some = try #require(other.restored(record, of: 7))
        #expect(some.overdue.count == 2 && some.dropped == 0)
        #expect(other.contacts() == ["<sip:b@[2001:db8::1]>;expires=500"])
        other.now.wall = other.now.wall + .seconds(5000)
        #expect(try #require(other.restored(record, of: 7)).overdue.count == 3)
        #expect(!other.isRegistered(7))
    }

    @Test func `a binding that is refreshed before it is ended stays`() throws {
        let rig = RegistrarRig()
        rig.register(["Contact: <sip:a@h.test>"])
        let record = rig.record()
        rig.now.wall = rig.now.wall + .seconds(5000)
        let restored = try #require(rig.restored(record, left: true))
        let id = try #require(restored.overdue.first)
        rig.register(["Contact: <sip:a@h.test>"], cseq: 2)
        #expect(rig.expire(id) == nil)
        #expect(rig.contacts() == ["<sip:a@h.test>;expires=3600"])
    }

    @Test func `lasts no longer than was granted when the clock was set back`() {
        let rig = registered()
        let longest = rig.longestExpires()
        let record = rig.record()
        let other = RegistrarRig()
        other.now.wall = WallTime(seconds: 0)
        #expect(other.restore(record, of: 7))
        #expect(other.longestExpires() == longest)
    }

    @Test func `holds an empty list too`() {
        let rig = RegistrarRig()
        let record = rig.record()
        rig.register(["Contact: <sip:a@h.test>"])
        #expect(rig.restore(record, of: 7))
        #expect(!rig.isRegistered(7))
    }

    @Test func `is refused with any octet changed, or cut, or longer`() {
        let record = registered().record()
        let rig = RegistrarRig()
        rig.register(["Contact: <sip:z@h.test>"])
        for i in record.indices {
            var damaged = record
            damaged[i] ^= UInt8(1 << (i % 8))
            #expect(!rig.restore(damaged, of: 7))
            let cut = Array(record[..<i])
            #expect(!rig.restore(cut, of: 7))
        }
        #expect(!rig.restore(record + [0]))
        #expect(rig.contacts() == ["<sip:z@h.test>;expires=3600"])
    }
}
