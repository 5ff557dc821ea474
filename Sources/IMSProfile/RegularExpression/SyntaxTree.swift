/// A parsed expression. Trees without meaning (a repeated nothing) are never built, so `instructionCount` bounds the work
/// of compiling one.
indirect enum SyntaxTree: Equatable {
    case empty
    case byte(ByteSet)
    /// `^` and `$`: the ends of the subject.
    case start
    case end
    case sequence([SyntaxTree])
    case choice([SyntaxTree])
    /// At most `RE_DUP_MAX` (255) times; without a most, any number of times.
    case repetition(SyntaxTree, least: Int, most: Int?)

    static func sequence(of parts: [SyntaxTree]) -> SyntaxTree {
        let parts = parts.filter { $0 != .empty }
        return parts.count > 1 ? .sequence(parts) : parts.first ?? .empty
    }

    static func repeating(_ tree: SyntaxTree, least: Int, most: Int?) -> SyntaxTree {
        if tree == .empty || most == 0 { return .empty }
        if least == 1 && most == 1 { return tree }
        return .repetition(tree, least: least, most: most)
    }

    /// How many instructions this becomes, at most `limit`: counted repetitions multiply.
    func instructionCount(upTo limit: Int) -> Int {
        switch self {
        case .empty: 0
        case .byte, .start, .end: 1
        case .sequence(let parts):
            parts.reduce(0) { min(limit, $0 + $1.instructionCount(upTo: limit)) }
        case .choice(let parts):
            parts.reduce(parts.count - 1) { min(limit, $0 + $1.instructionCount(upTo: limit)) }
        case .repetition(let tree, let least, let most):
            min(limit, tree.instructionCount(upTo: limit) * (most ?? least + 1) + (most.map { $0 - least } ?? 1))
        }
    }
}
