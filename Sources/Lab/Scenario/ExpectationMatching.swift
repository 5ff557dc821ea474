// Which recorded message satisfies which `expect`: each message one, in any order unless `in_order`.

import Topology

extension Expectation {
    /// Whether a message is asked for at all, not only a number of stored ones.
    var asksForMessage: Bool { request != nil || response != nil || body != nil || !headers.isEmpty || stored == nil }

    /// Why the message is not what is awaited; nil if it is. Where it arrived is not looked at.
    func mismatch(with message: RecordedMessage) -> String? {
        if let request, message.status != nil || message.method != request { return "is no \(request) request" }
        if let response {
            guard let status = message.status else { return "is no response" }
            if status != response { return "is \(status), not \(response)" }
            if let responseTo, message.method != responseTo { return "answers \(message.method), not \(responseTo)" }
        }
        for header in headers {
            let values = message.values(of: header.name)
            if values.isEmpty { return "has no \(header.name)" }
            let wanted = HeaderText.normalised(header.value)
            if !values.contains(where: { HeaderText.normalised($0) == wanted }) {
                return "\(header.name) is \(values.joined(separator: " and "))"
            }
        }
        if let body, HeaderText.lines(of: message.body) != HeaderText.lines(of: body) {
            return message.body.isEmpty ? "has no body" : "body is \"\(message.body)\""
        }
        return nil
    }

    /// `a REGISTER with To: <sip:alice@home1.test> at im within 2 s`.
    var sentence: String {
        var parts: [String] = []
        if let request { parts.append("a \(request)") }
        if let response { parts.append("a response \(response)" + (responseTo.map { " to \($0)" } ?? "")) }
        if request == nil, response == nil, asksForMessage { parts.append("a message") }
        parts += headers.map { "with \($0.name): \($0.value)" }
        if let body { parts.append("with the body \"\(body)\"") }
        if let stored { parts.append((parts.isEmpty ? "" : "and ") + "\(stored) stored") }
        parts.append("at \(node)")
        if inOrder { parts.append("after those before it") }
        return parts.joined(separator: " ") + " within \(Duration.milliseconds(withinMilliseconds).text)"
    }
}

/// The consecutive `expect` steps that look at the same messages.
struct ExpectationBlock {
    private var expectations: [Expectation] = []
    /// The message that each holds, by its place in the log.
    private var held: [Int?] = []
    private var candidates: [[Int]] = []

    /// Finds a message for one more expectation, by letting earlier ones take another where both are content (augmenting
    /// paths, so the order of the steps does not matter).
    /// - Parameters:
    ///   - arrived: places of all messages that arrived at its node, oldest first.
    ///   - message: the message at a place.
    /// - Returns: whether there is one; without, nothing has changed.
    mutating func satisfy(_ expectation: Expectation, arrived: [Int], message: (Int) -> RecordedMessage) -> Bool {
        let earliest = expectation.inOrder ? (held.compactMap { $0 }.max() ?? -1) : -1
        let own = arrived.filter { $0 > earliest && expectation.mismatch(with: message($0)) == nil }
        expectations.append(expectation)
        held.append(nil)
        candidates.append(own)
        var visited: Set<Int> = []
        if assign(expectations.count - 1, &visited) { return true }
        expectations.removeLast()
        held.removeLast()
        candidates.removeLast()
        return false
    }

    /// Whether a message is held by a step already.
    func holds(_ place: Int) -> Bool { held.contains(place) }

    private mutating func assign(_ index: Int, _ visited: inout Set<Int>) -> Bool {
        for place in candidates[index] where visited.insert(place).inserted {
            guard let holder = held.firstIndex(of: place) else {
                held[index] = place
                return true
            }
            // What is in order stays where it is.
            guard !expectations.contains(where: \.inOrder), assign(holder, &visited) else { continue }
            held[index] = place
            return true
        }
        return false
    }
}

/// Header values and bodies as they are compared.
enum HeaderText {
    /// Without white space where the grammar allows any: at the ends and beside separators; elsewhere runs become one space.
    /// What is quoted stays as it is.
    static func normalised(_ value: String) -> String {
        var result: [Character] = []
        var isQuoted = false
        var hasSpace = false
        var isEscaped = false
        for character in value {
            if isQuoted {
                result.append(character)
                isQuoted = isEscaped || character != "\""
                isEscaped = !isEscaped && character == "\\"
                continue
            }
            if character.isWhitespace {
                hasSpace = true
                continue
            }
            if hasSpace, let last = result.last, !separators.contains(last), !separators.contains(character) { result.append(" ") }
            hasSpace = false
            isQuoted = character == "\""
            result.append(character)
        }
        return String(result)
    }

    private static let separators: Set<Character> = [";", ",", "="]

    /// The lines of a body, whichever line ends it has; an empty one at the end does not count.
    static func lines(of body: String) -> [Substring] {
        var lines = body.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        while lines.last?.isEmpty == true { lines.removeLast() }
        return lines
    }
}

extension Duration {
    /// `2 s`, `700 ms`.
    var text: String {
        let milliseconds = components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
        return milliseconds.isMultiple(of: 1000) ? "\(milliseconds / 1000) s" : "\(milliseconds) ms"
    }
}
