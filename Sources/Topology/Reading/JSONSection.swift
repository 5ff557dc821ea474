// Objects in JSON that come while the core runs. JSON is YAML but for two escapes, so they are read as sections of a file
// are, and what is wrong is told by its field.

import JSONText

/// What is wrong with an object.
public struct FieldFault: Error, Sendable, Hashable {
    /// The path of keys to the wrong value: `password`, `public_identities[1]`; nil: the whole.
    public var field: String?
    /// What is wrong; what to write instead.
    public var text: String

    init(field: String?, _ text: String) {
        self.field = field
        self.text = text
    }
}

extension Reader {
    /// The section that a JSON object is.
    /// - Parameter example: of such an object.
    mutating func section(_ json: String, of shape: ObjectShape, such example: String) throws(FieldFault) -> Node {
        guard json.utf8.first(where: { !JSONEscapes.isSpace($0) }) == UInt8(ascii: "{") else {
            throw FieldFault(field: nil, "the body is no JSON object; write one such as \(example)")
        }
        guard let section = document(JSONEscapes.asYAML(json), of: shape, orElse: "write an object") else {
            throw firstFault(in: nil) ?? FieldFault(field: nil, "the body is no JSON object; write one such as \(example)")
        }
        // What reads it takes YAML, which is more.
        guard JSON(json.utf8) != nil else {
            throw FieldFault(field: nil, "this is not JSON; write names and texts in double quotes and commas between, as in \(example)")
        }
        return section
    }

    /// The first error that a field has, or else the first that the whole has, last what is missing: it may only be misspelt.
    func firstFault(in section: Node?) -> FieldFault? {
        let errors = sortedFaults.filter { $0.severity == .error }
        let present = errors.filter { $0.missing == nil }.map { fieldFault($0, in: section) }
        return present.first { $0.field != nil } ?? present.first ?? errors.first.map { fieldFault($0, in: section) }
    }

    private func fieldFault(_ fault: Fault, in section: Node?) -> FieldFault {
        guard fault.file == file else {
            return FieldFault(
                field: SubscriberKeys.profileXML.name, "\(fault.file):\(fault.line):\(fault.column): \(fault.text)")
        }
        guard let section else {
            // Who sends JSON has not asked for YAML.
            let text = fault.text.replacing("this is not YAML", with: "this is not JSON")
            return FieldFault(field: nil, "line \(fault.line), column \(fault.column): \(text)")
        }
        let position = Position(line: fault.line, column: fault.column)
        return FieldFault(field: fault.missing.map { section.path(to: position, missing: $0) } ?? section.path(to: position), fault.text)
    }
}

extension Node {
    /// The path to a key that should stand beside what stands at a place, or in it.
    fileprivate func path(to position: Position, missing key: String) -> String {
        guard case .map(let entries) = content,
            let entry = entries.filter({ !(position < $0.position) }).max(by: { $0.position < $1.position }),
            !(position < entry.value.position), case .map = entry.value.content
        else { return key }
        return "\(entry.key).\(entry.value.path(to: position, missing: key))"
    }

    /// The path of keys to what stands at a place; nil: it is the whole.
    fileprivate func path(to position: Position) -> String? {
        switch content {
        case .map(let entries):
            guard let entry = entries.filter({ !(position < $0.position) }).max(by: { $0.position < $1.position }) else { return nil }
            guard !(position < entry.value.position), let rest = entry.value.path(to: position) else { return entry.key }
            return rest.hasPrefix("[") ? entry.key + rest : "\(entry.key).\(rest)"
        case .list(let elements):
            guard let index = elements.lastIndex(where: { !(position < $0.position) }) else { return nil }
            guard let rest = elements[index].path(to: position) else { return "[\(index)]" }
            return rest.hasPrefix("[") ? "[\(index)]\(rest)" : "[\(index)].\(rest)"
        case .text, .unreadable: return nil
        }
    }
}

/// The two escapes of JSON strings that YAML does not know (RFC 8259 §7): surrogate pairs, and the solidus in older readers.
enum JSONEscapes {
    static func isSpace(_ octet: UInt8) -> Bool { [0x20, 0x09, 0x0A, 0x0D].contains(octet) }

    /// The same text with these escapes as the characters that they stand for.
    static func asYAML(_ json: String) -> String {
        guard json.utf8.contains(UInt8(ascii: "\\")) else { return json }
        var text = String.UnicodeScalarView()
        let scalars = Array(json.unicodeScalars)
        var i = 0
        while i < scalars.count {
            guard scalars[i] == "\\", i + 1 < scalars.count else {
                text.append(scalars[i])
                i += 1
                continue
            }
            if scalars[i + 1] == "/" {
                text.append("/")
                i += 2
            } else if let pair = surrogates(scalars, at: i) {
                text.append(pair)
                i += 12
            } else {
                // Both, so that an escaped reverse solidus begins no escape.
                text.append(contentsOf: scalars[i...i + 1])
                i += 2
            }
        }
        return String(text)
    }

    /// The character of a pair such as `\ud83d\ude00`.
    private static func surrogates(_ scalars: [Unicode.Scalar], at i: Int) -> Unicode.Scalar? {
        guard let high = unit(scalars, at: i), 0xD800...0xDBFF ~= high, let low = unit(scalars, at: i + 6), 0xDC00...0xDFFF ~= low
        else { return nil }
        return Unicode.Scalar(0x10000 + (high - 0xD800) << 10 + (low - 0xDC00))
    }

    private static func unit(_ scalars: [Unicode.Scalar], at i: Int) -> UInt32? {
        guard i + 5 < scalars.count, scalars[i] == "\\", scalars[i + 1] == "u" else { return nil }
        var digits = ""
        digits.unicodeScalars.append(contentsOf: scalars[(i + 2)...(i + 5)])
        return digits.allSatisfy(\.isHexDigit) ? UInt32(digits, radix: 16) : nil
    }
}
