import SIPMessage
import SansIO
import Testing

/// The cases of RFC 4475, by the names that it gives them, as far as a scanner and the essential fields can decide.
struct TortureTests {
    static let valid: [(String, String)] = [
        (
            "wsinv",
            "INVITE sip:vera@pbx.test;novel SIP/2.0\nTO :\n sip:vera@pbx.test ;   tag    = 191n\n"
                + "from   : \"J R \\\\\\\"\"       <sip:jr@home.test>\n  ;\n  tag = 98a\nMaX-fOrWaRdS: 0068\nCall-ID: wsinv.n@192.0.2.1\n"
                + "Content-Length   : 3\ncseq: 0009\n  INVITE\nVia  : SIP  /   2.0\n /UDP\n    192.0.2.2;branch=390s\ns :\n"
                + "NewField:   new value\n continued\nOddField: ;;,,;;,;\nRoute:\n <sip:proxy.test;lr;unknown=v;flag>\n"
                + "v:  SIP  / 2.0  / TCP     spindle.test   ;\n  branch  =   z9hG4bK9ikj8  ,\n SIP  /    2.0   / UDP  192.168.255.111   ; "
                + "branch=\n z9hG4bK30239\nm:\"Quoted \\\"\\\"\" <sip:jr@home.test> ; newparam =\n      newvalue ;\n  q = 0.33\n\nabc"
        ),
        (
            "intmeth",
            "!odd-Method09_*+`.%indeed'~ sip:1_odd~(to-be!sure)&it+is$/so?,/;;*:&pw=1!*_(no-it)@home.test SIP/2.0\n"
                + "Via: SIP/2.0/TCP host.test;branch=z9hG4bK-.!%66*_+`'~\nTo: \"BEL:\\\u{7} NUL:\\\0 DEL:\\\u{7F}\" <sip:1~(a!b)&c+$/d?,/;;*@home.test>\n"
                + "From: token1~` token2'+_ token3*%!.- <sip:plain@home.test>;par''~+*_!.-%=\"работа\";tag=_token~1'+`*%!-.\n"
                + "Call-ID: word%ZK-!.*_+'@word`~)(><:\\/\"][?}{\nCSeq: 139122385 !odd-Method09_*+`.%indeed'~\nMax-Forwards: 255\n"
                + "extension-!.%*+_`'~:\u{FEFF}大停電\nContent-Length: 0\n\n"
        ),
        ("esc01", request("OPTIONS sip:sips%3Auser%40home.test@visited.test SIP/2.0", to: "To: sip:%75se%72@home.test")),
        (
            "escnull",
            request(
                "REGISTER sip:home.test SIP/2.0", from: "From: sip:a-%00-b@home.test;tag=1", to: "To: sip:a-%00-b@home.test",
                cseq: "CSeq: 7 REGISTER", fields: "Contact: <sip:%00@host.test>\nContact: <sip:%00%00@host.test>")
        ),
        (
            "esc02",
            request(
                "RE%47IST%45R sip:home.test SIP/2.0", to: "To: \"%Z%45\" <sip:res@home.test>", cseq: "CSeq: 29 RE%47IST%45R",
                fields: "Contact: <sip:a@h1.test>\nC%6Fntact: <sip:b@h2.test>\nContact: <sip:c@h3.test>")
        ),
        ("lwsdisp", request(from: "From: caller<sip:caller@home.test>;tag=323")),
        (
            "longreq",
            request(
                via: (1...34).map { "V: SIP/2.0/TCP sip\($0).\(String(repeating: "long", count: 12)).test" }.joined(separator: "\n"),
                from: "F: sip:\(String(repeating: "amazingly", count: 20))@home.test;tag=\(String(repeating: "1982", count: 20))",
                fields: "Unknown-\(String(repeating: "Long", count: 60)): \(String(repeating: "value ", count: 100))")
        ),
        (
            "dblreq",
            request("REGISTER sip:home.test SIP/2.0", cseq: "CSeq: 8 REGISTER")
                + "\n\nINVITE sip:joe@home.test SIP/2.0\nt: sip:joe@home.test\n\n"
        ),
        ("semiuri", request("OPTIONS sip:user;par=u%40visited.test@home.test SIP/2.0")),
        (
            "transports",
            request(
                via: ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"].map { "Via: SIP/2.0/\($0) t.test;branch=z9hG4bK\($0)" }.joined(
                    separator: "\n"))
        ),
        (
            "mpart01",
            request(
                "MESSAGE sip:bob@home.test SIP/2.0", cseq: "CSeq: 1 MESSAGE", fields: "Content-Type: multipart/signed;boundary=7a",
                body: "--7a\nContent-Transfer-Encoding: binary\n\n0\u{1}\u{2}\0\u{7F}\n--7a--\n")
        ),
        ("unreason", response("SIP/2.0 200 = 2**3 * 5**2 но сто девяносто девять")),
        ("noreason", response("SIP/2.0 100 ")),
        ("baddate", request(fields: "Date: Fri, 01 Jan 2010 16:00:00 EST")),
        (
            "regbadct",
            request("REGISTER sip:home.test SIP/2.0", cseq: "CSeq: 1 REGISTER", fields: "Contact: sip:u@h.test?Route=%3Csip:x.test%3E")
        ),
        ("badbranch", request(via: "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK")),
        ("unkscm", request("OPTIONS nobodyKnowsThisScheme:totallyopaque SIP/2.0")),
        ("novelsc", request("OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0")),
        (
            "unksm2",
            request(
                "REGISTER sip:home.test SIP/2.0", from: "From: <http://www.test>;tag=3", to: "To: isbn:2983792873", cseq: "CSeq: 2 REGISTER"
            )
        ),
        ("bext01", request(fields: "Require: nothingSupportsThis, norThis\nProxy-Require: noProxiesDo, thisEither")),
        ("invut", request(fields: "Content-Type: application/unknownformat", body: "<audio/>")),
        (
            "regaut01",
            request(
                "REGISTER sip:home.test SIP/2.0", cseq: "CSeq: 1 REGISTER", fields: "Authorization: NoOneKnowsThisScheme opaque-data=here")
        ),
        (
            "bcast",
            response(
                "SIP/2.0 200 OK", vias: "Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1\nVia: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK2")
        ),
        ("zeromf", request(maxForwards: "Max-Forwards: 0")),
        (
            "cparam01",
            request("REGISTER sip:home.test SIP/2.0", cseq: "CSeq: 2 REGISTER", fields: "Contact: sip:+15555@gw.test;unknownparam")
        ),
        (
            "cparam02",
            request("REGISTER sip:home.test SIP/2.0", cseq: "CSeq: 2 REGISTER", fields: "Contact: <sip:+15555@gw.test;unknownparam>")
        ),
        (
            "regescrt",
            request("REGISTER sip:home.test SIP/2.0", cseq: "CSeq: 2 REGISTER", fields: "M: <sip:u@home.test?Route=%3Csip:x.test%3E>")
        ),
        ("sdp01", request(fields: "Accept: text/nobodyKnowsThis")),
        (
            "inv2543",
            "INVITE sip:user@home.test SIP/2.0\nVia: SIP/2.0/UDP gw.test\nFrom: <sip:+1555@gw.test:5060>\nTo: sip:user@home.test\n"
                + "Call-ID: inv2543.1717@gw.test\nCSeq: 56 INVITE\nContent-Type: application/sdp\n\nv=0\n"
        ),
    ]

    @Test(arguments: valid)
    func isAccepted(_ name: String, _ text: String) {
        #expect(Judgement(text) == .accepted, "\(name)")
    }

    static let invalid: [(String, String, UInt16, HeaderName?, MessageFault.Reason)] = [
        ("badinv01", request(via: "Via: SIP/2.0/UDP 192.0.2.15;;,;,,"), 400, .via, .malformed),
        ("clerr", request().replacing("Content-Length: 0", with: "Content-Length: 9999"), 400, .contentLength, .shortBody),
        ("ncl", request().replacing("Content-Length: 0", with: "Content-Length: -999"), 400, .contentLength, .contentLength),
        ("scalar02 CSeq", request(cseq: "CSeq: 36893488147419103232 OPTIONS"), 400, .cseq, .outOfRange),
        ("scalar02 Max-Forwards", request(maxForwards: "Max-Forwards: 300"), 400, .maxForwards, .outOfRange),
        ("scalarlg", response("SIP/2.0 503 No", cseq: "CSeq: 9292394834772304023312 OPTIONS"), 400, .cseq, .outOfRange),
        ("quotbal", request(to: "To: \"Mr. J. User <sip:j.user@home.test>"), 400, .to, .malformed),
        ("ltgtruri", request("OPTIONS <sip:user@home.test> SIP/2.0"), 400, nil, .requestURI),
        ("lwsruri", request("OPTIONS sip:user@home.test; lr SIP/2.0"), 400, nil, .requestURI),
        ("lwsstart", request("OPTIONS  sip:user@home.test  SIP/2.0"), 400, nil, .requestURI),
        ("trws", request("OPTIONS sip:user@home.test SIP/2.0  "), 400, nil, .startLine),
        ("escruri", request("OPTIONS sip:user@home.test?Route=%3Csip:x.test%3E SIP/2.0"), 400, nil, .requestURI),
        ("badaspec", request(to: "To: \"Watson, Thomas\" < sip:t.watson@home.test >"), 400, .to, .malformed),
        ("baddn", request(from: "From:    Bell, Alexander <sip:bell@home.test>;tag=43"), 400, .from, .malformed),
        ("badvers", request("OPTIONS sip:t.watson@home.test SIP/7.0", via: "Via: SIP/7.0/UDP c.test;branch=z9hG4bKk"), 505, nil, .version),
        ("mismatch01", request(cseq: "CSeq: 8 INVITE"), 400, .cseq, .methodMismatch),
        ("mismatch02", request("NEWMETHOD sip:user@home.test SIP/2.0", cseq: "CSeq: 8 INVITE"), 400, .cseq, .methodMismatch),
        ("bigcode", response("SIP/2.0 4294967301 better not break"), 400, nil, .startLine),
        ("insuf", request(from: "", to: "", callID: ""), 400, .callID, .missing),
        ("multi01", request(to: "To: <sip:a@home.test>\nTo: <sip:b@home.test>"), 400, .to, .repeated),
        ("mcl01", request(fields: "Content-Length: 13", body: "12345678901234"), 400, .contentLength, .repeated),
    ]

    @Test(arguments: invalid.indices)
    func isRefused(_ index: Int) {
        let (name, text, status, header, reason) = TortureTests.invalid[index]
        #expect(Judgement(text) == .refused(status, header, reason), "\(name)")
    }

    @Test func theSecondRequestOfADatagramIsNoBody() throws {
        let text = octets(try #require(TortureTests.valid.first { $0.0 == "dblreq" }).1)
        var scanner = MessageScanner()
        _ = scanner.scan(text.span.bytes)
        let message = scanner.message(text.span.bytes)
        #expect(message.method == .register)
        #expect(message.body.byteCount == 0)
    }

    @Test func anEscapedMethodIsAnotherMethod() {
        let text = octets(
            request("RE%47IST%45R sip:home.test SIP/2.0", cseq: "CSeq: 29 RE%47IST%45R", fields: "C%6Fntact: <sip:b@h2.test>"))
        var scanner = MessageScanner()
        _ = scanner.scan(text.span.bytes)
        let message = scanner.message(text.span.bytes)
        let hasContact = message.has(.contact)
        #expect(message.method == .other)
        #expect(!hasContact)
    }
}

/// The cases of RFC 5118.
struct IPv6TortureTests {
    @Test(arguments: [
        ("ipv6-good", request("OPTIONS sip:[2001:db8::10] SIP/2.0"), "[2001:db8::10]", 0),
        ("port-ambiguous", request("OPTIONS sip:[2001:db8::10:5070] SIP/2.0"), "[2001:db8::10:5070]", 0),
        ("port-unambiguous", request("OPTIONS sip:[2001:db8::10]:5070 SIP/2.0"), "[2001:db8::10]", 5070),
        ("ipv6-bug-abnf-3-colons", request("OPTIONS sip:u@[2001:db8:::192.0.2.1] SIP/2.0"), "[2001:db8::c000:201]", 0),
        ("ipv6-correct-abnf-2-colons", request("OPTIONS sip:u@[2001:db8::192.0.2.1] SIP/2.0"), "[2001:db8::c000:201]", 0),
    ])
    func requestURI(_ name: String, _ text: String, _ address: String, _ port: Int) throws {
        let octets = octets(text)
        var scanner = MessageScanner()
        _ = scanner.scan(octets.span.bytes)
        let message = scanner.message(octets.span.bytes)
        let essentials = try message.essentials()
        let uri = try #require(essentials.requestURI)
        #expect(IPAddress(message[uri.host])?.text == address, "\(name)")
        #expect(Int(uri.port) == port, "\(name)")
    }

    @Test func anAddressWithoutBracketsIsNoHost() {
        #expect(Judgement(request("OPTIONS sip:2001:db8::10 SIP/2.0")) == .refused(400, nil, .requestURI))
    }

    @Test(arguments: ["2001:db8::9:255", "[2001:db8::9:255]"])
    func receivedWithAndWithoutBrackets(_ received: String) throws {
        let text = octets(request(via: "Via: SIP/2.0/UDP [2001:db8::9:1];received=\(received);branch=z9hG4bKas3"))
        var scanner = MessageScanner()
        _ = scanner.scan(text.span.bytes)
        let message = scanner.message(text.span.bytes)
        let via = try message.essentials().via
        #expect(IPAddress(message[via.received]) == IPAddress("2001:db8::9:255"))
    }

    @Test func mixedVias() {
        let vias = """
            Via: SIP/2.0/UDP [::ffff:192.0.2.10]:19823;branch=z9hG4bK1
            Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK2
            Via: SIP/2.0/TCP [2001:db8::9:255];branch=z9hG4bK3;received=192.0.2.200
            """
        #expect(Judgement(request(via: vias, fields: "Contact: \"T. phone\" <sip:t@[::ffff:192.0.2.2]>")) == .accepted)
    }
}

private func response(
    _ startLine: String, vias: String = "Via: SIP/2.0/UDP 192.0.2.105;branch=z9hG4bK2398", cseq: String = "CSeq: 35 INVITE"
) -> String {
    "\(startLine)\n\(vias)\nCall-ID: r.1\n\(cseq)\nFrom: <sip:u@home.test>;tag=3\nTo: <sip:u@b.test>;tag=9\nContent-Length: 0\n\n"
}
