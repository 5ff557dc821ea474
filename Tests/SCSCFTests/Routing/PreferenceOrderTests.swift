import IMSProfile
import SCSCF
import SIPRegistrar
import SansIO
import Testing

/// The order in which a user's contacts are tried, of generated contacts: falling q, falling preference, newest first (RFC 3841
/// §7.2.4). Who asks to be redirected is told it.
@Suite(.overShards) struct PreferenceOrderTests {
    private struct MadeContact {
        var uri: String
        /// In tenths; nil: none given.
        var q: Int?
        var tags: Set<String>

        var text: String {
            "<\(uri)>" + (q.map { ";q=0.\($0)" } ?? "") + tags.sorted().map { ";\($0)" }.joined() + ";expires=3600"
        }

        /// The share of the tags asked for that it names; one that names none at all is as good as any (§7.2.3).
        func preference(_ asked: [String]) -> Double {
            tags.isEmpty ? 1 : Double(asked.count { tags.contains($0) }) / Double(asked.count)
        }
    }

    @Test(arguments: 0..<6) func contactsComeInTheirOrder(_ seed: Int) {
        var random = RandomSource(seed: UInt64(seed) + 600)
        let rig = CoreRig {
            $0.registrar = RegistrarSettings(profile: .rfc3261)
            $0.subscribers[1].isAuthenticated = false
        }.registered(.alice)
        let tags = ["audio", "video", "+g.a"]
        var contacts: [MadeContact] = []
        for number in 0..<Int.random(in: 2...9, using: &random) {
            let contact = MadeContact(
                uri: "sip:bob\(number)@127.0.0.1:\(6100 + number)", q: [nil, 3, 7][Int.random(in: 0..<3, using: &random)],
                tags: Set(tags.filter { _ in Bool.random(using: &random) }))
            rig.register(.bob, expires: nil, contact: contact.text)
            rig.advance(.seconds(1))
            contacts.append(contact)
        }
        _ = rig.taken()
        let asked = tags.filter { _ in Bool.random(using: &random) } + ["+g.other"]
        rig.send(
            "OPTIONS", "sip:bob@home1.test", from: .alice,
            [("Accept-Contact", "*" + asked.map { ";\($0)" }.joined()), ("Request-Disposition", "redirect")])
        let expected = contacts.enumerated().sorted { one, other in
            let (a, b) = (one.element, other.element)
            if a.q ?? 10 != b.q ?? 10 { return a.q ?? 10 > b.q ?? 10 }
            if a.preference(asked) != b.preference(asked) { return a.preference(asked) > b.preference(asked) }
            return one.offset > other.offset
        }
        let told = rig.next(to: .alice).all("Contact").map { $0.split(separator: ">").first.map { String($0.dropFirst()) } ?? "" }
        #expect(told == expected.map(\.element.uri))
    }
}
