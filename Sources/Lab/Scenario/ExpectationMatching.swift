// Which recorded messages satisfy which `expect`: each message one, in any order unless `in_order`.

import Topology

extension Expectation {
    /// Whether a message is asked for at all, not only a number of stored ones.
    var asksForMessage: Bool { request != nil || response != nil || body != nil || !headers.isEmpty || stored == nil }

    /// Whether the whole time has to be waited for more.
    var hasUpperBound: Bool { count.most != nil }

    /// Why the message is not what is awaited; nil if it is. Where it arrived is not looked at.
    func mismatch(with message: RecordedMessage) -> String? { comparisons(with: message).lazy.compactMap(\.fault).first }

    /// All that is awaited, beside what the message has of it.
    func comparisons(with message: RecordedMessage) -> [Comparison] {
        kindComparisons(with: message)
            + headers.map { $0.rule.comparison(of: $0.name, with: message.values(of: $0.name), normalised: HeaderText.normalised) }
            + (body?.comparisons(with: message.body) ?? [])
    }

    private func kindComparisons(with message: RecordedMessage) -> [Comparison] {
        if let request {
            let isOne = message.status == nil && message.method == request
            return [Comparison(subject: "request", awaited: request, came: [message.name], fault: isOne ? nil : "is no \(request) request")]
        }
        guard let response else { return [] }
        guard let status = message.status else {
            return [Comparison(subject: "response", awaited: "\(response)", came: [message.name], fault: "is no response")]
        }
        let fault = status == response ? nil : "is \(status), not \(response)"
        let own = Comparison(subject: "response", awaited: "\(response)", came: ["\(status)"], fault: fault)
        guard let responseTo else { return [own] }
        let isTo = message.method == responseTo
        let answered = Comparison(
            subject: "to", awaited: responseTo, came: [message.method], fault: isTo ? nil : "answers \(message.method), not \(responseTo)")
        return [own, answered]
    }

    /// `a REGISTER with To: <sip:alice@home1.test> at im within 2 s`.
    var sentence: String {
        var parts: [String] = []
        if let number { parts.append(number) }
        let article = number == nil ? "a " : ""
        if let request { parts.append(article + request) }
        if let response { parts.append("\(article)response \(response)" + (responseTo.map { " to \($0)" } ?? "")) }
        if request == nil, response == nil, asksForMessage { parts.append(article + "message") }
        parts += headers.map { "with \($0.name): \($0.rule.text)" }
        if let body { parts.append("with \(body.text)") }
        if let stored { parts.append((parts.isEmpty ? "" : "and ") + "\(stored) stored") }
        parts.append("at \(node)")
        if inOrder { parts.append("after those before it") }
        return parts.joined(separator: " ") + " within \(Duration.milliseconds(withinMilliseconds).text)"
    }

    private var number: String? {
        if count == Count() { return nil }
        return count.most == 0 ? "no" : "\(count.text) times a"
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
        take(expectation, arrived.filter { expectation.mismatch(with: message($0)) == nil })
    }

    /// Finds as many messages for one more expectation as its count asks for, and one more if there is an upper bound.
    /// - Returns: the places of those found. The expectation holds them only if there are enough and not too many.
    mutating func satisfyAll(_ expectation: Expectation, arrived: [Int], message: (Int) -> RecordedMessage) -> [Int] {
        let matching = arrived.filter { expectation.mismatch(with: message($0)) == nil }
        let before = self
        let limit = expectation.count.most.map { $0 + 1 } ?? expectation.count.least
        var number = 0
        while number < limit, take(expectation, matching) { number += 1 }
        let own = held.suffix(number).compactMap { $0 }.sorted()
        if !expectation.count.holds(number) { self = before }
        return own
    }

    private mutating func take(_ expectation: Expectation, _ matching: [Int]) -> Bool {
        let earliest = expectation.inOrder ? (held.compactMap { $0 }.max() ?? -1) : -1
        expectations.append(expectation)
        held.append(nil)
        candidates.append(matching.filter { $0 > earliest })
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
