import SIPMessage
import SansIO
import Testing

/// RFC 3261 §19.1.4 and RFC 3966 §4, with the examples that they give.
struct URIEquivalenceTests {
    @Test(arguments: [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
        ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com"
        ),
        ("sip:alice@atlanta.com?subject=project%20x&priority=urgent", "sip:alice@atlanta.com?priority=urgent&subject=project%20x"),
        ("sip:a%2fb@h.test", "sip:a%2Fb@h.test"),
        ("sip:a:p%61ss@h.test", "sip:a:pass@h.test"),
        ("sip:a@[2001:db8::1]:5060", "sip:a@[2001:DB8:0:0:0:0:0:1]:5060"),
        ("sip:a@h.test;lr", "sip:a@h.test;LR"),
        ("SIPS:a@h.test", "sips:a@H.TEST"),
        ("tel:+1-555-0100", "tel:+1(555)0100"),
        ("TEL:+15550100;ext=1-2;phone-context=a.Test", "tel:+15550100;phone-context=A.test;ext=12"),
        ("tel:7042;phone-context=+1-914", "tel:7042;phone-context=+1914"),
        ("urn:service:sos", "URN:service:sos"),
        // A parameter given twice (§19.1.1 forbids it) counts once.
        ("sip:a@h.test;user=phone;user=ip", "sip:a@h.test;user=phone;user=ip"), ("tel:+1;ext=1;ext=2", "tel:+1;ext=1;ext=2"),
    ])
    func equivalent(_ a: String, _ b: String) throws {
        #expect(try areEquivalent(a, b))
        #expect(try areEquivalent(b, a))
    }

    @Test(arguments: [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:a@h.test", "sips:a@h.test"),
        ("sip:h.test", "sip:a@h.test"),
        ("sip:a@h.test", "sip:a:@h.test;user=phone"),
        ("sip:a:x@h.test", "sip:a:X@h.test"),
        ("sip:a@h.test", "sip:a:x@h.test"),
        ("sip:a%2Fb@h.test", "sip:a/b@h.test"),
        ("sip:a@h.test;newparam=5", "sip:a@h.test;newparam=6"),
        ("sip:a@h.test;newparam", "sip:a@h.test;newparam=6"),
        ("sip:a@h.test;maddr=192.0.2.1", "sip:a@h.test"),
        ("sip:a@h.test;ttl=1", "sip:a@h.test"),
        ("sip:a@h.test;method=INVITE", "sip:a@h.test"),
        ("sip:a@h.test?x=1&x=1&y=2", "sip:a@h.test?x=1&y=2&y=2"),
        ("sip:a@h.test?x=1", "sip:a@h.test?x=1&x=1"),
        ("tel:+15550100", "tel:15550100"),
        ("tel:+15550100;ext=1", "tel:+15550100"),
        ("tel:+15550100", "sip:+15550100@h.test;user=phone"),
        ("urn:service:sos", "urn:service:SOS"),
        ("urn:service:sos", "urn:service:so"),
    ])
    func different(_ a: String, _ b: String) throws {
        #expect(try !areEquivalent(a, b))
        #expect(try !areEquivalent(b, a))
    }

    @Test func brokenEscapesAreComparedAsTheyStand() throws {
        #expect(try areEquivalent("sip:a%2@h.test", "sip:a%2@h.test"))
        #expect(try !areEquivalent("sip:a%zz@h.test", "sip:a%2@h.test"))
    }

    private func areEquivalent(_ a: String, _ b: String) throws -> Bool {
        let first = Array(a.utf8)
        let second = Array(b.utf8)
        let uris = (first.span.bytes.uri(Slice(0, first.count)), second.span.bytes.uri(Slice(0, second.count)))
        let firstURI = try #require(uris.0, "\(a)")
        let secondURI = try #require(uris.1, "\(b)")
        return first.span.bytes.isEquivalent(firstURI, to: secondURI, in: second.span.bytes)
    }
}

/// TS 23.003 §13.4: one user, one spelling.
struct CanonicalIdentityTests {
    @Test(arguments: [
        ("sip:%61lice@HOME.test:5070;lr?x=y", "sip:alice@home.test"), ("sips:a:secret@h", "sip:a@h"), ("sip:a%2fb%c3@h", "sip:a/b%C3@h"),
        ("tel:+1-(555).0100;phone-context=x", "tel:+15550100"), ("sip:+1-555@h;user=phone", "tel:+1555"),
        // The number's own parameters are none of the identity's (RFC 3261 §19.1.6).
        ("sip:+1-555;ext=3@h;user=phone", "tel:+1555"), ("sip:+1555@h", "sip:+1555@h"),
        // A percent sign that begins no escape is one itself.
        ("sip:%%341@h", "sip:%2541@h"), ("sip:a%zz%2@h", "sip:a%25zz%252@h"), ("urn:x:y", ""),
    ])
    func isWrittenInOneWay(_ text: String, _ expected: String) throws {
        let octets = Array(text.utf8)
        let parsed = octets.span.bytes.uri(Slice(0, octets.count))
        var identity = OctetBuffer()
        identity.appendIdentity(try #require(parsed), in: octets.span.bytes)
        #expect(String(octets: identity.bytes) == expected)
    }
}
