// POSIX extended regular expressions (IEEE 1003.1, chapter 9), as the topology's `ready:` has them.

import Glibc

/// A compiled expression. It is used by one task at a time, and never changed.
final class PosixExpression: @unchecked Sendable {
    private var compiled = regex_t()

    /// nil if it is no such expression.
    init?(_ expression: String) {
        guard regcomp(&compiled, expression, REG_EXTENDED | REG_NOSUB) == 0 else { return nil }
    }

    deinit { regfree(&compiled) }

    func matches(in text: String) -> Bool { regexec(&compiled, text, 0, nil, 0) == 0 }
}
