import SansIO
import Testing
import TortureMessages

/// A message goes on as it came, octet by octet: compact forms, folds, escapes, octets that are no UTF-8, unknown fields and
/// odd spelling are the sender's business. Only what RFC 3261 §16.6 and §16.7 let a proxy change is another.
struct PassThroughTests {
    /// Via, Max-Forwards, Route, Record-Route and Content-Length are written anew (§16.6 steps 3, 4, 6, 8, 9); what they must
    /// hold is compared apart.
    private static let rewritten: Set<String> = ["via", "max-forwards", "route", "record-route", "content-length"]
    /// RFC 7315 §4.2: the terminating S-CSCF says for whom the request is. RFC 5393 §5.3.3: a proxy bounds how many may be made
    /// of it.
    private static let added: Set<String> = ["p-called-party-id", "p-charging-vector", "max-breadth"]

    static let requests: [String] = [
        // Compact forms, white space round every separator, a list over lines and commas.
        """
        MESSAGE sip:user@mirror.test SIP/2.0
        v:SIP / 2.0 / UDP   odd.test : 5060 ; branch = z9hG4bKodd1 ; rport ; x="a,b;c" , SIP/2.0/TCP [2001:db8::1];branch=b2
        Via: SIP/2.0/UNKNOWN\n third.test;hidden
        f : "A \\"B\\" \\\\"\n <sip:nobody@elsewhere.test> ; x ;tag=1
        t:sip:user@mirror.test
        i:odd1
        CSEQ:00001\n\tMESSAGE
        MAX-FORWARDS : 0070
        c:text/plain;charset="x\\"y"
        l : 5

        hello
        """,
        // Folds of all kinds, empty values, fields that nobody knows, names of all token characters.
        """
        OPTIONS sip:user@mirror.test;unknown=%41%00;lr SIP/2.0
        Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKodd2
        Max-Forwards: 1
        From: <sip:nobody@elsewhere.test>;tag=2
        To: <sip:user@mirror.test>
        Call-ID: word%ZK-!.*_+'@word`~)(><:\\/"][?}{
        CSeq: 2 OPTIONS
        Subject:
        Subject: one\n two\n\t  three\n \n four
        X-!.%*+_`'~:\t;;,,;"
        Accept-Contact: *;+G.oma.SIP-im;REQUIRE,*;audio="FALSE"
        a: *;explicit
        Record-Route: <sip:first.test;lr>,<sip:second.test;lr>
        record-route: <sip:third.test>
        Content-Length: 0


        """,
        // Octets above 127 that are no UTF-8, controls in a quoted string, a body of any octets.
        """
        PUBLISHED sip:user@MIRROR.test SIP/2.0
        Via: SIP/2.0/UDP [::1]:9;branch=z9hG4bKodd3;ttl=1;received=192.0.2.9
        From: "\u{FF}\u{80}\u{1}\\\u{0}" <sip:nobody@elsewhere.test>;tag=3
        To: J\u{C3}\u{BC}rgen <sip:us%65r@mirror.test>;p=\u{FE}
        Call-ID: odd3\u{FF}
        CSeq: 3 PUBLISHED
        User-Agent: \u{FF}\u{FE} (a \\) comment)
        Content-Type: application/octet-stream
        Content-Encoding: none
        Content-Length: 6

        \u{0}\u{1}\u{FF}\u{80}\t-
        """,
    ]

    @Test(arguments: requests.indices)
    func aRequestGoesOnAsItCame(_ index: Int) throws {
        try expectPassage([UInt8](wire: PassThroughTests.requests[index]), to: "phone")
    }

    /// Every torture message that is sent on.
    @Test(arguments: TortureMessage.all)
    func aTortureMessageGoesOnAsItCame(_ message: TortureMessage) throws {
        guard case .forwarded(let place)? = TortureVerdictTests.verdicts[message.name] else { return }
        try expectPassage(message.octets, to: place)
    }

    private func expectPassage(_ octets: [UInt8], to place: String) throws {
        let rig = TortureLaboratory.registeredRig()
        rig.receive(octets, from: TortureLaboratory.sender)
        let sent = try #require(rig.taken().first { $0.message.isRequest })
        #expect(TortureLaboratory.name(sent) == place)
        let received = RawMessage(octets)
        let passed = RawMessage(sent.octets)
        #expect(
            passed.lines(except: PassThroughTests.rewritten.union(PassThroughTests.added))
                == received.lines(except: PassThroughTests.rewritten))
        #expect(words(passed.startLine).first == words(received.startLine).first)
        // Content-Length says how much of a datagram is the body (§18.3).
        let length = received.all("content-length").first.flatMap { Int(String(decoding: $0.value, as: UTF8.self)) }
        #expect(passed.body == Array(received.body.prefix(length ?? .max)))
        #expect(passed.all("content-length").map(\.value) == [Array("\(passed.body.count)".utf8)])
        expectVias(of: passed, received)
        #expect(Array(passed.values("record-route").suffix(received.values("record-route").count)) == received.values("record-route"))
        let hops = received.all("max-forwards").first.flatMap { Int(String(decoding: $0.value, as: UTF8.self)) }
        #expect(passed.all("max-forwards").map(\.value) == [Array("\(hops.map { $0 - 1 } ?? 70)".utf8)])
    }

    /// Ours on top; in the sender's own what RFC 3261 §18.2.1 and RFC 3581 §4 ask for; all others as they were.
    private func expectVias(of passed: RawMessage, _ received: RawMessage) {
        let vias = passed.values("via")
        let before = received.values("via")
        guard vias.count == before.count + 1, let own = before.first else {
            Issue.record("\(vias.count) Via values after \(before.count)")
            return
        }
        #expect(vias[0].starts(with: Array("SIP/2.0/UDP ".utf8)))
        #expect(Array(vias[2...]) == Array(before[1...]))
        guard !String(decoding: own, as: UTF8.self).contains("received") else { return }
        let port = Array("rport".utf8)
        var expected = own
        if let i = own.indices.first(where: { own[$0...].starts(with: port) }) {
            expected.insert(contentsOf: Array("=5065".utf8), at: i + 5)
        }
        #expect(vias[1] == expected + Array(";received=192.0.2.66".utf8))
    }

    private func words(_ line: [UInt8]) -> [ArraySlice<UInt8>] { line.split(separator: 0x20) }

    // MARK: Responses

    static let responses: [String] = [
        """
        sip/2.0 486 Bu\u{FF}sy;\there, \u{C3}\u{BC}
        f:"x\\"" <sip:dialer@pepper.test>;tag=F
        t : <sip:user@mirror.test>\n ;\n tag = odd
        cseq:1\n INVITE
        X-Unknown:\n folded\n\t value
        Contact: <sip:phone@192.0.2.67>;q=0.5 , \n <sip:other@192.0.2.67>
        Content-Length: 0


        """,
        """
        SIP/2.0 180\u{20}
        From: <sip:dialer@pepper.test>;tag=F
        To: <sip:user@mirror.test>;tag=\u{60}odd'
        CSeq: 1 INVITE
        RSeq : 0009
        WARNING: 399 h "a,b", 307 x "\\"\u{FF}"
        m:<sip:phone@192.0.2.67;x=%41>
        k:a,b ,c
        l:3

        a\u{0}\u{FF}
        """,
    ]

    @Test(arguments: responses.indices)
    func aResponseGoesBackAsItCame(_ index: Int) throws {
        try expectReturn(RawMessage([UInt8](wire: PassThroughTests.responses[index])))
    }

    /// §3.1.1.12 of RFC 4475: a reason phrase of other letters than Latin ones.
    @Test func unreasonGoesBackAsItCame() throws { try expectReturn(RawMessage(TortureMessage.named("unreason").octets)) }

    /// Gives a response to a request that the core sent on: with the Via and Call-ID of that, else as it is.
    private func expectReturn(_ response: RawMessage) throws {
        let rig = TortureLaboratory.registeredRig()
        let cseq = response.all("cseq").first.map { words($0.value)[0] } ?? []
        var request = rig.request("INVITE", "sip:user@mirror.test", from: TortureLaboratory.sender)
        request.set("CSeq", String(decoding: RawMessage.trimmed(cseq), as: UTF8.self) + " INVITE")
        rig.receive(request, from: TortureLaboratory.sender)
        let sent = try #require(rig.taken().first { $0.message.isRequest })
        let forwarded = RawMessage(sent.octets)
        let answer =
            response.startLine + (forwarded.all("via") + forwarded.all("call-id")).flatMap(\.line)
            + response.lines(except: ["via", "call-id"]).flatMap { $0 } + [0x0D, 0x0A] + response.body
        rig.receive(answer, from: TortureLaboratory.phone)
        let back = try #require(rig.taken().first { !$0.message.isRequest })
        #expect(TortureLaboratory.name(back) == "sender")
        let given = RawMessage(answer)
        let returned = RawMessage(back.octets)
        // Status and reason phrase.
        #expect(Array(returned.startLine.dropFirst(8)) == Array(response.startLine.dropFirst(8)))
        // RFC 3325 §5: the answering user's identity is asserted; TS 24.229 §5.4.3.3: a trusted network is told who answers.
        let added: Set = ["p-asserted-identity", "p-charging-vector"]
        #expect(
            returned.lines(except: added.union(["via", "content-length"])) == given.lines(except: ["via", "content-length"]))
        #expect(returned.values("via") == Array(given.values("via").dropFirst()))
        #expect(returned.body == given.body)
    }
}
