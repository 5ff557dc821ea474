// The JSON Schema of a topology (draft 2020-12), for editors that complete and check YAML. It is made from the table of keys.

import JSONText

/// What `sipcore schema` prints.
public enum TopologySchema {
    /// JSON, indented, with a line end at its end.
    public static let json: String = {
        let environment = JSON.object([
            .init("description", .text("A variable of the environment.")), .init("type", .text("string")),
            .init("pattern", .text(#"\$\{env:[^}]+\}"#)),
        ])
        var members: [JSON.Member] = [
            .init("$schema", .text("https://json-schema.org/draft/2020-12/schema")),
            .init("title", .text("A topology of sipcore")),
        ]
        members += schema(of: RootKeys.shape)
        members.append(.init("$defs", .object([.init("environment", environment)])))
        return JSON.object(members).indented() + "\n"
    }()

    private static func schema(of shape: Shape) -> [JSON.Member] {
        switch shape {
        case .scalar(let scalar):
            if scalar.isFreeText || isPlainText(scalar) { return scalar.schema }
            return [.init("anyOf", .list([.object(scalar.schema), .object([.init("$ref", .text("#/$defs/environment"))])]))]
        case .list(let element, let atLeast):
            let least: [JSON.Member] = atLeast > 0 ? [.init("minItems", .integer(Int64(atLeast)))] : []
            return [.init("type", .text("array")), .init("items", .object(schema(of: element)))] + least
        case .oneOrMore(let element):
            return [.init("anyOf", .list([.object(schema(of: element)), .object(schema(of: .list(element, atLeast: 1)))]))]
        case .object(let object):
            // A section of which nothing is given may be written with nothing after its colon.
            let isOptional = object.keys.allSatisfy { !$0.isRequired }
            let type: JSON = isOptional ? .list([.text("object"), .text("null")]) : .text("object")
            return schema(of: object).map { $0.name == "type" ? .init("type", type) : $0 }
        case .either(let text, let list, let map):
            let forms = [text.map(Shape.scalar), list, map.map(Shape.object)].compactMap { $0 }
            return [.init("anyOf", .list(forms.map { .object(schema(of: $0)) }))]
        case .anything: return []
        }
    }

    private static func isPlainText(_ scalar: Scalar) -> Bool { scalar.schema == [.init("type", .text("string"))] }

    private static func schema(of object: ObjectShape) -> [JSON.Member] {
        var members: [JSON.Member] = [.init("type", .text("object"))]
        if !object.keys.isEmpty {
            members.append(
                .init(
                    "properties",
                    .object(object.keys.map { .init($0.name, .object([.init("description", .text($0.about))] + schema(of: $0.shape))) })))
        }
        let required = object.keys.filter(\.isRequired).map { JSON.text($0.name) }
        if !required.isEmpty { members.append(.init("required", .list(required))) }
        if let others = object.others {
            members.append(.init("additionalProperties", .object(schema(of: others.shape))))
            if let pattern = others.name.schema.first(where: { $0.name == "pattern" }), object.keys.isEmpty {
                members.append(.init("propertyNames", .object([pattern])))
            }
        } else {
            members.append(.init("additionalProperties", .boolean(false)))
        }
        return members
    }
}
