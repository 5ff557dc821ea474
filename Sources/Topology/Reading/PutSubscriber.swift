// One subscriber that is put while the core runs: the fields that stand under its name in a file, as a JSON object. JSON is
// YAML but for two escapes, so it is read as a file is, with the rest of the topology around it.

/// What is wrong with a subscriber that is put.
public struct SubscriberFault: Error, Sendable, Hashable {
    /// The path of keys to the wrong value: `password`, `public_identities[1]`; nil: the name, or the whole.
    public var field: String?
    /// What is wrong; what to write instead.
    public var text: String

    init(field: String?, _ text: String) {
        self.field = field
        self.text = text
    }
}

extension Topology {
    /// Reads one subscriber of this topology. Whether its identities are another's already is not asked.
    ///
    /// - Parameters:
    ///   - name: of one subscriber, no range.
    ///   - json: an object with the fields of a subscriber.
    ///   - surroundings: whose environment is not looked at.
    public func subscriber(
        named name: String, json: String, in surroundings: Surroundings
    ) throws(SubscriberFault) -> Subscriber {
        try Topology.checkSingleName(name)
        var surroundings = surroundings
        // Whoever puts a subscriber need not learn what the environment holds.
        surroundings.environment = [:]
        var reader = Reader(file: file, surroundings: surroundings)
        reader.topology = self
        reader.topology.subscribers = []
        guard json.utf8.first(where: { !JSONEscapes.isSpace($0) }) == UInt8(ascii: "{") else {
            throw SubscriberFault(field: nil, "the body is no JSON object; write one such as {\"password\": \"...\"}")
        }
        let text = JSONEscapes.asYAML(json)
        guard let section = reader.document(text, of: SubscriberKeys.shape, orElse: "write an object") else {
            throw reader.firstFault(in: nil) ?? SubscriberFault(field: nil, "the body is no JSON object; write one")
        }
        reader.readSubscriber(named: name, section)
        if let fault = reader.firstFault(in: section) { throw fault }
        guard let subscriber = reader.topology.subscribers.first else {
            throw SubscriberFault(field: nil, "nothing can be read of the subscriber; write a JSON object")
        }
        return subscriber
    }

    /// - Throws: if a name is none, or stands for many.
    public static func checkSingleName(_ name: String) throws(SubscriberFault) {
        let pattern: NamePattern
        do throws(Wrong) { pattern = try NamePattern(parsing: name) } catch { throw SubscriberFault(field: "name", error.text) }
        guard pattern.range == nil else {
            throw SubscriberFault(field: "name", "'\(name)' is many subscribers; write the name of one, or the range in the topology file")
        }
    }
}

extension Reader {
    /// Reads one subscriber as if it were the only one of the file.
    fileprivate mutating func readSubscriber(named name: String, _ section: Node) {
        func map(_ key: String, _ value: Node) -> Node {
            Node(content: .map([Node.Entry(key: key, position: section.position, value: value)]), position: section.position)
        }
        let subscribers = map(name, section)
        refuseUnsupported(map(RootKeys.subscribers.name, subscribers))
        readSubscribers(subscribers)
    }

    /// The first error that a field has, or else the first that the whole has: what is missing may only be misspelt.
    fileprivate func firstFault(in section: Node?) -> SubscriberFault? {
        let errors = sortedFaults.filter { $0.severity == .error }.map { subscriberFault($0, in: section) }
        return errors.first { $0.field != nil } ?? errors.first
    }

    private func subscriberFault(_ fault: Fault, in section: Node?) -> SubscriberFault {
        guard fault.file == file else {
            return SubscriberFault(
                field: SubscriberKeys.profileXML.name, "\(fault.file):\(fault.line):\(fault.column): \(fault.text)")
        }
        guard let section else {
            // Who sends JSON has not asked for YAML.
            let text = fault.text.replacing("this is not YAML", with: "this is not JSON")
            return SubscriberFault(field: nil, "line \(fault.line), column \(fault.column): \(text)")
        }
        return SubscriberFault(field: section.path(to: Position(line: fault.line, column: fault.column)), fault.text)
    }
}

extension Node {
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
