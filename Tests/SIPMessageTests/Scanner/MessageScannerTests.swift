import SIPMessage
import SansIO
import Testing

struct MessageScannerTests {
    @Test(arguments: ["", "\r\n", "\r\n\r\n", "\n\n\n"])
    func lineEndsAloneAreBlank(_ text: String) {
        #expect(Judgement(Array(text.utf8)) == .blank)
    }

    @Test(arguments: [
        "\0\0\0\0", "OPTIONS", "hello\n\n", "OPTIONS sip:a@b\n\n", "SIP/2.0\n\n", "SIP/2.0 20 OK\n\n", "SIP/2.0 099 No\n\n",
        "SIP/2.0 700 No\n\n", "SIP/2.0 200OK\n\n", "SIP/3.0 200 OK\n\n", " OPTIONS sip:a@b SIP/2.0\n\n", "OPTIONS\tsip:a@b SIP/2.0\n\n",
        "OPTIONS  SIP/2.0\n\n", "GET / HTTP/1.1\nHost: a\n\n", "OP(IONS sip:a@b SIP/2.0\n\n",
    ])
    func refusesStartLines(_ text: String) {
        #expect(Judgement(text) == .refused(400, nil, .startLine))
    }

    @Test func versionsAndPrefixesHaveNoCase() {
        #expect(Judgement(request("OPTIONS sip:bob@home.test sip/2.0")) == .accepted)
        var scanner = MessageScanner()
        let octets = octets("sip/2.0 180 Ringing\nVia: SIP/2.0/UDP a\n\n")
        _ = scanner.scan(octets.span.bytes)
        let message = scanner.message(octets.span.bytes)
        #expect(!message.isRequest && message.status == 180)
    }

    @Test func leadingLineEndsAreSkipped() {
        #expect(Judgement("\n\n" + request()) == .accepted)
    }

    @Test func bareLineFeedsEndLinesToo() {
        #expect(Judgement(Array(request().utf8)) == .accepted)
    }

    @Test func namesHaveNoCaseAndCompactForms() {
        let long = HeaderName.allCases.filter { $0 != .other }
        for name in long {
            let text = "\(name.text)"
            #expect(HeaderName(Array(text.utf8).span.bytes) == name)
            #expect(HeaderName(Array(text.uppercased().utf8).span.bytes) == name)
            #expect(HeaderName(Array(text.lowercased().utf8).span.bytes) == name)
            #expect(HeaderName(Array((text + "x").utf8).span.bytes) == .other)
            #expect(HeaderName(Array(text.replacing("-", with: "\r").utf8).span.bytes) == (text.contains("-") ? .other : name))
        }
        let compact: [(String, HeaderName)] = [
            ("a", .acceptContact), ("b", .referredBy), ("c", .contentType), ("d", .requestDisposition), ("e", .contentEncoding),
            ("f", .from),
            ("i", .callID), ("j", .rejectContact), ("k", .supported), ("l", .contentLength), ("m", .contact), ("o", .event),
            ("r", .referTo),
            ("s", .subject), ("t", .to), ("u", .allowEvents), ("v", .via), ("x", .sessionExpires), ("y", .identity),
        ]
        for letter in "abcdefghijklmnopqrstuvwxyz0-" {
            let expected = compact.first { $0.0 == String(letter) }?.1 ?? .other
            #expect(HeaderName(Array(String(letter).utf8).span.bytes) == expected)
            #expect(HeaderName(Array(String(letter).uppercased().utf8).span.bytes) == expected)
        }
    }

    @Test func methodsHaveCase() {
        for method in Method.allCases where method != .other {
            #expect(Method(Array("\(method.text)".utf8).span.bytes) == method)
            #expect(Method(Array("\(method.text)".lowercased().utf8).span.bytes) == .other)
            #expect(Method(Array("\(method.text)X".utf8).span.bytes) == .other)
        }
        #expect(Method(Array("INVITA".utf8).span.bytes) == .other)
    }

    @Test func foldedFieldsAreOneValue() throws {
        let octets = octets(request(fields: "Subject: one\n two\n\t three  \nX-Next: 1"))
        var scanner = MessageScanner()
        _ = scanner.scan(octets.span.bytes)
        let message = scanner.message(octets.span.bytes)
        let found = message.firstIndex(of: .subject)
        let index = try #require(found)
        #expect(message.fields[index].isFolded)
        #expect(String(octets: message[message.fields[index].value]) == "one\r\n two\r\n\t three")
        #expect(String(octets: message[message.fields[index].line]) == "Subject: one\r\n two\r\n\t three  \r\n")
        #expect(String(octets: message[message.fields[index + 1].nameSlice]) == "X-Next")
    }

    @Test(arguments: ["no colon here", ": no name", "Bad Name: x", "(x): y", " folded: behind the start line?"])
    func refusesHeaderLines(_ line: String) {
        let text =
            line.hasPrefix(" ")
            ? request().replacing("SIP/2.0\nVia", with: "SIP/2.0\n\(line)\nVia", maxReplacements: 1) : request(fields: line)
        #expect(Judgement(text) == .refused(400, nil, .headerLine))
    }

    @Test func theEndOfTheFieldsMustBeThere() {
        let whole = octets(request())
        #expect(Judgement(Array(whole.dropLast(2))) == .refused(400, nil, .headerEnd))
        #expect(Judgement(Array(whole.dropLast(5))) == .refused(400, nil, .headerEnd))
    }

    @Test func aFaultLeavesTheRestReadable() throws {
        let octets = octets(request("OPTIONS sip:a b@home.test SIP/2.0", fields: "broken line"))
        var scanner = MessageScanner()
        guard case .fault(let fault) = scanner.scan(octets.span.bytes) else {
            Issue.record("taken as it is")
            return
        }
        #expect(fault.reason == .requestURI)
        let message = scanner.message(octets.span.bytes)
        let found = message.firstValue(.via)
        let via = try #require(found)
        #expect(message.bytes.via(via) != nil)
        #expect(message.value(.callID) != nil && message.value(.cseq) != nil)
    }

    @Test func contentLengthCutsTheBody() {
        for (length, expected) in [("0", ""), ("3", "abc"), ("0005", "abcde")] {
            let octets = octets(request(body: "abcde").replacing("Content-Length: 5", with: "Content-Length: \(length)"))
            var scanner = MessageScanner()
            _ = scanner.scan(octets.span.bytes)
            #expect(String(octets: scanner.message(octets.span.bytes).body) == expected)
        }
        #expect(Judgement(request(body: "abcde").replacing("Content-Length: 5", with: "l: 5\nContent-Length: 5")) == .accepted)
        for bad in ["", "x", "5x", "+5", "4294967296", "99999999999999999999999"] {
            let text = request(body: "abcde").replacing("Content-Length: 5", with: "Content-Length: \(bad)")
            #expect(Judgement(text) == .refused(400, .contentLength, .contentLength))
        }
    }
}

struct MessageLimitTests {
    @Test func fields() {
        // The helper writes seven.
        let extra = (0..<(MessageLimit.fields - 7)).map { "X-\($0): 1" }
        #expect(Judgement(request(fields: extra.joined(separator: "\n"))) == .accepted)
        #expect(Judgement(request(fields: (extra + ["X: 1"]).joined(separator: "\n"))) == .refused(400, nil, .tooManyFields))
    }

    @Test func theLastFieldIsFoundByItsName() throws {
        let extra = (0..<(MessageLimit.fields - 8)).map { "X-\($0): 1" }.joined(separator: "\n")
        let octets = octets(request(fields: extra, body: "ab").replacing("Content-Length: 2\n", with: "Subject: last\nContent-Length: 1\n"))
        var scanner = MessageScanner()
        guard case .message = scanner.scan(octets.span.bytes) else {
            Issue.record("refused")
            return
        }
        let message = scanner.message(octets.span.bytes)
        #expect(message.fields.count == MessageLimit.fields)
        #expect(message.firstIndex(of: .subject) == 254)
        #expect(message.firstIndex(of: .contentLength) == 255)
        #expect(message.firstIndex(of: .contact) == nil)
        #expect(message.body.byteCount == 1)
    }

    @Test func lengthOfAField() {
        let name = "X-Long: "
        let fitting = name + String(repeating: "x", count: MessageLimit.fieldLength - name.utf8.count - 1)
        #expect(Judgement(request(fields: fitting)) == .accepted)
        #expect(Judgement(request(fields: fitting + "x")) == .refused(400, nil, .tooLong))
    }

    @Test func lengthOfTheRequestURI() {
        let head = "sip:bob@home.test;p="
        let fitting = head + String(repeating: "x", count: MessageLimit.uri - head.utf8.count)
        #expect(Judgement(request("OPTIONS \(fitting) SIP/2.0")) == .accepted)
        #expect(Judgement(request("OPTIONS \(fitting)x SIP/2.0")) == .refused(414, nil, .longRequestURI))
    }

    @Test func vias() {
        let via = "SIP/2.0/T h"
        let most = [String](repeating: via, count: MessageLimit.vias)
        #expect(Judgement(request(via: "v: " + most.joined(separator: ","))) == .accepted)
        #expect(Judgement(request(via: "v: " + (most + [via]).joined(separator: ","))) == .refused(400, .via, .tooManyValues))
        #expect(Judgement(request(via: (most + [via]).map { "v:" + $0 }.joined(separator: "\n"))) == .refused(400, .via, .tooManyValues))
    }

    @Test func lengthOfTheMessage() {
        let room = MessageLimit.message - octets(request(body: String(repeating: "x", count: 10_000))).count + 10_000
        #expect(Judgement(request(body: String(repeating: "x", count: room))) == .accepted)
        #expect(Judgement(request(body: String(repeating: "x", count: room + 1))) == .refused(513, nil, .tooLarge))
    }
}
