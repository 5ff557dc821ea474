// A pattern as a nondeterministic automaton (Thompson's construction), and its simulation in fixed memory.

/// Instructions that many threads of execution follow at once, byte by byte.
struct NondeterministicAutomaton: Sendable {
    /// Most instructions: what counted repetitions may multiply a pattern to.
    static let mostInstructions = 2048

    enum Operation: UInt8, BitwiseCopyable { case accept, consume, fork, assertStart, assertEnd }

    struct Instruction: BitwiseCopyable {
        var operation: Operation
        /// Where to go on.
        var next: UInt16 = 0
        /// Of `fork` the other way to go on, of `consume` the number of the set that the byte must be in.
        var other: UInt16 = 0
    }

    /// The instruction that ends in success.
    static let accept = 0

    private(set) var instructions = [Instruction(operation: .accept)]
    private(set) var sets: [ByteSet] = []
    private(set) var entry = NondeterministicAutomaton.accept

    init(accepting tree: SyntaxTree) throws(RegularExpressionFault) {
        let limit = NondeterministicAutomaton.mostInstructions
        if tree.instructionCount(upTo: limit) >= limit {
            throw RegularExpressionFault(column: 1, problem: "the expression is too large", remedy: "repeat less")
        }
        entry = emit(tree, then: NondeterministicAutomaton.accept)
    }

    /// Appends the instructions of a tree that go on at `next`, and returns the first of them.
    private mutating func emit(_ tree: SyntaxTree, then next: Int) -> Int {
        switch tree {
        case .empty: return next
        case .start: return append(.assertStart, next)
        case .end: return append(.assertEnd, next)
        case .byte(let set): return append(.consume, next, number(of: set))
        case .sequence(let parts):
            return parts.reversed().reduce(next) { emit($1, then: $0) }
        case .choice(let branches):
            let entries = branches.map { emit($0, then: next) }
            return entries.dropLast().reversed().reduce(entries[entries.count - 1]) { append(.fork, $1, $0) }
        case .repetition(let tree, let least, let most):
            let optional = most.map { emitOptionally(tree, times: $0 - least, then: next) } ?? emitLoop(tree, then: next)
            return (0..<least).reduce(optional) { entry, _ in emit(tree, then: entry) }
        }
    }

    private mutating func emitLoop(_ tree: SyntaxTree, then next: Int) -> Int {
        let fork = append(.fork, next, next)
        instructions[fork].next = UInt16(emit(tree, then: fork))
        return fork
    }

    private mutating func emitOptionally(_ tree: SyntaxTree, times: Int, then next: Int) -> Int {
        (0..<times).reduce(next) { entry, _ in append(.fork, emit(tree, then: entry), next) }
    }

    private mutating func append(_ operation: Operation, _ next: Int, _ other: Int = 0) -> Int {
        instructions.append(Instruction(operation: operation, next: UInt16(next), other: UInt16(other)))
        return instructions.count - 1
    }

    private mutating func number(of set: ByteSet) -> Int {
        if let known = sets.firstIndex(of: set) { return known }
        sets.append(set)
        return sets.count - 1
    }
}

// MARK: - Simulation

extension NondeterministicAutomaton {
    /// Threads of execution: instructions reached, with forks and passable anchors already followed.
    struct Threads: Hashable, Sendable, BitwiseCopyable {
        private var words = InlineArray<32, UInt64>(repeating: 0)

        func contains(_ instruction: Int) -> Bool {
            words[instruction >> 6] & (1 << UInt64(instruction & 63)) != 0
        }

        /// Returns whether it was not there before.
        @discardableResult
        mutating func insert(_ instruction: Int) -> Bool {
            if contains(instruction) { return false }
            words[instruction >> 6] |= 1 << UInt64(instruction & 63)
            return true
        }

        /// The lowest instruction from `start` on.
        func first(from start: Int) -> Int? {
            var word = start >> 6
            if word >= 32 { return nil }
            var bits = words[word] & (~0 << UInt64(start & 63))
            while bits == 0 {
                word += 1
                if word == 32 { return nil }
                bits = words[word]
            }
            return word << 6 + bits.trailingZeroBitCount
        }

        /// Without the instructions that `lasting` does not hold.
        func keeping(_ lasting: Threads) -> Threads {
            var kept = self
            for index in 0..<32 { kept.words[index] &= lasting.words[index] }
            return kept
        }

        static func == (left: Threads, right: Threads) -> Bool {
            for index in 0..<32 where left.words[index] != right.words[index] { return false }
            return true
        }

        func hash(into hasher: inout Hasher) {
            for index in 0..<32 { hasher.combine(words[index]) }
        }
    }

    /// Room for the instructions still to be followed; each is there at most once.
    struct Pending {
        private var instructions = InlineArray<2048, UInt16>(repeating: 0)
        private var count = 0

        mutating func push(_ instruction: Int) {
            instructions[count] = UInt16(instruction)
            count += 1
        }

        mutating func pop() -> Int? {
            if count == 0 { return nil }
            count -= 1
            return Int(instructions[count])
        }
    }

    /// Adds a thread at an instruction, and all that it reaches without a byte. Anchors at which it must wait stay in the
    /// set: the end is known only later.
    func follow(_ entry: Int, isStart: Bool, isEnd: Bool = false, into threads: inout Threads, _ pending: inout Pending) {
        if threads.insert(entry) { pending.push(entry) }
        while let index = pending.pop() {
            let instruction = instructions[index]
            let passes =
                switch instruction.operation {
                case .accept, .consume: false
                case .fork: true
                case .assertStart: isStart
                case .assertEnd: isEnd
                }
            guard passes else { continue }
            if threads.insert(Int(instruction.next)) { pending.push(Int(instruction.next)) }
            if instruction.operation == .fork && threads.insert(Int(instruction.other)) { pending.push(Int(instruction.other)) }
        }
    }

    /// The threads before the first byte, or at any later one if nothing has begun yet.
    func threads(isStart: Bool, _ pending: inout Pending) -> Threads {
        var threads = Threads()
        follow(entry, isStart: isStart, into: &threads, &pending)
        return threads
    }

    /// The threads after a byte, among them one that begins only now: the search is unanchored.
    func step(_ threads: Threads, _ byte: UInt8, _ pending: inout Pending) -> Threads {
        var following = self.threads(isStart: false, &pending)
        var cursor = 0
        while let index = threads.first(from: cursor) {
            cursor = index + 1
            let instruction = instructions[index]
            if instruction.operation == .consume && sets[Int(instruction.other)].contains(byte) {
                follow(Int(instruction.next), isStart: false, into: &following, &pending)
            }
        }
        return following
    }

    /// The instructions at which a thread can rest between two bytes; the others only lead there.
    var lasting: Threads {
        var lasting = Threads()
        for (index, instruction) in instructions.enumerated() {
            switch instruction.operation {
            case .accept, .consume, .assertEnd: lasting.insert(index)
            case .fork, .assertStart: break
            }
        }
        return lasting
    }

    /// Whether a thread succeeds if the subject ends here.
    func acceptsAtEnd(_ threads: Threads, isStart: Bool, _ pending: inout Pending) -> Bool {
        var ended = Threads()
        var cursor = 0
        while let index = threads.first(from: cursor) {
            cursor = index + 1
            follow(index, isStart: isStart, isEnd: true, into: &ended, &pending)
        }
        return ended.contains(NondeterministicAutomaton.accept)
    }

    /// Whether the expression is found in the subject; of a cut subject the end is not visible.
    func matches(_ subject: RawSpan, isCut: Bool) -> Bool {
        var pending = Pending()
        var threads = self.threads(isStart: true, &pending)
        for offset in 0..<subject.byteCount {
            if threads.contains(NondeterministicAutomaton.accept) { return true }
            threads = step(threads, subject.unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self), &pending)
        }
        if threads.contains(NondeterministicAutomaton.accept) { return true }
        return !isCut && acceptsAtEnd(threads, isStart: subject.byteCount == 0, &pending)
    }
}
