// A YAML file as a tree with positions, before anything is known about what it means.

struct Node: Sendable {
    enum Content: Sendable {
        /// `isPlain`: not quoted, so that it may mean nothing at all (`~`, `null`, or no character).
        case text(String, isPlain: Bool)
        case list([Node])
        case map([Entry])
        /// A value that could not be had; the fault is reported already.
        case unreadable
    }

    struct Entry: Sendable {
        var key: String
        var position: Position
        var value: Node

        /// Whether this is its key. Nearly all that are not differ in length.
        func isNamed(_ name: String) -> Bool { key.utf8.count == name.utf8.count && key == name }
    }

    var content: Content
    var position: Position

    /// Nothing was written here: `core:` and no more.
    var isEmpty: Bool {
        if case .text(let text, isPlain: true) = content { return ["", "~", "null", "Null", "NULL"].contains(text) }
        return false
    }

    var isUnreadable: Bool {
        if case .unreadable = content { return true }
        return false
    }

    /// The entries of a map, in the order of the file.
    var entries: [Entry] {
        if case .map(let entries) = content { return entries }
        return []
    }

    /// The elements of a list.
    var elements: [Node] {
        if case .list(let elements) = content { return elements }
        return []
    }

    /// The text of a scalar.
    var text: String? {
        if case .text(let text, _) = content, !isEmpty { return text }
        return nil
    }

    /// The last line on which something of it begins.
    var lastLine: Int {
        switch content {
        case .text, .unreadable: position.line
        case .list(let elements): elements.reduce(position.line) { max($0, $1.lastLine) }
        case .map(let entries): entries.reduce(position.line) { max($0, $1.position.line, $1.value.lastLine) }
        }
    }

    func entry(_ key: String) -> Entry? {
        guard case .map(let entries) = content else { return nil }
        for i in entries.indices where entries[i].isNamed(key) { return entries[i] }
        return nil
    }

    /// In the flow style of YAML, on one line: how a step of a scenario is shown in reports.
    var flow: String {
        switch content {
        case .text(let text, let isPlain): isPlain ? text : Node.quoted(text)
        case .list(let elements): "[" + elements.map(\.flow).joined(separator: ", ") + "]"
        case .map(let entries): "{" + entries.map { "\($0.key): \($0.value.flow)" }.joined(separator: ", ") + "}"
        case .unreadable: "?"
        }
    }

    private static func quoted(_ text: String) -> String {
        let escapes: [Character: String] = ["\"": "\\\"", "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\r\n": "\\r\\n"]
        return "\"" + text.map { escapes[$0] ?? String($0) }.joined() + "\""
    }
}
