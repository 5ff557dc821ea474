// Processes that a test starts: what they print goes to files, so that nobody waits for a reader.

import Foundation
import Glibc
import Synchronization
import Testing

/// A process; it is killed when nobody holds it any more.
final class Child: Sendable {
    let pid: pid_t
    private let name: String
    private let folder: TemporaryFolder
    private let status = Mutex<Int32?>(nil)

    /// Starts a program in a folder, which keeps what it prints as `NAME.out` and `NAME.err`.
    init(_ command: [String], named name: String, in folder: TemporaryFolder) throws {
        self.name = name
        self.folder = folder
        // The C library's own way into a folder is not visible from Swift.
        let arguments = ["/usr/bin/env", "--chdir=\(folder.path)"] + command
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        let writing = O_WRONLY | O_CREAT | O_TRUNC
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "\(folder.path)/\(name).out", writing, 0o644)
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "\(folder.path)/\(name).err", writing, 0o644)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // However the tests were started, the child takes signals as one started in a terminal does.
        var (all, none) = (sigset_t(), sigset_t())
        sigfillset(&all)
        sigemptyset(&none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        defer { words.forEach { free($0) } }
        var pid: pid_t = 0
        let fault = posix_spawn(&pid, arguments[0], &actions, &attributes, &words, environ)
        guard fault == 0 else { throw Failure("cannot start \(arguments[0]): \(String(cString: strerror(fault)))") }
        self.pid = pid
    }

    deinit {
        guard status.withLock({ $0 }) == nil else { return }
        kill(pid, SIGKILL)
        waitpid(pid, nil, 0)
    }

    var output: String { folder.read("\(name).out") ?? "" }
    var errors: String { folder.read("\(name).err") ?? "" }
    var errorLines: [Substring] { errors.split(separator: "\n") }

    /// Sends a signal, unless the process has ended.
    func signal(_ number: Int32) {
        status.withLock { if $0 == nil { _ = kill(pid, number) } }
    }

    /// Nil while it runs; 128 and the signal's number if a signal ended it.
    var exitStatus: Int32? {
        status.withLock { status in
            if status != nil { return status }
            var word: Int32 = 0
            guard waitpid(pid, &word, WNOHANG) == pid else { return nil }
            let signal = word & 0x7f
            status = signal == 0 ? (word >> 8) & 0xff : 128 + signal
            return status
        }
    }

    /// Waits for its end.
    func end() async throws -> Int32 {
        guard await eventually({ exitStatus != nil }), let status = exitStatus else {
            throw Failure("\(name) did not end; it printed:\n\(output)\n\(errors)")
        }
        return status
    }

    /// Waits for the line by which a role says that it serves.
    func ready() async throws -> ReadyLine {
        var line: ReadyLine?
        _ = await eventually {
            line = ReadyLine(in: output)
            return line != nil || exitStatus != nil
        }
        guard let line = line ?? ReadyLine(in: output) else {
            throw Failure("\(name) did not get ready (status \(exitStatus.map(String.init) ?? "none")):\n\(output)\n\(errors)")
        }
        return line
    }
}

/// Runs a program to its end.
func run(_ arguments: [String], named name: String, in folder: TemporaryFolder) async throws -> (status: Int32, child: Child) {
    let child = try Child(arguments, named: name, in: folder)
    return (try await child.end(), child)
}

/// `{"event":"ready",...}`
struct ReadyLine: Decodable {
    let event: String
    let role: String
    let pid: pid_t
    let sip: [String]?
    let http: String?
    /// The file of a certificate that was made at start.
    let certificate: String?
    let nodes: [String: Node]?

    struct Node: Decodable {
        let pid: pid_t?
        let role: String?
        let sip: [String]?
        let http: String?
        let certificate: String?
    }

    init?(in output: String) {
        let lines = output.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        guard let line = lines.first(where: { $0.hasPrefix("{\"event\":\"ready\"") }),
            let ready = try? JSONDecoder().decode(ReadyLine.self, from: Data(line.utf8))
        else { return nil }
        self = ready
    }

    /// The port of the first listener of a transport.
    func port(_ transport: String) throws -> UInt16 {
        let address = try #require(sip?.first { $0.hasPrefix(transport + "://") })
        return try #require(address.split(separator: ":").last.flatMap { UInt16($0) })
    }

    var httpPort: UInt16 {
        get throws { try #require(http?.split(separator: ":").last.flatMap { UInt16($0) }) }
    }
}
