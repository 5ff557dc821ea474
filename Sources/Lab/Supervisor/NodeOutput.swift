// What the nodes print: to the lab's standard error behind the node's name, and to a file each.

import Glibc

/// Takes the nodes' lines.
struct NodeOutput: ~Copyable {
    private let logFolder: String?
    private var logs: [String: Int32] = [:]
    private let write: @Sendable ([UInt8]) -> Void
    private let keptLines: Int
    private var kept: [String: [String]] = [:]

    struct Failure: Error, CustomStringConvertible { let description: String }

    /// - Parameters:
    ///   - logFolder: where the files `NAME.log` go; made if it is missing, with the folders above it.
    ///   - keptLines: how many of the last lines of each node are kept for a report.
    ///   - write: takes the lines behind the node's name.
    init(
        logFolder: String?, keptLines: Int = 0, write: @escaping @Sendable ([UInt8]) -> Void = { writeAll($0, to: STDERR_FILENO) }
    ) throws(Failure) {
        self.write = write
        self.logFolder = logFolder
        self.keptLines = keptLines
        guard let logFolder, let reason = makeFolders(logFolder) else { return }
        throw Failure(description: "\(logFolder): \(reason)")
    }

    deinit { for log in logs.values where log >= 0 { close(log) } }

    mutating func print(_ line: [UInt8], of node: String) {
        write(Array("\(node) | ".utf8) + line + [0x0a])
        keep(line, of: node)
        if let log = log(of: node) { writeAll(line + [0x0a], to: log) }
    }

    /// The last lines of a node.
    func lines(of node: String) -> [String] { kept[node] ?? [] }

    private mutating func keep(_ line: [UInt8], of node: String) {
        guard keptLines > 0 else { return }
        kept[node, default: []].append(String(decoding: line, as: UTF8.self))
        // Not one by one, which would move all the others each time.
        if let count = kept[node]?.count, count >= 2 * keptLines { kept[node]?.removeFirst(count - keptLines) }
    }

    private mutating func log(of node: String) -> Int32? {
        guard let logFolder else { return nil }
        if let log = logs[node] { return log >= 0 ? log : nil }
        let path = "\(logFolder)/\(node).log"
        let log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        logs[node] = log
        if log < 0 { write(Array("sipcore: \(path): \(String(cString: strerror(errno)))\n".utf8)) }
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
