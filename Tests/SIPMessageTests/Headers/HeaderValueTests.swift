import SIPMessage
import SansIO
import Testing

struct ViaTests {
    @Test(arguments: [
        ("SIP/2.0/UDP h.test", "h.test", 0, ""), ("sip/2.0/tcp h.test:5060;branch=z9hG4bKx", "h.test", 5060, "z9hG4bKx"),
        ("SIP / 2.0 / UDP  192.0.2.1 : 99 ; branch = b ; rport", "192.0.2.1", 99, "b"),
        ("SIP/2.0/TLS [::1]:5061;BRANCH=q", "[::1]", 5061, "q"),
        ("SIP/2.0/UDP\r\n h.test\r\n ;branch\r\n =z", "h.test", 0, "z"), ("SIP/2.0/UDP h;a=\"x;branch=no\";branch=yes", "h", 0, "yes"),
    ])
    func reads(_ text: String, _ host: String, _ port: Int, _ branch: String) throws {
        let octets = Array(text.utf8)
        let bytes = octets.span.bytes
        let parsed = bytes.via(Slice(0, octets.count))
        let via = try #require(parsed)
        #expect(String(octets: bytes[via.host]) == host)
        #expect(Int(via.port) == port)
        #expect(String(octets: bytes[via.branch]) == branch)
    }

    @Test(arguments: [
        "", "SIP/2.0/UDP", "SIP/2.0/UDP ", "SIP/2.0 h", "SIP/3.0/UDP h", "HTTP/2.0/UDP h", "SIP/2.0/UDP h:", "SIP/2.0/UDP h:x",
        "SIP/2.0/UDP h:65536",
        "SIP/2.0/UDP h x", "SIP/2.0/UDP [::1", "SIP/2.0/UDP [zz]", "SIP/2.0/UDP h;;branch=x", "SIP/2.0/UDP h;branch=x;", "SIP/2.0/UDP h;=x",
        "SIP/2.0/UDP h;branch=a b", "SIP/2.0/UDP h;x=<y;branch=a", "SIP/2.0/UDP h;received=a>;branch=b", "SIP/2.0//UDP h",
        "SIP/2.0/UDP/x h",
    ])
    func refuses(_ text: String) {
        let octets = Array(text.utf8)
        #expect(octets.span.bytes.via(Slice(0, octets.count)) == nil)
    }

    @Test func parameters() throws {
        let octets = Array("SIP/2.0/WSS h;rport=77;received=192.0.2.9;maddr=239.0.0.1;ttl=3".utf8)
        let bytes = octets.span.bytes
        let parsed = bytes.via(Slice(0, octets.count))
        let via = try #require(parsed)
        #expect(via.transport == .wss && !via.hasUniqueBranch)
        #expect(via.rport.map { String(octets: bytes[$0]) } == "77")
        #expect(String(octets: bytes[via.received]) == "192.0.2.9" && String(octets: bytes[via.maddr]) == "239.0.0.1")
    }
}

struct NameAddressTests {
    @Test(arguments: [
        ("sip:a@h.test", "", "sip:a@h.test", "", ""), ("sip:a@h.test;tag=1;x", "", "sip:a@h.test", ";tag=1;x", "1"),
        ("<sip:a@h.test;tag=in>", "", "sip:a@h.test;tag=in", "", ""), ("<sip:a@h.test> ; TAG = 2", "", "sip:a@h.test", "; TAG = 2", "2"),
        ("Bob <sip:a@h>", "Bob", "sip:a@h", "", ""), ("Bob  B. von~X <sip:a@h>;tag=3", "Bob  B. von~X", "sip:a@h", ";tag=3", "3"),
        ("\"<sip:no@h>, \\\" ;tag=0\"<sip:a@h>;tag=4", "\"<sip:no@h>, \\\" ;tag=0\"", "sip:a@h", ";tag=4", "4"),
        ("\"\" <sip:a@h>", "\"\"", "sip:a@h", "", ""),
        ("Jürgen <sip:a@h>", "Jürgen", "sip:a@h", "", ""), ("<tel:+1-555;ext=3>;tag=5", "", "tel:+1-555;ext=3", ";tag=5", "5"),
        ("<sip:a@h?subject=x>", "", "sip:a@h?subject=x", "", ""),
        ("<sip:a@h>;q=\"a;tag=no\";tag=6", "", "sip:a@h", ";q=\"a;tag=no\";tag=6", "6"),
    ])
    func reads(_ text: String, _ name: String, _ uri: String, _ parameters: String, _ tag: String) throws {
        let octets = Array(text.utf8)
        let bytes = octets.span.bytes
        let parsed = bytes.nameAddress(Slice(0, octets.count))
        let address = try #require(parsed)
        #expect(String(octets: bytes[address.displayName]) == name)
        #expect(String(octets: bytes[address.uri.all]) == uri)
        #expect(String(octets: bytes[address.parameters]) == parameters)
        #expect(String(octets: bytes[address.tag]) == tag)
    }

    @Test(arguments: [
        "", "\"", "\"a", "\"a\\\"", "\"a\" <sip:a@h", "<>", "<sip:a@h>>", "a@b <sip:a@h>", "<sip:a@h>,<sip:b@h>", "sip:a@h, sip:b@h", "bob",
        "<<sip:a@h>>", "<sip:a b@h>", "<sip:a@h>;x=\"open", "<sip:a@h>;x=\"open\\\"", "sip:a@h;x = \"open;tag=1",
    ])
    func refuses(_ text: String) {
        let octets = Array(text.utf8)
        #expect(octets.span.bytes.nameAddress(Slice(0, octets.count)) == nil)
    }
}

struct ListTests {
    @Test(arguments: [
        ("a", ["a"]), ("a,b", ["a", "b"]), (" a ,\r\n b ", ["a", "b"]), ("\"x,y\" <sip:a,b@h>, c", ["\"x,y\" <sip:a,b@h>", "c"]),
        ("a,,b", ["a", "", "b"]),
        ("a,", ["a"]), ("\"a\\\",b\",c", ["\"a\\\",b\"", "c"]), ("\"open, never closed", ["\"open, never closed"]),
    ])
    func splitsAtCommas(_ text: String, _ values: [String]) {
        let octets = Array(text.utf8)
        var rest = Slice(0, octets.count)
        var found: [String] = []
        while !rest.isEmpty { found.append(String(octets: octets.span.bytes[octets.span.bytes.nextListValue(&rest)])) }
        #expect(found == values)
    }

    @Test(arguments: [
        (";a=1;b", "a=1|b="), ("a=1 ; b = \"x;y=z\" ;c", "a=1|b=\"x;y=z\"|c="), (";;a;", "a="), (";a==b", "a==b"), ("", ""), ("  ", ""),
        (";=v", "=v"),
        (";a=\"open;b", "=a=\"open;b"), (";a;b = \"open\\\";c", "a=|=b = \"open\\\";c"),
    ])
    func parameters(_ text: String, _ expected: String) {
        let octets = Array(text.utf8)
        let bytes = octets.span.bytes
        var found: [String] = []
        bytes.forEachParameter(in: Slice(0, octets.count)) { name, value in
            found.append(String(octets: bytes[name]) + "=" + String(octets: bytes[value]))
            return true
        }
        #expect(found.joined(separator: "|") == expected)
    }

    @Test func findsAParameterByItsName() {
        let octets = Array(";Expires=60;lr;expires=70".utf8)
        let bytes = octets.span.bytes
        let all = Slice(0, octets.count)
        #expect(bytes.parameter("expires", in: all).map { String(octets: bytes[$0]) } == "60")
        #expect(bytes.parameter("lr", in: all)?.isEmpty == true)
        #expect(bytes.parameter("q", in: all) == nil)
    }

    @Test(
        arguments: [
            ("0", 0), ("007", 7), ("4294967295", 4_294_967_295), ("4294967296", nil), ("18446744073709551616", nil), ("", nil), ("-1", nil),
            ("1 ", nil),
            ("99999999999999999999999999", nil),
        ] as [(String, UInt64?)])
    func decimal(_ text: String, _ value: UInt64?) {
        let octets = Array(text.utf8)
        #expect(octets.span.bytes.decimal(Slice(0, octets.count)) == value)
    }

    @Test func valuesRunOverLinesAndCommas() {
        let octets = octets(
            request(fields: "Route: <sip:1@h;lr>, <sip:2@h;lr>\nX: y\nRoute: ,<sip:3@h>\nSupported: path , GRUU\nk: outbound"))
        var scanner = MessageScanner()
        _ = scanner.scan(octets.span.bytes)
        let message = scanner.message(octets.span.bytes)
        var found: [String] = []
        message.forEachValue(.route) { value in
            found.append(String(octets: octets.span.bytes[value]))
            return true
        }
        #expect(found == ["<sip:1@h;lr>", "<sip:2@h;lr>", "<sip:3@h>"])
        let tokens = [
            message.lists("gruu", in: .supported), message.lists("outbound", in: .supported), message.lists("timer", in: .supported),
        ]
        #expect(tokens == [true, true, false])
        #expect(message.count(of: .route) == 2 && message.count(of: .contact) == 0)
    }
}

struct DigestParametersTests {
    @Test func reads() throws {
        let text = """
            digest  Username="al,ice", realm = "home.test",nonce="n==",uri="sip:home.test", response="0a", algorithm=MD5, qop=auth,nc=00000001,
             cnonce="c", opaque="", unknown=1, STALE=true, auts="z", integrity-protected="yes"
            """
        let octets = Array(text.utf8)
        let bytes = octets.span.bytes
        let parsed = bytes.digestParameters(Slice(0, octets.count))
        let parameters = try #require(parsed)
        let expected: [(Slice, String)] = [
            (parameters.username, "al,ice"), (parameters.realm, "home.test"), (parameters.nonce, "n=="), (parameters.uri, "sip:home.test"),
            (parameters.response, "0a"), (parameters.algorithm, "MD5"), (parameters.qop, "auth"), (parameters.nonceCount, "00000001"),
            (parameters.cnonce, "c"), (parameters.opaque, ""), (parameters.stale, "true"), (parameters.auts, "z"),
            (parameters.integrityProtected, "yes"),
        ]
        for (slice, value) in expected { #expect(String(octets: bytes[slice]) == value) }
    }

    @Test(arguments: ["", "Digest", "Digest ", "Basic YTpi", "Digestx a=b", "Digest username", "Digest a=1, b"])
    func refuses(_ text: String) {
        let octets = Array(text.utf8)
        #expect(octets.span.bytes.digestParameters(Slice(0, octets.count)) == nil)
    }
}
