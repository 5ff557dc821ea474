import SIPMessage
import SansIO
import Testing
import TortureMessages

struct ResponseWriterTests {
    private let source = Endpoint(address: IPAddress(v4: 0xC000_0207), port: 5062)

    @Test func takesOverTheFieldsOfTheRequest() throws {
        let text = request(
            "INVITE sip:bob@home.test SIP/2.0",
            via: "Via: SIP/2.0/UDP 192.0.2.7:5062;branch=z9hG4bKa , SIP/2.0/TCP h2;branch=b\nv: SIP/2.0/UDP h3",
            to: "t: Bob <sip:bob@home.test>", cseq: "CSeq: 0007 INVITE",
            fields: "Record-Route: <sip:p1;lr>\nTimestamp: 5.4\nRecord-Route: <sip:p2;lr>")
        let shared = "From: <sip:alice@home.test>;tag=f1\nTo: Bob <sip:bob@home.test>%\nCall-ID: one@192.0.2.7\n"
        let vias = "Via: SIP/2.0/UDP 192.0.2.7:5062;branch=z9hG4bKa , SIP/2.0/TCP h2;branch=b\nVia: SIP/2.0/UDP h3\n"
        #expect(
            try answer(100, to: text) == "SIP/2.0 100 Trying\n" + vias + shared.replacing("%", with: "")
                + "Timestamp: 5.4\nCSeq: 0007 INVITE\n")
        let tagged = shared.replacing("%", with: ";tag=00000000000000ab")
        let routes = "Record-Route: <sip:p1;lr>\nRecord-Route: <sip:p2;lr>\n"
        #expect(try answer(180, to: text) == "SIP/2.0 180 Ringing\n" + vias + routes + tagged + "CSeq: 0007 INVITE\n")
        #expect(try answer(486, to: text) == "SIP/2.0 486 Busy Here\n" + vias + tagged + "CSeq: 0007 INVITE\n")
    }

    @Test func aTagThatIsThereStays() throws {
        let written = try answer(200, to: request(to: "To: <sip:bob@home.test>;tag=mine"))
        #expect(written.contains("\nTo: <sip:bob@home.test>;tag=mine\n"))
    }

    /// RFC 3261 §18.2.1 and RFC 3581 §4; the source is 192.0.2.7:5062.
    @Test(arguments: [
        ("192.0.2.7;branch=b", "192.0.2.7;branch=b"), ("192.0.2.8;branch=b", "192.0.2.8;branch=b;received=192.0.2.7"),
        ("host.test;branch=b", "host.test;branch=b;received=192.0.2.7"),
        ("192.0.2.7;rport;branch=b", "192.0.2.7;rport=5062;branch=b;received=192.0.2.7"),
        ("h.test:1;branch=b;rport", "h.test:1;branch=b;rport=5062;received=192.0.2.7"),
        ("192.0.2.7;rport=9;branch=b", "192.0.2.7;rport=9;branch=b"),
        ("192.0.2.7;received=10.9.9.9;branch=b", "192.0.2.7;branch=b"),
        ("h.test;received=10.9.9.9;x=\"a;b\";y", "h.test;x=\"a;b\";y;received=192.0.2.7"),
        ("192.0.2.7; x= ;Received=10.9.9.9;rport ;  branch = b;z=\"\"", "192.0.2.7; x= ;rport=5062;  branch = b;z=\"\";received=192.0.2.7"),
        ("[::ffff:192.0.2.7];branch=b", "[::ffff:192.0.2.7];branch=b;received=192.0.2.7"),
        ("192.0.2.7 ; RPORT ; branch=b", "192.0.2.7 ; RPORT=5062 ; branch=b;received=192.0.2.7"),
    ])
    func markTheSource(_ sentBy: String, _ expected: String) throws {
        let written = try answer(200, to: request(via: "Via: SIP/2.0/UDP \(sentBy)"))
        #expect(written.contains("\nVia: SIP/2.0/UDP \(expected)\n"))
    }

    @Test func anIPv6SourceHasNoBrackets() throws {
        let address = try #require(IPAddress("2001:db8::9:255"))
        let text = request(via: "Via: SIP/2.0/UDP [2001:db8::9:1];branch=b, SIP/2.0/UDP h2")
        let written = try answer(200, to: text, from: Endpoint(address: address, port: 5060))
        #expect(written.contains("\nVia: SIP/2.0/UDP [2001:db8::9:1];branch=b;received=2001:db8::9:255, SIP/2.0/UDP h2\n"))
        let same = try answer(
            200, to: request(via: "Via: SIP/2.0/UDP [2001:DB8:0::9:255];branch=b"), from: Endpoint(address: address, port: 5060))
        #expect(same.contains("\nVia: SIP/2.0/UDP [2001:DB8:0::9:255];branch=b\n"))
    }

    @Test(arguments: TortureMessage.all.filter { Judgement($0.octets) == .accepted })
    func aResponseCanBeReadAgain(_ original: TortureMessage) throws {
        var scanner = MessageScanner()
        _ = scanner.scan(original.octets.span.bytes)
        let request = scanner.message(original.octets.span.bytes)
        guard request.isRequest else { return }
        let essentials = try request.essentials()
        var buffer = OctetBuffer()
        buffer.appendResponse(200, to: request, essentials, from: Endpoint(address: .loopback, port: 5060), toTag: 1)
        buffer.appendEmptyBody()
        #expect(Judgement([UInt8](buffer.bytes)) == .accepted)
    }

    @Test func bodies() {
        var buffer = OctetBuffer()
        buffer.appendField(.subject, "x")
        buffer.appendField(.expires, decimal: 3600)
        buffer.appendBody(Array("a\0b".utf8).span.bytes)
        #expect(String(octets: buffer.bytes) == "Subject: x\r\nExpires: 3600\r\nContent-Length: 3\r\n\r\na\0b")
    }

    private func answer(_ status: UInt16, to text: String, from source: Endpoint? = nil) throws -> String {
        let octets = octets(text)
        var scanner = MessageScanner()
        _ = scanner.scan(octets.span.bytes)
        let message = scanner.message(octets.span.bytes)
        var buffer = OctetBuffer()
        buffer.appendResponse(status, to: message, try message.essentials(), from: source ?? self.source, toTag: 0xAB)
        return String(octets: buffer.bytes).replacing("\r\n", with: "\n")
    }
}

struct FieldCopyTests {
    @Test func leavesOutOnlyWhatItIsTold() {
        let text =
            "OPTIONS sip:b SIP/2.0\r\nVia: a\r\nX-One:  1 \r\nROUTE: <sip:r>\r\nFold: a\n b\r\nBare: 2\nBare2: 3\nVia: c\r\nx: 30\r\nl: 0\r\n\r\n"
        #expect(
            copy(text, except: [])
                == "Via: a\r\nX-One:  1 \r\nROUTE: <sip:r>\r\nFold: a\r\n b\r\nBare: 2\r\nBare2: 3\r\nVia: c\r\nx: 30\r\nl: 0\r\n")
        #expect(copy(text, except: [.via, .route]) == "X-One:  1 \r\nFold: a\r\n b\r\nBare: 2\r\nBare2: 3\r\nx: 30\r\nl: 0\r\n")
        #expect(copy(text, except: [.other, .via, .route, .sessionExpires]) == "l: 0\r\n")
    }

    @Test func setsHoldEveryName() {
        for name in HeaderName.allCases {
            let set: HeaderSet = [name]
            for other in HeaderName.allCases { #expect(set.contains(other) == (name == other)) }
            #expect(set.union([.via]).contains(.via) && set.union([.via]).contains(name))
        }
    }

    private func copy(_ text: String, except set: HeaderSet) -> String {
        let octets = Array(text.utf8)
        var scanner = MessageScanner()
        _ = scanner.scan(octets.span.bytes)
        var buffer = OctetBuffer()
        buffer.appendFields(of: scanner.message(octets.span.bytes), except: set)
        return String(octets: buffer.bytes)
    }
}
