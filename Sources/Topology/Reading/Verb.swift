// A command line of a client, as it stands in a scenario: `message bob "see you at nine"`.

/// A verb with its arguments, checked, and with a subscriber's name replaced by the identity.
struct Verb {
    /// As the client takes it.
    private(set) var command: String

    private static let verbs = ["register", "unregister", "publish settings", "remove settings", "message", "wait", "quit"]
    private static let switches = [
        "offline-delivery", "incoming-session-barring", "incoming-personal-alert-barring", "simultaneous-sessions-support", "vis-status",
        "hist-activation",
    ]

    /// - Parameters:
    ///   - receivers: whose names may stand for their identities.
    ///   - isBuiltIn: the client is the built-in one, whose settings are known; a client of the user's may have more.
    init(_ text: String, receivers: [Subscriber], isBuiltIn: Bool) throws(Wrong) {
        command = text
        let words = text.split(separator: " ").map(String.init)
        guard let first = words.first else { throw Wrong("the verb is missing; write one of \(Verb.verbs.joined(separator: ", "))") }
        // What is filled in later is checked then.
        if Placeholders.areIn(text) {
            try Verb.checkName(words)
            return
        }
        let two = words.prefix(2).joined(separator: " ")
        switch first {
        case "register": try Verb.checkOptions(words.dropFirst(), of: first, ["expires"])
        case "unregister", "quit": try Verb.checkOptions(words.dropFirst(), of: first, [])
        case "publish" where two == "publish settings": try Verb.checkSettings(words.dropFirst(2), isBuiltIn: isBuiltIn)
        case "remove" where two == "remove settings": try Verb.checkOptions(words.dropFirst(2), of: two, [])
        case "publish", "remove": throw Wrong("'\(two)' is no verb; write '\(first) settings'")
        case "wait": try Verb.checkWait(words.dropFirst())
        case "message": command = try Verb.message(text, receivers)
        default: throw Verb.unknown(first, two)
        }
    }

    private static func checkName(_ words: [String]) throws(Wrong) {
        let two = words.prefix(2).joined(separator: " ")
        if Placeholders.areIn(words[0]) || verbs.contains(words[0]) || verbs.contains(two) { return }
        throw unknown(words[0], two)
    }

    private static func unknown(_ first: String, _ two: String) -> Wrong {
        let nearest =
            Suggestion.nearest(to: first, among: verbs) ?? Suggestion.nearest(to: two, among: verbs)
            ?? Suggestion.nearest(to: first, among: ["publish", "remove"]).map { "\($0) settings" }
        return Wrong("'\(first)' is no verb; write " + (nearest.map { "'\($0)'" } ?? "one of \(verbs.joined(separator: ", "))"))
    }

    private static func checkOptions(_ words: ArraySlice<String>, of verb: String, _ known: [String]) throws(Wrong) {
        for word in words {
            guard let (name, value) = option(word), known.contains(name) else {
                let advice = known.isEmpty ? "write '\(verb)' alone" : "write '\(verb) \(known.map { "\($0)=N" }.joined(separator: " "))'"
                throw Wrong("'\(word)' is no option of '\(verb)'; \(advice)")
            }
            guard HostText.isDigits(value), let seconds = UInt32(value) else {
                throw Wrong("'\(value)' is no number of seconds; write one such as \(name)=3600")
            }
            if seconds == 0 { throw Wrong("a registration for 0 seconds ends one; write 'unregister'") }
        }
    }

    private static func checkSettings(_ words: ArraySlice<String>, isBuiltIn: Bool) throws(Wrong) {
        for word in words {
            guard let (name, value) = option(word) else { throw Wrong("'\(word)' is no setting; write NAME=on or NAME=off") }
            switch name {
            case "expires":
                guard HostText.isDigits(value), UInt32(value) != nil else {
                    throw Wrong("'\(value)' is no number of seconds; write one such as expires=3600")
                }
            case "answer-mode":
                guard ["automatic", "manual"].contains(value) else {
                    throw Wrong("'\(value)' is no answer mode; write automatic or manual")
                }
            case _ where switches.contains(name):
                guard ["on", "off"].contains(value) else {
                    throw Wrong("'\(value)' is neither on nor off; write \(name)=on or \(name)=off")
                }
            default:
                let names = switches + ["answer-mode", "expires"]
                if isBuiltIn {
                    throw Wrong(
                        "'\(name)' is no setting; \(Suggestion.advice(for: name, among: names, otherwise: "write offline-delivery"))")
                }
            }
        }
    }

    private static func option(_ word: String) -> (name: String, value: String)? {
        guard let equals = word.firstIndex(of: "="), equals != word.startIndex else { return nil }
        return (String(word[..<equals]), String(word[word.index(after: equals)...]))
    }

    private static func checkWait(_ words: ArraySlice<String>) throws(Wrong) {
        guard words.count == 1, let word = words.first else { throw Wrong("'wait' takes one number of seconds; write 'wait 2'") }
        let parts = word.split(separator: ".", omittingEmptySubsequences: false)
        guard 1...2 ~= parts.count, parts.allSatisfy({ HostText.isDigits($0) && $0.count <= 9 }) else {
            throw Wrong("'\(word)' is no number of seconds; write one such as 2 or 0.5")
        }
    }

    /// `message URI "text"`, where a subscriber's name may stand for the default public identity.
    private static func message(_ text: String, _ receivers: [Subscriber]) throws(Wrong) -> String {
        let example = #"message bob "see you at nine""#
        let rest = text.drop { $0 == " " }.dropFirst("message".count).drop { $0 == " " }
        let receiver = String(rest.prefix { $0 != " " && $0 != "\"" })
        let body = rest.dropFirst(receiver.count).drop { $0 == " " }
        guard !receiver.isEmpty else { throw Wrong("the receiver is missing; write \(example)") }
        try checkQuoted(body, example)
        guard receiver.contains(":") else {
            guard let subscriber = receivers.first(where: { $0.name.contains(receiver) }),
                let identity = subscriber.publicIdentities.first(where: { $0.kind == .user })
            else {
                let names = receivers.map { $0.name.name($0.name.range?.lowerBound ?? 0) }
                throw Wrong(
                    "no subscriber is called '\(receiver)'; "
                        + Suggestion.advice(for: receiver, among: names, otherwise: "write a URI such as sip:bob@home1.test"))
            }
            return "message \(identity.uri.filled(with: receiver)) \(body)"
        }
        if let fault = IdentityText.publicFault(receiver) { throw Wrong(fault) }
        return "message \(receiver) \(body)"
    }

    /// A text between double quotes, in which `\` escapes a quote or itself.
    private static func checkQuoted(_ body: Substring, _ example: String) throws(Wrong) {
        var isOpen = false
        var isEscaped = false
        for (offset, character) in body.trimmingTrailingSpaces().enumerated() {
            if offset == 0 {
                guard character == "\"" else { throw Wrong("the text of a message stands in double quotes; write \(example)") }
                isOpen = true
            } else if !isOpen {
                throw Wrong("something follows the text of the message; write \\\" for a quote within it, as nothing may follow")
            } else if isEscaped {
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else if character == "\"" {
                isOpen = false
            }
        }
        if body.isEmpty { throw Wrong("the text of the message is missing; write \(example)") }
        if isOpen { throw Wrong("the text of the message has no end; write a double quote behind it") }
    }
}

extension Topology {
    /// A verb of a step with all placeholders filled in, checked, and as the client takes it.
    /// - Parameter client: a name of `clients`.
    public func command(_ text: String, of client: String) throws(WrongVerb) -> String {
        let isBuiltIn = clients.first { $0.name == client }?.launch == .builtIn("im-client")
        do throws(Wrong) {
            return try Verb(text, receivers: subscribers, isBuiltIn: isBuiltIn).command
        } catch {
            throw WrongVerb(description: error.text)
        }
    }
}

/// What is wrong with a verb; what to write instead.
public struct WrongVerb: Error, Sendable, CustomStringConvertible {
    public let description: String
}

extension Substring {
    fileprivate func trimmingTrailingSpaces() -> Substring {
        self[..<(lastIndex { $0 != " " }.map(index(after:)) ?? startIndex)]
    }
}
