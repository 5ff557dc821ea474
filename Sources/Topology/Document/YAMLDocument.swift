// YAML text to a tree of nodes.

/// A YAML document with what is wrong with it as YAML: syntax (then nothing else is known), keys that stand twice,
/// variables of the environment that are not set.
struct YAMLDocument {
    /// nil after a syntax error, and for a file with nothing in it.
    private(set) var root: Node?
    private(set) var faults: [(position: Position, text: String)] = []

    private let environment: [String: String]?
    private var anchors: [String: Anchored] = [:]
    private var nodeCount = 0

    /// Aliases can make a small file mean a huge tree; without them no value is shorter than a character.
    private let nodeLimit: Int
    private static let depthLimit = 24

    /// What an alias brings to another place.
    private struct Anchored {
        var node: Node
        /// Values in it, itself among them, and how deep the deepest is below it.
        var count: Int
        var height: Int
    }

    /// Whether a value in it has a name by which it could be brought elsewhere.
    var hasAnchors: Bool { !anchors.isEmpty }

    /// - Parameter firstLine: the number of the text's first line, where it is a part of a file.
    init(text: String, environment: [String: String]?, firstLine: Int = 1) {
        self.environment = environment
        nodeLimit = text.utf8.count * 2 + 100_000
        var text = text.hasPrefix("\u{FEFF}") ? String(text.dropFirst()) : text
        text.withUTF8 { octets in
            do throws(YAMLSyntaxFault) {
                try compose(YAMLEvents(octets, firstLine: firstLine))
            } catch {
                root = nil
                faults = [(error.position, error.text)]
            }
        }
    }

    private mutating func compose(_ events: consuming YAMLEvents) throws(YAMLSyntaxFault) {
        // The stream begins, and with it the only document, if there is one.
        try events.advance()
        try events.advance()
        guard events.kind != .streamEnd else { return }
        try events.advance()
        var height = 0
        let root = try node(&events, depth: 0, &height)
        try events.advance()
        try events.advance()
        guard events.kind == .streamEnd else {
            throw YAMLSyntaxFault(
                events.position, "but found another document", while: "expected a single document in the stream",
                at: Position(line: 1, column: 1))
        }
        if nodeCount > nodeLimit {
            faults = [(root.position, "the file means more than \(nodeLimit) values; write fewer, or numeric ranges of names")]
        } else {
            self.root = root
        }
    }

    // MARK: The tree

    /// The value that begins with the present event, which is its last one afterwards.
    ///
    /// - Parameter height: raised to how deep the value is.
    private mutating func node(_ events: inout YAMLEvents, depth: Int, _ height: inout Int) throws(YAMLSyntaxFault) -> Node {
        if events.kind == .alias { return try alias(events, depth: depth, &height) }
        let position = events.position
        let anchor = events.anchor
        let countBefore = nodeCount
        nodeCount += 1
        guard nodeCount <= nodeLimit else {
            try events.skipValue()
            return Node(content: .unreadable, position: position)
        }
        guard depth <= YAMLDocument.depthLimit else {
            try events.skipValue()
            return tooDeep(at: position)
        }
        var own = 0
        let content: Node.Content
        switch events.kind {
        case .sequenceStart:
            content = .list(try elements(&events, depth: depth + 1, &own))
            own += 1
        case .mappingStart:
            content = .map(try entries(&events, depth: depth + 1, &own))
            own += 1
        default:
            let isPlain = events.isPlain
            content =
                events.holdsDollar ? text(events.text, isPlain: isPlain, at: position) : .text(events.text, isPlain: isPlain)
        }
        height = max(height, own)
        let node = Node(content: content, position: position)
        if let anchor { anchors[anchor] = Anchored(node: node, count: nodeCount - countBefore, height: own) }
        return node
    }

    private mutating func alias(_ events: borrowing YAMLEvents, depth: Int, _ height: inout Int) throws(YAMLSyntaxFault) -> Node {
        guard let name = events.anchor, let anchored = anchors[name] else {
            throw YAMLSyntaxFault(events.position, "found undefined alias")
        }
        nodeCount += anchored.count
        guard depth + anchored.height <= YAMLDocument.depthLimit else { return tooDeep(at: anchored.node.position) }
        height = max(height, anchored.height)
        return nodeCount <= nodeLimit ? anchored.node : Node(content: .unreadable, position: anchored.node.position)
    }

    private mutating func tooDeep(at position: Position) -> Node {
        faults.append(
            (position, "values are nested deeper here than any topology needs; write at most \(YAMLDocument.depthLimit) levels"))
        return Node(content: .unreadable, position: position)
    }

    private mutating func elements(_ events: inout YAMLEvents, depth: Int, _ height: inout Int) throws(YAMLSyntaxFault) -> [Node] {
        var elements: [Node] = []
        try events.advance()
        while events.kind != .sequenceEnd {
            elements.append(try node(&events, depth: depth, &height))
            try events.advance()
        }
        return elements
    }

    private mutating func entries(_ events: inout YAMLEvents, depth: Int, _ height: inout Int) throws(YAMLSyntaxFault) -> [Node.Entry] {
        var entries: [Node.Entry] = []
        var merged: [Node.Entry] = []
        var places = KeyPlaces()
        try events.advance()
        while events.kind != .mappingEnd {
            guard let (key, position, isMerge) = try key(&events) else {
                try events.advance()
                try events.skipValue()
                try events.advance()
                continue
            }
            try events.advance()
            let value = try node(&events, depth: depth, &height)
            try events.advance()
            if isMerge {
                merged += self.merged(from: value)
            } else if let first = places.position(of: key, in: entries) {
                faults.append(
                    (max(first, position), "the key '\(key)' stands here already (line \(min(first, position).line)); write it once"))
            } else {
                entries.append(Node.Entry(key: key, position: position, value: value))
                places.add(entries)
            }
        }
        // The merge key of YAML 1.1: keys that are written here win over those that are brought in.
        for entry in merged where places.position(of: entry.key, in: entries) == nil {
            entries.append(entry)
            places.add(entries)
        }
        return entries
    }

    /// The key that begins with the present event; nil: it is none that a topology has.
    private mutating func key(_ events: inout YAMLEvents) throws(YAMLSyntaxFault) -> (String, Position, isMerge: Bool)? {
        var position = events.position
        switch events.kind {
        case .scalar:
            let key = events.text
            if let anchor = events.anchor {
                let node = Node(content: .text(key, isPlain: events.isPlain), position: position)
                anchors[anchor] = Anchored(node: node, count: 1, height: 0)
            }
            return (key, position, key == "<<" && events.isPlain)
        case .alias:
            var height = 0
            let node = try alias(events, depth: 0, &height)
            if case .text(let key, _) = node.content { return (key, node.position, false) }
            position = node.position
        default:
            try events.skipValue()
        }
        faults.append((position, "a list or a map stands in the place of a key; write a name"))
        return nil
    }

    private mutating func merged(from value: Node) -> [Node.Entry] {
        switch value.content {
        case .map(let entries): return entries
        case .list(let maps) where maps.allSatisfy({ if case .map = $0.content { true } else { false } }): return maps.flatMap(\.entries)
        case .unreadable: return []
        default:
            faults.append((value.position, "'<<' brings in a map, and this is none; write an alias of a map"))
            return []
        }
    }

    /// Puts in what `${env:NAME}` stands for.
    private mutating func text(_ text: String, isPlain: Bool, at position: Position) -> Node.Content {
        guard text.contains("${env:") else { return .text(text, isPlain: isPlain) }
        var filled = ""
        var rest = text[...]
        while let open = rest.firstRange(of: "${env:") {
            filled += rest[..<open.lowerBound]
            rest = rest[open.upperBound...]
            guard let close = rest.firstIndex(of: "}") else {
                faults.append((position, "'${env:' has no end; write ${env:NAME}"))
                return .unreadable
            }
            let name = String(rest[..<close])
            rest = rest[rest.index(after: close)...]
            guard let environment else {
                faults.append((position, "'${env:\(name)}' is for files: what comes by HTTP does not see the environment; write the value"))
                return .unreadable
            }
            guard let value = environment[name] else {
                faults.append((position, "the environment has no variable '\(name)'; set it, or write the value here"))
                return .unreadable
            }
            filled += value
        }
        return .text(filled + rest, isPlain: false)
    }
}

/// Where the keys of a map stand. Most maps are small: only of the others the keys are hashed.
private struct KeyPlaces {
    private static let few = 12
    private var places: [String: Position] = [:]

    func position(of key: String, in entries: [Node.Entry]) -> Position? {
        if entries.count > KeyPlaces.few { return places[key] }
        for i in entries.indices where entries[i].isNamed(key) { return entries[i].position }
        return nil
    }

    /// The map has one more entry, its last.
    mutating func add(_ entries: [Node.Entry]) {
        guard entries.count > KeyPlaces.few else { return }
        for entry in entries[(places.isEmpty ? 0 : entries.count - 1)...] { places[entry.key] = entry.position }
    }
}
