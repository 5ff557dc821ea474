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
        var body: String?
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
        // RFC 7616 §3.9.1, and the same with the third function and with a body.
        rfc7616("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        rfc7616("SHA-512-256", "430d05014cecc49cab6fbe03176d41a1da86cbfe24a16580e22aaad928d960d0"),
        rfc7616("MD5", body: "a body", "2608bb40de3dc781da0931d1075a6d6b"),
        rfc7616("SHA-256", body: "a body", "0d90c8b2a9f3e16e396d479bcd9359453406acfc108b9c6aa3ae9b2186166dd4"),
        rfc7616("SHA-512-256", body: "a body", "e5f105b8539557ce828ef5f126a694622d643e706384679dccaed5e34d90c6e6"),
    ]

    @Test(arguments: vectors)
    func `computes the known answer`(vector: Vector) throws {
        func octets(_ text: String) -> [UInt8] { Array(text.utf8) }
        let (nonce, cnonce, uri) = (octets(vector.nonce), octets(vector.cnonce), octets("/dir/index.html"))
        let count = octets(vector.hasQop ? "00000001" : "")
        let body = octets(vector.body ?? "")
        let named = DigestAlgorithm(octets(vector.algorithm).span.bytes)
        let algorithm = try #require(named)
        let ha1 = DigestHash(
            username: octets("Mufasa").span.bytes, realm: octets(vector.realm).span.bytes, password: octets(vector.password).span.bytes,
            by: algorithm.function)
        var hasher = DigestHasher()
        let answer = hasher.answer(
            DigestHasher.Parts(
                isSession: algorithm.isSession, nonce: nonce.span.bytes, uri: uri.span.bytes, nonceCount: count.span.bytes,
                cnonce: cnonce.span.bytes, qop: vector.body == nil ? .auth : .authInt, body: body.span.bytes),
            method: octets(vector.method).span.bytes, ha1: ha1)
        let expected = DigestHash(hexadecimal: octets(vector.answer).span.bytes, by: algorithm.function)
        let capital = DigestHash(hexadecimal: octets(vector.answer.uppercased()).span.bytes, by: algorithm.function)
        #expect(answer == expected)
        #expect(answer == capital)
    }

    private static func rfc7616(_ algorithm: String, body: String? = nil, _ answer: String) -> Vector {
        Vector(
            realm: "http-auth@example.org", password: "Circle of Life", nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", algorithm: algorithm, body: body, answer: answer)
    }

    @Test(arguments: ["", "0", "6629fae49393a05397450978507c4ef", "6629fae49393a05397450978507c4ef1a", "6629fae49393a05397450978507c4efg"])
    func `reads nothing but 32 hexadecimal digits`(text: String) {
        let hash = DigestHash(hexadecimal: Array(text.utf8).span.bytes)
        #expect(hash == nil)
    }
}
