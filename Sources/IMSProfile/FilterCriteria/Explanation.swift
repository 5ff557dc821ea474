// Why a criterion takes a request, or does not: each condition in words, with what the request has in its place. Made when
// somebody asks, by the same engine as decides; nothing of it is on the path of requests.

public import SIPMessage
import SansIO

/// What one condition makes of a request.
public struct ConditionVerdict: Sendable, Equatable {
    /// As a topology writes it: `method: PUBLISH`, `not: {feature_tag: +g.oma.sip-im}`.
    public let condition: String
    /// What the request has in its place; nil: nothing.
    public let value: String?
    public let holds: Bool
    /// What would have to be (`the method PUBLISH`) and what is (`the method is MESSAGE`), as parts of a sentence.
    let need: String
    let finding: String
    /// How unlikely it is that this condition alone was missed by mistake: a request of another method is another request.
    let strangeness: Int
}

/// What one criterion makes of a request.
public struct CriterionVerdict: Sendable, Equatable {
    public let priority: Int
    /// ServerName.
    public let serverURI: String
    /// Whether every group holds, by any of its conditions; else any group holds, by all of its conditions.
    public let isConjunctive: Bool
    /// ProfilePartIndicator, if the criterion has one: it holds beside the groups.
    public let profilePart: ConditionVerdict?
    /// In the order in which they were declared; empty: always fulfilled.
    public let groups: [[ConditionVerdict]]
    public let isFulfilled: Bool

    /// What keeps the criterion from being fulfilled, the shortest way: of each element any one condition would do.
    private var missing: [[ConditionVerdict]] {
        guard !isFulfilled else { return [] }
        var missing: [[ConditionVerdict]] = []
        if let profilePart, !profilePart.holds { missing.append([profilePart]) }
        if isConjunctive {
            missing += groups.filter { group in !group.contains { $0.holds } }
        } else {
            let failing = groups.map { group in group.filter { !$0.holds } }
            missing += (failing.min { $0.count < $1.count } ?? []).map { [$0] }
        }
        return missing
    }

    /// Whether this criterion was missed by less than another: by fewer conditions; by such as are more likely to be a
    /// mistake; with more that hold.
    public func isNearer(than other: CriterionVerdict) -> Bool { distance < other.distance }

    private var distance: (Int, Int, Int) {
        let missing = missing
        let strangeness = missing.reduce(0) { $0 + ($1.map(\.strangeness).min() ?? 0) }
        return (missing.count, strangeness, -groups.reduce(0) { $0 + $1.count { $0.holds } })
    }

    /// ``criterion 10 for `im` needs Accept-Contact to ask for `+g.oma.sip-im`; the message has `*;+g.oma.sip-im.large` ``.
    ///
    /// - Parameter server: what the application server is called.
    /// - Returns: nil if the criterion is fulfilled.
    public func miss(server: String) -> String? {
        let missing = missing
        guard !missing.isEmpty else { return nil }
        var needs: [String] = []
        var findings: [String] = []
        for alternatives in missing {
            needs.append(alternatives.map(\.need).joined(separator: " or "))
            for condition in alternatives where !findings.contains(condition.finding) { findings.append(condition.finding) }
        }
        return "criterion \(priority) for `\(server)` needs \(needs.joined(separator: ", and ")); \(findings.joined(separator: ", "))"
    }
}

extension ServiceProfile {
    /// What a criterion makes of a request, condition by condition.
    public func verdict(at index: Int, _ message: borrowing Message, _ context: EvaluationContext) -> CriterionVerdict {
        let criterion = criteria[index]
        var groups: [[ConditionVerdict]] = []
        for group in criterion.trigger?.groups ?? [] {
            var verdicts: [ConditionVerdict] = []
            for trigger in group { verdicts.append(verdict(of: trigger, message, context)) }
            groups.append(verdicts)
        }
        let part = criterion.profilePart.map { part in
            ConditionVerdict(
                condition: "profile_part: \(part)", value: context.isRegistered ? "registered" : "unregistered",
                holds: (part == .registered) == context.isRegistered,
                need: "the user to be \(part == .registered ? "registered" : "not registered")",
                finding: "the user is \(context.isRegistered ? "" : "not ")registered", strangeness: 1)
        }
        return CriterionVerdict(
            priority: criterion.priority, serverURI: criterion.applicationServer.uri,
            isConjunctive: criterion.trigger?.isConjunctive ?? true, profilePart: part, groups: groups,
            isFulfilled: matches(at: index, message, context))
    }

    private func verdict(
        of trigger: ServicePointTrigger, _ message: borrowing Message, _ context: EvaluationContext
    ) -> ConditionVerdict {
        let words = words(for: trigger, message, context)
        return ConditionVerdict(
            condition: trigger.isNegated ? "not: {\(words.condition)}" : words.condition, value: words.value,
            holds: holds(trigger, message, context), need: words.need, finding: words.finding, strangeness: words.strangeness)
    }

    /// Whether one condition holds: a criterion of it alone is compiled and asked.
    private func holds(_ trigger: ServicePointTrigger, _ message: borrowing Message, _ context: EvaluationContext) -> Bool {
        let alone = InitialFilterCriterion(
            priority: 0, trigger: TriggerPoint(isConjunctive: true, groups: [[trigger]]),
            applicationServer: ApplicationServer(uri: "sip:server.invalid"))
        // The criterion that it is of has been compiled, so it is sound.
        var faults: [CriterionFault] = []
        let profile = ServiceProfile([alone], options: options, faults: &faults)
        return profile.count == 1 && profile.matches(at: 0, message, context)
    }

    // MARK: Words

    private struct Words {
        var condition: String
        var value: String?
        var need: String
        var finding: String
        var strangeness = 0
    }

    private func words(for trigger: ServicePointTrigger, _ message: borrowing Message, _ context: EvaluationContext) -> Words {
        let isNegated = trigger.isNegated
        switch trigger.condition {
        case .method(let name, let types):
            guard types.isEmpty || name != "REGISTER" else { return words(forTypes: types, isNegated, context) }
            let method = String(octets: message[message.shape.methodName])
            return Words(
                condition: "method: \(name)", value: method, need: isNegated ? "another method than \(name)" : "the method \(name)",
                finding: "the method is \(method)", strangeness: 3)
        case .registrationType(let types): return words(forTypes: types, isNegated, context)
        case .sessionCase(let wanted):
            return Words(
                condition: "session_case: \(wanted.name)", value: context.sessionCase.name,
                need: isNegated ? "another session case than \(wanted.name)" : "the session case \(wanted.name)",
                finding: "the session case is \(context.sessionCase.name)", strangeness: 1)
        case .featureTag(let tag):
            let value = values(of: "Accept-Contact", message)
            return Words(
                condition: "feature_tag: \(tag)", value: value, need: "Accept-Contact \(isNegated ? "not " : "")to ask for `\(tag)`",
                finding: finding(value, "Accept-Contact"))
        case .requestURI(let pattern):
            let subject = String(octets: requestURISubject(message))
            return Words(
                condition: "request_uri: \(quoted(pattern))", value: subject,
                need: "the Request-URI \(isNegated ? "not " : "")to match `\(pattern)`", finding: "it has `\(subject)`")
        case .header(let name, let content):
            let value = values(of: name, message)
            guard let content else {
                return Words(
                    condition: "header: \(name)", value: value, need: isNegated ? "no header field \(name)" : "a header field \(name)",
                    finding: finding(value, name))
            }
            return Words(
                condition: "header: \(name), content: \(quoted(content))", value: value,
                need: "\(name) \(isNegated ? "not " : "")to match `\(content)`", finding: finding(value, name))
        case .sessionDescription(let line, let content):
            let value = lines(of: line, message)
            let condition = "session_description: \(line)" + (content.map { ", content: \(quoted($0))" } ?? "")
            let matching = content.map { " that matches `\($0)`" } ?? ""
            return Words(
                condition: condition, value: value,
                need: "\(isNegated ? "no" : "a") line \(line)=\(matching) in its session description",
                finding: value.map { "it has `\($0)`" } ?? "it has none")
        }
    }

    private func words(forTypes types: [RegistrationType], _ isNegated: Bool, _ context: EvaluationContext) -> Words {
        let wanted = types.map { "\($0)" }.joined(separator: ", ")
        let value = context.registrationType.map { "\($0)" }
        return Words(
            condition: "registration_type: [\(wanted)]", value: value,
            need: "\(isNegated ? "anything but " : "")a REGISTER of the type \(types.map { "\($0)" }.joined(separator: " or "))",
            finding: value.map { "it is of the type \($0)" } ?? "it is no REGISTER", strangeness: value == nil ? 3 : 2)
    }

    private func finding(_ value: String?, _ name: String) -> String {
        value.map { "the message has `\($0)`" } ?? "the message has no \(name)"
    }

    private func quoted(_ text: String) -> String { "'\(text.replacing("'", with: "''"))'" }

    /// The values of the fields that a header condition looks at, as received but for folds.
    private func values(of name: String, _ message: borrowing Message) -> String? {
        let octets = Array(name.utf8)
        let known = HeaderName(octets.span.bytes)
        let isPattern = CriterionCompiler.isPattern(name)
        let expression = isPattern ? try? RegularExpression(name, ignoringCase: true) : nil
        var values: [String] = []
        for index in 0..<message.fields.count {
            let field = message.fields[index]
            let own = field.name == .other ? String(octets: message[field.nameSlice]) : "\(field.name.text)"
            let ownOctets = Array(own.utf8)
            let isNamed: Bool
            if let expression {
                isNamed = expression.matches(ownOctets.span.bytes)
            } else {
                isNamed = field.name == known && (known != .other || octets.span.bytes.equalsIgnoringCase(ownOctets.span.bytes))
            }
            guard isNamed else { continue }
            let value = message[field.value].unfolded()
            values.append((isPattern ? "\(own): " : "") + String(decoding: value, as: UTF8.self))
        }
        return values.isEmpty ? nil : values.joined(separator: ", ")
    }

    /// The lines of the session description that a condition looks at.
    private func lines(of type: String, _ message: borrowing Message) -> String? {
        let bytes = message.bytes
        guard var rest = message.sessionDescription, let expression = try? RegularExpression(type) else { return nil }
        var lines: [String] = []
        while !rest.isEmpty {
            let line = bytes.nextLine(&rest)
            guard line.count >= 2, bytes[line.lower + 1] == UInt8(ascii: "="),
                expression.matches(bytes[Slice(line.lower, line.lower + 1)])
            else { continue }
            lines.append(String(octets: bytes[line]))
        }
        return lines.isEmpty ? nil : lines.joined(separator: ", ")
    }
}

extension SessionCase {
    /// As a topology writes it.
    public var name: String {
        switch self {
        case .originating: "originating"
        case .terminating: "terminating"
        case .terminatingUnregistered: "terminating_unregistered"
        case .originatingUnregistered: "originating_unregistered"
        case .originatingCDIV: "originating_cdiv"
        }
    }
}
