import SIPMessage
import SansIO
import Testing

/// Header fields with a value of their own kind: good values and bad ones.
struct TypedHeaderTests {
    /// Reads a value, and writes what was found as text; nil: it was refused.
    private func read(_ text: String, _ body: (RawSpan, Slice) -> String?) -> String? {
        let octets = Array(text.utf8)
        return body(octets.span.bytes, Slice(0, octets.count))
    }

    @Test(
        arguments: [
            ("<sip:a@h>;sescase=orig;regstate=unreg", "sip:a@h true false false"), ("<sip:a@h>", "sip:a@h - - false"),
            ("\"A\" <sip:a@h> ; SesCase = TERM ; regstate=REG", "sip:a@h false true false"),
            ("<tel:+1555>;orig-cdiv;x=y", "tel:+1555 - - true"), ("<sip:a@h>;sescase=both", nil), ("<sip:a@h>;regstate", nil), ("a", nil),
            ("", nil), ("<sip:a@h>;", nil),
        ] as [(String, String?)])
    func servedUser(_ text: String, _ expected: String?) {
        let found = read(text) { bytes, value in
            bytes.servedUser(value).map { user in
                let isOriginating = user.sessionCase.map { "\($0 == .originating)" } ?? "-"
                let isRegistered = user.isRegistered.map { "\($0)" } ?? "-"
                return "\(String(octets: bytes[user.address.uri.all])) \(isOriginating) \(isRegistered) \(user.isAfterDiversion)"
            }
        }
        #expect(found == expected)
    }

    @Test(
        arguments: [
            ("reg", "reg|"), ("presence.winfo ; ID = a7", "presence.winfo|a7"), ("reg;x;id=1", "reg|1"), ("", nil), (".reg", nil),
            ("reg.", nil), ("a..b", nil), ("reg id=1", nil), ("reg;id", nil), ("reg;id=\"x\"", nil), ("reg;;id=1", nil),
        ] as [(String, String?)])
    func eventType(_ text: String, _ expected: String?) {
        let found = read(text) { bytes, value in
            bytes.eventType(value).map { "\(String(octets: bytes[$0.package]))|\(String(octets: bytes[$0.id]))" }
        }
        #expect(found == expected)
    }

    @Test(arguments: [
        ("reg", "reg", true), ("reg;id=1", "reg;x=y;id=1", true), ("reg", "Reg", false), ("reg;id=1", "reg", false),
        ("reg;id=a", "reg;id=A", false),
    ])
    func sameEvents(_ a: String, _ b: String, _ expected: Bool) throws {
        let first = Array(a.utf8)
        let second = Array(b.utf8)
        let events = (first.span.bytes.eventType(Slice(0, first.count)), second.span.bytes.eventType(Slice(0, second.count)))
        let (event, other) = (try #require(events.0), try #require(events.1))
        let isSame = first.span.bytes.isSame(event, as: other, in: second.span.bytes)
        #expect(isSame == expected)
    }

    @Test(
        arguments: [
            ("active;expires=600000", "active - 600000 -"), ("Terminated ;Reason=NoResource", "terminated noresource - -"),
            ("terminated;reason=probation;retry-after=30", "terminated probation - 30"), ("pending", "pending - - -"),
            ("waiting;reason=bored", "other other - -"), ("active;expires=99999999999", "active - 4294967295 -"), ("", nil),
            ("active;expires=x", nil), ("active;expires", nil), ("active,pending", nil), ("active;reason=\"x\"", nil), ("active;", nil),
        ] as [(String, String?)])
    func subscriptionState(_ text: String, _ expected: String?) {
        let found = read(text) { bytes, value in
            bytes.subscriptionState(value).map { state in
                let reason = state.reason.map { "\($0)" } ?? "-"
                return "\(state.state) \(reason) \(state.expires.map { "\($0)" } ?? "-") \(state.retryAfter.map { "\($0)" } ?? "-")"
            }
        }
        #expect(found == expected)
    }

    @Test(
        arguments: [
            ("SIP;cause=200;text=\"Call completed elsewhere\"", "SIP 200 Call completed elsewhere"), ("Q.850 ; cause = 16", "Q.850 16 "),
            ("SIP", "SIP - "), ("x;text=\"a;b \\\" c\"", "x - a;b \\\" c"), ("", nil), ("SIP;cause=", nil), ("SIP;cause=-1", nil),
            ("SIP;text=word", nil), ("SIP;text=\"open", nil), ("SIP cause=1", nil),
        ] as [(String, String?)])
    func reason(_ text: String, _ expected: String?) {
        let found = read(text) { bytes, value in
            bytes.reason(value).map { reason in
                let cause = reason.cause.map { "\($0)" } ?? "-"
                return "\(String(octets: bytes[reason.protocolName])) \(cause) \(String(octets: bytes[reason.text]))"
            }
        }
        #expect(found == expected)
    }

    @Test(
        arguments: [
            ("18000;duration=3600", "18000  3600"), ("120 (I'm in a (long) meeting)", "120 (I'm in a (long) meeting) -"),
            ("5 (a \\) b);duration=1;x", "5 (a \\) b) 1"), ("949302838503028349304023988", "4294967295  -"), ("", nil), ("-1", nil),
            ("5s", nil),
            ("5 (open", nil), ("5 (a) b", nil), ("5;duration=x", nil), ("5 6", nil),
        ] as [(String, String?)])
    func retryAfter(_ text: String, _ expected: String?) {
        let found = read(text) { bytes, value in
            bytes.retryAfter(value).map { "\($0.delay) \(String(octets: bytes[$0.comment])) \($0.duration.map { "\($0)" } ?? "-")" }
        }
        #expect(found == expected)
    }

    @Test(
        arguments: [
            ("1800;refresher=uac", "1800 uac"), ("90 ; Refresher=UAS;x", "90 uas"), ("4000", "4000 -"), ("", nil), ("x", nil),
            ("1;refresher=me", nil), ("1;refresher", nil), ("1 2", nil),
        ] as [(String, String?)])
    func sessionExpires(_ text: String, _ expected: String?) {
        let found = read(text) { bytes, value in
            bytes.sessionExpires(value).map { "\($0.interval) \($0.refresher.map { "\($0)" } ?? "-")" }
        }
        #expect(found == expected)
    }

    @Test(
        arguments: [
            ("776656 1 INVITE", "776656 1 INVITE"), ("1\r\n\t0  X", "1 0 X"), ("0 1 INVITE", nil), ("1 2147483648 INVITE", nil),
            ("4294967296 1 INVITE", nil), ("1 1", nil), ("1 INVITE", nil), ("1 1 IN VITE", nil), ("", nil),
        ] as [(String, String?)])
    func responseAcknowledgement(_ text: String, _ expected: String?) {
        let found = read(text) { bytes, value in
            bytes.responseAcknowledgement(value).map { "\($0.responseNumber) \($0.sequence) \(String(octets: bytes[$0.method]))" }
        }
        #expect(found == expected)
    }

    @Test(
        arguments: [
            ("c@h;from-tag=f;to-tag=t", "c@h t f false"), ("c ;To-Tag = t; from-tag=f ; early-only", "c t f true"), ("c@h;to-tag=t", nil),
            ("c@h", nil), ("", nil), (";to-tag=t;from-tag=f", nil), ("c d;to-tag=t;from-tag=f", nil), ("c;to-tag=\"t\";from-tag=f", nil),
        ] as [(String, String?)])
    func dialogReference(_ text: String, _ expected: String?) {
        let found = read(text) { bytes, value in
            bytes.dialogReference(value).map { dialog in
                let tags = "\(String(octets: bytes[dialog.localTag])) \(String(octets: bytes[dialog.remoteTag]))"
                return "\(String(octets: bytes[dialog.callID])) \(tags) \(dialog.isEarlyOnly)"
            }
        }
        #expect(found == expected)
    }

    // MARK: Of a whole message

    /// Scans a request with further fields.
    private func scan<Value>(_ fields: String, _ body: (Message) throws -> Value) rethrows -> Value {
        let octets = octets(request(fields: fields))
        var scanner = MessageScanner()
        _ = scanner.scan(octets.span.bytes)
        return try body(scanner.message(octets.span.bytes))
    }

    @Test(
        arguments: [
            ("P-Asserted-Identity: \"A\" <sip:a@h>, <tel:+1555>", "sip:a@h tel:+1555"),
            ("P-Asserted-Identity: tel:+1555\nP-Asserted-Identity: <sips:a@h>", "sips:a@h tel:+1555"),
            ("P-Asserted-Identity: <sip:a@h>", "sip:a@h -"),
            ("X: y", "- -"), ("P-Asserted-Identity: <sip:a@h>, <sip:b@h>", nil), ("P-Asserted-Identity: <tel:1>, <tel:2>", nil),
            ("P-Asserted-Identity: <urn:x:y>", nil), ("P-Asserted-Identity: <sip:a@h>, nobody", nil),
        ] as [(String, String?)])
    func networkIdentities(_ fields: String, _ expected: String?) {
        let found = scan(fields) { message -> String? in
            message.networkIdentities(.pAssertedIdentity).map { identities in
                [identities.sip, identities.tel].map { $0.map { String(octets: message[$0.uri.all]) } ?? "-" }.joined(separator: " ")
            }
        }
        #expect(found == expected)
    }

    @Test func addressesOfRoutes() {
        let fields = "Service-Route: <sip:orig@s1.test;lr>, <sip:s2.test;lr>;x=1\nX: y\nService-Route: <sip:s3.test>"
        let (hosts, isSound) = scan(fields) { message in
            var hosts: [String] = []
            let isSound = message.forEachAddress(.serviceRoute) { address in
                hosts.append(String(octets: message[address.uri.host]))
                return true
            }
            return (hosts, isSound)
        }
        #expect(hosts == ["s1.test", "s2.test", "s3.test"] && isSound)
        let isBrokenSound = scan("Path: <sip:a@h>, <b") { $0.forEachAddress(.path) { _ in true } }
        #expect(!isBrokenSound)
        let isStoppedSound = scan("Path: <sip:a@h>, <b") { $0.forEachAddress(.path) { _ in false } }
        #expect(isStoppedSound)
    }

    @Test(arguments: [("SIP-If-Match: dx200xyz", "dx200xyz"), ("X: y", nil)] as [(String, String?)])
    func entityTag(_ fields: String, _ expected: String?) throws {
        let found = try scan(fields) { message in try message.entityTag(.sipIfMatch).map { String(octets: message[$0]) } }
        #expect(found == expected)
    }

    @Test(arguments: ["SIP-If-Match: a, b", "SIP-If-Match: a\nSIP-If-Match: b", "SIP-If-Match:", "SIP-If-Match: \"a\""])
    func notOneEntityTag(_ fields: String) {
        #expect(throws: MessageFault.self) { try scan(fields) { message in _ = try message.entityTag(.sipIfMatch) } }
    }

    @Test(arguments: [("Max-Breadth: 0060", 60), ("Max-Breadth: 10000000000000000", .max), ("X: y", nil)] as [(String, UInt32?)])
    func number(_ fields: String, _ expected: UInt32?) throws {
        let found = try scan(fields) { message in try message.number(.maxBreadth) }
        #expect(found == expected)
    }

    @Test(arguments: ["Max-Breadth: x", "Max-Breadth:", "Max-Breadth: 1\nMax-Breadth: 1", "Max-Breadth: -1", "Max-Breadth: 1, 2"])
    func notOneNumber(_ fields: String) {
        #expect(throws: MessageFault.self) { try scan(fields) { message in _ = try message.number(.maxBreadth) } }
    }

    static let dispositions: [(String, RequestDisposition)] = [
        ("Request-Disposition: proxy, No-Fork,\n sequential", [.proxy, .noFork, .sequential]),
        ("d: recurse\nRequest-Disposition: queue, no-cancel", [.recurse, .queue, .noCancel]),
        ("d: redirect, cancel, fork, no-recurse, parallel, no-queue", [.redirect, .cancel, .fork, .noRecurse, .parallel, .noQueue]),
        ("d: nonsense, no fork", []), ("X: y", []),
    ]

    @Test(arguments: dispositions.indices)
    func requestDisposition(_ index: Int) {
        let (fields, expected) = TypedHeaderTests.dispositions[index]
        let found = scan(fields) { $0.requestDisposition }
        #expect(found == expected)
    }
}
