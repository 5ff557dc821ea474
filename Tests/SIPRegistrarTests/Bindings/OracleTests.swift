import SIPMessage
import SIPRegistrar
import SansIO
import Testing

/// Random REGISTER requests to the registrar and to a slow, obvious model of it: they must agree at each step.
@Suite struct OracleTests {
    @Test(arguments: [RegistrarSettings.Profile.ims, .rfc3261], 1...6)
    func `agrees with the model`(profile: RegistrarSettings.Profile, seed: Int) throws {
        var random = RandomSource(seed: UInt64(seed) &* 0x9E37 &+ UInt64(profile.rawValue))
        let keepsUndo = seed % 2 == 0
        let rig = RegistrarRig(profile, keepsUndo: keepsUndo, maximumContacts: 5)
        var model = Model(profile: profile, maximumContacts: 5)
        /// Changes not yet decided, with the model as it was before each.
        var open: [(token: ChangeToken, before: [Model.Contact])] = []
        for step in 0..<300 {
            if Int.random(in: 0..<6, using: &random) == 0 { pass(rig, &model, &random, settling: &open) }
            let request = RandomRegister(using: &random)
            let before = model.contacts
            let expected = model.register(request, now: rig.now.monotonic)
            let outcome = rig.register(
                request.lines, callID: request.callID, cseq: request.cseq, device: request.device, over: request.flow)
            let comment: Comment = "profile \(profile) seed \(seed) step \(step): \(request.lines)"
            #expect(summary(outcome) == expected, comment)
            if let change = outcome.change {
                #expect(change.isRegistered == !model.contacts.isEmpty, comment)
                #expect(change.longestExpires == model.contacts.map { $0.left(at: rig.now.monotonic) }.max() ?? 0, comment)
                if keepsUndo { open.append((change.token, before)) }
            }
            try compare(rig, model, comment)
            if open.count > 3 { settle(rig, &model, &random, &open) }
            try compare(rig, model, comment)
        }
        settle(rig, &model, &random, &open)
        rig.pass(1_000_000)
        let left = model.contacts.count
        let expired = rig.advance()
        #expect(expired.count == left)
        #expect(expired.filter(\.isLast).count == min(left, 1))
        #expect(rig.bytesKept == 0)
        #expect(rig.unconfirmedCount == 0)
        for flow in RandomRegister.flows { #expect(rig.subscriberCount(on: flow) == 0) }
    }

    /// Lets time pass; open changes are decided first, as expiry is not undone.
    private func pass(
        _ rig: RegistrarRig, _ model: inout Model, _ random: inout RandomSource,
        settling open: inout [(token: ChangeToken, before: [Model.Contact])]
    ) {
        settle(rig, &model, &random, &open)
        rig.pass(Int.random(in: 1...400, using: &random))
        let gone = model.contacts.filter { $0.expiry <= rig.now.monotonic }
        model.contacts.removeAll { $0.expiry <= rig.now.monotonic }
        let expired = rig.advance()
        #expect(expired.map(\.device).sorted() == gone.map(\.device).sorted())
        #expect(expired.contains { $0.isLast } == (!gone.isEmpty && model.contacts.isEmpty))
    }

    /// Confirms the first few open changes, and undoes the rest, newest first.
    private func settle(
        _ rig: RegistrarRig, _ model: inout Model, _ random: inout RandomSource,
        _ open: inout [(token: ChangeToken, before: [Model.Contact])]
    ) {
        let kept = Int.random(in: 0...open.count, using: &random)
        for change in open.prefix(kept) { rig.registrar.confirm(change.token) }
        for change in open.dropFirst(kept).reversed() {
            rig.registrar.undo(change.token)
            model.contacts = change.before
        }
        open.removeAll()
    }

    private func compare(_ rig: RegistrarRig, _ model: Model, _ comment: Comment) throws {
        let stored = rig.bindings().map {
            "\($0.uri) \($0.instance) \($0.regID ?? 0) \($0.device) \($0.expires) \($0.sequence) \($0.callID)"
        }
        let expected = model.contacts.map {
            "\($0.uri) \($0.instance) \($0.regID) \($0.device) \($0.left(at: rig.now.monotonic)) \($0.cseq) \($0.callID)"
        }
        try #require(stored == expected, comment)
        for flow in RandomRegister.flows {
            let isThere = model.contacts.contains { $0.flow == flow }
            #expect(rig.hasBinding(on: flow) == isThere, comment)
            #expect(rig.soleSubscriber(on: flow) == (isThere ? 7 : nil), comment)
        }
        #expect(rig.isRegistered() == !model.contacts.isEmpty, comment)
        guard rig.now.monotonic.nanoseconds / 1_000_000_000 % 8 == 0 else { return }
        let copy = RegistrarRig()
        copy.now = rig.now
        #expect(copy.restore(rig.record()), comment)
        #expect(copy.contacts() == rig.contacts(), comment)
    }

    private func summary(_ outcome: RegistrationOutcome) -> String {
        switch outcome {
        case .fetched: "fetched"
        case .unchecked: "unchecked"
        case .rejected(let refusal): "\(refusal.status)"
        case .changed(let change): "\(change.kind) +\(change.added) ~\(change.refreshed) -\(change.removed)"
        }
    }
}

/// A REGISTER drawn from few contacts, so that they meet often.
private struct RandomRegister {
    struct Contact {
        var uri: String
        /// Equivalent URIs have the same meaning.
        var meaning: String
        var instance = ""
        var regID: UInt32 = 0
        var interval: UInt32
    }

    static let flows: [Flow] = [.udp(1), .udp(2), .tcp(3)]
    private static let uris = [
        ("sip:a@h.test", "a"), ("sip:a@H.TEST", "a"), ("sip:%61@h.test;x=1", "a"), ("sip:b@h.test", "b"), ("sip:a@h.test:5062", "a5062"),
        ("sip:b@h.test;transport=tcp", "btcp"), ("sip:c@h.test;transport=tls", "ctls"), ("tel:+1-555", "t"), ("tel:+1555", "t"),
    ]

    var contacts: [Contact] = []
    var isWildcard = false
    var isOutbound: Bool
    var callID: String
    var cseq: Int
    var device: UInt16
    var flow: Flow

    init(using random: inout RandomSource) {
        isOutbound = Bool.random(using: &random)
        callID = "call-\(Int.random(in: 0..<2, using: &random))"
        cseq = Int.random(in: 1...40, using: &random)
        if Int.random(in: 0..<3, using: &random) > 0 { callID += "-\(random.next())" }
        device = UInt16.random(in: 0..<2, using: &random)
        flow = RandomRegister.flows.randomElement(using: &random)!
        isWildcard = Int.random(in: 0..<25, using: &random) == 0
        guard !isWildcard, Int.random(in: 0..<20, using: &random) > 0 else { return }
        for _ in 0..<[1, 1, 1, 2, 2, 3].randomElement(using: &random)! {
            let (uri, meaning) = RandomRegister.uris.randomElement(using: &random)!
            var contact = Contact(
                uri: uri, meaning: meaning, interval: [0, 30, 60, 100, 500, 3600].randomElement(using: &random)!)
            if contact.interval == 30, Int.random(in: 0..<4, using: &random) > 0 { contact.interval = 300 }
            if Int.random(in: 0..<3, using: &random) == 0 { contact.instance = ["<urn:1>", "<urn:2>"].randomElement(using: &random)! }
            if Int.random(in: 0..<3, using: &random) == 0 { contact.regID = UInt32.random(in: 1...2, using: &random) }
            contacts.append(contact)
        }
    }

    var lines: [String] {
        var lines = isOutbound ? ["Supported: path, outbound"] : ["k: path"]
        if isWildcard { return lines + ["Contact: *", "Expires: 0"] }
        for contact in contacts {
            var line = "m: <\(contact.uri)>;expires=\(contact.interval)"
            if !contact.instance.isEmpty { line += ";+sip.instance=\"\(contact.instance)\"" }
            if contact.regID > 0 { line += ";reg-id=\(contact.regID)" }
            lines.append(line)
        }
        return lines
    }
}

/// The rules, one after another, on an array.
private struct Model {
    struct Contact: Equatable {
        var uri, meaning, instance: String
        var regID: UInt32
        var device: UInt16
        var callID: String
        var cseq: UInt32
        var flow: Flow
        var expiry: Instant

        func left(at now: Instant) -> UInt32 { UInt32((expiry - now).wholeSeconds) }
    }

    var profile: RegistrarSettings.Profile
    var maximumContacts: Int
    var contacts: [Contact] = []

    mutating func register(_ request: RandomRegister, now: Instant) -> String {
        let isIMS = profile == .ims
        let mine = contacts.filter { !isIMS || $0.device == request.device }
        func isOld(_ contact: Contact) -> Bool { contact.callID == request.callID && request.cseq <= contact.cseq }
        if request.isWildcard {
            if mine.contains(where: isOld) { return "500" }
            contacts.removeAll { mine.contains($0) }
            return mine.isEmpty ? "fetched" : "deregistration +0 ~0 -\(mine.count)"
        }
        if request.contacts.isEmpty { return "fetched" }

        var asked = request.contacts
        for i in asked.indices where asked[i].instance.isEmpty || !request.isOutbound { asked[i].regID = 0 }
        if asked.filter({ $0.regID > 0 && $0.interval > 0 }).count > 1 { return "400" }
        if asked.contains(where: { $0.interval > 0 && $0.interval < 60 }) { return "423" }

        // Which one each means; the last of several that mean the same counts.
        var meant = asked.map { contact in mine.max { rank(contact, $0) < rank(contact, $1) }.flatMap { rank(contact, $0) > 0 ? $0 : nil } }
        for i in meant.indices where meant[i] != nil { meant[i] = mine.first { rank(asked[i], $0) == rank(asked[i], meant[i]!) } }
        if zip(asked, meant).contains(where: { $0.1.map(isOld) ?? false }) { return "500" }
        let isDeregistration = asked.allSatisfy { $0.interval == 0 }
        if isIMS, isDeregistration, meant.contains(nil) { return "481" }
        let isLast = asked.indices.map { i in
            !asked.indices.contains { j in
                j > i && (meant[i] != nil ? meant[j] == meant[i] : meant[j] == nil && rank(asked[j], asContact(asked[i], request, now)) > 0)
            }
        }
        if isDeregistration, meant.allSatisfy({ $0 == nil }) { return "fetched" }

        let replaces =
            isIMS
            && asked.indices.contains {
                isLast[$0] && asked[$0].interval > 0 && asked[$0].regID == 0 && meant[$0]?.uri != asked[$0].uri
            }
        if replaces, mine.contains(where: isOld) { return "500" }
        var after = contacts
        var removed = 0
        var added = 0
        var refreshed = 0
        after.removeAll { contact in
            let isNamedToGo = asked.indices.contains { isLast[$0] && meant[$0] == contact && asked[$0].interval == 0 }
            let isReplaced = replaces && mine.contains(contact) && !meant.contains(contact)
            if isNamedToGo || isReplaced { removed += 1 }
            return isNamedToGo || isReplaced
        }
        for i in asked.indices where isLast[i] && asked[i].interval > 0 {
            let new = asContact(asked[i], request, now)
            if let old = meant[i], let place = after.firstIndex(of: old) {
                after[place] = new
                refreshed += 1
            } else {
                after.append(new)
                added += 1
            }
        }
        if added > 0, after.count > maximumContacts { return "403" }
        let kind = isDeregistration ? "deregistration" : contacts.isEmpty ? "initial" : "reregistration"
        contacts = after
        return "\(kind) +\(added) ~\(refreshed) -\(removed)"
    }

    /// 2: named by what identifies it; 1: by its URI only; 0: not at all.
    private func rank(_ asked: RandomRegister.Contact, _ stored: Contact) -> Int {
        if asked.regID > 0 { return asked.instance == stored.instance && asked.regID == stored.regID ? 2 : 0 }
        if !asked.instance.isEmpty, !stored.instance.isEmpty {
            return asked.instance == stored.instance && stored.regID == 0 ? 2 : 0
        }
        guard asked.meaning == stored.meaning else { return 0 }
        return asked.instance.isEmpty && stored.instance.isEmpty ? 2 : 1
    }

    private func asContact(_ asked: RandomRegister.Contact, _ request: RandomRegister, _ now: Instant) -> Contact {
        Contact(
            uri: asked.uri, meaning: asked.meaning, instance: asked.instance, regID: asked.regID, device: request.device,
            callID: request.callID, cseq: UInt32(request.cseq), flow: request.flow, expiry: now + .seconds(Int(asked.interval)))
    }
}
