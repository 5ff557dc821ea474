// What devices publish about how a user wants to be served, and what holds when several of them say something.

/// Service settings, each given or left out.
public struct ServiceSettings: Hashable, Sendable {
    private var flags: [SettingsFlag: Bool] = [:]
    /// Automatic where nothing is said.
    public var answerMode: AnswerMode?
    /// Whether a history of conversations is kept, by their type (`session-mode`, `pager-large-mode`).
    public var history: [String: Bool] = [:]

    /// Nothing said: the defaults hold.
    public init() {}

    /// The given value; nil: nothing is said.
    public subscript(given flag: SettingsFlag) -> Bool? {
        get { flags[flag] }
        set { flags[flag] = newValue }
    }

    /// The value that holds, the default if nothing is said.
    public subscript(flag: SettingsFlag) -> Bool { flags[flag] ?? flag.defaultValue }

    /// With every flag and the answer mode given: a document that replaces another must say everything (RFC 3903 §4.4).
    public var complete: ServiceSettings {
        var result = self
        for flag in SettingsFlag.allCases { result[given: flag] = self[flag] }
        result.answerMode = answerMode ?? .automatic
        return result
    }
}

/// How the publications of several devices become the settings that hold.
public enum SettingsComposition: String, Sendable {
    /// Of each setting the value that lets less happen.
    case mostRestrictive
    /// Of each setting the value published last.
    case lastWriterWins

    /// - Parameter publications: in the order in which they were published.
    func effective(of publications: [ServiceSettings]) -> ServiceSettings {
        var result = ServiceSettings()
        for settings in publications {
            for flag in SettingsFlag.allCases {
                guard let value = settings[given: flag] else { continue }
                if self == .lastWriterWins || result[given: flag] != flag.restrictiveValue { result[given: flag] = value }
            }
            if let mode = settings.answerMode, self == .lastWriterWins || result.answerMode != .manual { result.answerMode = mode }
            for (type, isKept) in settings.history {
                result.history[type] = self == .lastWriterWins ? isKept : isKept && result.history[type] ?? true
            }
        }
        return result
    }
}
