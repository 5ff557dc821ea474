import SIPMessage
import SIPRegistrar
import SansIO
import Testing

/// Public and temporary GRUUs (RFC 5627).
@Suite struct GRUUTests {
    private static let instance = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
    private static let factory = GRUUFactory(secret: HashSecret(3, 4))
    private static let contact = "Contact: <sip:a@192.0.2.1>;+sip.instance=\"<\(instance)>\""

    /// The Contact fields with GRUUs.
    private func contacts(_ rig: RegistrarRig, of subscriber: UInt32 = 7) -> String {
        var buffer = OctetBuffer()
        let address = Array("sip:alice@home1.test".utf8)
        rig.registrar.appendContacts(
            of: subscriber, at: rig.now.monotonic, withGRUUsOf: address.span.bytes, identity: 2, by: GRUUTests.factory, into: &buffer)
        return String(octets: buffer.bytes)
    }

    private func gruu(_ name: String, in contacts: String) -> String {
        guard let start = contacts.firstRange(of: "\(name)=\"") else { return "none" }
        return String(contacts[start.upperBound...].prefix { $0 != "\"" })
    }

    private func temporary(_ rig: RegistrarRig) -> String { gruu("temp-gruu", in: contacts(rig)) }

    /// The instance that a GRUU stands for.
    private func instance(_ text: String, _ rig: RegistrarRig, of subscriber: UInt32 = 7) -> String? {
        let octets = Array(text.utf8)
        guard let uri = octets.span.bytes.uri(Slice(0, octets.count)) else { return "no URI" }
        return rig.registrar.instance(of: uri, in: octets.span.bytes, subscriber: subscriber, by: GRUUTests.factory)
            .map { String(decoding: $0, as: UTF8.self) }
    }

    @Test func `gives a contact with an instance both`() {
        let rig = RegistrarRig(.rfc3261)
        rig.register([GRUUTests.contact])
        rig.register(["Contact: <sip:b@192.0.2.2>"], callID: "other")
        let lines = contacts(rig).split(separator: "\r\n")
        #expect(lines.count == 2)
        #expect(gruu("pub-gruu", in: String(lines[0])) == "sip:alice@home1.test;gr=\(GRUUTests.instance)")
        let temporary = gruu("temp-gruu", in: String(lines[0]))
        #expect(temporary.hasPrefix("sip:tgruu."))
        #expect(temporary.hasSuffix("@home1.test;gr"))
        #expect(!temporary.contains("alice"))
        #expect(lines[1] == "Contact: <sip:b@192.0.2.2>;expires=3600")
    }

    @Test func `escapes what may not stand in a URI`() {
        let rig = RegistrarRig()
        rig.register(["Contact: <sip:a@192.0.2.1>;+sip.instance=\"<urn:x:a=b;c>\""])
        let gruu = gruu("pub-gruu", in: contacts(rig))
        #expect(gruu == "sip:alice@home1.test;gr=urn:x:a%3db%3bc")
        #expect(instance(gruu, rig) == "<urn:x:a=b;c>")
    }

    @Test func `finds the instance again`() {
        let rig = RegistrarRig()
        rig.register([GRUUTests.contact])
        let temporary = temporary(rig)
        for text in [
            temporary, "sip:alice@home1.test;gr=\(GRUUTests.instance)", "sip:alice@home1.test;gr=\(GRUUTests.instance.uppercased())",
        ] {
            #expect(instance(text, rig) == "<\(GRUUTests.instance)>")
        }
        #expect(instance("sip:alice@home1.test;gr=urn:uuid:other", rig) == nil)
        #expect(instance("sip:alice@home1.test;gr", rig) == nil)
        #expect(instance("sip:alice@home1.test", rig) == nil)
        #expect(instance(temporary, rig, of: 8) == nil)
    }

    @Test func `tells whose a temporary one is, and refuses any other`() {
        let rig = RegistrarRig()
        rig.register([GRUUTests.contact])
        let text = temporary(rig)
        let user = Array(text.dropFirst(4).prefix { $0 != "@" }.utf8)
        let content = GRUUTests.factory.temporary(user.span.bytes)
        #expect(content?.subscriber == 7)
        #expect(content?.identity == 2)
        for i in user.indices {
            var changed = user
            changed[i] = changed[i] == 0x30 ? 0x31 : 0x30
            let forged = "sip:\(String(decoding: changed, as: UTF8.self))@home1.test;gr"
            #expect(instance(forged, rig) == nil, "octet \(i)")
        }
        let other = GRUUFactory(secret: HashSecret(5, 6)).temporary(user.span.bytes)
        #expect(other?.subscriber != 7)
    }

    @Test func `keeps those of earlier refreshes, and drops all with the Call-ID`() {
        let rig = RegistrarRig()
        rig.register([GRUUTests.contact], cseq: 1)
        let first = temporary(rig)
        rig.register([GRUUTests.contact], cseq: 2)
        let second = temporary(rig)
        #expect(first != second)
        for text in [first, second] { #expect(instance(text, rig) != nil) }
        rig.register([GRUUTests.contact], callID: "new", cseq: 3)
        for text in [first, second] { #expect(instance(text, rig) == nil) }
        #expect(instance(temporary(rig), rig) != nil)
    }

    @Test func `drops all with the contact, even if it comes back under the same Call-ID`() {
        let rig = RegistrarRig()
        rig.register([GRUUTests.contact], cseq: 1)
        let text = temporary(rig)
        rig.register([GRUUTests.contact + ";expires=0"], cseq: 2)
        #expect(instance(text, rig) == nil)
        rig.register([GRUUTests.contact], cseq: 3)
        #expect(instance(text, rig) == nil)
        // A binding whose time is over, but which nobody has taken out yet, has ended as well.
        let later = temporary(rig)
        rig.pass(4000)
        rig.register([GRUUTests.contact], cseq: 4)
        #expect(instance(later, rig) == nil)
    }

    @Test func `outlives the process with its binding`() {
        let rig = RegistrarRig()
        rig.register([GRUUTests.contact], cseq: 5)
        rig.register([GRUUTests.contact], cseq: 6)
        let text = temporary(rig)
        let other = RegistrarRig()
        #expect(other.restore(rig.record()))
        #expect(instance(text, other) == "<\(GRUUTests.instance)>")
    }

    @Test func `refuses a contact that leads back to the address-of-record`() {
        let rig = RegistrarRig()
        func refusal(_ uri: String, _ lines: [String] = []) -> UInt16? {
            rig.register(["Contact: <\(uri)>;+sip.instance=\"<urn:x>\""] + lines).refusal?.status
        }
        #expect(refusal("sip:alice@home1.test;gr=urn:x") == 403)
        #expect(refusal("sip:tgruu.\(String(repeating: "0", count: 40))@home1.test;gr") == 403)
        #expect(refusal("sip:alice@home1.test", ["Supported: gruu"]) == 403)
        #expect(refusal("sip:alice@192.0.2.1;gr=urn:x", ["Supported: gruu"]) == nil)
    }

    @Test func `reads records of the first version`() {
        let rig = RegistrarRig()
        rig.register([GRUUTests.contact], cseq: 9)
        // Without the CSeq of the first REGISTER, and with the checksum of that version.
        var old = rig.record()
        old.removeSubrange((10 + 22)..<(10 + 26))
        old[0] = 1
        var hasher = KeyHasher(HashSecret(0, 1))
        let covered = Array(old[9...])
        hasher.combine(covered.span.bytes)
        let checksum = hasher.finish().low
        for i in 0..<8 { old[1 + i] = UInt8(truncatingIfNeeded: checksum >> UInt64(56 - 8 * i)) }
        let other = RegistrarRig()
        #expect(other.restore(old))
        #expect(other.contacts() == rig.contacts())
    }

    @Test func `limits what all contacts of a subscriber take`() {
        let rig = RegistrarRig(.rfc3261)
        let filler = String(repeating: "x", count: 6000)
        for i in 0..<5 { #expect(rig.register(["Contact: <sip:a\(i)@h.test>;y=\(filler)"], callID: "c\(i)").change != nil) }
        #expect(rig.register(["Contact: <sip:b@h.test>;y=\(filler)"], callID: "b").refusal?.status == 403)
        #expect(rig.register(["Contact: <sip:a0@h.test>;y=\(filler)"], callID: "c0", cseq: 2).change != nil)
        #expect(rig.register(["Contact: <sip:b@h.test>"], callID: "b").change != nil)
    }
}
