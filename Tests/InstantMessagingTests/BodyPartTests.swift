import SIPMessage
import SansIO
import Testing

@testable import InstantMessaging

/// Parts of a multipart body (RFC 2046 §5.1).
struct BodyPartTests {
    private func parts(_ contentType: String, _ body: String) -> [String]? {
        let octets = Array((contentType + body).utf8)
        let bytes = octets.span.bytes
        let type = Slice(0, contentType.utf8.count)
        let parts = bytes.bodyParts(of: Slice(type.upper, octets.count), contentType: type)
        return parts?.map { "\(String(octets: bytes[$0.contentType]))|\(String(octets: bytes[$0.content]))" }
    }

    @Test func preambleAndEpilogueAreNoParts() {
        let body = "before\r\n--b\r\nContent-Type: text/plain\r\n\r\none\r\n\r\n--b  \r\n\r\ntwo\r\n--b--\r\nbehind\r\n--b\r\n"
        #expect(parts("multipart/mixed;boundary=b", body) == ["text/plain|one\r\n", "|two"])
        #expect(parts("multipart/mixed; boundary=\"b\"", body) == ["text/plain|one\r\n", "|two"])
    }

    @Test func aDelimiterBeginsItsLine() {
        #expect(parts("multipart/mixed;boundary=b", "--b\n\none\n --b\n--bc\n--b--") == ["|one\n --b\n--bc"])
    }

    @Test(arguments: ["multipart/mixed", "multipart/mixed;boundary", "multipart/mixed;boundary=\"\"", "multipart/mixed;boundary=c"])
    func withoutABoundaryThereAreNoParts(_ contentType: String) { #expect(parts(contentType, "--b\r\n\r\none\r\n--b--") == nil) }
}
