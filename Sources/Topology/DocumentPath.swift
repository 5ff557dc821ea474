// Paths to values in bodies: as a topology is checked, and for those who follow them.

/// A way from the root of a JSON document: `$.contacts[0].uri`, `$['a name']`.
public struct JSONPath: Sendable, Equatable {
    public enum Step: Sendable, Equatable {
        case member(String)
        /// From 0.
        case element(Int)
    }
    public private(set) var steps: [Step] = []

    /// nil if the text is no such path.
    public init?(_ text: String) {
        guard text.first == "$" else { return nil }
        var rest = text.dropFirst()
        while let first = rest.popFirst() {
            switch first {
            case ".":
                let name = rest.prefix { $0 != "." && $0 != "[" }
                guard !name.isEmpty else { return nil }
                steps.append(.member(String(name)))
                rest = rest[name.endIndex...]
            case "[":
                guard let end = rest.firstIndex(of: "]"), let step = JSONPath.bracketed(rest[..<end]) else { return nil }
                steps.append(step)
                rest = rest[rest.index(after: end)...]
            default: return nil
            }
        }
    }

    private static func bracketed(_ text: Substring) -> Step? {
        if let quote = text.first, quote == "'" || quote == "\"" {
            return text.count > 2 && text.last == quote ? .member(String(text.dropFirst().dropLast())) : nil
        }
        return HostText.isDigits(text) ? Int(text).map(Step.element) : nil
    }
}

/// A way to elements of an XML document: `presence/tuple/status/basic`, `tuple/@id`. The first name may be anywhere.
public struct XMLPath: Sendable, Equatable {
    /// Local names, from the outer to the inner.
    public private(set) var elements: [String]
    /// The attribute of the last of them that is meant; nil: its text.
    public private(set) var attribute: String?

    /// nil if the text is no such path.
    public init?(_ text: String) {
        elements = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        if let last = elements.last, last.hasPrefix("@") {
            attribute = String(last.dropFirst())
            elements.removeLast()
        }
        let names = elements + [attribute].compactMap { $0 }
        guard !elements.isEmpty, names.allSatisfy({ !$0.isEmpty && !$0.contains { "@:[]*() ".contains($0) } }) else { return nil }
    }
}

enum DocumentPath {
    static func jsonFault(_ text: String) -> String? {
        JSONPath(text) == nil ? "'\(text)' is no path to a value; write one such as $.contacts[0].uri" : nil
    }

    static func xmlFault(_ text: String) -> String? {
        XMLPath(text) == nil
            ? "'\(text)' is no path to an element; write local names such as presence/tuple/status, and @id for an attribute" : nil
    }
}
