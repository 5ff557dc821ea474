import SIPMessage
import SansIO

/// Compiles criteria into the shared parts of a profile: steps, texts and expressions.
struct CriterionCompiler {
    let options: ServiceProfile.Options
    private(set) var steps: ContiguousArray<Step> = []
    private(set) var expressions: ContiguousArray<RegularExpression> = []
    private(set) var texts: [UInt8] = []
    private var known: [ExpressionKey: Int32] = [:]

    private struct ExpressionKey: Hashable {
        var pattern: String
        var ignoresCase: Bool
    }

    /// What is wrong in a condition, before it is known which one it is.
    private struct ConditionFault: Error {
        var column: Int?
        var problem: String
        var remedy: String
    }

    init(options: ServiceProfile.Options) {
        self.options = options
    }

    /// - Throws: the first fault of the criterion, the number of which is `number`.
    mutating func compile(_ criterion: InitialFilterCriterion, number: Int) throws(CriterionFault) -> CriterionProgram {
        let server = Array(criterion.applicationServer.uri.utf8)
        guard server.span.bytes.uri(Slice(0, server.count))?.isSIP == true else {
            throw CriterionFault(
                criterion: number, group: nil, condition: nil, column: nil,
                problem: "the server's name \(criterion.applicationServer.uri) is not a SIP URI", remedy: "write sip:HOST:PORT")
        }
        guard let trigger = criterion.trigger else {
            return CriterionProgram(entry: Step.fulfilled, profilePart: criterion.profilePart)
        }
        let groups = try compile(trigger, number)
        let entry = Int32(steps.count)
        steps += ProgramLinker.link(groups, isConjunctive: trigger.isConjunctive, base: steps.count)
        return CriterionProgram(entry: entry, profilePart: criterion.profilePart)
    }

    private mutating func compile(_ trigger: TriggerPoint, _ number: Int) throws(CriterionFault) -> [[Step]] {
        var groups: [[Step]] = []
        for (group, conditions) in trigger.groups.enumerated() {
            var compiled: [Step] = []
            for (index, condition) in conditions.enumerated() {
                do {
                    var step = try compile(condition.condition)
                    step.isNegated = condition.isNegated
                    compiled.append(step)
                } catch {
                    throw CriterionFault(
                        criterion: number, group: group, condition: index, column: error.column, problem: error.problem,
                        remedy: error.remedy)
                }
            }
            if compiled.isEmpty { throw empty("a group", number, group) }
            groups.append(compiled)
        }
        if groups.isEmpty { throw empty("a trigger", number, nil) }
        return groups
    }

    private func empty(_ what: String, _ number: Int, _ group: Int?) -> CriterionFault {
        CriterionFault(
            criterion: number, group: group, condition: nil, column: nil, problem: "\(what) without conditions",
            remedy: "write at least one, or leave the trigger out")
    }

    private mutating func compile(_ condition: ServicePointTrigger.Condition) throws(ConditionFault) -> Step {
        switch condition {
        case .method(let name, let types): return try method(name, types)
        case .registrationType(let types): return try registration(types)
        case .sessionCase(let sessionCase): return Step(test: .sessionCase, operand: sessionCase.rawValue)
        case .featureTag(let tag): return Step(test: .featureTag, text: try text(token(tag, "feature tag")))
        case .requestURI(let pattern): return Step(test: .requestURI, expression: try expression(pattern))
        case .header(let name, let content): return try header(name, content)
        case .sessionDescription(let line, let content):
            var step = Step(test: .sessionDescription, nameExpression: try expression(line))
            if let content { step.expression = try expression(content) }
            return step
        }
    }

    private mutating func method(_ name: String, _ types: [RegistrationType]) throws(ConditionFault) -> Step {
        let bytes = try token(name, "method")
        let method = Method(bytes.span.bytes)
        if method == .register && !types.isEmpty { return try registration(types) }
        return Step(test: .method, operand: method.rawValue, text: method == .other ? text(bytes) : .empty)
    }

    private func registration(_ types: [RegistrationType]) throws(ConditionFault) -> Step {
        if types.isEmpty {
            throw ConditionFault(problem: "no registration type", remedy: "write initial, reregistration or deregistration")
        }
        return Step(test: .registration, operand: types.reduce(0) { $0 | 1 << $1.rawValue })
    }

    /// A name without metacharacters is compared whole: as an expression `To` would find Reply-To, and `Contact` would find
    /// Accept-Contact.
    private mutating func header(_ name: String, _ content: String?) throws(ConditionFault) -> Step {
        var step = Step(test: content == nil ? .header : .headerContent)
        if CriterionCompiler.isPattern(name) {
            step.test = .headerPattern
            step.nameExpression = try expression(name, ignoringCase: true)
            markKnownNames(&step)
        } else {
            let bytes = try token(name, "header name")
            let known = HeaderName(bytes.span.bytes)
            step.operand = known.rawValue
            if known == .other { step.text = text(bytes) }
        }
        if let content { step.expression = try expression(content, ignoringCase: options.headerContentIgnoresCase) }
        return step
    }

    /// Whether a header's name is an expression.
    static func isPattern(_ name: String) -> Bool { name.utf8.contains { metacharacters.contains($0) } }

    private static let metacharacters = Array(#"^.[]$()|*+?{}\"#.utf8)

    /// The names that are known by number are looked through now, in their long form.
    private func markKnownNames(_ step: inout Step) {
        for name in HeaderName.allCases where name != .other {
            let text = Array("\(name.text)".utf8)
            if expressions[Int(step.nameExpression)].matches(text.span.bytes) { step.addName(name) }
        }
    }

    private func token(_ text: String, _ what: String) throws(ConditionFault) -> [UInt8] {
        let bytes = Array(text.utf8)
        if bytes.isEmpty || !bytes.allSatisfy(\.isTokenCharacter) {
            throw ConditionFault(problem: "\(text) is not a \(what)", remedy: "write one, without white space")
        }
        return bytes
    }

    private mutating func text(_ bytes: [UInt8]) -> Slice {
        texts += bytes
        return Slice(texts.count - bytes.count, texts.count)
    }

    /// Equal expressions are compiled once.
    private mutating func expression(_ pattern: String, ignoringCase: Bool = false) throws(ConditionFault) -> Int32 {
        let key = ExpressionKey(pattern: pattern, ignoresCase: ignoringCase)
        if let number = known[key] { return number }
        do {
            expressions.append(try RegularExpression(pattern, ignoringCase: ignoringCase))
        } catch {
            throw ConditionFault(column: error.column, problem: error.problem, remedy: error.remedy)
        }
        let number = Int32(expressions.count - 1)
        known[key] = number
        return number
    }
}
