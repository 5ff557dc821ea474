// A long section of subscribers is read in parts: what comes of it is what the whole would have been, or nothing, and then the
// whole is read.
import Testing

@testable import Topology

@Suite struct SubscriberPartsTests {
    private static let frame = """
        domain: home1.test
        subscribers: # many
        ENTRIES
        core: {listen: [udp://127.0.0.1:5060]}
        application_servers:
          im: {uri: "sip:127.0.0.1:5080", feature_tags: [+g.oma.sip-im]}
        service_profiles:
          p: {filter_criteria: [{priority: 0, application_server: im}]}
        clients:
          u1: {command: [./client]}

        """

    /// A topology with these entries, which are indented as they stand here.
    private func topology(_ entries: String) -> String { Self.frame.replacing("ENTRIES", with: entries) }

    private func inParts(_ text: String, length: Int = 40, files: [String: String] = [:]) -> Topology? {
        SubscriberParts(of: text, length: length).flatMap {
            Reader.topology(from: $0, file: "lab/t.yaml", in: surroundings(files: files))
        }
    }

    private func entries(_ count: Int) -> String {
        (0..<count).map {
            "  u\($0):\n    public_identities: [\"sip:u\($0)@home1.test\", \"tel:+4930\($0)\"]\n    password: secret\($0)\n"
                + "    application_servers: [im]\n"
        }.joined()
    }

    @Test func theWholeIsCutBetweenEntries() throws {
        let text = topology(entries(5))
        let cut = try #require(SubscriberParts(of: text, length: 1))
        #expect(cut.line == 2 && cut.parts.count == 5)
        #expect(cut.parts.map(\.firstLine) == [3, 7, 11, 15, 19])
        #expect(
            cut.parts.allSatisfy { $0.text.hasPrefix("  u") && $0.text.split(separator: "\n").filter { $0.hasPrefix("  u") }.count == 1 })
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let rest = cut.rest.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.count == rest.count)
        for (line, left) in zip(lines, rest) { #expect(left == line || (left.isEmpty && line.hasPrefix("  "))) }
    }

    @Test(arguments: [1, 40, 200, 1000])
    func partsMakeTheSameTopology(length: Int) throws {
        let text = topology(entries(20))
        let whole = try #require(read(text).topology)
        #expect(whole.subscribers.count == 20)
        #expect(inParts(text, length: length) == whole)
    }

    @Test func aSectionAtTheEndOfTheFileIsCutToo() throws {
        let head = Self.frame.replacing("subscribers: # many\nENTRIES\n", with: "")
        for end in ["", "\n", "\n\n# the end\n", "    authentication: none"] {
            let text = head + "subscribers:\n" + entries(9) + end
            let whole = try #require(read(text).topology)
            #expect(inParts(text) == whole, "\(end)")
        }
    }

    @Test(arguments: [
        "  # a comment\n\n  u8: {authentication: none}\n# another\n  u9:\n    password: x\n",
        "  u8:\n    password: |\n      one\n\n        # two\n      three\n  u9:\n    password: x\n",
        "  u8:\n    password: \"one\n      two\n      three\"\n  u9: {password: x,\n    authentication: none}\n",
        "  'u8':\n      password: >-\n          a\n          b\n  \"u9\": {password: 'it''s'}\n",
    ])
    func anyYAMLMayStandInAnEntry(entries added: String) throws {
        let text = topology(entries(4) + added)
        let whole = try #require(read(text).topology)
        #expect(inParts(text) == whole)
    }

    /// Each is right as a whole, or wrong; either way the parts do not decide.
    @Test(arguments: [
        // Values with names.
        "  u8: &x {password: a}\n  u9: *x\n",
        "  u8: &x {password: a}\n  u9: {<<: *x}\n",
        // A range may overlap what looks different.
        "  'u{8..9}': {password: x}\n",
        // Claimed twice, in one part or in two.
        "  u8: {password: x}\n  u8: {password: y}\n",
        "  u0: {password: x}\n",
        "  u8: {password: x, public_identities: ['SIP:u1@HOME1.test']}\n",
        "  u8: {password: x, public_identities: ['tel:+49-30-2']}\n",
        "  u8: {password: x, private_identity: u3}\n",
        // Wrong by themselves.
        "  u8: {pasword: x}\n",
        "  u8: {application_servers: [im]}\n",
        "  u8: {password: x, application_servers: [in]}\n",
        "  u8: {password: \"${env:UNSET}\"}\n",
        // Not YAML.
        "  u8: {password: x\n  u9: {password: x}\n",
        "  u8:\n    password: \"x\n  u9:\n    password: y\n",
        " u8: {password: x}\n",
        "\tu8: {password: x}\n",
        "  u8: {password: x}\r\n",
        "  u8: {password: \"\u{2028}\"}\n",
    ])
    func whatIsNotPlainIsReadAsAWhole(entries added: String) {
        for text in [topology(entries(4) + added), topology(added + entries(4))] { #expect(inParts(text) == nil) }
    }

    /// It looks as if a section began or ended there.
    @Test(arguments: [
        "domain: \"home1.test\nsubscribers:\n  u1: {}\n  u2: {}\n  u3: {password: x, authentication: none}\n\"\n",
        "domain: home1.test\nx: 'a\nsubscribers:\n  u1: {}\n  u2: {}\n  u3: {password: x, authentication: none}\n'\nsubscribers: {}\n",
        "domain: home1.test\nsubscribers:\n  u1: {password: x}\n  u2: {password: 'a\nb'}\n  u3: {password: x}\n",
        "domain: home1.test\nsubscribers:\n- u1: {password: x}\n- u2: {password: x}\n- u3: {password: x}\n- u4: {}\n",
        "domain: home1.test\nsubscribers:\n  u1: {password: x}\n  u2: {password: x}\n  u3: {password: x}\n---\ndomain: a.test\n",
        "domain: home1.test\nsubscribers:\n  u1: {password: x}\n  u2: {password: x}\n  u3: {password: x}\nsubscribers: {u4: {}}\n",
    ])
    func whatOnlyLooksLikeTheSectionIsNotCut(text: String) {
        for length in [1, 20, 40] { #expect(inParts(text, length: length) == nil) }
    }

    @Test func faultsOfALongFileAreThoseOfTheWhole() {
        let text = topology(entries(6000) + "  u1: {pasword: x}\n")
        #expect(SubscriberParts(of: text) != nil)
        #expect(
            faults(text).map { String($0.prefix(60)) } == [
                "24003:3: error: the key 'u1' stands here already (line 7); write it once".prefix(60).description
            ])
    }

    @Test func aLongFileIsReadInParts() throws {
        let text = topology(entries(6000))
        let topology = try #require(read(text).topology)
        #expect(topology.subscribers.count == 6000)
        #expect(topology.subscribers.indices.allSatisfy { topology.subscribers[$0].name.text == "u\($0)" })
        #expect(inParts(text, length: SubscriberParts.usualLength) == topology)
    }

    /// Files that were changed at random: the parts make what the whole makes, or nothing.
    @Test func changedFilesAreTheSameOrNothing() {
        let characters = Array(topology(entries(4)))
        var generator = SystemRandomNumberGenerator()
        var same = 0
        for _ in 0..<2000 {
            var changed = characters
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                let place = Int.random(in: 0..<changed.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: changed.remove(at: place)
                case 1: changed.insert(Array("{}[]:,'\"\\&*#-.0 9\n \u{E9}$|>").randomElement(using: &generator)!, at: place)
                default: changed.swapAt(place, Int.random(in: 0..<changed.count, using: &generator))
                }
            }
            let text = String(changed)
            guard let parts = inParts(text) else { continue }
            let whole = read(text)
            #expect(whole.topology == parts && whole.faults.isEmpty, "\(text)")
            same += 1
        }
        #expect(same > 20)
    }
}
