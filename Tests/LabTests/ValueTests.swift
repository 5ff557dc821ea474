import Glibc
import JSONText
import Testing

@testable import Lab

@Suite struct ClientVerbTests {
    private func meaning(_ verb: String, _ event: String) -> ClientVerb.Meaning {
        ClientVerb(verb).meaning(of: .members(["event": .text(event)]))
    }

    @Test(arguments: [
        ("register expires=60", "registered", "registration_lost"), ("publish settings", "settings_accepted", "settings_refused"),
        ("remove settings", "settings_removed", "settings_refused"), ("unregister", "unregistered", "error"),
        ("message sip:bob@home1.test \"hi\"", "message_delivered", "message_refused"),
        ("message sip:bob@home1.test \"hi\"", "message_deferred", "error"),
    ])
    func eventsAnswerTheirVerbs(verb: String, done: String, refused: String) {
        #expect(meaning(verb, done) == .done)
        #expect(meaning(verb, refused) == .refused)
        #expect(meaning(verb, "message_received") == .nothing)
    }

    @Test func anUnknownVerbIsDoneWithAnyEvent() {
        #expect(meaning("dance", "danced") == .done)
        #expect(meaning("dance", "error") == .refused)
    }

    @Test func aSubscribersNameStandsForItsIdentity() {
        let identity = { (name: String) in name == "bob" ? "sip:bob@home1.test" : nil }
        #expect(ClientVerb(#"message bob "see  you""#).naming(identity).line == #"message sip:bob@home1.test "see  you""#)
        #expect(ClientVerb("message sip:x@y \"a\"").naming(identity).line == "message sip:x@y \"a\"")
        #expect(ClientVerb("register bob").naming(identity).line == "register bob")
    }

    @Test func waitingHasNoEvent() {
        #expect(ClientVerb("wait 0.5").waitMilliseconds == 500)
        #expect(ClientVerb("wait").waitMilliseconds == nil)
        #expect(ClientVerb("wait -1").waitMilliseconds == nil)
    }
}

@Suite struct LineSplitterTests {
    @Test func linesMayComeInPieces() {
        var splitter = LineSplitter()
        #expect(splitter.append(Array("a\r\nb".utf8)) == [Array("a".utf8)])
        #expect(splitter.append(Array("c\n\n".utf8)) == [Array("bc".utf8), []])
        #expect(splitter.flush() == [])
    }

    @Test func anEndlessLineIsCut() {
        var splitter = LineSplitter()
        #expect(splitter.append([UInt8](repeating: 1, count: LineSplitter.longestLine + 1)).count == 1)
    }
}

@Suite struct HTTPCallTests {
    @Test func answersAreTakenApart() {
        let answer = HTTPCall.parse(Array("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}x".utf8))
        #expect(answer?.status == 404 && answer?.body == Array("{}".utf8))
        #expect(answer?.values(of: "content-length") == ["2"])
        let chunked = HTTPCall.parse(Array("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n".utf8))
        #expect(chunked?.body == Array("abcde".utf8))
        let head = HTTPCall.parse(Array("HTTP/1.1 200 OK\r\nContent-Length: 110\r\n\r\n".utf8), to: "HEAD")
        #expect(head?.status == 200 && head?.body == [])
        #expect(HTTPCall.parse(Array("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n".utf8))?.body == [])
    }

    @Test(arguments: [
        "", "HTTP/1.1 200 OK\r\n", "SIP/2.0 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nx",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\nx\r\n",
    ])
    func nonsenseIsNoAnswer(text: String) { #expect(HTTPCall.parse(Array(text.utf8)) == nil) }

    @Test(arguments: [
        ("http://127.0.0.1:8080/api?x=1#y", "http://127.0.0.1:8080", "/api?x=1"), ("http://localhost", "http://localhost:80", "/"),
        ("http://[::1]:1?a", "http://[::1]:1", "/?a"),
    ])
    func addressesAreTakenApart(url: String, base: String, target: String) throws {
        let call = try #require(HTTPCall(method: "GET", url: url, timeoutMilliseconds: 1))
        #expect(call.base == base && call.target == target)
    }

    @Test(arguments: ["https://x/", "127.0.0.1:80", "http://", "http:///x", "http://a/b c", "http://a/ü"])
    func otherAddressesAreNone(url: String) { #expect(HTTPCall(method: "GET", url: url, timeoutMilliseconds: 1) == nil) }

    @Test func aCallMayEndWithItsTask() async throws {
        let silent = try #require(boundSocket(to: HostAndPort(host: "127.0.0.1", port: 0), type: SOCK_STREAM))
        defer { close(silent.descriptor) }
        try #require(listen(silent.descriptor, 1) == 0)
        var call = HTTPCall(base: "http://127.0.0.1:\(silent.port)", target: "/", timeoutMilliseconds: 600_000)
        call.endsWithTask = true
        let task = Task { [call] in try await call.answer() }
        task.cancel()
        let failure = await #expect(throws: HTTPCall.Failure.self) { try await task.value }
        #expect(failure?.description.contains("was given up") == true)
    }

    @Test func aSilentAddressIsAFailureThatNamesIt() async {
        let call = HTTPCall(base: "http://127.0.0.1:1", target: "/api/health", timeoutMilliseconds: 500)
        let failure = await #expect(throws: HTTPCall.Failure.self) { try await call.answer() }
        #expect(failure?.description.contains("http://127.0.0.1:1") == true)
    }
}

@Suite struct JUnitReportTests {
    @Test func failuresAndNamesAreEscaped() {
        let text = JUnitReport.text(
            suite: "a<b>.yaml",
            results: [
                ScenarioResult(name: "one", time: 0.25, failure: nil),
                ScenarioResult(name: "\"two\" & three", time: 1, failure: .init(step: "a:1\nb", report: "<x>\nawaited\u{1}")),
            ])
        #expect(
            text == """
                <?xml version="1.0" encoding="UTF-8"?>
                <testsuites tests="2" failures="1" errors="0" skipped="0" time="1.250">
                  <testsuite name="a&lt;b&gt;.yaml" tests="2" failures="1" errors="0" skipped="0" time="1.250">
                    <testcase name="one" classname="a&lt;b&gt;.yaml" time="0.250"/>
                    <testcase name="&quot;two&quot; &amp; three" classname="a&lt;b&gt;.yaml" time="1.000">
                      <failure message="a:1&#10;b">&lt;x&gt;
                awaited\u{fffd}</failure>
                    </testcase>
                  </testsuite>
                </testsuites>

                """)
    }
}
