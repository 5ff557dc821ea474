// Where a lab's words go: to the standard streams as they come, or into a group that is printed when its turn has come.

import Glibc
import Synchronization

/// The outputs of a lab.
struct LabConsole: Sendable {
    /// Takes lines of the lab for standard output.
    let print: @Sendable (String) -> Void
    /// Takes what the nodes print, and complaints, for standard error.
    let write: @Sendable ([UInt8]) -> Void

    static let standard = LabConsole(print: { writeAll($0 + "\n", to: STDOUT_FILENO) }, write: { writeAll($0, to: STDERR_FILENO) })

    func complain(_ text: String) { write(Array("sipcore: \(text)\n".utf8)) }
}

/// The words of one of several labs that live side by side.
final class GroupedOutput: Sendable {
    private let pieces = Mutex<[(stream: Int32, bytes: [UInt8])]>([])

    var console: LabConsole {
        LabConsole(
            print: { text in self.pieces.withLock { $0.append((STDOUT_FILENO, Array("\(text)\n".utf8))) } },
            write: { bytes in self.pieces.withLock { $0.append((STDERR_FILENO, bytes)) } })
    }

    /// Hands over what there is, in its order.
    func flush(to write: ([UInt8], Int32) -> Void = { writeAll($0, to: $1) }) {
        let taken = pieces.withLock { all in
            defer { all = [] }
            return all
        }
        for piece in taken { write(piece.bytes, piece.stream) }
    }
}
