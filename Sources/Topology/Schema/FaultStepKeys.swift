// The table of keys of the step `fault`: those of a fault rule, and what steps need to speak of it.

import JSONText

enum FaultStepKeys {
    static let name = Key("as", .variable, "A name for later steps: expect: {fault: NAME, hits: N} and fault: {end: NAME}.")
    static let end = Key("end", .text, "The name of a fault that ends now.")

    static let shape = ObjectShape(what: "a fault", keys: FaultKeys.shape.keys + [name.any, end.any])

    /// The rule as the control interface takes it.
    static func rule(_ node: Node) -> JSON {
        .object(node.entries.filter { $0.key != name.name }.map { JSON.Member($0.key, JSON($0.value)) })
    }
}
