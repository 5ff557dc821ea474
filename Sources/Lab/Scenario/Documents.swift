// Bodies that are documents, and what stands in them at a path.

import JSONText
import Topology
import XMLTree

protocol Document {
    /// All values at a path, as text; none if there are none or it is no path.
    func values(at path: String) -> [String]
}

extension JSON: Document {
    func values(at path: String) -> [String] {
        guard let path = JSONPath(path) else { return [] }
        var value = self
        for step in path.steps {
            let next: JSON? =
                switch step {
                case .member(let name): value[name]
                case .element(let index): value.list.flatMap { $0.indices.contains(index) ? $0[index] : nil }
                }
            guard let next else { return [] }
            value = next
        }
        return [value.text ?? value.description]
    }
}

/// An XML document.
struct XMLBody: Document {
    private let root: XMLElement

    /// nil if the text is none.
    init?(_ text: String) {
        guard let root = try? XMLTree.parse(Array(text.utf8)) else { return nil }
        self.root = root
    }

    func values(at path: String) -> [String] {
        guard let path = XMLPath(path), let first = path.elements.first else { return [] }
        var found = XMLBody.all(first, in: root)
        for name in path.elements.dropFirst() { found = found.flatMap { $0.elements.filter { $0.name == name } } }
        guard let attribute = path.attribute else { return found.map(\.trimmedText) }
        return found.compactMap { element in element.attributes.first { $0.name == attribute }?.value }
    }

    /// The elements of this name, wherever they are, in document order.
    private static func all(_ name: String, in element: XMLElement) -> [XMLElement] {
        (element.name == name ? [element] : []) + element.elements.flatMap { all(name, in: $0) }
    }
}
