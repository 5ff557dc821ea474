// A tree of nodes against a shape: types, formats, unknown keys, missing keys. What a value means beside others is the
// reader's to say.

struct Validation {
    private(set) var faults: [(position: Position, text: String)] = []

    /// - Parameter name: the key, or what the value is, as it is called in faults.
    mutating func check(_ node: Node, against shape: Shape, as name: String) {
        if node.isUnreadable { return }
        switch shape {
        case .scalar(let scalar): check(node, scalar, name)
        case .list(let element, let atLeast): check(node, listOf: element, atLeast: atLeast, name)
        case .oneOrMore(let element):
            if case .list = node.content {
                check(node, listOf: element, atLeast: 1, name)
            } else {
                check(node, against: element, as: name)
            }
        case .object(let object): check(node, object, name)
        case .either(let text, let list, let map):
            switch (node.content, text, list, map) {
            case (.list, _, let list?, _): check(node, against: list, as: name)
            case (.map, _, _, let map?): check(node, map, name)
            case (_, let text?, _, _): check(node, text, name)
            case (_, nil, let list?, _): check(node, against: list, as: name)
            case (_, nil, nil, let map): if let map { check(node, map, name) }
            }
        case .anything: break
        }
    }

    private mutating func check(_ node: Node, _ scalar: Scalar, _ name: String) {
        switch node.content {
        case .text(let text, _):
            if node.isEmpty {
                report(node, "'\(name)' has no value; write one, or leave the key out")
            } else if let fault = scalar.fault(text) {
                report(node, fault)
            }
        case .list: report(node, "'\(name)' is one value, not a list; write it without brackets and dashes")
        case .map: report(node, "'\(name)' is one value, not a map; write the value alone")
        case .unreadable: break
        }
    }

    private mutating func check(_ node: Node, listOf element: Shape, atLeast: Int, _ name: String) {
        guard case .list(let elements) = node.content else {
            let example = node.text.map { " [\($0)]" } ?? ""
            return report(node, "'\(name)' is a list; write it in brackets\(example.isEmpty ? "" : ":")\(example)")
        }
        if elements.count < atLeast { report(node, "'\(name)' is empty; write at least one, or leave the key out") }
        for node in elements { check(node, against: element, as: name) }
    }

    private mutating func check(_ node: Node, _ shape: ObjectShape, _ name: String) {
        var entries: [Node.Entry] = []
        switch node.content {
        case .map(let map): entries = map
        case .text where node.isEmpty: break
        default: return report(node, "'\(name)' is a map; write keys and values below it\(example(of: shape))")
        }
        for entry in entries { check(entry, of: shape) }
        for i in shape.required where !entries.contains(where: { $0.isNamed(shape.keys[i].name) }) {
            let key = shape.keys[i]
            // A key that was written wrong is reported as that.
            let names = shape.keys.map(\.name)
            if entries.contains(where: { !names.contains($0.key) && Suggestion.nearest(to: $0.key, among: names) == key.name }) { continue }
            report(node, "'\(key.name)' is missing in \(shape.what); write '\(key.name): ...': \(lowered(key.about))")
        }
    }

    private mutating func check(_ entry: Node.Entry, of shape: ObjectShape) {
        if let i = shape.keys.firstIndex(where: { entry.isNamed($0.name) }) {
            check(entry.value, against: shape.keys[i].shape, as: shape.keys[i].name)
        } else if let others = shape.others {
            if let fault = others.name.fault(entry.key) { faults.append((entry.position, fault)) }
            check(entry.value, against: others.shape, as: entry.key)
        } else {
            let names = shape.keys.map(\.name)
            let advice = Suggestion.advice(for: entry.key, among: names, otherwise: "write one of \(names.joined(separator: ", "))")
            faults.append((entry.position, "unknown key '\(entry.key)' in \(shape.what); \(advice)"))
        }
    }

    private mutating func report(_ node: Node, _ text: String) { faults.append((node.position, text)) }

    private func example(of shape: ObjectShape) -> String {
        if let key = shape.keys.first { return ", as in {\(key.name): ...}" }
        return ""
    }

    private func lowered(_ about: String) -> String {
        let sentence = about[..<(about.firstRange(of: ". ")?.lowerBound ?? about.endIndex)].prefix { $0 != ";" }
        if sentence.hasSuffix(".") { return lowered(String(sentence.dropLast())) }
        guard let first = sentence.first, let second = sentence.dropFirst().first, second.isLowercase || second == " " else {
            return String(sentence)
        }
        return first.lowercased() + sentence.dropFirst()
    }
}
