import SIPMessage
import SansIO
import Testing

@testable import IMSProfile

@Suite("Hostile input")
struct HostileInputTests {
    /// Text made of what the grammars treat specially, which no reader may trap on.
    private func noise(_ pieces: [String], _ random: inout RandomSource) -> String {
        (0..<Int.random(in: 0...24, using: &random)).map { _ in pieces.randomElement(using: &random) ?? "" }.joined()
    }

    @Test("contacts and preferences", arguments: 0..<4)
    func preferences(_ seed: Int) throws {
        var random = RandomSource(seed: UInt64(seed))
        let pieces = [
            "*", ";", ",", "\"", "\\", "<", ">", "=", "#", "!", "#>=", "#<=", ":", "1", ".", " ", "\t", "audio", "+x", "require", "a",
        ]
        for _ in 0..<1500 {
            let headers = [
                "Accept-Contact: *;" + noise(pieces, &random), "Reject-Contact: *;" + noise(pieces, &random),
                "a: " + noise(pieces, &random),
            ]
            let contact = Array(noise(pieces, &random).utf8)
            let rating = try withRequest("MESSAGE sip:bob@home1.test SIP/2.0", headers) { message in
                _ = message.asksFor(contact.span.bytes)
                return CallerPreferences(message).rating(contactParameters: contact.span.bytes)
            }
            #expect((0...1).contains(rating.preference))
        }
    }

    @Test("multipart bodies", arguments: 0..<4)
    func multipart(_ seed: Int) throws {
        var random = RandomSource(seed: UInt64(seed))
        let pieces = [
            "--b", "--b--", "--", "\r\n", "\n", "\r", ":", "Content-Type:", " application/sdp", "multipart/mixed;boundary=b", "m=x", "=",
            " ",
        ]
        let profile = try ServiceProfile(
            trigger: TriggerPoint(
                isConjunctive: true, groups: [[ServicePointTrigger(.sessionDescription(line: "m", content: "^x$"))]]))
        for _ in 0..<1500 {
            let body = noise(pieces, &random)
            let isMatch = try withRequest("INVITE sip:bob@home1.test SIP/2.0", ["c: multipart/mixed;boundary=b"], body: body) { message in
                profile.matches(at: 0, message, .originating)
            }
            #expect(!isMatch || body.contains("m=x"))
        }
    }

    @Test("patterns", arguments: 0..<4)
    func patterns(_ seed: Int) {
        var random = RandomSource(seed: UInt64(seed))
        let pieces = [
            "(", ")", "[", "]", "[^", "[:", ":]", "[.", ".]", "[=", "=]", "{", "}", "{2,", "3}", "*", "+", "?", "|", "^", "$", "-", "\\",
            "a", "z", "ä",
        ]
        let subject = Array("az-a".utf8)
        for _ in 0..<1500 {
            let pattern = noise(pieces, &random)
            do {
                _ = try RegularExpression(pattern).matches(subject)
            } catch {
                #expect((1...pattern.unicodeScalars.count + 1).contains(error.column), "\(pattern)")
            }
        }
    }
}
