// The guard of a lab: a process of its own, in a session of its own, that starts every node and outlives the lab by
// just as long as it takes to end them. Whatever befalls the lab, SIGKILL too, closes the pipe between the two; the
// guard reads that, and ends all that descends from it. Orphans come to it (it is their subreaper), so neither a
// double fork nor a session of their own takes them away.
//
// One thread, one `poll`. Standard input has the lab's commands, standard output takes the events.

import CProcess
import Glibc

/// The hidden role that `sipcore lab` starts first.
public enum LabGuard {
    /// The subcommand by which the executable becomes a guard.
    public static let subcommand = "lab-guard"

    /// Names the folder that goes with the lab, however the lab ends.
    static let scratchVariable = "SIPCORE_LAB_SCRATCH"

    /// Serves until the lab's pipe closes or a signal asks for the end, and returns when no descendant is left.
    /// - Returns: the exit status: 0, or 3 when it could not become a guard.
    public static func run() -> Int32 {
        guard var loop = GuardLoop() else {
            writeAll("sipcore: the lab's guard could not start: \(String(cString: strerror(errno)))\n", to: STDERR_FILENO)
            return 3
        }
        loop.serve()
        if let scratch = ownEnvironment()[scratchVariable], !scratch.isEmpty { removeFolder(scratch) }
        return 0
    }
}

private struct GuardLoop {
    /// How long everything may take to end by itself once the lab is gone, before SIGKILL.
    static let lastGraceMilliseconds: Int64 = 1000
    /// Past this a descendant is not ours to end (another user's, or stuck in the kernel).
    static let patienceMilliseconds: Int64 = 10_000

    private var nodes: [String: GuardedNode] = [:]
    private var commands = FrameSplitter()
    private let signals: Pipe
    /// False once the lab's pipe has closed.
    private var labListens = true
    private var endingSince: Int64?

    init?() {
        signal(SIGPIPE, SIG_IGN)
        guard let pipe = Pipe(), cprocess_adopt_orphans() == 0 else { return nil }
        signals = pipe
        setNonBlocking(pipe.reading)
        setNonBlocking(pipe.writing)
        let numbers = [SIGCHLD, SIGTERM, SIGINT, SIGHUP]
        guard cprocess_forward_signals(numbers, Int32(numbers.count), pipe.writing) == 0 else { return nil }
    }

    mutating func serve() {
        while true {
            waitForSomething()
            reap()
            settleEndedNodes()
            guard let since = endingSince else { continue }
            let elapsed = monotonicMilliseconds() - since
            if elapsed >= GuardLoop.lastGraceMilliseconds {
                for pid in ProcessTree.snapshot().descendants(of: getpid()) { kill(pid, SIGKILL) }
            }
            if !hasChildren() || elapsed >= GuardLoop.patienceMilliseconds { return }
        }
    }

    // MARK: Waiting

    private mutating func waitForSomething() {
        var polled = [pollfd(fd: signals.reading, events: Int16(POLLIN), revents: 0)]
        var sources: [(node: String, stream: OutputStream?)] = []
        if labListens && endingSince == nil { polled.append(pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)) }
        let fixed = polled.count
        for (name, node) in nodes {
            for stream in [OutputStream.standard, .error] {
                guard let descriptor = node.output(stream) else { continue }
                polled.append(pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0))
                sources.append((name, stream))
            }
            if let input = node.input, !node.pendingInput.isEmpty {
                polled.append(pollfd(fd: input, events: Int16(POLLOUT), revents: 0))
                sources.append((name, nil))
            }
        }
        guard poll(&polled, nfds_t(polled.count), timeoutMilliseconds) > 0 else { return }
        if polled[0].revents != 0 { signalsArrived() }
        if fixed == 2, polled[1].revents != 0 { commandsArrived() }
        for (entry, source) in zip(polled[fixed...], sources) where entry.revents != 0 {
            if let stream = source.stream {
                forwardOutput(of: source.node, stream)
            } else {
                nodes[source.node]?.writePendingInput()
            }
        }
    }

    /// Members that a node left behind give no signal when they end, so they are looked at again soon.
    private var timeoutMilliseconds: Int32 {
        if endingSince != nil || nodes.values.contains(where: { $0.cause != nil }) { return 10 }
        guard let first = nodes.values.compactMap(\.killAt).min() else { return -1 }
        return Int32(clamping: max(first - monotonicMilliseconds(), 0) + 1)
    }

    private mutating func signalsArrived() {
        while let number = readSome(signals.reading, limit: 64), !number.isEmpty {
            if number.contains(where: { $0 != UInt8(SIGCHLD) }) { end() }
        }
    }

    // MARK: Commands

    private mutating func commandsArrived() {
        guard let bytes = readSome(STDIN_FILENO), !bytes.isEmpty else {
            labListens = false
            end()
            return
        }
        commands.append(bytes)
        do {
            while let payload = try commands.next() { obey(try GuardCommand(payload)) }
        } catch {
            end()
        }
    }

    private mutating func obey(_ command: GuardCommand) {
        switch command {
        case .start(let spec): start(spec)
        case .stop(let name, let grace):
            nodes[name]?.killAt = monotonicMilliseconds() + Int64(grace)
            guard let node = nodes[name], node.cause == nil else { return }
            kill(-node.pid, SIGTERM)
        case .write(let name, let bytes): nodes[name]?.send(bytes)
        }
    }

    private mutating func start(_ spec: ProcessSpec) {
        guard nodes[spec.node] == nil, endingSince == nil else {
            return tell(.startFailed(node: spec.node, code: EEXIST))
        }
        switch GuardedNode.start(spec) {
        case .success(let node):
            nodes[spec.node] = node
            tell(.started(node: spec.node, pid: node.pid))
        case .failure(let failure):
            tell(.startFailed(node: spec.node, code: failure.code))
        }
    }

    /// Asks every descendant to end; `serve` goes on until none is left.
    private mutating func end() {
        guard endingSince == nil else { return }
        endingSince = monotonicMilliseconds()
        for pid in ProcessTree.snapshot().descendants(of: getpid()) {
            kill(pid, SIGTERM)
            kill(pid, SIGCONT)
        }
    }

    // MARK: Events

    private mutating func tell(_ event: GuardEvent) {
        guard labListens else { return }
        if !writeAll(event.frame, to: STDOUT_FILENO) {
            labListens = false
            end()
        }
    }

    private mutating func forwardOutput(of name: String, _ stream: OutputStream) {
        guard let descriptor = nodes[name]?.output(stream) else { return }
        // nil: nothing to read now.
        guard let bytes = readSome(descriptor) else { return }
        if bytes.isEmpty {
            nodes[name]?.closeOutput(stream)
        } else {
            tell(.output(node: name, stream: stream, bytes: bytes))
        }
    }

    private mutating func reap() {
        var status: Int32 = 0
        while case let pid = waitpid(-1, &status, WNOHANG), pid > 0 {
            guard let name = nodes.first(where: { $0.value.pid == pid && $0.value.cause == nil })?.key else { continue }
            nodes[name]?.cause = endCause(ofWaitStatus: status)
        }
    }

    /// A node has ended when its process has and nothing that it started is left.
    private mutating func settleEndedNodes() {
        let ended = nodes.filter { $0.value.cause != nil }
        let now = monotonicMilliseconds()
        let overdue = nodes.filter { $0.value.killAt.map { $0 <= now } ?? false }
        guard !ended.isEmpty || !overdue.isEmpty else { return }
        let processes = ProcessTree.snapshot()
        for (name, node) in overdue {
            kill(-node.pid, SIGKILL)
            for pid in processes.members(ofNode: name, leader: node.pid) { kill(pid, SIGKILL) }
        }
        for (name, node) in ended {
            let left = processes.members(ofNode: name, leader: node.pid)
            guard left.isEmpty, let cause = node.cause else {
                askToEnd(left, of: name, at: now)
                continue
            }
            drain(name)
            nodes[name]?.closePipes()
            nodes[name] = nil
            tell(.ended(node: name, cause: cause))
        }
    }

    private mutating func askToEnd(_ left: [pid_t], of name: String, at now: Int64) {
        guard nodes[name]?.leftBehindAsked == false else { return }
        nodes[name]?.leftBehindAsked = true
        if nodes[name]?.killAt == nil { nodes[name]?.killAt = now + GuardLoop.lastGraceMilliseconds }
        for pid in left { kill(pid, SIGTERM) }
    }

    /// What the ended process had written last is still in the pipes.
    private mutating func drain(_ name: String) {
        for stream in [OutputStream.standard, .error] {
            while let descriptor = nodes[name]?.output(stream), let bytes = readSome(descriptor), !bytes.isEmpty {
                tell(.output(node: name, stream: stream, bytes: bytes))
            }
        }
    }

    private func hasChildren() -> Bool {
        var information = siginfo_t()
        return waitid(P_ALL, 0, &information, WEXITED | WNOHANG | WNOWAIT) == 0
    }
}

/// The cause in what `waitpid` reports (wait(2): the low seven bits are the signal, the next byte the status).
func endCause(ofWaitStatus status: Int32) -> EndCause {
    let number = status & 0x7f
    return number == 0 ? .exited((status >> 8) & 0xff) : .signalled(number)
}
