import SIPMessage
import SansIO
import Testing
import TortureMessages

/// What scanner and essential fields say of the messages of RFC 4475 and RFC 5118. Where the RFC leaves a choice, the
/// stricter reading: 400. What the whole core does with them is in `SCSCFTests/Torture`.
struct TortureTests {
    static let refused: [String: Judgement] = [
        // §3.1.2 of RFC 4475: invalid messages.
        "badinv01": .refused(400, .via, .malformed),
        "clerr": .refused(400, .contentLength, .shortBody),
        "ncl": .refused(400, .contentLength, .contentLength),
        "scalar02": .refused(400, .cseq, .outOfRange),
        "scalarlg": .refused(400, .cseq, .outOfRange),
        "quotbal": .refused(400, .to, .malformed),
        "ltgtruri": .refused(400, nil, .requestURI),
        "lwsruri": .refused(400, nil, .requestURI),
        "lwsstart": .refused(400, nil, .requestURI),
        "trws": .refused(400, nil, .startLine),
        "escruri": .refused(400, nil, .requestURI),
        "badaspec": .refused(400, .to, .malformed),
        "baddn": .refused(400, .from, .malformed),
        "badvers": .refused(505, nil, .version),
        "mismatch01": .refused(400, .cseq, .methodMismatch),
        "mismatch02": .refused(400, .cseq, .methodMismatch),
        "bigcode": .refused(400, nil, .startLine),
        // §3.3: invalid by what they lack or have twice.
        "insuf": .refused(400, .callID, .missing),
        "multi01": .refused(400, .callID, .repeated),
        "mcl01": .refused(400, .contentLength, .repeated),
        // §4.2 of RFC 5118.
        "ipv6-bad": .refused(400, nil, .requestURI),
    ]

    @Test(arguments: TortureMessage.all)
    func isJudged(_ message: TortureMessage) {
        #expect(Judgement(message.octets) == TortureTests.refused[message.name] ?? .accepted)
    }

    @Test func allOfThemAreThere() {
        #expect(TortureMessage.rfc4475.count == 49 && TortureMessage.rfc5118.count == 12)
        #expect(TortureTests.refused.keys.allSatisfy { name in TortureMessage.all.contains { $0.name == name } })
    }

    /// Reads a message that is taken.
    private func read(_ name: String, _ body: (Message, Essentials) throws -> Void) throws {
        let octets = TortureMessage.named(name).octets
        var scanner = MessageScanner()
        _ = scanner.scan(octets.span.bytes)
        let message = scanner.message(octets.span.bytes)
        try body(message, try message.essentials())
    }

    @Test func wsinv() throws {
        try read("wsinv") { message, essentials in
            #expect(String(octets: message[essentials.to.tag]) == "1918181833n")
            #expect(String(octets: message[essentials.from.displayName]) == #""J Travelled \\\"""#)
            #expect(String(octets: message[essentials.from.tag]) == "98asjd8")
            #expect(essentials.maxForwards == 68 && essentials.sequence == 9 && essentials.method == .invite)
            #expect(String(octets: message[essentials.via.branch]) == "481tlemvx")
            #expect(String(octets: message[essentials.via.host]) == "192.0.2.2")
            var vias = 0
            message.forEachValue(.via) { value in
                vias += message.bytes.via(value) == nil ? 0 : 1
                return true
            }
            #expect(vias == 3)
            let subject = message.value(.subject)
            #expect(subject?.isEmpty == true)
            #expect(message.body.byteCount == 150)
        }
    }

    @Test func intmeth() throws {
        try read("intmeth") { message, essentials in
            #expect(message.method == .other)
            #expect(String(octets: message[message.shape.methodName]) == "!interesting-Method0123456789_*+`.%indeed'~")
            let uri = try #require(essentials.requestURI)
            #expect(String(octets: message[uri.user]) == "1_strange.uri~(to-be!sure)&isn't+it$/weird?,/;;*")
            #expect(String(octets: message[uri.password]) == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)")
            #expect(String(octets: message[uri.host]) == "mirror.test")
            #expect(String(octets: message[essentials.from.tag]) == "_token~1'+`*%!-.")
            #expect(essentials.maxForwards == 255)
        }
    }

    @Test func esc01() throws {
        try read("esc01") { message, essentials in
            let uri = try #require(essentials.requestURI)
            #expect(String(octets: message[uri.user]) == "sips%3Auser%40mirror.test")
            #expect(String(octets: message[uri.host]) == "pepper.test")
            // To: sip:%75se%72@mirror.test is the user `user`.
            var identity = OctetBuffer()
            identity.appendIdentity(essentials.to.uri, in: message.bytes)
            #expect(String(octets: identity.bytes) == "sip:user@mirror.test")
        }
    }

    @Test func esc02() throws {
        try read("esc02") { message, _ in
            #expect(message.method == .other)
            #expect(message.count(of: .contact) == 2)
        }
    }

    @Test func semiuri() throws {
        try read("semiuri") { message, essentials in
            let uri = try #require(essentials.requestURI)
            #expect(String(octets: message[uri.user]) == "user;par=u%40pepper.test")
            #expect(String(octets: message[uri.host]) == "mirror.test")
        }
    }

    @Test func lwsdisp() throws {
        try read("lwsdisp") { message, essentials in
            #expect(String(octets: message[essentials.from.displayName]) == "caller")
            #expect(String(octets: message[essentials.from.uri.all]) == "sip:dialer@mirror.test")
        }
    }

    @Test func longreq() throws {
        try read("longreq") { message, essentials in
            #expect(message.count(of: .via) == 34)
            #expect(essentials.callID.count > 100 && essentials.from.tag.count > 100)
        }
    }

    @Test func dblreq() throws {
        try read("dblreq") { message, _ in
            #expect(message.method == .register)
            #expect(message.body.byteCount == 0)
        }
    }

    @Test func transports() throws {
        try read("transports") { message, _ in
            var words: [String] = []
            message.forEachValue(.via) { value in
                if let via = message.bytes.via(value) { words.append(String(octets: message[via.transportName])) }
                return true
            }
            #expect(words == ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"])
        }
    }

    @Test func reasonPhrases() throws {
        try read("unreason") { message, _ in
            #expect(String(octets: message[message.shape.reason]).hasPrefix("= 2**3 * 5**2 но сто девяносто девять"))
        }
        try read("noreason") { message, _ in #expect(message.status == 100 && message.shape.reason.isEmpty) }
    }

    @Test func inv2543() throws {
        try read("inv2543") { message, essentials in
            #expect(!essentials.via.hasUniqueBranch && essentials.from.tag.isEmpty && essentials.maxForwards == nil)
            #expect(message.body.byteCount > 0)
        }
    }

    @Test func badbranch() throws {
        try read("badbranch") { _, essentials in #expect(!essentials.via.hasUniqueBranch) }
    }

    /// RFC 5118: which address and port a Request-URI has.
    @Test(arguments: [
        ("ipv6-good", "[2001:db8::10]", 0), ("port-ambiguous", "[2001:db8::10:5070]", 0), ("port-unambiguous", "[2001:db8::10]", 5070),
        // §4.10: one colon too many is forgiven.
        ("ipv6-bug-abnf-3-colons", "[2001:db8::c000:201]", 0), ("ipv6-correct-abnf-2-colons", "[2001:db8::c000:201]", 0),
    ])
    func requestURI(_ name: String, _ address: String, _ port: Int) throws {
        try read(name) { message, essentials in
            let uri = try #require(essentials.requestURI)
            #expect(IPAddress(message[uri.host])?.text == address)
            #expect(Int(uri.port) == port)
        }
    }

    /// §4.5: `received` with brackets and without is the same address.
    @Test(arguments: ["via-received-param-with-delim", "via-received-param-no-delim"])
    func received(_ name: String) throws {
        try read(name) { message, essentials in
            #expect(IPAddress(message[essentials.via.received]) == IPAddress("2001:db8::9:255"))
        }
    }

    /// §4.9: an IPv4 address mapped into IPv6 is an IPv6 address.
    @Test func mappedAddresses() throws {
        try read("ipv4-mapped-ipv6") { message, essentials in
            let address = IPAddress(message[essentials.via.host])
            #expect(address?.isIPv6 == true && essentials.via.port == 19823)
            let parsed = message.firstValue(.contact).flatMap { message.bytes.nameAddress($0) }
            let contact = try #require(parsed)
            #expect(IPAddress(message[contact.uri.host])?.isIPv6 == true)
        }
    }

    /// A request that is refused is answered where its Via, as far as it can be read, points to.
    @Test(arguments: [("badinv01", "192.0.2.15"), ("badvers", "c.mirror.test"), ("quotbal", "192.0.2.59")])
    func viaOfRefused(_ name: String, _ host: String) throws {
        let octets = TortureMessage.named(name).octets
        var scanner = MessageScanner()
        _ = scanner.scan(octets.span.bytes)
        let message = scanner.message(octets.span.bytes)
        let found = message.viaOfRefused
        let via = try #require(found)
        #expect(String(octets: message[via.host]) == host)
    }

    @Test(arguments: ["Via: nonsense", "Via: SIP/2.0/UDP", "Via: SIP/2.0 h", "Via: SIP/2.0/UDP h:99999", "Via:"])
    func viaThatSaysNothing(_ line: String) {
        let octets = octets(request(via: line))
        var scanner = MessageScanner()
        _ = scanner.scan(octets.span.bytes)
        let hasOne = scanner.message(octets.span.bytes).viaOfRefused != nil
        #expect(!hasOne)
    }
}
