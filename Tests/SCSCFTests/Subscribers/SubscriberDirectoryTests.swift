import SansIO
import Testing

@testable import SCSCF

/// Who has which identity, while subscribers come, change and go: the directory against a list of all there are.
@Suite struct SubscriberDirectoryTests {
    @Test(arguments: 1...12 as ClosedRange<UInt64>) func itKnowsWhatTheListKnows(seed: UInt64) {
        let life = DirectoryLife(seed: seed)
        for step in 1...250 {
            life.step()
            life.compare("seed \(seed), step \(step)")
        }
        #expect(life.changes >= 100)
    }

    /// Texts that nobody uses any more are let go of, and nothing else changes.
    @Test func oldTextsDoNotPileUp() {
        let directory = DirectoryBox([DirectoryLife.plan("alice"), DirectoryLife.range, DirectoryLife.plan("bob")])
        for i in 0..<5000 {
            for (number, name) in [(0 as UInt32, "alice"), (8, "u0007"), (101, "bob")] {
                var plan = DirectoryLife.plan(name)
                plan.passwords = [IdentityTemplate("secret \(i)")]
                let (same, difference) = directory.value.replace(number, by: plan)
                #expect(same == number && difference == SubscriberDifference(credentials: true))
            }
        }
        #expect(directory.value.text.count < 200_000)
        for (number, name) in [(0 as UInt32, "alice"), (8, "u0007"), (101, "bob")] {
            #expect(directory.owner("sip:\(name)@home1.test") == number)
            #expect(directory.password(number) == "secret 4999")
            #expect(directory.value.name(of: number) == name)
        }
        #expect(directory.owner("sip:u0008@home1.test") == 9)
        #expect(directory.password(9) == "pw-u0008")
    }

    @Test func oneOfARangeMayGoAndComeBack() {
        let directory = DirectoryBox([DirectoryLife.range])
        #expect(directory.owner("sip:u0042@home1.test") == 42)
        directory.value.retire(42)
        #expect(directory.owner("sip:u0042@home1.test") == nil)
        #expect(directory.owner("sip:u0041@home1.test") == 41)
        // It can still be named.
        #expect(directory.identities(42) == ["sip:u0042@home1.test"])
        let (number, difference) = directory.value.replace(42, by: DirectoryLife.plan("u0042", password: "new"))
        #expect(number == 42 && difference == SubscriberDifference(credentials: true))
        #expect(directory.owner("sip:u0042@home1.test") == nil)
        directory.value.publish(42)
        #expect(directory.owner("sip:u0042@home1.test") == 42)
        #expect(directory.password(42) == "new")
        #expect(directory.password(43) == "pw-u0043")
    }

    @Test func otherIdentitiesAreAnotherNumber() {
        let directory = DirectoryBox([DirectoryLife.plan("alice"), DirectoryLife.plan("bob")])
        let (number, difference) = directory.value.replace(0, by: DirectoryLife.plan("alice", ["sip:alicia@home1.test"]))
        #expect(number == 2 && difference.identities)
        // Neither the old nor the new until it is published.
        #expect(directory.owner("sip:alice@home1.test") == nil)
        #expect(directory.owner("sip:alicia@home1.test") == nil)
        directory.value.publish(number)
        #expect(directory.owner("sip:alicia@home1.test") == 2)
        #expect(directory.owner("sip:alice@home1.test") == nil)
        #expect(directory.identities(0) == ["sip:alice@home1.test"])
        // What alice has left bob may have.
        let plan = DirectoryLife.plan("bob", ["sip:bob@home1.test", "sip:alice@home1.test"])
        #expect(directory.value.clash(plan, except: 1) == nil)
        #expect(directory.value.clash(DirectoryLife.plan("carol", ["sip:bob@home1.test"]), except: nil)?.holder == 1)
    }
}

/// A directory that a closure can hold.
private final class DirectoryBox {
    var value: SubscriberDirectory

    init(_ plans: [SubscriberPlan]) { value = SubscriberDirectory(plans, secret: HashSecret(1, 2)) }

    func owner(_ identity: String) -> UInt32? { value.publicIdentity(Array(identity.utf8).span.bytes)?.subscriber }

    func device(_ identity: String) -> UInt32? { value.privateIdentity(Array(identity.utf8).span.bytes)?.subscriber }

    func identities(_ subscriber: UInt32) -> [String] {
        (0..<value.identityCount(of: subscriber)).map { i in
            var text = OctetBuffer()
            value.appendPublicIdentity(IdentityReference(subscriber: subscriber, identity: UInt16(i)), into: &text)
            return String(octets: text.bytes)
        }
    }

    func password(_ subscriber: UInt32) -> String? {
        var text = OctetBuffer()
        guard value.appendPassword(IdentityReference(subscriber: subscriber, identity: 0), into: &text) else { return nil }
        return String(octets: text.bytes)
    }
}

/// Random changes of a directory, and a list of what it should know.
private final class DirectoryLife {
    struct Entry {
        var number: UInt32
        var identities: [String]
        var password: String?
        var profile: Int?
    }

    private let directory: DirectoryBox
    private var random: RandomSource
    /// By name; who is gone is in `gone`.
    private var entries: [String: Entry] = [:]
    private var gone: [String: UInt32] = [:]
    /// What each number ever stood for.
    private var meanings: [UInt32: [String]] = [:]
    private(set) var changes = 0

    static let names = ["alice", "bob", "dave", "eve", "u0003", "u0050", "u0099", "v1"]

    init(seed: UInt64) {
        random = RandomSource(seed: seed)
        directory = DirectoryBox([DirectoryLife.plan("alice"), DirectoryLife.range, DirectoryLife.plan("bob")])
        var numbers = [("alice", 0 as UInt32), ("bob", 101)]
        numbers += ["u0003": 4, "u0050": 51, "u0099": 100].map { ($0.key, $0.value) }
        for (name, number) in numbers {
            let isOfRange = name.hasPrefix("u")
            entries[name] = Entry(
                number: number, identities: ["sip:\(name)@home1.test"], password: isOfRange ? "pw-\(name)" : "x", profile: 0)
            meanings[number] = ["sip:\(name)@home1.test"]
        }
    }

    static func plan(
        _ name: String, _ identities: [String]? = nil, password: String? = "x", profile: Int? = 0
    ) -> SubscriberPlan {
        SubscriberPlan(
            name: name, publicIdentities: (identities ?? ["sip:\(name)@home1.test"]).map { IdentityTemplate($0) },
            privateIdentities: [IdentityTemplate("\(name)@home1.test")], passwords: [password.map { IdentityTemplate($0) }],
            isAuthenticated: password != nil, profile: profile)
    }

    /// `u0000` to `u0099`.
    static var range: SubscriberPlan {
        var plan = Laboratory.range()
        plan.range = 0...99
        return plan
    }

    // MARK: Changes

    func step() {
        let name = DirectoryLife.names.randomElement(using: &random)!
        if Int.random(in: 0..<3, using: &random) == 0 { remove(name) } else { put(name) }
    }

    private func remove(_ name: String) {
        guard let entry = entries.removeValue(forKey: name) else { return }
        directory.value.retire(entry.number)
        gone[name] = entry.number
        changes += 1
    }

    private func put(_ name: String) {
        var identities = ["sip:\(name)@home1.test"]
        // Now and then identities that others may have.
        if Bool.random(using: &random) { identities.append("tel:+1555010\(Int.random(in: 0..<6, using: &random))") }
        if Int.random(in: 0..<5, using: &random) == 0 { identities.removeFirst(identities.count - 1) }
        let password = ["one", "two", nil].randomElement(using: &random)!
        let profile = [0, 1, nil].randomElement(using: &random)!
        let plan = DirectoryLife.plan(name, identities, password: password, profile: profile)
        let old = entries[name]?.number ?? gone[name]
        let holder = entries.first { $0.key != name && !Set($0.value.identities).isDisjoint(with: identities) }
        let clash = directory.value.clash(plan, except: old)
        #expect((clash != nil) == (holder != nil))
        #expect(clash.map(\.holder) == holder?.value.number)
        guard clash == nil else { return }
        let number: UInt32
        if let old {
            number = directory.value.replace(old, by: plan).number
            #expect((number == old) == (meanings[old] == identities))
        } else {
            number = directory.value.append(plan)
        }
        // Laid out, but not to be found before it is published: nobody else's identity is touched.
        if let old, number != old { #expect(directory.device("\(name)@home1.test") == nil) }
        directory.value.publish(number)
        gone[name] = nil
        entries[name] = Entry(number: number, identities: identities, password: password, profile: profile)
        meanings[number] = identities
        changes += 1
    }

    // MARK: Comparison

    func compare(_ what: String) {
        let identities = DirectoryLife.names.map { "sip:\($0)@home1.test" } + (0..<6).map { "tel:+1555010\($0)" }
        for identity in identities {
            let holder = entries.values.first { $0.identities.contains(identity) }
            #expect(directory.owner(identity) == holder?.number, "\(identity), \(what)")
        }
        for (name, entry) in entries {
            #expect(directory.identities(entry.number) == entry.identities, "\(name), \(what)")
            #expect(directory.password(entry.number) == entry.password, "\(name), \(what)")
            let reference = IdentityReference(subscriber: entry.number, identity: 0)
            #expect(directory.value.profile(of: reference) == entry.profile, "\(name), \(what)")
            #expect(directory.value.isAuthenticated(entry.number) == (entry.password != nil), "\(name), \(what)")
            #expect(directory.value.name(of: entry.number) == name, "\(name), \(what)")
        }
        for name in DirectoryLife.names { #expect(directory.device("\(name)@home1.test") == entries[name]?.number, "\(name), \(what)") }
        for (number, identities) in meanings { #expect(directory.identities(number) == identities, "\(number), \(what)") }
        #expect(directory.owner("sip:u0042@home1.test") == 43, "\(what)")
    }
}
