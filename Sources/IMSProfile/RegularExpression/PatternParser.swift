// The grammar of extended regular expressions (IEEE Std 1003.1, clause 9.5.3), by recursive descent.

/// Reads a pattern once, from left to right, into a `SyntaxTree`.
struct PatternParser {
    /// Deepest nesting of groups.
    static let deepestGroup = 64
    /// Highest number in an interval expression such as `{2,5}` (`RE_DUP_MAX`).
    static let mostRepetitions = 255

    private let characters: [Unicode.Scalar]
    private let ignoresCase: Bool
    private var position = 0
    private var depth = 0

    init(_ pattern: String, ignoringCase: Bool) throws(RegularExpressionFault) {
        characters = Array(pattern.unicodeScalars)
        ignoresCase = ignoringCase
        if characters.count > RegularExpression.longestPattern {
            throw fault(
                "a pattern of \(characters.count) characters", "write at most \(RegularExpression.longestPattern)",
                at: RegularExpression.longestPattern)
        }
    }

    mutating func parse() throws(RegularExpressionFault) -> SyntaxTree {
        let tree = try choice()
        if peek() != nil { throw fault("a ) without its (", "write \\) for the character") }
        return tree
    }

    /// Branches between bars; an empty branch matches nothing at all, which many expressions rely on: `(;|)`.
    private mutating func choice() throws(RegularExpressionFault) -> SyntaxTree {
        var branches = [try branch()]
        while take("|") { branches.append(try branch()) }
        return branches.count > 1 ? .choice(branches) : branches[0]
    }

    private mutating func branch() throws(RegularExpressionFault) -> SyntaxTree {
        var parts: [SyntaxTree] = []
        while let next = peek(), next != "|", next != ")" {
            parts.append(try quantified())
        }
        return .sequence(of: parts)
    }

    private mutating func quantified() throws(RegularExpressionFault) -> SyntaxTree {
        let isAnchor = peek() == "^" || peek() == "$"
        let tree = try atom()
        guard let next = peek(), isQuantifier(next) else { return tree }
        if isAnchor { throw nothingToRepeat(next) }
        let (least, most) = try quantifier()
        if let second = peek(), isQuantifier(second) { throw secondQuantifier(second) }
        return .repeating(tree, least: least, most: most)
    }

    private mutating func atom() throws(RegularExpressionFault) -> SyntaxTree {
        guard let next = peek() else { return .empty }
        switch next {
        case "(": return try group()
        case "[": return .byte(try bracketExpression())
        case "\\": return try escape()
        case "*", "+", "?", "{": throw nothingToRepeat(next)
        case ".":
            advance()
            return .byte(.all)
        case "^":
            advance()
            return .start
        case "$":
            advance()
            return .end
        default:
            advance()
            return literal(next)
        }
    }

    private mutating func group() throws(RegularExpressionFault) -> SyntaxTree {
        let opening = position
        advance()
        if peek() == "?" {
            throw fault("(? is not POSIX", "write the group without it, or set case sensitivity for the whole core", at: opening + 1)
        }
        if depth == PatternParser.deepestGroup {
            throw fault("groups nested more than \(PatternParser.deepestGroup) deep", "write fewer groups", at: opening + 1)
        }
        depth += 1
        let tree = try choice()
        depth -= 1
        guard take(")") else { throw fault("a ( without its )", "write \\( for the character", at: opening + 1) }
        return tree
    }

    /// A backslash takes the meaning from a character of punctuation. Before a letter or digit POSIX leaves it undefined,
    /// and what other dialects mean by it can be written otherwise.
    private mutating func escape() throws(RegularExpressionFault) -> SyntaxTree {
        advance()
        guard let next = peek() else {
            throw fault("a backslash at the end", "write \\\\ for the character", at: position)
        }
        if next.properties.isAlphabetic || isDigit(next) { throw foreignEscape(next) }
        advance()
        return literal(next)
    }

    private func literal(_ character: Unicode.Scalar) -> SyntaxTree {
        let bytes = UTF8.encode(character).map(Array.init) ?? []
        return .sequence(of: bytes.map { .byte(folded(ByteSet($0))) })
    }

    private func folded(_ set: ByteSet) -> ByteSet { ignoresCase ? set.caseFolded : set }
}

// MARK: - Quantifiers

extension PatternParser {
    private func isQuantifier(_ character: Unicode.Scalar) -> Bool {
        character == "*" || character == "+" || character == "?" || character == "{"
    }

    private mutating func quantifier() throws(RegularExpressionFault) -> (least: Int, most: Int?) {
        if take("*") { return (0, nil) }
        if take("+") { return (1, nil) }
        if take("?") { return (0, 1) }
        return try interval()
    }

    /// `{3}`, `{3,}`, `{3,5}`.
    private mutating func interval() throws(RegularExpressionFault) -> (least: Int, most: Int?) {
        let opening = position + 1
        advance()
        let least = try repetitions(after: opening)
        var most: Int? = least
        if take(",") { most = peek() == "}" ? nil : try repetitions(after: opening) }
        guard take("}") else { throw badInterval(opening) }
        if let most, most < least {
            throw fault("an interval from \(least) down to \(most)", "write the smaller number first", at: opening)
        }
        return (least, most)
    }

    private mutating func repetitions(after opening: Int) throws(RegularExpressionFault) -> Int {
        let first = position
        var number = 0
        while let digit = peek(), isDigit(digit) {
            number = number * 10 + Int(digit.value - 48)
            if number > PatternParser.mostRepetitions {
                throw fault("too many repetitions", "write at most \(PatternParser.mostRepetitions)", at: first + 1)
            }
            advance()
        }
        if position == first { throw badInterval(opening) }
        return number
    }
}

// MARK: - Bracket expressions (clause 9.3.5)

extension PatternParser {
    /// `[abc]`, `[^a-z]`, `[[:space:];]`. A backslash is an ordinary character here, `]` is one in the first place, and `-`
    /// is one in the first or last.
    private mutating func bracketExpression() throws(RegularExpressionFault) -> ByteSet {
        let opening = position + 1
        advance()
        let isNegated = take("^")
        var set = ByteSet()
        var isFirst = true
        while true {
            guard let next = peek() else { throw fault("a [ without its ]", "write \\[ for the character", at: opening) }
            if next == "]" && !isFirst { break }
            set.formUnion(try bracketItem(opening, isFirst: isFirst))
            isFirst = false
        }
        advance()
        set = folded(set)
        return isNegated ? set.inverted : set
    }

    private mutating func bracketItem(_ opening: Int, isFirst: Bool) throws(RegularExpressionFault) -> ByteSet {
        if peek() == "[" && peek(1) == ":" { return try characterClass(opening) }
        if peek() == "[" && peek(1) == "=" { return ByteSet(try named("=", opening)) }
        let column = position + 1
        if peek() == "-" && !isFirst && peek(1) != "]" {
            throw fault("a - in the middle of a bracket expression", "write it first or last", at: column)
        }
        let low = try rangeEnd(opening)
        guard peek() == "-", let after = peek(1), after != "]" else { return ByteSet(low) }
        advance()
        let high = try rangeEnd(opening)
        if high < low { throw fault("a range that runs backwards", "write its ends the other way round", at: column) }
        return ByteSet(low...high)
    }

    private mutating func rangeEnd(_ opening: Int) throws(RegularExpressionFault) -> UInt8 {
        if peek() == "[" && peek(1) == "." { return try named(".", opening) }
        if peek() == "[" && (peek(1) == ":" || peek(1) == "=") {
            throw fault("a class as the end of a range", "write a character")
        }
        guard let next = peek() else { throw fault("a [ without its ]", "write \\[ for the character", at: opening) }
        guard next.isASCII else {
            throw fault("a character outside ASCII in a bracket expression", "write an alternation such as (ä|ö)")
        }
        advance()
        return UInt8(next.value)
    }

    private mutating func characterClass(_ opening: Int) throws(RegularExpressionFault) -> ByteSet {
        let column = position + 1
        let name = try delimited(by: ":", opening)
        guard let set = ByteSet(className: name) else {
            throw fault(
                "unknown character class [:\(name):]",
                "write alnum, alpha, blank, cntrl, digit, graph, lower, print, punct, space, upper or xdigit", at: column)
        }
        return set
    }

    /// `[.-.]` and `[=a=]`: in the POSIX locale a collating element is one character, and equivalent only to itself.
    private mutating func named(_ mark: Unicode.Scalar, _ opening: Int) throws(RegularExpressionFault) -> UInt8 {
        let column = position + 1
        let name = try delimited(by: mark, opening)
        guard name.utf8.count == 1, let byte = name.utf8.first, byte < 0x80 else {
            throw fault("unknown collating element \(name)", "write one character of ASCII", at: column)
        }
        return byte
    }

    private mutating func delimited(by mark: Unicode.Scalar, _ opening: Int) throws(RegularExpressionFault) -> String {
        let column = position + 1
        advance()
        advance()
        var name = String.UnicodeScalarView()
        while let next = peek() {
            // The first character may be the mark itself: [[.].]], [[=.=]].
            if next == mark && peek(1) == "]" && !name.isEmpty {
                advance()
                advance()
                return String(name)
            }
            name.append(next)
            advance()
        }
        throw fault("a [\(mark) without its \(mark)]", "close it", at: column)
    }
}

// MARK: - Characters and faults

extension PatternParser {
    private func peek(_ distance: Int = 0) -> Unicode.Scalar? {
        position + distance < characters.count ? characters[position + distance] : nil
    }

    private mutating func advance() { position += 1 }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        if peek() != character { return false }
        advance()
        return true
    }

    private func isDigit(_ character: Unicode.Scalar) -> Bool { character.value >= 48 && character.value <= 57 }

    private func fault(_ problem: String, _ remedy: String, at column: Int? = nil) -> RegularExpressionFault {
        RegularExpressionFault(column: column ?? position + 1, problem: problem, remedy: remedy)
    }

    private func nothingToRepeat(_ character: Unicode.Scalar) -> RegularExpressionFault {
        fault("nothing before \(character) that could be repeated", "write \\\(character) for the character")
    }

    private func secondQuantifier(_ character: Unicode.Scalar) -> RegularExpressionFault {
        if character == "?" {
            return fault("a lazy quantifier is not POSIX", "leave the ? out: whether it matches does not depend on it")
        }
        return fault("\(character) after a quantifier", "put what is before it in a group, or leave it out")
    }

    private func badInterval(_ column: Int) -> RegularExpressionFault {
        fault("not an interval expression", "write {2}, {2,} or {2,5}, or \\{ for the character", at: column)
    }

    /// `position` is at the character after the backslash; the column told is the backslash's.
    private func foreignEscape(_ character: Unicode.Scalar) -> RegularExpressionFault {
        if isDigit(character) && character != "0" {
            return fault("back-reference \\\(character)", "write the expression out", at: position)
        }
        let remedy =
            switch character {
            case "d": "write [0-9]"
            case "D": "write [^0-9]"
            case "w": "write [[:alnum:]_]"
            case "W": "write [^[:alnum:]_]"
            case "s": "write [[:space:]]"
            case "S": "write [^[:space:]]"
            case "h", "t": "write [[:blank:]]"
            case "n", "r", "R", "f", "v": "write [[:space:]]"
            case "A": "write ^"
            case "z", "Z": "write $"
            case "b", "B": "write the characters that may stand there, such as (^|[^[:alnum:]_])"
            default: "write the character without the backslash"
            }
        return fault("\\\(character) is not POSIX", remedy, at: position)
    }
}
