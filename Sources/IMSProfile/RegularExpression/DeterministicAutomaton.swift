// A pattern as a table that is walked one step for each byte (the subset construction).

/// A nondeterministic automaton, made deterministic.
///
/// States are numbered by the offset of their row in the table, so a step is one addition and one load. The first rows have
/// fixed meanings: `dead`, from which nothing can match any more, then success, then the resting state, in which no match
/// has begun.
struct DeterministicAutomaton: Sendable {
    /// Most states, and most steps of simulation to find them; past either the pattern stays nondeterministic.
    static let mostStates = 512
    static let mostSteps = 16_384

    private static let dead: UInt32 = 0

    /// The class of each byte: bytes that no set of the pattern tells apart share a column.
    private let columns: [UInt8]
    private let transitions: [UInt32]
    /// For each row number: whether the match succeeds if the subject ends in that state.
    private let acceptsAtEnd: [Bool]
    private let stride: UInt32
    private let initial: UInt32
    /// Bytes that leave the resting state, if they are so few that looking for them is quicker than walking: repeated over
    /// a word, up to two.
    private let wake: (first: UInt64, second: UInt64)?

    private var success: UInt32 { stride }
    private var resting: UInt32 { 2 * stride }

    init?(simulating automaton: NondeterministicAutomaton) {
        let (columns, representatives) = DeterministicAutomaton.classify(automaton.sets)
        guard let construction = Construction(automaton, representatives) else { return nil }
        self.columns = columns
        stride = UInt32(representatives.count)
        transitions = construction.transitions
        acceptsAtEnd = construction.acceptsAtEnd
        initial = construction.initial
        wake = DeterministicAutomaton.wakingBytes(columns, construction.transitions, resting: 2 * stride)
    }

    /// Whether the expression is found in the subject; of a cut subject the end is not visible.
    func matches(_ subject: RawSpan, isCut: Bool) -> Bool {
        let columns = columns.span
        let transitions = transitions.span
        // Below this a state is worth a look; in all others the walk just goes on.
        let remarkable = wake == nil ? success : resting
        var state = initial
        var offset = 0
        while true {
            if state <= remarkable {
                if state <= success { return state == success }
                if let wake { offset = DeterministicAutomaton.search(subject, from: offset, for: wake) }
            }
            if offset == subject.byteCount { break }
            let byte = subject.unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self)
            state = transitions[unchecked: Int(state) + Int(columns[unchecked: Int(byte)])]
            offset += 1
        }
        return !isCut && acceptsAtEnd[Int(state / stride)]
    }

    /// The offset of the first of two bytes, or the end. Eight bytes at a time: a zero byte in `word ^ pattern` shows as the
    /// lowest high bit of `(x - 0x01…) & ~x & 0x80…`.
    private static func search(_ subject: RawSpan, from start: Int, for wake: (first: UInt64, second: UInt64)) -> Int {
        let ones: UInt64 = 0x0101_0101_0101_0101
        var offset = start
        while offset + 8 <= subject.byteCount {
            let word = UInt64(littleEndian: subject.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self))
            let first = word ^ wake.first
            let second = word ^ wake.second
            let hits = ((first &- ones) & ~first | (second &- ones) & ~second) & (ones << 7)
            if hits != 0 { return offset + hits.trailingZeroBitCount / 8 }
            offset += 8
        }
        while offset < subject.byteCount {
            let byte = UInt64(subject.unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self))
            if byte == wake.first & 0xFF || byte == wake.second & 0xFF { break }
            offset += 1
        }
        return offset
    }
}

// MARK: - Construction

extension DeterministicAutomaton {
    /// The class of each byte, and one byte of each class.
    private static func classify(_ sets: [ByteSet]) -> (columns: [UInt8], representatives: [UInt8]) {
        var columns = [UInt8](repeating: 0, count: 256)
        for set in sets {
            var renumbered: [UInt16: UInt8] = [:]
            for byte in 0...UInt8.max {
                let key = UInt16(columns[Int(byte)]) << 1 | (set.contains(byte) ? 1 : 0)
                let column = renumbered[key] ?? UInt8(renumbered.count)
                renumbered[key] = column
                columns[Int(byte)] = column
            }
        }
        var representatives: [UInt8] = []
        for byte in 0...UInt8.max where Int(columns[Int(byte)]) == representatives.count { representatives.append(byte) }
        return (columns, representatives)
    }

    private static func wakingBytes(
        _ columns: [UInt8], _ transitions: [UInt32], resting: UInt32
    ) -> (first: UInt64, second: UInt64)? {
        let bytes = (0...UInt8.max).filter { transitions[Int(resting) + Int(columns[Int($0)])] != resting }
        guard let first = bytes.first, let last = bytes.last, bytes.count <= 2 else { return nil }
        let ones: UInt64 = 0x0101_0101_0101_0101
        return (UInt64(first) * ones, UInt64(last) * ones)
    }

    /// The states found so far and the table as far as it is filled.
    private struct Construction {
        var transitions: [UInt32] = []
        var acceptsAtEnd: [Bool] = []
        var initial: UInt32 = 0

        private typealias Threads = NondeterministicAutomaton.Threads
        private let automaton: NondeterministicAutomaton
        private let lasting: Threads
        private let stride: UInt32
        private var pending = NondeterministicAutomaton.Pending()
        private var rows: [Threads: UInt32] = [:]
        private var unexplored: [(threads: Threads, row: UInt32)] = []

        init?(_ automaton: NondeterministicAutomaton, _ representatives: [UInt8]) {
            self.automaton = automaton
            lasting = automaton.lasting
            stride = UInt32(representatives.count)
            appendRow(acceptsAtEnd: false)
            appendRow(acceptsAtEnd: true)
            let resting = row(of: automaton.threads(isStart: false, &pending))
            if resting <= stride { appendRow(acceptsAtEnd: resting == stride, goingTo: resting) }
            initial = initialRow(resting: resting)

            var steps = 0
            while let (threads, row) = unexplored.popLast() {
                steps += representatives.count
                if steps > DeterministicAutomaton.mostSteps { return nil }
                for (column, byte) in representatives.enumerated() {
                    let following = automaton.step(threads, byte, &pending)
                    transitions[Int(row) + column] = self.row(of: following)
                }
                if acceptsAtEnd.count > DeterministicAutomaton.mostStates { return nil }
            }
        }

        private mutating func row(of threads: Threads) -> UInt32 {
            let threads = threads.keeping(lasting)
            if threads.contains(NondeterministicAutomaton.accept) { return stride }
            if threads.first(from: 0) == nil { return DeterministicAutomaton.dead }
            if let known = rows[threads] { return known }
            let row = newRow(threads, isStart: false)
            rows[threads] = row
            return row
        }

        /// The state before the first byte: there alone `^` holds, so it is the resting state only if no thread passed one.
        private mutating func initialRow(resting: UInt32) -> UInt32 {
            let threads = automaton.threads(isStart: true, &pending).keeping(lasting)
            if threads.contains(NondeterministicAutomaton.accept) { return stride }
            let accepts = automaton.acceptsAtEnd(threads, isStart: true, &pending)
            if rows[threads] == resting && acceptsAtEnd[Int(resting / stride)] == accepts { return resting }
            return newRow(threads, isStart: true)
        }

        private mutating func newRow(_ threads: Threads, isStart: Bool) -> UInt32 {
            let row = UInt32(transitions.count)
            appendRow(acceptsAtEnd: automaton.acceptsAtEnd(threads, isStart: isStart, &pending))
            unexplored.append((threads, row))
            return row
        }

        private mutating func appendRow(acceptsAtEnd: Bool, goingTo state: UInt32 = 0) {
            self.acceptsAtEnd.append(acceptsAtEnd)
            transitions.append(contentsOf: repeatElement(state, count: Int(stride)))
        }
    }
}
