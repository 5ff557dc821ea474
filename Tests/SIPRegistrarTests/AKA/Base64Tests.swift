import SansIO
import Testing

@testable import SIPRegistrar

struct Base64Tests {
    /// RFC 4648 §10.
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
    ])
    func vectors(_ text: String, _ encoded: String) {
        let octets = Array(text.utf8)
        var buffer = OctetBuffer()
        buffer.append(base64: octets.span.bytes)
        #expect(String(octets: buffer.bytes) == encoded)
        #expect(decoded(encoded) == octets)
    }

    @Test func everyOctetComesBack() {
        for length in 0..<66 {
            let octets = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 151 &+ length &* 7) }
            var buffer = OctetBuffer()
            buffer.append(base64: octets.span.bytes)
            #expect(decoded(String(octets: buffer.bytes)) == octets)
        }
    }

    @Test(arguments: ["Z", "Zg", "Zg=", "Zg===", "Z===", "=g==", "Zm8=Zm8=", "Zm9v\n", "Zm9-", "Zm9 "])
    func anythingElseIsNone(_ text: String) {
        #expect(decoded(text) == nil)
    }

    private func decoded(_ text: String) -> [UInt8]? {
        let octets = Array(text.utf8)
        var buffer = OctetBuffer()
        return buffer.append(decoding: octets.span.bytes) ? [UInt8](buffer.bytes) : nil
    }
}
