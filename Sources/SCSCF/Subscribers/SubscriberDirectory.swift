// The home subscribers by number: which public or private identity is whose (the part of an HSS that a lab needs).
//
// A subscriber's number is the first number of its plan plus its place in the plan's range. Identities without a hole are
// in a hash table; those of ranges are matched as text, prefix, digits, suffix, so a million subscribers need no memory.
// Plans are laid out flat, so that a request, which asks a dozen times, neither counts references nor allocates.
//
// What changes while the core runs is in `SubscriberDirectory+Changes`: here it costs a look at `hasExceptions`.

import SIPMessage
import SIPRegistrar
import SansIO

/// A public identity of a subscriber.
struct IdentityReference: BitwiseCopyable, Equatable {
    var subscriber: UInt32
    /// Its place in the implicit registration set.
    var identity: UInt16
    static let none = IdentityReference(subscriber: .max, identity: 0)
    var isNone: Bool { subscriber == .max }
}

struct SubscriberDirectory: ~Copyable {
    let secret: HashSecret
    var plans: ContiguousArray<PlanLayout> = []
    var templates: ContiguousArray<TemplateLayout> = []
    /// The literals of all templates, and the octets of these and of the names.
    var pieces: ContiguousArray<Slice> = []
    var text = OctetBuffer(capacity: 1024)
    var publicLiterals = KeyTable()
    var privateLiterals = KeyTable()
    var references: ContiguousArray<IdentityReference> = []
    var publicPatterns: ContiguousArray<Pattern> = []
    var privatePatterns: ContiguousArray<Pattern> = []
    /// The keys of SIMs, by the number that a private identity's template has.
    var sims: ContiguousArray<AKACredentials> = []
    var specials = SpecialIdentities()
    /// Numbers are below.
    var count: UInt32 = 0
    /// Subscribers who are not as the plan of their number says, or are gone, and where they are by number.
    var exceptions: ContiguousArray<SubscriberException> = []
    var exceptionNumbers = KeyTable()
    var hasExceptions = false
    /// Templates that nobody refers to any more.
    var unusedTemplates = 0

    /// A plan without its text.
    struct PlanLayout: BitwiseCopyable {
        /// The number of its first subscriber.
        var base: UInt32
        /// Where its public identities, private identities and passwords begin among the templates.
        var publicStart: UInt32
        var privateStart: UInt32
        var passwordStart: UInt32
        var publicCount: UInt16
        var privateCount: UInt16
        var defaultIdentity: UInt16
        var isAuthenticated: Bool
        /// Whether all private identities have a SIM.
        var isAKAOnly: Bool
        var isRange: Bool
        var address: IPAddress?
        var lowest: UInt64
        var highest: UInt64
        var width: Int
        var prefix: Slice
        var suffix: Slice
    }

    /// A template without its text, and what is said of a public identity.
    struct TemplateLayout: BitwiseCopyable {
        var firstPiece: UInt32
        /// 0: there is no such text.
        var pieceCount: UInt32
        /// Octets of all pieces.
        var fixed: UInt32
        /// Of a public identity: its profile, or -1.
        var profile: Int32 = -1
        /// And its alias group, or -1.
        var aliasGroup: Int32 = -1
        var isBarred = false
        var isNumber = false
        /// Of a private identity: its SIM, or -1.
        var sim: Int32 = -1
    }

    /// An identity of a range: which plan, which of its identities.
    struct Pattern: BitwiseCopyable {
        var plan: Int
        var identity: UInt16
        var template: Int
    }

    // MARK: Laying out

    init(_ plans: [SubscriberPlan], secret: HashSecret) {
        self.secret = secret
        self.plans.reserveCapacity(plans.count)
        for plan in plans { add(plan) }
    }

    private mutating func add(_ plan: SubscriberPlan) {
        plans.append(layOut(plan))
        index(plans.count - 1)
        specials.add(plan.specialIdentities, of: count)
        count += UInt32(clamping: plan.count)
    }

    /// Lays out a plan for the numbers from `count` on.
    mutating func layOut(_ plan: SubscriberPlan) -> PlanLayout {
        let publicStart = templates.count
        for (i, template) in plan.publicIdentities.enumerated() {
            var layout = add(template)
            layout.profile = plan.profiles[i].map { Int32($0) } ?? -1
            layout.aliasGroup = plan.aliasGroups[i].map { Int32($0) } ?? -1
            layout.isBarred = plan.isBarred[i]
            layout.isNumber = template.pieces[0].starts(with: "tel:".utf8)
            templates.append(layout)
        }
        let privateStart = templates.count
        for (i, template) in plan.privateIdentities.enumerated() {
            var layout = add(template)
            if plan.sims.indices.contains(i), let credentials = plan.sims[i] {
                layout.sim = Int32(sims.count)
                sims.append(credentials)
            }
            templates.append(layout)
        }
        let passwordStart = templates.count
        for template in plan.passwords {
            templates.append(template.map { add($0) } ?? TemplateLayout(firstPiece: 0, pieceCount: 0, fixed: 0))
        }
        let prefix = add(plan.namePrefix)
        let suffix = add(plan.nameSuffix)
        return PlanLayout(
            base: count, publicStart: UInt32(publicStart), privateStart: UInt32(privateStart), passwordStart: UInt32(passwordStart),
            publicCount: UInt16(plan.publicIdentities.count), privateCount: UInt16(plan.privateIdentities.count),
            defaultIdentity: UInt16(plan.isBarred.firstIndex(of: false) ?? 0), isAuthenticated: plan.isAuthenticated,
            isAKAOnly: !plan.sims.contains { $0 == nil }, isRange: plan.range != nil, address: plan.address,
            lowest: plan.range?.lowerBound ?? 0, highest: plan.range?.upperBound ?? 0, width: plan.width,
            prefix: prefix, suffix: suffix)
    }

    private mutating func add(_ template: IdentityTemplate) -> TemplateLayout {
        let first = pieces.count
        for piece in template.pieces { pieces.append(add(piece)) }
        return TemplateLayout(
            firstPiece: UInt32(first), pieceCount: UInt32(template.pieces.count),
            fixed: UInt32(template.pieces.reduce(0) { $0 + $1.count }))
    }

    private mutating func add(_ octets: [UInt8]) -> Slice {
        let start = text.count
        text.append(octets)
        return Slice(start, text.count)
    }

    /// Makes the identities of a plan findable: those of a range that differ by the name as patterns, others by their text.
    private mutating func index(_ number: Int) {
        let plan = plans[number]
        for i in 0..<Int(plan.publicCount) {
            let template = Int(plan.publicStart) + i
            if plan.isRange, templates[template].pieceCount > 1 {
                publicPatterns.append(Pattern(plan: number, identity: UInt16(i), template: template))
            } else {
                publicLiterals.set(key(of: template, plan), to: addReference(plan.base, i))
            }
        }
        for i in 0..<Int(plan.privateCount) {
            let template = Int(plan.privateStart) + i
            if plan.isRange, templates[template].pieceCount > 1 {
                privatePatterns.append(Pattern(plan: number, identity: UInt16(i), template: template))
            } else {
                privateLiterals.set(key(of: template, plan), to: addReference(plan.base, i))
            }
        }
    }

    /// The key of an identity of a plan that is no range.
    func key(of template: Int, _ plan: PlanLayout) -> KeyHash {
        var filled = OctetBuffer(capacity: 128)
        fill(templates[template], nameOf: plan.base, plan, into: &filled)
        return key(filled.bytes)
    }

    mutating func addReference(_ subscriber: UInt32, _ identity: Int) -> UInt32 {
        references.append(IdentityReference(subscriber: subscriber, identity: UInt16(identity)))
        return UInt32(references.count - 1)
    }

    // MARK: From an identity to a subscriber

    /// Whose public identity this canonical URI is (`OctetBuffer.appendIdentity`).
    func publicIdentity(_ canonical: RawSpan) -> IdentityReference? {
        for i in 0..<publicPatterns.count {
            if let found = identity(canonical, of: publicPatterns[i]), isProvisioned(found.subscriber) { return found }
        }
        if let found = literal(canonical, publicLiterals) { return found }
        return specials.isEmpty ? nil : specials.reference(to: canonical) { isProvisioned($0) }
    }

    /// Whose public identity this is, or, if nobody has it, of whom it was the last.
    func holder(of canonical: RawSpan) -> IdentityReference? {
        if let found = publicIdentity(canonical) { return found }
        guard hasExceptions else { return nil }
        for i in 0..<publicPatterns.count { if let found = identity(canonical, of: publicPatterns[i]) { return found } }
        if !references.isEmpty, let place = publicLiterals[key(canonical)] { return references[Int(place)] }
        return specials.isEmpty ? nil : specials.reference(to: canonical) { _ in true }
    }

    /// Whose private identity this is; it has its domain.
    func privateIdentity(_ name: RawSpan) -> IdentityReference? {
        for i in 0..<privatePatterns.count {
            if let found = identity(name, of: privatePatterns[i]), isProvisioned(found.subscriber) { return found }
        }
        return literal(name, privateLiterals)
    }

    /// A text is one subscriber's only, so the order does not matter; a few patterns are quicker to try than a hash to make.
    private func literal(_ text: RawSpan, _ table: borrowing KeyTable) -> IdentityReference? {
        guard !references.isEmpty, let place = table[key(text)] else { return nil }
        let found = references[Int(place)]
        return isProvisioned(found.subscriber) ? found : nil
    }

    private func key(_ text: RawSpan) -> KeyHash {
        var hasher = KeyHasher(secret)
        hasher.combine(text)
        return hasher.finish()
    }

    /// The subscriber of a range whose name fills the template to this text.
    private func identity(_ wanted: RawSpan, of pattern: Pattern) -> IdentityReference? {
        let plan = plans[pattern.plan]
        let template = templates[pattern.template]
        let holes = Int(template.pieceCount) - 1
        let open = wanted.byteCount - Int(template.fixed)
        guard open > 0 else { return nil }
        let nameLength = holes == 1 ? open : open / holes
        guard nameLength * holes == open else { return nil }
        let firstPiece = Int(template.firstPiece)
        guard has(wanted, pieces[firstPiece], at: 0) else { return nil }
        let nameStart = Int(pieces[firstPiece].count)
        var position = nameStart
        for i in 1...holes {
            if i > 1, !wanted.part(position, nameLength).equals(wanted.part(nameStart, nameLength)) { return nil }
            position += nameLength
            guard has(wanted, pieces[firstPiece + i], at: position) else { return nil }
            position += Int(pieces[firstPiece + i].count)
        }
        guard let number = number(in: wanted.part(nameStart, nameLength), plan), number >= plan.lowest, number <= plan.highest else {
            return nil
        }
        return IdentityReference(subscriber: plan.base + UInt32(number - plan.lowest), identity: pattern.identity)
    }

    /// The number in a name, if it is spelt as the range spells it.
    private func number(in name: RawSpan, _ plan: PlanLayout) -> UInt64? {
        let start = Int(plan.prefix.count)
        let digits = name.byteCount - start - Int(plan.suffix.count)
        guard digits > 0, digits <= 19, has(name, plan.prefix, at: 0), has(name, plan.suffix, at: start + digits) else { return nil }
        // A number wider than the range's width has no leading zero; one as wide may.
        if digits < plan.width || (digits > max(plan.width, 1) && name[start] == 0x30) { return nil }
        return name.decimal(Slice(start, start + digits), maximum: .max)
    }

    private func has(_ wanted: RawSpan, _ piece: Slice, at offset: Int) -> Bool {
        let length = Int(piece.count)
        guard offset + length <= wanted.byteCount else { return false }
        return length == 0 || wanted.part(offset, length).equals(text.bytes(from: piece.lower, count: length))
    }

    // MARK: From a subscriber to its identities

    func plan(of subscriber: UInt32) -> PlanLayout {
        if hasExceptions, let exception = exception(of: subscriber) { return exception.plan }
        return plans[planIndex(of: subscriber)]
    }

    /// The plan that a number was given by.
    func planIndex(of subscriber: UInt32) -> Int {
        var low = 0
        var high = plans.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if plans[middle].base <= subscriber { low = middle } else { high = middle }
        }
        return low
    }

    private func template(of reference: IdentityReference) -> TemplateLayout {
        let plan = plan(of: reference.subscriber)
        precondition(reference.identity < plan.publicCount, "no such identity")
        return templates[Int(plan.publicStart) + Int(reference.identity)]
    }

    func profile(of reference: IdentityReference) -> Int? {
        if reference.isSpecial { return specials[reference].profile }
        let profile = template(of: reference).profile
        return profile < 0 ? nil : Int(profile)
    }
    func isAuthenticated(_ subscriber: UInt32) -> Bool { plan(of: subscriber).isAuthenticated }
    /// Whether there is any SIM at all.
    var hasSIMs: Bool { !sims.isEmpty }
    /// Whether none of the subscriber's private identities has a password to be asked for.
    func isAKAOnly(_ subscriber: UInt32) -> Bool { plan(of: subscriber).isAKAOnly }
    /// Whether a subscriber may come from an address: with early IMS security (TR 33.978 §6.2) it is whoever has the one that
    /// the network gave out.
    func admits(_ subscriber: UInt32, from address: IPAddress) -> Bool {
        let own = plan(of: subscriber).address
        return own == nil || own == address
    }
    func identityCount(of subscriber: UInt32) -> Int { Int(plan(of: subscriber).publicCount) }
    func privateIdentityCount(of subscriber: UInt32) -> Int { Int(plan(of: subscriber).privateCount) }
    func isBarred(_ reference: IdentityReference) -> Bool { reference.isSpecial ? false : template(of: reference).isBarred }

    /// Whether an identity is a tel URI.
    func isNumber(_ reference: IdentityReference) -> Bool {
        reference.isSpecial ? specials[reference].text.starts(with: "tel:".utf8) : template(of: reference).isNumber
    }

    /// Whether a request to one identity may go on as one to another: they are the same user's and exchangeable (TS 24.229
    /// §5.4.3.3).
    func isAlias(_ reference: IdentityReference, of other: IdentityReference) -> Bool {
        if reference == other { return true }
        guard reference.subscriber == other.subscriber else { return false }
        guard !reference.isSpecial, !other.isSpecial else { return profile(of: reference) == profile(of: other) }
        let (one, two) = (template(of: reference), template(of: other))
        return one.profile == two.profile && one.aliasGroup == two.aliasGroup
    }

    /// The first identity that is not barred: the default public user identity (TS 23.228 §4.3.3.4).
    func defaultIdentity(of subscriber: UInt32) -> UInt16 { plan(of: subscriber).defaultIdentity }

    /// Of a wildcard the wildcard itself.
    func appendPublicIdentity(_ reference: IdentityReference, into buffer: inout OctetBuffer) {
        if reference.isSpecial { return buffer.append(specials[reference].text) }
        fill(template(of: reference), nameOf: reference.subscriber, plan(of: reference.subscriber), into: &buffer)
    }

    func appendPrivateIdentity(_ reference: IdentityReference, into buffer: inout OctetBuffer) {
        let plan = plan(of: reference.subscriber)
        precondition(reference.identity < plan.privateCount, "no such identity")
        fill(templates[Int(plan.privateStart) + Int(reference.identity)], nameOf: reference.subscriber, plan, into: &buffer)
    }

    /// The keys of a private identity's SIM; nil: it has none, or there is no such identity.
    func sim(of reference: IdentityReference) -> AKACredentials? {
        guard !reference.isNone else { return nil }
        let plan = plan(of: reference.subscriber)
        precondition(reference.identity < plan.privateCount, "no such identity")
        let sim = templates[Int(plan.privateStart) + Int(reference.identity)].sim
        return sim < 0 ? nil : sims[Int(sim)]
    }

    /// - Returns: false if the private identity has no password.
    func appendPassword(_ reference: IdentityReference, into buffer: inout OctetBuffer) -> Bool {
        let plan = plan(of: reference.subscriber)
        precondition(reference.identity < plan.privateCount, "no such identity")
        let template = templates[Int(plan.passwordStart) + Int(reference.identity)]
        guard template.pieceCount > 0 else { return false }
        fill(template, nameOf: reference.subscriber, plan, into: &buffer)
        return true
    }

    func fill(_ template: TemplateLayout, nameOf subscriber: UInt32, _ plan: PlanLayout, into buffer: inout OctetBuffer) {
        for i in 0..<Int(template.pieceCount) {
            if i > 0 { appendName(subscriber, plan, into: &buffer) }
            append(pieces[Int(template.firstPiece) + i], into: &buffer)
        }
    }

    func appendName(_ subscriber: UInt32, _ plan: PlanLayout, into buffer: inout OctetBuffer) {
        append(plan.prefix, into: &buffer)
        guard plan.isRange else { return }
        buffer.appendDecimal(plan.lowest + UInt64(subscriber - plan.base), digits: max(plan.width, 1))
        append(plan.suffix, into: &buffer)
    }

    private func append(_ piece: Slice, into buffer: inout OctetBuffer) {
        if !piece.isEmpty { buffer.append(text.bytes(from: piece.lower, count: Int(piece.count))) }
    }
}

extension SubscriberDirectory {
    /// The first identity of a subscriber that is a tel URI, or that is not, and is not barred.
    func firstIdentity(of subscriber: UInt32, isNumber: Bool) -> IdentityReference? {
        let count = identityCount(of: subscriber)
        guard count > 1 else { return nil }
        for i in 0..<count {
            let reference = IdentityReference(subscriber: subscriber, identity: UInt16(i))
            if self.isNumber(reference) == isNumber, !isBarred(reference) { return reference }
        }
        return nil
    }
}
