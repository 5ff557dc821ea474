import SIPMessage
import SIPProxy
import SansIO
import Testing

/// URIs on their way into a request line (RFC 3261 §16.4, §16.6 step 2, §19.1.1).
@Suite struct TargetTests {
    private func written(_ text: String, _ write: (inout OctetBuffer, SIPURI, RawSpan) -> Void) throws -> String {
        let octets = Array(text.utf8)
        let bytes = octets.span.bytes
        let parsed = bytes.uri(Slice(0, octets.count))
        let uri = try #require(parsed)
        var buffer = OctetBuffer(capacity: 64)
        write(&buffer, uri, bytes)
        return String(octets: buffer.bytes)
    }

    @Test(arguments: [
        ("sip:bob@192.0.2.1", "sip:bob@192.0.2.1"), ("sip:bob@192.0.2.1?Route=%3Csip:x%3E&Subject=y", "sip:bob@192.0.2.1"),
        ("sip:bob@h.test:5070;transport=tcp;method=INVITE;lr", "sip:bob@h.test:5070;transport=tcp;lr"),
        ("sip:bob@h.test;METHOD=BYE?X=1", "sip:bob@h.test"), ("tel:+15550100;phone-context=x", "tel:+15550100;phone-context=x"),
    ]) func aContactBecomesARequestURI(_ contact: String, _ expected: String) throws {
        #expect(try written(contact) { $0.appendTarget($1, in: $2) } == expected)
    }

    @Test(arguments: [
        ("sip:bob@v.test;maddr=192.0.2.7", "sip:bob@v.test"),
        ("sip:bob@v.test:5070;maddr=192.0.2.7;transport=udp;user=ip;x", "sip:bob@v.test;user=ip;x"),
        ("sip:[2001:db8::1]:5070;maddr=192.0.2.7", "sip:[2001:db8::1]"),
    ]) func aMaddrThatHasDoneItsWork(_ received: String, _ expected: String) throws {
        #expect(try written(received) { $0.appendWithoutMaddr($1, in: $2) } == expected)
    }

    @Test(arguments: [
        ("sip:bob@v.test;maddr=192.0.2.7", true), ("sip:bob@v.test:5060;maddr=home1.test;transport=UDP", true),
        ("sip:bob@v.test:5061;maddr=192.0.2.7", false), ("sip:bob@v.test;maddr=192.0.2.7;transport=tcp", false),
        ("sip:bob@v.test;maddr=192.0.2.8", false), ("sip:bob@v.test;maddr=home2.test", false),
        ("sip:bob@v.test;maddr=192.0.2.7;transport=x", false),
    ]) func whetherAMaddrIsOurs(_ received: String, _ expected: Bool) throws {
        let listener = Listener(
            transport: .udp, local: Endpoint(address: IPAddress(v4: 0), port: 5060),
            advertised: Endpoint(address: IPAddress(v4: 0xC000_0207), port: 5060))
        let own = OwnAddresses(domain: Array("home1.test".utf8), listeners: [listener])
        let octets = Array(received.utf8)
        let bytes = octets.span.bytes
        let parsed = bytes.uri(Slice(0, octets.count))
        let uri = try #require(parsed)
        let found = bytes.parameter("maddr", in: uri.parameters)
        let maddr = try #require(found)
        let isReached = own.isReached(by: maddr, of: uri, in: bytes, over: listener)
        #expect(isReached == expected)
    }

    @Test func whyABranchIsCancelled() {
        var buffer = OctetBuffer(capacity: 64)
        buffer.appendReason(200, "Call completed elsewhere")
        #expect(String(octets: buffer.bytes) == "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n")
    }
}
