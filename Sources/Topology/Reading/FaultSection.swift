// Fault rules: the section `faults`, steps of scenarios, and objects that are posted.

/// A rule of messages that go astray on purpose, as it is written.
public struct FaultPlan: Sendable, Equatable {
    public var method: String?
    public var status: ClosedRange<UInt16>?
    /// A node's name, or an address such as `127.0.0.1:5080`.
    public var peer: String?
    /// Whether it is about what the core sends, not what it receives.
    public var isOutgoing = false
    public var transport: TransportName?
    public var callID: String?
    public var nth = 1
    public var times: Int?
    public var probability: Double?
    public var seed: UInt64?
    public var action: FaultAction

    public init(_ action: FaultAction) { self.action = action }
}

/// What befalls a message.
public enum FaultAction: Sendable, Equatable {
    case drop
    case delay(milliseconds: Int)
    case duplicate(copies: Int)
    case reorder(behind: Int)
    case answer(status: UInt16, headers: [HeaderText])
    case header(set: [HeaderText], remove: [String])
    case corrupt(bytes: Int)
    /// nil: half of it is left.
    case cut(bytes: Int?)
    case close
    case staleSequenceNumber

    /// A header field.
    public struct HeaderText: Sendable, Equatable {
        public var name: String
        public var value: String
    }

    enum Word: String, Sendable, CaseIterable {
        case drop, delay, duplicate, reorder, answer, header, corrupt, cut, close
        case staleSequenceNumber = "stale_sqn"
    }
}

extension Topology {
    /// Reads a fault rule of this topology's core.
    /// - Parameter json: an object with the keys of a fault.
    public func fault(json: String, in surroundings: Surroundings) throws(FieldFault) -> FaultPlan {
        var reader = objectReader(surroundings)
        let section = try reader.section(json, of: FaultKeys.shape, such: "{\"method\": \"MESSAGE\", \"action\": \"drop\"}")
        if let fault = reader.firstFault(in: section) { throw fault }
        if section[node: FaultKeys.action] == nil { throw FieldFault(field: FaultKeys.action.name, Reader.noAction) }
        let plan = reader.fault(section)
        if let fault = reader.firstFault(in: section) { throw fault }
        guard let plan else { throw FieldFault(field: FaultKeys.action.name, Reader.noAction) }
        return plan
    }

    /// Reads how far a virtual clock is to be moved, in milliseconds.
    /// - Parameter json: an object such as `{"by": "1h"}`.
    public func advance(json: String, in surroundings: Surroundings) throws(FieldFault) -> Int {
        var reader = objectReader(surroundings)
        let section = try reader.section(json, of: AdvanceKeys.shape, such: "{\"by\": \"1h\"}")
        if let fault = reader.firstFault(in: section) { throw fault }
        guard let milliseconds = section[AdvanceKeys.by] else {
            throw FieldFault(field: AdvanceKeys.by.name, "it is not said how far; write a duration such as \"by\": \"1h\"")
        }
        return milliseconds
    }

    /// Reads what somebody sends who need not learn what the environment holds.
    private func objectReader(_ surroundings: Surroundings) -> Reader {
        var surroundings = surroundings
        surroundings.environment = nil
        var reader = Reader(file: file, surroundings: surroundings)
        reader.topology = self
        return reader
    }
}

extension Reader {
    static var noAction: String {
        "it is not said what befalls a message; write an action, such as drop, delay or answer"
    }

    mutating func readFaults(_ nodes: [Node]) {
        for node in nodes {
            guard let section = Codec<Node>.object(FaultKeys.shape).read(node) else { continue }
            if section[node: FaultKeys.action] == nil { error(node.position, Reader.noAction) }
            if let plan = fault(section) { topology.faults.append(plan) }
        }
    }

    /// A rule that validation has seen; nil if something is wrong with it.
    mutating func fault(_ section: Node) -> FaultPlan? {
        guard let word = section[FaultKeys.action] else { return nil }
        checkKeys(of: word, section)
        guard let action = action(word, section) else { return nil }
        var plan = FaultPlan(action)
        plan.method = section[FaultKeys.method]
        plan.status = section[FaultKeys.status]
        plan.peer = section[FaultKeys.peer]
        plan.isOutgoing = section[FaultKeys.direction] ?? false
        plan.transport = section[FaultKeys.transport]
        plan.callID = section[FaultKeys.callID]
        plan.nth = section[FaultKeys.nth] ?? 1
        plan.times = section[FaultKeys.times]
        plan.probability = section[FaultKeys.probability]
        plan.seed = section[FaultKeys.seed]
        if word == .answer, plan.status != nil, let place = section[node: FaultKeys.status] {
            error(place.position, "only requests can be answered; leave 'status' out")
        }
        if word == .staleSequenceNumber { checkStale(section) }
        if word == .close { checkTransport(of: plan, section) }
        return plan
    }

    private mutating func action(_ word: FaultAction.Word, _ section: Node) -> FaultAction? {
        switch word {
        case .drop: return .drop
        case .delay:
            guard let delay = section[FaultKeys.delay] else { return lacking(section, FaultKeys.delay.name, "such as 200ms") }
            return .delay(milliseconds: delay)
        case .duplicate: return .duplicate(copies: section[FaultKeys.copies] ?? 1)
        case .reorder: return .reorder(behind: section[FaultKeys.behind] ?? 1)
        case .answer:
            guard let status = section[FaultKeys.answerStatus] else {
                return lacking(section, FaultKeys.answerStatus.name, "such as 503")
            }
            return .answer(status: UInt16(status), headers: headers(section[FaultKeys.answerHeaders]))
        case .header:
            let (set, remove) = (headers(section[FaultKeys.set]), section[FaultKeys.remove] ?? [])
            guard !set.isEmpty || !remove.isEmpty else { return lacking(section, FaultKeys.set.name, "such as {Expires: 60}, or 'remove'") }
            return .header(set: set, remove: remove)
        case .corrupt:
            if section[FaultKeys.bytes] == 0, let place = section[node: FaultKeys.bytes] {
                error(place.position, "no octet is spoilt; write 1 or more, or leave 'bytes' out for one")
            }
            return .corrupt(bytes: section[FaultKeys.bytes] ?? 1)
        case .cut: return .cut(bytes: section[FaultKeys.bytes])
        case .close: return .close
        case .staleSequenceNumber: return .staleSequenceNumber
        }
    }

    private mutating func lacking(_ section: Node, _ key: String, _ example: String) -> FaultAction? {
        // What is there and cannot be read is reported already.
        if section.entry(key) != nil { return nil }
        if let place = section[node: FaultKeys.action] {
            error(place.position, "'action: \(place.text ?? "")' needs '\(key)'; write it, \(example)", missing: key)
        }
        return nil
    }

    /// What is given goes with the action.
    private mutating func checkKeys(of word: FaultAction.Word, _ section: Node) {
        let owners: [(String, [FaultAction.Word])] = [
            (FaultKeys.delay.name, [.delay]), (FaultKeys.copies.name, [.duplicate]), (FaultKeys.behind.name, [.reorder]),
            (FaultKeys.answerStatus.name, [.answer]), (FaultKeys.answerHeaders.name, [.answer]), (FaultKeys.set.name, [.header]),
            (FaultKeys.remove.name, [.header]), (FaultKeys.bytes.name, [.corrupt, .cut]),
        ]
        for (key, words) in owners {
            guard !words.contains(word), let entry = section.entry(key) else { continue }
            error(
                entry.value.position,
                "'\(key)' goes with 'action: \(words[0].rawValue)'; leave it out, or write that action in place of \(word.rawValue)")
        }
    }

    /// It is a REGISTER that comes in to which the core answers with a challenge.
    private mutating func checkStale(_ section: Node) {
        for key in [FaultKeys.status.name, FaultKeys.direction.name, FaultKeys.method.name] {
            guard let value = section.entry(key)?.value, value.text != "in", value.text != "REGISTER" else { continue }
            error(value.position, "'action: stale_sqn' is about a REGISTER that comes in, and the challenge to it; leave '\(key)' out")
        }
    }

    /// Only streams can be closed.
    private mutating func checkTransport(of plan: FaultPlan, _ section: Node) {
        let isDatagrams = plan.transport.map { $0 == .udp } ?? !topology.core.listen.contains { $0.transport != .udp }
        guard isDatagrams, let place = section[node: FaultKeys.transport] ?? section[node: FaultKeys.action] else { return }
        error(place.position, "only streams can be closed; write 'transport: tcp' or another stream, or 'action: drop' for datagrams")
    }

    private mutating func headers(_ node: Node?) -> [FaultAction.HeaderText] {
        (node?.entries ?? []).flatMap { entry in
            let values = Codec<[String]>.oneOrMore(.text).read(entry.value) ?? []
            if values.contains(where: { $0.utf8.contains { $0 < 0x20 && $0 != 0x09 || $0 == 0x7F } }) {
                error(entry.value.position, "the value of \(entry.key) has a line end or another control character in it; write it without")
            }
            return values.map { FaultAction.HeaderText(name: entry.key, value: $0) }
        }
    }
}
