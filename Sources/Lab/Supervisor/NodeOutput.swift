// What the nodes print: to the lab's standard error behind the node's name, and to a file each.

import Glibc

/// Takes the nodes' lines.
struct NodeOutput: ~Copyable {
    private let logFolder: String?
    private var logs: [String: Int32] = [:]
    private let errors: Int32

    struct Failure: Error, CustomStringConvertible { let description: String }

    /// - Parameter logFolder: where the files `NAME.log` go; made if it is missing.
    init(logFolder: String?, errors: Int32 = STDERR_FILENO) throws(Failure) {
        self.errors = errors
        self.logFolder = logFolder
        guard let logFolder, mkdir(logFolder, 0o777) != 0, errno != EEXIST else { return }
        throw Failure(description: "\(logFolder): \(String(cString: strerror(errno)))")
    }

    deinit { for log in logs.values where log >= 0 { close(log) } }

    mutating func print(_ line: [UInt8], of node: String) {
        writeAll(Array("\(node) | ".utf8) + line + [0x0a], to: errors)
        if let log = log(of: node) { writeAll(line + [0x0a], to: log) }
    }

    private mutating func log(of node: String) -> Int32? {
        guard let logFolder else { return nil }
        if let log = logs[node] { return log >= 0 ? log : nil }
        let path = "\(logFolder)/\(node).log"
        let log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        logs[node] = log
        if log < 0 { writeAll("sipcore: \(path): \(String(cString: strerror(errno)))\n", to: errors) }
        return log >= 0 ? log : nil
    }
}

/// Cuts output into lines, without their ends.
struct LineSplitter {
    private var pending: [UInt8] = []
    /// A longer line is cut.
    static let longestLine = 1 << 20

    mutating func append(_ bytes: [UInt8]) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        var rest = bytes[...]
        while let end = rest.firstIndex(of: 0x0a) {
            pending += rest[..<end]
            if pending.last == 0x0d { pending.removeLast() }
            lines.append(pending)
            pending = []
            rest = rest[(end + 1)...]
        }
        pending += rest
        if pending.count > LineSplitter.longestLine { lines.append(flush()) }
        return lines
    }

    /// The line that has no end yet.
    mutating func flush() -> [UInt8] {
        defer { pending = [] }
        return pending
    }
}
