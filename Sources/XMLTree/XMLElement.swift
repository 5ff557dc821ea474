// XML documents as values: what a reader of service profiles (TS 29.228 Annex E) or of settings documents (RFC 4354)
// needs of XML 1.0 and of Namespaces in XML 1.0. Comments and processing instructions are left out.

/// An element with its namespace resolved.
public struct XMLElement: Sendable, Equatable {
    /// The name without its prefix.
    public var name: String
    /// The namespace name; empty for an element in no namespace.
    public var namespace: String
    /// In document order, without the namespace declarations.
    public var attributes: [XMLAttribute]
    /// Elements and text, in document order. Neighbouring text and CDATA sections are one piece.
    public var children: [XMLNode]
    /// Where the start tag begins.
    public var position: XMLPosition

    public init(
        name: String, namespace: String = "", attributes: [XMLAttribute] = [], children: [XMLNode] = [],
        position: XMLPosition = XMLPosition(line: 1, column: 1)
    ) {
        self.name = name
        self.namespace = namespace
        self.attributes = attributes
        self.children = children
        self.position = position
    }

    /// The child elements, whatever their namespace.
    public var elements: [XMLElement] {
        children.compactMap { if case .element(let element) = $0 { element } else { nil } }
    }

    /// The child elements of this name and namespace.
    public func elements(_ name: String, namespace: String) -> [XMLElement] {
        elements.filter { $0.name == name && $0.namespace == namespace }
    }

    /// The first child element of this name and namespace.
    public func element(_ name: String, namespace: String) -> XMLElement? {
        for case .element(let element) in children where element.name == name && element.namespace == namespace { return element }
        return nil
    }

    /// The value of an attribute; an attribute without a prefix is in no namespace.
    public func attribute(_ name: String, namespace: String = "") -> String? {
        attributes.first { $0.name == name && $0.namespace == namespace }?.value
    }

    /// The element's own text, CDATA sections included, text of child elements not.
    public var text: String {
        children.reduce(into: "") { text, child in
            if case .text(let piece) = child { text += piece }
        }
    }

    /// The element's own text without the white space around it.
    public var trimmedText: String {
        let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0 == "\n" || $0 == "\r" || $0 == "\r\n" }
        let text = text.drop(while: isSpace)
        return String(text[..<(text.lastIndex { !isSpace($0) }.map(text.index(after:)) ?? text.startIndex)])
    }
}

/// A child of an element.
public enum XMLNode: Sendable, Equatable {
    case element(XMLElement)
    case text(String)
}

/// An attribute with its namespace resolved and its value normalised (XML 1.0 §3.3.3).
public struct XMLAttribute: Sendable, Equatable {
    public var name: String
    public var namespace: String
    public var value: String

    public init(name: String, namespace: String = "", value: String) {
        self.name = name
        self.namespace = namespace
        self.value = value
    }
}

/// A place in a document. Lines and columns count from 1, columns in characters (Unicode scalars).
public struct XMLPosition: Sendable, Equatable {
    public var line: Int
    public var column: Int

    public init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }
}

/// Why a document was not taken, and where.
public struct XMLFault: Error, Sendable, Equatable, CustomStringConvertible {
    public var position: XMLPosition
    /// What is wrong, as a clause: `'<b>' is closed by '</c>'`.
    public var problem: String

    public init(_ problem: String, at position: XMLPosition) {
        self.position = position
        self.problem = problem
    }

    public var description: String { "\(position.line):\(position.column): \(problem)" }
}

/// What a document may cost. Past a limit it is refused.
public struct XMLLimits: Sendable, Equatable {
    /// Bytes of the whole document.
    public var bytes: Int
    /// Elements within elements; the root is at depth 1.
    public var depth: Int
    /// Elements, attributes and pieces of text together.
    public var nodes: Int

    public init(bytes: Int = 1 << 20, depth: Int = 64, nodes: Int = 100_000) {
        self.bytes = bytes
        self.depth = depth
        self.nodes = nodes
    }
}
