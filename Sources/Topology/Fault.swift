// What a reader of a topology finds wrong, as `sipcore check` prints it.

/// One thing that is wrong with a topology or with a document that it names.
public struct Fault: Sendable, Hashable, CustomStringConvertible {
    public enum Severity: String, Sendable {
        /// Nothing starts from such a file.
        case error
        /// The core starts and leaves out what the warning names.
        case warning
    }

    public var severity: Severity
    /// As it was named on the command line.
    public var file: String
    /// From 1.
    public var line: Int
    /// From 1, in characters: where a wrong key begins, else where the wrong value does.
    public var column: Int
    /// What is wrong; what to write instead.
    public var text: String
    /// The key beside it that is not there and has to be; nil: nothing is missing.
    public var missing: String?

    public init(_ severity: Severity, file: String, line: Int, column: Int, text: String, missing: String? = nil) {
        self.severity = severity
        self.file = file
        self.line = line
        self.column = column
        self.text = text
        self.missing = missing
    }

    /// `FILE:LINE:COLUMN: error: what is wrong; what to write instead`
    public var description: String { "\(file):\(line):\(column): \(severity.rawValue): \(text)" }
}

/// A place in a file, from 1.
struct Position: Sendable, Hashable, Comparable {
    var line: Int
    var column: Int

    static func < (a: Position, b: Position) -> Bool { (a.line, a.column) < (b.line, b.column) }
}
