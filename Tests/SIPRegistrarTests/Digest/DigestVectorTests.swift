import SIPMessage
import SansIO
import Testing

@testable import SIPRegistrar

/// Examples of the specifications, and values computed by another implementation.
@Suite struct DigestVectorTests {
    struct Vector: Sendable {
        var realm: String
        var password: String
        var nonce: String
        var cnonce: String
        var algorithm: String
        var hasQop = true
        var method = "GET"
        var answer: String
    }

    static let vectors: [Vector] = [
        // RFC 2617 §3.5.
        Vector(
            realm: "testrealm@host.com", password: "Circle Of Life", nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093", cnonce: "0a4f113b",
            algorithm: "", answer: "6629fae49393a05397450978507c4ef1"),
        // RFC 7616 §3.9.1.
        Vector(
            realm: "http-auth@example.org", password: "Circle of Life", nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", algorithm: "MD5", answer: "8ca523f5e9506fed4657c9700eebdbec"),
        // RFC 2069 §2.4 as its erratum corrects it.
        Vector(
            realm: "testrealm@host.com", password: "CircleOfLife", nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093", cnonce: "",
            algorithm: "md5", hasQop: false, answer: "1949323746fe6a43ef61f9606e7febea"),
        Vector(
            realm: "testrealm@host.com", password: "Circle Of Life", nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093", cnonce: "0a4f113b",
            algorithm: "MD5-sess", answer: "8e3825c57e897f5a0dec6c2d4e5059d0"),
        Vector(
            realm: "testrealm@host.com", password: "Circle Of Life", nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093", cnonce: "0a4f113b",
            algorithm: "MD5-sess", hasQop: false, answer: "4726bc10c33fa6cb357eb27807b1cce8"),
        // rspauth: as an answer without a method.
        Vector(
            realm: "testrealm@host.com", password: "Circle Of Life", nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093", cnonce: "0a4f113b",
            algorithm: "MD5", method: "", answer: "376602cfd2f4e8e5e78b948a85263e85"),
    ]

    @Test(arguments: vectors)
    func `computes the known answer`(vector: Vector) throws {
        func octets(_ text: String) -> [UInt8] { Array(text.utf8) }
        let (nonce, cnonce, uri) = (octets(vector.nonce), octets(vector.cnonce), octets("/dir/index.html"))
        let count = octets(vector.hasQop ? "00000001" : "")
        let named = DigestAlgorithm(octets(vector.algorithm).span.bytes)
        let algorithm = try #require(named)
        let ha1 = DigestHash(
            username: octets("Mufasa").span.bytes, realm: octets(vector.realm).span.bytes, password: octets(vector.password).span.bytes)
        var hasher = DigestHasher()
        let answer = hasher.answer(
            DigestHasher.Parts(
                algorithm: algorithm, nonce: nonce.span.bytes, uri: uri.span.bytes, nonceCount: count.span.bytes,
                cnonce: cnonce.span.bytes),
            method: octets(vector.method).span.bytes, ha1: ha1)
        let expected = DigestHash(hexadecimal: octets(vector.answer).span.bytes)
        let capital = DigestHash(hexadecimal: octets(vector.answer.uppercased()).span.bytes)
        #expect(answer == expected)
        #expect(answer == capital)
    }

    @Test(arguments: ["", "0", "6629fae49393a05397450978507c4ef", "6629fae49393a05397450978507c4ef1a", "6629fae49393a05397450978507c4efg"])
    func `reads nothing but 32 hexadecimal digits`(text: String) {
        let hash = DigestHash(hexadecimal: Array(text.utf8).span.bytes)
        #expect(hash == nil)
    }
}
