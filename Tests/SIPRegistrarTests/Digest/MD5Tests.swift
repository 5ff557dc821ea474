import Crypto
import SansIO
import Testing

@testable import SIPRegistrar

struct MD5Tests {
    /// RFC 1321 appendix A.5.
    @Test(arguments: [
        ("", "d41d8cd98f00b204e9800998ecf8427e"), ("abc", "900150983cd24fb0d6963f7d28e17f72"),
        ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
        (
            "12345678901234567890123456789012345678901234567890123456789012345678901234567890", "57edf4a22be3c955ac49da2e2107b67a"
        ),
    ])
    func vectors(_ text: String, _ expected: String) {
        let octets = Array(text.utf8)
        #expect(written(DigestHash(of: octets.span.bytes, by: .md5)) == expected)
    }

    /// Every length round the ends of blocks, against a library.
    @Test func theLibraryAgrees() {
        for length in 0..<300 {
            let octets = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ length) }
            let expected = Insecure.MD5.hash(data: octets).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            #expect(written(DigestHash(of: octets.span.bytes, by: .md5)) == expected)
        }
    }

    private func written(_ hash: DigestHash) -> String {
        var buffer = OctetBuffer()
        buffer.append(hash)
        return String(octets: buffer.bytes)
    }
}
