// The table of keys is made of these: each key has a shape, which validates a value and describes it to editors as JSON
// Schema, and a way to read it. All three come from one declaration, so they cannot drift apart.

import JSONText

/// What a value may look like.
indirect enum Shape: Sendable {
    case scalar(Scalar)
    case list(Shape, atLeast: Int)
    /// One value, or a list of them.
    case oneOrMore(Shape)
    case object(ObjectShape)
    /// One of several forms; which one is told by how it is written.
    case either(text: Scalar?, list: Shape?, map: ObjectShape?)
    /// Whatever YAML can say.
    case anything
}

/// A scalar: `fault` says what is wrong with a text and what to write instead, nil if nothing is.
struct Scalar: Sendable {
    var schema: [JSON.Member]
    /// Any text is right, so that a number or a date of YAML's is one too.
    var isFreeText = false
    var fault: @Sendable (String) -> String?
}

/// A map with known keys, or with names of the user's choosing, or with both.
struct ObjectShape: Sendable {
    /// What the map is, as in `unknown key in the core`.
    var what: String
    let keys: [AnyKey]
    let others: Names?
    /// The places in `keys` of those that must be there.
    let required: [Int]

    init(what: String, keys: [AnyKey] = [], others: Names? = nil) {
        self.what = what
        self.keys = keys
        self.others = others
        required = keys.indices.filter { keys[$0].isRequired }
    }

    /// Names that the user chooses, each with a value of one shape.
    struct Names: Sendable {
        /// What a name stands for, as in `a subscriber's name`.
        var what: String
        var name: Scalar
        var shape: Shape
    }
}

/// How a value is validated and read.
struct Codec<Value: Sendable>: Sendable {
    let shape: Shape
    /// nil where validation has found a fault.
    let read: @Sendable (Node) -> Value?
}

/// A key of a map, and what its value is read as.
struct Key<Value: Sendable>: Sendable {
    let name: String
    let codec: Codec<Value>
    let about: String
    let isRequired: Bool

    init(_ name: String, _ codec: Codec<Value>, required: Bool = false, _ about: String) {
        self.name = name
        self.codec = codec
        self.about = about
        isRequired = required
    }

    var any: AnyKey { AnyKey(name: name, shape: codec.shape, about: about, isRequired: isRequired) }
}

/// A key without the type of its value, as validation and the schema need it.
struct AnyKey: Sendable {
    let name: String
    let shape: Shape
    let about: String
    let isRequired: Bool
}

extension Node {
    /// The value of a key, if it is there and right.
    subscript<Value>(_ key: Key<Value>) -> Value? { self[node: key].flatMap(key.codec.read) }

    /// The value of a key as it stands in the file, with its position.
    subscript<Value>(node key: Key<Value>) -> Node? {
        guard case .map(let entries) = content else { return nil }
        for i in entries.indices where entries[i].isNamed(key.name) { return entries[i].value }
        return nil
    }
}

/// What is wrong with a scalar; what to write instead.
struct Wrong: Error {
    var text: String
    init(_ text: String) { self.text = text }
}

extension Codec {
    static func scalar(
        _ schema: [JSON.Member], isFreeText: Bool = false, _ parse: @escaping @Sendable (String) throws(Wrong) -> Value
    ) -> Codec {
        let fault: @Sendable (String) -> String? = { text in
            do throws(Wrong) {
                _ = try parse(text)
                return nil
            } catch {
                return error.text
            }
        }
        return Codec(shape: .scalar(Scalar(schema: schema, isFreeText: isFreeText, fault: fault))) { node in
            guard case .text(let text, _) = node.content, !node.isEmpty else { return nil }
            return try? parse(text)
        }
    }

    static func list<Element>(_ element: Codec<Element>, atLeast: Int = 0) -> Codec where Value == [Element] {
        Codec(shape: .list(element.shape, atLeast: atLeast)) { node in
            guard case .list(let elements) = node.content else { return nil }
            return elements.compactMap(element.read)
        }
    }

    static func oneOrMore<Element>(_ element: Codec<Element>) -> Codec where Value == [Element] {
        Codec(shape: .oneOrMore(element.shape)) { node in
            if case .list(let elements) = node.content { return elements.compactMap(element.read) }
            return element.read(node).map { [$0] }
        }
    }
}

extension Codec where Value == Node {
    /// A map, read key by key by whoever asks for it. Nothing written means a map without entries.
    static func object(_ shape: ObjectShape) -> Codec {
        Codec(shape: .object(shape)) { node in
            if case .map = node.content { return node }
            return node.isEmpty ? Node(content: .map([]), position: node.position) : nil
        }
    }

    static func object(_ what: String, _ keys: [AnyKey]) -> Codec { object(ObjectShape(what: what, keys: keys)) }

    /// A value in one of several forms, which the reader tells apart.
    static func either(text: Codec<some Sendable>, list: Shape? = nil, map: ObjectShape) -> Codec {
        guard case .scalar(let scalar) = text.shape else { preconditionFailure("a text is a scalar") }
        return Codec(shape: .either(text: scalar, list: list, map: map)) { $0.isUnreadable ? nil : $0 }
    }

    /// A list, or a map.
    static func either(list: Shape, map: ObjectShape) -> Codec {
        Codec(shape: .either(text: nil, list: list, map: map)) { $0.isUnreadable ? nil : $0 }
    }

    static let anything = Codec(shape: .anything) { $0.isUnreadable ? nil : $0 }

    /// A map from names of the user's choosing.
    static func names<Name, Element>(_ what: String, _ name: Codec<Name>, _ element: Codec<Element>) -> Codec {
        guard case .scalar(let scalar) = name.shape else { preconditionFailure("a name is a scalar") }
        return object(ObjectShape(what: "\(what)s", others: .init(what: what, name: scalar, shape: element.shape)))
    }
}
