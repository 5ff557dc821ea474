// The life of a client's process: commands in, and the reason to end.

import Dispatch
import Glibc
import InstantMessaging
import NodeRuntime
import SansIO

/// What a session reacts to.
enum Occurrence: Sendable {
    case commandEnded(CommandOutcome)
    case quit(CommandOutcome)
    case interrupted
    /// A signal was answered with `quit`, and that takes too long.
    case outOfPatience
}

/// Drives a client by its arguments or by standard input.
struct ClientSession: Sendable {
    let shard: Shard<ReportingClient>
    let occur: @Sendable (Occurrence) -> Void

    /// How long an interrupted client tries to unregister.
    private static let patience = Duration.seconds(2)
    private static let longestLine = 1 << 16

    /// Does the commands, or those of standard input if there are none given, until there is a reason to end.
    /// - Returns: whether all that was asked for succeeded.
    func run(_ script: [ClientCommand]?, through occurrences: AsyncStream<Occurrence>) async -> Bool {
        guard let script else { return await followInput(occurrences) }
        for command in script { perform(command) }
        var left = script.count
        var hasSucceeded = true
        if left == 0 { return true }
        for await occurrence in occurrences {
            switch occurrence {
            case .commandEnded(let outcome):
                hasSucceeded = hasSucceeded && outcome == .succeeded
                left -= 1
                if left == 0 { return hasSucceeded }
            case .quit(let outcome): return hasSucceeded && outcome == .succeeded
            // What was not done has not succeeded.
            case .interrupted, .outOfPatience: return false
            }
        }
        return hasSucceeded
    }

    private func followInput(_ occurrences: AsyncStream<Occurrence>) async -> Bool {
        DispatchQueue(label: "sipcore.input").async { readInput() }
        var isInterrupted = false
        for await occurrence in occurrences {
            switch occurrence {
            case .commandEnded: continue
            case .quit(let outcome): return isInterrupted || outcome == .succeeded
            case .outOfPatience: return true
            case .interrupted where isInterrupted: return true
            case .interrupted:
                isInterrupted = true
                perform(.quit)
                Task {
                    try? await Task.sleep(for: ClientSession.patience)
                    occur(.outOfPatience)
                }
            }
        }
        return true
    }

    private func perform(_ command: ClientCommand) {
        shard.postAtRest { client, now, effects in client.perform(command, at: now, into: &effects) }
    }

    // MARK: Standard input

    /// Does what each line says; the end is `quit`.
    private func readInput() {
        var pending: [UInt8] = []
        // What cannot be read is at its end.
        while let piece = try? Descriptor.some(from: STDIN_FILENO), !piece.isEmpty {
            pending += piece
            while let end = pending.firstIndex(of: 0x0a) {
                perform(line: pending[..<end])
                pending.removeSubrange(...end)
            }
            if pending.count > ClientSession.longestLine {
                tell("the line is longer than \(ClientSession.longestLine) octets")
                break
            }
        }
        perform(line: pending[...])
        perform(.quit)
    }

    private func perform(line: ArraySlice<UInt8>) {
        do throws(CommandFault) {
            if let command = try ClientCommand.parse(String(decoding: line, as: UTF8.self)) { perform(command) }
        } catch {
            tell(error.text)
        }
    }

    /// Prints an error between two events: on the thread that prints those.
    private func tell(_ text: String) {
        shard.post { _, now, _ in
            Descriptor.write(ClientEvent(.error(text: text), at: now.wall).jsonLine + "\n", to: STDOUT_FILENO)
        }
    }
}
