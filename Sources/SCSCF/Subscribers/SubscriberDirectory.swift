// The home subscribers by number: which public or private identity is whose (the part of an HSS that a lab needs).
//
// A subscriber's number is the first number of its plan plus its place in the plan's range. Identities without a hole are
// in a hash table; those of ranges are matched as text, prefix, digits, suffix, so a million subscribers need no memory.

import SIPMessage
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
    private let plans: [SubscriberPlan]
    /// The first number of each plan.
    private var bases: ContiguousArray<UInt32> = []
    private let secret: HashSecret
    private var publicLiterals = KeyTable()
    private var privateLiterals = KeyTable()
    private var references: ContiguousArray<IdentityReference> = []
    private var publicPatterns: ContiguousArray<Pattern> = []
    private var privatePatterns: ContiguousArray<Pattern> = []
    private(set) var count: UInt32 = 0

    /// An identity of a range: which plan, which of its identities.
    private struct Pattern {
        var plan: Int
        var identity: UInt16
        var template: IdentityTemplate
    }

    init(_ plans: [SubscriberPlan], secret: HashSecret) {
        self.plans = plans
        self.secret = secret
        bases.reserveCapacity(plans.count)
        for (number, plan) in plans.enumerated() {
            bases.append(count)
            for (i, template) in plan.publicIdentities.enumerated() where !isPattern(template, plan) {
                publicLiterals.set(literalKey(template, plan), to: addReference(IdentityReference(subscriber: count, identity: UInt16(i))))
            }
            for (i, template) in plan.privateIdentities.enumerated() where !isPattern(template, plan) {
                privateLiterals.set(literalKey(template, plan), to: addReference(IdentityReference(subscriber: count, identity: UInt16(i))))
            }
            if plan.range != nil {
                publicPatterns += patterns(plan.publicIdentities, number, plan)
                privatePatterns += patterns(plan.privateIdentities, number, plan)
            }
            count += UInt32(clamping: plan.count)
        }
    }

    /// Whether the identities of a plan's subscribers differ by their names.
    private func isPattern(_ template: IdentityTemplate, _ plan: SubscriberPlan) -> Bool {
        plan.range != nil && template.pieces.count > 1
    }

    private func patterns(_ templates: [IdentityTemplate], _ number: Int, _ plan: SubscriberPlan) -> [Pattern] {
        templates.enumerated().filter { isPattern($1, plan) }.map { Pattern(plan: number, identity: UInt16($0), template: $1) }
    }

    private func literalKey(_ template: IdentityTemplate, _ plan: SubscriberPlan) -> KeyHash {
        var text = OctetBuffer(capacity: 128)
        for i in 0..<template.pieces.count {
            if i > 0 { text.append(plan.namePrefix) }
            text.append(template.pieces[i])
        }
        return key(text.bytes)
    }

    private mutating func addReference(_ reference: IdentityReference) -> UInt32 {
        references.append(reference)
        return UInt32(references.count - 1)
    }

    // MARK: From an identity to a subscriber

    /// Whose public identity this canonical URI is (`OctetBuffer.appendIdentity`).
    func publicIdentity(_ canonical: RawSpan) -> IdentityReference? { find(canonical, publicLiterals, publicPatterns) }

    /// Whose private identity this is; it has its domain.
    func privateIdentity(_ name: RawSpan) -> IdentityReference? { find(name, privateLiterals, privatePatterns) }

    private func find(_ text: RawSpan, _ table: borrowing KeyTable, _ patterns: ContiguousArray<Pattern>) -> IdentityReference? {
        if let index = table[key(text)] { return references[Int(index)] }
        for i in 0..<patterns.count {
            if let place = place(of: text, in: patterns[i]) {
                return IdentityReference(subscriber: bases[patterns[i].plan] + place, identity: patterns[i].identity)
            }
        }
        return nil
    }

    private func key(_ text: RawSpan) -> KeyHash {
        var hasher = KeyHasher(secret)
        hasher.combine(text)
        return hasher.finish()
    }

    /// The place in the range whose name fills the template to this text.
    private func place(of text: RawSpan, in pattern: Pattern) -> UInt32? {
        let plan = plans[pattern.plan]
        guard let range = plan.range else { return nil }
        let pieces = pattern.template.pieces
        let fixed = pieces.reduce(0) { $0 + $1.count }
        let holes = pieces.count - 1
        guard text.byteCount > fixed, (text.byteCount - fixed) % holes == 0 else { return nil }
        let nameLength = (text.byteCount - fixed) / holes
        guard text.hasOctets(pieces[0], at: 0) else { return nil }
        let nameStart = pieces[0].count
        var position = nameStart
        for piece in pieces.dropFirst() {
            guard text.part(position, nameLength).equals(text.part(nameStart, nameLength)) else { return nil }
            position += nameLength
            guard text.hasOctets(piece, at: position) else { return nil }
            position += piece.count
        }
        return number(in: text.part(nameStart, nameLength), plan).flatMap { range.contains($0) ? UInt32($0 - range.lowerBound) : nil }
    }

    /// The number in a name, if it is spelt as the range spells it.
    private func number(in name: RawSpan, _ plan: SubscriberPlan) -> UInt64? {
        let digits = name.byteCount - plan.namePrefix.count - plan.nameSuffix.count
        guard digits > 0, digits <= 19, name.hasOctets(plan.namePrefix, at: 0),
            name.hasOctets(plan.nameSuffix, at: plan.namePrefix.count + digits)
        else { return nil }
        let start = plan.namePrefix.count
        // A number wider than the range's width has no leading zero; one as wide may.
        if digits < plan.width || (digits > max(plan.width, 1) && name[start] == 0x30) { return nil }
        return name.decimal(Slice(start, start + digits), maximum: .max)
    }

    // MARK: From a subscriber to its identities

    private func plan(of subscriber: UInt32) -> Int {
        var low = 0
        var high = bases.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if bases[middle] <= subscriber { low = middle } else { high = middle }
        }
        return low
    }

    func profile(of reference: IdentityReference) -> Int? {
        plans[plan(of: reference.subscriber)].profiles[Int(reference.identity)]
    }
    func isAuthenticated(_ subscriber: UInt32) -> Bool { plans[plan(of: subscriber)].isAuthenticated }
    func identityCount(of subscriber: UInt32) -> Int { plans[plan(of: subscriber)].publicIdentities.count }
    func isBarred(_ reference: IdentityReference) -> Bool { plans[plan(of: reference.subscriber)].isBarred[Int(reference.identity)] }

    /// Whether an identity is a tel URI.
    func isNumber(_ reference: IdentityReference) -> Bool {
        let first = plans[plan(of: reference.subscriber)].publicIdentities[Int(reference.identity)].pieces[0]
        return first.count >= 4 && first[0] == 0x74
    }

    /// The first identity that is not barred: the default public user identity (TS 23.228 §4.3.3.4).
    func defaultIdentity(of subscriber: UInt32) -> UInt16 {
        UInt16(plans[plan(of: subscriber)].isBarred.firstIndex(of: false) ?? 0)
    }

    func appendPublicIdentity(_ reference: IdentityReference, into buffer: inout OctetBuffer) {
        let plan = plans[plan(of: reference.subscriber)]
        fill(plan.publicIdentities[Int(reference.identity)], nameOf: reference.subscriber, plan, into: &buffer)
    }

    func appendPrivateIdentity(_ reference: IdentityReference, into buffer: inout OctetBuffer) {
        let plan = plans[plan(of: reference.subscriber)]
        fill(plan.privateIdentities[Int(reference.identity)], nameOf: reference.subscriber, plan, into: &buffer)
    }

    /// - Returns: false if the private identity has no password.
    func appendPassword(_ reference: IdentityReference, into buffer: inout OctetBuffer) -> Bool {
        let plan = plans[plan(of: reference.subscriber)]
        guard let template = plan.passwords[Int(reference.identity)] else { return false }
        fill(template, nameOf: reference.subscriber, plan, into: &buffer)
        return true
    }

    func appendName(of subscriber: UInt32, into buffer: inout OctetBuffer) {
        appendName(subscriber, plans[plan(of: subscriber)], into: &buffer)
    }

    private func appendName(_ subscriber: UInt32, _ plan: SubscriberPlan, into buffer: inout OctetBuffer) {
        buffer.append(plan.namePrefix)
        guard let range = plan.range else { return }
        let place = UInt64(subscriber - bases[self.plan(of: subscriber)])
        buffer.appendDecimal(range.lowerBound + place, digits: max(plan.width, 1))
        buffer.append(plan.nameSuffix)
    }

    private func fill(_ template: IdentityTemplate, nameOf subscriber: UInt32, _ plan: SubscriberPlan, into buffer: inout OctetBuffer) {
        for i in 0..<template.pieces.count {
            if i > 0 { appendName(subscriber, plan, into: &buffer) }
            buffer.append(template.pieces[i])
        }
    }
}

extension RawSpan {
    fileprivate func hasOctets(_ expected: [UInt8], at offset: Int) -> Bool {
        guard offset + expected.count <= byteCount else { return false }
        for i in 0..<expected.count where self[offset + i] != expected[i] { return false }
        return true
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
