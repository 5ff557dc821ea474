// Regular expressions are POSIX extended (IEEE 1003.1 §9.4). What users bring from other dialects is pointed out with
// the form that POSIX has for it; whether an expression is well formed is asked of the module that matches.

enum ExpressionHints {
    /// Longer expressions are refused, so that a profile cannot make each request expensive.
    static let lengthLimit = 1024

    /// What of another dialect stands in an expression; nil if nothing does.
    static func fault(in expression: String) -> String? {
        if expression.isEmpty { return "the expression is empty and would match everything; write one, or leave the key out" }
        if expression.utf8.count > lengthLimit {
            return "the expression has \(expression.utf8.count) bytes; write at most \(lengthLimit)"
        }
        let characters = Array(expression)
        var index = 0
        var afterQuantifier = false
        while index < characters.count {
            let character = characters[index]
            let next = index + 1 < characters.count ? characters[index + 1] : nil
            switch character {
            case "\\":
                if let next, let fault = escape(next) { return fault }
                index += 2
                afterQuantifier = false
            case "[":
                let end = bracketEnd(in: characters, from: index)
                if let fault = bracket(characters[index..<end]) { return fault }
                index = end
                afterQuantifier = false
            case "(" where next == "?":
                return group(characters[(index + 2)...])
            case "*", "+", "?", "}":
                if afterQuantifier, character == "?" || character == "+" {
                    let kind = character == "?" ? "lazy" : "possessive"
                    return "'\(characters[index - 1])\(character)' is a \(kind) quantifier, which POSIX does not have; "
                        + "write '\(characters[index - 1])', or a narrower class such as [^;]*"
                }
                afterQuantifier = character != "}" || characters[..<index].contains("{")
                index += 1
            default:
                index += 1
                afterQuantifier = false
            }
        }
        return nil
    }

    private static let classes: [Character: (posix: String, inside: String)] = [
        "d": ("[0-9]", "0-9"), "D": ("[^0-9]", "a list of what is meant"),
        "w": ("[[:alnum:]_]", "[:alnum:]_"), "W": ("[^[:alnum:]_]", "a list of what is meant"),
        "s": ("[[:space:]]", "[:space:]"), "S": ("[^[:space:]]", "a list of what is meant"),
    ]

    private static func escape(_ character: Character) -> String? {
        if let form = classes[character] { return "'\\\(character)' is not POSIX; write \(form.posix)" }
        switch character {
        case "1"..."9": return "'\\\(character)' is a back-reference, which expressions here do not have; write what is meant out"
        case "b", "B", "<", ">": return "'\\\(character)' is not POSIX; write what stands around the word, such as (^|[^[:alnum:]_])"
        case "A": return "'\\A' is not POSIX; write ^"
        case "z", "Z": return "'\\\(character)' is not POSIX; write $"
        case "n", "r", "t", "f", "v", "0", "x", "u", "p", "P", "Q", "E", "K", "R", "h", "H", "N", "X", "G", "k", "g", "c", "e", "a":
            return "'\\\(character)' is not POSIX; write the character itself, or a class such as [[:space:]]"
        default: return nil
        }
    }

    /// `(?i)`, `(?:...)`, look-around and named groups.
    private static func group(_ rest: ArraySlice<Character>) -> String {
        let flags = String(rest.prefix { $0 != ")" && $0 != ":" && $0 != "(" }.prefix(12))
        switch rest.first {
        case ":": return "'(?:' is not POSIX; write '('"
        case "=", "!", "<":
            return "'(?\(rest.first ?? "=")' is not POSIX; write a condition of its own, with not: {...} for what must be absent"
        case "i" where flags == "i":
            return "'(?i)' is not POSIX; write both cases, as in [Ii][Mm], or core.header_content_case: insensitive for all header content"
        default: return "'(?\(flags)' is not POSIX; write the expression without it"
        }
    }

    /// In brackets a backslash is itself, so `[\d]` is a backslash or a d.
    private static func bracket(_ characters: ArraySlice<Character>) -> String? {
        for index in characters.indices.dropLast() where characters[index] == "\\" {
            if let form = classes[characters[index + 1]] {
                return "'\\\(characters[index + 1])' in brackets is a backslash and a letter to POSIX; write \(form.inside)"
            }
        }
        return nil
    }

    /// The index after the bracket expression that begins here. A `]` in first place is a member, and so is all in `[: :]`.
    private static func bracketEnd(in characters: [Character], from start: Int) -> Int {
        var index = start + 1
        if index < characters.count, characters[index] == "^" { index += 1 }
        if index < characters.count, characters[index] == "]" { index += 1 }
        while index < characters.count, characters[index] != "]" {
            if characters[index] == "[", index + 1 < characters.count, [":", ".", "="].contains(characters[index + 1]) {
                let mark = characters[index + 1]
                var end = index + 2
                while end + 1 < characters.count, characters[end] != mark || characters[end + 1] != "]" { end += 1 }
                index = min(end + 2, characters.count)
            } else {
                index += 1
            }
        }
        return min(index + 1, characters.count)
    }
}
