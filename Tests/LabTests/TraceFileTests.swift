import JSONText
import SIPTrace
import SansIO
import Testing

@testable import Lab

/// Traces that are kept in files, and messages as JSON.
@Suite struct TraceFileTests {
    private func message(_ octets: [UInt8], peer: String? = nil, mark: TraceMark = .none, sequence: UInt64 = 12) -> TracedMessage {
        TracedMessage(
            sequence: sequence, time: WallTime(microseconds: 1_767_225_600_123_456), direction: .outgoing, transport: .wss, peer: peer,
            local: Endpoint(address: .loopback, port: 443), remote: Endpoint(address: IPAddress(high: 0, low: 1), port: 40_000),
            mark: mark, octets: octets)
    }

    private static let text = "SIP/2.0 200 OK\r\nv: SIP/2.0/WSS h;branch=z9hG4bK1\r\nX-Own: \"日本\"\r\nCSeq: 1 INFO\r\nl: 2\r\n\r\nhi"

    private var samples: [TracedMessage] {
        [
            message(Array(TraceFileTests.text.utf8), peer: "im", mark: .reordered), message([0, 255, 13, 10], sequence: 13),
            message([], sequence: 14),
        ]
    }

    @Test func linesOfJSONAreReadBack() throws {
        let file = samples.map { $0.jsonLine + "\n" }.joined()
        #expect(try TraceFile.messages(in: Array(file.utf8)) == samples)
        #expect(try TraceFile.messages(in: Array("\n\(file)\n  \n".utf8)) == samples)
        #expect(try TraceFile.messages(in: []) == [])
    }

    @Test func anAnswerOfTheInterfaceIsReadToo() throws {
        let answer = "{\"messages\":[\(samples.map(\.jsonLine).joined(separator: ","))],\"next\":14}"
        #expect(try TraceFile.messages(in: Array(answer.utf8)) == samples)
    }

    @Test func captureFilesAreReadToo() throws {
        var writer = PcapngWriter()
        for sample in samples { writer.append(sample) }
        let found = try TraceFile.messages(in: writer.take())
        #expect(found.map(\.octets) == samples.map(\.octets) && found.map(\.peer) == ["im", nil, nil])
    }

    @Test func aMessageIsWrittenAsTheCoreWritesIt() {
        #expect(
            samples[0].jsonLine
                == #"{"sequence":12,"time":"2026-01-01T00:00:00.123456Z","direction":"out","transport":"wss","peer":"im","#
                + #""local":"127.0.0.1:443","remote":"[::1]:40000","start_line":"SIP/2.0 200 OK","method":"INFO","status":200,"#
                + #""fault":"reordered","call_id":null,"headers":[["Via","SIP/2.0/WSS h;branch=z9hG4bK1"],["X-Own","\"日本\""],"#
                + #"["CSeq","1 INFO"],["Content-Length","2"]],"body":"hi","raw":"SIP/2.0 200 OK\r\nv: SIP/2.0/WSS h;branch=z9hG4bK1\r\n"#
                + #"X-Own: \"日本\"\r\nCSeq: 1 INFO\r\nl: 2\r\n\r\nhi"}"#)
        #expect(samples[1].jsonLine.contains(#""raw_base64":"AP8NCg==""#))
    }

    @Test(arguments: [
        ("{\"event\":\"ready\"}\n", "line 1 is no recorded message"), ("nonsense", "line 1 is no JSON"),
        ("{\"messages\":[{}]}", "message 1 is no recorded message"), ("\n\n[1]", "line 3 is no recorded message"),
    ])
    func whatIsNoTraceIsRefusedWithItsPlace(text: String, reason: String) {
        let failure = #expect(throws: TraceFileFailure.self) { try TraceFile.messages(in: Array(text.utf8)) }
        #expect(failure?.description.hasPrefix(reason) == true)
    }

    @Test func lettersStandForOctets() {
        for count in 0..<20 {
            let octets = (0..<count).map { UInt8(truncatingIfNeeded: $0 * 67 + 190) }
            #expect(Base64.decoded(Base64.encoded(octets)) == octets)
        }
        #expect(Base64.encoded(Array("foobar".utf8)) == "Zm9vYmFy" && Base64.encoded(Array("fo".utf8)) == "Zm8=")
        for wrong in ["A", "AA", "A===", "AA=A", "AAAA=", "Zm8=Zm8=", "Zm-v"] { #expect(Base64.decoded(wrong) == nil, "\(wrong)") }
    }
}
