// How a command ends that did not do what was asked: an exit status and one line on standard error.

import Glibc

/// Why a command ends.
struct CommandFailure: Error {
    /// What the exit statuses of this program mean.
    enum Status: Int32 {
        /// What was asked did not hold: an invalid topology, a scenario that failed.
        case didNotHold = 1
        case wrongUsage = 2
        /// A file not readable, a port taken, a database unreadable, a command not found.
        case couldNotStart = 3
    }

    var status: Status
    /// One line: what is wrong; what would be right. Nil: it has been said already.
    var text: String?

    init(_ status: Status, _ text: String?) {
        self.status = status
        self.text = text
    }
}

/// Says something to the user on standard error.
func complain(_ text: String) { Descriptor.write("sipcore: \(text)\n", to: STDERR_FILENO) }
