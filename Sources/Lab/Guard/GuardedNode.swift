// A node as its guard sees it: a process, its three pipes, and how far its end has come.

import CProcess
import Glibc

struct GuardedNode {
    let pid: pid_t
    /// The writing end of the process's standard input.
    private(set) var input: Int32?
    private var standardOutput: Int32?
    private var errorOutput: Int32?
    private(set) var pendingInput: [UInt8] = []
    /// When what is left of the node gets SIGKILL.
    var killAt: Int64?
    /// Set when the process has ended.
    var cause: EndCause?
    /// Whether those that the ended process left behind were asked to end.
    var leftBehindAsked = false

    /// More than this waiting for a process that does not read its input is thrown away.
    static let longestPendingInput = 1 << 20
    /// Marks all that a node starts, however far it moves away from it.
    static let mark = "SIPCORE_LAB_NODE"

    struct StartFailure: Error { let code: Int32 }

    static func start(_ spec: ProcessSpec) -> Result<GuardedNode, StartFailure> {
        guard let input = Pipe() else { return .failure(StartFailure(code: errno)) }
        defer { close(input.reading) }
        guard let output = Pipe() else {
            let code = errno
            close(input.writing)
            return .failure(StartFailure(code: code))
        }
        defer { close(output.writing) }
        guard let errors = Pipe() else {
            let code = errno
            close(input.writing)
            close(output.reading)
            return .failure(StartFailure(code: code))
        }
        defer { close(errors.writing) }
        var environment = ownEnvironment()
        environment.merge(spec.environment) { _, given in given }
        environment[mark] = spec.node
        environment[LabGuard.scratchVariable] = nil
        let pid = spawn(
            spec.arguments, environment: environment, folder: spec.folder, input: input.reading, output: output.writing,
            errors: errors.writing, flags: CPROCESS_NEW_GROUP | CPROCESS_DIES_WITH_PARENT)
        guard pid > 0 else {
            for descriptor in [input.writing, output.reading, errors.reading] { close(descriptor) }
            return .failure(StartFailure(code: -pid))
        }
        for descriptor in [input.writing, output.reading, errors.reading] { setNonBlocking(descriptor) }
        var node = GuardedNode(pid: pid, input: input.writing, standardOutput: output.reading, errorOutput: errors.reading)
        if !spec.takesInput { node.closeInput() }
        return .success(node)
    }

    private init(pid: pid_t, input: Int32, standardOutput: Int32, errorOutput: Int32) {
        self.pid = pid
        self.input = input
        self.standardOutput = standardOutput
        self.errorOutput = errorOutput
    }

    func output(_ stream: OutputStream) -> Int32? {
        switch stream {
        case .standard: standardOutput
        case .error: errorOutput
        }
    }

    mutating func closeOutput(_ stream: OutputStream) {
        if let descriptor = output(stream) { close(descriptor) }
        switch stream {
        case .standard: standardOutput = nil
        case .error: errorOutput = nil
        }
    }

    mutating func closePipes() {
        closeOutput(.standard)
        closeOutput(.error)
        closeInput()
    }

    private mutating func closeInput() {
        if let input { close(input) }
        input = nil
        pendingInput = []
    }

    mutating func send(_ bytes: [UInt8]) {
        guard input != nil, pendingInput.count + bytes.count <= GuardedNode.longestPendingInput else { return }
        pendingInput += bytes
        writePendingInput()
    }

    mutating func writePendingInput() {
        guard let input, !pendingInput.isEmpty else { return }
        let count = write(input, pendingInput, pendingInput.count)
        if count > 0 {
            pendingInput.removeFirst(count)
        } else if count < 0, errno != EAGAIN, errno != EINTR {
            closeInput()
        }
    }
}
