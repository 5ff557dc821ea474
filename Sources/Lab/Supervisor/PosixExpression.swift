// POSIX extended regular expressions (IEEE 1003.1, chapter 9), as `ready:` and the steps of scenarios have them.

import Glibc

/// A compiled expression. It is used by one task at a time, and never changed.
final class PosixExpression: @unchecked Sendable {
    private var compiled = regex_t()

    /// nil if it is no such expression.
    init?(_ expression: String) {
        guard regcomp(&compiled, expression, REG_EXTENDED) == 0 else { return nil }
    }

    deinit { regfree(&compiled) }

    func matches(in text: String) -> Bool { regexec(&compiled, text, 0, nil, 0) == 0 }

    /// What the first group of the first match has matched, or the whole match if there is no group; nil without a match.
    func firstMatch(in text: String) -> String? {
        var places = [regmatch_t](repeating: regmatch_t(), count: 2)
        guard regexec(&compiled, text, places.count, &places, 0) == 0 else { return nil }
        let place = compiled.re_nsub > 0 ? places[1] : places[0]
        // A group that took no part.
        guard place.rm_so >= 0 else { return "" }
        return String(decoding: Array(text.utf8)[Int(place.rm_so)..<Int(place.rm_eo)], as: UTF8.self)
    }
}
