// How a scenario went, and all that is to be said of a failure.

import SIPLadder

struct ScenarioResult: Sendable, Equatable {
    var name: String
    /// Seconds.
    var time: Double
    /// The failed step and all that was said of it; nil if it passed.
    var failure: Failure?

    struct Failure: Sendable, Equatable {
        /// Where it stands, and its text.
        var step: String
        /// As it is printed.
        var report: String
        var details: FailureDetails?
    }
}

/// What reports in other forms are made of.
struct FailureDetails: Sendable, Equatable {
    var file: String
    var line: Int
    var column: Int
    var awaited: String
    var cameInstead: [String]
    var nearest: NearestMessage?
    /// The messages around the step, oldest first, and what is drawn of each.
    var messages: [RecordedMessage] = []
    var arrows: [LadderEvent] = []
    /// The order of the ladder's columns.
    var columns: [String] = []
    /// What the nodes printed last.
    var logs: [NodeLog] = []

    struct NodeLog: Sendable, Equatable {
        var node: String
        var lines: [String]
    }
}
