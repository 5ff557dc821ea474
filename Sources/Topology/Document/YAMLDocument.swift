// YAML text to a tree of nodes. The only file that knows the YAML library.
import Yams

/// A YAML document with what is wrong with it as YAML: syntax (then nothing else is known), keys that stand twice,
/// variables of the environment that are not set.
struct YAMLDocument {
    /// nil after a syntax error, and for a file with nothing in it.
    private(set) var root: Node?
    private(set) var faults: [(position: Position, text: String)] = []

    private let environment: [String: String]
    /// Keys that were written otherwise for the library, by their place: see `compose`.
    private var disguised: [Position: String] = [:]
    private var nodeCount = 0

    /// Aliases can make a small file mean a huge tree; without them no value is shorter than a character.
    private let nodeLimit: Int
    private static let depthLimit = 24

    init(text: String, environment: [String: String]) {
        self.environment = environment
        nodeLimit = text.utf8.count * 2 + 100_000
        guard let composed = compose(text.hasPrefix("\u{FEFF}") ? String(text.dropFirst()) : text) else { return }
        let root = node(of: composed, depth: 0)
        if nodeCount > nodeLimit {
            faults = [(root.position, "the file means more than \(nodeLimit) values; write fewer, or numeric ranges of names")]
        } else {
            self.root = root
        }
    }

    // MARK: The library

    /// The library stops at the first map with a key that stands twice. To report every fault in one go, the first of
    /// the two is disguised, without moving any other character, and reading begins again.
    private mutating func compose(_ original: String) -> Yams.Node? {
        var text = original
        while true {
            do {
                // Without rules the library takes every scalar for a string; what a scalar means is ours to say.
                return try Yams.compose(yaml: text, .basic)
            } catch let error as YamlError {
                if case .duplicatedKeysInMapping(let keys, let context) = error, disguised.count < 100, let key = keys.first,
                    let changed = disguise(key, at: Position(context.mark), in: text)
                {
                    text = changed
                    continue
                }
                report(error, in: text)
            } catch {
                faults.append((Position(line: 1, column: 1), "the file cannot be read as YAML (\(error)); write YAML"))
            }
            return nil
        }
    }

    /// Puts a character of the private use area in the place of a key's first one.
    private mutating func disguise(_ key: String, at position: Position, in text: String) -> String? {
        var scalars = Array(text.unicodeScalars)
        guard disguised[position] == nil, var index = YAMLDocument.offset(of: position, in: scalars) else { return nil }
        if scalars[index] == "\"" || scalars[index] == "'" { index += 1 }
        guard index < scalars.count, !["\"", "'", "\\", "&", "*", "!", "?", "\n", "\r"].contains(scalars[index]),
            let mask = Unicode.Scalar(0xE000 + UInt32(disguised.count))
        else { return nil }
        scalars[index] = mask
        disguised[position] = key
        var changed = String.UnicodeScalarView()
        changed.append(contentsOf: scalars)
        return String(changed)
    }

    private static func offset(of position: Position, in scalars: [Unicode.Scalar]) -> Int? {
        var line = 1
        var index = 0
        while line < position.line, index < scalars.count {
            let isPair = scalars[index] == "\r" && index + 1 < scalars.count && scalars[index + 1] == "\n"
            if ["\n", "\r", "\u{85}", "\u{2028}", "\u{2029}"].contains(scalars[index]), !isPair { line += 1 }
            index += 1
        }
        index += position.column - 1
        return line == position.line && index < scalars.count ? index : nil
    }

    private mutating func report(_ error: YamlError, in text: String) {
        switch error {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            let doing = context.map { " \($0.text) (line \($0.mark.line), column \($0.mark.column))" } ?? ""
            faults.append((Position(mark), "this is not YAML: \(problem)\(doing); mend the syntax here or just before"))
        case .reader(let problem, let offset, _, _):
            let before = text.prefix(offset ?? 0)
            let line = before.count { $0.isNewline } + 1
            let column =
                before.count - (before.lastIndex { $0.isNewline }.map { before.distance(from: before.startIndex, to: $0) + 1 } ?? 0) + 1
            faults.append(
                (
                    Position(line: line, column: column),
                    "this character may not stand in YAML (\(problem)); write it as an escape in double quotes"
                ))
        case .duplicatedKeysInMapping(let keys, let context):
            faults.append((Position(context.mark), "the key '\(keys.first ?? "")' stands twice in this map; write it once"))
        default:
            faults.append((Position(line: 1, column: 1), "the file cannot be read as YAML (\(error)); write YAML"))
        }
    }

    // MARK: The tree

    private mutating func node(of node: Yams.Node, depth: Int) -> Node {
        let position = node.mark.map(Position.init) ?? Position(line: 1, column: 1)
        nodeCount += 1
        guard nodeCount <= nodeLimit else { return Node(content: .unreadable, position: position) }
        guard depth <= YAMLDocument.depthLimit else {
            faults.append(
                (position, "values are nested deeper here than any topology needs; write at most \(YAMLDocument.depthLimit) levels"))
            return Node(content: .unreadable, position: position)
        }
        switch node {
        case .scalar(let scalar):
            return Node(content: text(scalar.string, isPlain: scalar.style == .plain, at: position), position: position)
        case .sequence(let sequence):
            var elements: [Node] = []
            for element in sequence { elements.append(self.node(of: element, depth: depth + 1)) }
            return Node(content: .list(elements), position: position)
        case .mapping(let mapping):
            return Node(content: .map(entries(of: mapping, depth: depth)), position: position)
        case .alias:
            return Node(content: .unreadable, position: position)
        }
    }

    private mutating func entries(of mapping: Yams.Node.Mapping, depth: Int) -> [Node.Entry] {
        var entries: [Node.Entry] = []
        var merged: [Node.Entry] = []
        var places: [String: Position] = [:]
        for pair in mapping {
            let position = pair.key.mark.map(Position.init) ?? Position(line: 1, column: 1)
            guard case .scalar(let scalar) = pair.key else {
                faults.append((position, "a list or a map stands in the place of a key; write a name"))
                continue
            }
            let key = disguised[position] ?? scalar.string
            let value = node(of: pair.value, depth: depth + 1)
            if key == "<<", scalar.style == .plain {
                merged += self.merged(from: value)
            } else if let first = places.updateValue(position, forKey: key) {
                faults.append(
                    (max(first, position), "the key '\(key)' stands here already (line \(min(first, position).line)); write it once"))
            } else {
                entries.append(Node.Entry(key: key, position: position, value: value))
            }
        }
        // The merge key of YAML 1.1: keys that are written here win over those that are brought in.
        for entry in merged where places.updateValue(entry.position, forKey: entry.key) == nil { entries.append(entry) }
        return entries
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
            guard let value = environment[name] else {
                faults.append((position, "the environment has no variable '\(name)'; set it, or write the value here"))
                return .unreadable
            }
            filled += value
        }
        return .text(filled + rest, isPlain: false)
    }
}

extension Position {
    fileprivate init(_ mark: Mark) { self.init(line: mark.line, column: mark.column) }
}
