import SIPMessage
import SIPRegistrar
import SansIO
import Testing

/// REGISTER as RFC 3261 §10.3, TS 24.229 §5.4.1.2.2 and §5.4.1.4, RFC 3327 and RFC 5626 §6 have it.
@Suite struct RegisterTests {
    // MARK: Intervals

    @Test(arguments: [
        ([String](), 3600), (["Expires: 1200"], 1200), (["Expires: soon"], 3600), (["Expires: 99999999999999999999"], 600_000),
        (["Expires: 700000"], 600_000), (["Expires: 60"], 60),
    ])
    func `takes the interval from Expires, within its limits`(lines: [String], granted: Int) throws {
        let rig = RegistrarRig()
        let change = try #require(rig.register(["Contact: <sip:a@h.test>"] + lines).change)
        #expect(change.grantedExpires == UInt32(granted))
        #expect(rig.contacts() == ["<sip:a@h.test>;expires=\(granted)"])
    }

    @Test func `prefers the contact's own interval, even a malformed one`() {
        let rig = RegistrarRig()
        rig.register(["Contact: <sip:a@h.test>;expires=100, <sip:b@h.test>;expires=\"x\"", "Expires: 50"])
        #expect(rig.contacts() == ["<sip:a@h.test>;expires=100", "<sip:b@h.test>;expires=3600"])
    }

    @Test func `refuses an interval that is too brief, and nothing else of the request happens`() throws {
        let rig = RegistrarRig()
        let refusal = try #require(rig.register(["Contact: <sip:a@h.test>, <sip:b@h.test>;expires=59"]).refusal)
        #expect(refusal.status == 423)
        #expect(refusal.minimumExpires == 60)
        #expect(!rig.isRegistered(7))
    }

    @Test func `never refuses an hour`() {
        let settings = RegistrarSettings(minimumExpires: 7200)
        let rig = RegistrarRig()
        rig.registrar = Registrar(settings: settings, secret: HashSecret(1, 2), start: rig.now.monotonic)
        #expect(rig.register(["Contact: <sip:a@h.test>;expires=3600"]).change != nil)
        #expect(rig.register(["Contact: <sip:a@h.test>;expires=3599"], cseq: 2).refusal?.status == 423)
    }

    @Test func `counts the seconds down`() {
        let rig = RegistrarRig()
        rig.register(["Contact: <sip:a@h.test>;expires=100"])
        rig.now.monotonic = rig.now.monotonic + .milliseconds(30_500)
        #expect(rig.contacts() == ["<sip:a@h.test>;expires=70"])
    }

    // MARK: Fetching, wildcard

    @Test func `lists contacts for a request without one, and changes nothing`() {
        let rig = RegistrarRig()
        #expect(rig.register([]).isFetched)
        rig.register(["Contact: <sip:a@h.test>"])
        #expect(rig.register([], cseq: 2).isFetched)
        #expect(rig.contacts().count == 1)
    }

    @Test(arguments: [
        ["Contact: *"], ["Contact: *", "Expires: 10"], ["Contact: *, <sip:a@h.test>", "Expires: 0"],
        ["Contact: <sip:a@h.test>", "Contact: *", "Expires: 0"], ["Contact: *, *", "Expires: 0"], ["Contact:"], ["Contact: <sip:a@h.test"],
        ["Contact: sip:a@h.test, <mailto:>"], ["Contact: <sip:a@h.test>;q=2"], ["Contact: <sip:a@h.test>;q=0.1234"],
    ])
    func `refuses contacts that break the rules`(lines: [String]) {
        let rig = RegistrarRig()
        rig.register(["Contact: <sip:old@h.test>"])
        #expect(rig.register(lines, cseq: 2).refusal?.status == 400)
        #expect(rig.contacts() == ["<sip:old@h.test>;expires=3600"])
    }

    @Test func `removes what one private identity registered by a wildcard`() throws {
        let rig = RegistrarRig()
        rig.register(["Contact: <sip:a@h.test>, <sip:b@h.test>"])
        rig.register(["Contact: <sip:c@h.test>"], callID: "other", device: 1)
        let change = try #require(rig.register(["Contact: *", "Expires: 0"], cseq: 2).change)
        #expect(change.kind == .deregistration)
        #expect(change.removed == 2)
        #expect(change.isRegistered)
        #expect(change.longestExpires == 3600)
        #expect(rig.contacts() == ["<sip:c@h.test>;expires=3600"])
    }

    @Test func `removes everything by a wildcard under RFC 3261`() throws {
        let rig = RegistrarRig(.rfc3261)
        rig.register(["Contact: <sip:a@h.test>"])
        rig.register(["Contact: <sip:c@h.test>"], callID: "other", device: 1)
        let change = try #require(rig.register(["Contact: *", "Expires: 0"], callID: "third").change)
        #expect(!change.isRegistered)
        #expect(change.longestExpires == 0)
    }

    @Test func `takes a wildcard without contacts as a fetch`() {
        #expect(RegistrarRig().register(["Contact: *", "Expires: 0"]).isFetched)
    }

    @Test func `removes one flow by a wildcard that names it`() throws {
        let rig = RegistrarRig()
        for flow in 1...2 {
            rig.register(
                ["Supported: outbound", "Contact: <sip:a\(flow)@h.test>;+sip.instance=\"<urn:x>\";reg-id=\(flow)"], callID: "flow-\(flow)")
        }
        #expect(rig.contacts().count == 2)
        let wildcard = "Contact: *;+sip.instance=\"<urn:x>\";reg-id=1"
        #expect(rig.register(["Supported: outbound", wildcard, "Expires: 0"], callID: "flow-1", cseq: 2).change?.removed == 1)
        #expect(rig.contacts().count == 1)
        #expect(rig.register(["Supported: outbound", wildcard, "Expires: 0"], callID: "flow-1", cseq: 3).refusal?.status == 481)
    }

    // MARK: Order

    @Test func `refuses a request that is older than the binding`() throws {
        let rig = RegistrarRig()
        rig.register(["Contact: <sip:a@h.test>;expires=100"], cseq: 5)
        for cseq in [5, 4] {
            #expect(rig.register(["Contact: <sip:b@h.test>, <sip:a@h.test>;expires=500"], cseq: cseq).refusal?.status == 500)
            #expect(rig.register(["Contact: *", "Expires: 0"], cseq: cseq).refusal?.status == 500)
        }
        #expect(rig.contacts() == ["<sip:a@h.test>;expires=100"])
        #expect(rig.register(["Contact: <sip:a@h.test>;expires=500"], cseq: 6).change?.refreshed == 1)
        #expect(rig.register(["Contact: <sip:a@h.test>;expires=600"], callID: "new", cseq: 1).change?.refreshed == 1)
    }

    @Test func `does not let an older request put another contact in place of a binding`() throws {
        let rig = RegistrarRig()
        rig.register(["Contact: <sip:new@h.test>"], cseq: 5)
        for cseq in [5, 4] { #expect(rig.register(["Contact: <sip:old@h.test>"], cseq: cseq).refusal?.status == 500) }
        #expect(rig.contacts() == ["<sip:new@h.test>;expires=3600"])
        // Another device's bindings stay as they are, and another call has an order of its own.
        #expect(rig.register(["Contact: <sip:z@h.test>"], cseq: 4, device: 1).change?.added == 1)
        #expect(rig.register(["Contact: <sip:other@h.test>"], callID: "new", cseq: 1).change?.removed == 1)
        let plain = RegistrarRig(.rfc3261)
        plain.register(["Contact: <sip:new@h.test>"], cseq: 5)
        #expect(plain.register(["Contact: <sip:old@h.test>"], cseq: 4).change?.added == 1)
    }

    // MARK: Which binding is meant

    @Test func `compares contacts as URIs`() {
        let rig = RegistrarRig(.rfc3261)
        rig.register(["Contact: <sip:a@H.test;x=1>"])
        rig.register(["Contact: <sip:%61@h.TEST>"], cseq: 2)
        #expect(rig.contacts() == ["<sip:%61@h.TEST>;expires=3600"])
        rig.register(["Contact: <sip:a@h.test;transport=tcp>"], cseq: 3)
        rig.register(["Contact: <sip:A@h.test>"], cseq: 4)
        #expect(rig.contacts().count == 3)
    }

    @Test func `knows an instance wherever it moves`() {
        let rig = RegistrarRig(.rfc3261)
        rig.register(["Contact: <sip:a@one.test>;+sip.instance=\"<urn:1>\""])
        rig.register(["Contact: <sip:a@two.test>;+sip.instance=\"<urn:1>\""], cseq: 2)
        rig.register(["Contact: <sip:a@two.test>;+sip.instance=\"<urn:2>\""], cseq: 3)
        #expect(
            rig.contacts() == [
                "<sip:a@two.test>;+sip.instance=\"<urn:1>\";expires=3600", "<sip:a@two.test>;+sip.instance=\"<urn:2>\";expires=3600",
            ])
    }

    @Test func `finds a contact by its URI when only one side tells an instance`() {
        let rig = RegistrarRig()
        rig.register(["Contact: <sip:a@h.test>;+sip.instance=\"<urn:1>\""])
        #expect(rig.register(["Contact: <sip:a@h.test>;expires=0"], cseq: 2).change?.removed == 1)
        rig.register(["Contact: <sip:a@h.test>"], cseq: 3)
        #expect(rig.register(["Contact: <sip:a@h.test>;+sip.instance=\"<urn:1>\""], cseq: 4).change?.refreshed == 1)
        #expect(rig.contacts().count == 1)
    }

    @Test func `lets the last of several contacts count that name the same binding`() {
        let rig = RegistrarRig()
        rig.register(["Contact: <sip:a@h.test>;expires=100, <sip:a@H.test>;expires=200"])
        #expect(rig.contacts() == ["<sip:a@H.test>;expires=200"])
        rig.register(["Contact: <sip:a@h.test>;expires=0, <sip:a@h.test>;expires=300"], cseq: 2)
        #expect(rig.contacts() == ["<sip:a@h.test>;expires=300"])
    }

    // MARK: Replacing

    @Test func `replaces a private identity's old contacts by its new one in IMS`() throws {
        let rig = RegistrarRig()
        rig.register(["Contact: <sip:a@h.test>, <sip:b@h.test>"])
        rig.register(["Contact: <sip:z@h.test>"], callID: "tablet", device: 1)
        rig.register(["Contact: <sip:a@h.test>"], cseq: 2)
        #expect(rig.contacts().count == 3)
        let change = try #require(rig.register(["Contact: <sip:c@h.test>"], cseq: 3).change)
        #expect(change.kind == .reregistration)
        #expect(change.added == 1)
        #expect(change.removed == 2)
        #expect(rig.contacts() == ["<sip:z@h.test>;expires=3600", "<sip:c@h.test>;expires=3600"])
    }

    @Test func `keeps all contacts under RFC 3261`() {
        let rig = RegistrarRig(.rfc3261)
        rig.register(["Contact: <sip:a@h.test>"])
        rig.register(["Contact: <sip:b@h.test>"], cseq: 2)
        #expect(rig.contacts().count == 2)
    }

    @Test func `keeps several flows of one instance`() {
        let rig = RegistrarRig()
        for flow in 1...3 {
            let contact = "Contact: <sip:a@h\(flow).test>;reg-id=\(flow % 2 + 1);+sip.instance=\"<urn:1>\""
            rig.register(["Supported: path, outbound", contact], cseq: flow, over: .tcp(UInt32(flow)))
        }
        #expect(rig.contacts().count == 2)
        #expect(rig.contacts()[0].hasPrefix("<sip:a@h3.test>;reg-id=2"))
        #expect(!rig.hasBinding(of: 7, on: .tcp(1)))
        #expect(rig.hasBinding(of: 7, on: .tcp(3)))
    }

    @Test func `ignores reg-id without an instance, or without outbound in Supported`() {
        let rig = RegistrarRig()
        rig.register(["Supported: outbound", "Contact: <sip:a@h.test>;reg-id=1"])
        rig.register(["Contact: <sip:b@h.test>;reg-id=2;+sip.instance=\"<urn:1>\""], cseq: 2)
        #expect(rig.contacts().count == 1)
        #expect(rig.bindings()[0].regID == nil)
    }

    @Test(arguments: [
        "+sip.instance", "+sip.instance=", "+sip.instance=\"\"", "+sip.instance=;reg-id=1", "q=0.5;+sip.instance", "+SIP.Instance =",
        "+sip.instance;pub-gruu", "reg-id;+sip.instance",
    ])
    func `takes an instance without a name for none`(parameters: String) {
        let rig = RegistrarRig()
        let lines = ["Supported: gruu, outbound", "Contact: <sip:a@h.test>;\(parameters)"]
        #expect(rig.register(lines).change?.added == 1)
        #expect(rig.bindings().map(\.instance) == [""])
        #expect(rig.bindings()[0].regID == nil)
        var buffer = OctetBuffer()
        let address = Array("sip:alice@home1.test".utf8)
        rig.registrar.appendContacts(
            of: 7, at: rig.now.monotonic, withGRUUsOf: address.span.bytes, identity: 0, by: GRUUFactory(secret: HashSecret(3, 4)),
            into: &buffer)
        #expect(!String(octets: buffer.bytes).contains("-gruu=\"sip:"))
        let other = RegistrarRig()
        #expect(other.restore(rig.record()))
        #expect(other.contacts() == rig.contacts())
        // A contact that tells its instance is compared with it.
        #expect(rig.register(["Contact: <sip:a@h.test>;+sip.instance=\"<urn:1>\""], cseq: 2).change?.refreshed == 1)
    }

    // MARK: Deregistration

    @Test func `refuses to deregister an unknown contact in IMS, all or nothing`() {
        let rig = RegistrarRig()
        rig.register(["Contact: <sip:a@h.test>"])
        #expect(rig.register(["Contact: <sip:a@h.test>, <sip:b@h.test>", "Expires: 0"], cseq: 2).refusal?.status == 481)
        #expect(rig.contacts().count == 1)
        #expect(rig.register(["Contact: <sip:a@h.test>", "Expires: 0"], cseq: 2, device: 1).refusal?.status == 481)
        // Beside a contact to be registered it does no harm.
        #expect(rig.register(["Contact: <sip:a@h.test>, <sip:b@h.test>;expires=0"], cseq: 2).change?.kind == .reregistration)
    }

    @Test func `deregisters an unknown contact with success under RFC 3261`() {
        let rig = RegistrarRig(.rfc3261)
        #expect(rig.register(["Contact: <sip:a@h.test>", "Expires: 0"]).isFetched)
    }

    @Test func `tells initial, repeated and last registration apart`() {
        let rig = RegistrarRig()
        #expect(rig.register(["Contact: <sip:a@h.test>, <sip:b@h.test>"]).change?.kind == .initial)
        #expect(rig.register(["Contact: <sip:z@h.test>"], callID: "tablet", device: 1).change?.kind == .reregistration)
        #expect(rig.register(["Contact: <sip:a@h.test>;expires=0, <sip:b@h.test>"], cseq: 2).change?.kind == .reregistration)
        #expect(rig.register(["Contact: <sip:b@h.test>;expires=0"], cseq: 3).change?.kind == .deregistration)
        let last = rig.register(["Contact: *", "Expires: 0"], callID: "tablet", cseq: 2, device: 1).change
        #expect(last?.kind == .deregistration)
        #expect(last?.isRegistered == false)
        #expect(rig.registeredCount == 0)
        #expect(rig.bytesKept == 0)
    }

    // MARK: Outbound

    private func flowRegistration(_ lines: [String]) -> [String] {
        ["Supported: outbound", "Contact: <sip:a@h.test>;+sip.instance=\"<urn:1>\";reg-id=1"] + lines
    }

    @Test func `asks the first hop for outbound`() throws {
        #expect(try #require(RegistrarRig().register(flowRegistration([])).change).usesOutbound)
        let over = ["Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx"]
        #expect(RegistrarRig().register(flowRegistration(over)).refusal?.status == 439)
        #expect(RegistrarRig().register(flowRegistration(["Path: <sip:edge.test;lr;ob>, <sip:p.test;lr>"])).refusal?.status == 439)
        let path = ["Path: <sip:core.test;lr>", "Path: <sip:edge.test;lr;ob>"]
        #expect(try #require(RegistrarRig().register(flowRegistration(over + path)).change).usesOutbound)
    }

    @Test func `takes one flow at a time`() {
        let contact = "<sip:a@h.test>;+sip.instance=\"<urn:1>\";reg-id="
        let rig = RegistrarRig()
        let outbound = "Supported: outbound"
        #expect(rig.register([outbound, "Contact: \(contact)1, \(contact)2"]).refusal?.status == 400)
        #expect(rig.register([outbound, "Contact: \(contact)0"]).refusal?.status == 400)
        #expect(rig.register([outbound, "Contact: \(contact)2147483648"]).refusal?.status == 400)
        #expect(rig.register([outbound, "Contact: \(contact)2147483647"]).change?.added == 1)
    }

    // MARK: What is kept

    @Test func `keeps parameters, Path and identifiers as they came`() throws {
        let rig = RegistrarRig()
        let contact = "\"Alice\" <sip:a@h.test;transport=tcp>;q=0.25;expires=900;+sip.instance=\"<urn:uuid:1>\";+g.oma.sip-im"
        rig.register(
            [
                "Contact: \(contact);pub-gruu=\"sip:a@h;gr\";temp-gruu=\"x\";mobility=\"fixed\"",
                "Path: <sip:one.test;lr>,<sip:two.test;lr>",
                "Path: <sip:three.test;lr>", "P-Access-Network-Info: 3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=1",
                "P-Visited-Network-ID: \"visited\"", "P-Charging-Vector: icid-value=\"abc\";icid-generated-at=192.0.2.1",
            ], cseq: 17, device: 3, over: .tcp(4))
        let kept = ";q=0.25;+sip.instance=\"<urn:uuid:1>\";+g.oma.sip-im;mobility=\"fixed\""
        #expect(rig.contacts() == ["<sip:a@h.test;transport=tcp>\(kept);expires=900"])
        for binding in rig.bindings() {
            #expect(binding.uri == "sip:a@h.test;transport=tcp")
            #expect(binding.parameters == kept)
            #expect(binding.path == "<sip:one.test;lr>, <sip:two.test;lr>, <sip:three.test;lr>")
            #expect(binding.instance == "<urn:uuid:1>")
            #expect(binding.callID == "call-1")
            #expect(binding.accessNetworkInfo == "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=1")
            #expect(binding.visitedNetworkID == "\"visited\"")
            #expect(binding.chargingID == "abc")
            #expect(binding.q == 250)
            #expect(binding.sequence == 17)
            #expect(binding.device == 3)
            #expect(binding.flow == .tcp(4))
            #expect(binding.expires == 900)
        }
        #expect(rig.bindings().count == 1)
    }

    @Test func `replaces feature tags and Path by those of the last request`() {
        let rig = RegistrarRig()
        rig.register(["Contact: <sip:a@h.test>;+g.oma.sip-im", "Path: <sip:one.test;lr>"])
        rig.register(["Contact: <sip:a@h.test>;video"], cseq: 2)
        #expect(rig.contacts() == ["<sip:a@h.test>;video;expires=3600"])
        #expect(rig.bindings()[0].path.isEmpty)
    }

    @Test(arguments: ["<sip:one.test>", "<tel:+1>", "sip:a b", "<sip:one.test;lr>, <sip:two.test>"])
    func `refuses a Path that is no loose route`(path: String) {
        let refusal = RegistrarRig().register(["Contact: <sip:a@h.test>", "Path: \(path)"]).refusal
        #expect(refusal?.status == 400)
        #expect(refusal?.header == .path)
    }

    @Test func `writes a folded value on one line`() {
        let rig = RegistrarRig()
        rig.register(["Contact: <sip:a@h.test>;text=\"one\r\n two\"", "Path: <sip:one.test;lr>;x=\"\r\n y\""])
        #expect(rig.contacts() == ["<sip:a@h.test>;text=\"one   two\";expires=3600"])
        #expect(rig.bindings()[0].path == "<sip:one.test;lr>;x=\"   y\"")
    }

    @Test func `writes no stray line end`() {
        let rig = RegistrarRig()
        rig.register(["Contact: <sip:a@h.test>;text=\"a\rX-Evil: 1\""])
        #expect(rig.contacts() == ["<sip:a@h.test>;text=\"a X-Evil: 1\";expires=3600"])
    }

    // MARK: Limits

    @Test func `limits the contacts of a subscriber and of a request`() throws {
        let rig = RegistrarRig(.rfc3261, maximumContacts: 3)
        rig.register(["Contact: <sip:a@h.test>, <sip:b@h.test>"])
        #expect(rig.register(["Contact: <sip:c@h.test>, <sip:d@h.test>"], cseq: 2).refusal?.status == 403)
        #expect(rig.register(["Contact: <sip:a@h.test>, <sip:b@h.test>, <sip:c@h.test>"], cseq: 2).change?.added == 1)
        #expect(rig.register(["Contact: <sip:a@h.test>;expires=0, <sip:d@h.test>"], cseq: 3).change?.added == 1)
        #expect(rig.register(["Contact: <sip:1@h>, <sip:2@h>, <sip:3@h>, <sip:4@h>", "Expires: 0"], cseq: 4).refusal?.status == 403)
        #expect(rig.bindingCount == 3)
        let gone = "<sip:b@h.test>;expires=0, <sip:c@h.test>;expires=0, <sip:d@h.test>;expires=0"
        #expect(rig.register(["Contact: \(gone), <sip:e@h.test>"], cseq: 5).change?.removed == 3)
        #expect(rig.contacts() == ["<sip:e@h.test>;expires=3600"])
    }

    @Test func `limits the bindings of all subscribers`() {
        let rig = RegistrarRig(maximumBindings: 2)
        for subscriber in 0..<3 {
            let outcome = rig.register(["Contact: <sip:a@h.test>"], subscriber: UInt32(subscriber))
            #expect((outcome.refusal?.status == 503) == (subscriber == 2))
        }
        #expect(rig.register(["Contact: <sip:a@h.test>"], cseq: 2, subscriber: 0).change?.refreshed == 1)
    }

    @Test func `limits what is kept of a contact`() {
        let long = String(repeating: "x", count: 2040)
        #expect(RegistrarRig().register(["Contact: <sip:\(long)a@h.test>"]).refusal?.reason == .contactTooLong)
        let parameters = (0..<33).map { ";p\($0)" }.joined()
        #expect(RegistrarRig().register(["Contact: <sip:a@h.test\(parameters)>"]).refusal?.reason == .contactTooLong)
        let path = (0..<5).map { "Path: <sip:\(String(repeating: "p", count: 1800))\($0).test;lr>" }
        #expect(RegistrarRig().register(["Contact: <sip:a@h.test>"] + path).refusal?.reason == .contactTooLong)
    }
}
