// The criteria of a user, compiled when they are loaded and evaluated for each request (TS 29.228 B.2.2, TS 23.218 §5.2).
//
// A request that an application server sent back goes on behind the criterion that took it there; which one that is, and
// that a chain keeps the profile it began with, is the caller's to remember.

public import SIPMessage
import SansIO

/// What decides about a criterion beside the message.
public struct EvaluationContext: BitwiseCopyable, Equatable, Sendable {
    public var sessionCase: SessionCase
    /// Whether the served user is registered.
    public var isRegistered: Bool
    /// Of a REGISTER: what it does.
    public var registrationType: RegistrationType?

    public init(sessionCase: SessionCase, isRegistered: Bool, registrationType: RegistrationType? = nil) {
        self.sessionCase = sessionCase
        self.isRegistered = isRegistered
        self.registrationType = registrationType
    }

    /// A REGISTER counts as originated by a registered user, whatever it does (TS 23.218 §5.2.1).
    public static func registration(_ type: RegistrationType) -> EvaluationContext {
        EvaluationContext(sessionCase: .originating, isRegistered: true, registrationType: type)
    }
}

/// Initial filter criteria in the order in which they are tried, compiled.
public struct ServiceProfile: Sendable {
    /// Where readings of TS 29.228 Annex F differ.
    public struct Options: Sendable, Equatable {
        /// RequestURI conditions are searched in the whole Request-URI, not only in host and port or number.
        public var requestURIScopeIsFull = false
        /// Header contents are searched without case.
        public var headerContentIgnoresCase = false

        public init() {}
    }

    /// The criteria that could be compiled, by ascending priority; those of one priority in the order they were given in.
    public let criteria: [InitialFilterCriterion]

    private let programs: ContiguousArray<CriterionProgram>
    private let steps: ContiguousArray<Step>
    private let expressions: ContiguousArray<RegularExpression>
    private let texts: [UInt8]
    let options: Options

    /// Compiles criteria. A broken one is left out and its fault appended; the others are not affected.
    public init(_ declared: [InitialFilterCriterion], options: Options = Options(), faults: inout [CriterionFault]) {
        var compiler = CriterionCompiler(options: options)
        var programs: ContiguousArray<CriterionProgram> = []
        var criteria: [InitialFilterCriterion] = []
        let ordered = declared.enumerated().sorted { ($0.element.priority, $0.offset) < ($1.element.priority, $1.offset) }
        for (number, criterion) in ordered {
            do throws(CriterionFault) {
                programs.append(try compiler.compile(criterion, number: number))
                criteria.append(criterion)
            } catch {
                faults.append(error)
            }
        }
        self.criteria = criteria
        self.programs = programs
        steps = compiler.steps
        expressions = compiler.expressions
        texts = compiler.texts
        self.options = options
    }

    /// The number of criteria.
    public var count: Int { programs.count }

    /// The first criterion, from number `start` on, that a request fulfils.
    public func firstMatch(from start: Int, _ message: borrowing Message, _ context: EvaluationContext) -> Int? {
        var index = start
        while index < programs.count {
            if matches(at: index, message, context) { return index }
            index += 1
        }
        return nil
    }

    /// Whether a request fulfils a criterion. For a REGISTER all criteria are asked, for each sends a third-party REGISTER.
    public func matches(at index: Int, _ message: borrowing Message, _ context: EvaluationContext) -> Bool {
        let program = programs[index]
        if let part = program.profilePart, (part == .registered) != context.isRegistered { return false }
        let steps = steps.span
        var next = program.entry
        while next >= 0 {
            let step = steps[Int(next)]
            next = holds(step, message, context) ? step.onTrue : step.onFalse
        }
        return next == Step.fulfilled
    }
}

// MARK: - Conditions (TS 29.228 Annex F)

extension ServiceProfile {
    /// Whether a condition holds; negation is not looked at here.
    private func holds(_ step: Step, _ message: borrowing Message, _ context: EvaluationContext) -> Bool {
        switch step.test {
        case .method:
            guard message.method.rawValue == step.operand else { return false }
            return message.method != .other || message[message.shape.methodName].equals(texts.span.bytes[step.text])
        case .registration:
            guard message.method == .register, let type = context.registrationType else { return false }
            return step.operand & 1 << type.rawValue != 0
        case .sessionCase: return context.sessionCase.rawValue == step.operand
        case .featureTag: return message.asksFor(texts.span.bytes[step.text])
        case .requestURI: return expressions[Int(step.expression)].matches(requestURISubject(message))
        case .header, .headerContent, .headerPattern: return hasHeader(step, message)
        case .sessionDescription: return describesSession(step, message)
        }
    }

    /// Host and port of a SIP URI, the number of a tel URI; of other schemes, which have neither, the whole.
    @_lifetime(copy message)
    func requestURISubject(_ message: borrowing Message) -> RawSpan {
        let bytes = message.bytes
        let slice = message.shape.requestURI
        guard !options.requestURIScopeIsFull, let uri = bytes.uri(slice) else { return bytes[slice] }
        switch uri.scheme {
        case .tel: return bytes[uri.user]
        case .sip, .sips:
            var end = uri.host.upper
            while uri.port != 0, end < slice.upper, bytes[end] == UInt8(ascii: ":") || bytes[end].isASCIIDigit { end += 1 }
            return bytes[Slice(uri.host.lower, end)]
        case .other: return bytes[slice]
        }
    }

    private func hasHeader(_ step: Step, _ message: borrowing Message) -> Bool {
        if step.test != .headerPattern && step.operand != HeaderName.other.rawValue {
            return hasKnownHeader(step, message)
        }
        for index in 0..<message.fields.count {
            let field = message.fields[index]
            if isNamed(field, step, message) && hasContent(field, step, message) { return true }
        }
        return false
    }

    private func hasKnownHeader(_ step: Step, _ message: borrowing Message) -> Bool {
        guard let name = HeaderName(rawValue: step.operand) else { return false }
        var next = message.firstIndex(of: name)
        while let index = next {
            if hasContent(message.fields[index], step, message) { return true }
            next = message.nextIndex(after: index)
        }
        return false
    }

    private func isNamed(_ field: HeaderField, _ step: Step, _ message: borrowing Message) -> Bool {
        if field.name != .other { return step.hasName(field.name) }
        if step.test == .headerPattern { return expressions[Int(step.nameExpression)].matches(message[field.nameSlice]) }
        return message[field.nameSlice].equalsIgnoringCase(texts.span.bytes[step.text])
    }

    /// Whether the line as received has the content, if any is asked for. A fold counts as one space.
    private func hasContent(_ field: HeaderField, _ step: Step, _ message: borrowing Message) -> Bool {
        if step.expression < 0 { return true }
        let value = message[field.value]
        if !field.isFolded { return expressions[Int(step.expression)].matches(value) }
        let unfolded = value.unfolded()
        return expressions[Int(step.expression)].matches(unfolded.span.bytes)
    }

    private func describesSession(_ step: Step, _ message: borrowing Message) -> Bool {
        let bytes = message.bytes
        guard var rest = message.sessionDescription else { return false }
        while !rest.isEmpty {
            let line = bytes.nextLine(&rest)
            guard line.count >= 2, bytes[line.lower + 1] == UInt8(ascii: "=") else { continue }
            let type = Slice(line.lower, line.lower + 1)
            guard expressions[Int(step.nameExpression)].matches(bytes[type]) else { continue }
            if step.expression < 0 { return true }
            if expressions[Int(step.expression)].matches(bytes[Slice(line.lower + 2, line.upper)]) { return true }
        }
        return false
    }
}

extension RawSpan {
    /// A copy in which each fold, with the white space around it, is one space (RFC 3261 §7.3.1).
    func unfolded() -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(byteCount)
        var offset = 0
        while offset < byteCount {
            var end = offset
            var isFold = false
            while end < byteCount && self[end].isLinearWhiteSpace {
                isFold = isFold || self[end] == 0x0A
                end += 1
            }
            if isFold {
                result.append(0x20)
                offset = end
            } else {
                result.append(self[offset])
                offset += 1
            }
        }
        return result
    }
}
