import SIPMessage
import SansIO

/// One test of a request, and where the evaluation goes on: conditions are flattened to a program that only goes forward.
///
/// Negation is a swap of the two ways on. Texts and expressions are numbers, so that a step has nothing to be counted.
struct Step: BitwiseCopyable {
    /// Ordered by what a test costs: within a group the cheap ones come first, which changes no result.
    enum Test: UInt8, BitwiseCopyable {
        /// `operand` is the method's number; of `.other` the name is at `text`.
        case method
        /// `operand` is a bit set of registration types; the method is REGISTER.
        case registration
        case sessionCase
        /// `operand` is the header's number; of `.other` the name is at `text`.
        case header
        case featureTag
        case requestURI
        case headerContent
        /// The header's name is found by `nameExpression`; of known names `names` tells.
        case headerPattern
        case sessionDescription
    }

    var test: Test
    var isNegated = false
    var operand: UInt8 = 0
    /// In the profile's texts.
    var text = Slice.empty
    /// Numbers of expressions: for a header's name or a line's type, and for the content; -1: none.
    var nameExpression: Int32 = -1
    var expression: Int32 = -1
    /// Bits by the number of a header name, low and high.
    var names: SIMD2<UInt64> = .zero
    /// The next step, or one of the two ends.
    var onTrue: Int32 = Step.fulfilled
    var onFalse: Int32 = Step.failed

    /// The ends of a program.
    static let fulfilled: Int32 = -1
    static let failed: Int32 = -2

    func hasName(_ name: HeaderName) -> Bool {
        let bit = UInt64(1) << UInt64(name.rawValue & 63)
        return (name.rawValue < 64 ? names.x : names.y) & bit != 0
    }

    mutating func addName(_ name: HeaderName) {
        let bit = UInt64(1) << UInt64(name.rawValue & 63)
        if name.rawValue < 64 { names.x |= bit } else { names.y |= bit }
    }
}

/// What a criterion is compiled to, beside its steps.
struct CriterionProgram: BitwiseCopyable {
    var entry: Int32
    var profilePart: ProfilePart?
}

/// Joins the steps of a trigger point's groups.
struct ProgramLinker {
    /// Orders the groups and their conditions by cost, and sets where each goes on; `base` is the number of the first.
    static func link(_ groups: [[Step]], isConjunctive: Bool, base: Int) -> [Step] {
        let ordered = groups.map { sorted($0) { $0.test.rawValue } }
        let sequence = sorted(ordered) { $0.last?.test.rawValue ?? 0 }
        var linked: [Step] = []
        for (number, group) in sequence.enumerated() {
            let isLastGroup = number == sequence.count - 1
            let nextGroup = Int32(base + linked.count + group.count)
            for (index, step) in group.enumerated() {
                let isLast = index == group.count - 1
                let nextStep = Int32(base + linked.count + 1)
                var step = step
                if isConjunctive {
                    step.onTrue = isLastGroup ? Step.fulfilled : nextGroup
                    step.onFalse = isLast ? Step.failed : nextStep
                } else {
                    step.onTrue = isLast ? Step.fulfilled : nextStep
                    step.onFalse = isLastGroup ? Step.failed : nextGroup
                }
                if step.isNegated { swap(&step.onTrue, &step.onFalse) }
                linked.append(step)
            }
        }
        return linked
    }

    /// Keeps the order of equals, so that a program is the same on each run.
    private static func sorted<Element>(_ elements: [Element], by cost: (Element) -> UInt8) -> [Element] {
        elements.enumerated().sorted { (cost($0.element), $0.offset) < (cost($1.element), $1.offset) }.map(\.element)
    }
}
