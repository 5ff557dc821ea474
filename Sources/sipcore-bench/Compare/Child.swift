// Processes that a comparison starts, and their end: by their number, within a bounded time, whatever happens.

import CProcess
import Foundation
import LoadDriver

/// What ends a comparison early.
struct BenchFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A process, with what it prints in files.
final class Child {
    let process: ServerProcess
    let outputPath: String
    private let errorPath: String
    private var status: Int32?

    /// - Parameters:
    ///   - command: the program, found by PATH, and its arguments.
    ///   - name: of the two files.
    init(_ command: [String], named name: String, in folder: String) throws {
        outputPath = "\(folder)/\(name).out"
        errorPath = "\(folder)/\(name).err"
        let input = open("/dev/null", O_RDONLY | O_CLOEXEC)
        let output = open(outputPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        let errors = open(errorPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        defer { for descriptor in [input, output, errors] { close(descriptor) } }
        guard input >= 0, output >= 0, errors >= 0 else { throw BenchFailure("cannot write to \(folder)") }
        var words: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
        defer { words.forEach { free($0) } }
        // A group of its own: the terminal's interrupt is ours to pass on, once the figures are safe.
        let flags = CPROCESS_NEW_GROUP | CPROCESS_DIES_WITH_PARENT
        let pid = cprocess_spawn(&words, cprocess_environment(), nil, input, output, errors, flags)
        guard pid > 0 else { throw BenchFailure("cannot start \(command[0]): \(String(cString: strerror(-pid)))") }
        process = ServerProcess(pid: pid)
    }

    deinit { stop() }

    var output: String { (try? String(contentsOfFile: outputPath, encoding: .utf8)) ?? "" }
    var errors: String { (try? String(contentsOfFile: errorPath, encoding: .utf8)) ?? "" }

    /// Nil while it runs; 128 and the signal's number if a signal ended it.
    var exitStatus: Int32? {
        if status != nil { return status }
        var word: Int32 = 0
        guard waitpid(process.pid, &word, WNOHANG) == process.pid else { return nil }
        status = word & 0x7F == 0 ? (word >> 8) & 0xFF : 128 + word & 0x7F
        return status
    }

    /// Asks it to end, and after five seconds ends it and all below it.
    func stop() {
        guard exitStatus == nil else { return }
        let tree = process.tree
        kill(process.pid, SIGTERM)
        for _ in 0..<500 where exitStatus == nil { usleep(10_000) }
        for pid in tree.dropFirst() where ServerProcess(pid: pid).exists { kill(pid, SIGKILL) }
        guard exitStatus == nil else { return }
        kill(process.pid, SIGKILL)
        waitpid(process.pid, nil, 0)
        status = 128 + SIGKILL
    }

    /// Waits for its end.
    func end(within seconds: Int) throws -> Int32 {
        let limit = Date().addingTimeInterval(Double(seconds))
        while Date() < limit {
            if let exitStatus { return exitStatus }
            try Interruption.check()
            usleep(5000)
        }
        stop()
        throw BenchFailure("a process did not end within \(seconds) s")
    }
}

/// SIGINT and SIGTERM, looked for where a comparison waits.
enum Interruption {
    /// The end of a pipe that each of them writes a byte to; -1: they cannot be watched for.
    private static let reading: Int32 = {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return -1 }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        return cprocess_forward_signals([SIGINT, SIGTERM], 2, ends[1]) == 0 ? ends[0] : -1
    }()

    static func watch() throws {
        guard reading >= 0 else { throw BenchFailure("cannot watch for signals") }
    }

    static func check() throws {
        var number: UInt8 = 0
        if read(reading, &number, 1) == 1 { throw BenchFailure("interrupted") }
    }

    static func sleep(until date: Date) throws {
        while date.timeIntervalSinceNow > 0 {
            try check()
            usleep(UInt32(min(50_000, max(1000, date.timeIntervalSinceNow * 1_000_000))))
        }
    }
}
