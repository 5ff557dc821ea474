// Subscribers that come, change and go while the core runs.
//
// A number stands for one set of identities for ever, since much that is under way knows a user by it. So a subscriber
// with other identities gets a new number, and the old one is retired: it is found no more, but can still be named. One who
// comes back with the same identities gets the number back. What else is said of a number, credentials and profiles, may
// change; it is then an exception to its plan, as is a number that is gone.

import SIPMessage
import SansIO

/// What holds for a number in place of its plan.
struct SubscriberException: BitwiseCopyable {
    var plan: SubscriberDirectory.PlanLayout
    /// Retired: its identities are nobody's, or another's.
    var isGone: Bool
}

/// What a plan changes of a number.
struct SubscriberDifference: BitwiseCopyable, Equatable {
    var identities = false
    /// A password, or whether requests are challenged.
    var credentials = false
    var profiles = false
}

extension SubscriberDirectory {
    /// Adds a subscriber, who is not found before `publish`.
    ///
    /// - Parameter plan: of one subscriber.
    /// - Returns: the subscriber's number.
    mutating func append(_ plan: SubscriberPlan) -> UInt32 {
        precondition(plan.range == nil, "ranges are laid out at start")
        plans.append(layOut(plan))
        specials.add(plan.specialIdentities, of: count)
        count += 1
        return count - 1
    }

    /// Makes what a plan says true of a number, or of a new one if the identities are others. A number that was gone, and a
    /// new one, is not found before `publish`.
    ///
    /// - Returns: the number that stands for the subscriber from now on, and what is different.
    mutating func replace(_ subscriber: UInt32, by plan: SubscriberPlan) -> (number: UInt32, difference: SubscriberDifference) {
        precondition(plan.range == nil, "ranges are laid out at start")
        let marks = marks
        var layout = layOut(plan)
        layout.base = subscriber
        let old = self.plan(of: subscriber)
        var difference = self.difference(of: layout, from: old, subscriber)
        if specials.identities(of: subscriber) != plan.specialIdentities { difference.identities = true }
        let isGone = !isProvisioned(subscriber)
        if !difference.identities, difference.credentials || difference.profiles {
            unusedTemplates += old.isRange ? 0 : templateCount(of: old)
            setException(SubscriberException(plan: layout, isGone: isGone), of: subscriber)
            compactIfWorthwhile()
            return (subscriber, difference)
        }
        takeBack(to: marks)
        guard difference.identities else { return (subscriber, difference) }
        retire(subscriber)
        return (append(plan), difference)
    }

    /// Whether a plan says that a number has other identities: then `replace` gives it another number.
    mutating func hasOtherIdentities(_ plan: SubscriberPlan, than subscriber: UInt32) -> Bool {
        let marks = marks
        var layout = layOut(plan)
        layout.base = subscriber
        let difference = self.difference(of: layout, from: self.plan(of: subscriber), subscriber)
        takeBack(to: marks)
        return difference.identities || specials.identities(of: subscriber) != plan.specialIdentities
    }

    /// How much is laid out.
    private struct Marks {
        var templates: Int
        var pieces: Int
        var sims: Int
        var text: Int
    }

    private var marks: Marks { Marks(templates: templates.count, pieces: pieces.count, sims: sims.count, text: text.count) }

    /// Forgets what was laid out since.
    private mutating func takeBack(to marks: Marks) {
        templates.removeSubrange(marks.templates...)
        pieces.removeSubrange(marks.pieces...)
        sims.removeSubrange(marks.sims...)
        text.truncate(to: marks.text)
    }

    /// Lets the identities of a number be found.
    mutating func publish(_ subscriber: UInt32) {
        let plan = self.plan(of: subscriber)
        if !isProvisioned(subscriber) { setException(SubscriberException(plan: plan, isGone: false), of: subscriber) }
        // Of a number in a range the pattern finds them.
        guard !plan.isRange else { return }
        for i in 0..<Int(plan.publicCount) {
            let key = key(of: Int(plan.publicStart) + i, plan)
            if needsReference(publicLiterals[key], subscriber, i) { publicLiterals.set(key, to: addReference(subscriber, i)) }
        }
        for i in 0..<Int(plan.privateCount) {
            let key = key(of: Int(plan.privateStart) + i, plan)
            if needsReference(privateLiterals[key], subscriber, i) { privateLiterals.set(key, to: addReference(subscriber, i)) }
        }
    }

    /// Not if it is there already, or if the identity is another's by now.
    private func needsReference(_ place: UInt32?, _ subscriber: UInt32, _ identity: Int) -> Bool {
        guard let place else { return true }
        let holder = references[Int(place)]
        if holder.subscriber == subscriber { return holder.identity != UInt16(identity) }
        return !isProvisioned(holder.subscriber)
    }

    /// Lets the identities of a number be found no more.
    mutating func retire(_ subscriber: UInt32) {
        setException(SubscriberException(plan: plan(of: subscriber), isGone: true), of: subscriber)
    }

    // MARK: Questions

    /// Whether somebody has this number now.
    @inline(__always)
    func isProvisioned(_ subscriber: UInt32) -> Bool { !hasExceptions || !isGone(subscriber) }

    private func isGone(_ subscriber: UInt32) -> Bool { exception(of: subscriber)?.isGone ?? false }

    func exception(of subscriber: UInt32) -> SubscriberException? {
        exceptionNumbers[SubscriberDirectory.key(of: subscriber)].map { exceptions[Int($0)] }
    }

    /// An identity of a plan that somebody else has.
    ///
    /// - Parameter subscriber: whose identities the plan may have; nil: nobody's.
    func clash(_ plan: SubscriberPlan, except subscriber: UInt32?) -> (identity: String, holder: UInt32)? {
        var filled = OctetBuffer(capacity: 128)
        for (template, isPublic) in plan.publicIdentities.map({ ($0, true) }) + plan.privateIdentities.map({ ($0, false) }) {
            filled.removeAll()
            for (i, piece) in template.pieces.enumerated() {
                if i > 0 { filled.append(plan.namePrefix) }
                filled.append(piece)
            }
            let found = isPublic ? publicIdentity(filled.bytes) : privateIdentity(filled.bytes)
            if let found, found.subscriber != subscriber { return (String(octets: filled.bytes), found.subscriber) }
        }
        return nil
    }

    /// The name under which a number is provisioned.
    func name(of subscriber: UInt32) -> String {
        var name = OctetBuffer(capacity: 64)
        appendName(subscriber, plan(of: subscriber), into: &name)
        return String(octets: name.bytes)
    }

    private func difference(of new: PlanLayout, from old: PlanLayout, _ subscriber: UInt32) -> SubscriberDifference {
        var difference = SubscriberDifference()
        guard new.publicCount == old.publicCount, new.privateCount == old.privateCount else {
            return SubscriberDifference(identities: true, credentials: true, profiles: true)
        }
        difference.credentials = new.isAuthenticated != old.isAuthenticated || new.address != old.address
        for i in 0..<UInt32(new.publicCount) {
            let (a, b) = (templates[Int(new.publicStart + i)], templates[Int(old.publicStart + i)])
            if a.isBarred != b.isBarred || !isSame(a, new, b, old, subscriber) { difference.identities = true }
            if a.profile != b.profile { difference.profiles = true }
        }
        for i in 0..<UInt32(new.privateCount) {
            if !isSame(templates[Int(new.privateStart + i)], new, templates[Int(old.privateStart + i)], old, subscriber) {
                difference.identities = true
            }
            let (a, b) = (templates[Int(new.privateStart + i)].sim, templates[Int(old.privateStart + i)].sim)
            if (a < 0) != (b < 0) || (a >= 0 && sims[Int(a)] != sims[Int(b)]) { difference.credentials = true }
            if !isSame(templates[Int(new.passwordStart + i)], new, templates[Int(old.passwordStart + i)], old, subscriber) {
                difference.credentials = true
            }
        }
        return difference
    }

    private func isSame(
        _ a: TemplateLayout, _ planOfA: PlanLayout, _ b: TemplateLayout, _ planOfB: PlanLayout, _ subscriber: UInt32
    ) -> Bool {
        guard (a.pieceCount == 0) == (b.pieceCount == 0) else { return false }
        var one = OctetBuffer(capacity: 128)
        var other = OctetBuffer(capacity: 128)
        fill(a, nameOf: subscriber, planOfA, into: &one)
        fill(b, nameOf: subscriber, planOfB, into: &other)
        return one.bytes.equals(other.bytes)
    }

    // MARK: Storage

    private mutating func setException(_ exception: SubscriberException, of subscriber: UInt32) {
        let key = SubscriberDirectory.key(of: subscriber)
        hasExceptions = true
        if let place = exceptionNumbers[key] {
            exceptions[Int(place)] = exception
        } else {
            exceptionNumbers.set(key, to: UInt32(exceptions.count))
            exceptions.append(exception)
        }
    }

    /// The numbers are our own, so no secret is needed.
    private static func key(of subscriber: UInt32) -> KeyHash {
        let z = UInt64(subscriber) &* 0x9E37_79B9_7F4A_7C15
        return KeyHash(low: z ^ z >> 32, high: z)
    }

    private func templateCount(of plan: PlanLayout) -> Int { Int(plan.publicCount) + 2 * Int(plan.privateCount) }

    /// Texts that were replaced are let go of when they are more than those in use, and many.
    private mutating func compactIfWorthwhile() {
        guard unusedTemplates > 1024, unusedTemplates > templates.count / 2 else { return }
        var oldText = OctetBuffer(capacity: 1024)
        swap(&oldText, &text)
        let (oldTemplates, oldPieces) = (templates, pieces)
        templates = []
        pieces = []
        // A number with a plan of its own that has been replaced needs the old one no more than its exception's.
        for i in plans.indices {
            var plan = plans[i]
            if !plan.isRange, let exception = exception(of: plan.base) { plan = exception.plan }
            plans[i] = moved(plan, oldTemplates, oldPieces, oldText)
            if !plan.isRange, let place = exceptionNumbers[SubscriberDirectory.key(of: plan.base)] {
                exceptions[Int(place)].plan = plans[i]
            }
        }
        for i in exceptions.indices {
            let plan = exceptions[i].plan
            let original = plans[planIndex(of: plan.base)]
            if plan.isRange {
                exceptions[i].plan = original
            } else if original.isRange {
                exceptions[i].plan = moved(plan, oldTemplates, oldPieces, oldText)
            }
        }
        for i in publicPatterns.indices {
            publicPatterns[i].template = Int(plans[publicPatterns[i].plan].publicStart) + Int(publicPatterns[i].identity)
        }
        for i in privatePatterns.indices {
            privatePatterns[i].template = Int(plans[privatePatterns[i].plan].privateStart) + Int(privatePatterns[i].identity)
        }
        unusedTemplates = 0
    }

    /// A plan whose texts are copied to the end of what is kept.
    private mutating func moved(
        _ plan: PlanLayout, _ oldTemplates: ContiguousArray<TemplateLayout>, _ oldPieces: ContiguousArray<Slice>,
        _ oldText: borrowing OctetBuffer
    ) -> PlanLayout {
        var moved = plan
        moved.prefix = copied(plan.prefix, oldText)
        moved.suffix = copied(plan.suffix, oldText)
        let first = UInt32(templates.count)
        let starts = [
            (plan.publicStart, plan.publicCount), (plan.privateStart, plan.privateCount), (plan.passwordStart, plan.privateCount),
        ]
        for (start, count) in starts {
            for i in Int(start)..<Int(start) + Int(count) {
                var template = oldTemplates[i]
                let old = Int(template.firstPiece)
                template.firstPiece = UInt32(pieces.count)
                for piece in oldPieces[old..<old + Int(template.pieceCount)] { pieces.append(copied(piece, oldText)) }
                templates.append(template)
            }
        }
        moved.publicStart = first
        moved.privateStart = first + UInt32(plan.publicCount)
        moved.passwordStart = moved.privateStart + UInt32(plan.privateCount)
        return moved
    }

    private mutating func copied(_ piece: Slice, _ oldText: borrowing OctetBuffer) -> Slice {
        let start = text.count
        text.append(oldText.bytes(from: piece.lower, count: Int(piece.count)))
        return Slice(start, text.count)
    }
}
