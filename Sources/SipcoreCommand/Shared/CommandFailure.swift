// How a command ends that did not do what was asked: an exit status and one line on standard error.

import Glibc

/// Why a command ends.
struct CommandFailure: Error, Equatable {
    /// 1: what was asked did not hold (an invalid topology, a scenario that failed). 2: wrong usage. 3: it could not start
    /// (a file not readable, a port taken, a database unreadable, a command not found).
    var status: Int32
    /// One line: what is wrong; what would be right. Nil: it has been said already.
    var text: String?
}

/// Says something to the user on standard error.
func complain(_ text: String) { Descriptor.write("sipcore: \(text)\n", to: STDERR_FILENO) }
