// Steps with their placeholders filled in, when they are reached.

import JSONText
import Topology

/// What the steps of a scenario know by name.
struct StepValues: Sendable {
    private var placeholders: PlaceholderValues

    init(_ placeholders: PlaceholderValues) { self.placeholders = placeholders }

    mutating func set(_ name: String, to value: String) { placeholders.set(variable: name, to: value) }

    mutating func set(labHTTP: String?) { placeholders = placeholders.with(labHTTP: labHTTP) }

    func fill(_ text: String) throws(StepFailure) -> String { try fill(text) { $0 } }

    /// A text of JSON.
    func fill(json text: String) throws(StepFailure) -> String { try fill(text, escaped: HTTPStep.escapedForJSON) }

    /// An expression, in which what is filled in stands for itself.
    func fill(expression text: String) throws(StepFailure) -> String {
        let filled = try fill(text, escaped: TextRule.escapedForExpression)
        guard PosixExpression(filled) != nil else {
            throw StepFailure(awaited: "a regular expression", cameInstead: ["\(filled) is none"])
        }
        return filled
    }

    private func fill(_ text: String, escaped: (String) -> String) throws(StepFailure) -> String {
        do throws(UnknownPlaceholder) { return try placeholders.fill(text, escaped: escaped) } catch {
            throw StepFailure(awaited: "a value for ${\(error.name)}", cameInstead: [error.description])
        }
    }
}

/// What a step that did not pass has to say.
struct StepFailure: Error {
    var awaited: String
    var cameInstead: [String]
    var nearest: NearestMessage?
}

extension TextRule {
    func filled(_ values: StepValues) throws(StepFailure) -> TextRule {
        switch self {
        case .value(let text): .value(try values.fill(text))
        case .matches(let pattern): .matches(try values.fill(expression: pattern))
        case .absent, .present: self
        }
    }
}

extension BodyExpectation {
    func filled(_ values: StepValues) throws(StepFailure) -> BodyExpectation {
        switch self {
        case .text(let rule): .text(try rule.filled(values))
        case .xml(let rules): .xml(try BodyExpectation.filled(rules, values))
        case .json(let rules): .json(try BodyExpectation.filled(rules, values))
        }
    }

    private static func filled(_ rules: [PathRule], _ values: StepValues) throws(StepFailure) -> [PathRule] {
        try rules.map { (rule) throws(StepFailure) in PathRule(path: rule.path, rule: try rule.rule.filled(values)) }
    }
}

extension Capture {
    func filled(_ values: StepValues) throws(StepFailure) -> Capture {
        var filled = self
        if let pattern { filled.pattern = try values.fill(expression: pattern) }
        return filled
    }
}

extension Expectation {
    func filled(_ values: StepValues) throws(StepFailure) -> Expectation {
        var filled = self
        filled.headers = try headers.map { (header) throws(StepFailure) in
            HeaderExpectation(name: header.name, rule: try header.rule.filled(values))
        }
        filled.body = try body?.filled(values)
        filled.capture = try capture.map { (capture) throws(StepFailure) in try capture.filled(values) }
        return filled
    }
}

extension HTTPStep {
    func filled(_ values: StepValues) throws(StepFailure) -> HTTPStep {
        var filled = self
        filled.url = try values.fill(url)
        filled.headers = try headers.map { (header) throws(StepFailure) in
            Step.Assignment(name: header.name, value: try values.fill(header.value))
        }
        switch body {
        case .text(let text): filled.body = .text(try values.fill(text))
        case .json(let text): filled.body = .json(try values.fill(json: text))
        case nil: break
        }
        filled.answer = try answer?.filled(values)
        filled.capture = try capture.map { (capture) throws(StepFailure) in try capture.filled(values) }
        return filled
    }
}

extension RunStep {
    func filled(_ values: StepValues) throws(StepFailure) -> RunStep {
        var filled = self
        filled.command = try command.map { (word) throws(StepFailure) in try values.fill(word) }
        for (name, value) in environment { filled.environment[name] = try values.fill(value) }
        filled.output = try output?.filled(values)
        filled.capture = try capture.map { (capture) throws(StepFailure) in try capture.filled(values) }
        return filled
    }
}
