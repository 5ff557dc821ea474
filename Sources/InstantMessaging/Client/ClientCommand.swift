// The commands of a client, one a line.

public import SansIO

/// What a client is told to do.
public enum ClientCommand: Hashable, Sendable {
    /// - Parameter expires: seconds; nil: as the settings have it.
    case register(expires: UInt32?)
    case unregister
    /// Changes some settings, and publishes all.
    case publishSettings([SettingsChange])
    case removeSettings
    case message(to: String, text: String)
    case wait(TimeSpan)
    /// Unregisters, and ends the client.
    case quit
}

/// One setting's new value.
public enum SettingsChange: Hashable, Sendable {
    case flag(SettingsFlag, Bool)
    case answerMode(AnswerMode)
    /// Whether a history is kept of conversations of a type.
    case history(String, Bool)
}

/// Why a line is no command; what would be right stands in it.
public struct CommandFault: Error, Hashable, Sendable {
    public var text: String
}

/// How a command ended.
public enum CommandOutcome: Hashable, Sendable { case succeeded, failed }

extension ClientCommand {
    /// Reads a line. An empty one, or a comment (`#`), is no command: nil.
    public static func parse(_ line: String) throws(CommandFault) -> ClientCommand? {
        var rest = line[...]
        guard let verb = rest.nextWord(), !verb.hasPrefix("#") else { return nil }
        switch verb {
        case "register": return try register(&rest)
        case "unregister": return try alone(.unregister, verb, rest)
        case "publish":
            try expectSettings(after: verb, &rest)
            return .publishSettings(try changes(&rest))
        case "remove":
            try expectSettings(after: verb, &rest)
            return try alone(.removeSettings, "remove settings", rest)
        case "message": return try message(&rest)
        case "wait": return try wait(&rest)
        case "quit": return try alone(.quit, verb, rest)
        default:
            throw CommandFault(
                text: "'\(verb)' is no command; there are register, unregister, publish settings, remove settings, message, wait, quit")
        }
    }

    private static func alone(_ command: ClientCommand, _ verb: some StringProtocol, _ rest: Substring) throws(CommandFault)
        -> ClientCommand
    {
        var rest = rest
        if let word = rest.nextWord() { throw CommandFault(text: "'\(verb)' takes nothing more, but '\(word)' follows") }
        return command
    }

    private static func expectSettings(after verb: Substring, _ rest: inout Substring) throws(CommandFault) {
        guard rest.nextWord() == "settings" else { throw CommandFault(text: "write '\(verb) settings'") }
    }

    private static func register(_ rest: inout Substring) throws(CommandFault) -> ClientCommand {
        guard let word = rest.nextWord() else { return .register(expires: nil) }
        guard word.hasPrefix("expires="), let expires = UInt32(word.dropFirst("expires=".count)), expires > 0 else {
            throw CommandFault(text: "'\(word)' is not understood; write 'register expires=SECONDS', with seconds over 0")
        }
        return try alone(.register(expires: expires), "register", rest)
    }

    private static func message(_ rest: inout Substring) throws(CommandFault) -> ClientCommand {
        guard let recipient = rest.nextWord(), let text = try text(rest.trimmed) else {
            throw CommandFault(text: "write 'message URI \"text\"'")
        }
        return .message(to: String(recipient), text: text)
    }

    /// A quoted text, in which `\"`, `\\` and `\n` are escapes, or the rest of the line as it stands.
    private static func text(_ rest: Substring) throws(CommandFault) -> String? {
        guard let first = rest.first else { return nil }
        guard first == "\"" else { return String(rest) }
        var text = ""
        var isEscaped = false
        var remainder = rest.dropFirst()
        while let character = remainder.popFirst() {
            if isEscaped {
                text.append(character == "n" ? "\n" : character)
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else if character == "\"" {
                guard remainder.trimmed.isEmpty else { throw CommandFault(text: "something follows the closing quote") }
                return text
            } else {
                text.append(character)
            }
        }
        throw CommandFault(text: "the text has no closing quote")
    }

    private static func wait(_ rest: inout Substring) throws(CommandFault) -> ClientCommand {
        guard let word = rest.nextWord(), let seconds = Double(word), seconds >= 0, seconds <= 86_400 else {
            throw CommandFault(text: "write 'wait SECONDS', from 0 to 86400")
        }
        return try alone(.wait(.milliseconds(Int(seconds * 1000))), "wait", rest)
    }

    private static func changes(_ rest: inout Substring) throws(CommandFault) -> [SettingsChange] {
        var changes: [SettingsChange] = []
        while let word = rest.nextWord() { changes.append(try change(word)) }
        return changes
    }

    private static func change(_ word: Substring) throws(CommandFault) -> SettingsChange {
        let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { throw CommandFault(text: "'\(word)' is no setting; write NAME=VALUE") }
        let name = String(parts[0])
        if name == "answer-mode" {
            guard let mode = AnswerMode(rawValue: String(parts[1])) else {
                throw CommandFault(text: "answer-mode is automatic or manual, not '\(parts[1])'")
            }
            return .answerMode(mode)
        }
        let flag = SettingsFlag(rawValue: name)
        guard flag != nil || name == "history-session-mode" || name == "history-pager-large-mode" else {
            let names = SettingsFlag.allCases.map(\.rawValue) + ["answer-mode", "history-session-mode", "history-pager-large-mode"]
            throw CommandFault(text: "'\(name)' is no setting; there are \(names.joined(separator: ", "))")
        }
        guard parts[1] == "on" || parts[1] == "off" else { throw CommandFault(text: "\(name) is on or off, not '\(parts[1])'") }
        let isOn = parts[1] == "on"
        return flag.map { .flag($0, isOn) } ?? .history(String(name.dropFirst("history-".count)), isOn)
    }
}

extension Substring {
    /// Takes the next word off; nil: none is left.
    fileprivate mutating func nextWord() -> Substring? {
        self = drop { $0.isWhitespace }
        guard !isEmpty else { return nil }
        let word = prefix { !$0.isWhitespace }
        self = self[word.endIndex...]
        return word
    }

    fileprivate var trimmed: Substring {
        var rest = drop { $0.isWhitespace }
        while let last = rest.last, last.isWhitespace { rest = rest.dropLast() }
        return rest
    }
}
