// What a node changed in a message that it passed on, header by header.

/// The differences between a message that came in at a node and what went out of it.
public struct MessageDifference: Hashable, Sendable {
    /// A line of the message that is not the same on both sides.
    public enum Change: Hashable, Sendable {
        case added(name: String, value: String)
        case removed(name: String, value: String)
        case changed(name: String, before: String, after: String)
    }

    /// In the order of the message that went out; what was removed stands where it was. The start line and the body, if they
    /// differ, are changes of the names `start line` and `body`.
    public private(set) var changes: [Change] = []

    public init(from before: MessageParts, to after: MessageParts) {
        if before.startLine != after.startLine {
            changes.append(.changed(name: "start line", before: before.startLine, after: after.startLine))
        }
        let old = MessageDifference.values(of: before)
        let new = MessageDifference.values(of: after)
        for name in MessageDifference.names(old, new) {
            changes += MessageDifference.changes(
                of: name, old.filter { $0.name == name }.map(\.value), new.filter { $0.name == name }.map(\.value))
        }
        if before.body != after.body {
            changes.append(.changed(name: "body", before: "\(before.body.count) octets", after: "\(after.body.count) octets"))
        }
    }

    // MARK: Values

    /// Lists whose values tell of one node each: they are compared value by value.
    private static let lists: Set<String> = ["Via", "Route", "Record-Route", "Path", "Service-Route", "P-Associated-URI", "History-Info"]

    private static func values(of parts: MessageParts) -> [MessageParts.Header] {
        parts.headers.flatMap { header in
            lists.contains(header.name)
                ? listValues(header.value).map { MessageParts.Header(name: header.name, value: $0) } : [header]
        }
    }

    /// The values between the commas that are in no quotes and no angle brackets.
    private static func listValues(_ text: String) -> [String] {
        var values: [String] = [""]
        var isQuoted = false
        var isEscaped = false
        var depth = 0
        for character in text {
            if character == "\"", !isEscaped { isQuoted.toggle() }
            if !isQuoted { depth += character == "<" ? 1 : character == ">" ? -1 : 0 }
            isEscaped = isQuoted && character == "\\" && !isEscaped
            if character == ",", !isQuoted, depth <= 0 {
                values.append("")
            } else {
                values[values.count - 1].append(character)
            }
        }
        return values.map { String($0.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()) }.filter { !$0.isEmpty }
    }

    /// Each name once: those of the new message in its order, those of the old one alone behind their neighbour there.
    private static func names(_ old: [MessageParts.Header], _ new: [MessageParts.Header]) -> [String] {
        var names: [String] = []
        for header in new where !names.contains(header.name) { names.append(header.name) }
        var place = 0
        for header in old {
            if let index = names.firstIndex(of: header.name) {
                place = index + 1
            } else {
                names.insert(header.name, at: min(place, names.count))
                place += 1
            }
        }
        return names
    }

    // MARK: Comparison

    /// What became of the values of one name: those that stayed, in order, divide the others into stretches; in each, what is
    /// most alike is one value that changed.
    private static func changes(of name: String, _ old: [String], _ new: [String]) -> [Change] {
        var changes: [Change] = []
        var (i, j) = (0, 0)
        for (keptOld, keptNew) in common(old, new) + [(old.count, new.count)] {
            changes += stretch(of: name, Array(old[i..<keptOld]), Array(new[j..<keptNew]))
            (i, j) = (keptOld + 1, keptNew + 1)
        }
        return changes
    }

    /// The places of the longest run of values that stand in both in the same order.
    private static func common(_ old: [String], _ new: [String]) -> [(Int, Int)] {
        guard !old.isEmpty, !new.isEmpty else { return [] }
        let width = new.count + 1
        var lengths = [Int](repeating: 0, count: (old.count + 1) * width)
        for i in old.indices.reversed() {
            for j in new.indices.reversed() {
                lengths[i * width + j] =
                    old[i] == new[j]
                    ? lengths[(i + 1) * width + j + 1] + 1 : max(lengths[(i + 1) * width + j], lengths[i * width + j + 1])
            }
        }
        var pairs: [(Int, Int)] = []
        var (i, j) = (0, 0)
        while i < old.count, j < new.count {
            if old[i] == new[j] {
                pairs.append((i, j))
                (i, j) = (i + 1, j + 1)
            } else if lengths[(i + 1) * width + j] >= lengths[i * width + j + 1] {
                i += 1
            } else {
                j += 1
            }
        }
        return pairs
    }

    private static func stretch(of name: String, _ old: [String], _ new: [String]) -> [Change] {
        // A header that there is once on each side has changed, however much.
        if old.count == 1, new.count == 1 { return [.changed(name: name, before: old[0], after: new[0])] }
        let partners = partners(old, new)
        let changed = new.indices.map { j -> Change in
            partners[j].map { .changed(name: name, before: old[$0], after: new[j]) } ?? .added(name: name, value: new[j])
        }
        let kept = Set(partners.values)
        return changed + old.indices.filter { !kept.contains($0) }.map { .removed(name: name, value: old[$0]) }
    }

    /// For the place of a new value that of the old one that it comes from: those most alike find each other first.
    private static func partners(_ old: [String], _ new: [String]) -> [Int: Int] {
        var pairs: [(old: Int, new: Int, likeness: Int)] = []
        for i in old.indices {
            for j in new.indices {
                let likeness = alike(old[i], new[j])
                if likeness >= max(old[i].count, 2) / 2 { pairs.append((i, j, likeness)) }
            }
        }
        var partners: [Int: Int] = [:]
        var taken: Set<Int> = []
        for pair in pairs.sorted(by: { $0.likeness > $1.likeness }) where partners[pair.new] == nil && !taken.contains(pair.old) {
            partners[pair.new] = pair.old
            taken.insert(pair.old)
        }
        return partners
    }

    /// How many characters two values have in common at their beginning.
    private static func alike(_ one: String, _ other: String) -> Int { zip(one, other).prefix { $0 == $1 }.count }
}

extension MessageDifference.Change {
    /// `+`, `-` or `~`.
    public var sign: String {
        switch self {
        case .added: "+"
        case .removed: "-"
        case .changed: "~"
        }
    }

    public var name: String {
        switch self {
        case .added(let name, _), .removed(let name, _), .changed(let name, _, _): name
        }
    }

    /// On one line, without the sign: `Max-Forwards: 70 → 69`.
    public var text: String {
        switch self {
        case .added(let name, let value), .removed(let name, let value): "\(name): \(value)"
        case .changed(let name, let before, let after): "\(name): \(before) → \(after)"
        }
    }
}

/// What a node did to a message on its way through.
public struct HopDifference: Hashable, Sendable {
    /// The lane of the node.
    public var node: String
    /// The number of the message that it received.
    public var received: UInt64
    public var difference: MessageDifference

    public init(node: String, received: UInt64, difference: MessageDifference) {
        self.node = node
        self.received = received
        self.difference = difference
    }
}
