// Scenarios after they were read and checked. In texts of steps `${...}` may stand; it is filled in when the step is reached.

import JSONText

/// A named list of steps.
public struct Scenario: Sendable, Equatable {
    public var name: String
    public var steps: [Step]
    public init(name: String, steps: [Step]) {
        self.name = name
        self.steps = steps
    }
}

/// One step, with the place where it stands and its text, for reports.
public struct Step: Sendable, Equatable {
    public var file: String
    /// From 1, as `column`.
    public var line: Int
    public var column: Int
    public var text: String
    public var action: Action
    public init(file: String, line: Int, column: Int = 1, text: String, action: Action) {
        self.file = file
        self.line = line
        self.column = column
        self.text = text
        self.action = action
    }

    public enum Action: Sendable, Equatable {
        /// A command line for a client, as `im-client` takes it. Where the step names a subscriber as the receiver of a
        /// message, the command has that subscriber's default public identity; one with placeholders is as it was written.
        case verb(client: String, command: String, mayFail: Bool)
        case expect(Expectation)
        case expectHits(HitsExpectation)
        case stop(String)
        case start(String)
        case wait(milliseconds: Int)
        /// Moves the virtual clock by a duration such as `7d`.
        case advance(by: String)
        case fault(FaultStep)
        /// Forgets registrations, messages and faults.
        case reset
        case http(HTTPStep)
        case run(RunStep)
        /// Variables and their values.
        case set([Assignment])
    }

    public struct Assignment: Sendable, Equatable {
        public var name: String
        public var value: String
        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }
}

/// What a value has to be.
public enum TextRule: Sendable, Equatable {
    case value(String)
    /// A POSIX extended regular expression is found in it.
    case matches(String)
    case absent
    case present
}

/// The step `expect` for messages, or for the number of stored ones.
public struct Expectation: Sendable, Equatable {
    /// The node at which the message is awaited.
    public var node: String
    public var request: String?
    public var response: Int?
    /// The method that the awaited response answers (`to:`).
    public var responseTo: String?
    public var headers: [HeaderExpectation] = []
    public var body: BodyExpectation?
    public var withinMilliseconds = 2000
    /// The number of off-line messages that the IM Server holds.
    public var stored: Int?
    public var inOrder = false
    /// How many such messages there have to be. With an upper bound the whole time is waited for more.
    public var count = Count()
    public var capture: [Capture] = []
    public init(node: String) { self.node = node }
}

/// How many there have to be; left as it is: one, and more do not matter.
public struct Count: Sendable, Equatable {
    public var least = 1
    public var most: Int?
    public init(least: Int = 1, most: Int? = nil) {
        self.least = least
        self.most = most
    }
}

public struct HeaderExpectation: Sendable, Equatable {
    public var name: String
    /// Holds if one of the header's values is such.
    public var rule: TextRule
    public init(name: String, rule: TextRule) {
        self.name = name
        self.rule = rule
    }
    public init(name: String, value: String) { self.init(name: name, rule: .value(value)) }
}

/// What a body has to be.
public enum BodyExpectation: Sendable, Equatable {
    case text(TextRule)
    /// Elements by names from the outer to the inner, `presence/tuple/status/basic`; `@name` is an attribute. The first name
    /// may be anywhere in the document; prefixes and namespaces are not looked at.
    case xml([PathRule])
    /// Values by path: `$.registrations[0].public_identity`.
    case json([PathRule])
}

public struct PathRule: Sendable, Equatable {
    public var path: String
    public var rule: TextRule
    public init(path: String, rule: TextRule) {
        self.path = path
        self.rule = rule
    }
}

/// Something that a variable gets its value from.
public struct Capture: Sendable, Equatable {
    public enum Source: Sendable, Equatable {
        /// The first value of a header.
        case header(String)
        case xml(path: String)
        case json(path: String)
        /// The whole body, or all that a command printed.
        case body
    }
    public var name: String
    public var source: Source
    /// A POSIX extended regular expression: its first group is what the variable gets, or else all that it matches.
    public var pattern: String?
    public init(name: String, source: Source, pattern: String? = nil) {
        self.name = name
        self.source = source
        self.pattern = pattern
    }
}

/// The step `expect: {fault: NAME, hits: N}`.
public struct HitsExpectation: Sendable, Equatable {
    public var fault: String
    public var hits: Count
    public var withinMilliseconds = 2000
    public init(fault: String, hits: Count) {
        self.fault = fault
        self.hits = hits
    }
}

/// The step `fault`.
public enum FaultStep: Sendable, Equatable {
    /// A rule as the control interface takes it, in JSON, and the name by which later steps call it.
    case add(rule: String, name: String?)
    case remove(name: String)
    case removeAll
}

/// The step `http`.
public struct HTTPStep: Sendable, Equatable {
    public enum Body: Sendable, Equatable {
        case text(String)
        /// As it is sent; a value that is filled in is escaped.
        case json(String)
    }
    public var method: String
    public var url: String
    public var headers: [Step.Assignment] = []
    public var body: Body?
    /// The status of the answer; nil: any from 200 to 299.
    public var status: Int?
    /// What the body of the answer has to be.
    public var answer: BodyExpectation?
    public var capture: [Capture] = []
    public var timeoutMilliseconds = 5000
    public init(method: String, url: String) {
        self.method = method
        self.url = url
    }
}

/// The step `run`: a command of the user's.
public struct RunStep: Sendable, Equatable {
    public var command: [String]
    public var environment: [String: String] = [:]
    /// The exit status that it has to end with.
    public var status = 0
    /// What it has to print on standard output.
    public var output: TextRule?
    public var capture: [Capture] = []
    public var timeoutMilliseconds = 10_000
    public init(command: [String]) { self.command = command }
}

extension TextRule {
    /// An expression with values that stand for themselves in it.
    public static func escapedForExpression(_ value: String) -> String {
        var escaped = ""
        for character in value {
            if ".[]{}()\\*+?^$|".contains(character) { escaped.append("\\") }
            escaped.append(character)
        }
        return escaped
    }
}

extension HTTPStep {
    /// A value as it stands between the quotes of JSON.
    public static func escapedForJSON(_ value: String) -> String { JSON.escaped(value) }
}
