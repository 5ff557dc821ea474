import SIPMessage
import SansIO
import Testing

@testable import SCSCF

/// The body of a third-party REGISTER by itself.
@Suite struct ThirdPartyBodyTests {
    private func written(_ octets: [Int], atMost limit: Int) -> String {
        var body = ThirdPartyBody()
        for count in octets {
            let message = [UInt8](repeating: 0x78, count: count)
            body.addMessage(message.span.bytes)
        }
        body.shorten(to: limit)
        var random = RandomSource(seed: 1)
        var buffer = OctetBuffer()
        body.append(to: &buffer, drawingFrom: &random)
        return String(octets: buffer.bytes)
    }

    @Test func whatIsTooMuchIsLeftOutFromTheEnd() {
        #expect(written([3, 4], atMost: 7).hasPrefix("Content-Type: multipart/mixed;boundary="))
        #expect(written([3, 4], atMost: 6) == "Content-Type: message/sip\r\nContent-Length: 3\r\n\r\nxxx")
        #expect(written([3, 4], atMost: 2) == "Content-Length: 0\r\n\r\n")
        #expect(written([], atMost: 2) == "Content-Length: 0\r\n\r\n")
    }

    @Test func aBoundaryThatStandsInAPartIsDrawnAgain() {
        var same = RandomSource(seed: 7)
        var first = OctetBuffer()
        first.appendHex(same.next())
        let drawn = String(octets: first.bytes)
        var body = ThirdPartyBody()
        body.addServiceInfo("x" + drawn)
        body.addServiceInfo("y")
        var random = RandomSource(seed: 7)
        var buffer = OctetBuffer()
        body.append(to: &buffer, drawingFrom: &random)
        let text = String(octets: buffer.bytes)
        #expect(!text.hasPrefix("Content-Type: multipart/mixed;boundary=\(drawn)"))
        #expect(text.contains("x\(drawn)"))
    }
}
