// The table of keys of scenarios: a list of steps; a step is a verb of a client, an expectation, or a node to start or stop.

enum ScenarioKeys {
    static let step = Codec<Node>.object(StepKeys.shape)
    static let steps = Codec<[Node]>.list(step, atLeast: 1)
    static let scenarios = Codec<Node>.names(
        "scenario", .pattern { $0.isEmpty ? "a scenario has no name; write one that says what it shows" : nil }, steps)
    /// A file of its own may hold `scenarios:` and no more.
    static let fileShape = ObjectShape(what: "a file of scenarios", keys: [RootKeys.scenarios.any])
}

enum StepKeys {
    static let expect = Key("expect", .object(ExpectKeys.shape), "A message that is awaited.")
    static let stop = Key("stop", .text, "A node whose process is ended.")
    static let start = Key("start", .text, "A node whose process is started.")
    static let mayFail = Key("may_fail", .bool, "The verb may be refused.")
    static let verb = Codec<String>.text

    static let known = [expect.any, stop.any, start.any, mayFail.any]
    static let shape: ObjectShape = {
        guard case .scalar(let name) = Codec<String>.text.shape else { preconditionFailure("a name is a scalar") }
        return ObjectShape(what: "a step", keys: known, others: .init(what: "client", name: name, shape: verb.shape))
    }()
}

enum ExpectKeys {
    static let at = Key("at", .text, required: true, "The node at which the message is awaited.")
    static let request = Key("request", .method, "A request with this method.")
    static let response = Key("response", .integer(100...699), "A response with this status.")
    static let to = Key("to", .method, "The method that the response answers.")
    static let headers = Key(
        "headers", .names("header", .token("header", "Accept-Contact"), .oneOrMore(.text)), "Headers and values that are there.")
    static let body = Key("body", .text, "The body.")
    static let within = Key("within", .milliseconds(0...3_600_000), "How long it is waited for; 2s unless given.")
    static let stored = Key("stored", .integer(0...1_000_000), "The number of off-line messages that the built-in IM Server holds.")
    static let inOrder = Key("in_order", .bool, "The message comes after those of the expectations before.")

    static let shape = ObjectShape(
        what: "expect",
        keys: [at.any, request.any, response.any, to.any, headers.any, body.any, within.any, stored.any, inOrder.any])
}
