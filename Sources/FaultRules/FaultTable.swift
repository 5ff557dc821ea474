// The rules of a node, each with its count, and what they make of a message. They are tried in the order in which they were
// added: those that alter a message leave it to the next, any other decides.

import SIPMessage
public import SIPTrace
public import SansIO

/// The fault rules of a node.
public struct FaultTable: Sendable {
    /// A rule, and how often it was used.
    public struct Entry: Sendable {
        public let number: Int
        public let rule: FaultRule
        /// Messages that it was about, and those of them that it befell.
        public fileprivate(set) var matches: UInt64 = 0
        public fileprivate(set) var hits: UInt64 = 0
        fileprivate var random: RandomSource
        fileprivate var waiting: Waiting?
    }

    /// A message that waits for others to pass it.
    fileprivate struct Waiting {
        var number: UInt64
        var behind: Int
        var until: Instant
    }

    /// The most rules at once.
    public static let limit = 1000
    /// INVITEs answered by rules whose ACKs are awaited.
    private static let answeredLimit = 64

    public private(set) var entries: [Entry] = []
    private var nextNumber = 1
    private var nextHeld: UInt64 = 1
    private var random: RandomSource
    /// The branches of INVITEs that were answered here, so that their ACKs go no further.
    private var answered: [[UInt8]] = []

    public init(seed: UInt64) { random = RandomSource(seed: seed) }

    public var isEmpty: Bool { entries.isEmpty }

    /// Adds a rule.
    /// - Returns: nil: there are as many as may be.
    public mutating func add(_ rule: FaultRule) -> Entry? {
        guard entries.count < FaultTable.limit else { return nil }
        let seed = rule.match.seed ?? random.next()
        let entry = Entry(number: nextNumber, rule: rule, random: RandomSource(seed: seed))
        nextNumber += 1
        entries.append(entry)
        return entry
    }

    /// - Returns: whether there was such a rule.
    public mutating func remove(_ number: Int) -> Bool {
        guard let place = entries.firstIndex(where: { $0.number == number }) else { return false }
        entries.remove(at: place)
        return true
    }

    public mutating func removeAll() {
        entries = []
        answered = []
    }

    /// What becomes of a message.
    /// - Parameters:
    ///   - octets: whole, as it came or would be sent.
    ///   - local: the listener that it came or goes by.
    ///   - isPeer: whether the other side goes by this name.
    public mutating func judge(
        _ octets: RawSpan, _ direction: TraceDirection, over flow: Flow, local: Endpoint, at now: Now, isPeer: (String) -> Bool
    ) -> Interception {
        var scanner = MessageScanner()
        let verdict = scanner.scan(octets)
        // A keep-alive.
        if case .blank = verdict { return .none }
        let facts: Facts
        do {
            let message = scanner.message(octets)
            facts = Facts(message, isWhole: verdict.isMessage)
            if direction == .incoming, isAnsweredAcknowledgement(message) { return Interception([], mark: .answered) }
        }
        var altered: [UInt8]?
        var mark = TraceMark.none
        var misbehaviour: Misbehaviour?
        var released: [Interception.Consequence] = []
        for place in entries.indices where facts.match(entries[place].rule.match, direction, flow, isPeer) {
            if let passed = pass(place, at: now.monotonic) {
                released += passed
                continue
            }
            guard isHit(place, facts, flow) else { continue }
            entries[place].hits += 1
            let current = altered ?? octets.withUnsafeBytes { Array($0) }
            switch effect(of: place, on: current, direction, flow, local, now) {
            case .altered(let changed, let change):
                altered = changed
                mark = change
            case .misbehaving(let way):
                misbehaviour = way
                if mark == .none { mark = .outdated }
            case .decided(let interception):
                return Interception(interception.consequences + released, mark: interception.mark, misbehaviour: misbehaviour)
            }
        }
        return Interception([.pass(altered)] + released, mark: mark, misbehaviour: misbehaviour)
    }

    // MARK: Whether a rule hits

    /// Lets a message pass one that waits for it; nil: none does.
    private mutating func pass(_ place: Int, at now: Instant) -> [Interception.Consequence]? {
        guard var waiting = entries[place].waiting else { return nil }
        entries[place].waiting = nil
        guard now < waiting.until else { return nil }
        entries[place].matches += 1
        waiting.behind -= 1
        guard waiting.behind > 0 else { return [.release(waiting.number)] }
        entries[place].waiting = waiting
        return []
    }

    private mutating func isHit(_ place: Int, _ facts: Facts, _ flow: Flow) -> Bool {
        let rule = entries[place].rule
        switch rule.action {
        case .answer where !facts.isAnswerable: return false
        case .close where !flow.transport.isReliable: return false
        case .staleSequenceNumber where !facts.isRegister: return false
        default: break
        }
        entries[place].matches += 1
        let matches = entries[place].matches
        let first = UInt64(rule.match.nth)
        guard matches >= first else { return false }
        if let times = rule.match.times, matches - first >= UInt64(times) { return false }
        guard let probability = rule.match.probability else { return true }
        return Double.random(in: 0..<1, using: &entries[place].random) < probability
    }

    // MARK: What it does

    private enum Effect {
        case altered([UInt8], TraceMark)
        case misbehaving(Misbehaviour)
        case decided(Interception)
    }

    private mutating func effect(
        of place: Int, on message: [UInt8], _ direction: TraceDirection, _ flow: Flow, _ local: Endpoint, _ now: Now
    ) -> Effect {
        switch entries[place].rule.action {
        case .drop: return .decided(Interception([], mark: .dropped))
        case .delay(let span): return .decided(Interception([.hold(message, span, number: 0)], mark: .delayed))
        case .duplicate(let copies):
            return .decided(Interception(Array(repeating: .pass(message), count: copies + 1), mark: .duplicated))
        case .reorder(let behind):
            let number = nextHeld
            nextHeld += 1
            entries[place].waiting = Waiting(number: number, behind: behind, until: now.monotonic + FaultRule.reorderPatience)
            return .decided(Interception([.hold(message, FaultRule.reorderPatience, number: number)], mark: .reordered))
        case .answer(let status, let headers):
            let source = direction == .incoming ? flow.remote : local
            guard let answer = answer(to: message, status, headers, source, place) else { return .altered(message, .none) }
            return .decided(Interception([.answer(answer)], mark: .answered))
        case .header(let set, let remove):
            return .altered(Alteration.settingHeaders(of: message, set, removing: remove), .altered)
        case .corrupt(let octets): return .altered(Alteration.corrupting(message, octets, using: &entries[place].random), .corrupted)
        case .cut(let octets):
            let rest = Array(message.prefix(min(octets ?? message.count / 2, message.count)))
            guard flow.transport.isReliable else { return .decided(Interception([.pass(rest)], mark: .cut)) }
            // What is read from a stream is a whole message already; the half of one never gets so far.
            return .decided(Interception(direction == .incoming ? [.close] : [.pass(rest), .close], mark: .cut))
        case .close: return .decided(Interception([.close], mark: .closed))
        case .staleSequenceNumber: return .misbehaving(.staleSequenceNumber)
        }
    }

    private mutating func answer(
        to octets: [UInt8], _ status: UInt16, _ headers: [FaultRule.Field], _ source: Endpoint, _ place: Int
    ) -> [UInt8]? {
        var scanner = MessageScanner()
        guard scanner.scan(octets.span.bytes).isMessage else { return nil }
        let request = scanner.message(octets.span.bytes)
        guard let essentials = try? request.essentials() else { return nil }
        if request.method == .invite { remember(octets.span.bytes[essentials.via.branch].copy) }
        var answer = OctetBuffer(capacity: 1024)
        answer.appendResponse(status, to: request, essentials, from: source, toTag: entries[place].random.next())
        for header in headers {
            for part in [header.name, ": ", header.value, "\r\n"] { answer.append(Array(part.utf8)) }
        }
        answer.appendEmptyBody()
        return answer.bytes.copy
    }

    private mutating func remember(_ branch: [UInt8]) {
        if answered.count == FaultTable.answeredLimit { answered.removeFirst() }
        answered.append(branch)
    }

    /// Whether it is the ACK to an answer that a rule gave; that of a 2xx has a branch of its own.
    private func isAnsweredAcknowledgement(_ message: borrowing Message) -> Bool {
        guard message.isRequest, message.method == .ack, !answered.isEmpty, let via = message.viaOfRefused else {
            return false
        }
        return answered.contains(message.bytes[via.branch].copy)
    }
}

/// What rules ask of a message.
private struct Facts {
    private var method: [UInt8]
    private var status: UInt16
    private var callID: [UInt8]
    let isAnswerable: Bool
    let isRegister: Bool

    init(_ message: borrowing Message, isWhole: Bool) {
        status = message.isRequest ? 0 : message.status
        method = message.bytes[message.shape.methodName].copy
        if !message.isRequest, let value = message.value(.cseq) {
            method = Array(message.bytes[value].copy.reversed().prefix { $0 != 0x20 && $0 != 0x09 }.reversed())
        }
        callID = message.value(.callID).map { message.bytes[$0].copy } ?? []
        isAnswerable = isWhole && message.isRequest && message.method != .ack
        isRegister = message.isRequest && message.method == .register
    }

    func match(_ match: FaultRule.Match, _ direction: TraceDirection, _ flow: Flow, _ isPeer: (String) -> Bool) -> Bool {
        guard match.direction == direction else { return false }
        if let transport = match.transport, transport != flow.transport { return false }
        if let method = match.method, !self.method.elementsEqual(method.utf8) { return false }
        if let status = match.status, !status.contains(self.status) { return false }
        if let callID = match.callID, !self.callID.elementsEqual(callID.utf8) { return false }
        if let peer = match.peer, peer != flow.remote.text, !isPeer(peer) { return false }
        return true
    }
}

extension MessageScanner.Verdict {
    fileprivate var isMessage: Bool { if case .message = self { true } else { false } }
}

extension RawSpan {
    fileprivate var copy: [UInt8] { withUnsafeBytes { Array($0) } }
}
