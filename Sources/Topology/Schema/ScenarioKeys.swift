// The table of keys of scenarios: a list of steps, each of which is one thing to do or to await.

import JSONText

enum ScenarioKeys {
    static let step = Codec<Node>.either(text: Codec.words([("reset", true)]), map: StepKeys.shape)
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
    static let wait = Key("wait", .milliseconds(0...3_600_000), "Real time that passes, such as 200ms.")
    static let advance = Key("advance", .milliseconds(1...315_360_000_000), "How far a virtual clock is moved, such as 7d.")
    static let fault = Key(
        "fault", .either(text: Codec.words([("reset", true)]), map: FaultStepKeys.shape),
        "What is to befall messages from now to the end of the scenario; reset: no rule is left.")
    static let reset = Key("reset", .onlyTrue, "Registrations, messages and faults are forgotten.")
    static let http = Key("http", .object(HTTPKeys.shape), "An HTTP request, and what its answer has to be.")
    static let run = Key(
        "run", .either(list: Codec<[String]>.list(.text, atLeast: 1).shape, map: RunKeys.shape),
        "A command of yours, run in the topology's folder.")
    static let set = Key("set", .names("variable", .variable, .text), "Variables, for ${var.NAME} in later steps.")
    static let mayFail = Key("may_fail", .bool, "The verb may be refused.")
    static let verb = Codec<String>.text

    /// The words that begin a step of their own. No client may be called so.
    static let actions = [
        expect.any, stop.any, start.any, wait.any, advance.any, fault.any, reset.any, http.any, run.any, set.any,
    ]
    static let shape: ObjectShape = {
        guard case .scalar(let name) = Codec<String>.text.shape else { preconditionFailure("a name is a scalar") }
        return ObjectShape(what: "a step", keys: actions + [mayFail.any], others: .init(what: "client", name: name, shape: verb.shape))
    }()
}

// MARK: What has to be

/// What a value has to be: itself, or one of these.
enum RuleKeys {
    static let pattern = Key("pattern", .expression, "An expression that is found in it.")
    static let absent = Key("absent", .onlyTrue, "It is not there.")
    static let present = Key("present", .onlyTrue, "It is there.")

    static let keys = [pattern.any, absent.any, present.any]
    static let shape = ObjectShape(what: "a rule", keys: keys)
    static let rule = Codec<Node>.either(text: Codec<String>.text, map: shape)
    /// Several, each of which one of the values keeps.
    static let rules = Codec<Node>.either(text: Codec<String>.text, list: Shape.list(rule.shape, atLeast: 1), map: shape)
    static let paths = Codec<Node>.names("path", .text, rule)
}

enum BodyKeys {
    static let xml = Key("xml", RuleKeys.paths, "What elements and attributes are, by paths such as presence/tuple/@id.")
    static let json = Key("json", RuleKeys.paths, "What values are, by paths such as $.contacts[0].uri.")

    static let shape = ObjectShape(what: "a body", keys: RuleKeys.keys + [xml.any, json.any])
    static let body = Codec<Node>.either(text: Codec<String>.text, map: shape)
}

enum CountKeys {
    static let min = Key("min", .integer(0...1_000_000), "The least.")
    static let max = Key("max", .integer(0...1_000_000), "The most; the whole time is waited for more.")

    static let shape = ObjectShape(what: "a count", keys: [min.any, max.any])
    static let count = Codec<Node>.either(text: Codec<Int>.integer(0...1_000_000), map: shape)
}

enum CaptureKeys {
    static let header = Key("header", .token("header", "Call-ID"), "A header; its first value is taken.")
    static let xml = Key("xml", .text, "A path to an element or attribute of the body.")
    static let json = Key("json", .text, "A path to a value of the body.")
    static let body = Key("body", .onlyTrue, "The whole body.")
    static let pattern = Key("pattern", .expression, "Of that only what this matches; with a group, what the first one does.")

    static let shape = ObjectShape(what: "a capture", keys: [header.any, xml.any, json.any, body.any, pattern.any])

    /// - Parameter text: what a text says alone.
    static func captures(_ text: Codec<String>) -> Codec<Node> { .names("variable", .variable, .either(text: text, map: shape)) }
}

enum ExpectKeys {
    static let at = Key("at", .text, "The node at which the message is awaited.")
    static let request = Key("request", .method, "A request with this method.")
    static let response = Key("response", .integer(100...699), "A response with this status.")
    static let to = Key("to", .method, "The method that the response answers.")
    static let headers = Key(
        "headers", .names("header", .token("header", "Accept-Contact"), RuleKeys.rules), "Headers, and what a value of each is.")
    static let body = Key("body", BodyKeys.body, "The body.")
    static let within = Key("within", .milliseconds(0...3_600_000), "How long it is waited for; 2s unless given.")
    static let stored = Key("stored", .integer(0...1_000_000), "The number of off-line messages that the built-in IM Server holds.")
    static let inOrder = Key("in_order", .bool, "The message comes after those of the expectations before.")
    static let count = Key("count", CountKeys.count, "How many such messages come; left out: one, and more do not matter.")
    static let never = Key("never", .onlyTrue, "No such message comes, beside those of the expectations before.")
    static let capture = Key(
        "capture", CaptureKeys.captures(.token("header", "Call-ID")), "Variables that get their values from the message.")
    static let fault = Key("fault", .text, "The name of a fault whose hits are counted.")
    static let hits = Key("hits", CountKeys.count, "How many messages the fault has befallen.")

    static let shape = ObjectShape(
        what: "expect",
        keys: [
            at.any, request.any, response.any, to.any, headers.any, body.any, within.any, stored.any, inOrder.any, count.any, never.any,
            capture.any, fault.any, hits.any,
        ])
}

// MARK: What is done

enum HTTPKeys {
    static let method = Key("method", .token("method", "POST"), "GET unless given, or POST with a body.")
    static let url = Key("url", .text, required: true, "Where the request goes, such as ${core.http}/api/registrations.")
    static let headers = Key("headers", .names("header", .token("header", "Accept"), .text), "Headers of the request.")
    static let json = Key("json", .anything, "The body, sent as JSON.")
    static let body = Key("body", .text, "The body as it is.")
    static let status = Key("status", .integer(100...599), "The status of the answer; left out: any from 200 to 299.")
    static let expect = Key("expect", BodyKeys.body, "What the body of the answer is.")
    static let capture = Key(
        "capture", CaptureKeys.captures(.text), "Variables that get their values from the answer, by paths such as $.id.")
    static let timeout = Key("timeout", .milliseconds(1...3_600_000), "How long the answer is waited for; 5s unless given.")

    static let shape = ObjectShape(
        what: "http",
        keys: [
            method.any, url.any, headers.any, json.any, body.any, status.any, expect.any, capture.any, timeout.any,
        ])
}

enum RunKeys {
    static let command = Key("command", .list(.text, atLeast: 1), required: true, "The program and its arguments.")
    static let status = Key("status", .integer(0...255), "The exit status; left out: 0.")
    static let output = Key("output", RuleKeys.rule, "What it prints on standard output.")
    static let capture = Key(
        "capture", CaptureKeys.captures(.expression), "Variables that get their values from standard output, by expressions.")
    static let timeout = Key("timeout", .milliseconds(1...3_600_000), "How long it may take, 10s unless given; then it is killed.")

    static let shape = ObjectShape(
        what: "run", keys: [command.any, LaunchKeys.environment.any, status.any, output.any, capture.any, timeout.any])
}

extension Codec where Value == String {
    /// The name of a scenario's variable.
    static var variable: Codec {
        pattern("^[A-Za-z_][A-Za-z0-9_]*$") { text in
            let isRight = text.utf8.allSatisfy { HostText.isLetterOrDigit($0) || $0 == UInt8(ascii: "_") }
            guard isRight, let first = text.utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9") ~= first) else {
                return "'\(text)' is no name of a variable; write letters, digits and '_', no digit first"
            }
            return nil
        }
    }
}
