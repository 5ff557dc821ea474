// The lab's end of the two pipes to its guard.

import CProcess
import Dispatch
import Glibc
import Synchronization

/// The running guard. Commands are queued and never block; events come in the order in which the guard saw them.
final class GuardLink: Sendable {
    /// What the guard tells; ends when the guard has ended.
    let events: AsyncStream<GuardEvent>
    private let pid: pid_t
    private let commands: Int32
    private let writing = DispatchQueue(label: "sipcore.lab.guard.commands")
    private let isClosed = Mutex(false)

    struct StartFailure: Error, CustomStringConvertible {
        let reason: String
        var description: String { "the lab's guard could not start: \(reason)" }
    }

    /// Starts the guard.
    /// - Parameters:
    ///   - command: the program and its arguments: the executable itself, as `lab-guard`.
    ///   - scratch: a folder of files that the guard removes when it ends.
    init(command: [String], scratch: String? = nil) throws(StartFailure) {
        signal(SIGPIPE, SIG_IGN)
        guard let toGuard = Pipe(), let fromGuard = Pipe() else { throw StartFailure(reason: String(cString: strerror(errno))) }
        var environment = ownEnvironment()
        environment[LabGuard.scratchVariable] = scratch
        pid = spawn(
            command, environment: environment, folder: nil, input: toGuard.reading, output: fromGuard.writing,
            errors: STDERR_FILENO, flags: CPROCESS_NEW_SESSION)
        close(toGuard.reading)
        close(fromGuard.writing)
        guard pid > 0 else {
            close(toGuard.writing)
            close(fromGuard.reading)
            throw StartFailure(reason: "\(command.first ?? ""): \(String(cString: strerror(-pid)))")
        }
        commands = toGuard.writing
        let (stream, continuation) = AsyncStream.makeStream(of: GuardEvent.self)
        events = stream
        let reading = fromGuard.reading
        DispatchQueue(label: "sipcore.lab.guard.events").async { GuardLink.read(from: reading, into: continuation) }
    }

    deinit { if !isClosed.withLock({ $0 }) { close(commands) } }

    func send(_ command: GuardCommand) {
        let frame = command.frame
        writing.async { [self] in
            guard !isClosed.withLock({ $0 }) else { return }
            writeAll(frame, to: commands)
        }
    }

    /// Closes the pipe, upon which the guard ends every descendant, and waits until it has and is gone itself.
    func end() async {
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            writing.async { [self] in
                let wasClosed = isClosed.withLock { closed in
                    defer { closed = true }
                    return closed
                }
                if !wasClosed {
                    close(commands)
                    var status: Int32 = 0
                    while waitpid(pid, &status, 0) < 0, errno == EINTR {}
                }
                done.resume()
            }
        }
    }

    private static func read(from descriptor: Int32, into events: AsyncStream<GuardEvent>.Continuation) {
        var splitter = FrameSplitter()
        defer {
            close(descriptor)
            events.finish()
        }
        while let bytes = readSome(descriptor), !bytes.isEmpty {
            splitter.append(bytes)
            do {
                while let payload = try splitter.next() { events.yield(try GuardEvent(payload)) }
            } catch {
                return
            }
        }
    }
}
