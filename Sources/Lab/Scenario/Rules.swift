// What values have to be, and what is said when they are not.

import JSONText
import Topology

/// One thing of a message, an answer or an output beside what was awaited of it.
struct Comparison: Sendable, Equatable {
    /// `request`, `To`, `body`, `$.id`.
    var subject: String
    var awaited: String
    /// Empty: it is not there.
    var came: [String]
    /// nil if it is right; else a clause: `has no To`.
    var fault: String?
}

extension TextRule {
    /// How it is written where a value belongs.
    var text: String {
        switch self {
        case .value(let value): value
        case .matches(let pattern): "/\(pattern)/"
        case .absent: "(absent)"
        case .present: "(present)"
        }
    }

    /// Holds if one of the values is such.
    /// - Parameter normalised: the form in which values are compared that have to be equal.
    func comparison(of subject: String, with values: [String], normalised: (String) -> String = { $0 }) -> Comparison {
        Comparison(subject: subject, awaited: text, came: values, fault: fault(of: subject, with: values, normalised))
    }

    private func fault(of subject: String, with values: [String], _ normalised: (String) -> String) -> String? {
        let told = "\(subject) is \(values.joined(separator: " and "))"
        switch self {
        case .absent: return values.isEmpty ? nil : told
        case .present: return values.isEmpty ? "has no \(subject)" : nil
        case .value(let wanted):
            if values.isEmpty { return "has no \(subject)" }
            let form = normalised(wanted)
            return values.contains { normalised($0) == form } ? nil : told
        case .matches(let pattern):
            if values.isEmpty { return "has no \(subject)" }
            guard let expression = PosixExpression(pattern) else { return "\(pattern) is no regular expression" }
            return values.contains { expression.matches(in: $0) } ? nil : "\(told), which does not match \(pattern)"
        }
    }
}

extension BodyExpectation {
    /// - Parameter body: empty if there is none.
    func comparisons(with body: String) -> [Comparison] {
        switch self {
        case .text(let rule): [BodyExpectation.compared(rule, body)]
        case .xml(let rules): BodyExpectation.compared(rules, body, in: XMLBody(body), "XML")
        case .json(let rules): BodyExpectation.compared(rules, body, in: JSON(body.utf8), "JSON")
        }
    }

    private static func compared(_ rule: TextRule, _ body: String) -> Comparison {
        var comparison = rule.comparison(of: "body", with: body.isEmpty ? [] : [body]) {
            HeaderText.lines(of: $0).joined(separator: "\n")
        }
        if case .value(let wanted) = rule, comparison.fault != nil {
            // An empty text is no body.
            if wanted.isEmpty, body.isEmpty { comparison.fault = nil } else if !body.isEmpty { comparison.fault = "body is \"\(body)\"" }
        }
        return comparison
    }

    private static func compared(_ rules: [PathRule], _ body: String, in document: (any Document)?, _ form: String) -> [Comparison] {
        guard let document else {
            let fault = body.isEmpty ? "has no body" : "body is no \(form)"
            return [Comparison(subject: "body", awaited: form, came: body.isEmpty ? [] : [body], fault: fault)]
        }
        return rules.map { $0.rule.comparison(of: $0.path, with: document.values(at: $0.path)) }
    }

    /// How it is told in a sentence.
    var text: String {
        switch self {
        case .text(.value(let text)): "the body \"\(text)\""
        case .text(let rule): "the body \(rule.text)"
        case .xml(let rules), .json(let rules): rules.map { "\($0.path): \($0.rule.text)" }.joined(separator: " and ")
        }
    }
}

extension Count {
    /// Whether so many are enough, and none too many.
    func holds(_ number: Int) -> Bool { number >= least && most.map { number <= $0 } ?? true }

    /// `3`, `at least 2`, `1 to 3`.
    var text: String {
        guard let most else { return "at least \(least)" }
        return most == least ? "\(most)" : least == 0 ? "at most \(most)" : "\(least) to \(most)"
    }
}

extension Capture {
    /// What the variable gets; nil if there is nothing.
    func value(headers: (String) -> [String], body: String) -> String? {
        let text: String? =
            switch source {
            case .header(let name): headers(name).first
            case .xml(let path): XMLBody(body)?.values(at: path).first
            case .json(let path): JSON(body.utf8)?.values(at: path).first
            case .body: body
            }
        guard let text, let pattern else { return text }
        return PosixExpression(pattern)?.firstMatch(in: text)
    }

    /// `the header Call-ID`.
    var text: String {
        let whole: String =
            switch source {
            case .header(let name): "the header \(name)"
            case .xml(let path), .json(let path): path
            case .body: "the body"
            }
        return whole + (pattern.map { " that matches \($0)" } ?? "")
    }
}
