// The lines that drive a client, and the events that answer them.

import JSONText

/// A command line for a client: `register`, `publish settings offline-delivery=off`, `message sip:bob@home1.test "hi"`.
struct ClientVerb: Sendable, Equatable {
    let line: String
    private let succeeds: Set<String>
    private let refuses: Set<String>

    /// What an event means for a verb.
    enum Meaning: Equatable { case done, refused, nothing }

    /// - Parameter line: as the client takes it. A verb that is not the built-in client's is done with any event.
    init(_ line: String) {
        self.line = line
        let words = line.split(whereSeparator: \.isWhitespace)
        switch (words.first ?? "", words.dropFirst().first ?? "") {
        case ("register", _): (succeeds, refuses) = (["registered"], ["registration_lost"])
        case ("unregister", _): (succeeds, refuses) = (["unregistered"], [])
        case ("publish", _): (succeeds, refuses) = (["settings_accepted"], ["settings_refused"])
        case ("remove", _): (succeeds, refuses) = (["settings_removed"], ["settings_refused"])
        case ("message", _): (succeeds, refuses) = (["message_delivered", "message_deferred"], ["message_refused"])
        default: (succeeds, refuses) = ([], [])
        }
    }

    /// Ends the client, which is its answer.
    var isQuit: Bool { line.trimmed == "quit" }

    /// The time of `wait SECONDS`, which has no event.
    var waitMilliseconds: Int? {
        let words = line.split(whereSeparator: \.isWhitespace)
        guard words.count == 2, words[0] == "wait", let seconds = Double(words[1]), (0...86_400).contains(seconds) else { return nil }
        return Int(seconds * 1000)
    }

    func meaning(of line: JSON) -> Meaning {
        let event = line["event"]?.text ?? ""
        if event == "error" || refuses.contains(event) { return .refused }
        if succeeds.contains(event) || succeeds.isEmpty { return .done }
        return .nothing
    }

    /// The line with a subscriber's name, where a URI belongs, replaced by the identity.
    func naming(_ identity: (String) -> String?) -> ClientVerb {
        let words = line.split(maxSplits: 2, omittingEmptySubsequences: true, whereSeparator: \.isWhitespace)
        guard words.count >= 2, words[0] == "message", let uri = identity(String(words[1])) else { return self }
        return ClientVerb((["message", uri] + words.dropFirst(2).map(String.init)).joined(separator: " "))
    }
}

extension StringProtocol {
    var trimmed: String {
        var rest = self[...]
        while let first = rest.first, first.isWhitespace { rest = rest.dropFirst() }
        while let last = rest.last, last.isWhitespace { rest = rest.dropLast() }
        return String(rest)
    }
}
