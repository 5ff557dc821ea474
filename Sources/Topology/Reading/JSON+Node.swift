// JSON that stands in a topology as YAML.

import JSONText

extension JSON {
    /// What YAML says, as JSON: plain scalars that are numbers, truth values or nothing are that, and all others are texts.
    init(_ node: Node) {
        switch node.content {
        case .text(let text, let isPlain): self = isPlain ? JSON.plain(text) : .text(text)
        case .list(let elements): self = .list(elements.map(JSON.init))
        case .map(let entries): self = .object(entries.map { Member($0.key, JSON($0.value)) })
        case .unreadable: self = .null
        }
    }

    private static func plain(_ text: String) -> JSON {
        switch text {
        case "", "~", "null", "Null", "NULL": .null
        case "true", "True", "TRUE": .boolean(true)
        case "false", "False", "FALSE": .boolean(false)
        default: JSON(number: text) ?? .text(text)
        }
    }
}
