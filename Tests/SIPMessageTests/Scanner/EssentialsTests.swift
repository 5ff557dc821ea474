import SIPMessage
import SansIO
import Testing

struct EssentialsTests {
    @Test func reads() throws {
        let octets = octets(
            request(
                "MESSAGE sip:bob:pw@home.test:5070;transport=tcp SIP/2.0", from: "f: \"A, L\" <sip:alice@home.test;x=1>;y;tag=f1",
                to: "t: sip:bob@home.test;tag=t1", cseq: "CSeq:2147483647   MESSAGE"))
        var scanner = MessageScanner()
        _ = scanner.scan(octets.span.bytes)
        let message = scanner.message(octets.span.bytes)
        let essentials = try message.essentials()
        #expect(String(octets: message[essentials.via.branch]) == "z9hG4bKa1b2")
        #expect(essentials.via.port == 5062 && essentials.via.transport == .udp && essentials.via.rport == nil)
        #expect(String(octets: message[essentials.from.displayName]) == "\"A, L\"")
        #expect(String(octets: message[essentials.from.tag]) == "f1")
        #expect(String(octets: message[essentials.from.uri.all]) == "sip:alice@home.test;x=1")
        #expect(String(octets: message[essentials.to.tag]) == "t1")
        #expect(essentials.to.uri.parameters.isEmpty)
        #expect(essentials.sequence == 2_147_483_647 && essentials.method == .message && essentials.maxForwards == 70)
        let uri = try #require(essentials.requestURI)
        #expect(String(octets: message[uri.user]) == "bob" && String(octets: message[uri.password]) == "pw")
        #expect(String(octets: message[uri.host]) == "home.test" && uri.port == 5070)
        #expect(String(octets: message[uri.parameters]) == ";transport=tcp")
    }

    @Test func maxForwardsMayBeMissing() {
        #expect(Judgement(request(maxForwards: "")) == .accepted)
    }

    static let faults: [(String, HeaderName, MessageFault.Reason)] = [
        (request(via: ""), .via, .missing), (request(via: "Via:"), .via, .malformed), (request(via: "Via: ,"), .via, .malformed),
        (request(from: ""), .from, .missing), (request(to: ""), .to, .missing), (request(callID: ""), .callID, .missing),
        (request(cseq: ""), .cseq, .missing), (request(from: "From: <sip:a@h>\nf: <sip:a@h>"), .from, .repeated),
        (request(callID: "Call-ID: a\ni: b"), .callID, .repeated), (request(cseq: "CSeq: 1 OPTIONS\nCSeq: 1 OPTIONS"), .cseq, .repeated),
        (request(maxForwards: "Max-Forwards: 7\nMax-Forwards: 7"), .maxForwards, .repeated),
        (request(callID: "Call-ID:"), .callID, .malformed),
        (request(callID: "Call-ID: a b"), .callID, .malformed), (request(callID: "Call-ID: a,b"), .callID, .malformed),
        (request(cseq: "CSeq: OPTIONS"), .cseq, .malformed), (request(cseq: "CSeq: 1"), .cseq, .malformed),
        (request(cseq: "CSeq: 1OPTIONS"), .cseq, .malformed), (request(cseq: "CSeq: -1 OPTIONS"), .cseq, .malformed),
        (request(cseq: "CSeq: 1 OPTIONS x"), .cseq, .malformed), (request(cseq: "CSeq: 2147483648 OPTIONS"), .cseq, .outOfRange),
        (request(cseq: "CSeq: 1 options"), .cseq, .methodMismatch), (request(maxForwards: "Max-Forwards: 256"), .maxForwards, .outOfRange),
        (request(maxForwards: "Max-Forwards: x"), .maxForwards, .outOfRange), (request(from: "From: "), .from, .malformed),
        (request(from: "From: <sip:a@h>;;tag=1"), .from, .malformed), (request(from: "From: <sip:a@h>;"), .from, .malformed),
        (request(from: "From: <sip:a@h> x"), .from, .malformed), (request(from: "From: <sip:a@h"), .from, .malformed),
        (request(from: "From: <sip:a@h>;=1"), .from, .malformed), (request(to: "To: sip:a@h?x=y"), .to, .malformed),
        (request(to: "To: <sip:@h>"), .to, .malformed), (request(to: "To: <sip:>"), .to, .malformed),
        (request(to: "To: <sip:a@h:99999>"), .to, .malformed), (request(to: "To: <sip:a@h:>"), .to, .malformed),
        (request(to: "To: \"x\" sip:a@h"), .to, .malformed), (request(to: "To: *"), .to, .malformed),
    ]

    @Test(arguments: faults.indices)
    func namesTheHeaderAtFault(_ index: Int) {
        let (text, header, reason) = EssentialsTests.faults[index]
        #expect(Judgement(text) == .refused(400, header, reason), "\(text)")
    }

    @Test func faultsInWords() {
        var buffer = OctetBuffer()
        for fault in [
            MessageFault(400, .cseq, .missing), MessageFault(400, .to, .malformed), MessageFault(400, .via, .repeated),
            MessageFault(505, nil, .version),
        ] {
            buffer.append(fault)
            buffer.append("|")
        }
        #expect(String(octets: buffer.bytes) == "Missing CSeq|Malformed To|Via: given more than once|unsupported SIP version|")
        for reason in MessageFault.Reason.allCases { #expect(!"\(reason.text)".isEmpty) }
    }
}
