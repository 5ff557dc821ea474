// Queries and percent-encoding (RFC 3986 §2.1, §3.4). A plus sign is a plus sign: the numbers of tel URIs begin with one.

import SansIO

/// The parameters of a call. One without a value counts as not given.
struct Query: Sendable {
    private var values: [String: String] = [:]

    /// - Parameter known: the names that the call takes; one that ends in an asterisk stands for all that begin so.
    init(_ text: Substring, known: [String]) throws(APIError) {
        for piece in text.split(separator: "&") {
            let halves = piece.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = PercentEncoding.decoded(halves[0]), known.contains(where: { Query.isKnown(name, as: $0) }) else {
                let advice = known.isEmpty ? "this call takes none" : "known are \(known.joined(separator: ", "))"
                throw APIError(.badRequest, "there is no parameter \(halves[0]); \(advice)", field: String(halves[0]))
            }
            guard let value = PercentEncoding.decoded(halves.count > 1 ? halves[1] : "") else {
                throw APIError(.badRequest, "\(piece) is not percent-encoded UTF-8; write % as %25", field: name)
            }
            guard values[name] == nil || value.isEmpty else {
                throw APIError(.badRequest, "\(name) is given more than once; give it once", field: name)
            }
            if !value.isEmpty { values[name] = value }
        }
    }

    private static func isKnown(_ name: String, as pattern: String) -> Bool {
        pattern.hasSuffix("*") ? name.hasPrefix(pattern.dropLast()) && name.utf8.count >= pattern.utf8.count : name == pattern
    }

    func text(_ name: String) -> String? { values[name] }

    /// What is given under names that begin so: the rest of each name, and its value; by name.
    func texts(beginning prefix: String) -> [(name: String, value: String)] {
        values.filter { $0.key.hasPrefix(prefix) }.map { (String($0.key.dropFirst(prefix.count)), $0.value) }.sorted { $0.0 < $1.0 }
    }

    /// `true` or `false`; not given is false.
    func flag(_ name: String) throws(APIError) -> Bool {
        switch values[name] {
        case nil, "false": return false
        case "true": return true
        case let text?: throw APIError(.badRequest, "\(text) is no \(name); write true or false", field: name)
        }
    }

    /// A whole number in decimal.
    func number(_ name: String, in range: ClosedRange<UInt64>) throws(APIError) -> UInt64? {
        guard let text = values[name] else { return nil }
        guard text.utf8.allSatisfy({ $0.isASCIIDigit }), let number = UInt64(text), range.contains(number) else {
            let bounds = range.upperBound == .max ? "from \(range.lowerBound) on" : "from \(range.lowerBound) to \(range.upperBound)"
            throw APIError(.badRequest, "\(text) is no number for \(name); write a whole number \(bounds)", field: name)
        }
        return number
    }

    /// A whole number with its unit: `700ms`, `2s`, `5m`, `1h`, `7d`.
    func duration(_ name: String, atMost limit: TimeSpan) throws(APIError) -> TimeSpan? {
        guard let text = values[name] else { return nil }
        return try TimeSpan(text: text, field: name, atMost: limit)
    }

    /// One of some words.
    func word<Word: RawRepresentable & CaseIterable>(_ name: String, _ type: Word.Type) throws(APIError) -> Word?
    where Word.RawValue == String {
        guard let text = values[name] else { return nil }
        guard let word = Word(rawValue: text) else {
            let words = Word.allCases.map(\.rawValue).joined(separator: " or ")
            throw APIError(.badRequest, "\(text) is no \(name); write \(words)", field: name)
        }
        return word
    }
}

extension TimeSpan {
    /// A whole number with its unit: `700ms`, `2s`, `5m`, `1h`, `7d`.
    ///
    /// - Parameter field: the parameter that it stands in.
    init(text: String, field: String, atMost limit: TimeSpan) throws(APIError) {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let factor: Int64? =
            switch text[digits.endIndex...] {
            case "ms": 1
            case "s": 1000
            case "m": 60_000
            case "h": 3_600_000
            case "d": 86_400_000
            default: nil
            }
        guard let factor, let number = Int64(digits) else {
            throw APIError(.badRequest, "\(text) is no duration; write a number and its unit, such as 700ms or 2s", field: field)
        }
        let (milliseconds, overflow) = number.multipliedReportingOverflow(by: factor)
        guard !overflow, milliseconds <= limit.nanoseconds / 1_000_000 else {
            throw APIError(.badRequest, "\(text) is too long; wait for at most \(limit.wholeSeconds)s at a time", field: field)
        }
        self = .milliseconds(Int(milliseconds))
    }
}

enum PercentEncoding {
    /// The text with its escapes undone; nil: an escape is broken, or the octets are not UTF-8.
    static func decoded(_ text: some StringProtocol) -> String? {
        var octets: [UInt8] = []
        var rest = text.utf8.makeIterator()
        while let octet = rest.next() {
            if octet == 0x25 {
                guard let high = rest.next()?.hexDigitValue, let low = rest.next()?.hexDigitValue else { return nil }
                octets.append(high << 4 | low)
            } else {
                octets.append(octet)
            }
        }
        return String(validating: octets, as: UTF8.self)
    }
}
